"""Legacy forms: standard → form → standard is the identity on what both hold, and what one cannot hold is listed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from connectors.department import DatasetMapping, Files
from connectors.form_tables import map_form
from connectors.mapping import MappedPage, Mapper
from connectors.sources.files import open_file
from connectors.sources.model import SourcePage
from exchange_formats.datasets import Dataset, FieldSpec, load_catalogue
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.form_files import write_csv, write_xlsx, write_xml
from exchange_formats.form_rows import FormRows, Omission, describe_omission, iterate_rows, write_rows
from exchange_formats.forms import Form, FormField, find_form, load_forms
from exchange_formats.formulas import neutralise, shield
from exchange_formats.manifests import Window
from exchange_formats.uploads import build_head
from tests.pulls import CODES, KEY, RESIDENT, UNTIL

WRITTEN = ("shuanggongshi_penalty_2018", "shuanggongshi_licence_2018")
FORMS = (*WRITTEN, "shuanggongshi_penalty_2016", "shuanggongshi_licence_2016")
ORGANISATIONS = tuple(code for code in CODES if not code.startswith("92"))
BUSINESS = next(code for code in CODES if code.startswith("92"))
AUTHORITY = "11330000000000000C"
#: Text as landing leaves it: trimmed, narrow, no spelling of nothing.
TEXTS = st.text(st.sampled_from("处罚决定甲乙丙〔〕《》，。、\"',;|&<>]=+-@ABab019 \n"), min_size=1, max_size=30).map(
    lambda text: f"文{text}号"
)
DAYS = st.dates(date(2019, 6, 1), date(2026, 6, 1))


def find(form_id: str) -> tuple[Form, Dataset]:
    form = find_form(form_id)
    return form, load_catalogue()[form.dataset]


def draw_value(name: str, spec: FieldSpec) -> st.SearchStrategy[Any]:
    if spec.codes:
        return st.sampled_from(sorted(spec.codes))
    if spec.rule == "unified_code":
        return st.just(AUTHORITY)
    if spec.rule == "organisation_code":
        return st.just("MA9YYYY09")
    if spec.type.startswith("decimal"):
        return st.decimals(0, Decimal("9999999999999999.99"), places=2)
    return {"date": DAYS, "string": TEXTS}[spec.type]


@st.composite
def draw_record(draw: Callable[[st.SearchStrategy[Any]], Any], form: Form, dataset: Dataset) -> dict[str, Any]:
    """A landed record that keeps the dataset's own conditions and that the form demands nothing more of."""
    record: dict[str, Any] = {"subject_ref": draw(st.sampled_from(ORGANISATIONS)), "source_updated_at": None, "row": 1}
    for name, spec in dataset.columns.items():
        field = form.held.get(name)
        demanded = field is not None and form.fields[field].filled != "never"
        present = spec.required or demanded or draw(st.booleans())
        record[name] = draw(draw_value(name, spec)) if present else None
    day = record["decided_on"]
    ordered = [name for name, spec in dataset.columns.items() if spec.type == "date" and name != "decided_on"]
    later = sorted(draw(st.lists(st.dates(day, date(2026, 6, 1)), min_size=len(ordered), max_size=len(ordered))))
    record |= {name: at if record[name] else None for name, at in zip(ordered, later, strict=True)}
    record |= {"party_kind": "organisation", "revoked_on": None}
    if "procedure" in record:
        record["procedure"] = None
    record["record_id"] = "r"
    return record


def land(records: Sequence[Mapping[str, Any]], dataset: Dataset) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(one) for one in records], schema=dataset.schema)


def read(rows: Iterable[Sequence[str]], header: Sequence[str], form: Form, dataset: Dataset) -> MappedPage:
    """Through the one Mapper, by the form's mapping."""
    cells = list(zip(*rows, strict=True)) or [()] * len(header)
    batch = pa.RecordBatch.from_arrays([pa.array(list(column), pa.string()) for column in cells], names=list(header))
    return map_batch(batch, DatasetMapping.model_validate({"form": form.id}), dataset)


