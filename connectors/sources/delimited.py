"""CSV in a declared encoding, read so that one bad row costs no other (facts §6.6).

A block of a few MiB at a time is cut into physical lines. Lines that are records by
themselves and beyond doubt (decodable, not too long, quotes only around whole cells) are
parsed by pyarrow all at once; what is left is read record by record by Python's ``csv``, which
also decides where a record that begins there ends. Both give the same rows and numbers.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from connectors.sources import limits
from connectors.sources.blocks import Block, LineBlocks, LongLine
from connectors.sources.contract import show_name
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.packed import open_text
from connectors.sources.tables import FileBrokenError, Line, Run, page_rows
from exchange_formats.rejects import Reason
from exchange_formats.texts import Places

# What "surrogateescape" makes of a byte that is not in the encoding.
_UNDECODED = re.compile("[\udc80-\udcff]")
# What the lines of a broken record look like when they are read by themselves.
_LEFT_BEHIND: Mapping[str, frozenset[str]] = {
    Reason.ROW_MALFORMED: frozenset({Reason.ROW_RAGGED}),
    Reason.CELL_TOO_LARGE: frozenset({Reason.ROW_RAGGED, Reason.ROW_MALFORMED}),
}


class _UnreadableError(csv.Error):
    """A record that is none: its reason and why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class _OpenEndError(Exception):
    """The record goes on behind the block."""


Record: TypeAlias = "list[str] | _UnreadableError"


