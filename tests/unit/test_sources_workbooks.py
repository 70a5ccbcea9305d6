"""Dropped XLSX files: types of cells, truncation, bombs, and the files beside them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from connectors.connection import Connection
from connectors.sources import limits, open_source
from exchange_formats.errors import FatalError
from tests.source_samples import WINDOW, make_department, now, read

HEADER = ["no", "code", "day"]


def pack(*rows: list[Any], title: str = "数据", first_row: int = 1) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for number, row in enumerate(rows, first_row):
        for column, cell in enumerate(row, 1):
            sheet.cell(number, column, cell)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def open_folder(folder: Path, **mapping: Any) -> Any:
    files = {"pattern": "*.xlsx", "format": "xlsx", **mapping.pop("files", {})}
    department = make_department({"kind": "files"}, {"files": files, **mapping})
    return open_source(department, "complaint", Connection("c", "fs", extra={"path": str(folder)}), WINDOW, now=now)


def test_cells_become_text_when_the_sheet_is_typed(tmp_path: Path) -> None:
    rows = (
        [123456789012345, 1.5, date(2026, 1, 2)],
        [7.0, True, datetime(2026, 1, 2, 3, 4, 5)],  # noqa: DTZ001
        ["007", None, "2026-01-02"],
    )
    (tmp_path / "a.xlsx").write_bytes(pack(HEADER, *rows))
    found, rejects = read(open_folder(tmp_path))
    assert [(row["no"], row["code"], row["day"][:10]) for row in found] == [
        ("123456789012345", "1.5", "2026-01-02"),
        ("7", "TRUE", "2026-01-02"),
        ("007", "", "2026-01-02"),
    ]
    assert found[1]["day"] == "2026-01-02 03:04:05"
    assert found[0]["_at"] == ("a.xlsx!数据", 2)
    assert not rejects


@pytest.mark.parametrize("number", [10**15, 3301062026000123, -(10**15), 12345678901234567890])
def test_a_number_shows_that_digits_were_lost_when_the_spreadsheet_keeps_fifteen(tmp_path: Path, number: int) -> None:
    (tmp_path / "a.xlsx").write_bytes(pack(HEADER, [number, "A", "d"], [10**15 - 1, "B", "d"]))
    found, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in found] == [f"{float(number):.14E}", "999999999999999"]
    assert not rejects


def test_rows_are_numbered_as_the_spreadsheet_does_when_it_begins_lower(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(pack(HEADER, ["1", "A", "d"], [None] * 3, ["2", "B", "d"], first_row=4))
    found, _ = read(open_folder(tmp_path))
    assert [(row["no"], row["_at"][1]) for row in found] == [("1", 5), ("2", 7)]


def test_a_value_without_a_column_is_a_ragged_row(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(pack(HEADER, ["1", "A", "d", "stray"], ["2", "B", "d"]))
    found, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in found] == ["2"]
    assert [(one.row, str(one.reason)) for one in rejects] == [(2, "row.ragged")]
    assert "stray" not in rejects[0].detail


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_the_others_go_on_when_a_workbook_is_truncated(tmp_path: Path, kept: float) -> None:
    whole = pack(HEADER, *([str(n), "A", "d"] for n in range(500)))
    (tmp_path / "a.xlsx").write_bytes(whole[: int(len(whole) * kept)])
    (tmp_path / "b.xlsx").write_bytes(pack(HEADER, ["1", "A", "d"]))
    found, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in found] == ["1"]
    assert [(one.origin, one.row, str(one.reason)) for one in rejects] == [("a.xlsx", None, "file.broken")]


@pytest.mark.parametrize(
    "content",
    [b"no,code,day\r\n1,A,d\r\n", b"PK\x03\x04 and nothing else", b"<html>login</html>", b"\xd0\xcf\x11\xe0" * 200],
    ids=["csv", "half a zip", "html", "old xls or a password"],
)
def test_a_file_is_rejected_when_it_is_no_workbook(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    assert [str(one.reason) for one in read(open_folder(tmp_path))[1]] == ["file.broken"]


def test_a_zip_without_a_sheet_is_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as package:
        package.writestr("hello.txt", "x")
    assert [str(one.reason) for one in read(open_folder(tmp_path))[1]] == ["file.broken"]


def test_an_empty_file_and_an_empty_sheet_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"")
    (tmp_path / "b.xlsx").write_bytes(pack())
    assert [str(one.reason) for one in read(open_folder(tmp_path))[1]] == ["file.empty", "file.empty"]


def test_a_bomb_is_rejected_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKBOOK_UNPACKED", replace(limits.WORKBOOK_UNPACKED, most=1_000_000))
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", b"0" * 5_000_000)
    _, rejects = read(open_folder(tmp_path))
    assert [str(one.reason) for one in rejects] == ["file.broken"]
    assert "unpacks to more than" in rejects[0].detail


def test_a_bomb_is_rejected_when_its_directory_lies_about_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WORKBOOK_UNPACKED", replace(limits.WORKBOOK_UNPACKED, most=1_000_000))
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", b"0" * 5_000_000)
    honest = (5_000_000).to_bytes(4, "little")
    assert raw.getvalue().count(honest) == 2
    (tmp_path / "a.xlsx").write_bytes(raw.getvalue().replace(honest, (100).to_bytes(4, "little")))
    _, rejects = read(open_folder(tmp_path))
    assert [str(one.reason) for one in rejects] == ["file.broken"]
    assert "unpacks to more than" in rejects[0].detail


def test_a_named_sheet_is_read_when_there_are_several(tmp_path: Path) -> None:
    book = Workbook()
    second = book.create_sheet("名单")
    second.append(HEADER)
    second.append(["9", "Z", "d"])
    book.save(tmp_path / "a.xlsx")
    found, _ = read(open_folder(tmp_path, files={"sheet": "名单"}))
    assert found[0]["no"] == "9"
    _, rejects = read(open_folder(tmp_path, files={"sheet": "无"}))
    assert rejects[0].detail == "there is no sheet '无'"


def test_a_number_is_masked_when_it_names_the_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(pack(HEADER, ["1", "A", "d"], title="11010519491231002X"))
    found, _ = read(open_folder(tmp_path))
    assert found[0]["_at"] == ("a.xlsx!110105************", 2)


def test_a_missing_column_names_file_and_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(pack(["no", "code"], ["1", "A"]))
    with pytest.raises(FatalError, match=r"a\.xlsx!数据: missing columns: 'day'"):
        read(open_folder(tmp_path))
