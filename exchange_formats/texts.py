"""Texts: one column of text as bytes and offsets, so that a whole batch is looked at at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Places: TypeAlias = npt.NDArray[np.int64]
#: How many rows tell whether a column repeats itself, and how many of them may differ.
_SAMPLE, _SAMPLE_DISTINCT = 2048, 1900


@dataclass(frozen=True, eq=False)
class Texts:
    """``data`` holds the UTF-8 bytes of all rows, ``offsets`` (rows + 1) where each begins.

    ``present`` says which rows are there; the bytes of a row that is not present mean nothing.
    """

    data: Bytes
    offsets: npt.NDArray[np.int32]
    present: Mask

    @classmethod
    def of(cls, array: pa.Array) -> Texts:
        """Views of a string array; its bytes are not copied."""
        if not len(array):
            return cls(np.zeros(0, np.uint8), np.zeros(1, np.int32), np.zeros(0, np.bool_))
        _, places, content = array.buffers()
        offsets = np.frombuffer(places, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
        whole = np.frombuffer(content, dtype=np.uint8) if content is not None else np.zeros(0, np.uint8)
        begin, end = int(offsets[0]), int(offsets[-1])
        present = mask_of(array.is_valid()) if array.null_count else np.ones(len(array), np.bool_)
        return cls(whole[begin:end], offsets if begin == 0 else offsets - np.int32(begin), present)

    def __len__(self) -> int:
        return len(self.present)

    @cached_property
    def array(self) -> pa.Array:
        """As Arrow sees it."""
        bitmap = None if self.count == len(self) else pa.py_buffer(np.packbits(self.present, bitorder="little"))
        buffers = [bitmap, pa.py_buffer(np.ascontiguousarray(self.offsets)), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.string(), len(self), buffers)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Bytes of each row."""
        return np.diff(self.offsets)

    @cached_property
    def count(self) -> int:
        """How many rows are present."""
        return int(np.count_nonzero(self.present))

    @cached_property
    def is_ascii(self) -> bool:
        """Whether no byte lies outside ASCII."""
        return not len(self.data) or int(self.data.max()) < 0x80

    @cached_property
    def lowest(self) -> int:
        """The lowest byte; 255 where there is none."""
        return int(self.data.min(initial=0xFF))

    def blank(self, rows: Mask) -> Texts:
        """The same texts, ``rows`` no longer present."""
        return Texts(self.data, self.offsets, self.present & ~rows)

    def take_fixed(self, width: int) -> tuple[Mask, Bytes]:
        """Which rows are ``width`` bytes long, and their bytes one after the other."""
        chosen = self.lengths == width
        chosen &= self.present
        count = int(np.count_nonzero(chosen))
        if count * width == len(self.data):  # no other row holds a byte
            return chosen, self.data
        if count == 0:
            return chosen, self.data[:0]
        return chosen, Texts.of(self.array.filter(pa.array(chosen))).data

    def rows_at(self, places: Places) -> Mask:
        """The rows that hold the bytes at ``places``."""
        rows = np.zeros(len(self), np.bool_)
        if len(places):
            rows[np.searchsorted(self.offsets, places, side="right") - 1] = True
        return rows & self.present


def mask_of(flags: pa.Array | pa.ChunkedArray) -> Mask:
    """An Arrow boolean array as numpy; null is False."""
    filled = pc.fill_null(flags, fill_value=False) if flags.null_count else flags
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)


def build_array(kind: pa.DataType, values: npt.NDArray[Any], known: Mask) -> pa.Array:
    """``values`` as an Arrow array of a type of the same width, null where not ``known``; nothing is copied."""
    bitmap = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))])


def repeats_itself(array: pa.Array) -> bool:
    """Whether a sample says that reading each distinct text once is cheaper than reading all."""
    sample = array.slice(0, _SAMPLE)
    return len(array) > _SAMPLE and pc.count_distinct(sample, mode="all").as_py() <= _SAMPLE_DISTINCT
