"""Cells: one column's text turned into typed values, a whole batch at a time (facts §6.6).

Nothing is guessed: a value that cannot be read exactly is marked with its reason and
left null. What is changed without loss of meaning (trimming, null spellings, sentinel
dates, widths, declared units) is counted by rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.rejects import Reason
from exchange_formats.subjects import narrow

Mask: TypeAlias = npt.NDArray[np.bool_]

#: A larger cell is rejected before anything looks into it.
MAXIMUM_CELL_BYTES = 64 * 1024
#: Dates outside are typing errors, not facts.
_EARLIEST, _LATEST = date(1900, 1, 1), date(2199, 12, 31)
_SHANGHAI = "Asia/Shanghai"
_WIDE_SIGNS = (("（", "("), ("）", ")"), ("\u3000", " "))
_WIDE_LETTERS = "[０-９Ａ-Ｚａ-ｚ]"
_TO_NARROW = str.maketrans({chr(c): chr(c - 0xFEE0) for c in range(0xFF10, 0xFF5B) if chr(c).isalnum()})

_DECIMAL_TEXT = r"^[+-]?[0-9]{1,18}(\.[0-9]{1,10})?$"
_EXACT = pa.decimal128(28, 10)
_INTEGER_TEXT = r"^[+-]?[0-9]{1,15}(\.0+)?$"
_YES = ("true", "t", "yes", "y", "1", "是")
_NO = ("false", "f", "no", "n", "0", "否")
_INSTANT = (
    r"^(?P<Y>[0-9]{4})[-/]?(?P<m>[0-9]{2})[-/]?(?P<d>[0-9]{2})"
    r"(?:[ T]?(?P<H>[0-9]{2}):?(?P<M>[0-9]{2}):?(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6})[0-9]*)?)?"
    r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)
_DATE_GROUPS = {
    "%Y": r"(?P<Y>[0-9]{4})",
    "%m": r"(?P<m>[0-9]{1,2})",
    "%d": r"(?P<d>[0-9]{1,2})",
    "%H": r"(?P<H>[0-9]{1,2})",
    "%M": r"(?P<M>[0-9]{1,2})",
    "%S": r"(?P<S>[0-9]{1,2})(?:\.[0-9]+)?",
}
DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")


@dataclass
class Cells:
    """Typed values of one column; ``problems`` are the rows that could not be read, by reason."""

    values: pa.Array
    problems: list[tuple[Reason, Mask]] = field(default_factory=list)
    normalised: Counter[str] = field(default_factory=Counter)

    def add_problem(self, reason: Reason, rows: Mask) -> None:
        """Mark ``rows``; nothing happens where none is marked."""
        if rows.any():
            self.problems.append((reason, rows))


def mask_of(flags: pa.Array | pa.ChunkedArray) -> Mask:
    """An Arrow boolean array as numpy; null is False."""
    filled = pc.fill_null(flags, fill_value=False)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)


def read_text(values: pa.Array, null_spellings: Sequence[str]) -> Cells:
    """Any source column as clean text: trimmed, brackets and letters narrow, null spellings null.

    Chinese punctuation other than brackets stays as it is; cells above
    ``MAXIMUM_CELL_BYTES`` are marked and read as null.
    """
    cells = Cells(_as_strings(values))
    large = mask_of(pc.greater(pc.binary_length(cells.values), MAXIMUM_CELL_BYTES))
    if large.any():
        cells.add_problem(Reason.CELL_TOO_LARGE, large)
        cells.values = _blank(cells.values, large)
    _change(cells, "full_width", _narrow_text(cells.values))
    _change(cells, "trimmed", pc.utf8_trim_whitespace(cells.values))
    nulls = mask_of(pc.is_in(cells.values, value_set=pa.array(list(null_spellings), pa.string())))
    if nulls.any():
        cells.normalised["null_spelling"] += int(nulls.sum())
        cells.values = _blank(cells.values, nulls)
    return cells


def read_dates(
    text: pa.Array, formats: Sequence[str], sentinels: Sequence[str], horizon: date, *, may_be_future: bool
) -> Cells:
    """Dates in one of ``formats``; ``sentinels`` become null; a day after ``horizon`` is a problem unless allowed."""
    text = narrow(text)
    days = np.full(len(text), np.datetime64("NaT"), dtype="datetime64[D]")
    open_rows = mask_of(pc.is_valid(text))
    present = open_rows.copy()
    for pattern in formats:
        if not open_rows.any():
            break
        found, read = _extract_days(text.filter(pa.array(open_rows)), pattern)
        rows = np.flatnonzero(open_rows)[read]
        days[rows] = found[read]
        open_rows[rows] = False
    cells = Cells(pa.nulls(0))
    marks = np.array([s for s in sentinels if _is_day(s)], dtype="datetime64[D]")
    sentinel = np.isin(days, marks) | mask_of(pc.is_in(text, value_set=pa.array(list(sentinels), pa.string())))
    if sentinel.any():
        cells.normalised["sentinel_date"] += int(sentinel.sum())
        days[sentinel] = np.datetime64("NaT")
    good = ~np.isnat(days)
    outside = good & ((days < np.datetime64(_EARLIEST)) | (days > np.datetime64(_LATEST)))
    cells.add_problem(Reason.DATE_MALFORMED, (present & ~good & ~sentinel) | outside)
    if not may_be_future:
        cells.add_problem(Reason.DATE_FUTURE, good & ~outside & (days > np.datetime64(horizon)))
    cells.values = pa.array(days, type=pa.date32(), from_pandas=True)
    return cells


def read_instants(values: pa.Array, text: pa.Array, horizon: datetime) -> Cells:
    """When the source says a row changed, as UTC; without a zone it is Shanghai. Null and after ``horizon`` are wrong.

    ``values`` is the column as it came, ``text`` its clean text: a typed timestamp is not read twice.
    """
    if pa.types.is_timestamp(values.type):
        micro = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False)
        local = values.type.tz is None
        cells = Cells(_assume_shanghai(micro) if local else micro.cast(pa.timestamp("us", tz="UTC")))
        missing = mask_of(pc.is_null(values))
    else:
        cells = _parse_instants(narrow(text))
        missing = mask_of(pc.is_null(text))
    cells.add_problem(Reason.SOURCE_TIME_MISSING, missing)
    limit = pa.scalar(horizon, type=pa.timestamp("us", tz="UTC"))
    cells.add_problem(Reason.SOURCE_TIME_FUTURE, mask_of(pc.greater(cells.values, limit)))
    return cells


def read_decimals(
    text: pa.Array, target: pa.DataType, factor: Decimal, minimum: Decimal | None, maximum: Decimal | None
) -> Cells:
    """Exact decimals times ``factor``; more decimals than ``target`` keeps is a problem, never rounded."""
    text = narrow(text)
    cells = Cells(pa.nulls(0))
    written = mask_of(pc.match_substring_regex(text, _DECIMAL_TEXT))
    cells.add_problem(Reason.NUMBER_MALFORMED, mask_of(pc.is_valid(text)) & ~written)
    exact = pc.cast(_blank(text, ~written), _EXACT)
    if factor != 1:
        cells.normalised["unit_converted"] += int(written.sum())
        exact = pc.multiply(exact, pa.scalar(factor))
    rounded = pc.round(exact, ndigits=target.scale)
    inexact = mask_of(pc.not_equal(exact, rounded))
    cells.add_problem(Reason.NUMBER_INEXACT, inexact)
    limit = Decimal(10) ** (target.precision - target.scale)
    wrong = mask_of(pc.greater_equal(pc.abs(rounded), pa.scalar(limit, pa.decimal128(24, 0))))
    _check_range(cells, rounded, minimum, maximum, wrong)
    cells.values = pc.cast(_blank(rounded, inexact | wrong), target)
    return cells


def read_integers(text: pa.Array, minimum: Decimal | None, maximum: Decimal | None) -> Cells:
    """Whole numbers; a trailing ``.0`` (spreadsheets write it) is no fraction."""
    text = narrow(text)
    cells = Cells(pa.nulls(0))
    written = mask_of(pc.match_substring_regex(text, _INTEGER_TEXT))
    cells.add_problem(Reason.NUMBER_MALFORMED, mask_of(pc.is_valid(text)) & ~written)
    whole = pc.replace_substring_regex(_blank(text, ~written), pattern=r"^\+|\.0+$", replacement="")
    cells.values = pc.cast(whole, pa.int64())
    _check_range(cells, cells.values, minimum, maximum, np.zeros(len(text), dtype=np.bool_))
    return cells


def read_booleans(text: pa.Array, codes: Mapping[str, str] | None) -> Cells:
    """Yes and no: as ``codes`` says (source text → ``true`` or ``false``), else the usual spellings and 是/否."""
    words = codes or dict.fromkeys(_YES, "true") | dict.fromkeys(_NO, "false")
    folded = {_fold(word): meaning == "true" for word, meaning in words.items()}
    lowered = pc.utf8_lower(narrow(text))
    place = pc.index_in(lowered, value_set=pa.array(list(folded), pa.string()))
    cells = Cells(pa.array(list(folded.values()), pa.bool_()).take(place))
    cells.add_problem(Reason.BOOLEAN_MALFORMED, mask_of(pc.and_(pc.is_valid(text), pc.is_null(place))))
    return cells


def read_codes(text: pa.Array, codes: Mapping[str, str]) -> Cells:
    """Source text → code; a text that is not listed is a problem, never passed on."""
    place = pc.index_in(text, value_set=pa.array([normalise_word(word) for word in codes], pa.string()))
    cells = Cells(pa.array(list(codes.values()), pa.string()).take(place))
    cells.add_problem(Reason.CODE_UNKNOWN, mask_of(pc.and_(pc.is_valid(text), pc.is_null(place))))
    return cells


def normalise_word(word: str) -> str:
    """A word of a YAML as ``read_text`` would read it from a source."""
    for wide, slim in _WIDE_SIGNS:
        word = word.replace(wide, slim)
    return word.translate(_TO_NARROW).strip()


def _fold(word: str) -> str:
    return normalise_word(word).lower()


def _as_strings(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        if values.type.tz is not None:
            values = pc.local_timestamp(values.cast(pa.timestamp(values.type.unit, tz=_SHANGHAI)))
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _narrow_text(text: pa.Array) -> pa.Array:
    if pc.all(pc.string_is_ascii(text), min_count=0).as_py():
        return text
    for wide, slim in _WIDE_SIGNS:
        text = pc.replace_substring(text, pattern=wide, replacement=slim)
    rare = mask_of(pc.match_substring_regex(text, _WIDE_LETTERS))
    if rare.any():
        flags = pa.array(rare)
        slim_rows = pa.array([value.translate(_TO_NARROW) for value in text.filter(flags).to_pylist()], pa.string())
        text = pc.replace_with_mask(text, flags, slim_rows)
    return text


def _change(cells: Cells, rule: str, values: pa.Array) -> None:
    if values is not cells.values:
        cells.normalised[rule] += int(mask_of(pc.not_equal(values, cells.values)).sum())
        cells.values = values


def _blank(values: pa.Array, rows: Mask) -> pa.Array:
    return pc.if_else(pa.array(rows), pa.scalar(None, values.type), values) if rows.any() else values


def _check_range(cells: Cells, values: pa.Array, minimum: Decimal | None, maximum: Decimal | None, wrong: Mask) -> None:
    """Add to ``wrong`` what lies outside, and report it once."""
    if minimum is not None:
        wrong |= mask_of(pc.less(pc.cast(values, pa.decimal128(38, 10)), pa.scalar(minimum, _EXACT)))
    if maximum is not None:
        wrong |= mask_of(pc.greater(pc.cast(values, pa.decimal128(38, 10)), pa.scalar(maximum, _EXACT)))
    cells.add_problem(Reason.NUMBER_RANGE, wrong)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def compile_date_format(pattern: str) -> str:
    """A regular expression for a format of %Y %m %d %H %M %S; ValueError for any other sign."""
    parts = re.split(r"(%.)", pattern)
    unknown = [part for part in parts if part.startswith("%") and part not in _DATE_GROUPS]
    if unknown or not {"%Y", "%m", "%d"} <= set(parts):
        raise ValueError(f"'{pattern}' is not a date format; use %Y %m %d, and %H %M %S")
    return "^" + "".join(_DATE_GROUPS.get(part) or re.escape(part) for part in parts) + "$"


def _extract_days(text: pa.Array, pattern: str) -> tuple[npt.NDArray[np.datetime64], Mask]:
    """(days, which rows were read) of text in one format; a day that does not exist is not read."""
    parts = pc.extract_regex(text, pattern=compile_date_format(pattern))
    matched = mask_of(pc.is_valid(parts))
    days, well = _build_days(parts, matched)
    if "%H" in pattern:
        well &= _build_seconds(parts, matched) >= 0
    return days, well


def _numbers(parts: pa.Array, name: str, matched: Mask) -> npt.NDArray[np.int64]:
    """A named group as integers; 0 where the row or an optional group did not match."""
    index = parts.type.get_field_index(name)
    if index < 0:
        return np.zeros(len(parts), dtype=np.int64)
    column = parts.field(index)
    empty = pc.or_(pc.equal(column, ""), pa.array(~matched))
    filled = pc.fill_null(pc.if_else(empty, "0", column), "0")
    return np.asarray(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False))


def _build_days(parts: pa.Array, matched: Mask) -> tuple[npt.NDArray[np.datetime64], Mask]:
    year, month, day = (_numbers(parts, name, matched) for name in ("Y", "m", "d"))
    well = matched & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(well, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(well, day - 1, 0)
    well &= days.astype("datetime64[M]") == months
    return days, well


def _build_seconds(parts: pa.Array, matched: Mask) -> npt.NDArray[np.int64]:
    """Seconds since midnight; -1 for a time that does not exist."""
    hour, minute, second = (_numbers(parts, name, matched) for name in ("H", "M", "S"))
    real = (hour < 24) & (minute < 60) & (second < 60)
    return np.where(real, hour * 3600 + minute * 60 + second, -1)


def _parse_instants(text: pa.Array) -> Cells:
    parts = pc.extract_regex(text, pattern=_INSTANT)
    matched = mask_of(pc.is_valid(parts))
    days, well = _build_days(parts, matched)
    seconds = _build_seconds(parts, matched)
    well &= seconds >= 0
    fraction = pc.utf8_rpad(pc.fill_null(parts.field(parts.type.get_field_index("f")), ""), width=6, padding="0")
    micros = np.asarray(pc.cast(fraction, pa.int64()).to_numpy(zero_copy_only=False))
    local = days.astype("datetime64[us]") + seconds * 1_000_000 + micros
    zone = pc.fill_null(parts.field(parts.type.get_field_index("z")), "")
    zoned = mask_of(pc.not_equal(zone, ""))
    naive = pa.array(np.where(well & ~zoned, local, np.datetime64("NaT")), type=pa.timestamp("us"), from_pandas=True)
    values = _assume_shanghai(naive)
    if zoned.any():
        offset = _read_offsets(zone)
        well &= np.abs(offset) <= 18 * 3600
        shifted = np.where(well & zoned, local - offset * 1_000_000, np.datetime64("NaT"))
        utc = pa.array(shifted, type=pa.timestamp("us"), from_pandas=True)
        values = pc.coalesce(values, pc.assume_timezone(utc, "UTC"))
    cells = Cells(values)
    cells.add_problem(Reason.SOURCE_TIME_MALFORMED, mask_of(pc.is_valid(text)) & ~well)
    return cells


def _read_offsets(zone: pa.Array) -> npt.NDArray[np.int64]:
    """Seconds east of Greenwich of ``Z``, ``+08:00`` or ``+0800``; 0 for no zone."""
    parts = pc.extract_regex(zone, pattern=r"^(?P<sign>[+-])(?P<H>[0-9]{2}):?(?P<M>[0-9]{2})$")
    matched = mask_of(pc.is_valid(parts))
    minus = mask_of(pc.equal(parts.field(0), "-"))
    size = _numbers(parts, "H", matched) * 3600 + _numbers(parts, "M", matched) * 60
    return np.where(minus, -size, size)


def _assume_shanghai(naive: pa.Array) -> pa.Array:
    # 1986 to 1991 had summer time: the earlier reading of a repeated hour, the later of a skipped one.
    local = pc.assume_timezone(naive, _SHANGHAI, ambiguous="earliest", nonexistent="latest")
    return local.cast(pa.timestamp("us", tz="UTC"))
