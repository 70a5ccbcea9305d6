"""Change data: I and U bring a record, D revokes it, and every row is accounted for (facts §6.5)."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.department import DatasetMapping
from exchange_formats.manifests import Counts
from exchange_formats.rejects import Reason
from tests.fakes import MemoryStore
from tests.pulls import CODES, Landings, later, penalty, penalty_mapping

#: What a bare deletion carries: the key, the party, the flag and the time.
CARRIED = frozenset({"CF_WSH", "CF_XDR_SHXYM", "opt_type", "updateTime"})


def change(flag: str | None, number: int = 1, hour: int = 8, /, **changes: str | None) -> dict[str, str | None]:
    return penalty(number, opt_type=flag, updateTime=f"2026-06-01 {hour:02}:00:00", **changes)


def bare(number: int = 1, hour: int = 8) -> dict[str, str | None]:
    row = change("D", number, hour)
    return {name: value if name in CARRIED else None for name, value in row.items()}


def change_mapping(**changes: Any) -> DatasetMapping:
    return penalty_mapping(changes={"field": "opt_type"}, **changes)


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    return Landings(MemoryStore(), tmp_path, change_mapping())


def states(landings: Landings) -> list[tuple[str, date | None]]:
    """Document number and day of revocation of every record's latest version."""
    return sorted((row["document_no"], row["revoked_on"]) for row in landings.latest().values())


FIRST, SECOND = "浙环罚〔2026〕1号", "浙环罚〔2026〕2号"
DAY = date(2026, 6, 1)


def test_records_land_when_they_are_inserted_and_updated(landings: Landings) -> None:
    landed = landings.pull([change("I"), change("I", 2), change("U", 1, 9, CF_NR_FK="3")])
    assert landed.counts == Counts(read=3, landed=3, duplicates=0, rejected=0)
    assert states(landings) == [(FIRST, None), (SECOND, None)]
    assert sorted(int(row["fine_yuan"]) for row in landings.latest().values()) == [15_000, 30_000]


@pytest.mark.parametrize("deletion", [change("D", 1, 9), bare(1, 9)], ids=["whole", "bare"])
@pytest.mark.parametrize("together", [True, False])
def test_a_record_is_revoked_when_it_is_deleted(
    landings: Landings, deletion: dict[str, str | None], *, together: bool
) -> None:
    rows = [change("I"), change("I", 2), deletion]
    pulls = [rows] if together else [rows[:2], rows[2:]]
    counted = [landings.pull(pull, until=later(number)).counts for number, pull in enumerate(pulls)]
    assert states(landings) == [(FIRST, DAY), (SECOND, None)]
    assert sum(counts.landed for counts in counted) == 3
    assert all(counts.balance() for counts in counted)
    deleted = next(row for row in landings.latest().values() if row["document_no"] == FIRST)
    assert deleted["fine_yuan"] == 15_000, "the revoked version still says what was revoked"
    assert deleted["decided_on"] == date(2026, 5, 1)


def test_the_day_is_shanghais_when_a_record_is_deleted_before_eight(landings: Landings) -> None:
    landings.pull([change("I", 1, 0), change("I", 2, 0), change("D", 1, 1), bare(2, 1)])
    assert states(landings) == [(FIRST, DAY), (SECOND, DAY)], "17:00 UTC of the day before"


def test_the_sources_own_day_stays_when_a_deletion_carries_one(landings: Landings) -> None:
    landings.pull([change("D", 1, 8, CX_RQ="2026-05-20")])
    assert states(landings) == [(FIRST, date(2026, 5, 20))]


@pytest.mark.parametrize("deletion", [change("D", 1, 9), bare(1, 9)], ids=["whole", "bare"])
def test_a_record_stands_when_it_is_inserted_after_its_deletion(
    landings: Landings, deletion: dict[str, str | None]
) -> None:
    landings.pull([change("I"), deletion, change("I", 1, 10)])
    assert states(landings) == [(FIRST, None)]
    assert len(landings.records()) == 3


def test_a_record_stands_when_its_old_deletion_arrives_late(landings: Landings) -> None:
    landings.pull([change("I"), change("U", 1, 10)])
    landings.pull([bare(1, 9)], until=later(1))
    assert states(landings) == [(FIRST, None)]
    assert [row["revoked_on"] for row in landings.records()] == [None, None, DAY]


def test_a_whole_deletion_lands_when_its_record_was_never_received(landings: Landings) -> None:
    landed = landings.pull([change("D")])
    assert landed.counts == Counts(read=1, landed=1, duplicates=0, rejected=0)
    assert states(landings) == [(FIRST, DAY)]


