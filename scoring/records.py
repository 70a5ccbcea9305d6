"""Records: which version stands, who claims it, whether it counts (semantics §1, §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from exchange_formats.conditions import texts_asked
from exchange_formats.datasets import NEWEST_FIRST
from scoring.grammar import Counts
from scoring.measuring import columns_of, operand_of
from scoring.model import Indicator, Override
from scoring.plan import Claimant, Plan, condition, dataset_of, relation
from scoring.quantities import centi, days_before
from scoring.sharding import in_shard
from scoring.tables import Decree
from scoring.trees import Row, all_of, among, any_of, choose, choose_by, column, day, fill, integer, null, text, union

#: The severity row a penalty falls under, from 0.
_SEVERITY = "severity_row"
#: What a step may read of a record besides its own conditions.
_STATES = ("procedure", "final_on", "review_opened_on", "review_closed_on", "repaired_on", "removed_on")
_OBJECTION = ("objection_from", "objection_to")


def latest(plan: Plan, source: str) -> exp.Query:
    """One row a record: its latest version, unless it was revoked ("it never happened"). ``event_on`` may be null."""
    dataset = dataset_of(source)
    needed = _needed(plan, source)
    own = [column(name) for name in dataset.columns if name in needed]
    revocable = "revoked_on" in dataset.columns
    parts = [
        fill(
            "SELECT record_id, subject_ref, batch_id, $event AS event_on, $own FROM ("
            f"SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
            ") AS newest WHERE $standing",
            {"landed": relation("input", one)},
            event=column(dataset.event_on),
            own=[*own, exp.alias_(text(one), "dataset", quoted=True)],
            standing=column("revoked_on").is_(exp.null()) if revocable else exp.true(),
        )
        for one in plan.inputs(source)
    ]
    return union(parts)


def claims(plan: Plan) -> exp.Query:
    """One row a record and claimant: what it is worth there, and why it does not count where it does not.

    Every override whose condition holds claims a record for itself; of the deductions only the first in
    file order does, and neither deductions nor what earns get a record that an override claims (semantics §2, §3).
    """
    parts: list[exp.Query] = []
    for source in plan.sources:
        wanted = plan.claims(source)
        exclusive = [pair for pair in wanted if pair[0].exclusive]
        if exclusive:
            parts.append(_claim(plan, source, exclusive, choose(_targets(source, exclusive), exp.null())))
        deciding = [pair for pair in wanted if isinstance(pair[0].part, Override)]
        for place, pair in enumerate(deciding):
            taken = [condition(source, c.where) for _, c in deciding[:place] if not are_disjoint(source, c, pair[1])]
            if taken:
                again = [(all_of([holds, any_of(taken)]), number) for holds, number in _targets(source, [pair])]
                parts.append(_claim(plan, source, [pair], choose(again, exp.null())))
        closed = [(condition(source, counts.where), exp.null()) for _, counts in deciding]
        for pair in wanted:
            if not pair[0].exclusive:
                parts.append(_claim(plan, source, [pair], choose([*closed, *_targets(source, [pair])], exp.null())))
    if not parts:
        return _no_claims()
    mine = "SELECT * FROM found WHERE subject_ref IN (SELECT subject_ref FROM subjects)"
    return fill(mine, {"found": union(parts)})


def active(plan: Plan) -> exp.Query:
    """Subjects with any record within lookback of what the model judges: evidence enough not to be N (semantics §3).

    What only warnings or measures read (a licence that ends soon) judges nobody, as little as a profile does.
    """
    parts = [
        fill(
            "SELECT subject_ref FROM latest WHERE event_on BETWEEN $since AND $as_of",
            {"latest": relation("latest", source)},
            since=day(
                plan.since(max([plan.resolved.model.lookback, *(plan.months(*pair) for pair in plan.claims(source))]))
            ),
            as_of=day(plan.as_of),
        )
        for source in plan.judging
    ]
    whole = union(parts) if parts else fill("SELECT subject_ref FROM subjects WHERE FALSE")
    return fill("SELECT DISTINCT subject_ref FROM found", {"found": whole})


def unmatched(plan: Plan) -> exp.Query:
    """Records of the model's own department whose subject is in none of its profiles."""
    own = [source for source in plan.sources if source.startswith(f"{plan.resolved.model.department}/")]
    parts = [
        fill(
            "SELECT dataset, record_id, subject_ref, event_on, batch_id FROM latest AS r "
            "WHERE $mine AND (event_on IS NULL OR event_on <= $as_of) "
            "AND NOT EXISTS (SELECT 1 FROM profiles AS p WHERE p.subject_ref = r.subject_ref)",
            {"latest": relation("latest", source)},
            mine=in_shard(plan.shard),
            as_of=day(plan.as_of),
        )
        for source in own
    ]
    empty = (
        "SELECT '' AS dataset, '' AS record_id, subject_ref, CAST(NULL AS DATE) AS event_on, '' AS batch_id "
        "FROM profiles WHERE FALSE"
    )
    return fill(
        "SELECT dataset, record_id, subject_ref, event_on, batch_id FROM found ORDER BY dataset, record_id",
        {"found": union(parts) if parts else fill(empty)},
    )


