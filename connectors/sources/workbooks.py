"""XLSX by calamine, once it is known what the file would unpack to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Final, Self

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from connectors.sources.contract import show_place
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.packages import weigh_package
from connectors.sources.tables import FileBrokenError, Line, page_rows
from exchange_formats.rejects import Reason

#: How many digits of a number a spreadsheet keeps.
_DIGITS: Final = 15


class WorkbookTable:
    """One sheet of one workbook (the first unless named); its first used row is the header. See ``TextTable``."""

    header_hint = ""

    def __init__(self, path: Path, name: str, sheet: str | None) -> None:
        faults = weigh_package(path)
        found = _open_sheet(path, sheet)
        self._faults = {fault.row: fault.detail for fault in faults.get(found.name, ())}
        if found.start is None:
            raise FileBrokenError(Reason.FILE_EMPTY, "the sheet is empty")
        self.origin = f"{name}!{show_place(found.name)}"
        self._first_row = found.start[0] + 1
        self._rows = _used_rows(found)
        self._header = [_to_text(cell).strip() for cell in next(self._rows) or ()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """The sheet is in memory; nothing is open."""

    @property
    def header(self) -> list[str]:
        """Column names, trimmed; columns without a name are not columns."""
        return [name for name in self._header if name]

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The rows below the header, numbered as the spreadsheet does."""
        return page_rows(self._read_lines(), self.header, columns, self.origin)

    def _read_lines(self) -> Iterator[Line | RejectedInput]:
        named = [place for place, name in enumerate(self._header) if name]
        number = self._first_row
        if number in self._faults:
            raise FileBrokenError(Reason.FILE_BROKEN, f"the header holds {self._faults[number]}")
        for number, row in enumerate(self._rows, self._first_row + 1):
            if number in self._faults:
                yield self._reject(number, Reason.ROW_MALFORMED, self._faults[number])
                continue
            if row is None:
                yield self._reject(number, Reason.ROW_MALFORMED, "a date or duration out of range")
                continue
            cells = [_to_text(cell) for cell in row]
            filled = sum(map(bool, cells))
            if not filled:
                continue
            chosen = [cells[place] for place in named]
            if filled == sum(map(bool, chosen)):
                yield Line(number, chosen)
            else:
                yield self._reject(number, Reason.ROW_RAGGED, "a value in a column without a name")
        # Rows with nothing but faulty cells are empty to the reader of the sheet and may lie below its last one.
        for below in sorted(row for row in self._faults if row > number):
            yield self._reject(below, Reason.ROW_MALFORMED, self._faults[below])

    def _reject(self, number: int, reason: Reason, detail: str) -> RejectedInput:
        return RejectedInput(self.origin, number, reason, detail)


def _open_sheet(path: Path, name: str | None) -> CalamineSheet:
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            if name is None:
                return workbook.get_sheet_by_index(0)
            if name in workbook.sheet_names:
                return workbook.get_sheet_by_name(name)
    except BaseException as error:
        if not _comes_from_file(error):
            raise
        raise FileBrokenError(Reason.FILE_BROKEN, f"not a workbook: {type(error).__name__}") from None
    raise FileBrokenError(Reason.FILE_BROKEN, f"there is no sheet '{name}'")


def _used_rows(sheet: CalamineSheet) -> Iterator[list[object] | None]:
    """Rows from the first used one; None for one with a date or duration that no calendar holds."""
    rows, above = sheet.iter_rows(), sheet.start[0] if sheet.start else 0
    for number in count():
        try:
            row = next(rows, None)
        except BaseException as error:
            if not _comes_from_file(error):
                raise
            yield None
            continue
        if row is None:
            return
        if number >= above:
            yield list(row)


def _comes_from_file(error: BaseException) -> bool:
    """Whether the workbook is to blame: a panic of the parser is its own class, which no module exports."""
    known = (CalamineError, OSError, ValueError, IndexError, OverflowError)
    return isinstance(error, known) or type(error).__name__ == "PanicException"


def _to_text(cell: object) -> str:
    """A cell as a person reads it; dates ISO, whole numbers without a fraction."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        if not cell.is_integer():
            return repr(cell)
        # Spreadsheets keep fifteen digits: what is longer was another number when it was typed.
        return str(int(cell)) if abs(cell) < 10**_DIGITS else f"{cell:.{_DIGITS - 1}E}"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, int | timedelta) else ""