def test_a_bare_deletion_is_rejected_when_its_record_was_never_received(landings: Landings) -> None:
    landed = landings.pull([change("I"), bare(2)])
    assert landed.counts == Counts(read=2, landed=1, duplicates=0, rejected=1)
    (reject,) = landings.rejects()
    assert (reject["reason"], reject["origin_row"], reject["source_column"]) == (Reason.CHANGE_UNMATCHED, 2, "opt_type")
    assert str(reject["detail"]).startswith("change.unmatched opt_type, required.missing")
    assert reject["record_id"] not in landings.latest()


@pytest.mark.parametrize("deletion", [change("D", 1, 9), bare(1, 9)], ids=["whole", "bare"])
def test_a_deletion_is_a_duplicate_when_it_comes_again(landings: Landings, deletion: dict[str, str | None]) -> None:
    first = landings.pull([change("I"), deletion, deletion])
    assert first.counts == Counts(read=3, landed=2, duplicates=1, rejected=0)
    again = landings.pull([change("I"), deletion], until=later(1))
    assert again.counts == Counts(read=2, landed=0, duplicates=2, rejected=0)
    assert again.manifest is None
    assert states(landings) == [(FIRST, DAY)]


@pytest.mark.parametrize("flag", ["X", "i", None, "暂无"])
def test_a_row_is_rejected_when_its_flag_is_missing_or_not_declared(landings: Landings, flag: str | None) -> None:
    landed = landings.pull([change("I"), change(flag, 2)])
    assert landed.rejected_by_reason == {Reason.CHANGE_UNKNOWN: 1}
    assert landed.counts.balance()


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ({"CF_WSH": None}, Reason.KEY_MISSING),
        ({"updateTime": None}, Reason.SOURCE_TIME_MISSING),
        ({"updateTime": "yesterday"}, Reason.SOURCE_TIME_MALFORMED),
    ],
)
def test_a_deletion_is_rejected_when_it_says_neither_which_nor_when(
    landings: Landings, cell: dict[str, str | None], reason: Reason
) -> None:
    landed = landings.pull([change("I"), bare() | cell])
    assert landed.counts == Counts(read=2, landed=1, duplicates=0, rejected=1)
    assert str(reason) in landings.rejects()[0]["detail"]
    assert states(landings) == [(FIRST, None)]


def test_other_letters_count_when_they_are_declared(tmp_path: Path) -> None:
    mapping = penalty_mapping(changes={"field": "opt_type", "upsert": ["1", "2"], "delete": ["3"]})
    landings = Landings(MemoryStore(), tmp_path, mapping)
    landings.pull([change("1"), change("2", 2), change("3", 2, 9)])
    assert states(landings) == [(FIRST, None), (SECOND, DAY)]


def test_a_pull_stops_when_a_deletion_matches_nothing_and_the_contract_says_stop(tmp_path: Path) -> None:
    from connectors.landing import LandingStoppedError

    landings = Landings(MemoryStore(), tmp_path, change_mapping(on_contract_break="stop"))
    with pytest.raises(LandingStoppedError, match="never received"):
        landings.pull([change("I"), bare(2)])
    assert not landings.records()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_the_last_change_decides_when_a_history_is_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = Random(seed)
    landings = Landings(MemoryStore(), tmp_path_factory.mktemp("changes"), change_mapping())
    rows: list[dict[str, str | None]] = []
    expected: dict[str, bool] = {}
    for hour in range(24):
        for number in random.sample(range(1, 20), 6):
            key = f"浙环罚〔2026〕{number}号"
            if key in expected and random.random() < 0.4:
                rows.append(random.choice((bare(number, hour), change("D", number, hour))))
                expected[key] = False
            else:
                rows.append(change(random.choice("IU"), number, hour, CF_NR_FK=random.choice("123")))
                expected[key] = True
    start = read = 0
    while start < len(rows):
        end = start + random.randint(1, 60)
        again = max(0, start - random.randint(0, 10))
        counts = landings.pull(rows[again:end], until=later(start + 1), page_rows=random.choice((7, 1000))).counts
        assert counts.balance()
        assert counts.rejected == 0
        read += counts.read
        start = end
    assert read >= len(rows)
    assert {row["document_no"]: row["revoked_on"] is None for row in landings.latest().values()} == expected
    assert {row["subject_ref"] for row in landings.records()} == {CODES[0]}
