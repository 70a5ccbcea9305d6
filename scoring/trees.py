"""SQL as trees: fixed templates of this package, filled with checked trees and literals.

A template's text is always a constant of the code. What a person wrote enters only as a
tree that ``parse_condition`` has checked, or as a literal: never as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import cast

from sqlglot import exp, parse_one

Row = exp.Expr


@cache
def _parse(template: str) -> exp.Select:
    return cast("exp.Select", parse_one(template, dialect="duckdb"))


def fill(
    template: str, tables: Mapping[str, str | exp.Query] | None = None, /, **trees: Row | Sequence[Row]
) -> exp.Select:
    """Parse ``template`` and put ``trees`` where it says ``$name``.

    ``tables`` maps a table's name in the template to the real relation or to a query.
    A sequence of trees takes the place of one item of a list of expressions.
    """
    query = _parse(template).copy()
    for table in list(query.find_all(exp.Table)):
        if tables and table.name in tables:
            real, alias = tables[table.name], table.alias or table.name
            named = exp.to_table(real).as_(alias) if isinstance(real, str) else real.copy().subquery(alias, copy=False)
            table.replace(named)
    for hole in list(query.find_all(exp.Placeholder)):
        filling = trees[str(hole.this)]
        if isinstance(filling, exp.Expr):
            hole.replace(filling.copy())
        else:
            hole.replace([item.copy() for item in filling])
    return query


def column(name: str, table: str | None = None) -> exp.Column:
    """A column by name."""
    return exp.column(name, table=table, quoted=True)


def text(value: str) -> Row:
    """A text literal."""
    return exp.Literal.string(value)


def integer(value: int) -> Row:
    """A BIGINT literal: sums and products of amounts stay 64-bit."""
    return exp.cast(exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value)), "BIGINT")


def day(value: date) -> Row:
    """A date literal."""
    return exp.cast(exp.Literal.string(value.isoformat()), "DATE")


def null(kind: str) -> Row:
    """A typed NULL."""
    return exp.cast(exp.Null(), kind)


def aliased(tree: Row, name: str) -> Row:
    """``tree AS name``."""
    return exp.alias_(tree.copy(), name, quoted=True)


def choose(branches: Iterable[tuple[Row, Row]], otherwise: Row) -> Row:
    """``CASE WHEN … THEN … ELSE otherwise END``; just ``otherwise`` without branches."""
    # Built at once: Case.when copies the whole case for each branch.
    ifs = [exp.If(this=condition.copy(), true=value.copy()) for condition, value in branches]
    return exp.Case(ifs=ifs, default=otherwise.copy()) if ifs else otherwise.copy()


def choose_by(name: str, values: Mapping[int, Row], otherwise: Row) -> Row:
    """``CASE name WHEN key THEN value … ELSE otherwise END``, equal values under one condition."""
    groups: dict[str, tuple[list[int], Row]] = {}
    for key, value in values.items():
        groups.setdefault(value.sql(), ([], value))[0].append(key)
    return choose(((among(name, keys), value) for keys, value in groups.values()), otherwise)


def among(name: str, keys: Iterable[int]) -> Row:
    """``name IN (keys)``; FALSE without keys."""
    wanted = sorted(keys)
    if not wanted:
        return exp.false()
    return column(name).isin(*(exp.Literal.number(key) for key in wanted))


def all_of(conditions: Iterable[Row]) -> Row:
    """Their conjunction; TRUE without any."""
    return exp.and_(*(condition.copy() for condition in conditions)) if (conditions := list(conditions)) else exp.true()


def any_of(conditions: Iterable[Row]) -> Row:
    """Their disjunction; FALSE without any."""
    return exp.or_(*(condition.copy() for condition in conditions)) if (conditions := list(conditions)) else exp.false()


def union(queries: Sequence[exp.Query]) -> exp.Query:
    """UNION ALL."""
    whole = queries[0]
    for query in queries[1:]:
        whole = exp.union(whole, query, distinct=False, copy=False)
    return whole


def decimal_of(tree: Row, digits: int, scale: int) -> Row:
    """A BIGINT counted in 10^-scale as an exact decimal: a product of decimals, never a division."""
    unit = exp.cast(exp.Literal.number(format(Decimal(1).scaleb(-scale), "f")), f"DECIMAL({scale},{scale})")
    whole = exp.cast(tree.copy(), "DECIMAL(18,0)")
    return exp.cast(exp.Mul(this=whole, expression=unit), f"DECIMAL({digits},{scale})")
