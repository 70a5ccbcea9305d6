"""Parts: immutable Arrow files whose bytes depend on their rows only (architecture §5.1).

IPC file format, zstd, record batches of 65 536 rows. What lies under a null is
zeroed before it is written, so that equal rows give equal bytes whichever library
computed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.digests import digest_file
from exchange_formats.manifests import Part

BATCH_ROWS = 65_536
#: A part is one request that is held in memory, so a big month becomes several parts.
PART_ROWS = 8 * BATCH_ROWS
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd", metadata_version=pa.MetadataVersion.V5)


def write_part(
    path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows: int, metadata: Mapping[str, str]
) -> Part:
    """Write ``rows`` rows to ``path``; ``metadata`` (and the row count) goes into the schema."""
    labels = {**metadata, "rows": str(rows)}
    described = schema.with_metadata({key: labels[key] for key in sorted(labels)})
    with pa.ipc.new_file(str(path), described, options=_OPTIONS) as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays([_canonical(c) for c in batch.columns], schema=described))
    return Part(name=path.name, rows=rows, bytes=path.stat().st_size, sha256=digest_file(path))


def rename_columns(source: Path, target: Path, columns: Mapping[str, str]) -> None:
    """Copy the part ``source`` with only ``columns`` (new name → its own) that it holds, a record batch at a time."""
    with pa.OSFile(str(source)) as file, pa.ipc.open_file(file) as reader:
        held = {name: own for name, own in columns.items() if own in reader.schema.names}
        schema = pa.schema([reader.schema.field(own).with_name(name) for name, own in held.items()])
        with pa.ipc.new_file(str(target), schema, options=_OPTIONS) as writer:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                arrays = [batch.column(own) for own in held.values()]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def cut_batches(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows cast to ``schema`` in batches of ``BATCH_ROWS``; only the last may be smaller."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= BATCH_ROWS:
            table = pa.Table.from_batches(waiting)
            yield _merge(table.slice(0, BATCH_ROWS), schema)
            rest = table.slice(BATCH_ROWS)
            waiting, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield _merge(pa.Table.from_batches(waiting), schema)


def _merge(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.concat_arrays(table.column(field.name).chunks).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _canonical(array: pa.Array) -> pa.Array:
    """The same values in fresh buffers: zeros under nulls, no bitmap without nulls, zero bits behind the end."""
    filled = pc.fill_null(array, _zero(array.type)) if array.null_count else array
    if pa.types.is_boolean(array.type):
        values = [_pack(filled)]
    else:
        values = filled.take(pa.array(np.arange(len(filled)))).buffers()[1:]
    bitmap = _pack(array.is_valid()) if array.null_count else None
    return pa.Array.from_buffers(array.type, len(array), [bitmap, *values], null_count=array.null_count)


def _pack(flags: pa.Array) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags.to_numpy(zero_copy_only=False), bitorder="little").tobytes())


def _zero(kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_string(kind):
        return pa.scalar("", kind)
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(0), kind)
    return pa.scalar(0, pa.int32() if pa.types.is_date32(kind) else pa.int64()).cast(kind)
