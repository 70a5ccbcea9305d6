"""Evaluating a domain in a lake: cut, identity of a run, commit order, and the second time."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, SkippableError
from exchange_formats.keys import domain_prefix, run_prefix
from exchange_formats.manifests import RunManifest
from gateway.artefacts import open_artefact
from gateway.cuts import Cut, resolve_cut
from gateway.evaluation import evaluate_domain
from gateway.explaining import explain_subject
from gateway.runs import newest_run
from scoring.resolution import resolve
from tests.fakes import DiedError, MemoryStore
from tests.lake_samples import land
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, penalty, reference

DOMAIN = ENVIRONMENT.id
SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")]},
    {"public_credit": 900},
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache")


def land_all(lake: Lake) -> None:
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        land(lake, source, table)


def written(store: MemoryStore) -> list[str]:
    """What the run itself put: without notes that hold a clock, and warnings, which follow from it."""
    return [key for key in store.puts if not key.startswith(("outcomes/", "warned/"))]


def test_run_is_committed_with_its_artefacts_when_a_domain_is_scored(lake: Lake) -> None:
    land_all(lake)
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert (run.new, run.subjects, run.subjects_by_grade) == (True, 2, {"A": 1, "C": 1})
    assert run.model == "enterprise_environment@2026.1"
    manifest = lake.manifest(domain_prefix(DOMAIN), run.manifest_sha256)
    assert isinstance(manifest, RunManifest)
    cut = resolve_cut(lake, resolve(ENVIRONMENT, AS_OF), AS_OF)
    assert (manifest.cut, Cut.of(manifest)) == (cut.heads, cut)
    prefix = run_prefix(DOMAIN, AS_OF, run.run_id)
    for artefact in manifest.artefacts:
        assert open_artefact(lake, manifest, artefact.name).count_rows() == artefact.rows
    assert lake.fetch(prefix + "model.json", manifest.model_sha256).exists()


@pytest.mark.semantics("6.7")
def test_manifest_is_the_last_put_when_a_run_is_committed(lake: Lake) -> None:
    land_all(lake)
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert isinstance(lake.store, MemoryStore)
    assert written(lake.store)[-1].endswith(f"manifest-{run.manifest_sha256}.json")
    assert sum("/run=" in key and "manifest-" in key for key in written(lake.store)) == 1


@pytest.mark.semantics("1.3")
def test_nothing_is_computed_when_the_very_run_is_in_the_lake(lake: Lake) -> None:
    land_all(lake)
    first = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert isinstance(lake.store, MemoryStore)
    puts = len(lake.store.puts)
    again = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert (again.new, again.run_id, again.manifest_sha256) == (False, first.run_id, first.manifest_sha256)
    assert len(lake.store.puts) == puts


@pytest.mark.semantics("1.3", "6.7")
def test_new_run_names_the_old_one_when_the_cut_grows(lake: Lake) -> None:
    land_all(lake)
    first = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    more = join_inputs(ENVIRONMENT, [{"penalty": [penalty("1205", "2026-06-01", record_id="late")]}])
    land(lake, "ecology_environment/penalty", more["ecology_environment/penalty"])
    second = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert second.run_id != first.run_id
    manifest = lake.manifest(domain_prefix(DOMAIN), second.manifest_sha256)
    assert (manifest.parents, manifest.sequence) == ((first.manifest_sha256,), 2)
    assert second.subjects_by_grade == {"A": 1, "E": 1}


@pytest.mark.semantics("1.3")
def test_run_has_another_name_when_the_day_differs(lake: Lake) -> None:
    land_all(lake)
    june = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    july = evaluate_domain(DOMAIN, as_of=date(2026, 7, 1), lake=lake, models=MODELS)
    assert june.run_id != july.run_id
    assert newest_run(lake, DOMAIN).run_id == july.run_id


@pytest.mark.semantics("1.3", "6.10")
@pytest.mark.parametrize("puts", range(7))
def test_second_try_gives_the_same_bytes_when_the_first_died_between_puts(tmp_path: Path, puts: int) -> None:
    clean = Lake(MemoryStore(), tmp_path / "clean")
    land_all(clean)
    wanted = evaluate_domain(DOMAIN, as_of=AS_OF, lake=clean, models=MODELS)
    store = MemoryStore()
    lake = Lake(store, tmp_path / "dying")
    land_all(lake)
    put, seen = store.put_bytes, len(store.puts)

    def die(key: str, data: bytes) -> None:
        if len(store.puts) - seen == puts:
            raise DiedError
        put(key, data)

    store.put_bytes = die  # type: ignore[method-assign]
    with pytest.raises(DiedError):
        evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    store.put_bytes = put  # type: ignore[method-assign]
    assert lake.heads(domain_prefix(DOMAIN)) == ()
    again = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert again.manifest_sha256 == wanted.manifest_sha256
    assert isinstance(clean.store, MemoryStore)
    assert {key: store.objects[key] for key in written(store)} == {
        key: clean.store.objects[key] for key in written(clean.store)
    }


def test_domain_is_skipped_when_a_required_dataset_was_never_collected(lake: Lake) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    land(lake, "ecology_environment/profile", inputs["ecology_environment/profile"])
    with pytest.raises(SkippableError, match="ecology_environment/penalty"):
        evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)


@pytest.mark.semantics("2.25", "8.4")
def test_optional_data_is_named_when_it_was_never_collected(lake: Lake) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    required = resolve(ENVIRONMENT, AS_OF).required
    for source in required:
        land(lake, source, inputs[source])
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert {"IND1209", "IND1212", "severe_list"} <= set(run.not_collected)
    assert run.subjects == 2


@pytest.mark.semantics("8.3")
def test_nothing_is_scored_when_one_required_input_was_never_collected(lake: Lake) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    required = resolve(ENVIRONMENT, AS_OF).required
    assert "provincial_platform/public_credit" in required
    for source in required[:-1]:
        land(lake, source, inputs[source])
    with pytest.raises(SkippableError, match=required[-1]):
        evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)


def test_unknown_domain_is_a_configuration_error_when_it_is_scored(lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="no_such_domain"):
        evaluate_domain("no_such_domain", as_of=AS_OF, lake=lake, models=MODELS)


# explaining


def test_subject_is_found_in_the_newest_run_when_its_code_is_in_lower_case(lake: Lake) -> None:
    land_all(lake)
    run = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    found = explain_subject(DOMAIN, f" {reference(0).lower()} ", lake=lake)
    assert (found.run.run_id, found.findings.grade.grade) == (run.run_id, "C")
    assert "IND1201" in found.say()
    assert "score 798.00" in found.say("en")


def test_unknown_subject_is_named_masked_when_it_is_asked_for(lake: Lake) -> None:
    land_all(lake)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    with pytest.raises(SkippableError, match=r"913399\*{12}") as caught:
        explain_subject(DOMAIN, "91339900000000000X", lake=lake)
    assert "91339900000000000X" not in str(caught.value)


def test_domain_without_a_run_says_so_when_it_is_asked_for(lake: Lake) -> None:
    with pytest.raises(SkippableError, match="xinqiao score"):
        explain_subject(DOMAIN, reference(0), lake=lake)
