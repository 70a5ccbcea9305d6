"""Landing: a pull becomes one batch or nothing; counts add up; snapshots, tombstones, stops, disks."""

from __future__ import annotations

import errno
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connectors.landing import LandingStoppedError
from connectors.parts import BATCH_ROWS, PART_ROWS
from connectors.sources import RejectedInput
from connectors.spool import Spool, SpoolFile, name_full_disk
from exchange_formats.digests import derive_id, digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.keys import landing_prefix, manifest_digest
from exchange_formats.manifests import BatchManifest
from tests.fakes import MemoryStore
from tests.pulls import (
    CODES,
    DEPARTMENT,
    UNTIL,
    FakeReader,
    Landings,
    later,
    penalty,
    penalty_mapping,
    profile,
    profile_mapping,
)

PREFIX = landing_prefix(DEPARTMENT, "penalty")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def penalties(store: MemoryStore, tmp_path: Path) -> Landings:
    return Landings(store, tmp_path, penalty_mapping())


@pytest.fixture
def profiles(store: MemoryStore, tmp_path: Path) -> Landings:
    return Landings(store, tmp_path, profile_mapping(), "profile")


def the_manifest(landings: Landings) -> BatchManifest:
    (manifest,) = landings.lake.batches(DEPARTMENT, landings.dataset)
    return manifest


@pytest.mark.semantics("2.6")
def test_every_row_is_accounted_for_when_a_pull_has_all_kinds(penalties: Landings) -> None:
    rows = [penalty(1), penalty(2), penalty(2), penalty(3, CF_JDRQ="x"), penalty(4, CF_XDR_SHXYM="y")]
    landed = penalties.pull(rows, inputs=[RejectedInput("f.csv", 7, "row.undecodable", "not GB18030", rows=3)])
    assert landed.counts.model_dump() == {"read": 8, "landed": 2, "duplicates": 1, "rejected": 5, "revoked": 0}
    assert landed.rejected_by_reason == {"row.undecodable": 3, "date.malformed": 1, "unified_code.length": 1}
    assert len(penalties.records()) == 2
    assert [(row["row"], row["rows"], row["reason"]) for row in penalties.rejects()] == [
        (1, 3, "row.undecodable"),
        (7, 1, "date.malformed"),
        (8, 1, "unified_code.length"),
    ]


@pytest.mark.semantics("6.1", "6.7")
def test_manifest_is_written_last_and_vouches_for_every_byte_when_a_pull_lands(
    penalties: Landings, store: MemoryStore
) -> None:
    penalties.pull([penalty(1), penalty(2, CF_JDRQ="2025-04-01"), penalty(3, CF_JDRQ="x")])
    manifest = the_manifest(penalties)
    assert manifest_digest(store.puts[-1]) == manifest.sha256
    assert all(manifest_digest(key) is None for key in store.puts[:-1])
    assert [part.delete_month for part in manifest.parts] == ["2030-04", "2031-05"]
    assert manifest.rejects is not None
    assert manifest.rejects.delete_month == "2026-12"
    digests = {digest_bytes(store.objects[key]) for key in store.puts[:-1]}
    assert digests == {part.sha256 for part in (*manifest.parts, manifest.rejects)}
    assert f"date=2026-06-30/batch={manifest.batch_id}/" in store.puts[0]
    assert store.puts[-2].startswith("rejected/")


def test_part_says_what_it_is_when_it_is_opened_alone(penalties: Landings, store: MemoryStore) -> None:
    penalties.pull([penalty(1), penalty(2)])
    file = pa.ipc.open_file(pa.BufferReader(store.objects[store.puts[0]]))
    assert file.schema.metadata == {
        b"batch_id": the_manifest(penalties).batch_id.encode(),
        b"contract": b"penalty@1",
        b"dataset": b"penalty",
        b"department": DEPARTMENT.encode(),
        b"rows": b"2",
    }


