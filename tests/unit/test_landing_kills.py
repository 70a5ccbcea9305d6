"""Killed before or after any write and run again: the same objects, byte for byte, as one clean run."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.lake import Lake
from exchange_formats.keys import landing_prefix, manifest_digest
from tests.fakes import DiedError, DyingStore, MemoryStore
from tests.pulls import DEPARTMENT, Landings, later, penalty, penalty_mapping

#: Two deletion months, a reject, a version, a duplicate: every kind of object is written.
FIRST = [penalty(1), penalty(2, CF_JDRQ="2025-04-01")]
SECOND = [
    *FIRST,
    penalty(1, CF_NR_FK="7", updateTime="2026-06-02 08:00:00"),
    penalty(3, CF_JDRQ="2024-03-01"),
    penalty(4, CF_JDRQ="broken"),
]
PREFIX = landing_prefix(DEPARTMENT, "penalty")


def land_clean(folder: Path) -> MemoryStore:
    store = MemoryStore()
    landings = Landings(store, folder, penalty_mapping())
    landings.pull(FIRST)
    landings.pull(SECOND, until=later(1))
    return store


def writes_of_second(clean: MemoryStore) -> int:
    first_manifest = next(i for i, key in enumerate(clean.puts) if manifest_digest(key))
    return len(clean.puts) - first_manifest - 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_rerun_gives_the_clean_runs_bytes_when_killed_at_any_write(tmp_path: Path, *, after: bool) -> None:
    clean = land_clean(tmp_path / "clean")
    steps = writes_of_second(clean)
    assert steps == 4, "two parts, the rejects, the manifest"
    for step in range(1, steps + 1):
        start = MemoryStore()
        Landings(start, tmp_path / f"{step}", penalty_mapping()).pull(FIRST)
        dying = DyingStore(step, after=after, objects=start.objects)
        killed = Landings(dying, tmp_path / f"{step}", penalty_mapping())
        with pytest.raises(DiedError):
            killed.pull(SECOND, until=later(1))
        committed = after and step == steps
        seen = Lake(start, tmp_path / f"{step}" / "fresh").records(DEPARTMENT, "penalty").count_rows()
        assert seen == (4 if committed else 2), "a reader sees all of a batch or nothing of it"
        again = Landings(start, tmp_path / f"{step}" / "again", penalty_mapping()).pull(SECOND, until=later(1))
        assert (again.manifest is None) == committed
        assert start.objects == clean.objects, f"killed at write {step}"


def test_rerun_gives_the_clean_runs_bytes_when_killed_again_and_again(tmp_path: Path) -> None:
    clean = land_clean(tmp_path / "clean")
    objects = MemoryStore()
    Landings(objects, tmp_path, penalty_mapping()).pull(FIRST)
    for step in range(1, writes_of_second(clean) + 1):
        dying = DyingStore(step, after=False, objects=objects.objects)
        with pytest.raises(DiedError):
            Landings(dying, tmp_path, penalty_mapping()).pull(SECOND, until=later(1))
    Landings(objects, tmp_path, penalty_mapping()).pull(SECOND, until=later(1))
    assert objects.objects == clean.objects


def test_later_pull_lands_what_was_lost_when_a_killed_one_is_never_repeated(tmp_path: Path) -> None:
    store = MemoryStore()
    landings = Landings(store, tmp_path, penalty_mapping())
    landings.pull(FIRST)
    dying = DyingStore(2, after=True, objects=store.objects)
    with pytest.raises(DiedError):
        Landings(dying, tmp_path, penalty_mapping()).pull(SECOND, until=later(1))
    landed = landings.pull(SECOND, until=later(2))
    assert landed.counts.landed == 2
    assert len(landings.records()) == 4, "what the killed pull left behind is not part of the lake"
