"""Conditions: what may stand in a YAML's SQL expression, and what never reaches an engine."""

from __future__ import annotations

import pytest

from exchange_formats.conditions import ConditionError, Kind, kind_of, parse_condition
from exchange_formats.datasets import load_catalogue

COLUMNS: dict[str, Kind] = {name: kind_of(spec.type) for name, spec in load_catalogue()["penalty"].columns.items()}


@pytest.mark.parametrize(
    "text",
    [
        "violation_code in ('1201', '1202')",
        "kind = 'fine' and fine_yuan >= 50000",
        "decided_on between date '2026-01-01' and '2026-02-01'",
        "violation like '%a%' or not (final_on is null)",
        "fine_yuan > -1",
        "true",
    ],
)
def test_condition_is_accepted_when_it_only_compares_columns_with_literals(text: str) -> None:
    condition = parse_condition(text, COLUMNS)
    assert condition.columns <= COLUMNS.keys()


def test_text_becomes_a_date_when_it_is_compared_with_a_date_column() -> None:
    assert parse_condition("decided_on > '2026-01-01'", COLUMNS).tree.sql("duckdb") == (
        "decided_on > CAST('2026-01-01' AS DATE)"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 / 0 = 1", "not a column or a literal"),
        ("pg_sleep(1)", "not allowed"),
        ("kind = upper('a')", "not a column or a literal"),
        ("exists(select 1)", "not allowed"),
        ("kind = (select 1)", "not a column or a literal"),
        ("kind in (select 1)", "takes a list"),
        ("nope = 1", "there is no column 'nope'"),
        ("penalty.kind = 'fine'", "there is no column"),
        ("kind = 1", "compares string with number"),
        ("decided_on > '2026-02-30'", "compares date with string"),
        ("fine_yuan like '1%'", "LIKE compares text"),
        (r"kind like 'a\%'", "another thing to another engine"),
        ("kind = 'a'; drop table x", "one expression"),
        ("kind = 'a' -- and so on", "one expression"),
        ("kind = 'a' || 'b'", "not a column or a literal"),
        ("(((", "not a SQL condition"),
        ("kind", "not allowed"),
        ("kind = '" + "a" * 3000 + "'", "longer than"),
    ],
)
def test_condition_is_refused_with_a_reason_when_it_could_do_more(text: str, complaint: str) -> None:
    with pytest.raises(ConditionError, match=complaint.replace("(", r"\(")):
        parse_condition(text, COLUMNS)


def test_condition_is_refused_when_it_is_nested_without_end() -> None:
    with pytest.raises(ConditionError):
        parse_condition("(" * 900 + "true" + ")" * 900, COLUMNS)