def map_batch(batch: pa.RecordBatch, mapping: DatasetMapping, dataset: Dataset) -> MappedPage:
    window = Window(since=None, until=UNTIL + timedelta(days=1))
    with closing(Mapper("market_regulation", dataset, mapping, window, KEY)) as mapper:
        chosen = batch.select(list(mapping.source_columns))
        return mapper.map(chosen, origin="form", first_row=2, position=1)


@pytest.mark.parametrize("form_id", WRITTEN)
def test_what_both_hold_is_the_same_when_records_are_written_and_read(form_id: str) -> None:
    form, dataset = find(form_id)
    lost = [name for name in form.missing_columns(dataset) if name in dataset.columns]
    held = [name for name in dataset.columns if name not in lost]

    @settings(max_examples=60, deadline=None)
    @given(records=st.lists(draw_record(form, dataset), min_size=1, max_size=5))
    def check(records: list[dict[str, Any]]) -> None:
        written = write_rows(form, dataset, land(records, dataset))
        assert not written.omitted.num_rows
        mapped = read(iterate_rows(written.rows), form.header(), form, dataset)
        assert not mapped.rejects.num_rows, mapped.rejects.select(["reason", "column", "detail"]).to_pylist()
        back = mapped.records.to_pylist()
        expected = [{name: one[name] for name in ("subject_ref", *held)} for one in records]
        assert [{name: one[name] for name in ("subject_ref", *held)} for one in back] == expected
        assert all(one[name] is None for one in back for name in lost), "what the form does not hold is nothing"

    check()


@pytest.mark.parametrize("form_id", WRITTEN)
def test_the_difference_is_exactly_what_is_listed_when_every_column_is_filled(form_id: str) -> None:
    form, dataset = find(form_id)
    record: dict[str, Any] = {}
    for name, spec in dataset.columns.items():
        plain = "1" if spec.type.startswith("decimal") else spec.example
        record[name] = date.fromisoformat(spec.example) if spec.type == "date" else plain
        record[name] = Decimal(plain) if spec.type.startswith("decimal") else record[name]
    record |= {"revoked_on": None, "record_id": "r", "subject_ref": CODES[0], "source_updated_at": None, "row": 1}
    record |= {name: date(2026, 5, 1) for name, spec in dataset.columns.items() if spec.type == "date"} | {
        "revoked_on": None
    }
    written = write_rows(form, dataset, land([record], dataset))
    (row,) = written.rows.to_pylist()
    assert {name for name, text in row.items() if not text} == set(form.dropped_fields) | {form.person_field}
    (back,) = read(iterate_rows(written.rows), form.header(), form, dataset).records.to_pylist()
    different = {name for name in dataset.columns if back[name] != record[name]}
    assert different == set(form.missing_columns(dataset)) - {"revoked_on"}


@given(cents=st.integers(0, 10**18 - 1))
def test_money_is_exact_when_its_unit_changes(cents: int) -> None:
    form, dataset = find(WRITTEN[0])
    amount = Decimal(cents).scaleb(-2)
    record = dict(PENALTY, fine_yuan=amount)
    (row,) = write_rows(form, dataset, land([record], dataset)).rows.to_pylist()
    whole, _, decimals = row["CF_NR_FK"].partition(".")
    assert len(decimals) == 6
    assert int(whole + decimals) == cents, "万元 with six decimals has the digits of 元 with two"


PENALTY: Mapping[str, Any] = {
    "record_id": "r1",
    "subject_ref": CODES[0],
    "source_updated_at": None,
    "row": 1,
    "subject_name": "某某有限公司",
    "party_kind": "organisation",
    "document_no": "浙环罚〔2026〕1号",
    "authority": "某市生态环境局",
    "authority_code": AUTHORITY,
    "kind": "fine",
    "content": "罚款人民币一万五千元",
    "violation": "超标排放",
    "facts": "超标排放废水",
    "legal_basis": "水污染防治法第八十三条",
    "fine_yuan": Decimal("15000.00"),
    "decided_on": date(2026, 5, 1),
    "publish_until": date(2027, 5, 1),
}


