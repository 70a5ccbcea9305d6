"""Mapping: source columns to catalogue columns; what is normalised, what is rejected, and how it is shown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.department import Column, DatasetMapping
from connectors.mapping import MappedPage, Mapper
from exchange_formats.cleaning import MAXIMUM_CELL_BYTES
from exchange_formats.datasets import load_catalogue
from exchange_formats.digests import derive_id
from exchange_formats.errors import ConfigurationError
from exchange_formats.manifests import Window
from exchange_formats.subjects import mask_identity
from tests.pulls import CODES, DEPARTMENT, KEY, RESIDENT, UNTIL, Row, penalty, penalty_mapping, profile


def map_rows(*rows: Row, mapping: DatasetMapping | None = None, dataset: str = "penalty") -> MappedPage:
    batch = pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows]) for name in rows[0]})
    return map_batch(batch, mapping=mapping, dataset=dataset)


def map_batch(batch: pa.RecordBatch, *, mapping: DatasetMapping | None, dataset: str = "penalty") -> MappedPage:
    window = Window(until=UNTIL)
    mapper = Mapper(DEPARTMENT, load_catalogue()[dataset], mapping or penalty_mapping(), window, KEY)
    return mapper.map(batch, origin="fake", first_row=2, position=1)


def good(*rows: Row, mapping: DatasetMapping | None = None) -> dict[str, Any]:
    """The only row, which must be good."""
    page = map_rows(*rows, mapping=mapping)
    assert page.rejects.to_pylist() == []
    (row,) = page.records.to_pylist()
    return dict(row)


def bad(row: Row, mapping: DatasetMapping | None = None) -> dict[str, Any]:
    """The only row's reject."""
    page = map_rows(row, mapping=mapping)
    assert page.records.num_rows == 0
    (reject,) = page.rejects.to_pylist()
    return dict(reject)


def test_row_is_typed_when_it_keeps_the_contract() -> None:
    row = good(penalty())
    assert row["subject_ref"] == CODES[0]
    assert row["kind"] == "fine"
    assert row["fine_yuan"] == Decimal("15000.00")
    assert row["decided_on"] == date(2026, 5, 1)
    assert row["source_updated_at"] == datetime(2026, 6, 1, tzinfo=UTC), "no zone means Shanghai"
    assert row["row"] == 1
    assert row["procedure"] is None, "a column that is not mapped is null"
    assert row["record_id"] == derive_id(DEPARTMENT, "penalty", "浙环罚〔2026〕1号", CODES[0])


@pytest.mark.parametrize(
    ("change", "column", "value", "rule"),
    [
        ({"CF_XDR_MC": "某（浙江）公司　"}, "subject_name", "某(浙江)公司", "full_width"),
        ({"CF_XDR_MC": "  某公司\t"}, "subject_name", "某公司", "trimmed"),
        ({"CF_XDR_MC": "\\N"}, "subject_name", None, "null_spelling"),
        ({"CF_XDR_MC": "暂无"}, "subject_name", None, "null_spelling"),
        ({"CF_WSH": "ＡＢ１２号"}, "document_no", "AB12号", "full_width"),
        ({"CF_YJ": "《某法》，第一条；"}, "legal_basis", "《某法》，第一条；", None),
        ({"CX_RQ": "9999-09-09"}, "revoked_on", None, "sentinel_date"),
        ({"CX_RQ": "1899-12-31 12:00:00"}, "revoked_on", None, "sentinel_date"),
        ({"CX_RQ": "２０２６-０５-０２"}, "revoked_on", date(2026, 5, 2), "full_width"),
        ({"CF_JDRQ": "2026-5-3"}, "decided_on", date(2026, 5, 3), None),
        ({"CF_JDRQ": "2026-05-03 10:00:00"}, "decided_on", date(2026, 5, 3), None),
        ({"CF_JDRQ": "2026-06-30"}, "decided_on", date(2026, 6, 30), None),
        ({"CF_NR_FK": "0.000001"}, "fine_yuan", Decimal("0.01"), "unit_converted"),
        ({"CF_NR_FK": None, "CF_CFLB": "警告（书面）"}, "fine_yuan", None, None),
        ({"CF_XDR_MC": "某\u00a0公司"}, "subject_name", "某 公司", "space"),
        ({"CF_XDR_MC": "\ufeff某\u200b公司"}, "subject_name", "某公司", "invisible"),
        ({"CF_JDRQ": "2026-05-03 10:20:30"}, "decided_on", date(2026, 5, 3), "time_dropped"),
        ({"CF_CFLB": "警告(书面)"}, "kind", "warning", None),
        ({"CF_XDR_SHXYM": "91330100ma9yyyy09q"}, "subject_ref", CODES[0], "code_normalised"),
        ({"CF_XDR_SHXYM": "９１３３０１００MA9YYYY09Q "}, "subject_ref", CODES[0], "full_width"),
    ],
)
def test_value_is_normalised_and_counted_when_it_is_dirty(
    change: dict[str, str | None], column: str, value: object, rule: str | None
) -> None:
    page = map_rows(penalty(**change))
    assert page.rejects.to_pylist() == []
    assert page.records.to_pylist()[0][column] == value
    if rule is not None:
        assert page.normalised[rule] >= 1


