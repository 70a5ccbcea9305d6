"""However a history is cut into pulls, the latest state is the same, nothing is lost and nothing lands twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.department import DatasetMapping
from exchange_formats.digests import derive_id
from tests.fakes import MemoryStore
from tests.pulls import CODES, DEPARTMENT, Landings, Row, later, penalty, penalty_mapping

#: Histories in one example: each is one record's, and all are landed together.
RECORDS = 150
TIMELESS = {"watermark": None}


def draw_history(random: Random) -> list[dict[str, str | None]]:
    """Arrivals of many records, mixed: few values and few times, so that repeats and returns are common."""
    rows = [
        penalty(number, CF_NR_FK=random.choice("123"), updateTime=f"2026-06-0{random.choice('12')} 08:00:00")
        for number in range(RECORDS)
        for _ in range(random.randint(1, 6))
    ]
    random.shuffle(rows)
    return rows


def cut(random: Random, rows: Sequence[Row]) -> list[Sequence[Row]]:
    """One to four pulls; each begins a little before the last one ended, as an overlap does."""
    marks = sorted(random.sample(range(1, len(rows)), random.randint(0, 3)))
    ends = [*marks, len(rows)]
    starts = [0, *(max(0, mark - random.randint(0, 40)) for mark in marks)]
    return [rows[start:end] for start, end in zip(starts, ends, strict=True)]


def expect_latest(pulls: Sequence[Sequence[Row]], *, timeless: bool) -> dict[str, tuple[str | None, ...]]:
    """The rule of semantics §2 in one line: by source time, then by arrival."""
    latest: dict[str, tuple[str | None, ...]] = {}
    for row in (row for pull in pulls for row in pull):
        key = derive_id(DEPARTMENT, "penalty", str(row["CF_WSH"]), CODES[0])
        version = (None if timeless else row["updateTime"], row["CF_NR_FK"])
        if key not in latest or timeless or str(version[0]) >= str(latest[key][0]):
            latest[key] = version
    return latest


def show_latest(landings: Landings) -> dict[str, tuple[str | None, ...]]:
    """What a reader of the lake sees, in the source's words."""

    def show(row: dict[str, Any]) -> tuple[str | None, ...]:
        instant = row["source_updated_at"]
        return (f"{instant:%Y-%m-%d} 08:00:00" if instant else None, str(int(row["fine_yuan"] / 10_000)))

    return {key: show(row) for key, row in landings.latest().items()}


@pytest.mark.parametrize("changes", [{}, TIMELESS], ids=["watermark", "timeless"])
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_latest_state_is_the_histories_when_they_are_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], seed: int
) -> None:
    random = Random(seed)
    landings = open_landings(tmp_path_factory, penalty_mapping(**changes))
    pulls = cut(random, draw_history(random))
    for number, rows in enumerate(pulls):
        landed = landings.pull(rows, until=later(number), page_rows=random.choice((7, 100, 10_000)))
        assert landed.counts.balance()
        assert landed.counts.read == len(rows)
    assert show_latest(landings) == expect_latest(pulls, timeless=not landings.mapping.watermark)
    assert landings.pull(pulls[-1], until=later(9)).manifest is None, "the same collection lands no second copy"


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_version_is_in_the_lake_when_pulls_overlap(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = Random(seed)
    landings = open_landings(tmp_path_factory, penalty_mapping())
    history = draw_history(random)
    for number, rows in enumerate(cut(random, history)):
        landings.pull(rows, until=later(number))
    came = {(row["CF_WSH"], row["updateTime"], row["CF_NR_FK"]) for row in history}
    stands = {
        (
            row["document_no"],
            f"{row['source_updated_at']:%Y-%m-%d} 08:00:00",
            str(int(row["fine_yuan"] / 10_000)),
        )
        for row in landings.records()
    }
    assert stands == came


def open_landings(factory: pytest.TempPathFactory, mapping: DatasetMapping) -> Landings:
    folder: Path = factory.mktemp("landings")
    return Landings(MemoryStore(), folder, mapping)