def write(*records: Mapping[str, Any], **options: bool) -> FormRows:
    form, dataset = find(WRITTEN[0])
    return write_rows(form, dataset, land(records, dataset), **options)


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"subject_ref": KEY.reference(RESIDENT)}, Omission.PERSON, "CF_XDR_ZJHM"),
        ({"subject_ref": "xr_montreal_food_12345"}, Omission.NO_UNIFIED_CODE, "CF_XDR_SHXYM"),
        ({"revoked_on": date(2026, 6, 1)}, Omission.REVOKED, None),
        ({"facts": f"经营者张三({RESIDENT.lower()})超标排放"}, Omission.PERSON_NUMBER, "CF_SY"),
        ({"legal_basis": None}, Omission.MISSING, "CF_YJ"),
        ({"authority": "局" * 201}, Omission.TOO_LONG, "CF_CFJG"),
    ],
)
def test_a_record_is_left_out_and_listed_when_the_form_cannot_hold_it(
    change: dict[str, Any], reason: Omission, field: str | None
) -> None:
    written = write(dict(PENALTY, record_id="r0") | change, PENALTY)
    assert written.omitted.to_pylist() == [{"record_id": "r0", "reason": str(reason), "field": field}]
    assert written.rows.num_rows == 1
    assert describe_omission(reason).zh != describe_omission(reason).en


@pytest.mark.parametrize("number", ["110105194912310021", "9" + RESIDENT, "330100000000000000"])
def test_a_record_is_written_when_a_long_number_is_nobodys(number: str) -> None:
    assert write(dict(PENALTY, facts=f"编号{number}。")).rows["CF_SY"].to_pylist() == [f"编号{number}。"]


def test_nothing_is_written_of_a_person_when_records_are_mixed() -> None:
    person = dict(PENALTY, record_id="r0", subject_ref=KEY.reference(RESIDENT), subject_name="张*")
    text = str(write(person, PENALTY).rows.to_pylist())
    assert "np_" not in text
    assert "张" not in text


def test_the_name_of_an_individual_business_is_masked_when_the_receiver_is_anybody_else() -> None:
    shop = dict(PENALTY, subject_ref=BUSINESS, subject_name="张三小吃店", party_kind="individual_business")
    masked, whole = write(shop, PENALTY), write(shop, PENALTY, whole_names=True)
    assert masked.rows["CF_XDR_MC"].to_pylist() == ["张*", "某某有限公司"]
    assert masked.names_masked == 1
    assert whole.rows["CF_XDR_MC"].to_pylist() == ["张三小吃店", "某某有限公司"]
    assert whole.names_masked == 0


@pytest.mark.parametrize("form_id", ["shuanggongshi_penalty_2016", "shuanggongshi_licence_2018"])
def test_writing_is_refused_when_the_form_is_only_read_or_of_another_dataset(form_id: str) -> None:
    dataset = load_catalogue()["penalty"]
    with pytest.raises(ValueError, match=form_id):
        write_rows(find_form(form_id), dataset, land([PENALTY], dataset))


def read_file(path: Path, raw: bytes, form: Form, dataset: Dataset, files: Mapping[str, Any]) -> MappedPage:
    path.write_bytes(raw)
    settings = {"form": {"id": form.id, "header": "titles" if path.suffix != ".xml" else "names"}}
    mapping = DatasetMapping.model_validate(settings | {"files": {"pattern": path.name, **files}})
    with open_file(mapping, path) as reader:
        (page,) = [page for page in reader if isinstance(page, SourcePage)]
    return map_batch(page.batch, mapping, dataset)


