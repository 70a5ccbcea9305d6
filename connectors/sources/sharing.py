"""Source ``http``, dialect ``provincial_sharing``: all pages of one endpoint as one consistent reading.

Pages move when rows change while they are read. So all pages are spooled first, and
only a reading whose totals stayed the same and whose rows add up is handed on; else it
is read again, and after a few times given up as transient.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from types import TracebackType
from typing import IO, Self

import httpx
import pyarrow as pa

from connectors.connection import Connection
from connectors.department import DatasetMapping, HttpSource, Request
from connectors.sources.contract import check_columns
from connectors.sources.model import RejectedInput, SourcePage, build_text_batch
from connectors.sources.records import find_fault, to_text
from connectors.sources.sharing_client import Envelope, SharingClient
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.manifests import Window
from exchange_formats.periods import SHANGHAI
from exchange_formats.rejects import Reason

_READINGS = 3
_ASKS = 3
_PAUSE_SECONDS = 1.0
_ORIGIN = b"origin"
_ROW = b"row"


class _MovedError(Exception):
    """The rows moved while they were read; the text says how."""


class SharingReader:
    """One pull of one endpoint; see ``SourceReader``."""

    def __init__(
        self,
        source: HttpSource,
        mapping: DatasetMapping,
        connection: Connection,
        window: Window,
        *,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if mapping.request is None:
            raise FatalError("an http source needs 'request'")
        self._request: Request = mapping.request
        self._mapping, self._sleep = mapping, sleep
        self._parameters = {**self._request.parameters, **_bound(mapping, window)}
        self._client = SharingClient(
            connection,
            timeout=source.timeout,
            rate_limit=source.rate_limit,
            sleep=sleep,
            now=now,
            transport=transport,
        )
        self.expected_rows: int | None = None
        self.unknown_columns: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]:
        with closing(self._read_consistently()) as spool:
            yield from spool.replay()

    def _read_consistently(self) -> _Spool:
        moved = ""
        for reading in range(_READINGS):
            if reading:
                self._sleep(_PAUSE_SECONDS)
            spool = _Spool(self._mapping.source_columns)
            try:
                self._read_pages(spool)
            except _MovedError as error:
                moved = str(error)
                spool.close()
            except BaseException:
                spool.close()
                raise
            else:
                return spool
        raise TransientError(
            f"翻页时数据变动 / {self._request.path}: the rows kept moving while they were read: {moved}",
            hint="pull when the source is quiet, or ask it for a stable order",
        )

    def _read_pages(self, spool: _Spool) -> None:
        unknown: set[str] = set()
        read, page, total = 0, 1, None
        previous: tuple[object, ...] = ()
        while total is None or read < total:
            answer = self._ask(page, previous)
            if total is not None and answer.total != total:
                raise _MovedError(f"page {page} says {answer.total} rows, page 1 said {total}")
            total = answer.total
            if not answer.rows and total > read:
                raise _MovedError(f"page {page} is empty, {total - read} rows are missing")
            origin = f"{self._request.path} page {page}"
            unknown.update(self._spool_rows(spool, origin, answer.rows))
            read, page, previous = read + len(answer.rows), page + 1, answer.rows
        if read != total:
            raise _MovedError(f"{read} rows came, {total} were announced")
        self.expected_rows, self.unknown_columns = total, tuple(sorted(unknown))

    def _ask(self, page: int, previous: tuple[object, ...]) -> Envelope:
        """One page, asked again where it is empty, short, or the one before once more (a cached answer).

        A repeated ``requestId`` alone proves nothing: rows that differ are another page.
        """
        parameters = {**self._parameters, "pageNum": str(page), "pageSize": str(self._request.page_size)}
        why = ""
        for attempt in range(_ASKS):
            if attempt:
                self._sleep(_PAUSE_SECONDS)
            answer = self._client.fetch(self._request.path, parameters)
            if not answer.rows and answer.total > 0:
                why = "is empty"
            elif answer.count is not None and answer.count != len(answer.rows):
                why = f"announces {answer.count} rows and holds {len(answer.rows)}"
            elif answer.rows and answer.rows == previous:
                why = "repeats the page before"
            else:
                return answer
        raise TransientError(f"分页异常 / {self._request.path}: page {page} {why}, asked {_ASKS} times")

    def _spool_rows(self, spool: _Spool, origin: str, rows: Sequence[object]) -> tuple[str, ...]:
        named = [row for row in rows if isinstance(row, dict)]
        found = list(dict.fromkeys(name for row in named for name in row))
        unknown = check_columns(origin, found, self._mapping) if named else ()
        for number, row in enumerate(rows, 1):
            why = find_fault(row, self._mapping.source_columns)
            if why:
                spool.reject(RejectedInput(origin, number, Reason.ROW_MALFORMED, why))
            else:
                spool.add(origin, number, row)  # type: ignore[arg-type]
        spool.flush()
        return unknown


class _Spool:
    """Pages on disk until the whole reading is known to be consistent."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._schema = pa.schema([(name, pa.string()) for name in columns])
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="xinqiao-pages-")  # noqa: SIM115  (closed by close)
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._rejects: list[RejectedInput] = []
        self._rows: list[Mapping[str, str | None]] = []
        self._origin, self._first = "", 0

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def reject(self, reject: RejectedInput) -> None:
        """Keep an input that is no row."""
        self.flush()
        self._rejects.append(reject)

    def add(self, origin: str, number: int, row: Mapping[str, object]) -> None:
        """Keep a row; rows that follow each other share a batch."""
        if not self._rows:
            self._origin, self._first = origin, number
        self._rows.append({name: to_text(row.get(name)) for name in self._columns})

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._rows:
            batch = build_text_batch(self._columns, self._rows)
            place = {_ORIGIN: self._origin.encode(), _ROW: str(self._first).encode()}
            self._writer.write_batch(batch, custom_metadata=place)
            self._rows = []

    def replay(self) -> Iterator[SourcePage | RejectedInput]:
        """Everything, pages in order, then what is no row."""
        self._writer.close()
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as stream:
            for found in stream.iter_batches_with_custom_metadata():
                place = found.custom_metadata
                yield SourcePage(found.batch, place[_ORIGIN].decode(), int(place[_ROW]))
        yield from self._rejects


def _bound(mapping: DatasetMapping, window: Window) -> Mapping[str, str]:
    """The window as the platform's parameters: whole seconds, Shanghai time; the end is exclusive."""
    if mapping.watermark is None:
        return {}
    bounds = {"updateTimeStart": window.since, "updateTimeEnd": window.until}
    return {name: f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" for name, at in bounds.items() if at is not None}
