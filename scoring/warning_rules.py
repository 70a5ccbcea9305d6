"""Warnings that stand at as_of and need no earlier run (semantics §4, facts §4): what the warning log starts from.

A counting rule: a record *triggers* on the first day it counts (a penalty: the day it
became final) when ``at_least`` records of the rule, itself included, did so within the
window before it. The warning stands for the window after its last trigger. Its first
trigger is where an unbroken run of triggers began, so that its id stays the same.
"""

from __future__ import annotations

from sqlglot import exp

from scoring.grading import in_force
from scoring.grammar import Counts
from scoring.plan import Plan, condition, dataset_of, relation
from scoring.quantities import centi, days_before
from scoring.records import counting_states, has_tier, severity_row
from scoring.trees import Row, all_of, any_of, choose, column, day, fill, integer, null, text, union
from scoring.warning_tables import DeadlineMissed, Expiring, WarningRule, name_statistic


def standing_warnings(plan: Plan) -> exp.Query:
    """The rows of WARNINGS without ``id``, in their order."""
    parts = [
        part
        for number, rule in enumerate(plan.resolved.warnings.rules)
        for part in _rule(plan, rule, exp.cast(exp.Literal.number(number), "INTEGER"))
    ]
    whole = union(parts) if parts else fill(_NOTHING)
    rules = [
        (column("rule_number").eq(exp.Literal.number(number)), rule)
        for number, rule in enumerate(plan.resolved.warnings.rules)
    ]
    return fill(
        "SELECT s.subject_ref AS subject_ref, subject_type, subject_name, individual_business, city_code, "
        "$rule AS rule, $level AS level, triggered_on, first_trigger, records, dataset, "
        "last_triggered_on, last_trigger FROM standing AS w JOIN subjects AS s ON s.subject_ref = w.subject_ref "
        "ORDER BY s.subject_ref, rule_number",
        {"standing": whole},
        rule=choose([(holds, text(rule.id)) for holds, rule in rules], null("VARCHAR")),
        level=choose([(holds, text(rule.level)) for holds, rule in rules], null("VARCHAR")),
    )


_NOTHING = (
    "SELECT subject_ref, CAST(0 AS INTEGER) AS rule_number, CAST(NULL AS DATE) AS triggered_on, "
    "'' AS first_trigger, CAST(0 AS BIGINT) AS records, '' AS dataset, CAST(NULL AS DATE) AS last_triggered_on, "
    "'' AS last_trigger FROM subjects WHERE FALSE"
)


def _rule(plan: Plan, rule: WarningRule, number: Row) -> list[exp.Query]:
    if rule.near_band is not None:
        return [_near_band(plan, centi(rule.near_band), number)]
    if rule.above:
        return [_above(plan, name_statistic(rule.above), number)]
    counts = rule.counted
    if counts is None or not plan.inputs(plan.resolved.source(counts)):
        return []
    if rule.deadline:
        return [_overdue(plan, rule.deadline, number)]
    if rule.expiring:
        return [_expiring(plan, rule.expiring, number)]
    if rule.state == "listed":
        return [_listed(plan, counts, number)]
    return [_counted(plan, rule, counts, number)]


def _near_band(plan: Plan, margin: int, number: Row) -> exp.Query:
    """The computed grade stands, and little is missing to the next lower one."""
    lower = {band.grade: centi(band.from_) for band in plan.resolved.bands.bands if band.from_ > 0}
    near = [
        all_of([column("grade").eq(text(grade)), column("centi") - integer(edge) <= integer(margin)])
        for grade, edge in lower.items()
    ]
    return fill(
        "SELECT subject_ref, $number AS rule_number, CAST(NULL AS DATE) AS triggered_on, "
        "concat('band:', grade) AS first_trigger, CAST(0 AS BIGINT) AS records, CAST(NULL AS VARCHAR) AS dataset, "
        "CAST(NULL AS DATE) AS last_triggered_on, concat('band:', grade) AS last_trigger "
        "FROM graded WHERE NOT unscored AND grade = computed_grade AND $near",
        number=number,
        near=exp.paren(any_of(near)),
    )


def _above(plan: Plan, statistic: str, number: Row) -> exp.Query:
    """The subject's own value is above its group's; nobody is where the cycle has no statistics."""
    source = plan.resolved.source(plan.resolved.statistics[statistic].counts)
    return fill(
        "SELECT subject_ref, $number AS rule_number, CAST(NULL AS DATE) AS triggered_on, "
        "$trigger AS first_trigger, records, $dataset AS dataset, "
        "CAST(NULL AS DATE) AS last_triggered_on, $trigger AS last_trigger "
        "FROM exceeding WHERE statistic = $statistic",
        number=number,
        trigger=text(f"above:{statistic.partition('.')[2]}"),
        dataset=text(source),
        statistic=text(statistic),
    )


def _listed(plan: Plan, counts: Counts, number: Row) -> exp.Query:
    source = plan.resolved.source(counts)
    found = fill(
        "SELECT subject_ref, record_id, event_on AS trigger_on FROM latest WHERE $where AND $in_force",
        {"latest": relation("latest", source)},
        where=condition(source, counts.where),
        in_force=in_force(plan),
    )
    return _earliest(found, source, number)


def _overdue(plan: Plan, missed: DeadlineMissed, number: Row) -> exp.Query:
    """A date passed and what it was for is not done; within lookback, and not repaired."""
    counts = missed.counts
    source = plan.resolved.source(counts)
    due, done = column(missed.due), column(missed.done)
    conditions = [
        condition(source, counts.where),
        column("event_on").between(day(plan.since(counts.lookback or plan.resolved.model.lookback)), day(plan.as_of)),
        due < day(plan.as_of),
        any_of([done.is_(exp.null()), done > day(plan.as_of)]),
        _unrepaired(plan, source),
    ]
    found = fill(
        "SELECT subject_ref, record_id, $due AS trigger_on FROM latest WHERE $holds",
        {"latest": relation("latest", source)},
        due=due,
        holds=all_of(conditions),
    )
    return _earliest(found, source, number)


