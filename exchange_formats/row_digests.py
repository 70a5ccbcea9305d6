"""The canonical row digest of an artefact: what a replay must reproduce (semantics §6).

The rows are dealt into 64 buckets by their subject's hash; each bucket is hashed in the artefact's
own order, column by column, in a fixed encoding; the artefact's digest is that of its buckets'.
So it depends on the rows and their order alone: not on files, record batches, engines or the
number of shards, as long as a bucket is never split between two shards.

Encoding of one bucket, a SHA-256 for every leaf: fixed-width values little-endian (a null as
zeros), booleans as one byte, text as UTF-8; before them, as a leaf of its own, one byte a value (1: there
is one; 0: null), or for a text or list the four bytes of its length in bytes or items (a null: -1).
A list's items and a struct's fields follow as leaves of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BUCKETS: Final = 64
#: The column that says whose a row is; rows of an artefact without it are all in bucket 0.
SUBJECT: Final = "subject_ref"
#: Batches are gathered to about this many rows: fewer, longer stretches a bucket to hash.
_GATHERED_ROWS: Final = 1 << 18

Bounds = npt.NDArray[np.int64]


def bucket_of(subject_ref: str) -> int:
    """The bucket of a subject: the first six bits of the SHA-256 of its reference."""
    return hashlib.sha256(subject_ref.encode()).digest()[0] >> 2


class RowDigest:
    """The digests of the buckets of one artefact, or of one shard of it, fed in the artefact's order."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._hashers: dict[int, list[Any]] = {}
        self._held: list[pa.RecordBatch] = []

    def update(self, batch: pa.RecordBatch) -> None:
        """The next rows, of the artefact's schema."""
        self._held.append(batch)
        if sum(held.num_rows for held in self._held) >= _GATHERED_ROWS:
            self._hash_held()

    def buckets(self) -> dict[int, str]:
        """Bucket → digest (hex) of every bucket that has rows."""
        self._hash_held()
        found = {}
        for bucket, hashers in sorted(self._hashers.items()):
            found[bucket] = hashlib.sha256(b"".join(hasher.digest() for hasher in hashers)).hexdigest()
        return found

    def _hash_held(self) -> None:
        table = pa.Table.from_batches(self._held, self._schema).combine_chunks()
        self._held = []
        if table.num_rows == 0:
            return
        present, bounds, table = _deal(table)
        for place, leaf in enumerate(leaf for column in table.columns for leaf in _leaves(column, bounds)):
            for index, bucket in enumerate(present):
                hashers = self._hashers.setdefault(bucket, [])
                if place == len(hashers):
                    hashers.append(hashlib.sha256())
                hashers[place].update(leaf.data[leaf.bounds[index] : leaf.bounds[index + 1]])


def combine_buckets(shards: Iterable[Mapping[int, str]]) -> str:
    """The artefact's digest (hex) from its shards' buckets; ValueError where two of them hold rows of one bucket."""
    found: dict[int, str] = {}
    for buckets in shards:
        if repeated := found.keys() & buckets.keys():
            raise ValueError(f"buckets in two shards: {sorted(repeated)}")
        found |= buckets
    digest = hashlib.sha256()
    for bucket, sha256 in sorted(found.items()):
        digest.update(bytes([bucket]) + bytes.fromhex(sha256))
    return digest.hexdigest()


def digest_rows(schema: pa.Schema, shards: Iterable[Iterable[pa.RecordBatch]]) -> str:
    """The artefact's digest (hex) of rows that are there: of each shard its batches, in order."""
    found = []
    for batches in shards:
        digest = RowDigest(schema)
        for batch in batches:
            digest.update(batch)
        found.append(digest.buckets())
    return combine_buckets(found)


@dataclass(frozen=True)
class _Leaf:
    """Bytes of one leaf column, and where each bucket's begin and end."""

    data: memoryview
    bounds: Sequence[int]


def _deal(table: pa.Table) -> tuple[list[int], Bounds, pa.Table]:
    """The buckets there are, where each begins (and the last ends), and the rows bucket by bucket."""
    if SUBJECT not in table.schema.names:
        return [0], np.array([0, table.num_rows]), table
    numbers = _bucket_numbers(table[SUBJECT])
    present, counts = np.unique(numbers, return_counts=True)
    order = np.argsort(numbers, kind="stable")
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return present.tolist(), bounds, table.take(pa.array(order)).combine_chunks()


def _bucket_numbers(subjects: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """One number a row; a subject's rows stand together, so its hash is taken once for all of them."""
    runs = pc.run_end_encode(subjects.combine_chunks())
    numbers = np.fromiter((bucket_of(ref) for ref in runs.values.to_pylist()), np.uint8, len(runs.values))
    return np.repeat(numbers, np.diff(runs.run_ends.to_numpy(), prepend=0))


def _leaves(column: pa.ChunkedArray | pa.Array, bounds: Bounds) -> Iterator[_Leaf]:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    if pa.types.is_string(kind):
        yield _fixed(pc.fill_null(pc.binary_length(array), -1), bounds)
        yield _text(pc.fill_null(array, ""), bounds)
    elif pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), -1)
        yield _fixed(lengths, bounds)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(lengths.to_numpy(), 0), dtype=np.int64)])
        yield from _leaves(array.flatten(), ends[bounds])
    elif pa.types.is_struct(kind):
        yield _fixed(array.is_valid().cast(pa.uint8()), bounds)
        for child in array.flatten():
            yield from _leaves(child, bounds)
    else:
        yield _fixed(array.is_valid().cast(pa.uint8()), bounds)
        yield _fixed(_without_nulls(array), bounds)


def _without_nulls(array: pa.Array) -> pa.Array:
    if pa.types.is_boolean(array.type):
        return pc.fill_null(array.cast(pa.uint8()), 0)
    if pa.types.is_decimal(array.type):
        return pc.fill_null(array, pa.scalar(Decimal(0), array.type))
    whole = pa.int32() if array.type.bit_width <= 32 else pa.int64()
    return pc.fill_null(array, pa.scalar(0, whole).cast(array.type))


def _fixed(array: pa.Array, bounds: Bounds) -> _Leaf:
    """Values of one width, no nulls: the values' buffer."""
    width = array.type.bit_width // 8
    start = array.offset * width
    data = memoryview(array.buffers()[1] or b"")[start : start + len(array) * width]
    return _Leaf(data, (bounds * width).tolist())


def _text(array: pa.Array, bounds: Bounds) -> _Leaf:
    """Texts, no nulls: the stretch of the data's buffer that they take."""
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    data = memoryview(array.buffers()[2] or b"")
    return _Leaf(data, offsets[bounds].tolist())
