"""Conditions evaluated over batches answer what DuckDB answers, row by row, unknown included."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_formats.condition_evaluation import Batch, Evaluator
from exchange_formats.conditions import ConditionError, Kind, parse_condition

TYPES: dict[str, tuple[pa.DataType, Kind]] = {
    "text": (pa.string(), "string"),
    "other": (pa.string(), "string"),
    "code": (pa.dictionary(pa.int32(), pa.string()), "string"),
    "money": (pa.decimal128(18, 2), "number"),
    "score": (pa.decimal128(6, 2), "number"),
    "deaths": (pa.int64(), "number"),
    "begun": (pa.date32(), "date"),
    "ended": (pa.date32(), "date"),
    "open": (pa.bool_(), "boolean"),
    "late": (pa.bool_(), "boolean"),
}
KINDS: dict[str, Kind] = {name: kind for name, (_, kind) in TYPES.items()}
WORDS = ["fine", "Fine", "", "罚款", "100%", "a_b", "a\\b", "罚\n款", "fin"]
PATTERNS = ["%", "fin_", "%款", "罚%", "a_b", "_", "", "%n%", "罚_款", "fine", "%.%", "(fine)"]
DAYS = [date(2026, 1, 1), date(2026, 2, 28), date(1999, 12, 31)]
NUMBERS = ["0", "1", "-1", "2.5", "1000000", "0.005", "99.99"]
CONNECTION = duckdb.connect()

values = {
    "string": st.sampled_from([None, *WORDS]),
    "number": st.sampled_from([None, 0, 1, -1, 100, 1_000]),
    "date": st.sampled_from([None, *DAYS]),
    "boolean": st.sampled_from([None, True, False]),
}


def quoted(words: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([f"'{word}'" for word in words])


literals: dict[Kind, st.SearchStrategy[str]] = {
    "string": quoted(WORDS),
    "number": st.sampled_from(NUMBERS),
    "date": quoted([day.isoformat() for day in DAYS]),
    "boolean": st.sampled_from(["true", "false"]),
}


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(TYPES)))
    kind = KINDS[name]
    others = st.sampled_from([other for other, its in KINDS.items() if its == kind])
    operand = literals[kind] | others
    shape = draw(st.sampled_from(["compare", "swapped", "in", "between", "null", "like", "flag"]))
    if shape == "like" and kind == "string":
        return f"{name} {draw(st.sampled_from(['LIKE', 'NOT LIKE']))} {draw(quoted(PATTERNS))}"
    if shape == "flag" and kind == "boolean":
        return name
    if shape == "in":
        inside = draw(st.lists(operand, min_size=1, max_size=3))
        return f"{name} {draw(st.sampled_from(['IN', 'NOT IN']))} ({', '.join(inside)})"
    if shape == "between":
        return f"{name} BETWEEN {draw(operand)} AND {draw(operand)}"
    if shape == "null":
        return f"{name} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    sign = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    left, right = (name, draw(operand)) if shape != "swapped" else (draw(operand), name)
    return f"{left} {sign} {right}"


conditions = st.recursive(
    comparisons(),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda it: f"({it[0]} {it[1]} {it[2]})")
        | inner.map(lambda it: f"NOT ({it})")
    ),
    max_leaves=5,
)
rows = st.lists(st.fixed_dictionaries({name: values[kind] for name, kind in KINDS.items()}), min_size=1, max_size=8)


def build(found: list[dict[str, Any]]) -> pa.Table:
    def column(name: str, kind: pa.DataType) -> pa.Array:
        cells = [row[name] for row in found]
        if pa.types.is_decimal(kind):
            return pa.array([None if cell is None else Decimal(cell) for cell in cells], kind)
        return (
            pa.array(cells, pa.string()).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(cells, kind)
        )

    return pa.table({name: column(name, kind) for name, (kind, _) in TYPES.items()})


@settings(max_examples=400)
@given(conditions, rows)
def test_condition_is_true_false_or_unknown_as_in_duckdb_when_evaluated(text: str, found: list[dict[str, Any]]) -> None:
    condition = parse_condition(text, KINDS)
    page = build(found)
    CONNECTION.register("page", page)
    expected = [row[0] for row in CONNECTION.sql(f"SELECT {condition.tree.sql('duckdb')} FROM page").fetchall()]
    batch = Batch({name: page.column(name).combine_chunks() for name in page.column_names}, page.num_rows)
    evaluator = Evaluator(condition)
    assert evaluator.holds(batch).tolist() == [one is True for one in expected]
    assert evaluator.fails(batch).tolist() == [one is False for one in expected]


def test_long_repetitive_column_is_asked_once_a_text_and_answers_the_same_when_evaluated() -> None:
    words = np.array(["超标排放", "未批先建", None, "暗管"], dtype=object)[np.arange(10_000) % 4]
    batch = Batch({"text": pa.array(words, pa.string())}, len(words))
    kinds: dict[str, Kind] = {"text": "string"}
    found = Evaluator(parse_condition("text LIKE '%排放' OR text = '暗管'", kinds)).holds(batch)
    assert found.tolist() == [word in {"超标排放", "暗管"} for word in words]
    assert pa.types.is_dictionary(batch.encode("text").type)


def test_pattern_must_be_a_literal_when_text_is_matched() -> None:
    with pytest.raises(ConditionError, match="pattern in quotes"):
        parse_condition("text LIKE other", KINDS)
