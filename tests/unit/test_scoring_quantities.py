"""Fixed-point quantities and periods."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exchange_formats.periods import add_months, covers
from scoring.quantities import Days, Months, Points, centi, covered_since

DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@pytest.mark.semantics("1.7", "1.9")
@given(DAYS, st.integers(1, 72))
def test_threshold_says_the_same_as_covers_when_turned_around(day: date, months: int) -> None:
    since = covered_since(day, months)
    assert covers(since, months, day)
    assert not covers(since - timedelta(days=1), months, day)


@pytest.mark.semantics("1.9")
@given(DAYS, DAYS, st.integers(1, 36))
def test_month_and_day_comparison_says_the_same_as_covers_when_records_repeat(a: date, b: date, months: int) -> None:
    """What the repeat step compares in SQL is ``add_months(previous, months) >= event``."""
    before, after = min(a, b), max(a, b)
    one, two = before.year * 12 + before.month + months, after.year * 12 + after.month
    assert (two < one or (two == one and after.day <= before.day)) == (add_months(before, months) >= after)


@pytest.mark.parametrize(("text", "months"), [("P24M", 24), ("P5Y", 60)])
def test_months_are_read_when_written_as_a_period(text: str, months: int) -> None:
    assert TypeAdapter(Months).validate_python(text) == months


@pytest.mark.parametrize("text", ["24", "P24D", "P1Y6M", "", "PM"])
def test_months_are_refused_when_written_otherwise(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Months).validate_python(text)


def test_days_are_refused_when_written_as_months() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Days).validate_python("P3M")


def test_points_are_refused_when_they_have_three_decimals() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Points).validate_python(Decimal("1.005"))


def test_hundredths_are_exact_when_there_are_two_decimals() -> None:
    assert centi(Decimal("0.29")) == 29


def test_decimal_of_units_is_exact_when_the_engine_multiplies() -> None:
    from scoring.trees import column, decimal_of, fill

    query = fill("SELECT $points AS p FROM t", points=decimal_of(column("u"), 18, 8)).sql("duckdb")
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT unnest([1::BIGINT, -123456789012, 99999999999]) AS u")
    assert [row[0] for row in connection.execute(query).fetchall()] == [
        Decimal("0.00000001"),
        Decimal("-1234.56789012"),
        Decimal("999.99999999"),
    ]
