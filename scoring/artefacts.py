"""Artefact files: Arrow IPC, zstd, 65 536-row batches whatever the engine's own were (architecture §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.digests import digest_file
from exchange_formats.manifests import Artefact, ArtefactFile
from exchange_formats.results import ARTEFACTS
from exchange_formats.row_digests import RowDigest, combine_buckets, digest_rows
from exchange_formats.shards import Shard, ShardFile

BATCH_ROWS: Final = 65_536


def write_artefact(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> tuple[int, dict[int, str]]:
    """Write ``batches`` as ``schema``, in even batches: the rows written, and the digests of their buckets.

    Equal rows give equal bytes.
    """
    rows = 0
    digest = RowDigest(schema)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for batch in _even(batches, schema):
            writer.write_batch(batch)
            digest.update(batch)
            rows += batch.num_rows
    return rows, digest.buckets()


def write_shard_file(
    folder: Path, shard: Shard, artefact: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None
) -> ShardFile:
    """Write one shard's rows of ``artefact`` into ``folder``; by default of the schema ``ARTEFACTS`` names."""
    path = folder / shard.name_file(artefact)
    rows, buckets = write_artefact(path, schema or ARTEFACTS[artefact], batches)
    return ShardFile(
        artefact=artefact,
        name=path.name,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=digest_file(path),
        buckets=buckets,
    )


def join_files(artefact: str, files: Sequence[ShardFile]) -> Artefact:
    """One artefact of its shards' files; a file without rows is left out, unless there is no other.

    Raises:
        ValueError: two files hold rows of one bucket.
    """
    kept = [file for file in files if file.rows] or list(files[:1])
    return Artefact(
        name=artefact,
        rows=sum(file.rows for file in kept),
        rows_sha256=combine_buckets(file.buckets for file in kept),
        files=tuple(ArtefactFile(name=f.name, rows=f.rows, bytes=f.bytes, sha256=f.sha256) for f in kept),
    )


def digest_artefact(paths: Iterable[Path], schema: pa.Schema) -> str:
    """The canonical row digest of an artefact's files, read in their order.

    Raises:
        ValueError: the files do not hold whole buckets, so that they are not the shards of one artefact.
    """
    return digest_rows(schema, (read_batches([path]) for path in paths))


def read_batches(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """The batches of an artefact's files, one after the other; only one is in memory at a time."""
    for path in paths:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)


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
        whole = pa.int32() if column.type.bit_width <= 32 else pa.int64()
        zero = pa.scalar(0, whole).cast(column.type)
    else:
        return column
    return pc.if_else(column.is_valid(), pc.fill_null(column, zero), pa.scalar(None, column.type))
