"""Conditions: SQL boolean expressions over a dataset's columns (architecture §5.4).

Parsed by sqlglot, checked against the dataset's column types and an allow-list:
comparisons, AND/OR/NOT, IN, BETWEEN, LIKE, IS NULL, columns and literals. No
functions, no sub-queries, no arithmetic: nothing that could run, fetch or divide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

Kind = Literal["string", "number", "date", "boolean"]

_CONNECTIVES = (exp.And, exp.Or, exp.Not, exp.Paren)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAXIMUM_LENGTH = 2000


class ConditionError(ValueError):
    """A condition that may not run; the message says what is wrong and what is allowed."""


@dataclass(frozen=True)
class Condition:
    """A checked condition: its text as written, its SQL tree and the columns it reads."""

    text: str
    tree: exp.Expr
    columns: frozenset[str]


def kind_of(field_type: str) -> Kind:
    """The comparison kind of a catalogue field type."""
    if field_type == "integer" or field_type.startswith("decimal"):
        return "number"
    return {"date": "date", "boolean": "boolean"}.get(field_type, "string")  # type: ignore[return-value]


def parse_condition(text: str, columns: Mapping[str, Kind]) -> Condition:
    """Parse and check ``text`` against ``columns``; ConditionError names the first thing that is not allowed."""
    if len(text) > _MAXIMUM_LENGTH:
        raise ConditionError(f"the condition is longer than {_MAXIMUM_LENGTH} characters")
    if any(mark in text for mark in (";", "--", "/*")):
        raise ConditionError("a condition is one expression: ';' and comments are not allowed")
    try:
        tree = parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        raise ConditionError(f"not a SQL condition: {str(error).splitlines()[0]}") from error
    _check_boolean(tree, columns)
    return Condition(text, tree, frozenset(str(column.name) for column in tree.find_all(exp.Column)))


def texts_asked(tree: exp.Expr) -> Mapping[str, frozenset[str]]:
    """Column → the texts it must be one of, as far as the conjuncts of a condition say so."""
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.And):
        left, right = texts_asked(tree.this), texts_asked(tree.expression)
        both = {name: left[name] & right[name] for name in left.keys() & right.keys()}
        return {**left, **right, **both}
    if isinstance(tree, exp.EQ) and isinstance(tree.this, exp.Column) and tree.expression.is_string:
        return {tree.this.name: frozenset({str(tree.expression.this)})}
    if (
        isinstance(tree, exp.In)
        and isinstance(tree.this, exp.Column)
        and all(one.is_string for one in tree.expressions)
    ):
        return {tree.this.name: frozenset(str(one.this) for one in tree.expressions)}
    return {}


def _check_boolean(node: exp.Expr, columns: Mapping[str, Kind]) -> None:
    if isinstance(node, _CONNECTIVES):
        for child in node.iter_expressions():
            _check_boolean(child, columns)
    elif isinstance(node, _COMPARISONS):
        _check_same_kind(node, columns, node.this, node.expression)
    elif isinstance(node, exp.In):
        if not node.expressions:
            raise ConditionError("IN takes a list of values")
        _check_same_kind(node, columns, node.this, *node.expressions)
    elif isinstance(node, exp.Between):
        _check_same_kind(node, columns, node.this, node.args["low"], node.args["high"])
    elif isinstance(node, exp.Like):
        _check_pattern(node, columns)
    elif isinstance(node, exp.Is):
        _kind(node.this, columns)
        if not isinstance(node.expression, exp.Null):
            raise ConditionError("IS is only for IS NULL and IS NOT NULL")
    elif isinstance(node, exp.Boolean) or (isinstance(node, exp.Column) and _kind(node, columns) == "boolean"):
        return
    else:
        raise ConditionError(
            f"'{node.sql()[:60]}' is not allowed in a condition "
            "(allowed: = <> < <= > >=, AND OR NOT, IN, BETWEEN, LIKE, IS NULL, columns, literals)"
        )


def _check_pattern(node: exp.Like, columns: Mapping[str, Kind]) -> None:
    if {_kind(node.this, columns), _kind(node.expression, columns)} != {"string"}:
        raise ConditionError(f"LIKE compares text: {node.sql()}")
    if not node.expression.is_string:
        raise ConditionError(f"LIKE takes a pattern in quotes: {node.sql()}")
    if "\\" in str(node.expression.this):
        raise ConditionError(f"a backslash in a pattern means another thing to another engine: {node.sql()}")


def _check_same_kind(node: exp.Expr, columns: Mapping[str, Kind], *operands: exp.Expr) -> None:
    kinds = [_kind(operand, columns) for operand in operands]
    if "date" in kinds:
        for operand in operands:
            if operand.is_string and _is_date(str(operand.this)):
                operand.replace(exp.cast(operand.copy(), "date"))
                kinds[kinds.index("string")] = "date"
    if len(set(kinds)) != 1:
        raise ConditionError(f"'{node.sql()[:60]}' compares {' with '.join(dict.fromkeys(kinds))}")


def _kind(node: exp.Expr, columns: Mapping[str, Kind]) -> Kind:
    if isinstance(node, exp.Paren):
        return _kind(node.this, columns)
    if isinstance(node, exp.Column):
        if node.table or node.name not in columns:
            raise ConditionError(f"there is no column '{node.sql()}'; columns: {', '.join(sorted(columns))}")
        return columns[node.name]
    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "number"
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return "number"
    if isinstance(node, exp.Boolean):
        return "boolean"
    if isinstance(node, exp.Cast) and node.this.is_string and node.to.is_type("date") and _is_date(str(node.this.this)):
        return "date"
    raise ConditionError(f"'{node.sql()[:60]}' is not a column or a literal")


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
