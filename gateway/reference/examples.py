"""One whole record of a dataset, put together from the catalogue's examples.

Not every example can stand beside every other (a profile has a person's columns or an
organisation's), so a record takes what is required and then, in the catalogue's order, each
column that breaks no rule beside what is there already. An example is in force: it was neither
revoked nor removed, repaired or objected to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset
from exchange_formats.json_schemas import render_value
from exchange_formats.subjects import is_individual_business, subject_type


def build_example(dataset: Dataset) -> Mapping[str, Any]:
    """The record as JSON values, in the catalogue's order; it is valid if the catalogue's examples are."""
    texts = choose_examples(dataset)
    return {name: render_value(dataset.fields[name], text) for name, text in texts.items()}


def choose_examples(dataset: Dataset) -> Mapping[str, str]:
    """Column → example, as the catalogue writes it."""
    ended = set(dataset.states.columns) - {dataset.states.final}
    written = {name: spec.example for name, spec in dataset.fields.items() if spec.example and name not in ended}
    chosen = {name: text for name, text in written.items() if dataset.fields[name].required is True}
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in sorted(written, key=lambda name: dataset.fields[name].required is False):
            widened = {**chosen, name: written[name]}
            if name not in chosen and not _breaks(connection, dataset, widened):
                chosen = widened
    return {name: text for name, text in written.items() if name in chosen}


def _breaks(connection: duckdb.DuckDBPyConnection, dataset: Dataset, texts: Mapping[str, str]) -> bool:
    """Whether a rule between the columns is false for a record of these values."""
    if not dataset.checks:
        return False
    values = {
        name: f"CAST({_quote(texts[name])} AS {_sql_type(spec.type)})"
        if name in texts
        else f"NULL::{_sql_type(spec.type)}"
        for name, spec in dataset.columns.items()
    }
    code = texts["subject_id"].upper()
    values |= {"subject_type": _quote(subject_type(code)), "individual_business": str(is_individual_business(code))}
    row = ", ".join(f'{value} AS "{name}"' for name, value in values.items())
    conditions = (parse_condition(check.holds, dataset.condition_columns) for check in dataset.checks)
    broken = " OR ".join(f"coalesce(NOT ({found.tree.sql(dialect='duckdb')}), FALSE)" for found in conditions)
    result = connection.execute(f"SELECT {broken} FROM (SELECT {row})").fetchone()
    return bool(result and result[0])


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sql_type(field_type: str) -> str:
    return {"string": "VARCHAR", "integer": "BIGINT"}.get(field_type, field_type)