def counting_states(plan: Plan, source: str) -> list[tuple[Row, str]]:
    """(condition, exclusion) why a record of ``source`` does not count, first holds; lookback not yet among them."""
    columns = dataset_of(source).columns
    as_of = day(plan.as_of)
    states: list[tuple[Row, str]] = []
    if "procedure" in columns:
        states.append((column("procedure").eq(text("simple")), "simple_procedure"))
    if "review_opened_on" in columns:
        opened, closed = column("review_opened_on"), column("review_closed_on")
        states.append((all_of([opened <= as_of, any_of([closed.is_(exp.null()), closed > as_of])]), "review_open"))
    if "final_on" in columns:
        final, decided = column("final_on"), column("event_on")
        unstated = all_of(
            [final.is_(exp.null()), decided > day(days_before(plan.as_of, plan.resolved.publicity.final_after))]
        )
        states.append((any_of([final > as_of, unstated]), "not_final"))
    if "repaired_on" in columns:
        states.append((column("repaired_on") <= as_of, "repaired"))
    if has_tier(source):
        decree = plan.decree(source)
        tiers = {name: day(plan.since(tier.months)) for name, tier in decree.tiers.items()}
        states.append((_counted_from(decree) < _by_tier(plan, tiers), "publicity_ended"))
    return states


def has_tier(source: str) -> bool:
    """Whether records of ``source`` have a publicity tier: penalties do, nothing else does (semantics §2)."""
    return source.endswith("/penalty")


def _counted_from(decree: Decree) -> Row:
    """The day a penalty's publicity is counted from: the instrument date, unless the decree names another."""
    if decree.counted_from is None:
        return column("event_on")
    return exp.func("coalesce", column(decree.counted_from), column("event_on"))


def severity_row(plan: Plan, source: str) -> Row:
    """The number of the severity row a record falls under."""
    rows = enumerate(plan.resolved.severity.rows)
    return choose(((condition(source, row.when), integer(index)) for index, row in rows), null("BIGINT"))


def _by_tier(plan: Plan, values: dict[str, Row]) -> Row:
    rows = plan.resolved.severity.rows
    return choose_by(_SEVERITY, {index: values[row.tier] for index, row in enumerate(rows)}, exp.null())


def _targets(source: str, wanted: Sequence[tuple[Claimant, Counts]]) -> list[tuple[Row, Row]]:
    return [(condition(source, counts.where), exp.Literal.number(claimant.number)) for claimant, counts in wanted]


def are_disjoint(source: str, one: Counts, other: Counts) -> bool:
    """Whether no record fulfils both conditions, for they ask for different values of a column; False: unknown."""
    values, others = (texts_asked(condition(source, counts.where)) for counts in (one, other))
    return any(name in others and not found & others[name] for name, found in values.items())


def _claim(plan: Plan, source: str, wanted: Sequence[tuple[Claimant, Counts]], target: Row) -> exp.Query:
    """The records of a source for which ``target`` says which of ``wanted`` claims them."""
    columns = dataset_of(source).columns
    tier = (
        _by_tier(plan, {name: text(name) for name in plan.decree(source).tiers})
        if has_tier(source)
        else null("VARCHAR")
    )
    return fill(
        "SELECT subject_ref, record_id, batch_id, event_on, dataset, target, $excluded AS excluded, $base AS base, "
        "$decay AS decay, $tier AS tier, $objection AS under_objection, $ended AS ended_on, $operand AS operand FROM ("
        "SELECT *, CAST($target AS INTEGER) AS target, $severity AS severity_row FROM latest "
        "WHERE event_on <= $as_of"
        ") AS judged WHERE NOT target IS NULL",
        {"latest": relation("latest", source)},
        target=target,
        severity=severity_row(plan, source) if has_tier(source) else null("BIGINT"),
        as_of=day(plan.as_of),
        excluded=_excluded(plan, source, wanted),
        base=_base(plan, wanted),
        decay=_decay(plan, wanted),
        tier=tier,
        objection=_objection(plan) if set(_OBJECTION) <= columns.keys() else exp.false(),
        ended=column("removed_on") if "removed_on" in columns else null("DATE"),
        operand=operand_of(source, wanted),
    )


