"""Days and instants read from text: fixed formats by their bytes, everything else by patterns.

A format is one of %Y %m %d, and %H %M %S. Text with every digit written out is read by
position, all rows at once; what is left (2026-5-3) is matched against the format's pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.subjects import narrow
from exchange_formats.texts import Bytes, Mask, Texts, mask_of

Days: TypeAlias = npt.NDArray[np.int32]
Numbers: TypeAlias = npt.NDArray[np.int64]
#: Where no day could be read.
NO_DAY: Final = np.int32(-(2**31))
_GROUPS = {
    "%Y": r"(?P<Y>[0-9]{4})",
    "%m": r"(?P<m>[0-9]{1,2})",
    "%d": r"(?P<d>[0-9]{1,2})",
    "%H": r"(?P<H>[0-9]{1,2})",
    "%M": r"(?P<M>[0-9]{1,2})",
    "%S": r"(?P<S>[0-9]{1,2})(?:\.[0-9]+)?",
}
_WIDTHS = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}
_INSTANT = (
    r"^(?P<Y>[0-9]{4})[-/]?(?P<m>[0-9]{2})[-/]?(?P<d>[0-9]{2})"
    r"(?:[ T]?(?P<H>[0-9]{2}):?(?P<M>[0-9]{2}):?(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6})[0-9]*)?)?"
    r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)


@dataclass(frozen=True)
class DateFormat:
    """One format of %Y %m %d, and %H %M %S; ValueError for any other sign or for one that is missing."""

    text: str

    def __post_init__(self) -> None:
        unknown = [part for part in self._parts if part.startswith("%") and part not in _GROUPS]
        if unknown or not {"%Y", "%m", "%d"} <= set(self._parts):
            raise ValueError(f"'{self.text}' is not a date format; use %Y %m %d, and %H %M %S")

    @property
    def _parts(self) -> list[str]:
        return [part for part in re.split(r"(%.)", self.text) if part]

    @cached_property
    def pattern(self) -> str:
        """A regular expression; one digit will do for all but the year."""
        return "^" + "".join(_GROUPS.get(part) or re.escape(part) for part in self._parts) + "$"

    @property
    def has_time(self) -> bool:
        """Whether an hour is part of it."""
        return "%H" in self.text

    @cached_property
    def layout(self) -> tuple[bytes, dict[str, range]]:
        """What the text looks like when every digit is written out (digits as 0), and where each number stands."""
        template, places = b"", {}
        for part in self._parts:
            if part in _WIDTHS:
                places[part] = range(len(template), len(template) + _WIDTHS[part])
            template += b"0" * _WIDTHS[part] if part in _WIDTHS else part.encode()
        return template, places


def read_days(texts: Texts, formats: Sequence[DateFormat]) -> tuple[Days, Mask]:
    """(days since 1970 or ``NO_DAY``, which rows had a time that is not midnight) of text in one of ``formats``.

    A day that does not exist, or a time, is not read.
    """
    days, timed = np.full(len(texts), NO_DAY, np.int32), np.zeros(len(texts), np.bool_)
    for one in formats:
        _read_fixed(texts, one, days, timed)
    left = texts.present & (days == NO_DAY)
    if left.any():
        distinct = narrow(texts.array.filter(pa.array(left))).dictionary_encode()
        places = np.flatnonzero(left)
        for one in formats:
            found, late = _match_days(distinct.dictionary, one)
            found, late = (values.take(distinct.indices.to_numpy()) for values in (found, late))
            fresh = (found != NO_DAY) & (days[places] == NO_DAY)
            days[places[fresh]] = found[fresh]
            timed[places[fresh]] = late[fresh]
    return days, timed


def _read_fixed(texts: Texts, one: DateFormat, days: Days, timed: Mask) -> None:
    """Add the rows whose every digit is written out."""
    template, places = one.layout
    width = len(template)
    chosen, letters = texts.take_fixed(width)
    count = len(letters) // width
    if not count:
        return
    digits = letters - np.tile(np.frombuffer(template, np.uint8), count)
    limits = np.frombuffer(template.translate(_LIMITS), np.uint8)
    odd = np.flatnonzero(digits > np.tile(limits, count))
    year, month, day = (_add_digits(digits, width, places[part]) for part in ("%Y", "%m", "%d"))
    found = _find_days(year, month, day)
    if one.has_time:
        hour, minute, second = (_add_digits(digits, width, places.get(part)) for part in ("%H", "%M", "%S"))
        found = np.where((hour < 24) & (minute < 60) & (second < 60), found, NO_DAY)
    if len(odd):
        found[odd // width] = NO_DAY
    if count == len(texts):
        fresh = days == NO_DAY
        np.copyto(days, found, where=fresh)
    else:
        places_of = np.flatnonzero(chosen)
        fresh = days[places_of] == NO_DAY
        days[places_of[fresh]] = found[fresh]
    if one.has_time:
        timed[np.flatnonzero(chosen)[fresh & (found != NO_DAY) & (hour + minute + second > 0)]] = True


#: A template's byte → how far above it the text's byte may lie: digits nine, everything else nothing.
_LIMITS = bytes(9 if byte == ord("0") else 0 for byte in range(256))


def _add_digits(digits: Bytes, width: int, places: range | None) -> Days:
    """The number written at ``places`` of each row."""
    total = np.zeros(len(digits) // width, np.int32)
    for place in places or ():
        total *= 10
        total += digits[place::width]
    return total


def _find_days(year: Days, month: Days, day: Days) -> Days:
    """Days since 1970; ``NO_DAY`` for a day that is not in the calendar."""
    well = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(well, (year - 1970) * 12 + month - 1, 0)
    first = int(months.min(initial=0))
    # The first day of every month that occurs, and of the one behind it.
    starts = np.arange(first, int(months.max(initial=0)) + 2).astype("datetime64[M]").astype("datetime64[D]")
    begins = starts.astype(np.int32)
    months -= first
    days = begins.take(months) + day - 1
    well &= days < begins.take(months + 1)
    return np.where(well, days, NO_DAY).astype(np.int32)


def _match_days(text: pa.Array, one: DateFormat) -> tuple[Days, Mask]:
    parts = pc.extract_regex(text, pattern=one.pattern)
    matched = mask_of(pc.is_valid(parts))
    year, month, day = (_numbers(parts, name, matched).astype(np.int32) for name in ("Y", "m", "d"))
    days = np.where(matched, _find_days(year, month, day), NO_DAY)
    if not one.has_time:
        return days, np.zeros(len(text), np.bool_)
    seconds = _build_seconds(parts, matched)
    return np.where(seconds >= 0, days, NO_DAY), seconds > 0


def _numbers(parts: pa.Array, name: str, matched: Mask) -> Numbers:
    """A named group as integers; 0 where the row or an optional group did not match."""
    index = parts.type.get_field_index(name)
    if index < 0:
        return np.zeros(len(parts), dtype=np.int64)
    column = parts.field(index)
    empty = pc.or_(pc.equal(column, ""), pa.array(~matched))
    filled = pc.fill_null(pc.if_else(empty, "0", column), "0")
    return np.asarray(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False))


def _build_seconds(parts: pa.Array, matched: Mask) -> Numbers:
    """Seconds since midnight; -1 for a time that does not exist."""
    hour, minute, second = (_numbers(parts, name, matched) for name in ("H", "M", "S"))
    real = (hour < 24) & (minute < 60) & (second < 60)
    return np.where(real, hour * 3600 + minute * 60 + second, -1)


@dataclass(frozen=True)
class Zoned:
    """Instants as written: ``micros`` since 1970, local; ``offset`` microseconds east of Greenwich if ``zoned``."""

    micros: Numbers
    known: Mask
    zoned: Mask
    offset: Numbers


def read_zoned(text: pa.Array) -> Zoned:
    """ISO 8601, basic or extended, the time and the zone optional."""
    parts = pc.extract_regex(text, pattern=_INSTANT)
    matched = mask_of(pc.is_valid(parts))
    year, month, day = (_numbers(parts, name, matched).astype(np.int32) for name in ("Y", "m", "d"))
    days = _find_days(year, month, day)
    seconds = _build_seconds(parts, matched)
    known = matched & (days != NO_DAY) & (seconds >= 0)
    fraction = pc.utf8_rpad(pc.fill_null(parts.field(parts.type.get_field_index("f")), ""), width=6, padding="0")
    micros = np.asarray(pc.cast(fraction, pa.int64()).to_numpy(zero_copy_only=False))
    local = days.astype("datetime64[D]").astype("datetime64[us]") + seconds * 1_000_000 + micros
    zone = pc.fill_null(parts.field(parts.type.get_field_index("z")), "")
    zoned = mask_of(pc.not_equal(zone, ""))
    offset = _read_offsets(zone) if zoned.any() else np.zeros(len(text), np.int64)
    return Zoned(local, known & (np.abs(offset) <= 18 * 3600), zoned, offset * 1_000_000)


def _read_offsets(zone: pa.Array) -> Numbers:
    """Seconds east of Greenwich of ``Z``, ``+08:00`` or ``+0800``; 0 for no zone."""
    parts = pc.extract_regex(zone, pattern=r"^(?P<sign>[+-])(?P<H>[0-9]{2}):?(?P<M>[0-9]{2})$")
    matched = mask_of(pc.is_valid(parts))
    minus = mask_of(pc.equal(parts.field(0), "-"))
    size = _numbers(parts, "H", matched) * 3600 + _numbers(parts, "M", matched) * 60
    return np.where(minus, -size, size)
