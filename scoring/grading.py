"""Grading: public credit, the total, overrides and the grade of every subject (semantics §3)."""

from __future__ import annotations

from sqlglot import exp

from exchange_formats.datasets import NEWEST_FIRST
from scoring.model import Override
from scoring.plan import Plan, condition, relation
from scoring.quantities import UNITS, UNITS_PER_CENTIPOINT, centi, days_before
from scoring.trees import Row, aliased, all_of, any_of, choose, column, day, fill, integer, null, text, union


def public_credit(plan: Plan) -> exp.Query:
    """One row a subject with a public-credit result not older than its cycle: the platform's latest, else our own."""
    parts = [
        part(plan, source)
        for part, source in ((_by_platform, plan.public_source), (_by_own_model, plan.own_source))
        if source is not None
    ]
    if not parts:
        return fill(
            "SELECT subject_ref, CAST(0 AS BIGINT) AS public_centi, CAST(NULL AS DATE) AS evaluated_on, "
            "'neutral' AS origin FROM subjects WHERE FALSE"
        )
    return fill(
        "SELECT subject_ref, public_centi, evaluated_on, origin FROM results QUALIFY row_number() OVER "
        "(PARTITION BY subject_ref ORDER BY place) = 1",
        {"results": union(parts)},
    )


def _by_platform(plan: Plan, source: str) -> exp.Query:
    return fill(
        "SELECT subject_ref, CAST(score * 100 AS BIGINT) AS public_centi, evaluated_on, 'platform' AS origin, "
        "CAST(0 AS INTEGER) AS place FROM ("
        f"SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
        ") AS newest WHERE evaluated_on BETWEEN $since AND $as_of QUALIFY row_number() OVER "
        f"(PARTITION BY subject_ref ORDER BY evaluated_on DESC, {NEWEST_FIRST}, record_id) = 1",
        {"landed": relation("input", source)},
        since=_public_since(plan),
        as_of=day(plan.as_of),
    )


def _by_own_model(plan: Plan, source: str) -> exp.Query:
    return fill(
        "SELECT subject_ref, CAST(score * 100 AS BIGINT) AS public_centi, evaluated_on, 'own_model' AS origin, "
        "CAST(1 AS INTEGER) AS place FROM scored WHERE NOT score IS NULL AND evaluated_on BETWEEN $since AND $as_of "
        "QUALIFY row_number() OVER (PARTITION BY subject_ref ORDER BY evaluated_on DESC, score DESC) = 1",
        {"scored": relation("input", source)},
        since=_public_since(plan),
        as_of=day(plan.as_of),
    )


def _public_since(plan: Plan) -> Row:
    """The earliest day of a public-credit result that is not older than its cycle at as_of."""
    found = plan.resolved.public_credit
    return day(plan.since(found[1].not_older_than)) if found else null("DATE")


def decided(plan: Plan) -> exp.Query:
    """One row a subject with any override: 1 in ``o<n>`` while it applies, in ``a<n>`` while it applies afterwards.

    ``decided_objected``: 1 while a record that decides is under objection.
    """
    counting = all_of([column("excluded").is_(exp.null()), column("under_objection")])
    columns = [_any(counting, "decided_objected")]
    for claimant in plan.overrides:
        mine = column("target").eq(exp.Literal.number(claimant.number))
        columns.append(_any(all_of([mine, column("excluded").is_(exp.null())]), f"o{claimant.number}"))
        part = claimant.part
        if isinstance(part, Override) and part.afterwards:
            left = column("ended_on").between(day(days_before(plan.as_of, part.afterwards.within)), day(plan.as_of))
            gone = column("excluded").eq(text("removed"))
            columns.append(_any(all_of([mine, gone, left]), f"a{claimant.number}"))
    return fill(
        "SELECT subject_ref, $columns FROM claims WHERE target < $first GROUP BY subject_ref",
        columns=columns,
        first=exp.Literal.number(len(plan.overrides)),
    )


def severe(plan: Plan) -> exp.Query:
    """Subjects on the severe list at as_of: only for them may a measure limit rights (facts §3.2)."""
    counts = plan.resolved.measures.severe_list
    if counts is None or not plan.inputs(plan.resolved.source(counts)):
        return fill("SELECT subject_ref FROM subjects WHERE FALSE")
    source = plan.resolved.source(counts)
    return fill(
        "SELECT DISTINCT subject_ref FROM latest WHERE $where AND $in_force",
        {"latest": relation("latest", source)},
        where=condition(source, counts.where),
        in_force=in_force(plan),
    )


def in_force(plan: Plan) -> Row:
    """A list entry that stands at as_of: listed, not removed, not repaired."""
    as_of = day(plan.as_of)
    open_ended = [any_of([column(n).is_(exp.null()), column(n) > as_of]) for n in ("removed_on", "repaired_on")]
    return all_of([column("event_on") <= as_of, *open_ended])