@pytest.mark.parametrize(
    ("change", "reason", "column", "shown"),
    [
        ({"CF_JDRQ": "2026-02-30"}, "date.malformed", "decided_on", "2026-02-30"),
        ({"CF_JDRQ": "00:00;00"}, "date.malformed", "decided_on", "00:00;00"),
        ({"CF_JDRQ": "1026-05-01"}, "date.range", "decided_on", "1026-05-01"),
        ({"CF_JDRQ": "张三"}, "date.malformed", "decided_on", "**"),
        ({"CF_JDRQ": "2026-07-01"}, "date.future", "decided_on", "2026-07-01"),
        ({"CF_JDRQ": None}, "required.missing", "decided_on", None),
        ({"CF_JDRQ": "2099-12-31"}, "required.missing", "decided_on", "2099-12-31"),
        ({"CF_NR_FK": "1.2e3"}, "number.malformed", "fine_yuan", "1.2*3"),
        ({"CF_NR_FK": "1,200"}, "number.malformed", "fine_yuan", "1,200"),
        ({"CF_NR_FK": "0.0000012"}, "number.inexact", "fine_yuan", "0.0000012"),
        ({"CF_NR_FK": "99999999999999"}, "number.range", "fine_yuan", "999999********"),
        ({"CF_CFLB": "没收"}, "code.unknown", "kind", "没*"),
        ({"CF_WSH": None}, "key.missing", None, None),
        ({"CF_XDR_SHXYM": None}, "subject.missing", "subject_id", None),
        ({"CF_XDR_SHXYM": "91330100MA9YYYY09R"}, "unified_code.check_digit", "subject_id", "913301************"),
        ({"CF_XDR_SHXYM": "91330100MA9YYYYO9Q"}, "unified_code.alphabet", "subject_id", "913301************"),
        ({"CF_XDR_SHXYM": "91330100MA9YYYY19Q"}, "unified_code.organisation", "subject_id", "913301************"),
        ({"CF_XDR_SHXYM": "330183000123456"}, "unified_code.registration_number", "subject_id", "330183*********"),
        ({"CF_XDR_SHXYM": "330226************"}, "unified_code.masked", "subject_id", "330226************"),
        ({"CF_XDR_SHXYM": "锟斤拷"}, "text.mojibake", None, None),
        ({"CF_XDR_MC": "某\ufffd公司"}, "text.mojibake", None, None),
        ({"CF_XDR_MC": "ÕãÄÄ公司"}, "text.mojibake", None, None),
        ({"CF_WSH": "号\x001"}, "text.control", None, None),
        ({"CF_WSH": "3.30106E+11"}, "text.scientific", None, None),
        ({"CF_XDR_SHXYM": "9.13301e+17"}, "text.scientific", None, None),
        ({"CF_NR_FK": " 1.5E+10 "}, "text.scientific", None, None),
        ({"CF_XDR_MC": "某" * 201}, "text.too_long", "subject_name", "某*"),
        ({"CF_NR_FK": None}, "required.condition", "fine_yuan", None),
        ({"CX_RQ": "2026-04-30"}, "penalty.revocation_order", "revoked_on", "2026-04-30"),
        ({"CF_XDR_LB": "自然人"}, "penalty.party", "party_kind", "自然人"),
        ({"updateTime": None}, "source_time.missing", None, None),
        ({"updateTime": "2026-06-01 00:00;00"}, "source_time.malformed", None, "2026-06-01 00:00;00"),
        ({"updateTime": "2026-06-30 18:00:01"}, "source_time.future", None, "2026-06-30 18:00:01"),
        ({"CF_YJ": "法" * MAXIMUM_CELL_BYTES}, "cell.too_large", None, None),
    ],
)
def test_row_is_rejected_with_its_reason_when_it_breaks_the_contract(
    change: dict[str, str | None], reason: str, column: str | None, shown: str | None
) -> None:
    reject = bad(penalty(**change))
    assert (reject["reason"], reject["column"], reject["value"]) == (reason, column, shown)
    assert (reject["origin"], reject["origin_row"], reject["row"], reject["rows"]) == ("fake", 2, 1, 1)


