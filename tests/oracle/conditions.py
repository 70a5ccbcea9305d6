"""Conditions over one row: SQL's three-valued logic on plain Python values (None: unknown)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeAlias

from sqlglot import exp

from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset, load_contracts

Row: TypeAlias = Mapping[str, Any]
Truth: TypeAlias = bool | None
Ask: TypeAlias = Callable[[Row], Truth]

_COMPARISONS: Final[Mapping[type[exp.Expr], Callable[[Any, Any], bool]]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}


def holds(text: str, dataset: Dataset, row: Row) -> bool:
    """Whether the condition is true of the row: neither false nor unknown."""
    return _ask(text, dataset.contract)(row) is True


def fails(text: str, dataset: Dataset, row: Row) -> bool:
    """Whether the condition is false of the row."""
    return _ask(text, dataset.contract)(row) is False


def literals(text: str, dataset: Dataset) -> tuple[tuple[str, Any], ...]:
    """Every (column, value) that the condition compares with each other."""
    return _literals(text, dataset.contract)


@cache
def _literals(text: str, contract: str) -> tuple[tuple[str, Any], ...]:
    tree = parse_condition(text, load_contracts()[contract].condition_columns).tree
    found: list[tuple[str, Any]] = []
    for node in tree.find_all(*_COMPARISONS, exp.In, exp.Between):
        values = [one for one in node.find_all(exp.Literal, exp.Cast, exp.Neg) if not _is_inner(one)]
        for column in node.find_all(exp.Column):
            found += ((column.name, _value(value)) for value in values)
    return tuple(found)


def _is_inner(node: exp.Expr) -> bool:
    return isinstance(node.parent, exp.Cast | exp.Neg)


@cache
def _ask(text: str, contract: str) -> Ask:
    return _build(parse_condition(text, load_contracts()[contract].condition_columns).tree)


def _build(node: exp.Expr) -> Ask:
    if isinstance(node, exp.Paren):
        return _build(node.this)
    if isinstance(node, exp.And | exp.Or):
        return _build_connective(node)
    if isinstance(node, exp.Not):
        inner = _build(node.this)
        return lambda row: _turn(inner(row))
    if isinstance(node, exp.Is):
        operand = _read(node.this)
        return lambda row: operand(row) is None
    if isinstance(node, exp.In):
        return _build_in(node)
    if isinstance(node, exp.Between):
        low = _build_comparison(operator.ge, node.this, node.args["low"])
        high = _build_comparison(operator.le, node.this, node.args["high"])
        return lambda row: _both(low(row), high(row))
    if isinstance(node, exp.Like):
        return _build_like(node)
    if isinstance(node, exp.Boolean | exp.Column):
        return _read(node)
    return _build_comparison(_COMPARISONS[type(node)], node.this, node.expression)


def _build_connective(node: exp.And | exp.Or) -> Ask:
    left, right = _build(node.this), _build(node.expression)
    if isinstance(node, exp.And):
        return lambda row: _both(left(row), right(row))
    return lambda row: _turn(_both(_turn(left(row)), _turn(right(row))))


def _build_in(node: exp.In) -> Ask:
    choices = [_build_comparison(operator.eq, node.this, choice) for choice in node.expressions]

    def ask(row: Row) -> Truth:
        found = [choice(row) for choice in choices]
        return True if True in found else None if None in found else False

    return ask


def _build_like(node: exp.Like) -> Ask:
    operand = _read(node.this)
    signs = {"%": ".*", "_": "."}
    pattern = re.compile("".join(signs.get(sign, re.escape(sign)) for sign in str(node.expression.this)), re.DOTALL)
    negated = bool(node.args.get("negate"))

    def ask(row: Row) -> Truth:
        value = operand(row)
        return None if value is None else (pattern.fullmatch(value) is not None) is not negated

    return ask


def _build_comparison(compare: Callable[[Any, Any], bool], left: exp.Expr, right: exp.Expr) -> Ask:
    first, second = _read(left), _read(right)

    def ask(row: Row) -> Truth:
        one, two = first(row), second(row)
        return None if one is None or two is None else compare(one, two)

    return ask


def _read(node: exp.Expr) -> Callable[[Row], Any]:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Column):
        name = node.name
        return lambda row: row.get(name)
    value = _value(node)
    return lambda _: value


def _value(node: exp.Expr) -> Any:
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Cast):
        return date.fromisoformat(str(node.this.this))
    if isinstance(node, exp.Neg):
        return -_value(node.this)
    return str(node.this) if node.is_string else Decimal(str(node.this))


def _both(left: Truth, right: Truth) -> Truth:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _turn(truth: Truth) -> Truth:
    return None if truth is None else not truth