def totals(plan: Plan) -> exp.Query:
    """One row a subject: every dimension clamped, their total in units and in centipoints, rounded half up once."""
    model = plan.resolved.model
    raw: list[Row] = []
    clamped: list[Row] = []
    whole: Row | None = None
    for index, (name, dimension) in enumerate(model.dimensions.items()):
        if name in plan.resolved.judged:
            base = plan.resolved.judged[name].base
            added = exp.func("coalesce", column(f"units_{index}", "d"), integer(0))
            value: Row = exp.Add(this=integer(centi(base) * UNITS // 100), expression=added)
        else:
            # score (1e-2) × full (1e-2) / 1000 in units of 1e-8: ten units a hundredth of a hundredth.
            weight = centi(dimension.full) * UNITS // 10**7
            value = exp.Mul(this=exp.paren(public_centi(plan)), expression=integer(weight))
        full = integer(centi(dimension.full) * UNITS // 100)
        raw.append(aliased(value, f"raw_{index}"))
        clamped.append(
            aliased(
                exp.func("greatest", integer(0), exp.func("least", full, column(f"raw_{index}"))), f"clamped_{index}"
            )
        )
        whole = (
            column(f"clamped_{index}") if whole is None else exp.Add(this=whole, expression=column(f"clamped_{index}"))
        )
    rounded = exp.IntDiv(
        this=exp.paren(exp.Add(this=column("total"), expression=integer(UNITS_PER_CENTIPOINT // 2))),
        expression=integer(UNITS_PER_CENTIPOINT),
    )
    return fill(
        "SELECT *, $rounded AS centi FROM (SELECT *, $whole AS total FROM (SELECT *, $clamped FROM ("
        "SELECT s.*, $raw, $public AS public_centi, p.evaluated_on AS evaluated_on, "
        "$origin AS public_origin, $unscored AS unscored, "
        "CASE WHEN r.under_objection AND NOT r.reported_grade IS NULL THEN 1 ELSE 0 END AS reported_objected, "
        "r.reported_grade AS reported_grade, r.native_scheme AS native_scheme, r.native_grade AS native_grade "
        "FROM subjects AS s LEFT JOIN dimension_points AS d ON d.subject_ref = s.subject_ref "
        "LEFT JOIN public_credit AS p ON p.subject_ref = s.subject_ref "
        "LEFT JOIN active AS a ON a.subject_ref = s.subject_ref "
        "LEFT JOIN reported AS r ON r.subject_ref = s.subject_ref) AS summed) AS clamped) AS added",
        rounded=rounded,
        whole=whole or integer(0),
        clamped=clamped,
        raw=raw,
        public=public_centi(plan),
        origin=_origin(plan),
        unscored=_unscored(plan),
    )


def _origin(plan: Plan) -> Row:
    if plan.resolved.public_credit is None:
        return text("none")
    return exp.func("coalesce", column("origin", "p"), text("neutral"))


def _unscored(plan: Plan) -> Row:
    """Without a score of its own: the grade is reported, or it is N (semantics §3).

    N: neither a public score nor a record within lookback, unless the model grades who has none.
    """
    taken = exp.Not(this=column("reported_grade", "r").is_(exp.null()))
    if plan.resolved.model.minimum_records == 0:
        return taken
    return any_of([taken, all_of([column("subject_ref", one).is_(exp.null()) for one in ("p", "a")])])


def public_centi(plan: Plan) -> Row:
    """The public-credit score in hundredths, the neutral value where there is none; null where the model has none."""
    found = plan.resolved.public_credit
    if found is None:
        return null("BIGINT")
    return exp.func("coalesce", column("public_centi", "p"), integer(centi(found[1].neutral)))


def graded(plan: Plan) -> exp.Query:
    """``totals`` with grades: E by veto > at most X > computed or reported > N (semantics §3)."""
    vetoes: list[Row] = []
    limits: dict[str, list[Row]] = {}
    for claimant in plan.overrides:
        part = claimant.part
        if not isinstance(part, Override):
            continue
        applies = column(f"o{claimant.number}").eq(exp.Literal.number(1))
        (vetoes if part.grade else limits.setdefault(str(part.at_most), [])).append(applies)
        if part.afterwards:
            limits.setdefault(part.afterwards.at_most, []).append(
                column(f"a{claimant.number}").eq(exp.Literal.number(1))
            )
    bands = plan.resolved.bands.bands
    by_score = choose(
        ((column("centi") >= integer(centi(band.from_)), text(band.grade)) for band in bands[:-1]),
        text(bands[-1].grade),
    )
    worst = [(any_of(limits[letter]), text(letter)) for letter in sorted(limits, reverse=True)]
    return fill(
        "SELECT *, CASE WHEN vetoed THEN 'E' "
        "WHEN NOT ceiling IS NULL AND (computed_grade = 'N' OR computed_grade < ceiling) THEN ceiling "
        "ELSE computed_grade END AS grade FROM ("
        "SELECT t.*, o.* EXCLUDE (subject_ref), coalesce(t.reported_grade, CASE WHEN t.unscored THEN 'N' "
        "ELSE $by_score END) AS computed_grade, "
        "$ceiling AS ceiling, $veto AS vetoed "
        "FROM totals AS t LEFT JOIN decided AS o ON o.subject_ref = t.subject_ref) AS judged",
        veto=exp.func("coalesce", any_of(vetoes), exp.false()),
        by_score=by_score,
        ceiling=choose(worst, exp.cast(exp.Null(), "VARCHAR")),
    )


def _any(holds: Row, name: str) -> Row:
    one, zero = exp.Literal.number(1), exp.Literal.number(0)
    return aliased(exp.Max(this=choose([(holds, one)], zero)), name)
