"""Where subjects and records come from: several profile datasets, datasets of every department (semantics §2)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scoring.compiler import compile_model
from scoring.examples import build_records
from scoring.grammar import Counts
from scoring.model import Model
from scoring.records import are_disjoint
from scoring.resolution import resolve
from tests.scoring_cases import (
    AS_OF,
    ENVIRONMENT,
    MODELS,
    Outcome,
    on,
    penalty,
    read_outcomes,
    read_rows,
    reference,
    run,
    vary,
)

MINE, OTHER = reference(1), reference(2)
PROFILE = {"status": "active", "subject_name": "示例企业", "subject_ref": MINE}


def _fines(source: str, *decided: str, **more: Any) -> Any:
    rows = [penalty(None, day) | {"subject_ref": MINE, "record_id": f"r{i}"} | more for i, day in enumerate(decided)]
    return build_records(source, rows)


def _everywhere(**changes: Any) -> Model:
    """A model of the whole province: penalties of every department, no public-credit part, nobody is N."""
    dimensions = {
        "law": {
            "kind": "compliance",
            "title": "遵纪守法",
            "title_en": "abiding by the law",
            "full": 1000,
            "base": 900,
            "indicators": {
                "fines": {
                    "title": "行政处罚",
                    "title_en": "penalties",
                    "basis": ["行政处罚法 9"],
                    "status": "assumption",
                    "counts": {"dataset": "*/penalty", "where": "kind = 'fine'"},
                    "deduct": {"severity": True, "decay": False},
                },
                "judgments": {
                    "title": "刑事裁判",
                    "title_en": "criminal judgments",
                    "basis": ["本模型设定 (H02)"],
                    "status": "assumption",
                    "needs": "刑事裁判 criminal judgments",
                    "deduct": {"per": 60},
                },
            },
        }
    }
    plain = {"dimensions": dimensions, "overrides": {}, "required": ["profile"], "minimum_records": 0}
    return vary(ENVIRONMENT, **(plain | changes))


def _score(model: Model, inputs: dict[str, Any], folder: Path, as_of: date = AS_OF) -> dict[str, Outcome]:
    return read_outcomes(run(model, inputs, folder, as_of))


@pytest.mark.semantics("2.26")
def test_records_of_every_department_count_when_a_dataset_is_named_with_a_star(tmp_path: Path) -> None:
    inputs = {
        "ecology_environment/profile": build_records("ecology_environment/profile", [PROFILE]),
        "ecology_environment/penalty": _fines("ecology_environment/penalty", "2026-05-01"),
        "transport/penalty": _fines("transport/penalty", "2026-05-02"),
        "transport/inspection": build_records("transport/inspection", []),
    }
    found = _score(_everywhere(), inputs, tmp_path)[MINE]
    rows = [row for row in found.findings.evidence if row.entry == "record"]
    # Both carry the same id in their own department and both count: 80, and 80 again as a repetition.
    assert [(row.dataset, row.record_id, row.points) for row in rows] == [
        ("ecology_environment/penalty", "r0", Decimal(-80)),
        ("transport/penalty", "r0", Decimal(-120)),
    ]
    assert found.score == 700
    assert found.grade.not_collected == ("judgments",)


@pytest.mark.semantics("2.1")
def test_correction_in_one_department_leaves_another_alone_when_their_records_share_an_id(tmp_path: Path) -> None:
    corrected = _fines("transport/penalty", "2026-05-02", revoked_on=on("2026-06-01"))
    inputs = {
        "ecology_environment/profile": build_records("ecology_environment/profile", [PROFILE]),
        "ecology_environment/penalty": _fines("ecology_environment/penalty", "2026-05-01"),
        "transport/penalty": corrected,
    }
    assert _score(_everywhere(), inputs, tmp_path)[MINE].score == 820


@pytest.mark.semantics("2.25")
def test_indicator_is_not_collected_when_no_department_has_its_dataset(tmp_path: Path) -> None:
    inputs = {"ecology_environment/profile": build_records("ecology_environment/profile", [PROFILE])}
    found = _score(_everywhere(), inputs, tmp_path)[MINE]
    assert found.grade.not_collected == ("fines", "judgments")


@pytest.mark.semantics("2.26")
def test_inputs_a_star_stands_for_are_those_there_are_when_a_model_is_compiled() -> None:
    resolved = resolve(_everywhere(), AS_OF, MODELS.tables)
    known = ["ecology_environment/profile", "health/penalty", "sports/penalty", "sports/inspection", "x_y/complaint"]
    assert "*/penalty" in resolved.inputs
    wanted = ("ecology_environment/profile", "health/penalty", "sports/penalty")
    assert resolved.used(known) == wanted
    assert tuple(sorted(compile_model(resolved, AS_OF, known).inputs)) == wanted


@pytest.mark.semantics("3.21")
def test_subject_without_a_record_has_its_bases_when_a_model_asks_for_no_minimum(tmp_path: Path) -> None:
    inputs = {"ecology_environment/profile": build_records("ecology_environment/profile", [PROFILE])}
    found = _score(_everywhere(), inputs, tmp_path)[MINE]
    assert (found.score, found.grade.grade, found.grade.flags) == (Decimal(900), "A", ())
    (tmp_path / "n").mkdir()
    strict = _score(_everywhere(minimum_records=1), inputs, tmp_path / "n")[MINE]
    assert (strict.score, strict.grade.grade) == (None, "N")


def test_first_profile_dataset_says_who_a_subject_is_when_several_know_it(tmp_path: Path) -> None:
    model = _everywhere(subjects={"type": "enterprise", "from": ["profile", "market_regulation/profile"]})
    inputs = {
        "ecology_environment/profile": build_records("ecology_environment/profile", [PROFILE | {"subject_name": "甲"}]),
        "market_regulation/profile": build_records(
            "market_regulation/profile",
            [
                PROFILE | {"subject_name": "乙", "registered_on": date(2026, 6, 1)},
                {"status": "active", "subject_name": "丙", "subject_ref": OTHER},
            ],
        ),
    }
    found = _score(model, inputs, tmp_path)
    assert {ref: outcome.grade.subject_name for ref, outcome in found.items()} == {MINE: "甲", OTHER: "丙"}


def test_second_profile_dataset_says_who_a_subject_is_when_the_first_withdrew_it(tmp_path: Path) -> None:
    model = _everywhere(subjects={"type": "enterprise", "from": ["profile", "market_regulation/profile"]})
    gone = PROFILE | {"subject_name": "甲", "revoked_on": date(2026, 1, 1)}
    inputs = {
        "ecology_environment/profile": build_records("ecology_environment/profile", [gone]),
        "market_regulation/profile": build_records("market_regulation/profile", [PROFILE | {"subject_name": "乙"}]),
    }
    evaluation = run(model, inputs, tmp_path)
    assert [row["subject_name"] for row in read_rows(evaluation, "grades")] == ["乙"]


def test_model_says_when_an_input_is_stale_when_required_is_a_map() -> None:
    model = vary(ENVIRONMENT, required={"profile": "P45D", "penalty": None}, optional={"complaint": "P10D"})
    resolved = resolve(model, AS_OF, MODELS.tables)
    assert resolved.required == ("ecology_environment/penalty", "ecology_environment/profile")
    assert resolved.stale_after == {"ecology_environment/complaint": 10, "ecology_environment/profile": 45}


@pytest.mark.parametrize(
    ("one", "other", "disjoint"),
    [
        ("violation_code = '1203'", "violation_code = '1211'", True),
        ("violation_code in ('1', '2')", "kind = 'fine' and (violation_code = '3')", True),
        ("violation_code in ('1', '2')", "violation_code in ('2', '3')", False),
        ("violation_code = '1'", "kind = 'fine'", False),
        ("violation_code = '1' or kind = 'fine'", "violation_code = '2'", False),
        ("not violation_code = '1'", "violation_code = '2'", False),
        ("violation_code <> '1'", "violation_code = '2'", False),
    ],
)
def test_conditions_are_called_disjoint_only_when_they_ask_for_different_values(
    one: str, other: str, *, disjoint: bool
) -> None:
    counts = [Counts(dataset="penalty", where=where) for where in (one, other)]
    assert are_disjoint("transport/penalty", *counts) is disjoint
