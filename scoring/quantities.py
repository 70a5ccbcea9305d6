"""Quantities of the model grammar: points, factors and periods, and the fixed-point numbers they become.

In SQL every amount is a BIGINT. Points, repeat, decay and scale have at most two
decimals each, so their product has at most eight and is exact in units of 1e-8 point;
nothing is ever divided but once, when the total is rounded to centipoints.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: Fixed-point units in one point.
UNITS: Final = 10**8
#: Units in one centipoint, what a score is counted in.
UNITS_PER_CENTIPOINT: Final = 10**6

_MONTHS = re.compile(r"P(\d{1,3})([MY])")
_DAYS = re.compile(r"P(\d{1,4})D")


class Frozen(BaseModel):
    """Base of every part of a model or table: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _read_months(value: object) -> object:
    if isinstance(value, str):
        if not (match := _MONTHS.fullmatch(value)):
            raise ValueError("not a period of months or years, like P24M or P5Y")
        return int(match[1]) * (12 if match[2] == "Y" else 1)
    return value


def _read_days(value: object) -> object:
    if isinstance(value, str):
        if not (match := _DAYS.fullmatch(value)):
            raise ValueError("not a period of days, like P90D")
        return int(match[1])
    return value


#: Whole months, written ``P24M`` or ``P5Y``.
Months = Annotated[int, BeforeValidator(_read_months), Field(gt=0, le=600)]
#: Whole days, written ``P90D``.
Days = Annotated[int, BeforeValidator(_read_days), Field(ge=0, le=3660)]
#: Points that an indicator takes or gives: never negative, the kind says which.
Points = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=2)]
Factor = Annotated[Decimal, Field(ge=0, le=10, decimal_places=2)]


def centi(value: Decimal) -> int:
    """``value`` in hundredths; exact, because the grammar allows two decimals."""
    return int(value * 100)


def covered_since(day: date, months: int) -> date:
    """The earliest start whose period of ``months`` still covers ``day`` (periods.covers, turned around).

    So one comparison with a literal date replaces date arithmetic in SQL.
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    try:
        return date(year, month + 1, day.day)
    except ValueError:  # the month is too short: its days all clamp below ``day`` (December never is)
        return date(year, month + 2, 1)


def days_before(day: date, days: int) -> date:
    """The day ``days`` before ``day``."""
    return day - timedelta(days=days)


def show_plain(value: Decimal) -> str:
    """``value`` without trailing zeros: 0.6, 600."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
