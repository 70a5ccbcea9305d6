"""Points: from counting records to dimensions, in exact 64-bit units (semantics §3).

raw = points × repeat × decay, in 1e-6 point; × the dimension's scale it is in 1e-8 point.
Sums, minima and maxima of integers only: engines turn decimals into doubles, never these.
"""

from __future__ import annotations

from sqlglot import exp

from scoring.measuring import is_measured
from scoring.model import Indicator
from scoring.plan import Plan
from scoring.quantities import centi
from scoring.reported import is_reported
from scoring.trees import Row, aliased, among, choose, choose_by, column, fill, integer, union


def weighted(plan: Plan) -> exp.Query:
    """The counting records of indicators with their factors; ``raw`` is what each is worth before cap and scale."""
    repeat = plan.resolved.decay.repeat
    repeatable = [
        c.number
        for c in plan.indicators
        if isinstance(c.part, Indicator) and c.part.deduct and c.part.deduct.repeat and not c.measure
    ]
    # covers(previous, months, event): add_months clamps to the month's end, so comparing (month, day) pairs is exact.
    return fill(
        "SELECT subject_ref, record_id, batch_id, event_on, dataset, target, base, decay, repeat_factor, tier, "
        "under_objection, operand, base * decay * repeat_factor AS raw FROM ("
        "SELECT *, CASE WHEN $repeatable AND (year(event_on) * 12 + month(event_on) "
        "< year(previous_on) * 12 + month(previous_on) + $months OR (year(event_on) * 12 + month(event_on) "
        "= year(previous_on) * 12 + month(previous_on) + $months AND day(event_on) <= day(previous_on))) "
        "THEN $factor ELSE $once END AS repeat_factor FROM ("
        "SELECT *, lag(event_on) OVER "
        "(PARTITION BY subject_ref, target ORDER BY event_on, record_id, dataset) AS previous_on "
        "FROM claims WHERE excluded IS NULL AND target >= $first AND NOT $reported) AS sequenced) AS repeated",
        repeatable=among("target", repeatable),
        months=exp.Literal.number(repeat.within),
        factor=integer(centi(repeat.factor)),
        once=integer(100),
        first=exp.Literal.number(len(plan.overrides)),
        reported=is_reported(plan),
    )


def indicator_points(plan: Plan) -> exp.Query:
    """One row a subject and indicator: how many records, their raw sum or what they measure, and that capped."""
    caps = {c.number: integer(c.cap) for c in plan.indicators if c.cap is not None}
    summed: exp.Query = fill(
        "SELECT subject_ref, target, count(*) AS records, CAST(sum(raw) AS BIGINT) AS raw, "
        "max(CASE WHEN under_objection THEN 1 ELSE 0 END) AS objected "
        "FROM weighted WHERE NOT $measured GROUP BY subject_ref, target",
        measured=is_measured(plan),
    )
    if plan.measured or plan.comparing:
        summed = union([summed, fill("SELECT subject_ref, target, records, raw, objected FROM measured")])
    return fill(
        "SELECT subject_ref, target, records, raw, $capped AS capped, objected FROM summed",
        {"summed": summed},
        capped=exp.func("least", column("raw"), choose_by("target", caps, column("raw"))),
    )


def group_points(plan: Plan) -> exp.Query:
    """One row a subject and group: the sum of its indicators' capped points, and that sum capped."""
    numbers = {m.number: exp.Literal.number(i) for i, (_, _, _, members) in enumerate(plan.groups) for m in members}
    caps = {i: integer(cap) for i, (_, _, cap, _) in enumerate(plan.groups)}
    return fill(
        "SELECT subject_ref, group_number, raw, $capped AS capped FROM ("
        "SELECT subject_ref, group_number, CAST(sum(capped) AS BIGINT) AS raw FROM ("
        "SELECT subject_ref, capped, CAST($number AS INTEGER) AS group_number FROM indicator_points) AS grouped "
        "WHERE NOT group_number IS NULL GROUP BY subject_ref, group_number) AS summed",
        capped=exp.func("least", column("raw"), choose_by("group_number", caps, column("raw"))),
        number=choose_by("target", numbers, exp.null()),
    )


def dimension_points(plan: Plan) -> exp.Query:
    """One row a subject with any points: what each dimension's indicators add to its base, in units."""
    parts = [
        fill(
            "SELECT subject_ref, target AS place, capped * $scale AS units FROM indicator_points",
            scale=scale_of(plan, "target"),
        )
    ]
    for number, (_, _, _, members) in enumerate(plan.groups):
        parts.append(
            fill(
                "SELECT subject_ref, $place AS place, (capped - raw) * $scale AS units FROM group_points "
                "WHERE group_number = $number",
                place=exp.cast(exp.Literal.number(members[0].number), "INTEGER"),
                scale=integer(members[0].scale),
                number=exp.Literal.number(number),
            )
        )
    sums = [
        aliased(_sum_units([c.number for c in plan.indicators if c.dimension_id == name]), f"units_{index}")
        for index, name in enumerate(plan.resolved.model.dimensions)
        if name in plan.resolved.judged
    ]
    return fill("SELECT subject_ref, $sums FROM amounts GROUP BY subject_ref", {"amounts": union(parts)}, sums=sums)


def scale_of(plan: Plan, name: str) -> Row:
    """The signed scale of the indicator whose number stands in column ``name``."""
    return choose_by(name, {c.number: integer(c.scale) for c in plan.indicators}, integer(0))


def _sum_units(numbers: list[int]) -> Row:
    chosen = choose([(among("place", numbers), column("units"))], integer(0))
    return exp.cast(exp.Sum(this=chosen), "BIGINT")