def write_file(form: Form, rows: Sequence[Sequence[str]], suffix: str) -> bytes:
    head = build_head("001008007", form.info_class, datetime(2026, 6, 1, tzinfo=UTC))
    if suffix == "xlsx":
        return write_xlsx(form, rows)
    return b"".join(write_csv(form, rows) if suffix == "csv" else write_xml(form, rows, head))


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "xml"])
def test_a_file_is_read_again_when_it_was_written_in_the_form(tmp_path: Path, suffix: str) -> None:
    form, dataset = find(WRITTEN[0])
    records = [
        dict(PENALTY, record_id=f"r{n}", document_no=f"浙环罚〔2026〕{n}号", facts=f"一,“二”\n]]>{n}") for n in range(3)
    ]
    rows = list(iterate_rows(write_rows(form, dataset, land(records, dataset)).rows))
    mapped = read_file(tmp_path / f"a.{suffix}", write_file(form, rows, suffix), form, dataset, {"format": suffix})
    assert not mapped.rejects.num_rows
    back = mapped.records.to_pylist()
    assert [(one["document_no"], one["facts"], one["fine_yuan"]) for one in back] == [
        (one["document_no"], one["facts"], one["fine_yuan"]) for one in records
    ]


FORMULAS = st.text(st.sampled_from("'=+-@＝＋－＠1.甲A "), min_size=1, max_size=8).map(str.strip).filter(bool)


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "xml"])
def test_text_comes_back_when_a_spreadsheet_would_run_it(tmp_path: Path, suffix: str) -> None:
    form, dataset = find(WRITTEN[0])
    spellings = DatasetMapping.model_validate({"form": form.id}).null_spellings
    texts = FORMULAS.filter(lambda text: text not in spellings)

    @settings(max_examples=60, deadline=None)
    @given(facts=st.lists(texts, min_size=1, max_size=5), authority=texts)
    @example(facts=["=1+1", "'=1+1", "''-5", "-12.50", "'-12.50", "＝1", "+", "@A1", "'甲"], authority="=甲")
    def check(facts: list[str], authority: str) -> None:
        records = [
            dict(PENALTY, record_id=f"r{n}", document_no=f"浙环罚〔2026〕{n}号", facts=text, authority=authority)
            for n, text in enumerate(facts)
        ]
        rows = list(iterate_rows(write_rows(form, dataset, land(records, dataset)).rows))
        mapped = read_file(tmp_path / f"a.{suffix}", write_file(form, rows, suffix), form, dataset, {"format": suffix})
        assert not mapped.rejects.num_rows
        assert mapped.records["facts"].to_pylist() == facts
        assert mapped.records["authority"].to_pylist() == [authority] * len(facts)
        guard = shield if suffix == "xml" else neutralise
        guarded = sum(guard(text) != text for text in [*facts, *[authority] * len(facts)])
        assert mapped.normalised.get("formula_guard", 0) == guarded

    check()


def test_cells_are_neutralised_when_a_spreadsheet_would_run_them() -> None:
    form, _ = find(WRITTEN[0])
    row = ["=cmd|'/c calc'!A0"] + [""] * (len(form.fields) - 1)
    assert "'=cmd" in b"".join(write_csv(form, [row])).decode()
    sheet = load_workbook(io.BytesIO(write_xlsx(form, [row]))).worksheets[0]
    assert sheet.cell(2, 1).value == "'=cmd|'/c calc'!A0"
    assert sheet.cell(2, 1).data_type == "s"


OLD_PENALTY = {
    "CF_WSH": "杭环罚〔2017〕3号",
    "CF_CFMC": "某案",
    "CF_CFLB1": "罚款",
    "CF_CFLB2": "",
    "CF_SY": "超标排放",
    "CF_YJ": "环境保护法",
    "CF_XDR_MC": "某某有限公司",
    "CF_XDR_SHXYM": CODES[0],
    "CF_JG": "罚款人民币5万元",
    "CF_JDRQ": "2017/03/04",
    "CF_XZJG": "杭州市环境保护局",
    "CF_ZT": "0",
}
OLD_LICENCE = {
    "XK_WSH": "杭环许〔2017〕3号",
    "XK_SPLB": "核准",
    "XK_NR": "排放废水",
    "XK_XDR": "某某有限公司",
    "XK_XDR_SHXYM": CODES[0],
    "XK_JDRQ": "2017/03/04",
    "XK_JZQ": "2020/03/03",
    "XK_XZJG": "杭州市环境保护局",
    "XK_ZT": "1",
}


