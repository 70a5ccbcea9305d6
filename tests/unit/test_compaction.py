"""Compaction: the same rows with the same lineage from fewer files, whatever is purged or landed after."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.keys import compacted_prefix, landing_prefix
from gateway.compaction import compact_lake
from gateway.purging import purge_expired, purge_record
from tests.fakes import MemoryStore
from tests.proof_samples import JULY, PENALTIES, Province
from tests.pulls import DEPARTMENT, Landings, later, penalty, penalty_mapping

PREFIX = compacted_prefix(DEPARTMENT, "penalty")
NOW = datetime(2026, 6, 30, 16, tzinfo=UTC)


class CountingStore(MemoryStore):
    """Counts the Arrow files that were fetched."""

    fetched = 0

    def get_file(self, key: str, path: Path) -> None:
        self.fetched += key.endswith(".arrow")
        super().get_file(key, path)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def landings(store: CountingStore, tmp_path: Path) -> Landings:
    landings = Landings(store, tmp_path, penalty_mapping())
    for number in range(6):
        landings.pull([penalty(number), penalty(100 + number, CF_JDRQ="2021-04-01")], until=later(number))
    return landings


def compact(landings: Landings, minimum: int = 4) -> int:
    return sum(one.files for one in compact_lake(landings.lake, spool=landings.spool, minimum=minimum))


def rows(landings: Landings, name: str) -> list[dict[str, Any]]:
    """Everything landed, read by a process that has seen nothing."""
    table = Lake(landings.store, landings.spool.parent / name).records(DEPARTMENT, "penalty").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["chain_sequence"], row["batch_id"], row["row"]))


@pytest.mark.semantics("6.21")
def test_rows_and_lineage_are_the_same_when_batches_were_compacted(landings: Landings, store: CountingStore) -> None:
    store.fetched = 0
    before = rows(landings, "before")
    plain = store.fetched
    heads = landings.lake.heads(landing_prefix(DEPARTMENT, "penalty"))
    assert compact(landings) == 2, "one file a deletion month"
    store.fetched = 0
    assert rows(landings, "after") == before
    assert (plain, store.fetched) == (12, 2)
    assert landings.lake.heads(landing_prefix(DEPARTMENT, "penalty")) == heads, "no cut changes"


def test_nothing_is_copied_twice_or_while_there_are_few(landings: Landings) -> None:
    assert compact(landings, minimum=7) == 0
    assert compact(landings) == 2
    assert compact(landings) == 0
    for number in range(6, 10):
        landings.pull([penalty(number)], until=later(number))
    assert compact(landings) == 1
    assert len(rows(landings, "again")) == 16


def test_older_cut_reads_the_batches_that_a_compaction_goes_beyond(landings: Landings, store: CountingStore) -> None:
    compact(landings)
    oldest = landings.lake.chain(landing_prefix(DEPARTMENT, "penalty"))[1].sha256
    lake = Lake(store, landings.spool.parent / "older")
    assert lake.records(DEPARTMENT, "penalty", [oldest]).count_rows() == 4


def test_compacted_rows_go_when_the_law_wants_them_gone(landings: Landings, store: CountingStore) -> None:
    compact(landings)
    rows(landings, "elsewhere")
    (result,) = purge_expired(landings.lake, day=date(2026, 6, 30), now=lambda: NOW, spool=landings.spool).purges
    assert result.records == 6
    assert [key for key in store.objects if key.startswith(PREFIX)] == [], "no copy of what went is kept"
    assert len(rows(landings, "purged")) == 6
    rows(landings, "elsewhere")
    held = [path for path in (landings.spool.parent / "elsewhere").rglob("*.arrow") if path.is_file()]
    assert len(held) == 6, "another machine's cache holds the parts that stay, and no copy of what went"
    assert compact(landings) == 1
    assert len(rows(landings, "compacted again")) == 6


def test_compacted_copy_goes_when_one_record_had_to_go(landings: Landings, store: CountingStore) -> None:
    compact(landings)
    wanted = rows(landings, "before")[0]["record_id"]
    purge_record(
        landings.lake,
        DEPARTMENT,
        "penalty",
        wanted,
        article="个人信息保护法 47",
        day=date(2026, 6, 30),
        now=lambda: NOW,
        spool=landings.spool,
    )
    assert [key for key in store.objects if key.startswith(PREFIX)] == []
    assert wanted not in {row["record_id"] for row in rows(landings, "purged")}


@pytest.mark.semantics("6.21")
def test_batches_are_read_when_a_compacted_file_is_broken(landings: Landings, store: CountingStore) -> None:
    before = rows(landings, "before")
    compact(landings)
    for key in [key for key in store.objects if key.startswith(PREFIX) and key.endswith(".arrow")]:
        store.objects[key] = b"broken"
    assert rows(landings, "broken") == before


@pytest.mark.semantics("6.21")
def test_run_is_the_same_and_intact_when_its_inputs_were_compacted(tmp_path: Path) -> None:
    province = Province(tmp_path)
    province.land_all()
    for number in range(4):
        province.land_late(f"late-{number}", "1202")
    run = province.score(JULY)
    done = compact_lake(province.lake, spool=province.spool, minimum=4)
    assert [f"{one.department}/{one.dataset}" for one in done] == [PENALTIES]
    again = province.score(JULY)
    assert (again.new, again.run_id) == (False, run.run_id)
    report = province.prove()
    assert (report.verdict, report.findings) == ("intact", [])
    (key,) = province.keys(lambda key: key.startswith("compacted/") and key.endswith(".arrow"))
    province.store.objects[key] += b"x"
    assert [one.key for one in province.prove(recompute=False).findings] == [key]
