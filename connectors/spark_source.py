"""The lake as a data source of Apache Spark: one partition a part, fetched and verified where it is read.

A worker fetches a part from the object store by its key and checks it against its digest, as
everybody does; nothing of the driver's file system is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from connectors.connection import Connection
from connectors.lake import Lake, StoredFile
from connectors.object_store import MinioStore

OpenLake = Callable[[], Lake]


def open_lake(connection: Connection, cache: Path) -> Lake:
    """The lake behind a connection, with a cache of this machine's own: what a worker is told to call."""
    return Lake(MinioStore.open(connection), cache)


class LakeSource(DataSource):
    """Records of one dataset. Options: ``department``, ``dataset``, ``heads`` (digests, separated by commas)."""

    @classmethod
    def name(cls) -> str:
        """What ``spark.read.format`` is told."""
        return "xinqiao_lake"

    @staticmethod
    def open_lake() -> Lake:
        """How the driver and every worker open the lake: said by ``bind_lake``."""
        raise NotImplementedError

    def schema(self) -> str:
        """The columns ``Lake.records`` gives."""
        return render_schema(self.open_lake().open_parts(self.options["dataset"], ()).schema)

    def reader(self, schema: object) -> DataSourceReader:  # noqa: ARG002
        """A reader of the parts that the heads lead to."""
        lake = self.open_lake()
        heads = [head for head in self.options["heads"].split(",") if head]
        parts = lake.parts(self.options["department"], self.options["dataset"], heads) if heads else ()
        return _LakeReader(self.open_lake, self.options["dataset"], parts)


def bind_lake(opened: OpenLake) -> type[LakeSource]:
    """A source to be registered whose lake is opened by ``opened``, which must be picklable."""

    class BoundSource(LakeSource):
        open_lake = staticmethod(opened)

    return BoundSource


def render_schema(schema: pa.Schema) -> str:
    """An Arrow schema of the catalogue's types as Spark writes one."""
    return ", ".join(f"`{field.name}` {_render_type(field.type)}" for field in schema)


class _PartOf(InputPartition):
    """One part."""

    def __init__(self, part: StoredFile | None) -> None:
        super().__init__(part)


class _LakeReader(DataSourceReader):
    def __init__(self, opened: OpenLake, dataset: str, parts: tuple[StoredFile, ...]) -> None:
        self._open_lake = opened
        self._dataset = dataset
        self._parts = parts

    def partitions(self) -> list[_PartOf]:
        """One a part; a dataset without any has one that is empty."""
        return [_PartOf(part) for part in self._parts] or [_PartOf(None)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a part, on a worker."""
        if partition.value is None:
            return
        rows = self._open_lake().open_parts(self._dataset, [partition.value])
        # Spark knows no required columns of a source.
        loose = pa.schema([field.with_nullable(True) for field in rows.schema])  # noqa: FBT003
        for batch in rows.to_batches():
            yield pa.RecordBatch.from_arrays(batch.columns, schema=loose)


def _render_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return {
        pa.string(): "string",
        pa.int64(): "bigint",
        pa.bool_(): "boolean",
        pa.date32(): "date",
        pa.timestamp("us", tz="UTC"): "timestamp",
    }[kind]
