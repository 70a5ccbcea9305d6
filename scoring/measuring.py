"""Measuring: a value of a subject's records together, and the points its bins give (architecture §5.4).

Values are BIGINT in 1e-6; a share is rounded half up by integer division, the only one there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from scoring.grammar import Counts
from scoring.measurement import LARGEST, VALUE_UNITS, Measure
from scoring.model import Indicator
from scoring.plan import Claimant, Plan, condition
from scoring.quantities import centi
from scoring.reported import is_reported
from scoring.trees import Row, among, choose, choose_by, column, day, fill, integer, null, text, union

#: The largest amount of one record that is told from larger ones, in whole units.
_MOST = LARGEST // VALUE_UNITS


def columns_of(source: str, measure: Measure) -> Iterator[str]:
    """The columns of ``source`` that ``measure`` reads."""
    yield from filter(None, [measure.column])
    if measure.where:
        yield from (found.name for found in condition(source, measure.where).find_all(exp.Column))


def operand_of(source: str, wanted: Sequence[tuple[Claimant, Counts]]) -> Row:
    """What one record contributes to what its claimant measures; null where nothing is measured."""
    operands = {c.number: operand(source, c.measure) for c, _ in wanted if c.measure}
    return choose_by("target", operands, null("BIGINT"))


def operand(source: str, measure: Measure) -> Row:
    """A record's amount in 1e-6, or 1 where the share's condition holds."""
    if measure.column:
        exact = exp.cast(column(measure.column), "DECIMAL(20,2)")
        units = exp.cast(exp.Mul(this=exact, expression=exp.Literal.number(VALUE_UNITS)), "BIGINT")
        # Not LEAST: it passes over nulls.
        return choose([(column(measure.column) > exp.Literal.number(_MOST), integer(_MOST * VALUE_UNITS))], units)
    if measure.where:
        return choose([(condition(source, measure.where), integer(1))], integer(0))
    return integer(1)


def value_of(plan: Plan, measure: Measure, day_column: str = "event_on") -> Row:
    """The aggregate over a group of records with an ``operand`` each: the value in 1e-6."""
    units = exp.Literal.number(VALUE_UNITS)
    if measure.kind == "ratio":
        # (2 × hits × 10^6 + n) // 2n: half up, and n is never 0 in a group.
        share = "SELECT CAST((2 * sum(operand) * $units + count(*)) // (2 * count(*)) AS BIGINT) AS v"
        return _expression(share, units=units)
    if measure.kind == "days_since":
        passed = "SELECT CAST(date_diff('day', max($day), $as_of) AS BIGINT) * $units AS v"
        return _expression(passed, day=column(day_column), as_of=day(plan.as_of), units=units)
    texts = {
        "count": "SELECT CAST(count(*) AS BIGINT) * $units AS v",
        "exists": "SELECT CAST($units AS BIGINT) AS v",
        "sum": "SELECT CAST(least(coalesce(sum(CAST(operand AS DECIMAL(38,0))), 0), $most) AS BIGINT) AS v",
        "max": "SELECT coalesce(max(operand), 0) AS v",
    }
    return _expression(texts[measure.kind], units=units, most=exp.Literal.number(LARGEST))


def _expression(template: str, **trees: Row) -> Row:
    """The one expression that ``template`` selects."""
    found: Row = fill(template, **trees).selects[0].this
    return found


def measured(plan: Plan) -> exp.Query:
    """One row a subject and measuring indicator with counting records: the value, and the raw points of its bin."""
    parts: list[exp.Query] = [
        fill(
            "SELECT subject_ref, target, records, value, $raw AS raw, objected FROM ("
            "SELECT subject_ref, target, count(*) AS records, $value AS value, "
            "max(CASE WHEN under_objection THEN 1 ELSE 0 END) AS objected "
            "FROM weighted WHERE $mine GROUP BY subject_ref, target) AS valued",
            value=value_of(plan, claimant.measure),
            mine=among("target", [claimant.number]),
            raw=_points(claimant),
        )
        for claimant in plan.measured
        if claimant.measure
    ]
    parts += [_compared(plan, claimant) for claimant in plan.comparing]
    nothing = (
        "SELECT subject_ref, CAST(0 AS INTEGER) AS target, CAST(0 AS BIGINT) AS records, CAST(0 AS BIGINT) AS value, "
        "CAST(0 AS BIGINT) AS raw, CAST(0 AS INTEGER) AS objected FROM subjects WHERE FALSE"
    )
    return union(parts) if parts else fill(nothing)


def _points(claimant: Claimant) -> Row:
    """Raw points (1e-6) of the bin the value lies in."""
    bins = claimant.part.worth.bins if isinstance(claimant.part, Indicator) else None
    steps = [
        (column("value") >= integer(int(one.from_ * VALUE_UNITS)), integer(centi(one.points) * 10**4))
        for one in reversed(bins or ())
    ]
    return choose(steps, integer(0))


def _compared(plan: Plan, claimant: Claimant) -> exp.Query:
    """Subjects whose own value is above their group's statistic: the points once, no record by itself.

    Who is N all the same has no score to take them from: a statistic may count what is no evidence yet, a complaint
    on the day it was filed.
    """
    rated = "SELECT subject_ref FROM active UNION ALL SELECT subject_ref FROM public_credit"
    if plan.resolved.model.minimum_records == 0:
        rated = "SELECT subject_ref FROM subjects"
    per = claimant.part.worth.per if isinstance(claimant.part, Indicator) else None
    return fill(
        "SELECT subject_ref, $target AS target, records, value, $raw AS raw, CAST(0 AS INTEGER) AS objected "
        f"FROM exceeding WHERE statistic = $statistic AND NOT $reported AND subject_ref IN ({rated})",
        target=exp.cast(exp.Literal.number(claimant.number), "INTEGER"),
        raw=integer(centi(per) * 10**4 if per is not None else 0),
        statistic=text(claimant.above or ""),
        reported=is_reported(plan),
    )


def is_measured(plan: Plan) -> Row:
    """Whether the claimant in ``target`` measures its records together."""
    return among("target", [claimant.number for claimant in plan.measured])
