"""Mapping whole pages: where a page is cut and in which order its rows come changes nothing."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.department import DatasetMapping
from connectors.mapping import Mapper
from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.dirt import RULES
from exchange_formats.manifests import Window
from tests import dataset_samples
from tests.dataset_samples import build_rows, find_rejects
from tests.pulls import CODES, DEPARTMENT, KEY, RESIDENT, UNTIL, penalty, penalty_mapping

Row = dict[str, str | None]

CELLS: dict[str, list[str | None]] = {
    "CF_XDR_SHXYM": [*CODES, CODES[0].lower(), "91330100MA9YYYY09R", "330183000123456", RESIDENT, None, "锟斤拷"],
    "CF_XDR_ZJHM": [None, RESIDENT, "330226************"],
    "CF_XDR_MC": ["某（浙江）公司", " 张三 ", "暂无", None, "x" * 300, "\ufffd"],
    "CF_XDR_LB": ["法人", "自然人", "个体工商户", None, "?"],
    "CF_CFLB": ["罚款", "警告（书面）", None],
    "CF_NR_FK": ["1.5", "0.0000012", "x", None, "１.5"],
    "CF_JDRQ": ["2026-05-01", "2026-5-3", "2026-02-30", "9999-12-31", "2026-05-01 10:00:00", None],
    "CX_RQ": [None, "2026-05-02", "2026-04-01"],
    "updateTime": ["2026-06-01 08:00:00", "2026-06-01T08:00:00Z", None, "00:00;00"],
}


@st.composite
def source_rows(draw: st.DrawFn) -> list[Row]:
    count = draw(st.integers(1, 12))
    return [
        dict(penalty(number, **{name: draw(st.sampled_from(cells)) for name, cells in CELLS.items()}))
        for number in range(count)
    ]


def map_all(rows: list[Row], *cuts: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    """Records, rejects and counts of ``rows`` mapped in pages that begin at ``cuts``."""
    mapper = Mapper(DEPARTMENT, load_catalogue()["penalty"], penalty_mapping(), Window(until=UNTIL), KEY)
    records, rejects, normalised = [], [], dict[str, int]()
    batch = pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]})
    for start, end in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        page = batch.slice(start, end - start)
        mapped = mapper.map(page, origin="fake", first_row=start + 2, position=start + 1)
        assert mapped.good == mapped.records.num_rows
        assert mapped.good + mapped.rejects.num_rows == end - start
        records += mapped.records.to_pylist()
        rejects += mapped.rejects.to_pylist()
        for rule, count in mapped.normalised.items():
            normalised[rule] = normalised.get(rule, 0) + count
    return records, rejects, normalised


@settings(max_examples=60, deadline=None)
@given(source_rows(), st.data())
def test_result_is_the_same_when_a_page_is_cut_anywhere(rows: list[Row], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    assert map_all(rows, cut) == map_all(rows)


@settings(max_examples=60, deadline=None)
@given(source_rows(), st.randoms(use_true_random=False))
def test_result_is_the_same_rows_when_they_come_in_another_order(rows: list[Row], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    placed = {"row", "origin_row"}

    def bare(found: list[dict[str, Any]]) -> list[str]:
        return sorted(str({name: value for name, value in row.items() if name not in placed}) for row in found)

    first, second = map_all(rows), map_all(shuffled)
    assert bare(first[0]) == bare(second[0])
    assert bare(first[1]) == bare(second[1])
    assert first[2] == second[2]


@settings(max_examples=30, deadline=None)
@given(source_rows())
def test_nothing_shows_a_persons_number_when_rows_are_mapped(rows: list[Row]) -> None:
    assert RESIDENT not in str(map_all(rows))


@pytest.mark.parametrize("dataset", load_catalogue().values(), ids=lambda dataset: dataset.id)
def test_made_rows_keep_the_contract_and_spoiled_ones_do_not_when_any_dataset_is_mapped(
    dataset: Dataset, tmp_path: Any
) -> None:
    sample = dataset_samples.write_sample(dataset, tmp_path / "sample.csv", 900)
    table = pacsv.read_csv(
        sample.path, convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(dataset.fields, pa.string()))
    )
    rejects = find_rejects(dataset, sample.mapping, table)
    assert rejects.num_rows == sample.rejected > 0
    assert set(rejects.column("reason").to_pylist()) == {"unified_code.alphabet", "date.malformed"}
    assert build_rows(dataset, 3, [], []).num_rows == 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_of_the_list_does_what_it_says_when_its_example_comes(rule: Any) -> None:
    """Every rule is tried on the column it is about."""
    columns: dict[str, Any] = {
        "subject_id": {"from": "code", "person": "number"},
        "subject_name": "name",
        "document_no": "no",
        "kind": {"value": "warning"},
        "authority_code": "authority",
        "organisation_code": "organisation",
        "decided_on": "day",
        "revoked_on": "end",
        "confiscated_yuan": {"from": "money", "unit": "万元"},
        "fine_yuan": {"from": "dollars", "currency": "CAD", "yuan": "5.12"},
    }
    places = {
        "code_normalised": ("code", "subject_ref"),
        "case_folded": ("authority", "authority_code"),
        "hyphen_removed": ("organisation", "organisation_code"),
        "sentinel_date": ("end", "revoked_on"),
        "time_dropped": ("day", "decided_on"),
        "unit_converted": ("money", "confiscated_yuan"),
        "currency_converted": ("dollars", "fine_yuan"),
        "broken_time": ("day", "decided_on"),
        "masked_number": ("code", "subject_ref"),
        "registration_number": ("code", "subject_ref"),
        "pseudonymised": ("number", "subject_ref"),
    }
    source, column = places.get(rule.id, ("name", "subject_name"))
    row: Row = dict.fromkeys(("name", "authority", "organisation", "end", "money", "dollars", "number"))
    row |= {"code": CODES[0], "no": "1", "day": "2026-05-01"}
    dataset = load_catalogue()["penalty"]
    if rule.id in {"pseudonymised", "name_reduced"}:
        row |= {"code": None, "number": RESIDENT}
    if rule.id == "trailing_zero":
        dataset, source, column = load_catalogue()["incident"], "deaths", "deaths"
        columns = {"subject_id": "code", "incident_no": "no", "occurred_on": "day", "deaths": "deaths"}
    mapping = DatasetMapping.model_validate({"key": ["no"], "columns": columns})
    batch = pa.RecordBatch.from_pylist(
        [row | {source: rule.example}],
        schema=pa.schema([(name, pa.string()) for name in dict.fromkeys([*row, source])]),
    )
    page = Mapper(DEPARTMENT, dataset, mapping, Window(until=UNTIL), KEY).map(
        batch, origin="x", first_row=1, position=1
    )
    if rule.reason is not None:
        assert page.rejects.column("reason").to_pylist() == [str(rule.reason)]
        return
    details = page.rejects.column("detail").to_pylist()
    if rule.id != "trailing_zero":
        assert details == []
        value = page.records.to_pylist()[0][column]
        shown = "" if value is None else str(value)
        assert shown.startswith("np_") if rule.id == "pseudonymised" else shown == rule.after
    assert page.normalised[rule.id] == 1
