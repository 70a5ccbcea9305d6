"""Working days of China: a kept library's years, and a holiday file for years it lacks or knows otherwise.

The State Council names the free weekdays and the worked weekends of a year in the
November before (全国年节及纪念日放假办法). A calendar of two years is part of a resolved
model, so what was judged by it can be judged again after the library has changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from exchange_formats.documents import Document
from exchange_formats.errors import ConfigurationError, Problem
from scoring.grammar import Text
from scoring.quantities import Frozen
from scoring.tables import Table

_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)
#: No limit in working days comes near it; beyond, the calendar would be asked for years nobody knows.
LONGEST: Final = 250


class HolidayYear(Frozen):
    """The days of one year on which work differs from Monday to Friday."""

    source: Text
    status: Literal["official", "assumption"]
    holidays: tuple[date, ...]
    workdays: tuple[date, ...]


class HolidayTable(Table):
    """Years that stand instead of the library's."""

    years: Mapping[Annotated[int, Field(ge=2004, le=2200)], HolidayYear]


class WorkingCalendar(Frozen):
    """The years it knows, their free days from Monday to Friday, and their worked Saturdays and Sundays."""

    years: tuple[int, ...]
    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()

    @cached_property
    def _exceptions(self) -> tuple[frozenset[date], frozenset[date]]:
        return frozenset(self.holidays), frozenset(self.workdays)

    def is_working(self, day: date) -> bool:
        """Whether ``day`` is a working day.

        Raises:
            ConfigurationError: its year is neither in the library nor in the holiday file.
        """
        if day.year not in self.years:
            raise ConfigurationError(
                f"没有 {day.year} 年的节假日安排 / the holidays of {day.year} are not known",
                hint=f"enter {day.year} in scoring/tables/holidays/ (国务院办公厅通知), or update chinesecalendar",
            )
        holidays, workdays = self._exceptions
        return day in workdays or (day.weekday() < _SATURDAY and day not in holidays)


def add_working_days(day: date, count: int, calendar: WorkingCalendar) -> date:
    """The ``count``-th working day after ``day``; ``day`` itself is not counted, and may be free.

    Raises:
        ValueError: ``count`` is not from 1 to 250.
        ConfigurationError: the calendar does not know a year on the way.
    """
    if not 1 <= count <= LONGEST:
        raise ValueError(f"working days from 1 to {LONGEST}, not {count}")
    while count:
        day += _DAY
        count -= calendar.is_working(day)
    return day


def working_days_between(start: date, end: date, calendar: WorkingCalendar) -> int:
    """Working days after ``start`` up to and including ``end``; negative where ``end`` lies before ``start``."""
    first, last = min(start, end), max(start, end)
    days = sum(calendar.is_working(first + _DAY * number) for number in range(1, (last - first).days + 1))
    return days if start <= end else -days


def build_calendar(table: HolidayTable, day: date) -> WorkingCalendar:
    """The calendar of ``day``'s year and the next, as far as either is known."""
    years, holidays, workdays = [], [], []
    for year in (day.year, day.year + 1):
        known = _known_year(table, year)
        if known is not None:
            years.append(year)
            holidays += known[0]
            workdays += known[1]
    return WorkingCalendar(years=tuple(years), holidays=tuple(sorted(holidays)), workdays=tuple(sorted(workdays)))


def check_holidays(document: Document[Any], table: HolidayTable) -> Iterator[Problem]:
    """Days lie in their year; a holiday is a weekday, a worked day a Saturday or Sunday: anything else says nothing."""
    for year, found in table.years.items():
        for key, weekend in (("holidays", False), ("workdays", True)):
            for index, day in enumerate(getattr(found, key)):
                path: tuple[str | int, ...] = ("years", str(year), key, index)
                if day.year != year:
                    yield document.problem(path, "the day is not in this year", expected=str(year), got=str(day))
                elif (day.weekday() >= _SATURDAY) != weekend:
                    wanted = "a Saturday or Sunday" if weekend else "a day from Monday to Friday"
                    yield document.problem(path, "the day changes nothing", expected=wanted, got=f"{day} ({day:%A})")


def _known_year(table: HolidayTable, year: int) -> tuple[list[date], list[date]] | None:
    entered = table.years.get(year)
    if entered is not None:
        return list(entered.holidays), list(entered.workdays)
    from chinese_calendar import constants

    known = sorted(constants.holidays)
    if not known[0].year <= year <= known[-1].year:
        return None
    return (
        [
            day
            for day in known[bisect_left(known, date(year, 1, 1)) :]
            if day.year == year and day.weekday() < _SATURDAY
        ],
        [day for day in constants.workdays if day.year == year and day.weekday() >= _SATURDAY],
    )
