"""Artefact files: Arrow IPC, zstd, 65 536-row batches whatever the engine's own were (architecture §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

BATCH_ROWS: Final = 65_536


@dataclass(frozen=True)
class ArtefactFile:
    """One written artefact; ``rows_sha256`` is its canonical row digest."""

    name: str
    path: Path
    rows: int
    rows_sha256: str


def write_artefact(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write ``batches`` as ``schema``, in even batches; the rows written. Equal rows give equal bytes."""
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for batch in _even(batches, schema):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _even(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count < BATCH_ROWS:
            continue
        whole = _join(held, schema)
        full = count - count % BATCH_ROWS
        for start in range(0, full, BATCH_ROWS):
            yield from whole.slice(start, BATCH_ROWS).to_batches()
        held, count = [batch.slice(batch.num_rows - (count - full))], count - full
    if count:
        yield from _join(held, schema).to_batches()


def _join(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_batches(batches).cast(schema).combine_chunks()
    return pa.Table.from_arrays([_blank(column) for column in table.columns], schema=schema)


def _blank(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Zeros behind nulls: an engine leaves there whatever its memory held, and that would be written."""
    if column.null_count == 0:
        return column
    if pa.types.is_decimal(column.type):
        zero = pa.scalar(Decimal(0), column.type)
    elif pa.types.is_primitive(column.type):
        zero = pa.scalar(0, pa.int32()).cast(column.type)
    else:
        return column
    return pc.if_else(column.is_valid(), pc.fill_null(column, zero), pa.scalar(None, column.type))