@pytest.mark.parametrize("text", ["E+11", "3.3E+11号", "A3.3E+11", "C+12", "3.3E+1x", "+12"])
def test_text_is_kept_when_it_only_resembles_a_number_in_scientific_notation(text: str) -> None:
    page = map_rows(penalty(CF_WSH=text))
    assert [row["document_no"] for row in page.records.to_pylist()] == [text]


def test_ten_megabyte_cell_is_rejected_and_its_neighbour_lands_when_they_come_together() -> None:
    page = map_rows(penalty(1, CF_XDR_MC="x" * 10_000_000), penalty(2))
    assert [row["document_no"] for row in page.records.to_pylist()] == ["浙环罚〔2026〕2号"]
    assert [row["reason"] for row in page.rejects.to_pylist()] == ["cell.too_large"]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("decided_on", "2026-13-01", "date is malformed"),
        ("authority_code", "113300000000000000", "check digit"),
        ("fine_yuan", "2万", "number is malformed"),
        ("fine_yuan", "-1", "out of range"),
    ],
)
def test_constant_that_no_column_takes_is_the_mappings_fault(column: str, value: str, said: str) -> None:
    written = penalty_mapping()
    constant = Column.model_validate({"value": value})
    mapping = written.model_copy(update={"columns": {**written.columns, column: constant}})
    with pytest.raises(ConfigurationError, match=said) as caught:
        map_rows(penalty(), mapping=mapping)
    assert f"columns.{column}.value" in str(caught.value)


@pytest.mark.parametrize("written", ["张三丰", f"张三丰{RESIDENT}", "王五11010519491231"])
def test_name_is_not_shown_when_it_stands_where_the_record_is_named(written: str) -> None:
    mapping = penalty_mapping(key=["CF_XDR_SHXYM", "CF_WSH"], party=None)
    (reject,) = map_rows(penalty(CF_XDR_SHXYM=written), mapping=mapping).rejects.to_pylist()
    assert reject["key"].endswith("*** | 浙环罚〔2026〕1号")
    assert not any(letter in str(reject) for letter in "张三丰王五")


def test_row_is_one_reject_that_lists_every_reason_when_it_breaks_several() -> None:
    reject = bad(penalty(CF_JDRQ="x", CF_NR_FK="y", CF_XDR_SHXYM="z"))
    assert reject["reason"] == "unified_code.length"
    assert reject["detail"] == "unified_code.length subject_id, number.malformed fine_yuan, date.malformed decided_on"


def test_future_date_lands_when_the_column_may_lie_in_the_future() -> None:
    columns = penalty_mapping().model_dump(by_alias=True, exclude_none=True)["columns"]
    mapping = penalty_mapping(columns=columns | {"final_on": "CX_RQ"} | {"revoked_on": {"value": "2026-06-01"}})
    row = good(penalty(CX_RQ="2026-07-29"), mapping=mapping)
    assert (row["final_on"], row["revoked_on"]) == (date(2026, 7, 29), date(2026, 6, 1))


def test_declared_formats_are_the_only_ones_when_a_column_declares_them() -> None:
    columns = penalty_mapping().model_dump(by_alias=True, exclude_none=True)["columns"]
    columns["decided_on"] = {"from": "CF_JDRQ", "formats": ["%Y年%m月%d日", "%Y%m%d"]}
    mapping = penalty_mapping(columns=columns)
    assert good(penalty(CF_JDRQ="2026年5月1日"), mapping=mapping)["decided_on"] == date(2026, 5, 1)
    assert good(penalty(CF_JDRQ="20260501"), mapping=mapping)["decided_on"] == date(2026, 5, 1)
    assert bad(penalty(CF_JDRQ="2026-05-01"), mapping)["reason"] == "date.malformed"


