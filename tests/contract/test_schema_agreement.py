"""A record that the JSON Schema takes is good for the gateway, but for what no schema can check."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.json_schemas import render_dataset
from exchange_formats.rejects import Reason
from exchange_formats.subjects import PseudonymKey
from gateway.reference.examples import build_example
from gateway.validation import prepare, validate_file

#: What a schema says in ``x-…`` only: check digits, the calendar, what a code means, spellings of nothing, bytes.
BEYOND_A_SCHEMA = {
    *(Reason.UNIFIED_CODE_ORGANISATION, Reason.UNIFIED_CODE_CHECK_DIGIT, Reason.RESIDENT_NUMBER_CHECK_DIGIT),
    *(Reason.RESIDENT_NUMBER_BIRTH_DATE, Reason.SUBJECT_TYPE, Reason.SUBJECT_PERSON_NUMBER),
    *(Reason.ORGANISATION_CODE_MALFORMED, Reason.ORGANISATION_CODE_CHECK_DIGIT),
    *(Reason.DIVISION_UNKNOWN, Reason.DIVISION_NOT_VALID, Reason.INDUSTRY_UNKNOWN),
    *(Reason.DATE_MALFORMED, Reason.DATE_FUTURE, Reason.DATE_RANGE, Reason.NUMBER_RANGE),
    *(Reason.TEXT_CONTROL, Reason.TEXT_MOJIBAKE),
}
#: Values that mean nothing to the gateway and are a text to a schema: a required one is then missing.
NOTHING = {"N/A", "null", "无", "9999-12-31"}
ODD: tuple[Any, ...] = (
    *(None, "", "x", "0", "-1", "1.5", "00", "+5", "1e5", "  padded ", "ａｂｃ", "a" * 5000, "\u0007", "锟斤拷"),
    *("2026-02-30", "2026-02-28", "1800-01-01", "2031-01-01", "2026/02/28", *sorted(NOTHING)),
    *("罚款", "fine", "warning", "detention", "=cmd|x", "330102198001010013", "11010519491231002X"),
    *("91330100MA9YYYY09Q", "91330100ma9yyyy09q", "330106", "C26", 0, -1, 1, 10**14, True, False),
)


def odd_records(dataset: Dataset) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The example with one value exchanged or left out, where the schema still takes it."""
    accepts = Draft202012Validator(render_dataset(dataset)).is_valid
    example = build_example(dataset)
    for name in dataset.fields:
        for value in ODD:
            changed = {**example, name: value}
            if accepts(changed):
                yield value, changed
        left_out = {field: value for field, value in example.items() if field != name}
        if accepts(left_out):
            yield None, left_out


@pytest.mark.parametrize("name", load_catalogue())
def test_gateway_rejects_only_what_no_schema_can_say_when_the_schema_is_kept(name: str, tmp_path: Path) -> None:
    dataset = load_catalogue()[name]
    values, records = zip(*odd_records(dataset), strict=True)
    assert len(records) > len(dataset.fields)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    found = validate_file(
        prepare(path, name),
        until=datetime(2026, 11, 24, tzinfo=UTC),
        pseudonyms=PseudonymKey("k1", b"a key for tests, of no worth elsewhere"),
        shown=len(records),
    )
    assert found.read == len(records)
    conditional = {spec.required for spec in dataset.fields.values() if isinstance(spec.required, str)}
    excused = {str(reason) for reason in BEYOND_A_SCHEMA} | {check.id for check in dataset.checks}
    excused |= {str(Reason.REQUIRED_CONDITION)} if conditional else set()
    surprising = [
        (problem.reason, problem.column, values[(problem.row or 0) - 1])
        for problem in found.problems
        if problem.reason not in excused and values[(problem.row or 0) - 1] not in NOTHING
    ]
    assert surprising == []


@pytest.mark.parametrize("name", load_catalogue())
def test_schema_refuses_what_the_gateway_rejects_for_form_when_a_value_is_of_another_kind(name: str) -> None:
    dataset = load_catalogue()[name]
    accepts = Draft202012Validator(render_dataset(dataset)).is_valid
    example = build_example(dataset)
    for field, spec in dataset.fields.items():
        wrong: Any = {"integer": "3", "boolean": "是"}.get(spec.type, 3)
        assert not accepts({**example, field: wrong}), field
        if spec.codes:
            assert not accepts({**example, field: "no such code"}), field
        if spec.type == "date":
            assert not accepts({**example, field: "2026/02/28"}), field
        if spec.max_length and not spec.codes and spec.type == "string":
            assert not accepts({**example, field: "1" * (spec.max_length + 1)}), field
