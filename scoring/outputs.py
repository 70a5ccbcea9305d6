"""Outputs: the rows of GRADES, and which measures follow from a grade."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from exchange_formats.results import PUBLIC_CREDIT_MISSING, UNDER_OBJECTION
from scoring.model import Override
from scoring.plan import Plan
from scoring.points import scale_of
from scoring.quantities import centi
from scoring.trees import Row, all_of, any_of, choose, choose_by, column, decimal_of, fill, integer, null, text

_MAXIMUM_REASONS = 5
#: Half a hundredth of a native point, in 1e-8 point × hundredths of the total / 1000.
_HALF = 5 * 10**10
#: A record that counts for an indicator, one that decides the grade, a reported grade.
_OBJECTED = ("objected", "decided_objected", "reported_objected")
_REASONS = "STRUCT(indicator VARCHAR, records BIGINT, points DECIMAL(18,8))[]"


def reasons(plan: Plan) -> exp.Query:
    """One row a subject: its strongest indicators and whether a counting record is under objection."""
    names = {c.number: text(c.id) for c in plan.indicators}
    return fill(
        "SELECT subject_ref, list_transform(list_sort(array_agg({'rank': rank, 'indicator': indicator, "
        "'records': records, 'points': points}) FILTER (WHERE rank <= $most AND points <> 0)), "
        "found -> {'indicator': found.indicator, 'records': found.records, 'points': found.points}) AS reasons, "
        "max(objected) AS objected FROM ("
        "SELECT subject_ref, $name AS indicator, records, $points AS points, objected, row_number() OVER "
        "(PARTITION BY subject_ref ORDER BY abs(units) DESC, target) AS rank FROM ("
        "SELECT *, capped * $scale AS units FROM indicator_points) AS scaled) AS ranked GROUP BY subject_ref",
        most=exp.Literal.number(_MAXIMUM_REASONS),
        name=choose_by("target", names, null("VARCHAR")),
        points=decimal_of(column("units"), 18, 8),
        scale=scale_of(plan, "target"),
    )


def grades(plan: Plan) -> exp.Query:
    """The rows of GRADES, in their order."""
    return fill(
        "SELECT g.subject_ref AS subject_ref, subject_type, subject_name, individual_business, city_code, "
        "CASE WHEN unscored THEN NULL ELSE $score END AS score, grade, computed_grade, "
        "CASE WHEN reported_grade IS NULL THEN 'computed' ELSE 'reported' END AS origin, "
        "$native AS native_grade, $scheme AS native_scheme, "
        "$overrides AS override_reasons, $flags AS flags, $public AS public_credit_score, "
        "public_origin AS public_credit_origin, "
        "evaluated_on AS public_credit_evaluated_on, coalesce(reasons, $no_reasons) AS reasons, "
        "$measures AS measures, $not_collected AS not_collected "
        "FROM graded AS g LEFT JOIN reasons AS r ON r.subject_ref = g.subject_ref "
        "LEFT JOIN severe AS v ON v.subject_ref = g.subject_ref ORDER BY g.subject_ref",
        score=decimal_of(column("centi"), 6, 2),
        native=_native("native_grade", _native_grade(plan)),
        scheme=_native("native_scheme", _native_scheme(plan)),
        no_reasons=exp.cast(exp.Array(expressions=[]), _REASONS, dialect="duckdb"),
        overrides=_texts([(holds, name) for name, holds in override_reasons(plan).items()]),
        flags=_texts(
            [
                (_neutral(), PUBLIC_CREDIT_MISSING),
                (any_of([column(name).eq(exp.Literal.number(1)) for name in _OBJECTED]), UNDER_OBJECTION),
            ]
        ),
        public=decimal_of(column("public_centi"), 6, 2),
        measures=_measures(plan),
        not_collected=_list([text(name) for name in plan.not_collected]),
    )


def _neutral() -> Row:
    """The neutral value stands in the score; a reported grade has none."""
    return all_of([column("public_origin").eq(text("neutral")), column("reported_grade").is_(exp.null())])


def _native(name: str, computed: Row) -> Row:
    """A native column: as reported, or of the computed score; null where neither a score nor a veto is."""
    reported = exp.Not(this=column("reported_grade").is_(exp.null()))
    nothing = all_of([column("unscored"), exp.Not(this=column("vetoed"))])
    return choose([(reported, column(name)), (nothing, null("VARCHAR"))], computed)


def _native_scheme(plan: Plan) -> Row:
    native = plan.resolved.model.native
    return text(native.scheme) if native else null("VARCHAR")


def _native_grade(plan: Plan) -> Row:
    """The native band of the score × total / 1000 in hundredths, half up; the last one where a veto decides."""
    native = plan.resolved.model.native
    if native is None:
        return null("VARCHAR")
    scaled = exp.IntDiv(
        this=exp.paren(column("total") * integer(centi(native.total)) + integer(_HALF)), expression=integer(2 * _HALF)
    )
    bands = [(scaled >= integer(centi(band.from_)), text(band.grade)) for band in native.bands[:-1]]
    return choose([(column("vetoed"), text(native.bands[-1].grade)), *bands], text(native.bands[-1].grade))


def override_reasons(plan: Plan) -> Mapping[str, Row]:
    """Reason → whether it applies: an override's id, or ``<id>.afterwards``."""
    found: dict[str, Row] = {}
    for claimant in plan.overrides:
        found[claimant.id] = column(f"o{claimant.number}").eq(exp.Literal.number(1))
        if isinstance(claimant.part, Override) and claimant.part.afterwards:
            found[f"{claimant.id}.afterwards"] = column(f"a{claimant.number}").eq(exp.Literal.number(1))
    return found


def measures_of(plan: Plan, grade: str, *, severe: bool) -> tuple[str, ...]:
    """The measures that follow from a grade; what limits rights only for the severe-listed (facts §3.2)."""
    table = plan.resolved.measures
    codes = next(row.measures for letter, row in table.grades.items() if letter == grade)
    return tuple(code for code in codes if severe or not table.measures[code].limits_rights)


def _measures(plan: Plan) -> Row:
    listed = exp.Not(this=column("subject_ref", "v").is_(exp.null()))
    branches: list[tuple[Row, Row]] = []
    for letter in plan.resolved.measures.grades:
        mine = column("grade").eq(text(letter))
        strict, mild = measures_of(plan, letter, severe=True), measures_of(plan, letter, severe=False)
        if strict != mild:
            branches.append((all_of([mine, listed]), _list([text(code) for code in strict])))
        branches.append((mine, _list([text(code) for code in mild])))
    return choose(branches, _list([]))


def _texts(items: list[tuple[Row, str]]) -> Row:
    """A list of the texts whose condition holds, in order."""
    if not items:
        return _list([])
    every = exp.Array(expressions=[choose([(holds, text(name))], null("VARCHAR")) for holds, name in items])
    return choose(
        [(_none_of([holds for holds, _ in items]), _list([]))],
        fill("SELECT list_filter($every, item -> NOT item IS NULL) AS kept", every=every).selects[0].this,
    )


def _none_of(conditions: list[Row]) -> Row:
    """Whether no condition holds, where null means that it does not: the usual case, told without building a list."""
    return all_of([exp.Not(this=exp.func("coalesce", condition, exp.false())) for condition in conditions])


def _list(items: list[Row]) -> Row:
    return exp.cast(exp.Array(expressions=[item.copy() for item in items]), "VARCHAR[]", dialect="duckdb")
