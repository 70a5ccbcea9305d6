"""Reported grades: what a department finished itself takes the place of the computed grade (semantics §3)."""

from __future__ import annotations

from sqlglot import exp

from exchange_formats.datasets import NEWEST_FIRST
from scoring.plan import Plan, relation
from scoring.trees import Row, choose, column, day, fill, null, text


def reported(plan: Plan) -> exp.Query:
    """One row a subject with a reported grade in force: the newest.

    ``reported_grade``, the uniform one, is null where the crosswalk does not know the native one.
    """
    rule, source, crosswalk = plan.resolved.model.reported, plan.reported_source, plan.resolved.crosswalk
    if rule is None or source is None or crosswalk is None:
        return fill(
            "SELECT subject_ref, '' AS record_id, '' AS batch_id, CAST(NULL AS DATE) AS reported_on, "
            "'' AS native_scheme, '' AS native_grade, '' AS reported_grade, FALSE AS under_objection "
            "FROM subjects WHERE FALSE"
        )
    known = ((column("native_grade").eq(text(native)), text(letter)) for native, letter in crosswalk.grades.items())
    return fill(
        "SELECT subject_ref, record_id, batch_id, evaluated_on AS reported_on, native_scheme, native_grade, "
        "$grade AS reported_grade, coalesce(objection_from <= $as_of "
        "AND (objection_to IS NULL OR objection_to > $as_of), FALSE) AS under_objection FROM ("
        f"SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
        ") AS newest WHERE revoked_on IS NULL AND domain = $domain AND evaluated_on BETWEEN $since AND $as_of "
        "AND (valid_until IS NULL OR valid_until >= $as_of) QUALIFY row_number() OVER "
        f"(PARTITION BY subject_ref ORDER BY evaluated_on DESC, {NEWEST_FIRST}, record_id) = 1",
        {"landed": relation("input", source)},
        grade=choose(known, null("VARCHAR")),
        domain=text(plan.resolved.model.id),
        since=day(plan.since(rule.not_older_than)),
        as_of=day(plan.as_of),
    )


def is_reported(plan: Plan, name: str = "subject_ref") -> Row:
    """Whether the subject in column ``name`` has a reported grade: its records then give and take no points."""
    if plan.reported_source is None:
        return exp.false()
    graded = fill("SELECT subject_ref FROM reported WHERE NOT reported_grade IS NULL")
    return exp.In(this=column(name), query=graded.subquery())
