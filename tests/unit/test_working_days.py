"""Working days of China: worked weekends count, public holidays do not, and an unknown year is said."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.documents import read_document
from exchange_formats.errors import ConfigurationError
from scoring.table_library import TABLES, load_tables
from scoring.working_days import (
    HolidayTable,
    WorkingCalendar,
    add_working_days,
    build_calendar,
    check_holidays,
    working_days_between,
)

TABLE = load_tables(TABLES).in_force("holidays", "china", HolidayTable, date(2026, 6, 30))


def on(text: str) -> date:
    return date.fromisoformat(text)


def calendar_of(day: date) -> WorkingCalendar:
    return build_calendar(TABLE, day)


@pytest.mark.semantics("4.5")
@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2026-06-30", 1, "2026-07-01"),
        ("2026-07-03", 1, "2026-07-06"),  # over a weekend
        ("2026-07-04", 1, "2026-07-06"),  # from a Saturday
        ("2026-09-30", 5, "2026-10-13"),  # over National Day, and the worked Saturday 10-10
        ("2026-06-18", 1, "2026-06-22"),  # over the Dragon Boat Festival
        ("2026-12-31", 1, "2027-01-04"),  # into a year of the holiday file
        ("2027-02-04", 1, "2027-02-09"),  # over the Spring Festival that the file names
    ],
)
def test_working_days_pass_weekends_and_holidays(start: str, count: int, end: str) -> None:
    assert add_working_days(on(start), count, calendar_of(on(start))) == on(end)


@pytest.mark.semantics("4.5")
def test_year_of_the_file_stands_instead_of_the_librarys() -> None:
    year = {"source": "通知", "status": "official", "holidays": [on("2026-07-01")], "workdays": [on("2026-07-04")]}
    table = HolidayTable.model_validate(TABLE.model_dump(by_alias=True) | {"years": {2026: year}})
    calendar = build_calendar(table, on("2026-06-30"))
    assert add_working_days(on("2026-06-30"), 3, calendar) == on("2026-07-04")
    assert calendar.is_working(on("2026-10-01")), "the file says all of its year"


@pytest.mark.semantics("4.5")
def test_unknown_year_is_said_when_a_count_needs_it() -> None:
    calendar = build_calendar(TABLE.model_copy(update={"years": {}}), on("2026-12-30"))
    assert add_working_days(on("2026-12-30"), 1, calendar) == on("2026-12-31")
    with pytest.raises(ConfigurationError, match="2027") as caught:
        add_working_days(on("2026-12-30"), 2, calendar)
    assert "scoring/tables/holidays" in str(caught.value)


def test_calendar_is_of_the_day_and_the_year_after() -> None:
    calendar = calendar_of(on("2026-03-01"))
    assert calendar.years == (2026, 2027)
    assert {day.year for day in (*calendar.holidays, *calendar.workdays)} == {2026, 2027}


@given(start=st.dates(on("2024-01-01"), on("2025-12-01")), count=st.integers(1, 60))
def test_days_between_are_the_days_that_were_added(start: date, count: int) -> None:
    calendar = calendar_of(start)
    end = add_working_days(start, count, calendar)
    assert calendar.is_working(end)
    assert working_days_between(start, end, calendar) == count
    assert working_days_between(end, start, calendar) == -count
    assert working_days_between(start, end - timedelta(days=1), calendar) == count - 1


def test_file_is_refused_with_its_place_when_a_day_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "china@2026.1.yaml"
    text = (TABLES / "holidays" / "china@2026.1.yaml").read_text(encoding="utf-8")
    path.write_text(
        text.replace("- 2027-01-01", "- 2028-01-03")
        .replace("- 2027-04-05", "- 2027-04-04")
        .replace("[]", "[2027-04-06]"),
        encoding="utf-8",
    )
    document = read_document(path, HolidayTable)
    assert document.value is not None
    problems = [str(problem) for problem in check_holidays(document, document.value)]
    assert len(problems) == 3
    assert problems[0].startswith("china@2026.1.yaml:16:9 years.2027.holidays[0]: the day is not in this year")
    assert "the day changes nothing; expected a day from Monday to Friday" in problems[1]
    assert "expected a Saturday or Sunday" in problems[2]
