"""Calendar periods: the one meaning of "n months from d" (semantics §1)."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: How often something is done by rule.
Cycle = Literal["daily", "monthly", "quarterly", "yearly"]


def add_months(start: date, months: int) -> date:
    """The day ``months`` after ``start``, clamped to the month's end (31 Jan + 1 month = 28/29 Feb)."""
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))


def covers(start: date, months: int, day: date) -> bool:
    """Whether a period of ``months`` from ``start`` covers ``day``; its last day is included."""
    return start <= day <= add_months(start, months)


def end_of_day(day: date) -> datetime:
    """The last microsecond of ``day`` in Asia/Shanghai, as a UTC instant: what ``as_of`` means."""
    # Back in UTC before a microsecond is taken: an hour that ends summer time has two of each.
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI).astimezone(UTC) - timedelta(microseconds=1)


def shanghai_date(instant: datetime) -> date:
    """The calendar day of an aware ``instant`` in Asia/Shanghai."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(SHANGHAI).date()


def cycle_start(day: date, cycle: Cycle) -> date:
    """The first day of the ``cycle`` that holds ``day``."""
    if cycle == "daily":
        return day
    month = {"monthly": day.month, "quarterly": day.month - (day.month - 1) % 3, "yearly": 1}[cycle]
    return day.replace(month=month, day=1)
