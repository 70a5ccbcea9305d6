"""What was known (semantics §1), and which inputs are missing or stale (semantics §8)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.lake import Lake
from exchange_formats.errors import SkippableError
from exchange_formats.keys import domain_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.periods import add_months
from gateway.artefacts import open_artefact
from gateway.cli import app
from gateway.cuts import open_inputs, read_runs, resolve_cut
from gateway.evaluation import evaluate_domain
from gateway.evaluation_attempts import WithheldError
from gateway.outcomes import read_run_outcomes, read_standing_outcome
from gateway.runs import newest_run
from gateway.stack.model import Component, ComponentStatus, StackReport, State
from scoring.library import Models
from scoring.resolution import resolve
from tests.fakes import MemoryStore
from tests.lake_samples import UNTIL, land, note
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, penalty, reference

DOMAIN = ENVIRONMENT.id
PENALTY = f"{ENVIRONMENT.department}/penalty"
INCIDENT = f"{ENVIRONMENT.department}/incident"
RESOLVED = resolve(ENVIRONMENT, AS_OF, MODELS.tables)
SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")], "incident": []},
    {"public_credit": 900},
]
INPUTS = join_inputs(ENVIRONMENT, SUBJECTS)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache")


def land_all(lake: Lake, *but: str) -> None:
    """Every input of the model, tried and landed at ``UNTIL``."""
    for source, table in INPUTS.items():
        if source not in but:
            note(lake, source, UNTIL, land(lake, source, table))


def limit(**changes: Any) -> Models:
    """The models, with changes to the environment's."""
    changed = ENVIRONMENT.model_copy(update=changes)
    return replace(MODELS, by_id={**MODELS.by_id, DOMAIN: changed}, versions={**MODELS.versions, DOMAIN: (changed,)})


def land_another(lake: Lake, day: str, at: datetime | None) -> None:
    """One more penalty, found on ``day``; its outcome at ``at``."""
    more = join_inputs(ENVIRONMENT, [{"penalty": [penalty("1205", day, record_id=day)]}])[PENALTY]
    manifest = land(lake, PENALTY, more)
    if at is not None:
        note(lake, PENALTY, at, manifest)


def heads(lake: Lake, known_at: datetime | None = None) -> tuple[str, ...]:
    return resolve_cut(lake, RESOLVED, AS_OF, known_at=known_at).heads[PENALTY]


# known at


@pytest.mark.semantics("1.2", "1.4")
def test_cut_is_what_was_known_when_an_instant_is_given(lake: Lake) -> None:
    land_all(lake)
    before = heads(lake)
    land_another(lake, "2026-06-01", UNTIL + timedelta(hours=2))
    assert heads(lake) != before
    assert heads(lake, UNTIL + timedelta(hours=1)) == before
    assert heads(lake, UNTIL + timedelta(hours=2)) == heads(lake)


@pytest.mark.semantics("1.4")
def test_nothing_was_known_when_the_instant_is_before_the_first_commit(lake: Lake) -> None:
    land_all(lake)
    cut = resolve_cut(lake, RESOLVED, AS_OF, known_at=UNTIL - timedelta(seconds=1))
    assert cut.heads == {}
    assert {one.source for one in cut.lacking} == set(RESOLVED.required)
    assert {one.current_until for one in cut.lacking} == {None}


@pytest.mark.semantics("1.5")
def test_batch_is_as_old_as_the_next_pull_when_its_own_outcome_was_lost(lake: Lake) -> None:
    land_all(lake)
    before = heads(lake)
    land_another(lake, "2026-06-01", None)
    note(lake, PENALTY, UNTIL + timedelta(hours=3), result="failed")
    assert heads(lake, UNTIL + timedelta(hours=9)) == before, "a pull that failed tells nothing"
    note(lake, PENALTY, UNTIL + timedelta(hours=4), result="nothing_new")
    assert heads(lake, UNTIL + timedelta(hours=3)) == before
    assert heads(lake, UNTIL + timedelta(hours=4)) == heads(lake)


@pytest.mark.semantics("1.5")
def test_parents_were_known_when_their_child_was(lake: Lake) -> None:
    land_all(lake)
    land_another(lake, "2026-06-01", None)
    land_another(lake, "2026-06-02", UNTIL + timedelta(hours=1))
    assert heads(lake, UNTIL + timedelta(hours=1)) == heads(lake)