class DelimitedTable:
    """One CSV file (RFC 4180, any line ends), packed where its name ends in ``.gz``; see ``TextTable``.

    A quote that is never closed would swallow the rows behind it: such a record is
    taken apart again, its first line is rejected and the others are read by themselves.
    """

    def __init__(self, path: Path, origin: str, encoding: str, delimiter: str) -> None:
        self.origin = origin
        self.header_hint = ""
        self._encoding, self._delimiter = encoding, delimiter
        self._blocks = LineBlocks(open_text(path, encoding), encoding)
        self._number = 0
        self._header: list[str] = []
        # The limit is one of the process; the standard one (128 Ki) is below what we accept.
        csv.field_size_limit(limits.CELL.most)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._blocks.close()

    @property
    def header(self) -> list[str]:
        """Column names, trimmed: the first record that is not blank."""
        while not self._header:
            self._number += 1
            record = self._read_one()
            if record is None:
                raise FileBrokenError(Reason.FILE_EMPTY, "the file is empty")
            if isinstance(record, _UnreadableError):
                raise FileBrokenError(Reason.FILE_BROKEN, f"the header cannot be read: {record.detail}")
            self._header = [] if _is_blank(record) else [name.strip() for name in record]
        if any(_UNDECODED.search(name) for name in self._header):
            other = "gb18030" if self._encoding == "utf-8" else "utf-8"
            self.header_hint = f"the header is not {self._encoding}: check 'encoding', try {other}"
            self._header = [_UNDECODED.sub("\N{REPLACEMENT CHARACTER}", name) for name in self._header]
        return self._header

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The rows behind the header, numbered by record."""
        header = self.header
        return page_rows(self._read_rows(columns), header, columns, self.origin)

    def _read_one(self) -> Record | None:
        """The next record; None at the end."""
        while (block := self._blocks.next_block()) is not None:
            if isinstance(block, LongLine):
                return _name_long_line()
            try:
                record, lines = self._read_record(block, 0)
            except _OpenEndError:
                self._blocks.grow()
                continue
            self._blocks.consume(block, lines)
            return record
        return None

    def _read_rows(self, columns: Sequence[str]) -> Iterator[Line | Run | RejectedInput]:
        width = len(self._header)
        # Lines of a record that was taken apart belong to it until one is a row again.
        torn: frozenset[str] = frozenset()
        for found in self._read_records([self._header.index(name) for name in columns], columns):
            if isinstance(found, Run):
                torn = frozenset()
                yield found
                continue
            number, record = found
            if not isinstance(record, _UnreadableError) and _is_blank(record):
                continue
            reject = self._find_fault(record, width, number)
            if reject is None:
                torn = frozenset()
                yield Line(number, record)  # type: ignore[arg-type]
            elif reject.reason not in torn:
                torn = _LEFT_BEHIND.get(reject.reason, frozenset())
                yield reject

    def _find_fault(self, record: Record, width: int, number: int) -> RejectedInput | None:
        if isinstance(record, _UnreadableError):
            return RejectedInput(self.origin, number, record.reason, record.detail)
        if len(record) != width:
            detail = f"{len(record)} cells, the header has {width}"
            return RejectedInput(self.origin, number, Reason.ROW_RAGGED, detail)
        text = "".join(record)
        if not text.isascii() and _UNDECODED.search(text):
            place = next(place for place, cell in enumerate(record) if _UNDECODED.search(cell))
            detail = f"column '{show_name(self._header[place])}' is not {self._encoding}"
            return RejectedInput(self.origin, number, Reason.ROW_UNDECODABLE, detail)
        return None

    def _read_records(self, places: Sequence[int], columns: Sequence[str]) -> Iterator[Run | tuple[int, Record]]:
        """Runs of rows that are beyond doubt, and every other record with its number."""
        while (block := self._blocks.next_block()) is not None:
            if isinstance(block, LongLine):
                self._number += 1
                yield self._number, _name_long_line()
                continue
            plain = self._parse_plain(block, places, columns)
            if plain is not None:
                self._blocks.consume(block)
                yield from plain
                continue
            split = self._split(block)
            if not split.lines:
                self._blocks.grow()
                continue
            self._blocks.consume(block, split.lines)
            yield from self._parse(block, split, places, columns)

    def _split(self, block: Block) -> _Split:
        """Read what is doubtful of a block, up to a record that goes on behind it."""
        split = _Split()
        doubtful = range(block.count) if len(self._header) == 1 else block.find_doubtful(self._delimiter).tolist()
        for line in doubtful:
            if line < split.lines:
                continue
            self._add_run(split, line)
            if block.blank[line]:
                self._number, split.lines = self._number + 1, line + 1
                continue
            try:
                record, lines = self._read_record(block, line)
            except _OpenEndError:
                return split
            self._number += 1
            split.records.append((self._number, record))
            split.lines = line + lines
        self._add_run(split, block.count)
        return split

    def _add_run(self, split: _Split, end: int) -> None:
        if split.lines < end:
            split.runs.append((split.lines, end))
            split.numbers.append(np.arange(self._number + 1, self._number + 1 + end - split.lines))
            self._number += end - split.lines
            split.lines = end

    def _parse_plain(
        self, block: Block, places: Sequence[int], columns: Sequence[str]
    ) -> Iterator[Run | tuple[int, Record]] | None:
        """All of a block at once; None where any line asks for a closer look."""
        # A file of one column has no delimiters that could tell a blank line from a row.
        if not block.is_plain or len(self._header) == 1:
            return None
        batch, ragged = _parse_lines(block.data, self._delimiter, len(self._header), places, columns)
        if _may_hold_blank_line(batch):
            return None
        numbers = np.arange(self._number + 1, self._number + 1 + batch.num_rows + len(ragged))
        self._number += len(numbers)
        records = [(int(numbers[place]), self._read_record(block, place)[0]) for place in ragged]
        return _weave(batch, np.delete(numbers, ragged), records)

    def _parse(
        self, block: Block, split: _Split, places: Sequence[int], columns: Sequence[str]
    ) -> Iterator[Run | tuple[int, Record]]:
        """What was split, in order."""
        if not split.runs:
            return iter(split.records)
        batch, ragged = _parse_lines(block.join(split.runs), self._delimiter, len(self._header), places, columns)
        numbers, records = np.concatenate(split.numbers), split.records
        if ragged:
            lines = np.concatenate([np.arange(first, end) for first, end in split.runs])
            found = [(int(numbers[place]), self._read_record(block, lines[place])[0]) for place in ragged]
            records = sorted([*records, *found], key=lambda record: record[0])
            numbers = np.delete(numbers, ragged)
        return _weave(batch, numbers, records)

    def _read_record(self, block: Block, first: int) -> tuple[Record, int]:
        """The record that begins at a line, and how many lines it takes; a broken one takes one."""
        taken = size = 0

        def read_lines() -> Iterator[str]:
            nonlocal taken, size
            while first + taken < block.count:
                length = int(block.lengths[first + taken])
                size += length
                if length > limits.LINE.most:
                    raise _name_long_line()
                if size > limits.RECORD.most:
                    raise _UnreadableError(Reason.CELL_TOO_LARGE, f"a record of more than {limits.RECORD}")
                taken += 1
                yield block.read_line(first + taken - 1)
            if block.behind == "more":
                raise _OpenEndError
            if block.behind == "long line":
                raise _name_long_line()

        try:
            return next(csv.reader(read_lines(), delimiter=self._delimiter, strict=True)), taken
        except csv.Error as error:
            return error if isinstance(error, _UnreadableError) else _explain(str(error)), 1


@dataclass
class _Split:
    """A block taken apart: runs of lines with the numbers of their rows, records, and how many lines that is."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    numbers: list[Places] = field(default_factory=list)
    records: list[tuple[int, Record]] = field(default_factory=list)
    lines: int = 0


