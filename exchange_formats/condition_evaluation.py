"""Conditions over Arrow arrays: SQL's three-valued logic, a whole batch at a time.

A condition (``exchange_formats.conditions``) is compiled once. Coded columns are dictionary arrays:
what is asked of them is asked of each code once. Parts that several conditions share are
evaluated once a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from exchange_formats.conditions import Condition
from exchange_formats.texts import Mask, mask_of, repeats_itself

#: Columns by name, all of one length.
Columns: TypeAlias = Mapping[str, pa.Array]
_Literal: TypeAlias = str | int | Decimal | date | bool
_Compare: TypeAlias = Callable[[Any, Any], pa.Array]
_COMPARISONS: Final[Mapping[type[exp.Expr], _Compare]] = {
    exp.EQ: pc.equal,
    exp.NEQ: pc.not_equal,
    exp.LT: pc.less,
    exp.LTE: pc.less_equal,
    exp.GT: pc.greater,
    exp.GTE: pc.greater_equal,
}
#: The same comparison with its sides exchanged.
_SWAPPED: Final[Mapping[type[exp.Expr], type[exp.Expr]]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}


class Batch:
    """The columns of one batch and what was already evaluated over them."""

    def __init__(self, columns: Columns, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self._known: dict[str, pa.Array] = {}
        self._encoded: dict[str, pa.Array] = {}

    def remember(self, key: str, evaluate: Callable[[Batch], pa.Array]) -> pa.Array:
        """``evaluate`` once a batch."""
        if key not in self._known:
            self._known[key] = evaluate(self)
        return self._known[key]

    def encode(self, name: str) -> pa.Array:
        """The column as a dictionary array where its texts repeat themselves, else as it is."""
        if name not in self._encoded:
            column = self.columns[name]
            repeats = pa.types.is_string(column.type) and repeats_itself(column)
            self._encoded[name] = column.dictionary_encode() if repeats else column
        return self._encoded[name]


_Evaluate: TypeAlias = Callable[[Batch], pa.Array]


class Evaluator:
    """A compiled condition."""

    def __init__(self, condition: Condition) -> None:
        self.columns = condition.columns
        self._evaluate = _compile(condition.tree)

    def holds(self, batch: Batch) -> Mask:
        """Rows where the condition is true."""
        return mask_of(self._evaluate(batch))

    def fails(self, batch: Batch) -> Mask:
        """Rows where it is false; a row where it is unknown does not fail."""
        held = self._evaluate(batch)
        return mask_of(pc.invert(held)) if held.false_count else np.zeros(batch.rows, np.bool_)


def _compile(node: exp.Expr) -> _Evaluate:
    evaluate = _compile_node(node)
    key = node.sql(dialect="duckdb")
    return lambda batch: batch.remember(key, evaluate)


def _compile_node(node: exp.Expr) -> _Evaluate:
    if isinstance(node, exp.Paren):
        return _compile(node.this)
    if isinstance(node, exp.And | exp.Or):
        return _compile_connective(node)
    if isinstance(node, exp.Not):
        inner = _compile(node.this)
        return lambda batch: pc.invert(inner(batch))
    if isinstance(node, exp.Between):
        low = _compile_comparison(exp.GTE, node.this, node.args["low"])
        high = _compile_comparison(exp.LTE, node.this, node.args["high"])
        return lambda batch: pc.and_kleene(low(batch), high(batch))
    if isinstance(node, exp.In):
        return _compile_in(node)
    if isinstance(node, exp.Like):
        return _compile_like(node)
    if isinstance(node, exp.Is):
        name = _strip(node.this)
        return lambda batch: pc.is_null(_operand(name, batch))
    if isinstance(node, exp.Boolean):
        value = bool(node.this)
        return lambda batch: pa.array(np.full(batch.rows, value))
    if isinstance(node, exp.Column):
        return lambda batch: batch.columns[node.name]
    return _compile_comparison(type(node), node.this, node.expression)


def _compile_connective(node: exp.And | exp.Or) -> _Evaluate:
    left, right = _compile(node.this), _compile(node.expression)
    either = isinstance(node, exp.Or)
    join = pc.or_kleene if either else pc.and_kleene

    def evaluate(batch: Batch) -> pa.Array:
        first = left(batch)
        decided = first.true_count if either else first.false_count
        # Where the left side decides every row, the right one is not asked.
        return first if decided == batch.rows else join(first, right(batch))

    return evaluate


def _compile_like(node: exp.Like) -> _Evaluate:
    pattern = _translate_like(str(node.expression.this))
    if node.args.get("negate"):  # how the parser writes NOT LIKE
        return _compile_unary(node.this, lambda values: pc.invert(pc.match_like(values, pattern=pattern)))
    return _compile_unary(node.this, lambda values: pc.match_like(values, pattern=pattern))


def _compile_in(node: exp.In) -> _Evaluate:
    choices = [_strip(choice) for choice in node.expressions]
    values = [_literal(choice) for choice in choices if not isinstance(choice, exp.Column)]
    if len(values) == len(choices) and all(isinstance(value, str) for value in values):
        wanted = pa.array(values, pa.string())

        def ask(column: pa.Array) -> pa.Array:
            # Arrow says that null is in no list; SQL does not know.
            return pc.if_else(column.is_valid(), pc.is_in(column, value_set=wanted), pa.scalar(None, pa.bool_()))

        return _compile_unary(node.this, ask)
    equal = [_compile_comparison(exp.EQ, node.this, choice) for choice in choices]

    def any_of(batch: Batch) -> pa.Array:
        found = equal[0](batch)
        for one in equal[1:]:
            found = pc.or_kleene(found, one(batch))
        return found

    return any_of


def _compile_comparison(kind: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> _Evaluate:
    left, right = _strip(left), _strip(right)
    if not isinstance(left, exp.Column) and isinstance(right, exp.Column):
        return _compile_comparison(_SWAPPED[kind], right, left)
    compare = _COMPARISONS[kind]
    if isinstance(left, exp.Column) and not isinstance(right, exp.Column):
        literal = _literal(right)
        return _compile_unary(left, lambda values: compare(*_comparable(values, _scalar(literal, values.type))))

    def both(batch: Batch) -> pa.Array:
        first, second = (_plain(_operand(side, batch)) for side in (left, right))
        return compare(*_comparable(first, second))

    return both


def _compile_unary(node: exp.Expr, ask: Callable[[pa.Array], pa.Array]) -> _Evaluate:
    """What ``ask`` says of one operand; of a dictionary array it is asked once a code."""
    node = _strip(node)

    def evaluate(batch: Batch) -> pa.Array:
        column = batch.encode(node.name) if isinstance(node, exp.Column) else _operand(node, batch)
        if not pa.types.is_dictionary(column.type):
            return ask(column)
        return ask(column.dictionary).take(column.indices)

    return evaluate


def _operand(node: exp.Expr, batch: Batch) -> pa.Array:
    if isinstance(node, exp.Column):
        return batch.columns[node.name]
    return pa.repeat(pa.scalar(_literal(node)), batch.rows)


def _strip(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _literal(node: exp.Expr) -> _Literal:
    """The value of a literal that ``parse_condition`` let through."""
    if isinstance(node, exp.Neg):
        return _number("-" + str(_strip(node.this).this))
    if isinstance(node, exp.Cast):
        return date.fromisoformat(str(node.this.this))
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    text = str(node.this)
    return text if node.is_string else _number(text)


def _number(text: str) -> int | Decimal:
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)


def _scalar(value: _Literal, kind: pa.DataType) -> pa.Scalar:
    """``value`` in the column's own type where it fits, so that the column need not be cast."""
    if pa.types.is_decimal(kind) and isinstance(value, int | Decimal):
        try:
            return pa.scalar(Decimal(value), kind)
        except pa.ArrowInvalid:
            return pa.scalar(Decimal(value))
    return pa.scalar(value)


def _comparable(left: pa.Array, right: Any) -> tuple[Any, Any]:
    if pa.types.is_boolean(left.type):
        return left.cast(pa.int8()), right.cast(pa.int8())
    return left, right


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _translate_like(pattern: str) -> str:
    """SQL has no escape sign here; Arrow has one, the backslash."""
    return pattern.replace("\\", "\\\\")