@pytest.mark.parametrize("change", [{"formats": ["%d/%b/%Y"]}, {"formats": ["%Y-%m"]}])
def test_unknown_date_format_is_a_configuration_error_when_the_mapping_is_compiled(change: dict[str, Any]) -> None:
    columns = penalty_mapping().model_dump(by_alias=True, exclude_none=True)["columns"]
    columns["decided_on"] = {"from": "CF_JDRQ", **change}
    with pytest.raises(ConfigurationError, match="decided_on"):
        map_rows(penalty(), mapping=penalty_mapping(columns=columns))


@pytest.mark.semantics("2.22")
def test_first_rule_wins_when_a_row_is_classified() -> None:
    law = "《环境保护法》第六十条"
    rows = [penalty(1, CF_YJ=law, CF_NR_FK="10"), penalty(2, CF_YJ=law), penalty(3, CF_CFLB="警告（书面）")]
    assert [row["violation_code"] for row in map_rows(*rows).records.to_pylist()] == ["1201", "1202", None]


def test_official_name_is_a_code_when_the_mapping_lists_none() -> None:
    mapping = DatasetMapping.model_validate(
        {
            "key": ["code"],
            "columns": {"subject_id": "code", "subject_name": "name", "status": "status", "city_code": "city"},
        }
    )
    row = {**profile(CODES[0]), "status": "存续", "city": "330100"}
    batch = pa.RecordBatch.from_pylist([row])
    (mapped,) = map_batch(batch, mapping=mapping, dataset="profile").records.to_pylist()
    assert (mapped["status"], mapped["city_code"]) == ("active", "330100")


def test_typed_columns_are_read_as_they_are_when_a_database_hands_them_over() -> None:
    row = {name: pa.array([value], pa.string()) for name, value in penalty().items()}
    row["CF_JDRQ"] = pa.array([date(2026, 5, 1)])
    row["CF_NR_FK"] = pa.array([Decimal("1.500000")])
    row["CX_RQ"] = pa.array([datetime(2026, 5, 31, 17, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
    row["updateTime"] = pa.array([datetime(2026, 6, 1, tzinfo=UTC)], pa.timestamp("ns", tz="Asia/Shanghai"))
    (mapped,) = map_batch(pa.RecordBatch.from_pydict(row), mapping=None).records.to_pylist()
    assert mapped["decided_on"] == date(2026, 5, 1)
    assert mapped["fine_yuan"] == Decimal("15000.00")
    assert mapped["revoked_on"] == date(2026, 6, 1), "the day in Shanghai"
    assert mapped["source_updated_at"] == datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.semantics("2.1", "5.1")
def test_person_is_a_pseudonym_with_a_reduced_name_when_the_party_is_natural() -> None:
    person = penalty(CF_XDR_SHXYM=None, CF_XDR_ZJHM=RESIDENT, CF_XDR_LB="自然人", CF_XDR_MC="张三丰")
    page = map_rows(person)
    (row,) = page.records.to_pylist()
    assert row["subject_ref"] == KEY.reference(RESIDENT)
    assert row["subject_name"] == "张*"
    assert row["record_id"] == derive_id(DEPARTMENT, "penalty", "浙环罚〔2026〕1号", KEY.reference(RESIDENT))
    assert page.normalised["pseudonymised"] == 1
    assert RESIDENT not in str(page.records.to_pylist())


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        ("法人", "913301", "unified_code.length"),
        ("法人", None, "subject.missing"),
        ("个体工商户", RESIDENT, "subject.person_number"),
        (None, "913301", "unified_code.length"),
    ],
)
def test_organisation_never_becomes_its_representative_when_its_code_is_broken(
    kind: str | None, code: str | None, reason: str
) -> None:
    reject = bad(penalty(CF_XDR_LB=kind, CF_XDR_SHXYM=code, CF_XDR_ZJHM=RESIDENT))
    assert (reject["reason"], reject["source_column"]) == (reason, "CF_XDR_SHXYM")
    assert reject["value"] == (code and mask_identity(code))
    assert RESIDENT not in str(reject)


def test_lone_number_is_a_person_when_nobody_says_what_the_party_is() -> None:
    row = good(penalty(CF_XDR_LB=None, CF_XDR_SHXYM=None, CF_XDR_ZJHM=RESIDENT.lower()))
    assert row["subject_ref"] == KEY.reference(RESIDENT)
    assert good(penalty(CF_XDR_LB=None, CF_XDR_SHXYM=RESIDENT))["subject_ref"] == KEY.reference(RESIDENT)


@pytest.mark.semantics("5.5")
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("330226199001011234", "resident_number.check_digit"),
        ("330226199013011234", "resident_number.birth_date"),
        ("33022619900101123Y", "resident_number.alphabet"),
        ("330226900101123", "resident_number.length"),
        ("330226************", "resident_number.masked"),
    ],
)
def test_number_is_rejected_masked_and_for_its_reason_when_it_is_none(number: str, reason: str) -> None:
    reject = bad(penalty(CF_XDR_LB="自然人", CF_XDR_SHXYM=None, CF_XDR_ZJHM=number))
    assert (reject["reason"], reject["value"]) == (reason, mask_identity(number))
    assert reject["source_column"] == "CF_XDR_ZJHM"
    assert number[6:] not in str(reject) or number.endswith("*")