def _weave(
    batch: pa.RecordBatch, numbers: Places, records: Sequence[tuple[int, Record]]
) -> Iterator[Run | tuple[int, Record]]:
    """Rows and, each at its number, the records that are none of them."""
    start = 0
    for record, end in zip(records, np.searchsorted(numbers, [number for number, _ in records]), strict=True):
        if end > start:
            yield Run(numbers[start:end], batch.slice(start, end - start))
        yield record
        start = end
    if start < len(numbers):
        yield Run(numbers[start:], batch.slice(start))


def _parse_lines(
    data: bytes, delimiter: str, width: int, places: Sequence[int], columns: Sequence[str]
) -> tuple[pa.RecordBatch, list[int]]:
    """Lines as text columns, without those of another width; their places come beside."""
    ragged: list[int] = []

    def leave_out(row: pacsv.InvalidRow) -> str:
        ragged.append(row.number - 1)
        return "skip"

    names = [str(place) for place in range(width)]
    chosen = [names[place] for place in places]
    if data.startswith(codecs.BOM_UTF8):  # pyarrow drops one: here it is a character of the first cell
        data = codecs.BOM_UTF8 + data
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        parse_options=pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if b'"' in data else False,
            ignore_empty_lines=False,
            invalid_row_handler=leave_out,
        ),
        # The lines are known to be UTF-8.
        convert_options=pacsv.ConvertOptions(
            check_utf8=False, include_columns=chosen, column_types=dict.fromkeys(chosen, pa.string())
        ),
    )
    # One block is one chunk, or none where no row is left; to combine it would copy it.
    arrays = [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]
    return pa.record_batch(arrays, names=list(columns)), ragged


def _may_hold_blank_line(batch: pa.RecordBatch) -> bool:
    """Of a blank line pyarrow makes a row of empty cells."""
    empty = pa.array(np.ones(batch.num_rows, np.bool_))
    for column in batch.columns:
        empty = pc.and_(empty, pc.equal(column, ""))
        if not empty.true_count:
            return False
    return True


def _explain(error: str) -> _UnreadableError:
    if "field larger" in error:
        return _UnreadableError(Reason.CELL_TOO_LARGE, f"a cell of more than {limits.CELL}")
    if "unexpected end" in error:
        return _UnreadableError(Reason.ROW_MALFORMED, "a quote is opened and never closed")
    return _UnreadableError(Reason.ROW_MALFORMED, "text behind a closing quote, or a quote that is never closed")


def _is_blank(record: list[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip())


def _name_long_line() -> _UnreadableError:
    return _UnreadableError(Reason.CELL_TOO_LARGE, f"a line of more than {limits.LINE}")
