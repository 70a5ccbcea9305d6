"""A dataset as JSON Schema 2020-12: one record as it is sent on the bus or in a JSON file.

What JSON Schema cannot check (check digits, dates in the future, rules that compare dates or
amounts) stands beside it as ``x-…``: the gateway checks it all the same. Money and scores are
strings: a JSON number becomes a double in most readers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from exchange_formats.condition_schemas import present, render_condition
from exchange_formats.conditions import Condition, parse_condition
from exchange_formats.datasets import Check, Dataset, FieldRule, FieldSpec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# Shapes only: check digits and what a code means are checked on receipt. Lower case is taken for upper.
_UNIFIED: Final = "[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{18}"
_RESIDENT: Final = "[1-9][0-9]{16}[0-9Xx]"
_RULE_PATTERNS: Final[Mapping[FieldRule, str]] = {
    "unified_code": f"^{_UNIFIED}$",
    "organisation_code": "^[0-9A-Za-z]{8}-?[0-9A-Za-z]$",
    "division": "^[0-9]{6}$",
    "industry": "^([A-Ta-t]|[A-Ta-t]?[0-9]{2,4})$",
}
_DATE_PATTERN: Final = "^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


def render_dataset(dataset: Dataset) -> Mapping[str, Any]:
    """The schema of one record of ``dataset``; keys are the catalogue's column names, in its order.

    An optional value may be left out or be null. A condition that a schema can express is one
    (``if``/``then``; a cross-field rule as ``not``); each is given as SQL, too (``x-required-when``, ``x-checks``).
    """
    types = {name: _json_type(spec) for name, spec in dataset.columns.items()}
    rules = [*_render_conditional(dataset, types), *_render_checks(dataset, types)]
    return {
        "$schema": DIALECT,
        "$id": schema_id(dataset.contract),
        "title": dataset.title,
        "x-title-en": dataset.title_en,
        **_present({"description": dataset.description, "x-description-en": dataset.description_en}),
        **_present({"x-standard": dataset.standard}),
        "x-status": dataset.status,
        "x-event-date": dataset.event_on,
        **_present({"x-identity": list(dataset.identity), "x-subject-types": list(dataset.subject_types)}),
        "type": "object",
        "properties": {name: _render_field(name, spec, dataset) for name, spec in dataset.fields.items()},
        "required": [name for name in dataset.fields if name in dataset.needed],
        "additionalProperties": False,
        **_present({"allOf": rules, "x-checks": [_describe_check(check) for check in dataset.checks]}),
    }


def schema_id(contract: str) -> str:
    """The URN that names the schema of a contract: ``urn:xinqiao:dataset:penalty@1``."""
    return f"urn:xinqiao:dataset:{contract}"


def _render_field(name: str, spec: FieldSpec, dataset: Dataset) -> Mapping[str, Any]:
    """The schema of one value, with its titles, unit, sensitivity and where the rule comes from."""
    value = _render_value(spec, dataset)
    if name not in dataset.needed:
        value = _or_null(value)
    return {
        "title": spec.title,
        **_present({"x-title-en": spec.title_en}),
        **value,
        **_present({"x-unit": spec.unit, "x-code-list": spec.code_list, "x-rule": spec.rule}),
        "x-sensitivity": spec.sensitivity,
        **({"x-required-when": spec.required} if isinstance(spec.required, str) else {}),
        **_present({"x-standard": spec.standard}),
        "x-status": spec.status,
        "x-in-catalogue": spec.in_catalogue,
        **_present({"x-retention": spec.retention}),
        **({"examples": [render_value(spec, spec.example)]} if spec.example else {}),
    }


def render_value(spec: FieldSpec, text: str) -> str | int | bool:
    """``text``, as the catalogue writes an example, as the JSON value of that column."""
    if spec.type == "integer":
        return int(text)
    return text == "true" if spec.type == "boolean" else text


def _json_type(spec: FieldSpec) -> str:
    return "decimal" if spec.type.startswith("decimal") else spec.type


def _render_value(spec: FieldSpec, dataset: Dataset) -> dict[str, Any]:
    if spec.codes:
        return {"type": "string", "oneOf": [{"const": code, "title": title} for code, title in spec.codes.items()]}
    if spec.type == "subject":
        persons = "natural_person" in dataset.subject_types or not dataset.subject_types
        return {"type": "string", "pattern": f"^({_UNIFIED}|{_RESIDENT})$" if persons else f"^{_UNIFIED}$"}
    if spec.rule:
        return {"type": "string", "pattern": _RULE_PATTERNS[spec.rule]}
    if spec.type == "date":
        return {"type": "string", "format": "date", "pattern": _DATE_PATTERN}
    if spec.type == "boolean":
        return {"type": "boolean"}
    if spec.type == "integer":
        limits = {"minimum": spec.minimum, "maximum": spec.maximum}
        return {"type": "integer", **{key: int(value) for key, value in limits.items() if value is not None}}
    if spec.type.startswith("decimal"):
        return _render_decimal(spec)
    return {"type": "string", "minLength": 1, **_present({"maxLength": spec.max_length})}


def _render_decimal(spec: FieldSpec) -> dict[str, Any]:
    precision, scale = (int(number) for number in re.findall(r"\d+", spec.type))
    sign = "" if spec.minimum is not None and spec.minimum >= 0 else "-?"
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    limits = {"x-minimum": spec.minimum, "x-maximum": spec.maximum}
    return {
        "type": "string",
        "pattern": f"^{sign}(0|[1-9][0-9]{{0,{precision - scale - 1}}}){fraction}$",
        **{key: _plain(value) for key, value in limits.items() if value is not None},
    }


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    nullable = {**value, "type": [value["type"], "null"]}
    if "oneOf" in nullable:
        nullable["oneOf"] = [*nullable["oneOf"], {"const": None}]
    return nullable


def _render_conditional(dataset: Dataset, types: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for name, spec in dataset.fields.items():
        if isinstance(spec.required, str):
            condition = render_condition(_parse(dataset, spec.required).tree, types)
            if condition is not None:
                yield {"if": condition, "then": present(name)}


def _render_checks(dataset: Dataset, types: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """A check is broken where it is false; unknown is good."""
    for check in dataset.checks:
        broken = render_condition(_parse(dataset, check.holds).tree, types, holds=False)
        if broken is not None:
            yield {"title": check.title, "x-title-en": check.title_en, "x-check": check.id, "not": broken}


def _parse(dataset: Dataset, text: str) -> Condition:
    return parse_condition(text, dataset.condition_columns)


def _describe_check(check: Check) -> Mapping[str, str]:
    return {
        "id": check.id,
        "holds": check.holds,
        "title": check.title,
        "x-title-en": check.title_en,
        "x-basis": check.basis,
        "x-status": check.status,
    }


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says something: no empty text, no empty list, no None."""
    return {key: value for key, value in values.items() if value not in (None, "", [], ())}
