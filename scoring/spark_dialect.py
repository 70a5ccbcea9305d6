"""Trees for Apache Spark: what Spark's SQL lacks, said otherwise; the rest is sqlglot's rendering."""

from __future__ import annotations

from itertools import count
from typing import cast

from sqlglot import exp

from scoring.trees import column


def adapt_to_spark(query: exp.Query) -> exp.Query:
    """The same query without QUALIFY: a window is computed in a subquery, under a name of its own."""
    adapted = query.copy()
    numbers = count(1)
    # The inner ones first: what is around them is copied with what became of them.
    for select in reversed([one for one in adapted.find_all(exp.Select) if one.args.get("qualify")]):
        ranked = _rank_first(select, numbers)
        if select is adapted:
            adapted = ranked
        else:
            select.replace(ranked)
    return adapted


def _rank_first(select: exp.Select, numbers: count[int]) -> exp.Select:
    """``SELECT p FROM f WHERE w QUALIFY q`` as ``SELECT p FROM (SELECT *, windows FROM f WHERE w) WHERE q``."""
    source = cast("exp.From", select.args["from_"])
    kept = cast("exp.Qualify", select.args["qualify"]).this
    ranks = []
    for window in list(kept.find_all(exp.Window)):
        name = f"rank_{next(numbers)}"
        ranks.append(exp.alias_(window.copy(), name, quoted=True))
        window.replace(column(name))
    inner = exp.Select(expressions=[exp.Star(), *ranks], from_=source.copy(), where=select.args.get("where"))
    shown = [_without(one, ranks) if isinstance(one, exp.Star) else one.copy() for one in select.expressions]
    outer = exp.select(*shown).from_(inner.subquery(source.alias_or_name))
    return outer.where(kept)


def _without(star: exp.Star, ranks: list[exp.Expr]) -> exp.Star:
    return exp.Star(except_=[*(star.args.get("except_") or []), *(exp.to_identifier(rank.alias) for rank in ranks)])