@pytest.mark.semantics("2.3")
def test_nothing_is_written_when_a_pull_brings_nothing_new(penalties: Landings, store: MemoryStore) -> None:
    rows = [penalty(1), penalty(2, CF_JDRQ="x")]
    penalties.pull(rows)
    before = dict(store.objects)
    for until in (UNTIL, later(5)):
        landed = penalties.pull(rows, until=until)
        assert landed.manifest is None
        assert landed.counts.model_dump() == {"read": 2, "landed": 0, "duplicates": 1, "rejected": 1, "revoked": 0}
    assert penalties.pull([]).manifest is None
    assert store.objects == before


def test_new_reject_is_kept_when_nothing_else_is_new(penalties: Landings) -> None:
    penalties.pull([penalty(1), penalty(2, CF_JDRQ="x")])
    landed = penalties.pull([penalty(1), penalty(2, CF_JDRQ="y")], until=later(1))
    assert landed.manifest is not None
    assert landed.manifest.parts == ()
    assert [row["value"] for row in penalties.rejects()] == ["*", "*"]


def test_nothing_is_written_when_it_is_a_dry_run(penalties: Landings, store: MemoryStore) -> None:
    dry = penalties.pull([penalty(1)], commit=False)
    assert store.objects == {}
    assert dry.manifest is not None
    assert not dry.committed
    assert penalties.pull([penalty(1)]).manifest == dry.manifest


@pytest.mark.semantics("6.11")
def test_batch_is_the_same_when_pages_are_cut_otherwise(tmp_path: Path) -> None:
    rows = [penalty(number % 17, CF_NR_FK=str(number % 5)) for number in range(60)]
    objects = []
    for size in (1, 7, 1000):
        store = MemoryStore()
        Landings(store, tmp_path / str(size), penalty_mapping()).pull(rows, page_rows=size)
        objects.append(store.objects)
    assert objects[0] == objects[1] == objects[2]


@pytest.mark.semantics("6.11")
def test_batch_has_another_name_when_the_mapping_changes(penalties: Landings) -> None:
    first = penalties.pull([penalty(1)], commit=False)
    penalties.mapping = penalty_mapping(sentinel_dates=["2099-12-31"])
    second = penalties.pull([penalty(1)], commit=False)
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest.content_sha256 == second.manifest.content_sha256
    assert first.manifest.batch_id != second.manifest.batch_id


@pytest.mark.semantics("2.2", "2.3", "2.4")
def test_version_lands_when_a_known_record_changes(penalties: Landings) -> None:
    penalties.pull([penalty(1)])
    landed = penalties.pull([penalty(1), penalty(1, CF_NR_FK="2", updateTime="2026-06-02 08:00:00")], until=later(1))
    assert landed.counts.model_dump() == {"read": 2, "landed": 1, "duplicates": 1, "rejected": 0, "revoked": 0}
    (latest,) = penalties.latest().values()
    assert str(latest["fine_yuan"]) == "20000.00"


@pytest.mark.semantics("2.3")
def test_first_version_lands_again_when_the_source_went_back_to_it(profiles: Landings) -> None:
    before, after = profile(CODES[0], "甲公司"), profile(CODES[0], "乙公司")
    profiles.pull([before])
    profiles.pull([after], until=later(1))
    landed = profiles.pull([before], until=later(2))
    assert landed.counts.landed == 1
    assert [row["subject_name"] for row in profiles.latest().values()] == ["甲公司"]
    assert profiles.pull([before], until=later(3)).manifest is None, "and not once more"


def test_going_back_inside_one_pull_lands_thrice_when_there_and_back(profiles: Landings) -> None:
    there, back = profile(CODES[0], "甲公司"), profile(CODES[0], "乙公司")
    assert profiles.pull([there, back, there]).counts.landed == 3
    assert [row["subject_name"] for row in profiles.latest().values()] == ["甲公司"]
    assert profiles.pull([there, back, there], until=later(1)).manifest is None


@pytest.mark.semantics("2.3")
def test_older_version_stays_old_when_an_overlap_brings_it_again(penalties: Landings) -> None:
    old, new = penalty(1), penalty(1, CF_NR_FK="2", updateTime="2026-06-02 08:00:00")
    penalties.pull([old, new])
    assert penalties.pull([old], until=later(1)).manifest is None