@pytest.mark.semantics("1.4")
def test_run_answers_a_question_and_does_not_stand_when_the_cut_is_older(lake: Lake) -> None:
    land_all(lake)
    land_another(lake, "2026-06-01", UNTIL + timedelta(hours=2))
    standing = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    asked = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, known_at=UNTIL)
    assert (standing.what_if, asked.what_if, asked.new) == (False, True, True)
    assert asked.subjects_by_grade == {"A": 1, "C": 1}
    assert newest_run(lake, DOMAIN).run_id == standing.run_id
    assert [run.run_id for run in read_runs(lake, DOMAIN)] == [standing.run_id]
    again = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, known_at=UNTIL)
    assert (again.new, again.manifest_sha256) == (False, asked.manifest_sha256)
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert found.run_id == standing.run_id


@pytest.mark.semantics("1.4")
def test_run_stands_when_nothing_has_come_since_the_instant(lake: Lake) -> None:
    land_all(lake)
    asked = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, known_at=UNTIL)
    assert (asked.new, asked.what_if) == (True, False)
    assert not evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS).new


@pytest.mark.semantics("1.3")
def test_very_run_is_found_when_the_cut_it_was_made_on_is_asked_for(lake: Lake) -> None:
    land_all(lake)
    first = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    land_another(lake, "2026-06-01", UNTIL + timedelta(hours=2))
    second = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    asked = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, known_at=UNTIL)
    assert second.run_id != first.run_id
    assert (asked.new, asked.manifest_sha256, asked.what_if) == (False, first.manifest_sha256, False)


@pytest.mark.semantics("1.6")
def test_run_is_a_correction_when_a_later_day_was_evaluated_before(lake: Lake) -> None:
    land_all(lake)
    later = evaluate_domain(DOMAIN, as_of=AS_OF + timedelta(days=1), lake=lake, models=MODELS)
    earlier = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert (later.backfill, earlier.backfill) == (False, True)


# missing and stale


@pytest.mark.semantics("8.3")
def test_grades_are_stale_and_no_run_is_made_when_a_required_input_is(lake: Lake) -> None:
    models = limit(required={"penalty": 3, "provincial_platform/public_credit": None})
    land_all(lake)
    evaluate_domain(DOMAIN, as_of=date(2026, 7, 3), lake=lake, models=models)
    with pytest.raises(WithheldError, match=r"ecology_environment/penalty.*2026-06-30") as caught:
        evaluate_domain(DOMAIN, as_of=date(2026, 7, 4), lake=lake, models=models)
    assert "xinqiao collect ecology_environment" in caught.value.hint
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert found.result == "withheld"
    assert [(one.source, one.required, one.current_until) for one in found.lacking] == [
        (PENALTY, True, date(2026, 6, 30))
    ]
    assert newest_run(lake, DOMAIN).as_of == date(2026, 7, 3)


@pytest.mark.semantics("8.3")
def test_status_names_the_domain_and_what_it_lacks_when_its_grades_are_stale(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = limit(required={"penalty": 3})
    land_all(lake)
    with pytest.raises(WithheldError):
        evaluate_domain(DOMAIN, as_of=date(2026, 7, 4), lake=lake, models=models)
    store = ComponentStatus(Component.S3, State.READY, "http://127.0.0.1:1", 7, "")
    report = StackReport(lake.cache, (store,), ())
    monkeypatch.setattr("gateway.cli.stack.Stack", lambda: SimpleNamespace(status=lambda: report))
    monkeypatch.setattr("gateway.cli.stack.load_environment", lambda: None)
    monkeypatch.setattr("gateway.workplace.open_workplace", lambda: SimpleNamespace(lake=lake, models=models))
    said = CliRunner().invoke(app, ["status"])
    assert said.exit_code == 0, said.output
    assert f"{DOMAIN}  自 since 2026-07-04: {PENALTY} (2026-06-30)" in said.output
    (stale,) = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)["stale"]
    assert (stale["domain"], stale["lacking"][0]["source"]) == (DOMAIN, PENALTY)


def test_explanation_says_so_when_the_grade_is_stale(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    models = limit(required={"penalty": 3})
    land_all(lake)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=models)
    workplace = SimpleNamespace(lake=lake, models=models, spool=lake.cache.parent / "spool")
    monkeypatch.setattr("gateway.cli.explain.open_workplace", lambda: workplace)
    asked = ["explain", DOMAIN, reference(0), "--no-outlook"]
    assert "stale" not in CliRunner().invoke(app, [*asked, "--lang", "en"]).output
    with pytest.raises(WithheldError):
        evaluate_domain(DOMAIN, as_of=date(2026, 7, 4), lake=lake, models=models)
    assert f"This grade is stale; lacking: {PENALTY}" in CliRunner().invoke(app, [*asked, "--lang", "en"]).output
    assert f"此等级已陈旧, 缺少数据: {PENALTY} (2026-06-30)" in CliRunner().invoke(app, asked).output
    (lacking,) = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)["stale"]
    assert lacking == {"source": PENALTY, "required": True, "current_until": "2026-06-30"}


