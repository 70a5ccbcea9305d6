"""Compaction: many small batches of a dataset copied into few files, so that reading them costs few requests.

The batches stay: a compaction is no evidence, and who reads it gets the same rows with the same lineage
(semantics §6). A file holds rows of one deletion month, so a purge takes it whole, as it takes their parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa

from connectors.lake import Lake, StoredFile
from connectors.parts import BATCH_ROWS, PART_ROWS, cut_batches, write_part
from connectors.spool import Spool
from exchange_formats.datasets import LINEAGE_FIELDS
from exchange_formats.keys import compacted_prefix
from exchange_formats.manifests import CompactedFile, CompactManifest
from gateway.locks import work_alone
from gateway.purging import list_datasets

#: So many small batches are worth a copy; below it reading them is no burden.
MINIMUM_BATCHES: Final = 32
#: A batch with a part of more rows than this is not small: copying it would save nothing.
_SMALL_ROWS: Final = BATCH_ROWS


@dataclass(frozen=True, slots=True)
class Compacted:
    """One compaction: how many batches with how many parts became how many files."""

    department: str
    dataset: str
    batches: int
    parts: int
    files: int
    rows: int


def compact_lake(lake: Lake, *, spool: Path, minimum: int = MINIMUM_BATCHES) -> tuple[Compacted, ...]:
    """Compact every dataset that has at least ``minimum`` small batches which no compaction copies.

    Raises:
        TransientError: a compaction or a purge is at work here, or the store is away.
        FatalError: a chain that is broken.
    """
    # Not while a purge is at work: what it takes out must not be copied.
    with work_alone("purge", spool):
        return tuple(found for one in list_datasets(lake) for found in _compact(lake, *one, spool, minimum))


def _compact(lake: Lake, department: str, dataset: str, spool: Path, minimum: int) -> Iterator[Compacted]:
    chain = lake.dataset_chain(department, dataset)
    copied = {parent for one in lake.compactions(department, dataset) for parent in one.parents}
    small = {
        batch.batch_id: batch
        for batch in chain.batches
        if batch.sha256 not in copied and batch.parts and max(part.rows for part in batch.parts) <= _SMALL_ROWS
    }
    files = [one for one in chain.files() if not one.rejects and one.batch.batch_id in small]
    if len(small) < minimum or not files:
        return
    files.sort(key=lambda one: (one.batch.contract, one.part.delete_month or "", one.batch.sequence, one.key))
    prefix = compacted_prefix(department, dataset)
    with Spool(spool, f"compact-{department}-{dataset}") as folder:
        written = []
        for _, group in groupby(files, key=lambda one: (one.batch.contract, one.part.delete_month)):
            for pieces in _fill(list(group)):
                written.append(_copy(lake, pieces, folder))
        for one in written:
            lake.store.put_file(prefix + one.part.name, folder / one.part.name)
        manifest = CompactManifest(
            parents=tuple(sorted(batch.sha256 for batch in small.values())),
            sequence=1 + len(lake.compactions(department, dataset)),
            department=department,
            dataset=dataset,
            files=tuple(written),
        )
        lake.commit(prefix, manifest)
    rows = sum(one.part.rows for one in written)
    yield Compacted(department, dataset, len(small), len(files), len(written), rows)


def _fill(files: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
    """Neighbours together as long as they fit into one file."""
    held: list[StoredFile] = []
    rows = 0
    for file in files:
        if held and rows + file.part.rows > PART_ROWS:
            yield held
            held, rows = [], 0
        held.append(file)
        rows += file.part.rows
    yield held


def _copy(lake: Lake, files: Sequence[StoredFile], folder: Path) -> CompactedFile:
    """One file with the rows of ``files`` and their lineage, named by its digest."""
    with pa.OSFile(str(lake.fetch(files[0].key, files[0].part.sha256))) as source, pa.ipc.open_file(source) as reader:
        own = reader.schema.remove_metadata()
    schema = pa.schema([*own, *LINEAGE_FIELDS])
    rows = sum(one.part.rows for one in files)
    path = folder / "compacted.arrow"
    batch = files[0].batch
    labels = {"contract": batch.contract, "dataset": batch.dataset, "department": batch.department}
    part = write_part(path, schema, cut_batches(_read(lake, files), schema), rows, labels)
    name = f"{part.sha256[:32]}.arrow"
    path.rename(folder / name)
    named = part.model_copy(update={"name": name, "delete_month": files[0].part.delete_month})
    return CompactedFile(part=named, contract=batch.contract, sources=tuple(one.part.sha256 for one in files))


def _read(lake: Lake, files: Sequence[StoredFile]) -> Iterator[pa.RecordBatch]:
    for one in files:
        with pa.OSFile(str(lake.fetch(one.key, one.part.sha256))) as source, pa.ipc.open_file(source) as reader:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                lineage = [
                    pa.array([one.batch.batch_id] * batch.num_rows, pa.string()),
                    pa.array([one.batch.sequence] * batch.num_rows, pa.int64()),
                ]
                names = [*batch.schema.names, *LINEAGE_FIELDS.names]
                yield pa.RecordBatch.from_arrays([*batch.columns, *lineage], names=names)