@pytest.mark.parametrize(
    ("form_id", "row", "expected"),
    [
        (
            "shuanggongshi_penalty_2016",
            OLD_PENALTY,
            {"kind": "fine", "content": "罚款人民币5万元", "fine_yuan": None, "decided_on": date(2017, 3, 4)},
        ),
        (
            "shuanggongshi_licence_2016",
            OLD_LICENCE,
            {"kind": "approval", "state": "revoked", "revoked_on": None, "valid_until": date(2020, 3, 3)},
        ),
    ],
)
def test_an_old_template_is_read_when_it_is_met_in_history(
    form_id: str, row: dict[str, str], expected: dict[str, Any]
) -> None:
    form, dataset = find(form_id)
    mapped = read([[row.get(name, "") for name in form.fields]], form.header(), form, dataset)
    assert not mapped.rejects.num_rows, mapped.rejects.to_pylist()
    (record,) = mapped.records.to_pylist()
    assert {name: record[name] for name in expected} == expected
    assert record["subject_ref"] == CODES[0]


def test_a_person_is_pseudonymised_when_the_form_holds_a_number() -> None:
    form, dataset = find("shuanggongshi_penalty_2016")
    row = OLD_PENALTY | {"CF_XDR_SHXYM": "", "CF_XDR_SFZ": RESIDENT, "CF_XDR_MC": "张三丰"}
    mapped = read([[row.get(name, "") for name in form.fields]], form.header(), form, dataset)
    (record,) = mapped.records.to_pylist()
    assert record["subject_ref"] == KEY.reference(RESIDENT)
    assert record["subject_name"] == "张*"


@pytest.mark.parametrize("form_id", FORMS)
def test_every_field_says_what_it_is_when_forms_are_loaded(form_id: str) -> None:
    form, dataset = find(form_id)
    held, lost = set(form.held), set(form.missing_columns(dataset))
    assert held | lost == set(dataset.fields)
    assert not held & lost
    named = {name for name in form.fields if name not in form.dropped_fields}
    assert named == set(form.held.values()) | {form.person_field}
    assert all(one.why and one.why_en for one in form.dropped_fields.values())


def test_only_official_codes_are_written_when_texts_are_many() -> None:
    form, dataset = find(WRITTEN[0])
    spec = dataset.fields["kind"]
    assert spec.codes
    assert form.written_texts("CF_CFLB", spec) == dict(spec.codes) | {"fine": "罚款"}
    assert set(form.read_texts("CF_CFLB", spec).values()) == set(spec.codes)