def test_grades_stand_again_when_a_pull_finds_nothing_new(lake: Lake) -> None:
    models = limit(required={"penalty": 3})
    land_all(lake)
    with pytest.raises(WithheldError):
        evaluate_domain(DOMAIN, as_of=date(2026, 7, 10), lake=lake, models=models)
    note(lake, PENALTY, datetime(2026, 7, 9, 20, tzinfo=UTC), result="nothing_new")
    run = evaluate_domain(DOMAIN, as_of=date(2026, 7, 10), lake=lake, models=models)
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert (run.new, found.result, found.run_id) == (True, "committed", run.run_id)


def test_one_record_is_written_when_a_domain_stands_as_before(lake: Lake) -> None:
    models = limit(required={"penalty": 3})
    land_all(lake)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=models)
    for day in (10, 11, 12):
        with pytest.raises(WithheldError):
            evaluate_domain(DOMAIN, as_of=date(2026, 7, day), lake=lake, models=models)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=models)
    assert [one.result for one in read_run_outcomes(lake, DOMAIN)][:2] == ["withheld", "nothing_new"]
    assert sum(one.result == "withheld" for one in read_run_outcomes(lake, DOMAIN)) == 1


def test_failed_pull_keeps_nothing_fresh_when_data_grow_old(lake: Lake) -> None:
    models = limit(required={"penalty": 3})
    land_all(lake)
    note(lake, PENALTY, datetime(2026, 7, 9, 20, tzinfo=UTC), result="failed")
    with pytest.raises(WithheldError):
        evaluate_domain(DOMAIN, as_of=date(2026, 7, 10), lake=lake, models=models)


@pytest.mark.semantics("8.4")
def test_run_goes_on_without_it_when_an_optional_input_is_stale(lake: Lake) -> None:
    models = limit(optional={"incident": 3})
    land_all(lake)
    fresh = evaluate_domain(DOMAIN, as_of=date(2026, 7, 3), lake=lake, models=models)
    stale = evaluate_domain(DOMAIN, as_of=date(2026, 7, 4), lake=lake, models=models)
    assert (fresh.stale, stale.stale) == ((), (INCIDENT,))
    assert set(stale.not_collected) - set(fresh.not_collected) == {"IND1209"}
    assert INCIDENT not in newest_run(lake, DOMAIN).cut


def test_dataset_is_collected_and_not_missing_when_a_pull_found_it_empty(lake: Lake) -> None:
    land_all(lake, INCIDENT)
    without = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    note(lake, INCIDENT, UNTIL, result="nothing_new")
    cut = resolve_cut(lake, RESOLVED, AS_OF)
    assert cut.heads[INCIDENT] == ()
    assert open_inputs(lake, cut)[INCIDENT].count_rows() == 0
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert set(without.not_collected) - set(run.not_collected) == {"IND1209"}


def test_failure_is_written_down_with_its_class_when_an_object_is_lost(lake: Lake) -> None:
    land_all(lake)
    assert isinstance(lake.store, MemoryStore)
    for key in [key for key in lake.store.objects if "dataset=penalty" in key and key.endswith(".arrow")]:
        del lake.store.objects[key]
    with pytest.raises(Exception, match=r"missing"):
        evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert (found.result, found.error_kind) == ("failed", "FatalError")


# first runs


def test_first_run_waits_until_every_known_dataset_was_tried(lake: Lake) -> None:
    known = {*INPUTS, "market_regulation/licence"}
    land_all(lake, INCIDENT)
    with pytest.raises(SkippableError, match=r"first run.*ecology_environment/incident") as caught:
        evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, expected=known)
    assert not isinstance(caught.value, WithheldError)
    assert read_standing_outcome(lake, DOMAIN) is None
    note(lake, INCIDENT, UNTIL, result="failed")
    assert evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, expected=known).new


def test_later_runs_wait_for_nobody(lake: Lake) -> None:
    land_all(lake, INCIDENT)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    later = evaluate_domain(DOMAIN, as_of=date(2026, 7, 1), lake=lake, models=MODELS, expected=INPUTS.keys())
    assert later.new


# our own public credit (semantics §3)

PUBLIC = MODELS.by_id["public_credit_enterprise"]


