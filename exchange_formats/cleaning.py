"""Cleaning: any source column as clean text, a whole batch at a time (``exchange_formats.dirt`` lists the rules).

Most columns of most files are clean. So the bytes of a column are scanned at once, and
only the rows that hold something suspicious are looked at as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.cells import Cells
from exchange_formats.dirt import CONTROL, INVISIBLE, MOJIBAKE, SCIENTIFIC, SPACES, Dirt
from exchange_formats.formulas import QUOTE, restore
from exchange_formats.rejects import Reason
from exchange_formats.texts import Bytes, Mask, Places, Texts, mask_of

#: A larger cell is rejected before anything looks into it.
MAXIMUM_CELL_BYTES = 64 * 1024
_SHANGHAI = "Asia/Shanghai"
_SPACE: Final = 0x20
_QUOTE: Final = ord(QUOTE)
_PLUS: Final = ord("+")
_DELETE: Final = 0x7F
#: How far from a text's end the sign of its exponent stands.
_EXPONENT: Final = 3
#: One wide character in so many rows or fewer is cut out by itself.
_RARE: Final = 32
#: Bytes scanned at a time: what stays in a core's cache between two comparisons.
_BLOCK = 128 * 1024


def read_text(values: pa.Array, null_spellings: Sequence[str]) -> Cells[Texts]:
    """Any source column as clean text: unguarded, trimmed, brackets and letters narrow, null spellings null.

    Chinese punctuation other than brackets stays as it is. Cells above ``MAXIMUM_CELL_BYTES``,
    control characters, signs of a broken encoding and numbers in scientific notation are marked and read as null.
    """
    cells = Cells(Texts.of(_as_strings(values)))
    if len(cells.values.data):
        _refuse_large(cells)
        if cells.values.lowest <= _QUOTE:
            _restore_guarded(cells)
        suspects = _narrow(cells)
        if cells.values.lowest <= _SPACE:
            edges = _find_edges(cells.values)
            suspects = edges if suspects is None else suspects | edges
        if suspects is not None and suspects.any():
            _clean(cells, suspects)
        if cells.values.lowest <= _PLUS:
            _refuse_scientific(cells)
    nulls = _find_nulls(cells.values, null_spellings)
    if nulls is not None:
        cells.add_normalised(Dirt.NULL_SPELLING, nulls)
        cells.values = cells.values.blank(nulls)
    return cells


def _refuse_large(cells: Cells[Texts]) -> None:
    if int(cells.values.lengths.max()) > MAXIMUM_CELL_BYTES:
        large = cells.values.present & (cells.values.lengths > MAXIMUM_CELL_BYTES)
        cells.add_problem(Reason.CELL_TOO_LARGE, large)
        # Its bytes go, too: what is scanned below stays in proportion to the other rows.
        cells.values = Texts.of(pc.if_else(pa.array(large), pa.scalar(None, pa.string()), cells.values.array))


def _restore_guarded(cells: Cells[Texts]) -> None:
    """Take away the quote before formulas. Whoever wrote the file put it there last, so it goes first."""
    texts = cells.values
    places = np.flatnonzero(texts.data == _QUOTE)
    if not len(places):
        return
    rows = np.searchsorted(texts.offsets, places, side="right") - 1
    guarded = np.zeros(len(texts), np.bool_)
    guarded[rows[texts.offsets[rows] == places]] = True
    guarded &= texts.present
    written = texts.array.filter(pa.array(guarded)).to_pylist()
    meant = [restore(text) for text in written]
    guarded[guarded] = [before != after for before, after in zip(written, meant, strict=True)]
    if guarded.any():
        changed = [after for before, after in zip(written, meant, strict=True) if before != after]
        cells.add_normalised(Dirt.FORMULA_GUARD, guarded)
        cells.values = Texts.of(pc.replace_with_mask(texts.array, pa.array(guarded), pa.array(changed, pa.string())))


def _as_strings(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        if values.type.tz is not None:
            values = pc.local_timestamp(values.cast(pa.timestamp(values.type.unit, tz=_SHANGHAI)))
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _narrow(cells: Cells[Texts]) -> Mask | None:
    """Make wide brackets, digits, letters and spaces narrow; answers the rows that hold anything else of the list."""
    texts = cells.values
    highest = int(texts.data.max(initial=0))
    if highest < 0x80:
        return texts.rows_at(np.flatnonzero(texts.data == _DELETE)) if highest == _DELETE else None
    odd = _find_odd_characters(texts.data)
    wide = np.concatenate([odd.letters, odd.spaces])
    if len(wide):
        wide.sort()
        cells.add_normalised(Dirt.FULL_WIDTH, texts.rows_at(odd.letters))
        cells.add_normalised(Dirt.SPACE, texts.rows_at(odd.spaces))
        cells.values = _replace_wide(texts, wide)
    return texts.rows_at(odd.others) if len(odd.others) else None


def _replace_wide(texts: Texts, wide: Places) -> Texts:
    """One byte instead of the three at each of ``wide``, in order."""
    # U+FF01 to U+FF5E are EF BC 81 to EF BD 9E; the ideographic space is E3 80 80.
    low = (texts.data[wide + 1] & 0x03) << 6 | texts.data[wide + 2] & 0x3F
    slim = np.where(texts.data[wide] == 0xE3, _SPACE, low + 0x20).astype(np.uint8)
    # Where a row begins is two bytes earlier for each wide character before it.
    before = np.bincount(np.searchsorted(texts.offsets, wide, side="right"), minlength=len(texts.offsets))
    offsets = texts.offsets - 2 * np.cumsum(before, dtype=np.int32)
    if len(wide) > len(texts) // _RARE:
        data = texts.data.copy()
        data[wide] = slim
        keep = np.ones(len(data), np.bool_)
        keep[wide + 1] = keep[wide + 2] = False
        return Texts(data[keep], offsets, texts.present)
    begins, ends = [0, *(wide + 3).tolist()], [*wide.tolist(), len(texts.data)]
    kept = [texts.data[begin:end] for begin, end in zip(begins, ends, strict=True)]
    letters = [slim[place : place + 1] for place in range(len(slim))]
    pieces = [piece for pair in zip(kept, [*letters, slim[:0]], strict=True) for piece in pair]
    return Texts(np.concatenate(pieces), offsets, texts.present)


def _find_edges(texts: Texts) -> Mask:
    """Rows that begin or end with white space, or hold a control character."""
    filled = texts.lengths > 0
    last = len(texts.data) - 1
    edges = texts.data[np.minimum(texts.offsets[:-1], last)] <= _SPACE
    edges |= texts.data[np.maximum(texts.offsets[1:] - 1, 0)] <= _SPACE
    edges &= filled & texts.present
    low = np.flatnonzero(texts.data < _SPACE)
    return edges | texts.rows_at(low) if len(low) else edges


class _Odd(NamedTuple):
    """Where characters stand that are not kept as they are: wide letters and brackets, wide spaces, all others."""

    letters: Places
    spaces: Places
    others: Places


def _find_odd_characters(data: Bytes) -> _Odd:
    """By their bytes in UTF-8."""
    heads = np.concatenate([_find_heads(data, start) for start in range(0, len(data), _BLOCK)])
    end = len(data) - 1
    head, second, third = data[heads], data[np.minimum(heads + 1, end)], data[np.minimum(heads + 2, end)]
    letter = ((third >= 0x90) & (third <= 0x99)) | ((third >= 0xA1) & (third <= 0xBA))
    wide = (head == 0xEF) & (second == 0xBC) & (letter | (third == 0x88) | (third == 0x89))
    wide |= (head == 0xEF) & (second == 0xBD) & (third >= 0x81) & (third <= 0x9A)
    space = (head == 0xE3) & (second == 0x80) & (third == 0x80)
    odd = (head == 0xEF) & ((second == 0xBB) | (second == 0xBF))
    odd |= (head == 0xE2) & (((second == 0x80) & ((third <= 0x8F) | (third >= 0xA8))) | (second == 0x81))
    odd |= head == _DELETE
    odd |= (head == 0xC2) & ((second <= 0xA0) | (second == 0xAD))
    # Latin-1 letters in a row, and the third byte of 锟 (E9 94 9F) behind its other two.
    odd |= (head == 0xC3) & (third == 0xC3)
    odd |= (head == 0x9F) & (data[heads - 1] == 0x94) & (data[heads - 2] == 0xE9)
    return _Odd(heads[wide], heads[space], heads[odd])


def _find_heads(data: Bytes, start: int) -> Places:
    block = data[start : start + _BLOCK]
    marks = (block | 0x21) == 0xE3  # C2, C3, E2, E3
    marks |= block == 0xEF
    marks |= block == 0x9F
    marks |= block == _DELETE
    return np.flatnonzero(marks) + start


def _clean(cells: Cells[Texts], suspects: Mask) -> None:
    """Apply the rules of ``dirt`` to the suspicious rows, one after the other."""
    flags = pa.array(suspects)
    text = original = cells.values.array.filter(flags)

    def spread(rows: pa.Array) -> Mask:
        whole = np.zeros(len(suspects), np.bool_)
        whole[suspects] = mask_of(rows)
        return whole

    def change(rule: str, changed: pa.Array) -> pa.Array:
        cells.add_normalised(rule, spread(pc.not_equal(changed, text)))
        return changed

    mojibake = spread(pc.match_substring_regex(text, MOJIBAKE))
    control = spread(pc.match_substring_regex(text, CONTROL)) & ~mojibake
    cells.add_problem(Reason.TEXT_MOJIBAKE, mojibake)
    cells.add_problem(Reason.TEXT_CONTROL, control)
    text = change(Dirt.SPACE, pc.replace_substring_regex(text, pattern=SPACES, replacement=" "))
    text = change(Dirt.INVISIBLE, pc.replace_substring_regex(text, pattern=INVISIBLE, replacement=""))
    text = change(Dirt.TRIMMED, pc.utf8_trim_whitespace(text))
    if not text.equals(original):
        cells.values = Texts.of(pc.replace_with_mask(cells.values.array, flags, text))
    if (broken := mojibake | control).any():
        cells.values = cells.values.blank(broken)


def _refuse_scientific(cells: Cells[Texts]) -> None:
    """Spreadsheets write long numbers so, and the digits are gone: two document numbers would become one."""
    texts = cells.values
    if not len(texts.data):
        return
    rows = texts.data[np.maximum(texts.offsets[1:] - _EXPONENT, 0)] == _PLUS
    rows &= texts.present & (texts.lengths > _EXPONENT)
    if rows.any():
        rows[rows] = mask_of(pc.match_substring_regex(texts.array.filter(pa.array(rows)), SCIENTIFIC))
    if rows.any():
        cells.add_problem(Reason.TEXT_SCIENTIFIC, rows)
        cells.values = texts.blank(rows)


def _find_nulls(texts: Texts, spellings: Sequence[str]) -> Mask | None:
    """Rows whose whole text is a null spelling; only short ones that begin like one are compared."""
    words = [word for word in spellings if word]
    longest = max((len(word.encode()) for word in words), default=0)
    short = texts.lengths <= longest
    short &= texts.present
    if not short.any():
        return None
    empty = short & (texts.lengths == 0)
    nulls = empty if "" in spellings else np.zeros(len(texts), np.bool_)
    places = np.flatnonzero(short & ~empty)
    if len(places):
        begins = np.zeros(256, np.bool_)
        begins[[word.encode()[0] for word in words]] = True
        places = places[begins[texts.data[texts.offsets[places]]]]
    if len(places):
        found = pc.is_in(texts.array.take(pa.array(places)), value_set=pa.array(words, pa.string()))
        nulls[places[mask_of(found)]] = True
    return nulls
