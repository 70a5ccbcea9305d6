"""What every source hands to landing: pages of rows as they came, and inputs that are no rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from exchange_formats.texts import Places

#: Most rows in one page (architecture §5.1: the record batches of a part).
PAGE_ROWS = 65_536
#: Most text (characters) in a page of a file; a page closes early above it, so that memory stays bounded.
PAGE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class SourcePage:
    """Rows of one origin in their order, with the source's own column names.

    The columns are the mapping's ``source_columns`` in that order. Values are strings
    (null: the source has none), except that a database hands over its own types
    (integers, dates, timestamps); exact decimals are strings everywhere.

    Attributes:
        origin: table, endpoint and page, or file (``file!sheet``).
        first_row: number of the first row inside the origin, as a person counts there:
            a file's header line is row 1; tables and endpoints count rows from 1.
        numbers: the number of every row where blank rows stand between them; None: they are consecutive.
    """

    batch: pa.RecordBatch
    origin: str
    first_row: int
    numbers: Places | None = None

    def slice(self, start: int, length: int) -> SourcePage:
        """At most ``length`` rows from place ``start`` on (from 0), which must be inside."""
        batch = self.batch.slice(start, length)
        if self.numbers is None:
            return SourcePage(batch, self.origin, self.first_row + start)
        numbers = self.numbers[start : start + length]
        return SourcePage(batch, self.origin, int(numbers[0]), numbers)


@dataclass(frozen=True)
class RejectedInput:
    """Something the source could not turn into rows; it becomes a reject and the data beside it goes on.

    ``row`` is None where the whole origin is lost (an empty or broken file).
    ``rows`` is how many source rows are known to be lost with it. ``detail`` never
    carries a value of the row.
    """

    origin: str
    row: int | None
    reason: str
    detail: str
    rows: int = 1


class SourceReader(Protocol):
    """One pull of one dataset: iterate once, inside ``with``.

    Raises while iterating:
        FatalError: credentials or contract (a column is missing, an unknown one under ``stop``).
        TransientError: unreachable, busy, changed while it was read, or out of time.
        SkippableError: nothing was ever delivered.
    """

    @property
    def expected_rows(self) -> int | None:
        """After iteration: how many rows the source says there are; None where it cannot say (files)."""

    @property
    def unknown_columns(self) -> tuple[str, ...]:
        """After iteration: columns that the mapping neither reads nor ignores, under ``on_unknown_column: report``."""

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def build_text_batch(columns: Sequence[str], rows: Sequence[Mapping[str, str | None]]) -> pa.RecordBatch:
    """A batch of string columns; a row without a column has null there.

    Raises:
        UnicodeEncodeError: a cell is no text (lone surrogates).
    """
    arrays = [pa.array([row.get(name) for row in rows], pa.string()) for name in columns]
    return pa.record_batch(arrays, schema=pa.schema([(name, pa.string()) for name in columns]))
