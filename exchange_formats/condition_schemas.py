"""Conditions as JSON Schema, where a schema can say them: comparisons of one column with literals, joined.

SQL's logic has three values and JSON Schema's two, so a condition has two schemas: one accepts
the records for which it is *true*, one those for which it is *false*; a record for which it is
unknown (a null was compared) is accepted by neither. Not expressible: dates and exact decimals
other than equal (they travel as strings), two columns compared, columns that are no part of the record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlglot import exp

Schema = Mapping[str, Any]
#: column → its values: ``string``, ``integer``, ``boolean``; of any other only presence can be said.
JsonTypes = Mapping[str, str]

_OPPOSITE: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
}
_MIRRORED: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.LT: exp.GT,
    exp.GT: exp.LT,
    exp.LTE: exp.GTE,
    exp.GTE: exp.LTE,
}
_BOUNDS: Mapping[type[exp.Expr], str] = {
    exp.LT: "exclusiveMaximum",
    exp.LTE: "maximum",
    exp.GT: "exclusiveMinimum",
    exp.GTE: "minimum",
}
#: What ECMA 262 wants escaped; in Unicode mode nothing else may be.
_SYNTAX = re.compile(r"[\\^$.*+?()\[\]{}|/]")
_ALL: Schema = {}
_NONE: Schema = {"not": {}}


def render_condition(tree: exp.Expr, types: JsonTypes, *, holds: bool = True) -> Schema | None:
    """Schema of the records for which ``tree`` is true (``holds``) or false; None where no schema can say it."""
    if isinstance(tree, exp.Paren):
        return render_condition(tree.this, types, holds=holds)
    if isinstance(tree, exp.Not):
        return render_condition(tree.this, types, holds=not holds)
    if isinstance(tree, exp.And | exp.Or):
        parts = [render_condition(part, types, holds=holds) for part in (tree.this, tree.expression)]
        if parts[0] is None or parts[1] is None:
            return None
        # De Morgan holds for three values, too.
        return {"allOf" if isinstance(tree, exp.And) == holds else "anyOf": parts}
    if isinstance(tree, exp.Boolean):
        return _ALL if bool(tree.this) == holds else _NONE
    if isinstance(tree, exp.Column):
        return _one(tree, {"const": holds}) if types.get(tree.name) == "boolean" else None
    return _render_comparison(tree, types, holds=holds)


def present(column: str) -> Schema:
    """The record has a value in ``column``: neither left out nor null."""
    return {"properties": {column: {"not": {"const": None}}}, "required": [column]}


def _render_comparison(tree: exp.Expr, types: JsonTypes, *, holds: bool) -> Schema | None:
    column = tree.this
    if isinstance(tree, exp.Is):
        if not isinstance(column, exp.Column) or column.name not in types:
            return None
        return {"not": present(column.name)} if holds else present(column.name)
    if isinstance(tree, exp.Between):
        low = exp.GTE(this=column, expression=tree.args["low"])
        high = exp.LTE(this=column, expression=tree.args["high"])
        return render_condition(exp.And(this=low, expression=high), types, holds=holds)
    if isinstance(tree, exp.In):
        values = [_literal(value, column, types) for value in tree.expressions]
        return None if None in values else _one(column, {"enum": values} if holds else {"not": {"enum": values}})
    if isinstance(tree, exp.Like):
        pattern = _literal(tree.expression, column, types)
        wanted = holds != bool(tree.args.get("negate"))
        return _like(column, pattern, holds=wanted) if isinstance(pattern, str) else None
    if type(tree) in _OPPOSITE:
        return _compare(tree, types, holds=holds)
    return None


def _compare(tree: exp.Expr, types: JsonTypes, *, holds: bool) -> Schema | None:
    kind, column, other = type(tree), tree.this, tree.expression
    if not isinstance(column, exp.Column):
        kind, column, other = _MIRRORED[kind], other, column
    if not holds:
        kind = _OPPOSITE[kind]
    value = _literal(other, column, types)
    if value is None:
        return None
    if kind is exp.EQ:
        return _one(column, {"const": value})
    if kind is exp.NEQ:
        return _one(column, {"not": {"const": value}})
    return _one(column, {_BOUNDS[kind]: value}) if types[column.name] == "integer" else None


def _literal(value: exp.Expr, column: exp.Expr, types: JsonTypes) -> str | int | bool | None:
    """The literal as a JSON value of the column's type; None where one of them is no such thing."""
    kind = types.get(column.name) if isinstance(column, exp.Column) else None
    if kind == "boolean" and isinstance(value, exp.Boolean):
        return bool(value.this)
    if kind == "string" and isinstance(value, exp.Literal) and value.is_string:
        return str(value.this)
    negative = isinstance(value, exp.Neg)
    number = value.this if negative else value
    if kind == "integer" and isinstance(number, exp.Literal) and not number.is_string:
        exact = Decimal(str(number.this))
        if exact == exact.to_integral_value():
            return -int(exact) if negative else int(exact)
    return None


def _one(column: exp.Expr, value: Schema) -> Schema:
    """``column`` has a value, and ``value`` accepts it."""
    return {"properties": {column.name: {"allOf": [{"not": {"const": None}}, value]}}, "required": [column.name]}


def _like(column: exp.Expr, pattern: str, *, holds: bool) -> Schema:
    """SQL's LIKE as a regular expression: ``%`` any text, ``_`` any one character (ECMA 262, read as Unicode)."""
    parts = {"%": r"[\s\S]*", "_": r"[\s\S]"}
    expression = "^" + "".join(parts.get(one) or _SYNTAX.sub(r"\\\g<0>", one) for one in pattern) + "$"
    return _one(column, {"pattern": expression} if holds else {"not": {"pattern": expression}})
