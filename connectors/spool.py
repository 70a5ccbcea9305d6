"""Spool: the local folder of one pull, where everything is written and counted before the lake sees any of it.

A folder is locked by the process that works in it; one left behind by a killed
process has no lock and is removed by the next pull. Nothing in it is the only copy
of anything.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from exchange_formats.errors import FatalError

_LOCK = ".lock"
#: Lz4 halves the spool at no measurable cost; only parts in the lake are compressed hard.
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")
#: Readers hold several batches ahead; small ones keep what they hold small.
_BATCH_ROWS = 8_192
_FULL_DISK = "no space left on device"
#: The chain sequence of the pull itself, while it is not known yet: after everything.
PULL_SEQUENCE: Final = (1 << 63) - 1


class Spool:
    """A locked temporary folder below ``root``; removed when left, whatever happened."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name

    def __enter__(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        _remove_orphans(self._root)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self._name}-", dir=self._root))
        self._lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self.folder

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


class SpoolFile:
    """An Arrow IPC file being written; ``rows`` so far. Leaving it closes it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._writer = pa.ipc.new_file(str(path), schema, options=_OPTIONS)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one batch of the file's schema."""
        if batch.num_rows:
            self._writer.write_table(pa.Table.from_batches([batch]), max_chunksize=_BATCH_ROWS)
            self.rows += batch.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()


def open_spooled(*paths: Path) -> pa.RecordBatchReader:
    """The batches of finished ``SpoolFile``s of one schema, one after the other, one in memory at a time."""
    files = [pa.ipc.open_file(pa.OSFile(str(path))) for path in paths]
    return pa.RecordBatchReader.from_batches(
        files[0].schema, (file.get_batch(number) for file in files for number in range(file.num_record_batches))
    )


def open_engine(folder: Path, memory_limit: str = "512MB") -> duckdb.DuckDBPyConnection:
    """DuckDB for the rows of one pull: bounded memory, spilling to the spool's ``folder``; instants are UTC."""
    spill = str(folder / "duckdb")
    connection = duckdb.connect(config={"memory_limit": memory_limit, "threads": 2, "temp_directory": spill})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@contextmanager
def name_full_disk(folder: Path) -> Iterator[None]:
    """A full local disk becomes a FatalError that names it, whichever library noticed first."""
    try:
        yield
    except (OSError, duckdb.Error, pa.ArrowException) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        if not full and _FULL_DISK not in str(error).lower():
            raise
        raise FatalError(
            f"本地磁盘已满 / the local disk is full: {folder}",
            hint="free space or set XINQIAO_SPOOL to another disk, then run again: nothing was half-written",
        ) from error


def _remove_orphans(root: Path) -> None:
    """Remove folders whose process is gone; one that is being made or removed elsewhere is left alone."""
    for lock in root.glob(f"*/{_LOCK}"):
        try:
            handle = os.open(lock, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)
