"""The emergency department's files: encodings, units, versions, dirt, and the same bytes every time."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from stdnum.cn import ric

from gateway.simulators.departments import EMERGENCY
from gateway.simulators.file_dirt import soil
from gateway.simulators.file_drop import FORMATS, DropFile, lay_out_drop, write_drop
from gateway.simulators.history import draw_history
from gateway.simulators.practice import load_practices
from gateway.simulators.records import DepartmentRecords, Person
from gateway.simulators.universe import Universe, draw_universe

TODAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw_universe(subjects=10_000, seed=2019, today=TODAY)


@pytest.fixture(scope="module")
def records(universe: Universe) -> DepartmentRecords:
    return draw_history(universe)[EMERGENCY]


@pytest.fixture(scope="module")
def files(records: DepartmentRecords, universe: Universe) -> list[DropFile]:
    return lay_out_drop(load_practices()[EMERGENCY], records, universe)


def read_rows(files: list[DropFile], dataset: str) -> Iterator[dict[str, str]]:
    for file in files:
        if not file.path.startswith(f"{dataset}/"):
            continue
        if file.path.endswith("csv"):
            text = file.content.decode("gb18030", "replace")
            assert "\r\n" in text
            yield from csv.DictReader(io.StringIO(text, newline=""))
        else:
            lines = openpyxl.load_workbook(io.BytesIO(file.content), read_only=True).active.values
            header = next(lines)
            yield from ({k: v or "" for k, v in zip(header, line, strict=True)} for line in lines)


def test_every_record_is_dropped_when_laid_out(files: list[DropFile], records: DepartmentRecords) -> None:
    assert sum(1 for _ in read_rows(files, "profile")) == len(records.supervised)
    for dataset, numbers in {
        "penalty": {(p.number, str(p.id)) for p in records.penalties},
        "incident": {(i.number, str(i.id)) for i in records.incidents},
    }.items():
        key = {"penalty": "决定书文号", "incident": "事故编号"}[dataset]
        rows = list(read_rows(files, dataset))
        assert {(row[key], row["记录编号"]) for row in rows} == numbers
        assert len(rows) > len(numbers) or dataset == "incident"


def test_files_are_named_by_period_when_laid_out(files: list[DropFile]) -> None:
    lengths: dict[str, Counter[int]] = {}
    for file in files:
        dataset, _, name = file.path.partition("/")
        stem, _, kind = name.partition(".")
        assert kind == FORMATS[dataset]
        lengths.setdefault(dataset, Counter())[len(stem.removeprefix(f"{dataset}_"))] += 1
    assert lengths["profile"] == {8: 1}
    assert set(lengths["penalty"]) == {4, 6, 8}


def test_money_is_yuan_in_csv_and_ten_thousand_in_xlsx_when_laid_out(
    files: list[DropFile], records: DepartmentRecords
) -> None:
    fines = {str(p.id): p.fine for p in records.penalties}
    for row in read_rows(files, "penalty"):
        stated = row["罚款金额（元）"]
        if stated and stated not in {r"\N", "暂无"}:
            assert Decimal(stated) == fines[row["记录编号"]]
    losses = {str(i.id): i.loss for i in records.incidents}
    for row in read_rows(files, "incident"):
        assert Decimal(row["直接经济损失（万元）"]) * 10_000 == losses[row["记录编号"]]


def test_person_has_a_valid_number_and_no_unified_code_when_a_party(
    files: list[DropFile], records: DepartmentRecords
) -> None:
    persons = [row for row in read_rows(files, "penalty") if row["行政相对人类别"] == "自然人"]
    assert {row["证件号码"] for row in persons} == {
        p.party.number for p in records.penalties if isinstance(p.party, Person)
    }
    for row in persons:
        assert ric.get_birth_date(row["证件号码"]) < date(1910, 1, 1)
        assert row["证件类型"] == "身份证"


def test_changed_decision_is_sent_twice_when_laid_out(files: list[DropFile], records: DepartmentRecords) -> None:
    repaired = next(p for p in records.penalties if p.standing.repaired_on)
    versions = [row for row in read_rows(files, "penalty") if row["记录编号"] == str(repaired.id)]
    versions.sort(key=lambda row: row["更新时间"])
    assert versions[0]["信用修复日期"] in {"", r"\N", "暂无"}
    assert versions[-1]["信用修复日期"] == str(repaired.standing.repaired_on)


def test_all_dirt_occurs_on_few_rows_when_10000_subjects(files: list[DropFile]) -> None:
    rows = {dataset: list(read_rows(files, dataset)) for dataset in FORMATS}
    every = [row for found in rows.values() for row in found]
    text = [cell for row in every for cell in row.values()]
    codes = [row["统一社会信用代码"] for row in every]
    names = [row.get("单位名称") or row.get("检查对象名称") or "" for row in every]
    assert {r"\N", "暂无"} & set(text)
    assert {"9999-09-09", "1900-01-01", "1899-12-31 12:00:00", "2099-12-31"} & {
        row.get("办结日期") or row.get("整改期限") or row.get("成立日期") or "" for row in every
    }
    assert any(row["更新时间"].endswith("00:00;00") for row in rows["penalty"])
    assert any(code != code.strip() for code in codes)
    assert any(code != code.upper() and code.isascii() for code in codes)
    assert any("０" <= letter <= "９" for code in codes for letter in code)
    assert any(len(code) == 15 and code.isdigit() for code in codes)
    assert any(code.endswith("************") for code in codes)
    assert any("（" in name and ")" in name for name in names) or any("(" in name for name in names)
    undecodable = [file for file in files if file.path.endswith("csv") and not _is_gb18030_words(file.content)]
    assert undecodable
    unusable = sum(len(code.strip()) not in {0, 18} or "*" in code for code in codes)
    assert unusable / len(every) < 0.01


def _is_gb18030_words(content: bytes) -> bool:
    """Whether the file decodes and holds no mojibake outside the usual ideographs."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return False
    usual = "（）〔〕、；《》，。％０１２３４５６７８９　"
    return all(letter.isascii() or "\u4e00" <= letter <= "\u9fa5" or letter in usual for letter in text)


