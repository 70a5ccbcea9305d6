"""Cells: one column's clean text turned into typed values, a whole batch at a time (facts §6.6).

Nothing is guessed: a value that cannot be read exactly is marked with its reason and
left null. What is changed without loss of meaning (sentinel dates, widths, declared
units) is counted by rule (``exchange_formats.dirt``).

Columns repeat themselves: where a sample does, only the distinct texts are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.days import NO_DAY, DateFormat, read_days, read_zoned
from exchange_formats.dirt import Dirt, normalise_word
from exchange_formats.rejects import Reason
from exchange_formats.subjects import narrow
from exchange_formats.texts import Mask, Places, Texts, build_array, mask_of, repeats_itself

Values = TypeVar("Values")

DATE_FORMATS: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")
#: Dates outside are typing errors, not facts.
_EARLIEST, _LATEST = date(1900, 1, 1), date(2199, 12, 31)
_SHANGHAI = "Asia/Shanghai"
_DECIMAL_TEXT = r"^[+-]?[0-9]{1,18}(\.[0-9]{1,10})?$"
#: Numbers that are well written and have more digits than any type here.
_LONG_DECIMAL = r"^[+-]?[0-9]{19,}(\.[0-9]+)?$"
_FINE_DECIMAL = r"^[+-]?[0-9]{1,18}\.[0-9]{11,}$"
_EXACT = pa.decimal128(28, 10)
_INTEGER_TEXT = r"^[+-]?[0-9]{1,15}(\.0+)?$"
_LONG_INTEGER = r"^[+-]?[0-9]{16,}(\.0+)?$"
_FRACTION = r"^[+-]?[0-9]+\.[0-9]*[1-9][0-9]*$"
#: Digits and a point that are certainly a number every type here can hold.
_PLAIN_LENGTH: Final = 15
#: How far from a text's end the point of two decimals stands.
_CENTS: Final = 3
_YES = ("true", "t", "yes", "y", "1", "是")
_NO = ("false", "f", "no", "n", "0", "否")


@dataclass
class Cells(Generic[Values]):
    """Values of one column; ``problems`` are the rows that could not be read, ``normalised`` those that were changed.

    Both name a reason or a rule and the rows it was found in.
    """

    values: Values
    problems: list[tuple[str, Mask]] = field(default_factory=list)
    normalised: list[tuple[str, Mask]] = field(default_factory=list)

    def add_problem(self, reason: str, rows: Mask) -> None:
        """Mark ``rows``; nothing happens where none is marked."""
        if rows.any():
            self.problems.append((reason, rows))

    def add_normalised(self, rule: str, rows: Mask) -> None:
        """Count ``rows`` under ``rule``; nothing happens where none is marked."""
        if rows.any():
            self.normalised.append((rule, rows))


@dataclass(frozen=True)
class Scale:
    """What money is multiplied by: ``rule`` counts it; ``rounded`` says that the product may need half-up rounding."""

    factor: Decimal
    rule: str
    rounded: bool = False


def read_dates(
    texts: Texts,
    formats: Sequence[DateFormat],
    sentinels: Sequence[str],
    horizon: date,
    *,
    may_be_future: bool,
) -> Cells[pa.Array]:
    """Dates in one of ``formats``; ``sentinels`` become null.

    A day before 1900 or after 2199 (assumption), and one after ``horizon`` unless it may be future, are problems.
    """
    if not texts.count:
        return Cells(pa.nulls(len(texts), pa.date32()))
    days, timed = read_days(texts, formats)
    known = days != NO_DAY
    cells: Cells[pa.Array] = Cells(pa.nulls(0))
    sentinel = np.zeros(len(texts), np.bool_)
    for mark in (_to_day(date.fromisoformat(text)) for text in sentinels if _is_day(text)):
        sentinel |= days == mark
    unread = texts.present & ~known
    if unread.any():
        words = pa.array(list(sentinels), pa.string())
        sentinel |= unread & mask_of(pc.is_in(texts.array, value_set=words))
        cells.add_problem(Reason.DATE_MALFORMED, unread & ~sentinel)
    cells.add_normalised(Dirt.SENTINEL_DATE, sentinel)
    known &= ~sentinel
    outside = (days < _to_day(_EARLIEST)) | (days > _to_day(_LATEST))
    outside &= known
    cells.add_problem(Reason.DATE_RANGE, outside)
    if not may_be_future:
        future = days > _to_day(horizon)
        future &= known & ~outside
        cells.add_problem(Reason.DATE_FUTURE, future)
    if timed is not None:
        cells.add_normalised(Dirt.TIME_DROPPED, timed & known)
    cells.values = build_array(pa.date32(), days, known)
    return cells


def read_instants(values: pa.Array, texts: Texts, horizon: datetime) -> Cells[pa.Array]:
    """When the source says a row changed, as UTC; without a zone it is Shanghai. Null and after ``horizon`` are wrong.

    ``values`` is the column as it came, ``texts`` its clean text: a typed timestamp is not read twice.
    """
    if pa.types.is_timestamp(values.type):
        micro = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False)
        local = values.type.tz is None
        cells = Cells(_assume_shanghai(micro) if local else micro.cast(pa.timestamp("us", tz="UTC")))
        missing = mask_of(pc.is_null(values))
    else:
        cells = _read_distinct(texts, _parse_instants)
        missing = ~texts.present
    cells.add_problem(Reason.SOURCE_TIME_MISSING, missing)
    limit = pa.scalar(horizon, type=pa.timestamp("us", tz="UTC"))
    cells.add_problem(Reason.SOURCE_TIME_FUTURE, mask_of(pc.greater(cells.values, limit)))
    return cells


def read_decimals(
    texts: Texts, target: pa.DataType, scale: Scale | None, minimum: Decimal | None, maximum: Decimal | None
) -> Cells[pa.Array]:
    """Exact decimals times ``scale``; more decimals than ``target`` keeps is a problem, never rounded.

    Only a ``scale`` that says so is rounded half up.
    """
    if not texts.count:
        return Cells(pa.nulls(len(texts), target))
    plain = _cast_plain(texts, target) if scale is None else None
    if plain is not None and _lies_within(plain, minimum, maximum):
        return Cells(plain)

    def read(text: pa.Array) -> Cells[pa.Array]:
        text = narrow(text)
        cells: Cells[pa.Array] = Cells(pa.nulls(0))
        written = mask_of(pc.match_substring_regex(text, _DECIMAL_TEXT))
        _explain_unread(cells, text, written, fine=_FINE_DECIMAL, long=_LONG_DECIMAL)
        exact = pc.cast(_blank(text, ~written), _EXACT)
        if scale is not None:
            cells.add_normalised(scale.rule, written)
            exact = pc.multiply(exact, pa.scalar(scale.factor))
        half_up = "half_towards_infinity"
        rounded = pc.round(exact, ndigits=target.scale, round_mode=half_up)
        inexact = mask_of(pc.not_equal(exact, rounded))
        if scale is not None and scale.rounded:
            inexact = np.zeros(len(text), np.bool_)
        cells.add_problem(Reason.NUMBER_INEXACT, inexact)
        limit = Decimal(10) ** (target.precision - target.scale)
        wrong = mask_of(pc.greater_equal(pc.abs(rounded), pa.scalar(limit, pa.decimal128(24, 0))))
        _check_range(cells, rounded, minimum, maximum, wrong)
        cells.values = pc.cast(_blank(rounded, inexact | wrong), target)
        return cells

    return _read_distinct(texts, read)


def read_integers(texts: Texts, minimum: Decimal | None, maximum: Decimal | None) -> Cells[pa.Array]:
    """Whole numbers; a trailing ``.0`` (spreadsheets write it) is no fraction."""
    if not texts.count:
        return Cells(pa.nulls(len(texts), pa.int64()))
    plain = _cast_plain(texts, pa.int64())
    if plain is not None and _lies_within(plain, minimum, maximum):
        return Cells(plain)

    def read(text: pa.Array) -> Cells[pa.Array]:
        text = narrow(text)
        cells: Cells[pa.Array] = Cells(pa.nulls(0))
        written = mask_of(pc.match_substring_regex(text, _INTEGER_TEXT))
        _explain_unread(cells, text, written, fine=_FRACTION, long=_LONG_INTEGER)
        cells.add_normalised(Dirt.TRAILING_ZERO, written & mask_of(pc.match_substring(text, ".")))
        whole = pc.replace_substring_regex(_blank(text, ~written), pattern=r"^\+|\.0+$", replacement="")
        values = pc.cast(whole, pa.int64())
        wrong = np.zeros(len(text), dtype=np.bool_)
        _check_range(cells, values, minimum, maximum, wrong)
        cells.values = _blank(values, wrong)
        return cells

    return _read_distinct(texts, read)


def read_booleans(texts: Texts, codes: Mapping[str, str] | None) -> Cells[pa.Array]:
    """Yes and no: as ``codes`` says (source text → ``true`` or ``false``), else the usual spellings and 是/否."""
    words = codes or dict.fromkeys(_YES, "true") | dict.fromkeys(_NO, "false")
    folded = {_fold(word): meaning == "true" for word, meaning in words.items()}
    if not texts.count:
        return Cells(pa.nulls(len(texts), pa.bool_()))

    def read(text: pa.Array) -> Cells[pa.Array]:
        lowered = pc.utf8_lower(narrow(text))
        place = pc.index_in(lowered, value_set=pa.array(list(folded), pa.string()))
        cells = Cells(pa.array(list(folded.values()), pa.bool_()).take(place))
        cells.add_problem(Reason.BOOLEAN_MALFORMED, mask_of(pc.and_(pc.is_valid(text), pc.is_null(place))))
        return cells

    return _read_distinct(texts, read)


def read_codes(texts: Texts, codes: Mapping[str, str]) -> Cells[pa.Array]:
    """Source text → code, as a dictionary array; a text that is not listed is a problem, never passed on."""
    distinct = list(dict.fromkeys(codes.values()))
    values = pa.array(distinct, pa.string())
    if not texts.count:
        return Cells(pa.DictionaryArray.from_arrays(pa.nulls(len(texts), pa.int32()), values))
    place = pc.index_in(texts.array, value_set=pa.array([normalise_word(word) for word in codes], pa.string()))
    meaning = pa.array([distinct.index(code) for code in codes.values()], pa.int32())
    straight = len(distinct) == len(codes)
    cells = Cells(pa.DictionaryArray.from_arrays(place if straight else meaning.take(place), values))
    if place.null_count > len(texts) - texts.count:
        cells.add_problem(Reason.CODE_UNKNOWN, texts.present & mask_of(pc.is_null(place)))
    return cells


def _read_distinct(texts: Texts, read: Callable[[pa.Array], Cells[pa.Array]]) -> Cells[pa.Array]:
    """``read`` the whole column, or, where a sample repeats itself, each distinct text once."""
    array = texts.array
    if not repeats_itself(array):
        return read(array)
    encoded = array.dictionary_encode()
    found = read(encoded.dictionary)
    place = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)

    def spread(rows: Mask) -> Mask:
        return np.asarray(np.append(rows, [False]).take(place), dtype=np.bool_)

    cells = Cells(found.values.take(encoded.indices))
    cells.problems = [(reason, spread(rows)) for reason, rows in found.problems]
    cells.normalised = [(rule, spread(rows)) for rule, rows in found.normalised]
    return cells


def _cast_plain(texts: Texts, target: pa.DataType) -> pa.Array | None:
    """Numbers of digits with at most one point, all at once; None where any of them asks for a closer look."""
    digits = texts.data - np.uint8(ord("0"))
    odd = np.flatnonzero(digits > 9)
    longest = int(texts.lengths.max())
    if longest > _PLAIN_LENGTH or (len(odd) and not _are_points(texts, odd, target)):
        return None
    try:
        return pc.cast(texts.array, target)
    except pa.ArrowInvalid:
        return None


def _are_points(texts: Texts, places: Places, target: pa.DataType) -> bool:
    """Whether the bytes at ``places`` are decimal points inside their rows, one a row at most."""
    if pa.types.is_integer(target) or not (texts.data[places] == ord(".")).all():
        return False
    ends = texts.offsets[1:]
    if len(places) == len(texts) and (texts.lengths > _CENTS).all() and (places == ends - _CENTS).all():
        return True  # two decimals everywhere
    rows = np.searchsorted(texts.offsets, places, side="right") - 1
    inside = (places > texts.offsets[rows]) & (places < texts.offsets[rows + 1] - 1)
    return bool(inside.all()) and bool((np.diff(rows) > 0).all())


def _lies_within(values: pa.Array, minimum: Decimal | None, maximum: Decimal | None) -> bool:
    if minimum is None and maximum is None:
        return True
    found = pc.min_max(values)
    least, most = found["min"].as_py(), found["max"].as_py()
    return (minimum is None or least >= minimum) and (maximum is None or most <= maximum)


def _fold(word: str) -> str:
    return normalise_word(word).lower()


def _blank(values: pa.Array, rows: Mask) -> pa.Array:
    return pc.if_else(pa.array(rows), pa.scalar(None, values.type), values) if rows.any() else values


def _explain_unread(cells: Cells[pa.Array], text: pa.Array, written: Mask, *, fine: str, long: str) -> None:
    """Why what is not ``written`` as a number here is none: too ``fine``, too ``long`` (patterns), or no number."""
    left = mask_of(pc.is_valid(text)) & ~written
    if not left.any():
        return
    inexact, huge = (left & mask_of(pc.match_substring_regex(text, pattern)) for pattern in (fine, long))
    cells.add_problem(Reason.NUMBER_INEXACT, inexact)
    cells.add_problem(Reason.NUMBER_RANGE, huge)
    cells.add_problem(Reason.NUMBER_MALFORMED, left & ~inexact & ~huge)


def _check_range(
    cells: Cells[pa.Array], values: pa.Array, minimum: Decimal | None, maximum: Decimal | None, wrong: Mask
) -> None:
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


def _to_day(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _parse_instants(text: pa.Array) -> Cells[pa.Array]:
    read = read_zoned(narrow(text))
    empty = np.datetime64("NaT")
    naive = np.where(read.known & ~read.zoned, read.micros, empty)
    values = _assume_shanghai(pa.array(naive, type=pa.timestamp("us"), from_pandas=True))
    if read.zoned.any():
        shifted = np.where(read.known & read.zoned, read.micros - read.offset, empty)
        utc = pa.array(shifted, type=pa.timestamp("us"), from_pandas=True)
        values = pc.coalesce(values, pc.assume_timezone(utc, "UTC"))
    cells = Cells(values)
    cells.add_problem(Reason.SOURCE_TIME_MALFORMED, mask_of(pc.is_valid(text)) & ~read.known)
    return cells


def _assume_shanghai(naive: pa.Array) -> pa.Array:
    # 1986 to 1991 had summer time: the earlier reading of a repeated hour, the later of a skipped one.
    local = pc.assume_timezone(naive, _SHANGHAI, ambiguous="earliest", nonexistent="latest")
    return local.cast(pa.timestamp("us", tz="UTC"))