@pytest.mark.semantics("5.2", "5.5")
def test_reject_never_shows_a_number_when_it_is_the_key() -> None:
    columns = {"subject_id": "no", "subject_name": "name", "status": {"value": "active"}, "registered_on": "day"}
    mapping = DatasetMapping.model_validate({"key": ["no"], "columns": columns})
    row = {"no": RESIDENT, "name": "张三", "day": "never"}
    page = map_batch(pa.RecordBatch.from_pylist([row]), mapping=mapping, dataset="profile")
    (reject,) = page.rejects.to_pylist()
    assert reject["reason"] == "date.malformed"
    assert reject["record_id"] == derive_id(DEPARTMENT, "profile", KEY.reference(RESIDENT))
    assert RESIDENT not in str(reject)
    assert "张三" not in str(reject)


def test_key_is_the_same_when_the_subjects_own_code_comes_in_lower_case() -> None:
    mapping = DatasetMapping.model_validate(
        {"key": ["code"], "columns": {"subject_id": "code", "subject_name": "name", "status": {"value": "active"}}}
    )
    batch = pa.RecordBatch.from_pylist([profile(CODES[0]), profile(CODES[0].lower())])
    rows = map_batch(batch, mapping=mapping, dataset="profile").records.to_pylist()
    assert rows[0]["record_id"] == rows[1]["record_id"]


def test_fingerprint_tells_rows_apart_when_their_masked_values_do_not() -> None:
    first, second = bad(penalty(CF_XDR_SHXYM="913301001")), bad(penalty(CF_XDR_SHXYM="913301002"))
    assert first["value"] == second["value"]
    assert first["fingerprint"] != second["fingerprint"]


def test_old_identity_is_derived_from_the_right_when_a_row_supersedes_another() -> None:
    mapping = penalty_mapping(supersedes="old")
    rows = [{**penalty(1), "old": None}, {**penalty(2), "old": CODES[1]}, {**penalty(3), "old": f"旧号 | {CODES[2]}"}]
    found = [row["supersedes"] for row in map_rows(*rows, mapping=mapping).records.to_pylist()]
    assert found == [
        None,
        derive_id(DEPARTMENT, "penalty", "浙环罚〔2026〕2号", CODES[1]),
        derive_id(DEPARTMENT, "penalty", "旧号", CODES[2]),
    ]


def test_subject_is_another_registrys_number_when_the_mapping_names_the_registry() -> None:
    columns = {
        "subject_id": {"from": "business", "registry": "montreal_food"},
        "document_no": "no",
        "kind": {"value": "fine"},
        "fine_yuan": {"from": "amount", "currency": "CAD", "yuan": "5.125"},
        "decided_on": {"from": "day", "formats": ["%Y%m%d"]},
    }
    mapping = DatasetMapping.model_validate({"key": ["no"], "columns": columns})
    rows: list[Row] = [
        {"no": "1", "business": " 40173 ", "amount": "100.01", "day": "20150305"},
        {"no": "2", "business": "40 173", "amount": "100", "day": "20150305"},
        {"no": "3", "business": None, "amount": "100", "day": "20150305"},
    ]
    page = map_rows(*rows, mapping=mapping)
    (row,) = page.records.to_pylist()
    assert (row["subject_ref"], row["fine_yuan"]) == ("xr_montreal_food_40173", Decimal("512.55"))
    assert page.normalised["currency_converted"] == 3
    assert page.rejects.column("reason").to_pylist() == ["registry_number.malformed", "subject.missing"]


def test_good_rows_are_only_put_together_when_they_are_asked_for() -> None:
    page = map_rows(penalty(1), penalty(2, CF_JDRQ="x"))
    assert "records" not in vars(page)
    assert (page.good, page.rejects.num_rows, page.records.num_rows) == (1, 1, 1)
