"""File drops of the departments that send files: GB18030 CSV (money in 元) and XLSX (money in 万元)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from openpyxl import Workbook

from gateway.simulators import tables
from gateway.simulators.draws import SHANGHAI
from gateway.simulators.file_dirt import Row, soil
from gateway.simulators.layouts import lay_out_department
from gateway.simulators.practice import Department
from gateway.simulators.records import DepartmentRecords, Penalty, Standing
from gateway.simulators.tables import Cell, Column, SourceTable
from gateway.simulators.universe import Universe
from gateway.workbooks import encode_workbook

FORMATS = {
    "profile": "xlsx",
    "penalty": "csv",
    "inspection": "csv",
    "incident": "xlsx",
    "complaint": "csv",
    "honour": "xlsx",
    "annual_report": "csv",
    "commitment": "csv",
}
_REPEAT_EVERY = 45


@dataclass(frozen=True, slots=True)
class DropFile:
    """One file to write: path below the drop folder and content."""

    path: str
    content: bytes


def lay_out_drop(department: Department, records: DepartmentRecords, universe: Universe) -> list[DropFile]:
    """Every file of the department, a function of the universe alone."""
    held = lay_out_department(department, _with_first_versions(records), universe)
    files: list[DropFile] = []
    for dataset, table in held.items():
        files += _lay_out_dataset(department.id, table, FORMATS[dataset], universe)
    return files


def write_drop(folder: Path, files: Sequence[DropFile]) -> int:
    """Put the files under ``folder`` (temp file, then rename) and remove those of an earlier seed; answers how many.

    Raises:
        OSError: the folder cannot be written.
    """
    wanted = {folder / file.path for file in files}
    for dataset, kind in FORMATS.items():
        for stale in set((folder / dataset).glob(f"{dataset}_*.{kind}")) - wanted:
            stale.unlink()
    for file in files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        partial.write_bytes(file.content)
        os.replace(partial, target)  # noqa: PTH105  (the atomic rename is the point)
    return len(files)


def _with_first_versions(records: DepartmentRecords) -> DepartmentRecords:
    """A decision that changed later was sent twice: as it was first, then as it is."""
    versions: list[Penalty] = []
    for penalty in records.penalties:
        if penalty.updated_at > penalty.first_sent_at:
            first = replace(
                penalty,
                standing=Standing(),
                final_on=None,
                review_opened_on=None,
                review_closed_on=None,
                updated_at=penalty.first_sent_at,
            )
            versions.append(first)
        versions.append(penalty)
    return replace(records, penalties=tuple(versions))


def _lay_out_dataset(department: str, table: SourceTable, kind: str, universe: Universe) -> list[DropFile]:
    headers = [_head(column, kind) for column in table.columns]
    order = sorted(range(len(table.rows)), key=lambda i: (_instant(table.rows[i]), i))
    rows: list[Row] = []
    for i in order:
        cells = zip(table.columns, table.rows[i], strict=True)
        rows.append(dict(zip(headers, (_write(column, cell, kind) for column, cell in cells), strict=True)))
    periods = [_period(table.dataset, _instant(table.rows[i]).date(), universe.today) for i in order]
    soil(department, table.dataset, rows, universe.seed)
    grouped: dict[str, list[Row]] = {}
    for i, (period, row) in enumerate(zip(periods, rows, strict=True)):
        grouped.setdefault(period, []).append(row)
        if table.dataset != "profile" and i % _REPEAT_EVERY == 10:
            # Sent again unchanged with the last file.
            grouped.setdefault(periods[-1], []).append(row)
    write = _write_csv if kind == "csv" else _write_xlsx
    return [
        DropFile(f"{table.dataset}/{table.dataset}_{period}.{kind}", write(headers, group))
        for period, group in sorted(grouped.items())
    ]


def _instant(row: tuple[Cell, ...]) -> datetime:
    changed = row[-1]
    if not isinstance(changed, datetime):
        raise TypeError("the last column of a source table is the instant of its last change")
    return changed.astimezone(SHANGHAI)


def _period(dataset: str, day: date, today: date) -> str:
    """Yearly files, monthly ones for the last twelve months, daily ones in the current month; profiles are whole."""
    if dataset == "profile":
        return f"{today:%Y%m%d}"
    months = (today.year - day.year) * 12 + today.month - day.month
    if months == 0:
        return f"{day:%Y%m%d}"
    return f"{day:%Y%m}" if months < 12 else f"{day:%Y}"


def _head(column: Column, kind: str) -> str:
    if not column.is_money:
        return column.header
    return f"{column.header}（元）" if kind == "csv" else f"{column.header}（万元）"


def _write(column: Column, cell: Cell, kind: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal) and column.is_money and kind == "csv":
        return str(tables.to_yuan(cell))
    return str(cell)


def _write_csv(headers: list[str], rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headers)
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode("gb18030", "surrogateescape")


def _write_xlsx(headers: list[str], rows: Sequence[Row]) -> bytes:
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("数据")
    sheet.append(headers)
    for row in rows:
        sheet.append(list(row.values()))
    return encode_workbook(workbook)
