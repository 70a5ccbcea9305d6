"""Cleaning: any source column as clean text, a whole batch at a time (``exchange_formats.dirt`` lists the rules).

Most columns of most files are clean. So the bytes of a column are scanned at once, and
only the rows that hold something suspicious are looked at as text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.cells import Cells
from exchange_formats.dirt import CONTROL, INVISIBLE, MOJIBAKE, SPACES, TO_NARROW, WIDE_LETTERS, WIDE_SIGNS, Dirt
from exchange_formats.rejects import Reason
from exchange_formats.texts import Bytes, Mask, Places, Texts, mask_of

#: A larger cell is rejected before anything looks into it.
MAXIMUM_CELL_BYTES = 64 * 1024
_SHANGHAI = "Asia/Shanghai"
#: Bytes scanned at a time: what stays in a core's cache between two comparisons.
_BLOCK = 128 * 1024


def read_text(values: pa.Array, null_spellings: Sequence[str]) -> Cells[Texts]:
    """Any source column as clean text: trimmed, brackets and letters narrow, null spellings null.

    Chinese punctuation other than brackets stays as it is. Cells above ``MAXIMUM_CELL_BYTES``,
    control characters and signs of a broken encoding are marked and read as null.
    """
    cells = Cells(Texts.of(_as_strings(values)))
    large = cells.values.present & (cells.values.lengths > MAXIMUM_CELL_BYTES)
    if large.any():
        cells.add_problem(Reason.CELL_TOO_LARGE, large)
        # Its bytes go, too: what is scanned below stays in proportion to the other rows.
        cells.values = Texts.of(pc.if_else(pa.array(large), pa.scalar(None, pa.string()), cells.values.array))
    suspects = _find_suspects(cells.values)
    if suspects is not None and suspects.any():
        _clean(cells, suspects)
    nulls = _find_nulls(cells.values, null_spellings)
    if nulls.any():
        cells.add_normalised(Dirt.NULL_SPELLING, nulls)
        cells.values = cells.values.blank(nulls)
    return cells


def _as_strings(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        if values.type.tz is not None:
            values = pc.local_timestamp(values.cast(pa.timestamp(values.type.unit, tz=_SHANGHAI)))
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _find_suspects(texts: Texts) -> Mask | None:
    """Rows that may hold dirt; None where no byte says so."""
    if not len(texts.data):
        return None
    found: list[Mask] = []
    if int(texts.data.min()) <= 0x20:
        found.append(_find_edges(texts))
        low = np.flatnonzero(texts.data < 0x20)
        found.append(texts.rows_at(low))
    if not texts.is_ascii:
        found.append(texts.rows_at(_find_odd_characters(texts.data)))
    elif int(texts.data.max()) == 0x7F:
        found.append(texts.rows_at(np.flatnonzero(texts.data == 0x7F)))
    return np.logical_or.reduce(found) if found else None


def _find_edges(texts: Texts) -> Mask:
    """Rows that begin or end with white space."""
    filled = texts.lengths > 0
    last = len(texts.data) - 1
    first = texts.data[np.minimum(texts.offsets[:-1], last)] <= 0x20
    return filled & texts.present & (first | (texts.data[np.maximum(texts.offsets[1:] - 1, 0)] <= 0x20))


def _find_odd_characters(data: Bytes) -> Places:
    """Where a character stands that ``_clean`` may change or refuse, by its bytes in UTF-8."""
    heads = np.concatenate([_find_heads(data, start) for start in range(0, len(data), _BLOCK)])
    end = len(data) - 1
    head, second, third = data[heads], data[np.minimum(heads + 1, end)], data[np.minimum(heads + 2, end)]
    wide_letter = ((third >= 0x90) & (third <= 0x99)) | ((third >= 0xA1) & (third <= 0xBA))
    odd = (head == 0xEF) & (second == 0xBC) & (wide_letter | (third == 0x88) | (third == 0x89))
    odd |= (head == 0xEF) & (second == 0xBD) & (third >= 0x81) & (third <= 0x9A)
    odd |= (head == 0xEF) & ((second == 0xBB) | (second == 0xBF))
    odd |= (head == 0xE3) & (second == 0x80) & (third == 0x80)
    odd |= (head == 0xE2) & (((second == 0x80) & ((third <= 0x8F) | (third >= 0xA8))) | (second == 0x81))
    odd |= (head == 0xE1) & (second == 0x9A) & (third == 0x80)
    odd |= (head == 0xC2) & ((second <= 0xA0) | (second == 0xAD))
    # Four Latin-1 letters in a row, and the third byte of 锟 behind its other two.
    odd |= (head == 0xC3) & (third == 0xC3)
    odd |= (head == 0x9F) & (data[np.maximum(heads - 1, 0)] == 0x94)
    return np.asarray(heads[odd], dtype=np.int64)


def _find_heads(data: Bytes, start: int) -> Places:
    block = data[start : start + _BLOCK]
    marks = block == 0xEF
    pairs = block | 1  # E2 and E3, C2 and C3
    marks |= pairs == 0xE3
    marks |= pairs == 0xC3
    marks |= block == 0xE1
    marks |= block == 0x9F
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
    text = change(Dirt.FULL_WIDTH, _narrow(text))
    text = change(Dirt.SPACE, pc.replace_substring_regex(text, pattern=SPACES, replacement=" "))
    text = change(Dirt.INVISIBLE, pc.replace_substring_regex(text, pattern=INVISIBLE, replacement=""))
    text = change(Dirt.TRIMMED, pc.utf8_trim_whitespace(text))
    if not text.equals(original):
        cells.values = Texts.of(pc.replace_with_mask(cells.values.array, flags, text))
    if (broken := mojibake | control).any():
        cells.values = cells.values.blank(broken)


def _narrow(text: pa.Array) -> pa.Array:
    for wide, slim in WIDE_SIGNS:
        text = pc.replace_substring(text, pattern=wide, replacement=slim)
    rare = mask_of(pc.match_substring_regex(text, WIDE_LETTERS))
    if rare.any():
        flags = pa.array(rare)
        slim_rows = pa.array([value.translate(TO_NARROW) for value in text.filter(flags).to_pylist()], pa.string())
        text = pc.replace_with_mask(text, flags, slim_rows)
    return text


def _find_nulls(texts: Texts, spellings: Sequence[str]) -> Mask:
    """Rows whose whole text is a null spelling; only short ones are compared."""
    nulls = texts.present & (texts.lengths == 0) if "" in spellings else np.zeros(len(texts), np.bool_)
    words = [word for word in spellings if word]
    if words and len(texts.data):
        longest = max(len(word.encode()) for word in words)
        short = texts.present & (texts.lengths <= longest) & (texts.lengths > 0)
        if short.any():
            found = pc.is_in(texts.array.filter(pa.array(short)), value_set=pa.array(words, pa.string()))
            nulls[short] = mask_of(found)
    return nulls