def evaluate_public(lake: Lake, day: date) -> RunManifest:
    """Our own evaluation of the enterprises, on the records that are there."""
    if not lake.heads("landing/department=market_regulation/dataset=profile/"):
        profiles = join_inputs(PUBLIC, [{}, {}], day)["market_regulation/profile"]
        land(lake, "market_regulation/profile", profiles)
    run = evaluate_domain(PUBLIC.id, as_of=day, lake=lake, models=MODELS)
    manifest = lake.manifest(domain_prefix(PUBLIC.id), run.manifest_sha256)
    assert isinstance(manifest, RunManifest)
    return manifest


def read_grades(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = open_artefact(lake, newest_run(lake, DOMAIN), "grades").to_table().to_pylist()
    return {row["subject_ref"]: row for row in rows}


def land_without_public_credit(lake: Lake) -> None:
    """The inputs, but of the second subject the platform has no result."""
    inputs = join_inputs(ENVIRONMENT, [SUBJECTS[0], {"public_credit": None}])
    for source, table in inputs.items():
        note(lake, source, UNTIL, land(lake, source, table))


@pytest.mark.semantics("1.2", "3.15", "3.17")
def test_our_own_result_stands_in_when_the_platform_has_none(lake: Lake) -> None:
    land_without_public_credit(lake)
    before = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert [row["public_credit_origin"] for row in read_grades(lake).values()] == ["platform", "neutral"]
    public = evaluate_public(lake, date(2026, 5, 31))
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert run.run_id != before.run_id
    assert newest_run(lake, DOMAIN).evaluations == {PUBLIC.id: public.sha256}
    first, second = (read_grades(lake)[reference(number)] for number in (0, 1))
    assert (first["public_credit_origin"], first["public_credit_score"]) == ("platform", 820)
    assert (second["public_credit_origin"], second["public_credit_evaluated_on"]) == ("own_model", date(2026, 5, 31))
    own = {row["subject_ref"]: row["score"] for row in open_artefact(lake, public, "grades").to_table().to_pylist()}
    assert second["public_credit_score"] == own[reference(1)]


@pytest.mark.semantics("3.15")
def test_newest_own_result_is_used_when_it_is_not_later_than_the_day(lake: Lake) -> None:
    land_without_public_credit(lake)
    runs = {day: evaluate_public(lake, day) for day in (date(2026, 4, 30), date(2026, 5, 31), date(2026, 7, 31))}
    cut = resolve_cut(lake, RESOLVED, AS_OF)
    assert cut.evaluations == {PUBLIC.id: runs[date(2026, 5, 31)].sha256}
    assert resolve_cut(lake, RESOLVED, date(2026, 4, 29)).evaluations == {}


@pytest.mark.semantics("1.9", "3.15")
def test_own_result_is_not_used_when_it_is_older_than_its_cycle(lake: Lake) -> None:
    land_without_public_credit(lake)
    evaluate_public(lake, date(2026, 4, 30))
    assert RESOLVED.public_credit is not None
    months = RESOLVED.public_credit[1].not_older_than
    last = add_months(date(2026, 4, 30), months)
    assert set(resolve_cut(lake, RESOLVED, last).evaluations) == {PUBLIC.id}
    assert resolve_cut(lake, RESOLVED, last + timedelta(days=1)).evaluations == {}


@pytest.mark.semantics("1.4")
def test_own_result_is_not_used_when_it_was_not_known_yet(lake: Lake) -> None:
    land_without_public_credit(lake)
    evaluate_public(lake, date(2026, 5, 31))
    assert set(resolve_cut(lake, RESOLVED, AS_OF, known_at=datetime.now(UTC)).evaluations) == {PUBLIC.id}
    assert resolve_cut(lake, RESOLVED, AS_OF, known_at=UNTIL).evaluations == {}


@pytest.mark.semantics("2.26")
def test_cut_lists_every_department_when_a_model_counts_all_of_them(lake: Lake) -> None:
    land_all(lake)
    more = join_inputs(MODELS.by_id["work_safety"], [{"penalty": [penalty("2004", "2026-05-01")]}])
    land(lake, "emergency_management/penalty", more["emergency_management/penalty"])
    run = evaluate_public(lake, date(2026, 5, 31))
    assert {"ecology_environment/penalty", "emergency_management/penalty"} <= run.cut.keys()
    assert not any("*" in source for source in run.cut)
    assert "violation_code" not in str(PUBLIC.indicators)
    public = open_artefact(lake, run, "evidence").to_table().to_pylist()
    assert {row["dataset"] for row in public if row["record_id"]} == {
        "ecology_environment/penalty",
        "emergency_management/penalty",
    }
