"""Periods: one meaning of n months from a day, and of the end of a day (semantics §1)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange_formats.periods import add_months, covers, end_of_day, shanghai_date

DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))


@pytest.mark.semantics("1.8")
@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2025, 12, 31), 2, date(2026, 2, 28)),
        (date(2026, 6, 30), 0, date(2026, 6, 30)),
        (date(2026, 3, 31), 60, date(2031, 3, 31)),
        (date(2025, 11, 30), 1, date(2025, 12, 30)),
    ],
)
def test_month_is_clamped_to_its_end_when_the_day_does_not_exist(start: date, months: int, expected: date) -> None:
    assert add_months(start, months) == expected


@pytest.mark.semantics("1.8")
@given(DAYS, st.integers(0, 120))
def test_month_moves_by_exactly_n_when_added(start: date, months: int) -> None:
    end = add_months(start, months)
    assert (end.year - start.year) * 12 + end.month - start.month == months
    assert end.day <= start.day


@pytest.mark.semantics("1.7")
@given(DAYS, st.integers(1, 120))
def test_period_covers_both_its_ends_and_nothing_outside_when_asked(start: date, months: int) -> None:
    end = add_months(start, months)
    assert covers(start, months, start)
    assert covers(start, months, end)
    assert not covers(start, months, start - timedelta(days=1))
    assert not covers(start, months, end + timedelta(days=1))


@pytest.mark.semantics("1.1")
def test_day_ends_with_its_last_microsecond_in_shanghai_when_asked() -> None:
    assert end_of_day(date(2026, 6, 30)) == datetime(2026, 6, 30, 15, 59, 59, 999999, UTC)


@pytest.mark.semantics("1.1")
@given(DAYS)
@example(date(1948, 9, 30))  # the last day of a summer time
def test_end_of_day_is_on_that_day_when_read_in_shanghai(day: date) -> None:
    end = end_of_day(day)
    assert shanghai_date(end) == day
    assert shanghai_date(end + timedelta(microseconds=1)) == day + timedelta(days=1)


def test_date_is_shanghais_when_the_instant_has_another_zone() -> None:
    assert shanghai_date(datetime(2026, 6, 30, 16, tzinfo=UTC)) == date(2026, 7, 1)
    assert shanghai_date(datetime(2026, 6, 30, 23, tzinfo=timezone(timedelta(hours=9)))) == date(2026, 6, 30)


def test_instant_without_a_zone_is_refused_when_asked_for_its_day() -> None:
    with pytest.raises(ValueError, match="zone"):
        shanghai_date(datetime(2026, 6, 30))  # noqa: DTZ001 - that is the point
