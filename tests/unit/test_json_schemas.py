"""Datasets as JSON Schema: every schema is one, takes the examples, and says conditions as SQL means them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exchange_formats.condition_schemas import render_condition
from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset, load_contracts
from exchange_formats.json_schemas import render_dataset
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.submissions import RECORDS_SUBMITTED
from gateway.reference.examples import build_example

KINDS = {"kind": "string", "level": "string", "deaths": "number", "is_late": "boolean", "on_day": "date"}
TYPES = {"kind": "string", "level": "string", "deaths": "integer", "is_late": "boolean", "on_day": "date"}
WORDS = ["fine", "warning", "a.b", "100%", "警告"]

SMALL = Dataset.model_validate(
    {
        "id": "penalty",
        "version": 1,
        "title": "行政处罚",
        "title_en": "penalty",
        "event_on": "decided_on",
        "adverse": True,
        "fields": {
            "subject_id": {"title": "代码", "type": "subject", "required": True, "sensitivity": "identity"},
            "kind": {"title": "类别", "type": "string", "codes": {"fine": "罚款", "warning": "警告"}},
            "fine_yuan": {"title": "金额", "type": "decimal(18,2)", "unit": "元", "required": "kind = 'fine'"},
            "decided_on": {"title": "日期", "type": "date", "required": True},
            "final_on": {"title": "终局", "type": "date", "required": "decided_on < '2020-01-01'"},
            "deaths": {"title": "死亡", "type": "integer", "minimum": 0},
            "is_late": {"title": "逾期", "type": "boolean"},
            "score": {"title": "分", "type": "decimal(6,2)", "minimum": 0},
        },
        "checks": [
            {
                "id": "fine.deaths",
                "holds": "kind <> 'warning' OR deaths = 0",
                "column": "deaths",
                "title": "警告不涉死亡",
                "title_en": "a warning has no deaths",
                "basis": "test",
            },
            {
                "id": "days.order",
                "holds": "decided_on <= final_on",
                "column": "final_on",
                "title": "日期先后",
                "title_en": "order of days",
                "basis": "test",
            },
        ],
    }
)
GOOD: Mapping[str, Any] = {
    "subject_id": "91330000000000012X",
    "kind": "fine",
    "fine_yuan": "50000.00",
    "decided_on": "2026-01-05",
    "deaths": 0,
    "is_late": False,
    "score": "798.00",
}


def errors_of(record: Mapping[str, Any], dataset: Dataset = SMALL) -> list[str]:
    return [error.json_path for error in Draft202012Validator(render_dataset(dataset)).iter_errors(record)]


@pytest.mark.parametrize("contract", load_contracts())
def test_schema_is_sound_when_rendered_of_the_catalogue(contract: str) -> None:
    schema = render_dataset(load_contracts()[contract])
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:xinqiao:dataset:{contract}"


@pytest.mark.parametrize("contract", load_contracts())
def test_record_of_examples_is_valid_when_all_fields_have_one(contract: str) -> None:
    dataset = load_contracts()[contract]
    record = build_example(dataset)
    assert record
    assert errors_of(record, dataset) == []
    assert errors_of({**record, "no_such_column": "1"}, dataset) == ["$"]


def test_rows_of_the_message_that_carries_records_are_valid_when_taken_one_by_one() -> None:
    sent = json.loads(example_message(MESSAGES[RECORDS_SUBMITTED]).body)["data"]
    dataset = load_contracts()[sent["contract"]]
    assert sent["rows"]
    assert [errors_of(row, dataset) for row in sent["rows"]] == [[] for _ in sent["rows"]]


@pytest.mark.parametrize("contract", load_contracts())
def test_record_is_refused_when_a_required_value_is_missing_or_null(contract: str) -> None:
    dataset = load_contracts()[contract]
    for name in (name for name, spec in dataset.fields.items() if spec.required is True):
        record = dict(build_example(dataset))
        assert errors_of({**record, name: None}, dataset), name
        del record[name]
        assert errors_of(record, dataset), name


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"fine_yuan": "0"},
        {"fine_yuan": "-5.1"},
        {"kind": "warning", "fine_yuan": None},
        {"kind": None, "fine_yuan": None, "deaths": None},
        {"final_on": None},
        {"decided_on": "2019-01-05"},  # the condition of final_on compares dates: said in x-required-when only
        {"subject_id": "330102198001010013"},
    ],
)
def test_record_is_taken_when_good(change: Mapping[str, Any]) -> None:
    assert errors_of({**GOOD, **change}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "罚金"},
        {"kind": ""},
        {"fine_yuan": 50000.0},
        {"fine_yuan": "5e4"},
        {"fine_yuan": "50,000.00"},
        {"fine_yuan": "0.005"},
        {"fine_yuan": "050"},
        {"fine_yuan": "12345678901234567.00"},
        {"fine_yuan": None},
        {"decided_on": "2026/01/05"},
        {"decided_on": "2026-13-05"},
        {"deaths": "0"},
        {"deaths": -1},
        {"deaths": 1.5},
        {"is_late": "否"},
        {"score": "-1.00"},
        {"subject_id": "91330000000000012I"},
        {"subject_id": "91330000"},
        {"kind": "warning", "deaths": 2},
        {"unknown": "x"},
    ],
)
def test_record_is_refused_when_a_value_breaks_the_contract(change: Mapping[str, Any]) -> None:
    assert errors_of({**GOOD, **change})


def test_condition_and_rule_are_said_in_words_when_no_schema_can_check_them() -> None:
    schema = render_dataset(SMALL)
    assert schema["properties"]["final_on"]["x-required-when"] == "decided_on < '2020-01-01'"
    assert [check["id"] for check in schema["x-checks"]] == ["fine.deaths", "days.order"]
    assert [rule.get("x-check") for rule in schema["allOf"]] == [None, "fine.deaths"]


def text_conditions() -> st.SearchStrategy[str]:
    column = st.sampled_from(["kind", "level"])
    word = st.sampled_from(WORDS)
    pattern = st.sampled_from(["%f%", "a.b", "a_b", "100%", "警%", "%", "_ine", "(fine", "[f]ine"])
    return st.one_of(
        st.builds("{} {} '{}'".format, column, st.sampled_from(["=", "<>"]), word),
        st.builds("'{}' {} {}".format, word, st.sampled_from(["=", "<>"]), column),
        st.builds("{} {} ('{}', '{}')".format, column, st.sampled_from(["IN", "NOT IN"]), word, word),
        st.builds("{} {} '{}'".format, column, st.sampled_from(["LIKE", "NOT LIKE"]), pattern),
    )


def conditions() -> st.SearchStrategy[str]:
    number = st.integers(-3, 3)
    order = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    anything = st.sampled_from([*KINDS])
    leaf = st.one_of(
        text_conditions(),
        st.builds("deaths {} {}".format, order, number),
        st.builds("{} {} deaths".format, number, order),
        st.builds("deaths BETWEEN {} AND {}".format, number, number),
        st.builds("{} IS {}".format, anything, st.sampled_from(["NULL", "NOT NULL"])),
        st.sampled_from(["is_late", "NOT is_late", "is_late = TRUE", "is_late <> TRUE", "TRUE", "FALSE"]),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds("({} AND {})".format, inner, inner),
            st.builds("({} OR {})".format, inner, inner),
            st.builds("NOT ({})".format, inner),
        ),
        max_leaves=6,
    )


RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from([None, *WORDS, "afb", "aXb"]),
        "level": st.sampled_from([None, *WORDS]),
        "deaths": st.one_of(st.none(), st.integers(-3, 3)),
        "is_late": st.sampled_from([None, True, False]),
        "on_day": st.sampled_from([None, "2026-01-05"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(text=conditions(), record=RECORDS)
def test_schema_and_engine_agree_when_a_condition_is_evaluated(text: str, record: Mapping[str, Any]) -> None:
    tree = parse_condition(text, KINDS).tree  # type: ignore[arg-type]
    types = {"kind": "VARCHAR", "level": "VARCHAR", "deaths": "BIGINT", "is_late": "BOOLEAN", "on_day": "DATE"}
    row = ", ".join(f"CAST(${name} AS {kind}) AS {name}" for name, kind in types.items())
    values = {name: record.get(name) for name in types}
    found = duckdb.execute(f"SELECT {tree.sql(dialect='duckdb')} FROM (SELECT {row})", values).fetchone()
    assert found
    for holds in (True, False):
        schema = render_condition(tree, TYPES, holds=holds)
        assert schema is not None, text
        Draft202012Validator.check_schema(schema)
        assert Draft202012Validator(schema).is_valid(record) == (found[0] is holds)


@pytest.mark.parametrize("text", ["on_day > '2026-01-01'", "kind = level", "kind < 'b'", "deaths = 1.5"])
def test_no_schema_is_given_when_none_can_say_the_condition(text: str) -> None:
    assert render_condition(parse_condition(text, KINDS).tree, TYPES) is None  # type: ignore[arg-type]
