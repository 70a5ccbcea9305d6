"""Rejects as a file for the people who correct them: CSV, XLSX, JSON Lines or Arrow, by its name.

Values are masked as in every reject. Text that a spreadsheet would run as a formula is
neutralised where a spreadsheet opens the file. What was made with a throw-away key
(references, fingerprints) is left out: it would mean nothing to the reader.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import pyarrow as pa

from exchange_formats.errors import FatalError
from exchange_formats.formulas import neutralise
from exchange_formats.rejects import describe_reason

#: What the file holds of each rejected row; the bilingual names head the columns of CSV and XLSX.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "origin": "文件 file",
        "row": "行 row",
        "source_column": "列 column",
        "field": "目录字段 catalogue field",
        "reason": "原因代码 reason code",
        "title": "原因",
        "title_en": "reason",
        "basis": "依据 basis",
        "value": "值(已脱敏) value (masked)",
        "key": "主键 key",
        "all_reasons": "全部原因 all reasons",
    }
)
SCHEMA = pa.schema([pa.field(name, pa.int64() if name == "row" else pa.string()) for name in COLUMNS])
#: Rows of a worksheet below its header (Excel: 1,048,576 with it).
_SHEET_ROWS = 1_048_575
Row = Mapping[str, Any]


class _Writer(Protocol):
    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class RejectReport:
    """The open file: give it every batch of rejects. It appears under its name only when it is whole."""

    def __init__(self, path: Path) -> None:
        kind = _WRITERS.get(path.suffix.lower())
        if kind is None:
            raise FatalError(
                f"无法识别的文件类型 / unknown kind of file for rejects: {path.name}",
                hint=f"one of: {', '.join(_WRITERS)}",
            )
        self._path = path
        self._partial = path.with_name(f".{path.name}.part")
        try:
            self._writer = kind(self._partial)
        except OSError as error:
            raise FatalError(f"无法写入 / cannot write {path}: {error.strerror}") from None

    def add(self, rejects: pa.RecordBatch) -> None:
        """Write one batch of ``REJECTS``."""
        self._writer.write([self._build(entry) for entry in rejects.to_pylist()])

    def _build(self, entry: Mapping[str, Any]) -> Row:
        title = describe_reason(entry["reason"])
        return {
            "origin": entry["origin"],
            "row": entry["origin_row"],
            "source_column": entry["source_column"],
            "field": entry["column"],
            "reason": entry["reason"],
            "title": title.zh,
            "title_en": title.en,
            "basis": title.basis,
            "value": entry["value"],
            "key": entry["key"],
            "all_reasons": entry["detail"],
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close()
            if kind is None:
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        # With a BOM: Excel takes a CSV for GBK without one.
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(COLUMNS.values())

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows([_neutral(row[name]) for name in COLUMNS] for row in rows)

    def close(self) -> None:
        self._file.close()


class _WorkbookWriter:
    """A sheet after the other, streamed: no worksheet is held in memory."""

    def __init__(self, path: Path) -> None:
        from openpyxl import Workbook
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        path.touch()
        self._illegal = ILLEGAL_CHARACTERS_RE
        self._path = path
        self._book = Workbook(write_only=True)
        self._room = 0

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if not self._room:
                self._open_sheet()
            self._sheet.append([self._clean(_neutral(row[name])) for name in COLUMNS])
            self._room -= 1

    def _clean(self, value: object) -> object:
        """XML has no control characters, not even as references."""
        return self._illegal.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value

    def _open_sheet(self) -> None:
        self._sheet = self._book.create_sheet(f"不合格 rejects {len(self._book.sheetnames) + 1}")
        self._sheet.freeze_panes = "A2"
        self._sheet.append(list(COLUMNS.values()))
        self._room = _SHEET_ROWS

    def close(self) -> None:
        if not self._book.sheetnames:
            self._open_sheet()
        self._book.save(self._path)


class _LinesWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, rows: Sequence[Row]) -> None:
        self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class _ArrowWriter:
    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(os.fspath(path), SCHEMA)

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.write_batch(pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA))

    def close(self) -> None:
        self._writer.close()


_WRITERS: Mapping[str, Callable[[Path], _Writer]] = MappingProxyType(
    {".csv": _CsvWriter, ".xlsx": _WorkbookWriter, ".jsonl": _LinesWriter, ".arrow": _ArrowWriter}
)


def _neutral(value: object) -> object:
    return neutralise(value) if isinstance(value, str) else value


@contextmanager
def open_reject_report(path: Path | None) -> Iterator[RejectReport | None]:
    """The report at ``path``, or nothing where none was asked for."""
    if path is None:
        yield None
    else:
        with RejectReport(path) as report:
            yield report
