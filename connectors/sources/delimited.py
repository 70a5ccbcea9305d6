"""CSV in a declared encoding, read record by record so that one bad row costs no other (facts §6.6)."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self, TextIO, TypeAlias

from connectors.sources.model import RejectedInput
from connectors.sources.tables import FileBrokenError, Line
from exchange_formats.rejects import Reason

#: Largest cell and largest physical line, in characters; larger ones are skipped without being held.
MAXIMUM_CELL = 1024 * 1024
MAXIMUM_LINE = 4 * 1024 * 1024
_CODECS = {"utf-8": "utf-8-sig", "gb18030": "gb18030"}
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


Record: TypeAlias = "list[str] | _UnreadableError"


class DelimitedTable:
    """One CSV file (RFC 4180, any line ends); see ``TextTable``.

    A quote that is never closed would swallow the rows behind it: such a record is
    taken apart again, its first line is rejected and the others are read by themselves.
    """

    def __init__(self, path: Path, origin: str, encoding: str, delimiter: str) -> None:
        self.origin = origin
        self.header_hint = ""
        self._encoding = encoding
        self._file: TextIO = path.open(encoding=_CODECS[encoding], errors="surrogateescape", newline="")
        self._records = _read_records(_Lines(self._file), delimiter)
        self._number = 0
        self._header: list[str] = []
        # The limit is one of the process; the standard one (128 Ki) is below what we accept.
        csv.field_size_limit(MAXIMUM_CELL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def header(self) -> list[str]:
        """Column names, trimmed: the first line that is not blank."""
        while not self._header:
            self._number += 1
            record = next(self._records, None)
            if record is None:
                raise FileBrokenError(Reason.FILE_EMPTY, "the file is empty")
            if isinstance(record, _UnreadableError):
                raise FileBrokenError(Reason.FILE_BROKEN, f"the header cannot be read: {record.detail}")
            self._header = [] if _is_blank(record) else [name.strip() for name in record]
        if any(_UNDECODED.search(name) for name in self._header):
            self.header_hint = f"the header is not {self._encoding}: check 'encoding'"
            self._header = [_UNDECODED.sub("\N{REPLACEMENT CHARACTER}", name) for name in self._header]
        return self._header

    def lines(self) -> Iterator[Line | RejectedInput]:
        """The rows behind the header, numbered by record."""
        width = len(self.header)
        # Lines of a record that was taken apart belong to it until one is a row again.
        torn: frozenset[str] = frozenset()
        for number, record in enumerate(self._records, self._number + 1):
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
            detail = f"column '{self._header[place]}' is not {self._encoding}"
            return RejectedInput(self.origin, number, Reason.ROW_UNDECODABLE, detail)
        return None


class _Lines:
    """Physical lines, of which those of the current record can be given back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self.held: list[str] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._file.readline(MAXIMUM_LINE)
        if not line:
            raise StopIteration
        if len(line) == MAXIMUM_LINE and not line.endswith(("\n", "\r")):
            while (rest := self._file.readline(MAXIMUM_LINE)) and not rest.endswith(("\n", "\r")):
                pass
            raise _UnreadableError(Reason.CELL_TOO_LARGE, f"a line of more than {MAXIMUM_LINE} characters")
        self.held.append(line)
        return line

    def give_back(self) -> None:
        """All held lines but the first are read again."""
        self._waiting.extendleft(reversed(self.held[1:]))
        self.held.clear()


def _read_records(lines: _Lines, delimiter: str) -> Iterator[Record]:
    """Cells of each record, or why it is none."""
    while True:
        try:
            for record in csv.reader(lines, delimiter=delimiter, strict=True):
                lines.held.clear()
                yield record
        except csv.Error as error:
            lines.give_back()
            yield error if isinstance(error, _UnreadableError) else _explain(str(error))
        else:
            return


def _explain(error: str) -> _UnreadableError:
    if "field larger" in error:
        return _UnreadableError(Reason.CELL_TOO_LARGE, f"a cell of more than {MAXIMUM_CELL} characters")
    if "unexpected end" in error:
        return _UnreadableError(Reason.ROW_MALFORMED, "a quote is opened and never closed")
    return _UnreadableError(Reason.ROW_MALFORMED, "text behind a closing quote, or a quote that is never closed")


def _is_blank(record: list[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip())
