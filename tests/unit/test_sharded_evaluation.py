"""A run that several processes score is the run that one makes (semantics §3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from exchange_formats.keys import domain_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.shards import Shard, split_shards
from gateway.evaluation import InProcess, RunReference, evaluate_domain
from gateway.evaluation_attempts import WithheldError
from gateway.outcomes import read_standing_outcome
from gateway.sharded_evaluation import begin_run, finish_run, score_shard
from tests.fakes import MemoryStore
from tests.lake_samples import land
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, penalty

DOMAIN = ENVIRONMENT.id
SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 800 + number, "penalty": [penalty("1201", f"2026-05-{number + 1:02}")]} for number in range(9)
]


def open_lake(folder: Path) -> Lake:
    lake = Lake(MemoryStore(), folder / "cache")
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        land(lake, source, table)
    return lake


def begin(lake: Lake) -> str:
    run_id = begin_run(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, spool=lake.cache.parent)
    assert run_id is not None
    return run_id


def finish(lake: Lake, run_id: str, count: int, folder: Path) -> RunReference:
    for shard in reversed(split_shards(count)):
        # A process of its own has a cache of its own.
        score_shard(DOMAIN, run_id, shard, lake=Lake(lake.store, folder / f"cache-{shard.index}"), spool=folder)
    return finish_run(DOMAIN, run_id, count, lake=lake, spool=folder)


def read_run(lake: Lake, sha256: str) -> RunManifest:
    manifest = lake.manifest(domain_prefix(DOMAIN), sha256)
    assert isinstance(manifest, RunManifest)
    return manifest


@pytest.mark.semantics("1.3", "3.30")
def test_run_has_the_same_name_and_rows_when_several_processes_score_it(tmp_path: Path) -> None:
    alone = open_lake(tmp_path / "alone")
    one = evaluate_domain(DOMAIN, as_of=AS_OF, lake=alone, models=MODELS)
    lake = open_lake(tmp_path / "shared")
    many = finish(lake, begin(lake), 4, tmp_path)
    assert (many.new, many.run_id, many.subjects_by_grade) == (True, one.run_id, one.subjects_by_grade)
    wanted = {
        artefact.name: (artefact.rows, artefact.rows_sha256)
        for artefact in read_run(alone, one.manifest_sha256).artefacts
    }
    found = {
        artefact.name: (artefact.rows, artefact.rows_sha256)
        for artefact in read_run(lake, many.manifest_sha256).artefacts
    }
    assert found == wanted
    assert not evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS).new


def test_run_has_the_same_name_and_rows_when_one_process_scores_it_in_shards(tmp_path: Path) -> None:
    alone = open_lake(tmp_path / "alone")
    one = evaluate_domain(DOMAIN, as_of=AS_OF, lake=alone, models=MODELS)
    lake = open_lake(tmp_path / "shards")
    told: list[tuple[int, int]] = []
    engine = InProcess(2, progress=lambda done, total: told.append((done, total)))
    many = evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, engine=engine)
    assert told == [(1, 2), (2, 2)]
    assert many.run_id == one.run_id
    wanted = {artefact.name: artefact.rows_sha256 for artefact in read_run(alone, one.manifest_sha256).artefacts}
    assert {one.name: one.rows_sha256 for one in read_run(lake, many.manifest_sha256).artefacts} == wanted


def test_nothing_is_left_but_the_run_when_it_is_committed(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    run = finish(lake, begin(lake), 8, tmp_path)
    assert isinstance(lake.store, MemoryStore)
    assert not [key for key in lake.store.objects if key.startswith("work/")]
    named = {file.name for artefact in read_run(lake, run.manifest_sha256).artefacts for file in artefact.files}
    held = {key.rpartition("/")[2] for key in lake.store.objects if key.startswith("scored/")}
    assert held == named | {"model.json", f"manifest-{run.manifest_sha256}.json"}
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert (found.result, found.manifest_sha256) == ("committed", run.manifest_sha256)


def test_shard_is_not_scored_again_when_it_is_done(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    run_id = begin(lake)
    score_shard(DOMAIN, run_id, Shard(index=0, count=2), lake=lake, spool=tmp_path)
    assert isinstance(lake.store, MemoryStore)
    puts = len(lake.store.puts)
    score_shard(DOMAIN, run_id, Shard(index=0, count=2), lake=lake, spool=tmp_path)
    assert len(lake.store.puts) == puts


def test_run_is_not_committed_when_a_shard_is_missing(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    run_id = begin(lake)
    score_shard(DOMAIN, run_id, Shard(index=0, count=2), lake=lake, spool=tmp_path)
    with pytest.raises(FatalError, match="shard-1-of-2"):
        finish_run(DOMAIN, run_id, 2, lake=lake, spool=tmp_path)
    assert lake.heads(domain_prefix(DOMAIN)) == ()


@pytest.mark.semantics("1.3")
def test_what_lands_meanwhile_is_not_scored_when_the_run_has_begun(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    run_id = begin(lake)
    more = join_inputs(ENVIRONMENT, [{"penalty": [penalty("1205", "2026-06-01", record_id="late")]}])
    land(lake, "ecology_environment/penalty", more["ecology_environment/penalty"])
    run = finish(lake, run_id, 2, tmp_path)
    assert run.run_id == run_id
    assert begin(lake) != run_id


def test_nothing_is_begun_when_the_very_run_is_there(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    evaluate_domain(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS)
    assert begin_run(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, spool=tmp_path) is None


def test_nothing_is_begun_when_a_required_input_is_missing(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    with pytest.raises(WithheldError):
        begin_run(DOMAIN, as_of=AS_OF, lake=lake, models=MODELS, spool=tmp_path)
    found = read_standing_outcome(lake, DOMAIN)
    assert found is not None
    assert found.result == "withheld"


def test_task_of_another_version_is_refused_when_it_is_read(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    run_id = begin(lake)
    assert isinstance(lake.store, MemoryStore)
    (key,) = [key for key in lake.store.objects if key.startswith("work/")]
    lake.store.objects[key] = lake.store.objects[key].replace(b'"2026-06-30"', b'"2026-06-29"', 1)
    with pytest.raises(FatalError, match="begins anew"):
        score_shard(DOMAIN, run_id, Shard(index=0, count=2), lake=lake, spool=tmp_path)
