"""``xinqiao score``: what is asked for reaches the use case, and what came of it is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.evaluation import RunReference
from scoring.library import load_models

RUN = RunReference(
    domain="work_safety",
    as_of=date(2026, 6, 30),
    run_id="ab" * 16,
    manifest_sha256="cd" * 32,
    model="work_safety@2026.1",
    subjects=1234,
    subjects_by_grade={"A": 1200, "E": 34},
    warnings_by_level={"red": 34},
    not_collected=("IND2010",),
    new=True,
)


class Bench:
    """The command in a workplace of sentinels; ``calls`` are what the use case was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.calls: list[Mapping[str, Any]] = []
        self.run = RUN
        workplace = SimpleNamespace(lake="the lake", models=load_models(), spool=folder)
        monkeypatch.setattr("gateway.cli.score.open_workplace", lambda: workplace)
        monkeypatch.setattr("gateway.cli.score.evaluate_domain", self._evaluate)

    def _evaluate(self, domain: str, **options: Any) -> RunReference:
        self.calls.append({"domain": domain, **options})
        return self.run

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["score", *arguments])


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path)


def test_day_and_instant_reach_the_use_case_when_given(score: Bench) -> None:
    result = score("work_safety", "--as-of", "2026-06-30", "--known-at", "2026-07-01T08:00", "--shards", "8")
    assert result.exit_code == 0, result.output
    (call,) = score.calls
    assert (call["domain"], call["as_of"]) == ("work_safety", date(2026, 6, 30))
    assert call["known_at"] == datetime(2026, 7, 1, tzinfo=UTC)  # eight o'clock in Shanghai
    assert call["engine"].shards == 8


def test_day_is_refused_when_it_has_not_come(score: Bench) -> None:
    """It would stand, and every run before it would be a backfill that nobody publishes."""
    result = score("work_safety", "--as-of", f"{date.max}")
    assert (result.exit_code, score.calls) == (2, [])
    assert "in the future" in result.output


def test_whole_is_printed_when_a_domain_was_scored(score: Bench) -> None:
    said = score("work_safety").output
    for text in ("work_safety 2026-06-30 abababababab", "1,234", "A1,200 E34", "red 34", "IND2010", "new run"):
        assert text in said
    assert score.calls[0]["known_at"] is None


def test_public_credit_is_of_the_last_whole_month_when_no_day_is_given(score: Bench) -> None:
    score("public_credit_enterprise")
    day = score.calls[0]["as_of"]
    assert day < date.today()  # noqa: DTZ011  # a month apart, whatever the zone
    assert (day.replace(day=28) - day).days <= 0, "the last day of a month"


def test_correction_is_named_when_a_later_day_was_evaluated(score: Bench) -> None:
    score.run = replace(RUN, backfill=True, stale=("work_safety/complaint",))
    said = score("work_safety", "--as-of", "2026-06-30").output
    assert "publish work_safety --correction" in said
    assert "stale, left out: work_safety/complaint" in said


def test_question_is_named_when_it_does_not_stand(score: Bench) -> None:
    score.run = replace(RUN, what_if=True)
    assert "does not stand" in score("work_safety", "--known-at", "2026-07-01").output


def test_everything_is_in_the_document_when_json_is_asked_for(score: Bench) -> None:
    document = json.loads(score("work_safety", "--json").output)
    assert document["as_of"] == "2026-06-30"
    assert document["subjects_by_grade"] == {"A": 1200, "E": 34}
    assert (document["backfill"], document["what_if"], document["stale"]) == (False, False, [])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--known-at", "3026-01-01"), "future"),
        (("--known-at", "yesterday"), "2026-06-30T08:00:00"),
        (("--shards", "3"), "64"),
        (("--as-of", "30.6.2026"), "--as-of"),
    ],
)
def test_nothing_is_scored_when_an_option_is_wrong(score: Bench, arguments: tuple[str, ...], expected: str) -> None:
    result = score("work_safety", *arguments)
    assert result.exit_code == 2
    assert expected in result.output
    assert score.calls == []
