"""Where the public-credit part of a score came from (semantics §3, Public credit)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exchange_formats.results import OWN_PUBLIC_CREDIT, OWN_PUBLIC_CREDIT_SCHEMA, PUBLIC_CREDIT_MISSING
from scoring.engine import evaluate
from scoring.findings import GradeFinding
from scoring.resolution import resolve
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, on, read_outcomes, read_rows, reference, run


def _own(*results: tuple[Decimal | None, date], ref: str | None = None) -> pa.Table:
    rows = [{"subject_ref": ref or reference(0), "score": score, "evaluated_on": day} for score, day in results]
    return pa.Table.from_pylist(rows, schema=OWN_PUBLIC_CREDIT_SCHEMA)


def _grade(folder: Path, platform: list[dict[str, Any]], own: pa.Table | None) -> GradeFinding:
    given = {"provincial_platform__public_credit": platform}
    inputs: dict[str, Any] = join_inputs(ENVIRONMENT, [given]) | ({OWN_PUBLIC_CREDIT: own} if own is not None else {})
    return read_outcomes(run(ENVIRONMENT, inputs, folder))[reference(0)].grade


def _platform(score: int, day: date) -> dict[str, Any]:
    return {"score": score, "evaluated_on": day, "record_id": f"p{day}"}


@pytest.mark.semantics("3.14", "3.17")
def test_platform_s_latest_result_is_used_when_our_own_is_newer(tmp_path: Path) -> None:
    platform = [_platform(810, on("2026-06-01")), _platform(820, on("2026-06-10"))]
    found = _grade(tmp_path, platform, _own((Decimal(700), AS_OF)))
    assert (found.public_credit_origin, found.public_credit_score) == ("platform", Decimal(820))
    assert found.public_credit_evaluated_on == on("2026-06-10")
    assert found.score == 846


@pytest.mark.semantics("3.14", "3.15", "3.17")
@pytest.mark.parametrize(
    ("platform_on", "origin"), [("2026-05-30", "platform"), ("2026-05-29", "own_model"), ("2026-07-01", "own_model")]
)
def test_own_model_s_result_is_used_when_the_platform_s_is_older_than_its_cycle_or_later(
    tmp_path: Path, platform_on: str, origin: str
) -> None:
    found = _grade(tmp_path, [_platform(900, on(platform_on))], _own((Decimal("712.34"), on("2026-06-30"))))
    assert found.public_credit_origin == origin
    assert found.flags == ()
    if origin == "own_model":
        assert (found.public_credit_score, found.score) == (Decimal("712.34"), Decimal("813.70"))


@pytest.mark.semantics("3.15", "3.16")
def test_own_result_must_not_be_older_than_the_cycle_or_later_than_as_of(tmp_path: Path) -> None:
    own = _own((Decimal(700), on("2026-05-29")), (Decimal(990), on("2026-07-01")))
    found = _grade(tmp_path, [], own)
    assert (found.public_credit_origin, found.public_credit_score) == ("neutral", Decimal(800))
    assert found.flags == (PUBLIC_CREDIT_MISSING,)


@pytest.mark.semantics("3.15")
def test_newest_own_result_is_used_when_there_are_several(tmp_path: Path) -> None:
    found = _grade(tmp_path, [], _own((Decimal(700), on("2026-05-31")), (Decimal(720), on("2026-06-30"))))
    assert found.public_credit_score == 720


@pytest.mark.semantics("3.19")
def test_subject_is_n_when_neither_platform_nor_own_model_scored_it_and_it_has_no_record(tmp_path: Path) -> None:
    found = _grade(tmp_path, [], _own((None, on("2026-06-30"))))
    assert (found.grade, found.score, found.public_credit_origin) == ("N", None, "neutral")


@pytest.mark.semantics("3.19")
def test_subject_without_a_record_is_scored_when_our_own_model_did_score_it(tmp_path: Path) -> None:
    found = _grade(tmp_path, [], _own((Decimal(800), on("2026-06-30"))))
    assert (found.grade, found.score, found.public_credit_origin) == ("B", Decimal(840), "own_model")


def test_evidence_names_our_own_results_as_the_source_when_they_were_used(tmp_path: Path) -> None:
    inputs: dict[str, Any] = join_inputs(ENVIRONMENT, [{}]) | {OWN_PUBLIC_CREDIT: _own((Decimal(800), AS_OF))}
    rows = read_rows(run(ENVIRONMENT, inputs, tmp_path), "evidence")
    assert [(row["dataset"], row["event_on"]) for row in rows if row["entry"] == "public_credit"] == [
        (OWN_PUBLIC_CREDIT, AS_OF)
    ]


def test_result_is_the_same_when_a_run_with_own_results_is_sharded(tmp_path: Path) -> None:
    subjects = [{"ref": reference(number)} for number in range(20)]
    own = pa.concat_tables([_own((Decimal(600 + number), AS_OF), ref=reference(number)) for number in range(0, 20, 2)])
    inputs: dict[str, Any] = join_inputs(ENVIRONMENT, subjects) | {OWN_PUBLIC_CREDIT: own}
    found = []
    for shards in (1, 2):
        folder = tmp_path / str(shards)
        folder.mkdir()
        evaluation = evaluate(resolve(ENVIRONMENT, AS_OF, MODELS.tables), inputs, AS_OF, folder, shards=shards)
        found.append([one.rows_sha256 for one in evaluation.artefacts])
    assert found[0] == found[1]
