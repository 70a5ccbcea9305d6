"""Days and instants read from text: fixed formats by their bytes, everything else by patterns.

A format is one of %Y %m %d, and %H %M %S. Text with every digit written out is read by
position, all rows at once; what is left (2026-5-3) is matched against the format's pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache, cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.subjects import narrow
from exchange_formats.texts import Bytes, Mask, Places, Texts, mask_of

Days: TypeAlias = npt.NDArray[np.int32]
Numbers: TypeAlias = npt.NDArray[np.int64]
Pairs: TypeAlias = npt.NDArray[np.uint16]
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
#: Where each number stands in a row's sum: seven bits hold two digits.
_FIELDS = {"%d": 0, "%m": 7, "%Y": 14, "%H": 32, "%M": 39, "%S": 46}
_TWO_DIGITS = 0x7F
_DATE_MASKS = {"%Y": 0x3FFF, "%m": _TWO_DIGITS, "%d": _TWO_DIGITS}
_ODD = 1 << 56
#: Years that are read from a table; any other is read by the pattern.
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_EPOCH = date(1970, 1, 1).toordinal()
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

    def read(self, text: str) -> datetime | None:
        """The instant in ``text`` (to the second, no zone); None where the format does not fit or there is none."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        numbers = {name: int(value) for name, value in match.groupdict().items()}
        year, month, day, hour, minute, second = (numbers.get(name, 0) for name in ("Y", "m", "d", "H", "M", "S"))
        try:
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
        except ValueError:
            return None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """A regular expression; one digit will do for all but the year, unless numbers follow each other directly."""
        written = "".join(_GROUPS.get(part) or re.escape(part) for part in self._parts)
        return re.compile(written.replace("{1,2}", "{2}") if re.search("%.%", self.text) else written)

    @property
    def has_time(self) -> bool:
        """Whether an hour is part of it."""
        return "%H" in self.text

    @cached_property
    def template(self) -> bytes:
        """What the text looks like when every digit is written out: digits as 0."""
        return b"".join(b"0" * _WIDTHS[part] if part in _WIDTHS else part.encode() for part in self._parts)

    @cached_property
    def tables(self) -> tuple[Numbers, ...]:
        """For each pair of bytes of ``template`` what it adds to a row's sum (``_FIELDS``); ``_ODD`` if it is wrong."""
        shares: list[Numbers] = []
        for part in self._parts:
            for place in range(_WIDTHS.get(part, 0)):
                values = np.arange(256, dtype=np.int64) - ord("0")
                weight = 10 ** (_WIDTHS[part] - 1 - place) << _FIELDS[part]
                shares.append(np.where((values >= 0) & (values <= 9), values * weight, _ODD))
            if part not in _WIDTHS:
                shares += [np.where(np.arange(256) == byte, 0, _ODD) for byte in part.encode()]
        if len(shares) % 2:
            shares.append(np.zeros(256, np.int64))
        # The first of two bytes is the low one of a little-endian pair.
        pairs = zip(shares[::2], shares[1::2], strict=True)
        return tuple((second[:, None] + first[None, :]).reshape(-1) for first, second in pairs)


def read_days(texts: Texts, formats: Sequence[DateFormat]) -> tuple[Days, Mask | None]:
    """(days since 1970 or ``NO_DAY``, which rows had a time that is not midnight, if any) of text in ``formats``.

    A day that does not exist, or a time, is not read.
    """
    days, timed = np.full(len(texts), NO_DAY, np.int32), None
    for one in formats:
        read = _read_fixed(texts, one)
        if read is not None:
            timed = _add(days, timed, *read)
            left = np.flatnonzero(texts.present & (days == NO_DAY))
            if not len(left):
                return days, timed
    left = np.flatnonzero(texts.present & (days == NO_DAY))
    if len(left):
        distinct = narrow(texts.array.take(pa.array(left))).dictionary_encode()
        found, late = _match_days(distinct.dictionary.to_pylist(), formats)
        indices = distinct.indices.to_numpy()
        timed = _add(days, timed, left, found.take(indices), late.take(indices))
    return days, timed


def _add(days: Days, timed: Mask | None, places: Places, found: Days, late: Mask | None) -> Mask | None:
    """Put what was ``found`` at ``places`` into ``days`` where nothing is yet."""
    fresh = days[places] == NO_DAY
    if not fresh.all():
        places, found = places[fresh], found[fresh]
        late = None if late is None else late[fresh]
    days[places] = found
    if late is not None and late.any():
        timed = np.zeros(len(days), np.bool_) if timed is None else timed
        timed[places[late]] = True
    return timed


def _read_fixed(texts: Texts, one: DateFormat) -> tuple[Places, Days, Mask | None] | None:
    """(rows, days, rows with a time that is not midnight) of those whose every digit is written out."""
    width = len(one.template)
    chosen, letters = texts.take_fixed(width)
    if not len(letters):
        return None
    total = np.zeros(len(letters) // width, np.int64)
    for table, pairs in zip(one.tables, _pair_up(letters, width), strict=True):
        total += table.take(pairs)
    year, month, day = ((total >> _FIELDS[part]) & mask for part, mask in _DATE_MASKS.items())
    year -= _FIRST_YEAR
    wrong = (total >= _ODD) | (month > 12) | (day > 31) | (year < 0) | (year > _LAST_YEAR - _FIRST_YEAR)
    found = _calendar().take(year << 9 | month << 5 | day, mode="clip")
    if not one.has_time:
        found[wrong] = NO_DAY
        return np.flatnonzero(chosen), found, None
    hour, minute, second = ((total >> _FIELDS[part]) & _TWO_DIGITS for part in ("%H", "%M", "%S"))
    found[wrong | (hour > 23) | (minute > 59) | (second > 59)] = NO_DAY
    return np.flatnonzero(chosen), found, (hour + minute + second > 0) & (found != NO_DAY)


def _pair_up(letters: Bytes, width: int) -> Iterator[Pairs]:
    """Every two bytes of each row as one number; a last one alone."""
    if width % 2 == 0:
        yield from np.ascontiguousarray(letters).view("<u2").reshape(-1, width // 2).T
        return
    for place in range(0, width, 2):
        first = letters[place::width].astype(np.uint16)
        second = letters[place + 1 :: width].astype(np.uint16) if place + 1 < width else np.zeros_like(first)
        yield np.asarray(first | second << 8, dtype=np.uint16)


@cache
def _calendar() -> Days:
    """(year since 1900, month in four bits, day in five bits) → days; ``NO_DAY`` where there is none."""
    packed = np.arange((_LAST_YEAR - _FIRST_YEAR + 1) << 9, dtype=np.int32)
    return _find_days((packed >> 9) + _FIRST_YEAR, (packed >> 5) & 0xF, packed & 0x1F)


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


def _match_days(texts: Sequence[str], formats: Sequence[DateFormat]) -> tuple[Days, Mask]:
    """Days by the first format whose pattern fits, and which had a time that is not midnight; each text but once."""
    days, late = np.full(len(texts), NO_DAY, np.int32), np.zeros(len(texts), np.bool_)
    for place, text in enumerate(texts):
        for one in formats:
            instant = one.read(text)
            if instant is not None:
                days[place] = instant.toordinal() - _EPOCH
                late[place] = instant.time() != time.min
                break
    return days, late


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
