"""A header that the catalogue knows becomes a mapping; what it lacks is named with titles."""

from __future__ import annotations

import pytest

from connectors.department import Files
from connectors.templates import map_template
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import FatalError

FILES = Files(pattern="a.csv", format="csv")
CATALOGUE = load_catalogue()


@pytest.mark.parametrize("dataset", sorted(CATALOGUE))
@pytest.mark.parametrize("by", ["name", "title"])
def test_every_column_is_mapped_when_the_header_holds_names_or_titles(dataset: str, by: str) -> None:
    fields = CATALOGUE[dataset].fields
    header = [name if by == "name" else spec.title for name, spec in fields.items()]
    mapping = map_template(CATALOGUE[dataset], header, FILES)
    assert {name: column.source for name, column in mapping.columns.items()} == dict(zip(fields, header, strict=True))
    assert {name: column.unit for name, column in mapping.columns.items() if column.unit} == {
        name: spec.unit for name, spec in fields.items() if spec.unit in {"元", "分"}
    }


def test_names_and_titles_may_be_mixed_in_any_order_and_width() -> None:
    mapping = map_template(CATALOGUE["profile"], ["经营状态", "注册资本（原文）", "SUBJECT_ID ", "主体名称"], FILES)
    assert {name: column.source for name, column in mapping.columns.items()} == {
        "status": "经营状态",
        "registered_capital": "注册资本（原文）",
        "subject_id": "SUBJECT_ID ",
        "subject_name": "主体名称",
    }


def test_identity_is_the_datasets_own_when_a_decision_names_several_parties() -> None:
    header = ["subject_id", "处罚类别", "决定书文号", "处罚决定日期", "处罚机关代码"]
    mapping = map_template(CATALOGUE["penalty"], header, FILES)
    assert mapping.key == ("决定书文号", "处罚机关代码")
    assert mapping.party == "subject_id"


def test_optional_column_of_the_identity_may_be_left_out() -> None:
    mapping = map_template(CATALOGUE["penalty"], ["subject_id", "kind", "document_no", "decided_on"], FILES)
    assert mapping.key == ("document_no",)


def test_subject_is_the_key_when_it_is_the_whole_identity() -> None:
    mapping = map_template(CATALOGUE["profile"], ["subject_id", "subject_name", "status"], FILES)
    assert (mapping.key, mapping.party) == (("subject_id",), None)


def test_unknown_columns_are_only_reported() -> None:
    mapping = map_template(CATALOGUE["profile"], ["subject_id", "subject_name", "status", "备注"], FILES)
    assert mapping.on_unknown_column == "report"
    assert "备注" not in mapping.source_columns


def test_all_missing_required_columns_are_named_with_titles() -> None:
    with pytest.raises(FatalError) as caught:
        map_template(CATALOGUE["penalty"], ["行政相对人代码", "违法事实"], FILES)
    assert "document_no 决定书文号、kind 处罚类别、decided_on 处罚决定日期" in str(caught.value)
    assert "the header is '行政相对人代码', '违法事实'" in str(caught.value)


@pytest.mark.parametrize("number", ["11010519491231002X", "110105********002X", "91330100MA9YYYY09Q"])
def test_nobody_is_shown_when_a_record_stands_in_the_headers_place(number: str) -> None:
    with pytest.raises(FatalError, match="looks like a record") as caught:
        map_template(CATALOGUE["penalty"], [number, "张三丰", "浙罚1号"], FILES)
    assert number not in str(caught.value)
    assert "张" not in str(caught.value)


def test_hint_explains_a_header_that_is_no_text() -> None:
    with pytest.raises(FatalError, match="try gb18030"):
        map_template(CATALOGUE["penalty"], ["�ķ�"], FILES, hint="try gb18030")


def test_column_written_by_name_and_by_title_is_refused() -> None:
    header = ["subject_id", "统一社会信用代码", "subject_name", "status"]
    with pytest.raises(FatalError, match="twice in the header: subject_id 统一社会信用代码"):
        map_template(CATALOGUE["profile"], header, FILES)
