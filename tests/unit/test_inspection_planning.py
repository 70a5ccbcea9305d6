"""Planning inspections on a lake: from the standing grades, once a task, provable afterwards."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, FatalError, TransientError
from exchange_formats.manifests import RunManifest
from gateway.evaluation import evaluate_domain
from gateway.inspection_planning import PlannedInspections, RosterEntry, draw_inspections, replay_inspections
from gateway.inspection_sheets import write_sheets
from gateway.locks import work_alone
from gateway.runs import read_model
from scoring.grammar import Counts
from scoring.resolution import ResolvedModel
from tests.fakes import MemoryStore
from tests.lake_samples import land
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, complaint, join_inputs, on, penalty, reference

DOMAIN = ENVIRONMENT.id
ROSTER = tuple(RosterEntry(number=f"HZ{number:02d}") for number in range(5))


def inspected(day: str, method: str = "double_random", **more: Any) -> dict[str, Any]:
    return {"inspected_on": on(day), "result": "rectify", "method": method} | more


#: 40 of grade B; two of them inspected, one of them by chance; one with a complaint; one of grade E by a veto.
SUBJECTS: list[dict[str, Any]] = [
    *({"public_credit": 820} for _ in range(36)),
    {"public_credit": 820, "inspection": [inspected("2026-05-20")]},
    {"public_credit": 820, "inspection": [inspected("2026-05-20", method="special")]},
    {"public_credit": 820, "inspection": [inspected("2025-05-20")]},
    {"public_credit": 820, "complaint": [complaint("2026-06-01", outcome="substantiated", violation_code=None)]},
    {"public_credit": 820, "penalty": [penalty("1203", "2026-05-01")]},
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        land(lake, source, table)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    return lake


def plan(lake: Lake, task: str = "2026Q3-01", seed: str = "s1", day: date = AS_OF) -> PlannedInspections:
    return draw_inspections(DOMAIN, task, seed=seed, day=day, inspectors=ROSTER, lake=lake, spool=lake.cache)


def test_list_follows_ratio_cap_and_demand_when_a_task_is_drawn(lake: Lake) -> None:
    planned = plan(lake)
    outcome = planned.plan.outcome
    assert planned.new
    b, e = outcome.grades["B"], outcome.grades["E"]
    # 5 % of 40 are two; whom chance inspected within a year is capped, who was inspected specially is not.
    assert (b.subjects, b.wanted, b.capped, b.drawn, b.demanded) == (40, 2, 1, 2, 1)
    assert (e.subjects, e.drawn) == (1, 1)
    because = {one.subject_ref: one.because for one in outcome.chosen}
    assert "complaint" in because[reference(39)]
    assert because[reference(40)] == ("drawn",)
    assert "drawn" not in because.get(reference(36), ())
    assert all(len(one.inspectors) == 2 for one in outcome.chosen)


def test_same_task_says_the_same_when_it_is_planned_twice(lake: Lake) -> None:
    first, second = plan(lake), plan(lake)
    assert (second.new, second.key, second.plan) == (False, first.key, first.plan)


def test_second_draw_is_turned_away_when_one_is_at_work(lake: Lake) -> None:
    """Two at once could both find the task undrawn, and somebody could choose between their lists."""
    with work_alone(f"inspections-{DOMAIN}", lake.cache), pytest.raises(TransientError):
        plan(lake)
    assert plan(lake).new


def test_complaints_of_two_departments_demand_checks_when_rules_name_both(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_with_rule(lake: Lake, run: RunManifest) -> ResolvedModel:
        resolved = read_model(lake, run)
        rules = resolved.measures.never_skip
        elsewhere = rules["complaint"].model_copy(update={"counts": Counts(dataset="fire_rescue/complaint")})
        measures = resolved.measures.model_copy(update={"never_skip": {**rules, "elsewhere": elsewhere}})
        return resolved.model_copy(update={"measures": measures})

    table = join_inputs(ENVIRONMENT, [{"complaint": [complaint("2026-06-02")]}])["ecology_environment/complaint"]
    land(lake, "fire_rescue/complaint", table)
    monkeypatch.setattr("gateway.inspection_planning.read_model", read_with_rule)
    reasons = {one.subject_ref: one.because for one in plan(lake).plan.outcome.chosen}
    assert "elsewhere" in reasons[reference(0)]
    assert "complaint" in reasons[reference(39)]


def test_task_cannot_be_drawn_again_when_the_outcome_is_disliked(lake: Lake) -> None:
    plan(lake)
    with pytest.raises(ConfigurationError, match="drawn already"):
        plan(lake, seed="s2")


def test_plan_is_proved_when_it_is_replayed_after_new_records(lake: Lake) -> None:
    first = plan(lake)
    more = [{"public_credit": 700, "inspection": [inspected("2026-06-20")]}]
    for source, table in join_inputs(ENVIRONMENT, more).items():
        land(lake, source, table)
    assert replay_inspections(DOMAIN, "2026Q3-01", lake=lake, spool=lake.cache).plan == first.plan


def test_replay_finds_it_when_the_log_was_changed(lake: Lake) -> None:
    key = plan(lake).key
    data = lake.store.get_bytes(key)
    lake.store.put_bytes(key, data.replace(b'"seed":"s1"', b'"seed":"s9"'))
    with pytest.raises(FatalError, match="not what its name says"):
        replay_inspections(DOMAIN, "2026Q3-01", lake=lake, spool=lake.cache)


def test_replay_is_refused_when_the_task_was_never_drawn(lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="never drawn"):
        replay_inspections(DOMAIN, "2026Q3-77", lake=lake, spool=lake.cache)


@pytest.mark.parametrize("task", ["", "../x", "a", "x" * 70, "任务一"])
def test_task_number_is_refused_when_it_cannot_stand_in_a_key(lake: Lake, task: str) -> None:
    with pytest.raises(ConfigurationError, match="not a task number"):
        plan(lake, task=task)


def test_workbook_holds_list_figures_and_proof_when_it_is_written(lake: Lake) -> None:
    planned = plan(lake)
    names = {"HZ00": "=cmd|calc"}
    data = write_sheets(planned.plan, planned.resolved, names, planned.key)
    assert data == write_sheets(planned.plan, planned.resolved, names, planned.key)
    book = load_workbook(io.BytesIO(data))
    rows = list(book.worksheets[0].iter_rows(min_row=2, values_only=True))
    assert [row[1] for row in rows] == [one.subject_ref for one in planned.plan.outcome.chosen]
    assert not any(str(cell).startswith("=") for row in rows for cell in row)
    assert any("投诉举报引发的检查" in str(row[6]) for row in rows)
    proof = dict(book.worksheets[2].iter_rows(min_row=2, values_only=True))
    assert proof["种子 seed"] == "s1"
    assert proof["日志 log"] == planned.key
