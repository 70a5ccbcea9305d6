"""Evidence: one row for everything that made a score, so that the rows add up to it exactly (semantics §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from sqlglot import exp

from exchange_formats.results import EVIDENCE, EvidenceEntry
from scoring.plan import Plan
from scoring.points import scale_of
from scoring.quantities import UNITS, UNITS_PER_CENTIPOINT, centi
from scoring.reported import is_reported
from scoring.trees import Row, aliased, all_of, choose, choose_by, column, decimal_of, fill, integer, null, text, union

#: Where rows that belong to no dimension stand: behind all of them.
_REPORTED, _OVERRIDE, _TOTAL = 97, 98, 99
_ENTRIES = get_args(EvidenceEntry)
#: The columns of every part of the union, and their types where a part has nothing to say.
_COLUMNS: Mapping[str, str] = {
    "place": "INTEGER",
    "indicator_place": "INTEGER",
    "entry": "INTEGER",
    "units": "BIGINT",
    "indicator": "VARCHAR",
    "dataset": "VARCHAR",
    "record_id": "VARCHAR",
    "batch_id": "VARCHAR",
    "event_on": "DATE",
    "excluded": "VARCHAR",
    "base": "BIGINT",
    "repeat_factor": "BIGINT",
    "decay": "BIGINT",
    "tier": "VARCHAR",
    "under_objection": "BOOLEAN",
    "value": "BIGINT",
}
#: Why a record that would count does not: the department's own grade stands.
_GRADED = text("grade_reported")
_OF_RECORD = ("dataset", "record_id", "batch_id", "event_on", "tier", "under_objection", "base")


def evidence(plan: Plan) -> exp.Query:
    """The rows of EVIDENCE, in their order."""
    places = {index: text(name) for index, name in enumerate(plan.resolved.model.dimensions)}
    exact = {
        "dimension": choose_by(
            "place", places | {_REPORTED: text("_reported"), _OVERRIDE: text("_override")}, text("_total")
        ),
        "points": decimal_of(column("units"), 18, 8),
        "base_points": decimal_of(column("base"), 9, 2),
        "repeat_factor": decimal_of(column("repeat_factor"), 4, 2),
        "decay_factor": decimal_of(column("decay"), 4, 2),
        "value": decimal_of(column("value"), 18, 6),
        "entry": choose_by("entry", {i: text(name) for i, name in enumerate(_ENTRIES)}, null("VARCHAR")),
    }
    # The order names the parts' own numbers, not the shown columns that carry the same names.
    return fill(
        "SELECT $shown FROM parts ORDER BY parts.subject_ref, parts.place, parts.indicator_place, parts.entry, "
        "parts.event_on NULLS FIRST, parts.record_id NULLS FIRST, parts.dataset NULLS FIRST",
        {"parts": union(_parts(plan))},
        shown=[aliased(exact.get(field.name, column(field.name)), field.name) for field in EVIDENCE],
    )


def _parts(plan: Plan) -> list[exp.Query]:
    parts = [*_standing(plan), *_records(plan), *_caps(plan), *_clamps(plan), _rounding()]
    if plan.reported_source:
        parts.append(_reported(plan.reported_source))
    if plan.measured or plan.comparing:
        parts.append(_measured(plan))
    return parts


def _row(template: str, values: Mapping[str, Row], **trees: Row) -> exp.Query:
    """A select of ``subject_ref`` and every one of ``_COLUMNS``: from ``values``, or null."""
    columns = [aliased(values.get(name) or null(kind), name) for name, kind in _COLUMNS.items()]
    return fill(template, None, columns=columns, **trees)


def _place(number: int) -> Row:
    return exp.cast(exp.Literal.number(number) if number >= 0 else exp.Neg(this=exp.Literal.number(-number)), "INTEGER")


def _entry(name: str) -> Row:
    return _place(_ENTRIES.index(name))


def _standing(plan: Plan) -> list[exp.Query]:
    """What every scored subject has: its public-credit part and each dimension's base."""
    parts = []
    for index, name in enumerate(plan.resolved.model.dimensions):
        values = {"place": _place(index), "indicator_place": _place(-1)}
        if name in plan.resolved.judged:
            base = plan.resolved.judged[name].base
            values |= {"entry": _entry("_base"), "units": integer(centi(base) * UNITS // 100)}
            if base == 0:
                continue
        else:
            values |= {
                "entry": _entry("public_credit"),
                "units": column(f"raw_{index}"),
                "event_on": column("evaluated_on"),
            }
            origins = {"platform": plan.public_source, "own_model": plan.own_source}
            values["dataset"] = choose(
                (
                    (column("public_origin").eq(text(origin)), text(source))
                    for origin, source in origins.items()
                    if source
                ),
                null("VARCHAR"),
            )
        parts.append(_row("SELECT subject_ref, $columns FROM graded WHERE NOT unscored", values))
    return parts


def _records(plan: Plan) -> list[exp.Query]:
    """The records that counted, and those that an override claimed or that do not count, with the reason."""
    first = len(plan.overrides)
    values = _of_target(plan) | {name: column(name) for name in _OF_RECORD}
    counted = values | {
        "entry": _entry("record"),
        "units": exp.Mul(this=column("raw"), expression=exp.paren(scale_of(plan, "target"))),
        "repeat_factor": column("repeat_factor"),
        "decay": column("decay"),
    }
    reported = is_reported(plan)
    left_out = values | {
        "entry": choose_by("target", {c.number: _entry("override") for c in plan.overrides}, _entry("record")),
        "units": integer(0),
        "excluded": choose(
            [(all_of([column("excluded").is_(exp.null()), column("target") >= exp.Literal.number(first)]), _GRADED)],
            column("excluded"),
        ),
    }
    return [
        _row("SELECT subject_ref, $columns FROM weighted", counted),
        _row(
            "SELECT subject_ref, $columns FROM claims WHERE NOT excluded IS NULL OR target < $first OR $reported",
            left_out,
            first=exp.Literal.number(first),
            reported=reported,
        ),
    ]


def _reported(source: str) -> exp.Query:
    """The grade the department finished itself; without points, for none was computed."""
    values = {
        "place": _place(_REPORTED),
        "indicator_place": _place(0),
        "entry": _entry("reported"),
        "units": integer(0),
        "dataset": text(source),
        "record_id": column("record_id"),
        "batch_id": column("batch_id"),
        "event_on": column("reported_on"),
        "under_objection": column("under_objection"),
        "excluded": choose([(column("reported_grade").is_(exp.null()), text("grade_unknown"))], null("VARCHAR")),
    }
    scored = "subject_ref IN (SELECT subject_ref FROM subjects)"
    return _row(f"SELECT subject_ref, $columns FROM reported WHERE {scored}", values)


def _measured(plan: Plan) -> exp.Query:
    """What an indicator's records together measure, and what its bin is worth."""
    values = _of_target(plan) | {
        "entry": _entry("_measure"),
        "units": exp.Mul(this=column("raw"), expression=exp.paren(scale_of(plan, "target"))),
        "value": column("value"),
    }
    return _row("SELECT subject_ref, $columns FROM measured", values)


def _caps(plan: Plan) -> list[exp.Query]:
    """What indicator caps and group caps took away."""
    lost = exp.paren(exp.Sub(this=column("capped"), expression=column("raw")))
    values = _of_target(plan) | {
        "entry": _entry("_cap"),
        "units": exp.Mul(this=lost, expression=exp.paren(scale_of(plan, "target"))),
    }
    parts = [_row("SELECT subject_ref, $columns FROM indicator_points WHERE capped <> raw", values)]
    for number, (dimension_id, name, _, members) in enumerate(plan.groups):
        values = {
            "place": _place(plan.dimension_number(dimension_id)),
            "indicator_place": _place(len(plan.claimants) + number),
            "entry": _entry("_cap"),
            "units": exp.Mul(this=lost.copy(), expression=integer(members[0].scale)),
            "indicator": text(name),
        }
        parts.append(
            _row(
                "SELECT subject_ref, $columns FROM group_points WHERE capped <> raw AND group_number = $number",
                values,
                number=exp.Literal.number(number),
            )
        )
    return parts


def _clamps(plan: Plan) -> list[exp.Query]:
    """What keeping a dimension within [0, full] took away or gave back."""
    parts = []
    for index in range(len(plan.resolved.model.dimensions)):
        raw, clamped = column(f"raw_{index}"), column(f"clamped_{index}")
        values = {
            "place": _place(index),
            "indicator_place": _place(len(plan.claimants) + len(plan.groups)),
            "entry": _entry("_clamp"),
            "units": exp.Sub(this=clamped, expression=raw),
        }
        differs = clamped.neq(raw)
        parts.append(
            _row("SELECT subject_ref, $columns FROM graded WHERE NOT unscored AND $differs", values, differs=differs)
        )
    return parts


def _rounding() -> exp.Query:
    """What rounding the total to centipoints, half up, added or took."""
    score = exp.Mul(this=column("centi"), expression=integer(UNITS_PER_CENTIPOINT))
    values = {
        "place": _place(_TOTAL),
        "indicator_place": _place(0),
        "entry": _entry("_rounding"),
        "units": exp.Sub(this=score, expression=column("total")),
    }
    differs = score.neq(column("total"))
    return _row("SELECT subject_ref, $columns FROM graded WHERE NOT unscored AND $differs", values, differs=differs)


def _of_target(plan: Plan) -> dict[str, Row]:
    """Where a claimant's rows stand, and its id."""
    places = {c.number: _place(plan.dimension_number(c.dimension_id)) for c in plan.indicators if c.dimension_id}
    return {
        "place": choose_by("target", places, _place(_OVERRIDE)),
        "indicator_place": column("target"),
        "indicator": choose_by("target", {c.number: text(c.id) for c in plan.claimants}, null("VARCHAR")),
    }
