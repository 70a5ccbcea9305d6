"""A file as a table: a header and numbered rows, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple, Protocol, Self

import pyarrow as pa

from connectors.sources.model import PAGE_BYTES, PAGE_ROWS, RejectedInput, SourcePage
from exchange_formats.rejects import Reason


class Line(NamedTuple):
    """One row; ``number`` counts as a person does: the header is 1. As many cells as the header; None: no value."""

    number: int
    cells: Sequence[str | None]


class Run(NamedTuple):
    """Consecutive rows from ``number`` on: only the columns that are read, in their order."""

    number: int
    batch: pa.RecordBatch


class FileBrokenError(Exception):
    """The file as a whole cannot be read, or not from here on; ``str`` says why, without any of its content."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class TextTable(Protocol):
    """An open file. Raises FileBrokenError from ``header`` or ``pages``, OSError from any."""

    @property
    def origin(self) -> str:
        """Name of the file below the drop folder, with its sheet where it has one."""

    @property
    def header(self) -> list[str]:
        """Column names, trimmed."""

    @property
    def header_hint(self) -> str:
        """What may be wrong where the header is not the expected one; empty: nothing particular."""

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The rows behind the header and what is none, in order, blank rows left out; each of ``columns`` is a name."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def page_rows(
    rows: Iterable[Line | Run | RejectedInput], header: Sequence[str], columns: Sequence[str], origin: str
) -> Iterator[SourcePage | RejectedInput]:
    """Rows that follow each other as pages of ``columns``; a reject or a blank row between them begins a new page."""
    page = _Page(header, columns, origin)
    try:
        for row in rows:
            if isinstance(row, RejectedInput):
                yield from page.close()
                yield row
                continue
            if row.number != page.next_number:
                yield from page.close()
            page.add(row)
            yield from page.take_full()
    except FileBrokenError:
        # What was read in front of the fault is sound.
        yield from page.close()
        raise
    yield from page.close()


class _Page:
    """Rows that wait to become a page: whole batches, then single lines."""

    def __init__(self, header: Sequence[str], columns: Sequence[str], origin: str) -> None:
        self._columns = list(columns)
        self._origin = origin
        self._choose = _chooser([header.index(name) for name in columns])
        self._batches: list[pa.RecordBatch] = []
        self._lines: list[tuple[str | None, ...]] = []
        self._first = self._rows = self._size = 0

    @property
    def next_number(self) -> int:
        """The number of the row that would continue the page."""
        return self._first + self._rows

    def add(self, row: Line | Run) -> None:
        """One more row, or several."""
        if not self._rows:
            self._first = row.number
        if isinstance(row, Line):
            chosen = self._choose(row.cells)
            self._lines.append(chosen)
            self._rows += 1
            self._size += sum(len(cell) for cell in chosen if cell)
        else:
            self._gather_lines()
            self._batches.append(row.batch)
            self._rows += row.batch.num_rows
            self._size += row.batch.nbytes

    def take_full(self) -> Iterator[SourcePage]:
        """Pages that can take no more."""
        if self._size > PAGE_BYTES:
            yield from self.close()
        while self._rows >= PAGE_ROWS:
            whole = self._join()
            yield SourcePage(whole.slice(0, PAGE_ROWS), self._origin, self._first)
            rest = whole.slice(PAGE_ROWS)
            self._batches = [rest]
            self._first, self._rows, self._size = self._first + PAGE_ROWS, rest.num_rows, rest.nbytes

    def close(self) -> Iterator[SourcePage]:
        """What waits, as a page of at most ``PAGE_ROWS`` rows each."""
        if self._rows:
            whole = self._join()
            for start in range(0, self._rows, PAGE_ROWS):
                yield SourcePage(whole.slice(start, PAGE_ROWS), self._origin, self._first + start)
            self._batches = []
            self._first = self._rows = self._size = 0

    def _join(self) -> pa.RecordBatch:
        self._gather_lines()
        return self._batches[0] if len(self._batches) == 1 else pa.concat_batches(self._batches)

    def _gather_lines(self) -> None:
        if self._lines:
            arrays = [pa.array(column, pa.string()) for column in zip(*self._lines, strict=True)]
            self._batches.append(pa.record_batch(arrays, names=self._columns))
            self._lines = []


def _chooser(places: Sequence[int]) -> Callable[[Sequence[str | None]], tuple[str | None, ...]]:
    """The cells at ``places``; one place alone would not come as a tuple."""
    if len(places) == 1:
        return lambda cells: (cells[places[0]],)
    return itemgetter(*places)
