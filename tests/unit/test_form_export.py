"""Landed records written in a legacy form: newest versions, nothing of persons, nothing lost without a line."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from connectors.department import load_departments
from connectors.sources.uploads import UploadTable
from exchange_formats.errors import ConfigurationError, FatalError
from gateway.cli import app
from gateway.form_export import Export, export_form
from tests.fakes import MemoryStore
from tests.pulls import CODES, DEPARTMENT, RESIDENT, Landings, later, penalty, penalty_mapping

FORM = "shuanggongshi_penalty_2018"
AT = datetime(2026, 6, 30, 10, tzinfo=UTC)
WHOLE = {
    "CF_CFJG": "某市生态环境局",
    "CF_CFJGDM": "11330000000000000C",
    "CF_WFXW": "超标排放",
    "CF_SY": "超标排放废水",
    "CF_NR": "罚款一万五千元",
    "CF_GSJZQ": "2027-05-01",
}
MORE = {"authority": "CF_CFJG", "authority_code": "CF_CFJGDM", "violation": "CF_WFXW"} | {
    "facts": "CF_SY",
    "content": "CF_NR",
    "publish_until": "CF_GSJZQ",
}


def whole(number: int, **changes: str | None) -> dict[str, str | None]:
    return penalty(number, **WHOLE) | changes


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    columns = penalty_mapping().model_dump(by_alias=True)["columns"]
    landings = Landings(MemoryStore(), tmp_path / "lake", penalty_mapping(columns=columns | MORE))
    person = {"CF_XDR_SHXYM": None, "CF_XDR_ZJHM": RESIDENT, "CF_XDR_MC": "张三丰", "CF_XDR_LB": "自然人"}
    shop = {"CF_XDR_SHXYM": CODES[1], "CF_XDR_MC": "李四小吃店", "CF_XDR_LB": "个体工商户"}
    landings.pull([whole(1), whole(2, **shop), whole(3, **person), whole(4), whole(5, CF_GSJZQ=None)])
    landings.pull(
        [
            whole(1, CF_NR_FK="3.000001", updateTime="2026-06-02 08:00:00"),
            whole(4, CX_RQ="2026-06-03", updateTime="2026-06-03 08:00:00"),
        ],
        until=later(1),
    )
    return landings


def export(landings: Landings, path: Path, **options: Any) -> Export:
    department = load_departments()[DEPARTMENT]
    return export_form(landings.lake, department, FORM, path, written_at=AT, **options)


def test_newest_versions_are_written_when_records_were_corrected(landings: Landings, tmp_path: Path) -> None:
    found = export(landings, tmp_path / "a.csv")
    assert (found.written, found.names_masked) == (2, 1)
    assert found.omitted == {"form.person": 1, "form.revoked": 1, "form.missing": 1}
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["行政处罚决定文书号"]: row for row in csv.DictReader(file)}
    assert {number: row["罚款金额（万元）"] for number, row in rows.items()} == {
        "浙环罚〔2026〕1号": "3.000001",
        "浙环罚〔2026〕2号": "1.500000",
    }
    assert rows["浙环罚〔2026〕2号"]["行政相对人名称"] == "李*"


def test_who_is_left_out_is_listed_when_the_form_cannot_hold_them(landings: Landings, tmp_path: Path) -> None:
    found = export(landings, tmp_path / "a.csv")
    assert found.list_path == tmp_path / "a.csv.omitted.csv"
    with found.list_path.open(encoding="utf-8-sig", newline="") as file:
        listed = {(row["记录编号 record id"], row["原因代码 reason code"]) for row in csv.DictReader(file)}
    by_number = {row["document_no"]: row["record_id"] for row in landings.latest().values()}
    assert listed == {
        (by_number["浙环罚〔2026〕3号"], "form.person"),
        (by_number["浙环罚〔2026〕4号"], "form.revoked"),
        (by_number["浙环罚〔2026〕5号"], "form.missing"),
    }
    text = (tmp_path / "a.csv").read_text(encoding="utf-8") + found.list_path.read_text(encoding="utf-8")
    assert RESIDENT not in text
    assert "np_" not in text
    assert "张" not in text
    assert not list(tmp_path.glob(".*"))


def test_names_are_whole_when_the_department_gets_its_own(landings: Landings, tmp_path: Path) -> None:
    assert export(landings, tmp_path / "a.csv", whole_names=True).names_masked == 0
    assert "李四小吃店" in (tmp_path / "a.csv").read_text(encoding="utf-8")


def test_a_workbook_and_an_upload_hold_the_same_when_they_are_opened(landings: Landings, tmp_path: Path) -> None:
    assert export(landings, tmp_path / "a.xlsx").written == 2
    assert export(landings, tmp_path / "a.xml").written == 2
    sheet = load_workbook(tmp_path / "a.xlsx").worksheets[0]
    cells = [[cell or "" for cell in row] for row in sheet.iter_rows(min_row=2, values_only=True)]
    with UploadTable(tmp_path / "a.xml", "a.xml") as table:
        assert table.head.info_class == "双公示-行政处罚"
        (page,) = table.pages(table.header)
        assert [list(row.values()) for row in page.batch.to_pylist()] == cells  # type: ignore[union-attr]


def test_no_list_is_left_when_the_form_holds_everybody(tmp_path: Path, landings: Landings) -> None:
    columns = penalty_mapping().model_dump(by_alias=True)["columns"]
    good = Landings(MemoryStore(), tmp_path / "good", penalty_mapping(columns=columns | MORE))
    export(landings, tmp_path / "a.csv")
    good.pull([whole(1)])
    found = export(good, tmp_path / "a.csv")
    assert (found.written, found.omitted, found.list_path) == (1, {}, None)
    assert not (tmp_path / "a.csv.omitted.csv").exists(), "an old list would be taken for this one's"


def test_nothing_is_left_behind_when_a_text_cannot_be_written(landings: Landings, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="unknown kind"):
        export(landings, tmp_path / "a.txt")
    with pytest.raises(FatalError, match="cannot write"):
        export(landings, tmp_path / "nowhere" / "a.csv")
    department = load_departments()[DEPARTMENT]
    with pytest.raises(ConfigurationError, match="only read"):
        export_form(landings.lake, department, "shuanggongshi_penalty_2016", tmp_path / "a.csv", written_at=AT)
    assert not list(tmp_path.glob("a*"))


def test_the_command_says_what_was_left_out_when_it_ends(
    landings: Landings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = SimpleNamespace(departments=load_departments(), lake=landings.lake)
    monkeypatch.setattr("gateway.cli.export.open_workplace", lambda: place)
    arguments = ["export", str(tmp_path / "a.csv"), "--form", FORM, "--department", DEPARTMENT]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "written 2" in shown.output
    assert "自然人记录" in shown.output
    counted = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert counted["written"] == 2
    assert sum(counted["omitted"].values()) == 3