@pytest.mark.parametrize("dataset", FORMATS)
def test_about_one_row_in_a_hundred_is_soiled_when_laid_out(dataset: str) -> None:
    dates = dict.fromkeys(("整改期限", "办结日期", "有效期至", "处罚有效期"), "2026-01-01")
    names = dict.fromkeys(("行政相对人名称", "检查对象名称", "被投诉单位名称", "单位名称"), "甲（乙）厂")
    rows = [
        {**names, **dates, "统一社会信用代码": "91330100MA9YYYY09Q", "更新时间": "2026-01-01 10:00:00", "备注": ""}
        for _ in range(1_000)
    ]
    clean = dict(rows[0])
    soiled = soil(EMERGENCY, dataset, rows, seed=1)
    assert 8 <= len(soiled) <= 15
    assert [i for i, row in enumerate(rows) if row != clean] == [place for place, _ in soiled]


def test_files_have_the_same_bytes_when_laid_out_again(
    files: list[DropFile], records: DepartmentRecords, universe: Universe
) -> None:
    assert lay_out_drop(load_practices()[EMERGENCY], records, universe) == files


def test_files_of_an_earlier_seed_go_and_others_stay_when_written_again(tmp_path: Path) -> None:
    write_drop(tmp_path, [DropFile("penalty/penalty_2020.csv", b"a"), DropFile("penalty/penalty_2021.csv", b"b")])
    (tmp_path / "penalty" / "note.txt").write_text("kept")
    assert write_drop(tmp_path, [DropFile("penalty/penalty_2021.csv", b"c")]) == 1
    left = {path.name: path.read_bytes() for path in (tmp_path / "penalty").iterdir()}
    assert left == {"penalty_2021.csv": b"c", "note.txt": b"kept"}