def test_a_department_writes_one_line_when_its_source_is_a_form() -> None:
    mapping = DatasetMapping.model_validate(
        {
            "form": {"id": WRITTEN[0], "header": "lower_names", "without": ["CF_XDR_SYDW"]},
            "watermark": {"field": "cd_time"},
            "columns": {"final_on": "cf_sxrq", "legal_basis": "cf_yjtw"},
            "ignore": ["id"],
        }
    )
    assert mapping.key == ("cf_wsh", "cf_cfjgdm")
    assert mapping.party == "cf_xdr_shxym"
    assert mapping.columns["fine_yuan"].unit == "万元"
    assert mapping.columns["subject_id"].person == "cf_xdr_zjhm"
    assert mapping.columns["final_on"].source == "cf_sxrq"
    assert mapping.columns["legal_basis"].source == "cf_yjtw", "what is written wins"
    assert "public_institution_no" not in mapping.columns
    assert {"id", "cf_frdb", "cf_fddb", "cf_fr_zjhm", "cf_yj", "bz"} <= set(mapping.ignore)
    assert not set(mapping.ignore) & set(mapping.source_columns)
    assert DatasetMapping.model_validate(mapping.model_dump(by_alias=True)) == mapping


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("shuanggongshi", "there is no form 'shuanggongshi'; one of"),
        ({"id": WRITTEN[0], "without": ["CF_NO"]}, "no field CF_NO"),
        ({"id": WRITTEN[0], "header": "kanji"}, "header"),
    ],
)
def test_a_department_is_told_when_its_form_is_wrong(form: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DatasetMapping.model_validate({"form": form})


FILES = Files.model_validate({"pattern": "a.csv", "format": "csv"})


@pytest.mark.parametrize("spelling", ["names", "lower_names", "titles"])
def test_a_table_maps_itself_when_its_header_is_the_forms(spelling: Any) -> None:
    form = find_form(WRITTEN[0])
    header = [name for name in form.header(spelling) if "SYDW" not in name.upper()]
    mapping = map_form(form.id, [*header, "新列"], FILES)
    assert set(mapping.source_columns) <= set(header)
    assert mapping.on_unknown_column == "report"
    assert set(mapping.columns) >= {name for name in form.held if name != "public_institution_no"}


def test_nobody_is_shown_when_a_record_stands_in_the_headers_place() -> None:
    with pytest.raises(FatalError, match="looks like a record") as caught:
        map_form("shuanggongshi_penalty_2018", ["张三丰", "自然人", "11010519491231002X"], FILES)
    assert not any(part in str(caught.value) for part in ("11010519491231002X", "张"))


def test_a_table_is_refused_when_required_fields_are_missing_or_stand_twice() -> None:
    header = find_form(WRITTEN[0]).header()
    with pytest.raises(FatalError, match="CF_JDRQ 处罚决定日期"):
        map_form(WRITTEN[0], [name for name in header if name != "CF_JDRQ"], FILES)
    with pytest.raises(FatalError, match="CF_FRDB 法定代表人"):
        map_form(WRITTEN[0], [*header, "CF_FDDB"], FILES)
    with pytest.raises(ConfigurationError, match="no form 'x'"):
        map_form("x", header, FILES)


GOOD = """id: broken
title: 甲
title_en: a
dataset: penalty
direction: in
info_class: 甲
standard: 甲
status: assumption
description: 甲
description_en: a
key: [NO]
party: CODE
fields:
  CODE: {title: 代码, title_en: code, column: subject_id}
  NO: {title: 文号, title_en: number, column: document_no}
  KIND: {title: 类别, title_en: kind, column: kind, texts: {罚: fine}}
  DAY: {title: 日期, title_en: day, column: decided_on}
  FINE: {title: 金额, title_en: fine, column: fine_yuan, unit: 元, decimals: 2}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("id: broken", "id: other"), "the id is not the file's name"),
        (("dataset: penalty", "dataset: penalties"), "there is no such dataset"),
        (("column: decided_on", "column: decided"), "no such column"),
        (("column: decided_on", "column: document_no"), "two fields hold 'document_no'"),
        (("column: decided_on", "column: final_on"), "no field holds the required column 'decided_on'"),
        (("{罚: fine}", "{罚: fines}"), "no such code"),
        ((", unit: 元, decimals: 2", ""), "unit and decimals"),
        (("column: decided_on", "column: decided_on, unit: 元"), "unit and decimals"),
        (("key: [NO]", "key: [NUMBER]"), "no such field: NUMBER"),
        (("title: 文号", "title: 代码"), "the same title"),
        (("column: decided_on", "variants: [NO]"), "a reason"),
        (("column: decided_on", "column: decided_on, variants: [NO]"), "named twice: NO"),
        ((", column: decided_on", ""), "a reason"),
    ],
)
def test_a_form_is_refused_when_it_contradicts_the_catalogue_or_itself(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in GOOD
    (tmp_path / "broken.yaml").write_text(GOOD)
    load_forms(tmp_path)
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "broken.yaml").write_text(GOOD.replace(*change))
    with pytest.raises(ConfigurationError) as caught:
        load_forms(folder)
    assert said in str(caught.value) + " ".join(map(str, caught.value.problems))


def test_a_field_needs_a_reason_when_the_catalogue_does_not_hold_it() -> None:
    with pytest.raises(ValueError, match="a reason"):
        FormField(title="甲", title_en="a", why="不需要")