def test_watermark_is_the_newest_source_time_when_the_window_begins_where_the_chain_ends(penalties: Landings) -> None:
    penalties.pull([penalty(1), penalty(2, updateTime="2026-06-05 08:00:00"), penalty(3, CF_JDRQ="x")])
    assert the_manifest(penalties).watermark == datetime(2026, 6, 5, tzinfo=UTC)
    landed = penalties.pull(
        [penalty(4, updateTime="2026-06-09 08:00:00")], since=datetime(2026, 6, 5, tzinfo=UTC), until=later(1)
    )
    assert landed.manifest is not None
    assert landed.manifest.watermark == datetime(2026, 6, 9, tzinfo=UTC)


def test_watermark_stays_when_a_window_leaves_a_gap_behind_the_chain(penalties: Landings) -> None:
    first = penalties.pull([penalty(1)], since=datetime(2026, 5, 1, tzinfo=UTC))
    assert first.manifest is not None
    assert first.manifest.watermark is None, "nobody has read what came before"
    penalties.pull([penalty(2)], until=later(1))
    gap = penalties.pull(
        [penalty(3, updateTime="2026-06-20 08:00:00")], since=datetime(2026, 6, 19, tzinfo=UTC), until=later(2)
    )
    assert gap.manifest is not None
    assert gap.manifest.watermark == datetime(2026, 6, 1, tzinfo=UTC)


def test_watermark_never_goes_back_when_older_records_are_pulled_again(penalties: Landings) -> None:
    penalties.pull([penalty(1, updateTime="2026-06-09 08:00:00")])
    landed = penalties.pull([penalty(2)], since=datetime(2026, 5, 1, tzinfo=UTC), until=later(1))
    assert landed.manifest is not None
    assert landed.manifest.watermark == datetime(2026, 6, 9, tzinfo=UTC)


@pytest.mark.semantics("6.7", "6.8")
def test_writers_fork_and_the_next_joins_when_two_pull_at_once(penalties: Landings, tmp_path: Path) -> None:
    penalties.pull([penalty(1)])
    frozen = MemoryStore()
    frozen.objects = dict(penalties.store.objects)  # type: ignore[attr-defined]
    other = Landings(frozen, tmp_path / "other", penalties.mapping)
    left = penalties.pull([penalty(2)], until=later(1)).manifest
    right = other.pull([penalty(3)], until=later(2)).manifest
    for key, data in frozen.objects.items():
        penalties.store.put_bytes(key, data)
    assert left is not None
    assert right is not None
    assert penalties.lake.heads(PREFIX) == tuple(sorted([left.sha256, right.sha256]))
    joined = penalties.pull([penalty(2), penalty(3), penalty(4)], until=later(3))
    assert joined.manifest is not None
    assert joined.manifest.parents == tuple(sorted([left.sha256, right.sha256]))
    assert joined.manifest.sequence == 3
    assert joined.counts.landed == 1
    assert len(penalties.latest()) == 4


@pytest.mark.semantics("6.10", "6.11")
def test_same_work_is_one_batch_when_two_do_it_at_once(penalties: Landings, tmp_path: Path) -> None:
    other = Landings(MemoryStore(), tmp_path / "other", penalties.mapping)
    assert penalties.pull([penalty(1)]).manifest == other.pull([penalty(1)]).manifest
    assert penalties.store.objects == other.store.objects  # type: ignore[attr-defined]


@pytest.mark.semantics("2.7")
def test_unheld_record_is_revoked_when_a_snapshot_leaves_it_out(profiles: Landings) -> None:
    profiles.pull([profile(CODES[0]), profile(CODES[1])])
    landed = profiles.pull([profile(CODES[0])], until=later(24))
    assert landed.counts.model_dump() == {"read": 1, "landed": 0, "duplicates": 1, "rejected": 0, "revoked": 1}
    latest = profiles.latest()[derive_id(DEPARTMENT, "profile", CODES[1])]
    assert (latest["revoked_on"], latest["subject_name"]) == (date(2026, 7, 1), "某某有限公司")
    assert latest["row"] == 2, "behind the rows that were read"
    assert profiles.pull([profile(CODES[0])], until=later(48)).manifest is None, "it is revoked once"


