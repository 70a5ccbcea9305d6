"""The lake: heads, verified manifests, chains, records with lineage, the cache."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from connectors.lake import Lake
from exchange_formats.datasets import load_catalogue
from exchange_formats.digests import digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.keys import batch_prefix, landing_prefix
from exchange_formats.manifests import BatchManifest, Counts, Part, Window
from tests.fakes import MemoryStore

PREFIX = landing_prefix("ecology_environment", "complaint")
UNTIL = datetime(2026, 6, 30, 15, tzinfo=UTC)
COMPLAINT = load_catalogue()["complaint"]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def lake(store: MemoryStore, tmp_path: Path) -> Lake:
    return Lake(store, tmp_path / "cache")


def write_part(rows: list[str]) -> bytes:
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in COMPLAINT.schema.names}
    columns |= {"record_id": rows, "subject_ref": rows, "complaint_no": rows, "row": list(range(1, len(rows) + 1))}
    columns["filed_on"] = [UNTIL.date()] * len(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, COMPLAINT.schema) as writer:
        writer.write_table(pa.table(columns, schema=COMPLAINT.schema))
    return bytes(sink.getvalue())


def commit(lake: Lake, batch_id: str, *parents: str, sequence: int = 1, rows: list[str] | None = None) -> str:
    """One batch as landing writes it; returns the manifest's digest."""
    folder = batch_prefix("ecology_environment", "complaint", UNTIL.date(), batch_id)
    parts = []
    if rows:
        data = write_part(rows)
        lake.store.put_bytes(folder + "part-00000.arrow", data)
        parts.append(Part(name="part-00000.arrow", rows=len(rows), bytes=len(data), sha256=digest_bytes(data)))
    manifest = BatchManifest(
        parents=tuple(sorted(parents)),
        sequence=sequence,
        batch_id=batch_id,
        department="ecology_environment",
        dataset="complaint",
        contract="complaint@1",
        window=Window(until=UNTIL),
        configuration_sha256="0" * 64,
        content_sha256="0" * 64,
        watermark=None,
        parts=tuple(parts),
        rejects=None,
        counts=Counts(read=len(rows or ()), landed=len(rows or ()), duplicates=0, rejected=0),
        rejected_by_reason={},
    )
    lake.commit(folder, manifest)
    return manifest.sha256


def test_lake_is_empty_when_nothing_was_landed(lake: Lake) -> None:
    assert lake.heads(PREFIX) == ()
    assert lake.chain(PREFIX) == ()
    table = lake.records("ecology_environment", "complaint").to_table()
    assert table.num_rows == 0
    assert table.column_names[-2:] == ["batch_id", "chain_sequence"]


@pytest.mark.semantics("6.8")
def test_heads_are_both_branches_when_two_writers_forked(lake: Lake) -> None:
    root = commit(lake, "one")
    left, right = commit(lake, "left", root, sequence=2), commit(lake, "right", root, sequence=2)
    assert lake.heads(PREFIX) == tuple(sorted([left, right]))
    joined = commit(lake, "joined", left, right, sequence=3)
    assert lake.heads(PREFIX) == (joined,)
    assert [m.sequence for m in lake.chain(PREFIX)] == [1, 2, 2, 3]
    assert [m.sha256 for m in lake.chain(PREFIX, heads=[left])] == [root, left]


def test_records_carry_their_batch_when_read(lake: Lake) -> None:
    root = commit(lake, "one", rows=["a", "b"])
    commit(lake, "two", root, sequence=2, rows=["c"])
    records = lake.records("ecology_environment", "complaint")
    connection = duckdb.connect()
    connection.register("records", records)
    found = connection.sql("SELECT record_id, batch_id, chain_sequence FROM records ORDER BY 1").fetchall()
    assert found == [("a", "one", 1), ("b", "one", 1), ("c", "two", 2)]
    assert connection.sql("SELECT record_id FROM records WHERE chain_sequence = 2").fetchall() == [("c",)]
    assert lake.records("ecology_environment", "complaint", heads=[root]).count_rows() == 2


@pytest.mark.semantics("6.8")
def test_batch_counts_once_when_two_manifests_commit_it(lake: Lake) -> None:
    commit(lake, "one", rows=["a"])
    other = commit(lake, "other")
    commit(lake, "one", other, sequence=2, rows=["a"])
    assert lake.records("ecology_environment", "complaint").count_rows() == 1


@pytest.mark.semantics("6.9")
def test_missing_parent_is_named_when_the_chain_is_broken(lake: Lake, store: MemoryStore) -> None:
    root = commit(lake, "one")
    head = commit(lake, "two", root, sequence=2)
    del store.objects[next(key for key in store.objects if root in key)]
    assert lake.heads(PREFIX) == (head,)
    with pytest.raises(FatalError, match=root):
        lake.chain(PREFIX)


@pytest.mark.semantics("6.7", "6.9")
def test_changed_manifest_is_named_when_it_is_read(lake: Lake, store: MemoryStore, tmp_path: Path) -> None:
    root = commit(lake, "one")
    key = next(iter(store.objects))
    store.objects[key] = store.objects[key].replace(b'"landed":0', b'"landed":7')
    with pytest.raises(FatalError, match=root):
        Lake(store, tmp_path / "fresh").heads(PREFIX)


@pytest.mark.semantics("6.17", "6.20")
@pytest.mark.parametrize("remove", [True, False])
def test_part_is_named_when_it_is_missing_or_changed(lake: Lake, store: MemoryStore, *, remove: bool) -> None:
    commit(lake, "one", rows=["a"])
    key = next(key for key in store.objects if key.endswith(".arrow"))
    if remove:
        del store.objects[key]
    else:
        store.objects[key] += b"x"
    with pytest.raises(FatalError, match="part-00000"):
        lake.records("ecology_environment", "complaint")
    assert not list(lake.cache.rglob("*part*")), "nothing unverified stays in the cache"


@pytest.mark.semantics("6.20")
def test_part_is_fetched_once_when_it_is_read_again(lake: Lake, store: MemoryStore) -> None:
    commit(lake, "one", rows=["a"])
    lake.records("ecology_environment", "complaint")
    key = next(key for key in store.objects if key.endswith(".arrow"))
    del store.objects[key]
    assert lake.records("ecology_environment", "complaint").count_rows() == 1


@pytest.mark.semantics("6.20")
def test_cache_is_filled_again_when_a_cached_file_is_damaged(lake: Lake, store: MemoryStore, tmp_path: Path) -> None:
    commit(lake, "one", rows=["a"])
    lake.records("ecology_environment", "complaint")
    for path in lake.cache.rglob("*.arrow"):
        path.write_bytes(b"damaged")
    again = Lake(store, lake.cache)
    assert again.records("ecology_environment", "complaint").count_rows() == 1
