"""Sentences of the semantics (§4, §6) about runs, their names and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.keys import manifest_digest
from exchange_formats.manifests import RunManifest
from gateway.cuts import Cut, resolve_cut
from gateway.evaluation import Task, evaluate_domain
from gateway.outcomes import read_standing_outcome
from gateway.runs import newest_run
from gateway.warning_log import read_log, record_warnings
from scoring.model import Example
from scoring.resolution import resolve
from scoring.tables import Bands
from tests.fakes import MemoryStore
from tests.lake_samples import UNTIL, land, note
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, penalty
from tests.warning_runs import A, B, Story, graded, penalties

DOMAIN = ENVIRONMENT.id
PENALTY = f"{ENVIRONMENT.department}/penalty"
TASK = Task(resolve(ENVIRONMENT, AS_OF, MODELS.tables), AS_OF, Cut({PENALTY: ("a" * 64,)}))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    inputs = join_inputs(ENVIRONMENT, [{"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")]}])
    for source, table in inputs.items():
        note(lake, source, UNTIL, land(lake, source, table))
    return lake


def _story(folder: Path) -> Story:
    folder.mkdir()
    return Story(folder)


def _bands_from(lowest: Decimal) -> Bands:
    bands = TASK.resolved.bands
    best = bands.bands[0].model_copy(update={"from_": lowest})
    second = bands.bands[1].model_copy(update={"below": lowest})
    return bands.model_copy(update={"bands": (best, second, *bands.bands[2:])})


@pytest.mark.semantics("6.14", "1.3", "1.2")
@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": AS_OF + timedelta(days=1)},
        {"cut": Cut({PENALTY: ("b" * 64,)})},
        {"cut": Cut({PENALTY: ("a" * 64,)}, evaluations={"public_credit_enterprise": "c" * 64})},
        {"cut": Cut({PENALTY: ("a" * 64,)}, statistics="d" * 64)},
        {"resolved": TASK.resolved.model_copy(update={"bands": _bands_from(Decimal(860))})},
        {"resolved": TASK.resolved.model_copy(update={"calendar": resolve(ENVIRONMENT, date(2027, 1, 1)).calendar})},
        {"resolved": resolve(MODELS.by_id["work_safety"], AS_OF, MODELS.tables)},
    ],
    ids=["as_of", "heads", "evaluations", "statistics", "bands", "calendar", "domain"],
)
def test_run_has_another_name_when_anything_it_is_a_function_of_is_another(changes: dict[str, Any]) -> None:
    assert replace(TASK, **changes).run_id != TASK.run_id


@pytest.mark.semantics("6.14")
def test_run_has_another_name_when_the_semantics_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TASK.run_id
    monkeypatch.setattr("gateway.evaluation.SEMANTICS", "another")
    assert TASK.run_id != before


@pytest.mark.semantics("6.14")
def test_run_has_the_same_name_when_only_examples_or_the_question_differ() -> None:
    example = Example.model_validate({"title": "无", "given": {}, "as_of": AS_OF, "expect": {"grade": "B"}})
    bare = resolve(ENVIRONMENT.model_copy(update={"examples": (example,)}), AS_OF, MODELS.tables)
    assert replace(TASK, resolved=bare, what_if=True, backfill=True).run_id == TASK.run_id


@pytest.mark.semantics("6.10")
def test_manifest_is_the_same_whenever_and_the_outcome_says_when_a_domain_is_scored(tmp_path: Path, lake: Lake) -> None:
    other = Lake(MemoryStore(), tmp_path / "other")
    assert isinstance(lake.store, MemoryStore)
    assert isinstance(other.store, MemoryStore)
    other.store.objects = dict(lake.store.objects)
    noon = datetime(2026, 7, 1, 4, tzinfo=UTC)
    late = noon + timedelta(days=40)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, now=lambda: noon)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=other, models=MODELS, now=lambda: late)
    manifests = [
        {key: data for key, data in one.store.objects.items() if manifest_digest(key)}  # type: ignore[attr-defined]
        for one in (lake, other)
    ]
    assert manifests[0] == manifests[1]
    assert not any(b"2026-07-01T" in data or b"2026-08-10T" in data for data in manifests[0].values())
    said = [read_standing_outcome(one, DOMAIN) for one in (lake, other)]
    assert [outcome.finished_at for outcome in said if outcome] == [noon, late]


@pytest.mark.semantics("4.13")
def test_answer_to_a_question_and_a_backfill_add_nothing_to_the_warning_log(lake: Lake) -> None:
    more = join_inputs(ENVIRONMENT, [{"penalty": [penalty("1205", "2026-06-01", record_id="late")]}])[PENALTY]
    note(lake, PENALTY, UNTIL + timedelta(hours=2), land(lake, PENALTY, more))
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    log = read_log(lake, DOMAIN)
    asked = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, known_at=UNTIL)
    earlier = evaluate_domain(DOMAIN, as_of=AS_OF - timedelta(days=1), lake=lake, models=MODELS)
    assert (asked.new, asked.what_if, earlier.new, earlier.backfill) == (True, True, True, True)
    assert len(log.entries) == 1
    assert read_log(lake, DOMAIN) == log


@pytest.mark.semantics("4.4", "4.3")
def test_warning_keeps_its_id_when_its_number_is_another(tmp_path: Path) -> None:
    both = [graded(A, "C"), graded(B, "C")]
    found = {}
    for name, hit in (("alone", [B]), ("second", [A, B])):
        story = _story(tmp_path / name)
        story.run("2026-06-20", both, [penalties("2026-06-20", subject_ref=one) for one in hit])
        (found[name],) = [(row["id"], row["number"]) for row in story.standing() if row["subject_ref"] == B]
    assert [number for _, number in found.values()] == [1, 2]
    assert len({name for name, _ in found.values()}) == 1


@pytest.mark.semantics("6.15", "4.2")
def test_run_is_the_same_and_its_warnings_are_not_when_another_history_came_before(tmp_path: Path) -> None:
    runs, events = [], []
    for name, before in (("good", "B"), ("bad", "D")):
        story = _story(tmp_path / name)
        story.run("2026-06-10", before)
        runs.append(story.runs.commit(date(2026, 6, 20), [graded(A, "D")]))
        entry = record_warnings(story.lake, runs[-1], spool=story.spool)
        assert entry is not None
        assert entry.parents == (story.entries[-1].sha256,)
        events.append(sorted({row["rule"] for row in story.events(entry)}))
    said = [{artefact.name: artefact.rows_sha256 for artefact in run.artefacts} for run in runs]
    assert said[0] == said[1]
    assert {"events", "changes"}.isdisjoint(said[0])
    assert events == [["fell_far"], []]


@pytest.mark.semantics("1.4")
def test_newest_cut_is_used_when_no_instant_is_named(lake: Lake) -> None:
    first = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    more = join_inputs(ENVIRONMENT, [{"penalty": [penalty("1205", "2026-06-01", record_id="late")]}])[PENALTY]
    late = land(lake, PENALTY, more)
    second = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    run = newest_run(lake, DOMAIN)
    assert isinstance(run, RunManifest)
    assert (second.new, second.run_id != first.run_id, run.cut[PENALTY]) == (True, True, (late.sha256,))
    assert resolve_cut(lake, TASK.resolved, AS_OF).heads == run.cut