def test_revoked_record_stands_again_when_a_snapshot_holds_it_again(profiles: Landings) -> None:
    both = [profile(CODES[0]), profile(CODES[1])]
    profiles.pull(both)
    profiles.pull(both[:1], until=later(24))
    assert profiles.pull(both, until=later(48)).counts.landed == 1
    assert {row["revoked_on"] for row in profiles.latest().values()} == {None}
    assert profiles.pull(both, until=later(72)).manifest is None


def test_rejected_record_is_not_revoked_when_its_key_can_be_read(profiles: Landings) -> None:
    profiles.pull([profile(CODES[0]), profile(CODES[1])])
    landed = profiles.pull([profile(CODES[0]), {"code": CODES[1], "name": None}], until=later(24))
    assert (landed.counts.rejected, landed.counts.revoked) == (1, 0)


def test_nothing_is_revoked_when_a_reject_hides_which_record_it_is(profiles: Landings) -> None:
    profiles.pull([profile(code) for code in CODES])
    landed = profiles.pull([profile(CODES[0]), profile(CODES[1]), {"code": None, "name": "x"}], until=later(24))
    assert landed.counts.revoked == 0
    assert any("2 keys are no longer held" in note for note in landed.notes)


@pytest.mark.semantics("2.7")
def test_snapshot_stops_when_it_holds_too_little(profiles: Landings, store: MemoryStore) -> None:
    profiles.pull([profile(code) for code in CODES])
    before = dict(store.objects)
    with pytest.raises(FatalError, match="holds 1 records where 4 stood"):
        profiles.pull([profile(CODES[0])], until=later(24))
    with pytest.raises(FatalError, match="holds 0 records"):
        profiles.pull([], until=later(24))
    assert store.objects == before


@pytest.mark.semantics("2.2")
def test_old_record_is_revoked_when_another_supersedes_it(penalties: Landings) -> None:
    penalties.mapping = penalty_mapping(supersedes="old")
    wrong = {**penalty(1), "old": None}
    penalties.pull([wrong])
    right = {**penalty(1, CF_XDR_SHXYM=CODES[1], updateTime="2026-06-02 08:00:00"), "old": CODES[0]}
    landed = penalties.pull([wrong, right], until=later(24))
    assert landed.counts.model_dump() == {"read": 2, "landed": 1, "duplicates": 1, "rejected": 0, "revoked": 1}
    states = {row["subject_ref"]: row["revoked_on"] for row in penalties.latest().values()}
    assert states == {CODES[0]: date(2026, 7, 1), CODES[1]: None}
    assert penalties.pull([wrong, right], until=later(48)).manifest is None


@pytest.mark.semantics("2.2")
def test_old_record_is_revoked_when_it_comes_in_the_same_pull(penalties: Landings) -> None:
    penalties.mapping = penalty_mapping(supersedes="old")
    rows = [{**penalty(1), "old": None}, {**penalty(1, CF_XDR_SHXYM=CODES[1]), "old": CODES[0]}]
    landed = penalties.pull(rows)
    assert (landed.counts.landed, landed.counts.revoked) == (2, 1)
    assert penalties.pull(rows, until=later(1)).manifest is None


@pytest.mark.parametrize(("bad", "stops"), [(1, False), (2, True), (20, True)])
def test_pull_stops_when_it_has_too_many_rejects(
    penalties: Landings, store: MemoryStore, bad: int, *, stops: bool
) -> None:
    penalties.mapping = penalty_mapping(max_reject_ratio="0.05")
    rows = [penalty(number, **({"CF_JDRQ": "x"} if number < bad else {})) for number in range(20)]
    if not stops:
        assert penalties.pull(rows).counts.rejected == bad
        return
    with pytest.raises(LandingStoppedError, match=r"date\.malformed") as caught:
        penalties.pull(rows)
    assert store.objects == {}
    assert (caught.value.counts.read, caught.value.counts.rejected) == (20, bad)
    assert caught.value.rejected_by_reason == {"date.malformed": bad}


