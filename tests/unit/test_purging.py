"""Purging: what the law wants gone leaves the lake and every copy; the chain goes on and says so (semantics §6)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from connectors.lake import Lake, PurgedError
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import landing_prefix
from exchange_formats.manifests import BatchManifest, PurgeManifest
from gateway.cli import app
from gateway.collection import read_watermark
from gateway.outcomes import read_outcomes
from gateway.purging import PurgeReport, list_datasets, purge_expired, purge_record
from gateway.record_notices import find_notices
from tests.fakes import DiedError, MemoryStore
from tests.pulls import DEPARTMENT, Landings, later, penalty, penalty_mapping

DAY = date(2026, 6, 30)
NOW = datetime(2026, 6, 30, 16, tzinfo=UTC)
PREFIX = landing_prefix(DEPARTMENT, "penalty")
ARTICLE = "个人信息保护法 47"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def landings(store: MemoryStore, tmp_path: Path) -> Landings:
    return Landings(store, tmp_path, penalty_mapping())


def purge(landings: Landings, day: date = DAY, *, dry_run: bool = False) -> PurgeReport:
    return purge_expired(landings.lake, day=day, now=lambda: NOW, spool=landings.spool, dry_run=dry_run)


def fresh(landings: Landings, tmp_path: Path) -> Lake:
    """The same store read by a process that has seen nothing of it."""
    return Lake(landings.store, tmp_path / "fresh")


def decided(landings: Landings) -> list[str]:
    return sorted(row["decided_on"].isoformat() for row in landings.records())


OLD = {"CF_JDRQ": "2021-04-01"}


@pytest.mark.semantics("6.2", "6.3")
def test_part_goes_whole_when_its_month_has_passed(landings: Landings, store: MemoryStore, tmp_path: Path) -> None:
    landed = landings.pull([penalty(1, **OLD), penalty(2)])
    assert landed.manifest is not None
    landings.records()
    gone = landed.manifest.parts[0]
    assert gone.delete_month == "2026-04"
    (result,) = purge(landings).purges
    assert (result.dataset, result.files, result.redacted, result.records) == ("penalty", 1, 0, 1)
    assert "条例 16" in result.article
    assert decided(landings) == ["2026-05-01"]
    assert not [key for key in store.objects if key.endswith(gone.name) and "landing/" in key]
    assert not list(landings.lake.cache.rglob(f"*{gone.sha256}*")), "no local copy stays"
    head = landings.lake.manifest(PREFIX, *landings.lake.heads(PREFIX))
    assert isinstance(head, PurgeManifest)
    assert (head.parents, head.sequence, head.records) == ((landed.manifest.sha256,), 2, 1)
    assert [(file.sha256, file.rows, file.replacement) for file in head.files] == [(gone.sha256, 1, None)]
    assert fresh(landings, tmp_path).records(DEPARTMENT, "penalty").count_rows() == 1


@pytest.mark.semantics("6.2")
def test_nothing_goes_when_the_month_has_not_passed(landings: Landings, store: MemoryStore) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    before = dict(store.objects)
    assert purge(landings, date(2026, 4, 30)) == PurgeReport((), 0)
    assert store.objects == before
    assert len(purge(landings, date(2026, 5, 1)).purges) == 1
    after = dict(store.objects)
    assert purge(landings) == PurgeReport((), 0), "what is gone does not go again"
    assert store.objects == after


def test_dry_run_counts_and_changes_nothing(landings: Landings, store: MemoryStore) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    before = dict(store.objects)
    (result,) = purge(landings, dry_run=True).purges
    assert (result.records, result.manifest_sha256) == (1, None)
    assert store.objects == before


def test_landing_goes_on_from_the_same_watermark_when_a_part_was_purged(landings: Landings) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    watermark = read_watermark(landings.lake, DEPARTMENT, "penalty")
    purge(landings)
    assert watermark is not None
    assert read_watermark(landings.lake, DEPARTMENT, "penalty") == watermark
    again = landings.pull([penalty(2), penalty(3)], until=later(1))
    assert again.counts.duplicates == 1
    assert again.manifest is not None
    (head,) = landings.lake.heads(PREFIX)
    assert head == again.manifest.sha256
    assert again.manifest.sequence == 3
    assert isinstance(landings.lake.manifest(PREFIX, *again.manifest.parents), PurgeManifest)
    assert decided(landings) == ["2026-05-01", "2026-05-01"]


@pytest.mark.semantics("6.2")
def test_older_version_goes_too_when_the_latest_one_goes(landings: Landings) -> None:
    landings.pull([penalty(1, CF_JDRQ="2026-05-20"), penalty(2)])
    landings.pull([penalty(1, **OLD, updateTime="2026-06-02 08:00:00")], until=later(1))
    (result,) = purge(landings).purges
    assert (result.files, result.redacted, result.records) == (2, 1, 2)
    assert decided(landings) == ["2026-05-01"], "the version that was corrected does not stand again"


def test_newer_version_stays_when_an_older_one_goes(landings: Landings) -> None:
    landings.pull([penalty(1, **OLD)])
    landings.pull([penalty(1, updateTime="2026-06-02 08:00:00")], until=later(1))
    (result,) = purge(landings).purges
    assert (result.files, result.redacted, result.records) == (1, 0, 1)
    assert decided(landings) == ["2026-05-01"]


@pytest.mark.semantics("6.6")
def test_older_cut_is_refused_when_a_part_of_it_was_purged(landings: Landings) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    before = landings.lake.heads(PREFIX)
    purge(landings)
    with pytest.raises(PurgedError, match="条例 16"):
        landings.lake.records(DEPARTMENT, "penalty", before)
    assert landings.lake.records(DEPARTMENT, "penalty", before, as_purged=True).count_rows() == 1


@pytest.mark.semantics("6.3")
def test_purge_is_finished_when_it_was_killed_before_it_deleted(landings: Landings, store: MemoryStore) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    delete = store.delete

    def die(key: str) -> None:
        raise DiedError(key)

    store.delete = die  # type: ignore[method-assign]
    with pytest.raises(DiedError):
        purge(landings)
    store.delete = delete  # type: ignore[method-assign]
    assert any(isinstance(one, PurgeManifest) for one in landings.lake.chain(PREFIX)), "committed before it deletes"
    assert decided(landings) == ["2026-05-01"], "what is to go is read no more"
    assert purge(landings) == PurgeReport((), 1)
    assert len([key for key in store.objects if "/part-" in key]) == 1
    assert purge(landings) == PurgeReport((), 0)


def test_commit_time_is_noted_when_a_purge_was_made(landings: Landings) -> None:
    landings.pull([penalty(1, **OLD)])
    (result,) = purge(landings).purges
    (outcome,) = read_outcomes(landings.lake, DEPARTMENT, "penalty")
    assert (outcome.result, outcome.manifest_sha256, outcome.finished_at) == ("purged", result.manifest_sha256, NOW)


@pytest.mark.semantics("5.6")
def test_rejects_go_when_they_were_kept_for_their_time(landings: Landings) -> None:
    landings.pull([penalty(1), penalty(2, CF_JDRQ="not a day")])
    assert len(landings.rejects()) == 1
    assert purge(landings, date(2026, 12, 31)).purges == ()
    (result,) = purge(landings, date(2027, 1, 1)).purges
    assert (result.records, result.rejects, "180" in result.article) == (0, 1, True)
    assert landings.rejects() == []
    (batch,) = landings.lake.batches(DEPARTMENT, "penalty")
    assert landings.lake.fetch_rejects(batch) is None
    assert decided(landings) == ["2026-05-01"]


def test_withdrawals_do_not_name_what_the_law_took(landings: Landings) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    before = landings.lake.heads(PREFIX)
    purge(landings)
    after = landings.lake.heads(PREFIX)
    assert list(find_notices(landings.lake, DEPARTMENT, "penalty", before, after)) == []


# early deletion


def erase(landings: Landings, record_id: str, article: str = ARTICLE) -> PurgeManifest:
    result = purge_record(
        landings.lake,
        DEPARTMENT,
        "penalty",
        record_id,
        article=article,
        day=DAY,
        now=lambda: NOW,
        spool=landings.spool,
    )
    assert result.manifest_sha256 is not None
    manifest = landings.lake.manifest(PREFIX, result.manifest_sha256)
    assert isinstance(manifest, PurgeManifest)
    return manifest


@pytest.mark.semantics("6.4")
def test_record_is_nowhere_when_it_had_to_go_early(landings: Landings, store: MemoryStore, tmp_path: Path) -> None:
    landings.pull([penalty(1), penalty(2), penalty(3, CF_JDRQ="not a day")])
    landings.pull([penalty(1, CF_NR_FK="2.5", updateTime="2026-06-02 08:00:00")], until=later(1))
    landings.pull([penalty(1, CF_NR_FK="no sum", updateTime="2026-06-03 08:00:00")], until=later(2))
    wanted = next(row["record_id"] for row in landings.records() if row["fine_yuan"] == 25000)
    manifest = erase(landings, wanted)
    assert (manifest.records, manifest.rejects, manifest.article) == (2, 1, ARTICLE)
    assert sorted(file.replacement is None for file in manifest.files) == [False, True, True]
    replaced = next(file for file in manifest.files if file.replacement)
    assert replaced.replacement is not None
    assert (replaced.rows, replaced.replacement.rows, replaced.replacement.delete_month) == (2, 1, "2031-05")
    assert wanted not in {row["record_id"] for row in landings.records()}
    assert [row["key"] for row in landings.rejects()] != []
    assert wanted not in {row["record_id"] for row in landings.rejects()}
    lake = fresh(landings, tmp_path)
    assert lake.records(DEPARTMENT, "penalty").to_table().column("record_id").to_pylist() == [
        row["record_id"] for row in landings.records()
    ]
    for file in manifest.files:
        assert file.key not in store.objects
        assert not list(landings.lake.cache.rglob(f"*{file.sha256}*"))
    assert not any(wanted.encode() in data for key, data in store.objects.items() if key.endswith(".json"))
    assert not any(wanted in key for key in store.objects)


def test_redacted_part_goes_when_its_own_month_has_passed(landings: Landings, store: MemoryStore) -> None:
    landings.pull([penalty(1), penalty(2)])
    first = landings.records()[0]["record_id"]
    erase(landings, first)
    assert len(landings.records()) == 1
    (result,) = purge(landings, date(2031, 6, 1)).purges
    assert result.records == 1
    assert landings.records() == []
    assert not [key for key in store.objects if key.endswith(".arrow")]


@pytest.mark.parametrize(("record", "article"), [("no-such-record", ARTICLE), (None, " ")])
def test_early_deletion_is_refused_without_a_record_or_an_article(
    landings: Landings, store: MemoryStore, record: str | None, article: str
) -> None:
    landings.pull([penalty(1)])
    before = dict(store.objects)
    with pytest.raises(ConfigurationError):
        erase(landings, record or landings.records()[0]["record_id"], article)
    assert store.objects == before


def test_every_dataset_that_was_landed_is_listed(landings: Landings) -> None:
    assert list_datasets(landings.lake) == ()
    landings.pull([penalty(1)])
    assert list_datasets(landings.lake) == ((DEPARTMENT, "penalty"),)
    assert all(isinstance(one, BatchManifest) for one in landings.lake.chain(PREFIX))


# the command


def test_command_purges_and_says_what_went(landings: Landings, monkeypatch: pytest.MonkeyPatch) -> None:
    landings.pull([penalty(1, **OLD), penalty(2)])
    workplace = SimpleNamespace(lake=landings.lake, spool=landings.spool)
    monkeypatch.setattr("gateway.cli.purge.open_workplace", lambda: workplace)
    monkeypatch.setattr("gateway.stack.environment.load_environment", lambda: None)
    run = CliRunner()
    planned = run.invoke(app, ["purge", "--as-of", "2026-06-30", "--dry-run"])
    assert (planned.exit_code, "将清除 would go 记录 records 1" in planned.output) == (0, True), planned.output
    assert len(landings.records()) == 2
    done = run.invoke(app, ["purge", "--as-of", "2026-06-30", "--json"])
    document = json.loads(done.output)
    assert (document["day"], [one["records"] for one in document["purges"]]) == ("2026-06-30", [1])
    left = landings.records()[0]["record_id"]
    early = run.invoke(app, ["purge", "--record", f"{DEPARTMENT}/penalty", left, "--article", ARTICLE])
    assert (early.exit_code, ARTICLE in early.output) == (0, True), early.output
    assert landings.records() == []
    assert "没有到期的数据 nothing is due" in run.invoke(app, ["purge", "--as-of", "2026-06-30"]).output


@pytest.mark.parametrize(
    "arguments", [["some-record"], ["--article", ARTICLE], ["--record", "justice"], ["--record", "justice/penalty"]]
)
def test_command_asks_for_what_is_missing(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.purge.open_workplace", SimpleNamespace)
    monkeypatch.setattr("gateway.stack.environment.load_environment", lambda: None)
    assert isinstance(CliRunner().invoke(app, ["purge", *arguments]).exception, ConfigurationError)