def _excluded(plan: Plan, source: str, wanted: Sequence[tuple[Claimant, Counts]]) -> Row:
    branches: list[tuple[Row, Row]] = []
    listed = [claimant.number for claimant, _ in wanted if claimant.listed]
    if listed:  # before its repair: who left a list by repair left it all the same
        gone = all_of([among("target", listed), column("removed_on") <= day(plan.as_of)])
        branches.append((gone, text("removed")))
    branches += [(holds, text(reason)) for holds, reason in counting_states(plan, source)]
    since = {c.number: day(plan.since(plan.months(c, counts))) for c, counts in wanted if not c.listed}
    if since:
        branches.append((column("event_on") < choose_by("target", since, exp.null()), text("lookback_ended")))
    for claimant, counts in wanted:
        if counts.valid_until:
            over = column(counts.valid_until) < day(plan.as_of)
            branches.append((all_of([among("target", [claimant.number]), over]), text("validity_ended")))
    return choose(branches, null("VARCHAR"))


def _base(plan: Plan, wanted: Sequence[tuple[Claimant, Counts]]) -> Row:
    """Raw points of one record, in hundredths."""
    values: dict[int, Row] = {}
    for claimant, _ in wanted:
        part = claimant.part
        if not isinstance(part, Indicator):
            continue
        worth = part.worth
        if worth.bins:
            continue
        if part.deduct and part.deduct.severity:
            rows = enumerate(plan.resolved.severity.rows)
            values[claimant.number] = choose_by(
                _SEVERITY, {i: integer(centi(row.points)) for i, row in rows}, integer(0)
            )
        elif worth.column and worth.map:
            by_code = ((column(worth.column).eq(text(code)), integer(centi(p))) for code, p in worth.map.items())
            values[claimant.number] = choose(by_code, integer(0))
        else:
            once = part.earn.exists if part.earn else None
            values[claimant.number] = integer(centi(next(p for p in (worth.per, once) if p is not None)))
    return choose_by("target", values, integer(0))


def _decay(plan: Plan, wanted: Sequence[tuple[Claimant, Counts]]) -> Row:
    """Weight by age, in hundredths; what earns or decides does not fade."""
    fading = [
        c.number
        for c, _ in wanted
        if isinstance(c.part, Indicator) and c.part.deduct and c.part.deduct.decay and not c.measure
    ]
    if not fading:
        return integer(100)
    steps = (
        (column("event_on") >= day(plan.since(s.months)), integer(centi(s.factor))) for s in plan.resolved.decay.steps
    )
    return choose([(among("target", fading), choose(steps, integer(0)))], integer(100))


def _objection(plan: Plan) -> Row:
    opened, closed = column("objection_from"), column("objection_to")
    open_now = any_of([closed.is_(exp.null()), closed > day(plan.as_of)])
    return exp.func("coalesce", all_of([opened <= day(plan.as_of), open_now]), exp.false())


def _needed(plan: Plan, source: str) -> set[str]:
    """The columns of ``source`` that any step reads."""
    texts = [counts for counts in plan.resolved.counts() if plan.resolved.source(counts) == source]
    needed = {column.name for counts in texts for column in condition(source, counts.where).find_all(exp.Column)}
    needed |= {counts.valid_until for counts in texts if counts.valid_until}
    needed |= set(_worth_columns(plan, source)) | set(_STATES) | set(_OBJECTION)
    for rule in plan.resolved.warnings.rules:
        if rule.counted and plan.resolved.source(rule.counted) == source:
            needed |= set(rule.columns)
    if has_tier(source):
        rows = plan.resolved.severity.rows
        needed |= set(filter(None, [plan.decree(source).counted_from]))
        needed |= {column.name for row in rows for column in condition(source, row.when).find_all(exp.Column)}
    return needed


def _worth_columns(plan: Plan, source: str) -> Iterator[str]:
    for claimant, _ in plan.claims(source):
        if isinstance(claimant.part, Indicator) and claimant.part.worth.column:
            yield claimant.part.worth.column
        if claimant.measure:
            yield from columns_of(source, claimant.measure)
    for statistic in plan.resolved.statistics.values():
        if plan.resolved.source(statistic.counts) == source:
            yield from columns_of(source, statistic.measure)
            yield from filter(None, [statistic.day])


def _no_claims() -> exp.Query:
    return fill(
        "SELECT subject_ref, '' AS record_id, '' AS batch_id, CAST(NULL AS DATE) AS event_on, '' AS dataset, "
        "CAST(0 AS INTEGER) AS target, CAST(NULL AS VARCHAR) AS excluded, CAST(0 AS BIGINT) AS base, "
        "CAST(0 AS BIGINT) AS decay, CAST(NULL AS VARCHAR) AS tier, FALSE AS under_objection, "
        "CAST(NULL AS DATE) AS ended_on, CAST(NULL AS BIGINT) AS operand FROM subjects WHERE FALSE"
    )