def _expiring(plan: Plan, ending: Expiring, number: Row) -> exp.Query:
    """The last record of its kind ends within the window ahead; it triggers on the first day of that window."""
    counts = ending.counts
    source = plan.resolved.source(counts)
    until = column(ending.valid_until)
    ahead = days_before(plan.as_of, -ending.within)
    found = fill(
        "SELECT subject_ref, record_id, CAST($until - INTERVAL $days DAY AS DATE) AS trigger_on FROM ("
        "SELECT *, max($until) OVER (PARTITION BY subject_ref, $per) AS last_until FROM latest "
        "WHERE event_on <= $as_of AND $where AND NOT $until IS NULL) AS held "
        "WHERE $until = last_until AND $until BETWEEN $as_of AND $ahead",
        {"latest": relation("latest", source)},
        until=until,
        days=exp.Literal.number(ending.within),
        per=column(ending.per) if ending.per else text(""),
        where=all_of([condition(source, counts.where), _unrepaired(plan, source)]),
        as_of=day(plan.as_of),
        ahead=day(ahead),
    )
    return _earliest(found, source, number)


def _unrepaired(plan: Plan, source: str) -> Row:
    if "repaired_on" not in dataset_of(source).columns:
        return exp.true()
    return any_of([column("repaired_on").is_(exp.null()), column("repaired_on") > day(plan.as_of)])


def _earliest(found: exp.Query, source: str, number: Row) -> exp.Query:
    return fill(
        "SELECT subject_ref, $number AS rule_number, trigger_on AS triggered_on, record_id AS first_trigger, "
        "records, $dataset AS dataset, last_triggered_on, last_trigger FROM ("
        "SELECT *, count(*) OVER (PARTITION BY subject_ref) AS records, row_number() OVER "
        "(PARTITION BY subject_ref ORDER BY trigger_on, record_id) AS place, "
        "first_value(trigger_on) OVER (PARTITION BY subject_ref ORDER BY trigger_on DESC, record_id DESC) "
        "AS last_triggered_on, "
        "first_value(record_id) OVER (PARTITION BY subject_ref ORDER BY trigger_on DESC, record_id DESC) "
        "AS last_trigger FROM found) AS sorted WHERE place = 1",
        {"found": found},
        number=number,
        dataset=text(source),
    )


def _counted(plan: Plan, rule: WarningRule, counts: Counts, number: Row) -> exp.Query:
    source = plan.resolved.source(counts)
    window = exp.Literal.number(rule.within or 0)
    months = counts.lookback or plan.resolved.model.lookback
    stopped = [(holds, exp.true()) for holds, _ in counting_states(plan, source)]
    stopped.append((column("event_on") < day(plan.since(months)), exp.true()))
    hits = fill(
        "SELECT subject_ref, record_id, $effective AS trigger_on FROM (SELECT *, $severity AS severity_row "
        "FROM latest WHERE event_on <= $as_of AND $where) AS seen WHERE NOT $stopped",
        {"latest": relation("latest", source)},
        effective=_effective_day(plan, source),
        severity=severity_row(plan, source) if has_tier(source) else null("BIGINT"),
        as_of=day(plan.as_of),
        where=condition(source, counts.where),
        stopped=exp.paren(choose(stopped, exp.false())),
    )
    return fill(
        "SELECT subject_ref, $number AS rule_number, triggered_on, first_trigger, records, $dataset AS dataset, "
        "last_on AS last_triggered_on, last_trigger FROM ("
        "SELECT subject_ref, trigger_on AS triggered_on, record_id AS first_trigger, last_on, last_trigger, records, "
        "row_number() OVER (PARTITION BY subject_ref ORDER BY trigger_on DESC, record_id DESC) AS place FROM ("
        "SELECT *, lag(trigger_on) OVER (PARTITION BY subject_ref ORDER BY trigger_on, record_id) AS before_on, "
        "max(trigger_on) OVER (PARTITION BY subject_ref) AS last_on, "
        "first_value(record_id) OVER (PARTITION BY subject_ref ORDER BY trigger_on DESC, record_id DESC) "
        "AS last_trigger FROM ("
        "SELECT *, lag(trigger_on, $behind) OVER (PARTITION BY subject_ref ORDER BY trigger_on, record_id) AS nth_on, "
        "sum(CASE WHEN trigger_on >= $since THEN 1 ELSE 0 END) OVER (PARTITION BY subject_ref) AS records "
        "FROM hits) AS counted WHERE date_diff('day', nth_on, trigger_on) <= $window) AS triggers "
        "WHERE before_on IS NULL OR date_diff('day', before_on, trigger_on) > $window) AS starts "
        "WHERE place = 1 AND last_on >= $since",
        {"hits": hits},
        number=number,
        dataset=text(source),
        behind=exp.Literal.number(rule.at_least - 1),
        window=window,
        since=day(days_before(plan.as_of, rule.within or 0)),
    )


def _effective_day(plan: Plan, source: str) -> Row:
    """The first day a record counts."""
    if "final_on" not in dataset_of(source).columns:
        return column("event_on")
    unstated = fill(
        "SELECT CAST(event_on + INTERVAL $days DAY AS DATE) AS d",
        days=exp.Literal.number(plan.resolved.publicity.final_after),
    )
    return exp.func("greatest", column("event_on"), exp.func("coalesce", column("final_on"), unstated.selects[0].this))
