"""A file as a table: a header and numbered rows, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa

from connectors.sources.model import PAGE_BYTES, PAGE_ROWS, RejectedInput, SourcePage
from exchange_formats.rejects import Reason
from exchange_formats.texts import Places

#: So many rejects of a file begin a new page each. More than a person reads would cost more time than all rows.
_IN_ORDER = 1000


class Line(NamedTuple):
    """One row; ``number`` counts as a person does: the header is 1. As many cells as the header; None: no value."""

    number: int
    cells: Sequence[str | None]


class Run(NamedTuple):
    """Rows and their numbers: only the columns that are read, in their order."""

    numbers: Places
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
    """Rows as pages of ``columns``, and rejects: in order as long as there are few, else in front of their page."""
    page, rejects = _Page(header, columns, origin), 0
    try:
        for row in rows:
            if isinstance(row, RejectedInput):
                rejects += 1
                if rejects <= _IN_ORDER:
                    yield from page.close()
                yield row
            else:
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
        self._runs: list[Run] = []
        self._lines: list[tuple[str | None, ...]] = []
        self._line_numbers: list[int] = []
        self._rows = self._size = 0

    def add(self, row: Line | Run) -> None:
        """One more row, or several."""
        if isinstance(row, Line):
            chosen = self._choose(row.cells)
            self._lines.append(chosen)
            self._line_numbers.append(row.number)
            self._rows += 1
            self._size += sum(len(cell) for cell in chosen if cell)
        else:
            self._gather_lines()
            self._runs.append(row)
            self._rows += row.batch.num_rows
            self._size += row.batch.nbytes

    def take_full(self) -> Iterator[SourcePage]:
        """Pages that can take no more."""
        if self._size > PAGE_BYTES:
            yield from self.close()
        elif self._rows >= PAGE_ROWS:
            whole = self._join()
            full = self._rows - self._rows % PAGE_ROWS
            yield from _cut(whole.slice(0, full))
            self._runs = []
            self._rows = self._size = 0
            if full < whole.batch.num_rows:
                rest = whole.slice(full, PAGE_ROWS)
                self.add(Run(_number(rest), rest.batch))

    def close(self) -> Iterator[SourcePage]:
        """What waits, as pages of at most ``PAGE_ROWS`` rows each."""
        if self._rows:
            yield from _cut(self._join())
            self._runs = []
            self._rows = self._size = 0

    def _join(self) -> SourcePage:
        self._gather_lines()
        batches = [run.batch for run in self._runs]
        batch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        numbers = np.concatenate([run.numbers for run in self._runs])
        first = int(numbers[0])
        consecutive = numbers[-1] - first + 1 == len(numbers)
        return SourcePage(batch, self._origin, first, None if consecutive else numbers)

    def _gather_lines(self) -> None:
        if self._lines:
            arrays = [pa.array(column, pa.string()) for column in zip(*self._lines, strict=True)]
            batch = pa.record_batch(arrays, names=self._columns)
            self._runs.append(Run(np.array(self._line_numbers, np.int64), batch))
            self._lines, self._line_numbers = [], []


def _cut(whole: SourcePage) -> Iterator[SourcePage]:
    for start in range(0, whole.batch.num_rows, PAGE_ROWS):
        yield whole.slice(start, PAGE_ROWS)


def _number(page: SourcePage) -> Places:
    return np.arange(page.first_row, page.first_row + page.batch.num_rows) if page.numbers is None else page.numbers


def _chooser(places: Sequence[int]) -> Callable[[Sequence[str | None]], tuple[str | None, ...]]:
    """The cells at ``places``; one place alone would not come as a tuple."""
    if len(places) == 1:
        return lambda cells: (cells[places[0]],)
    return itemgetter(*places)