def test_pull_stops_at_the_first_broken_row_when_the_contract_says_stop(
    penalties: Landings, store: MemoryStore
) -> None:
    penalties.mapping = penalty_mapping(on_contract_break="stop")
    with pytest.raises(LandingStoppedError, match="fake row 2, CF_JDRQ"):
        penalties.pull([penalty(1), penalty(2, CF_JDRQ="x")])
    assert store.objects == {}


def test_pull_stops_when_the_source_counts_other_rows(penalties: Landings, store: MemoryStore) -> None:
    with pytest.raises(FatalError, match="says 3 rows, 2 were read"):
        penalties.pull([penalty(1), penalty(2)], expected_rows=3)
    assert store.objects == {}
    assert penalties.pull([penalty(1), penalty(2)], expected_rows=2).counts.landed == 2


def test_nothing_is_landed_or_left_behind_when_the_source_dies(penalties: Landings, store: MemoryStore) -> None:
    reader = FakeReader([penalty(1)], dies=lambda: ConnectionResetError("the source died"))
    with pytest.raises(ConnectionResetError):
        penalties.pull(reader=reader)
    assert store.objects == {}
    assert list(penalties.spool.iterdir()) == []


def test_unexpected_column_is_a_note_when_the_source_reports_it(penalties: Landings) -> None:
    landed = penalties.pull([penalty(1)], unknown_columns=("NEW_COLUMN",))
    assert any("NEW_COLUMN" in note for note in landed.notes)


def test_big_month_becomes_several_parts_of_full_batches_when_it_lands(
    penalties: Landings, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PART_ROWS % BATCH_ROWS == 0
    monkeypatch.setattr("connectors.parts.BATCH_ROWS", 10)
    monkeypatch.setattr("connectors.landing.BATCH_ROWS", 10)
    monkeypatch.setattr("connectors.landing.PART_ROWS", 20)
    penalties.pull([penalty(number) for number in range(45)])
    manifest = the_manifest(penalties)
    assert [part.rows for part in manifest.parts] == [20, 20, 5]
    files = [pa.ipc.open_file(pa.BufferReader(store.objects[key])) for key in store.puts[:3]]
    assert [[f.get_batch(i).num_rows for i in range(f.num_record_batches)] for f in files] == [[10, 10], [10, 10], [5]]
    assert [row["row"] for row in penalties.records()] == list(range(1, 46))


def test_deletion_month_clamps_when_the_day_does_not_exist_in_it(penalties: Landings) -> None:
    penalties.pull([penalty(1, CF_JDRQ="2024-02-29"), penalty(2, CF_JDRQ="2026-01-31")])
    assert [part.delete_month for part in the_manifest(penalties).parts] == ["2029-02", "2031-01"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        duckdb.IOException('IO Error: Could not write file "x": No space left on device'),
    ],
)
def test_full_disk_is_named_when_the_spool_cannot_be_written(
    penalties: Landings, store: MemoryStore, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SpoolFile, "write", fail)
    with pytest.raises(FatalError, match=str(penalties.spool)):
        penalties.pull([penalty(1)])
    assert store.objects == {}
    assert list(penalties.spool.iterdir()) == []


def test_full_disk_is_noticed_when_a_real_one_is_full() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(FatalError, match="disk is full"), name_full_disk(full), full.open("wb") as file:
        file.write(b"x" * 100_000)


def test_other_errors_stay_what_they_are_when_the_disk_has_room(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), name_full_disk(tmp_path):
        (tmp_path / "missing").read_bytes()


def test_orphaned_spool_is_removed_when_its_process_is_gone(tmp_path: Path) -> None:
    orphan = tmp_path / "left-behind"
    orphan.mkdir()
    (orphan / ".lock").touch()
    (orphan / "records.arrow").write_bytes(b"x")
    with Spool(tmp_path, "one") as first, Spool(tmp_path, "two") as second:
        assert not orphan.exists()
        assert first.exists(), "a spool in use is not an orphan"
        assert second.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.semantics("2.5")
def test_future_window_is_no_excuse_when_a_source_time_lies_behind_it(penalties: Landings) -> None:
    landed = penalties.pull([penalty(1)], until=datetime(2026, 6, 1, tzinfo=UTC) - timedelta(microseconds=1))
    assert landed.rejected_by_reason == {"source_time.future": 1}
