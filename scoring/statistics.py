"""Reference statistics: what the subjects of a domain say together, and who is above it (semantics §3).

The statistics are an artefact of their own, computed once a cycle and an input of its runs;
a subject's own value is computed in the run. Both by the same SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
from sqlglot import exp

from exchange_formats.errors import FatalError
from exchange_formats.results import REFERENCE_STATISTICS, STATISTICS
from scoring.measurement import VALUE_UNITS, Statistic
from scoring.measuring import operand, value_of
from scoring.plan import Plan, condition, dataset_of, relation
from scoring.profiles import profiles, subjects
from scoring.quantities import days_before
from scoring.records import latest
from scoring.resolution import ResolvedModel
from scoring.trees import Row, aliased, all_of, any_of, choose, column, day, decimal_of, fill, text, union


def subject_values(plan: Plan) -> exp.Query:
    """One row a statistic and subject with records of it: how many, the value in 1e-6, and the subject's group."""
    parts = [
        _values(plan, name, statistic)
        for name, statistic in plan.resolved.statistics.items()
        if plan.inputs(plan.resolved.source(statistic.counts))
    ]
    nothing = (
        "SELECT subject_ref, '' AS statistic, '' AS place, CAST(0 AS BIGINT) AS records, CAST(0 AS BIGINT) AS value "
        "FROM subjects WHERE FALSE"
    )
    return union(parts) if parts else fill(nothing)


def exceeding(plan: Plan) -> exp.Query:
    """The rows of ``subject_values`` whose value is above their group's statistic."""
    if REFERENCE_STATISTICS not in plan.available:
        return fill("SELECT * FROM subject_values WHERE FALSE")
    return fill(
        "SELECT v.* FROM subject_values AS v JOIN reference AS r ON r.statistic = v.statistic AND $group = v.place "
        "WHERE v.value > CAST(r.value * $units AS BIGINT)",
        {"reference": relation("input", REFERENCE_STATISTICS)},
        group=column("group", "r"),
        units=exp.Literal.number(VALUE_UNITS),
    )


def statistics(plan: Plan) -> exp.Query:
    """The rows of STATISTICS, in their order: the nearest-rank percentile of every group that is large enough."""
    rules = plan.resolved.statistics
    percentile = [(_is(name), exp.Literal.number(one.percentile)) for name, one in rules.items()]
    minimum = [(_is(name), exp.Literal.number(one.minimum_group)) for name, one in rules.items()]
    # Rank ⌈p × n / 100⌉ of the values in ascending order.
    return fill(
        "SELECT statistic, $group, subjects, CASE WHEN subjects >= $minimum THEN $value END AS value FROM ("
        "SELECT statistic, place, max(size) AS subjects, "
        "max(CASE WHEN rank = (size * $percentile + 99) // 100 THEN value END) AS value FROM ("
        "SELECT statistic, place, value, count(*) OVER (PARTITION BY statistic, place) AS size, "
        "row_number() OVER (PARTITION BY statistic, place ORDER BY value, subject_ref) AS rank FROM subject_values"
        ") AS ranked GROUP BY statistic, place) AS grouped ORDER BY statistic, place",
        group=aliased(column("place"), "group"),
        value=decimal_of(column("value"), 18, 6),
        percentile=choose(percentile, exp.Literal.number(1)),
        minimum=choose(minimum, exp.Literal.number(1)),
    )


def compute_statistics(
    resolved: ResolvedModel,
    inputs: Mapping[str, pads.Dataset | pa.Table],
    as_of: date,
    *,
    memory_limit: str = "2GB",
) -> pa.Table:
    """The reference statistics of a domain at the end of ``as_of``, as rows of STATISTICS.

    Args:
        resolved: the model in force on ``as_of``; it names the statistics.
        inputs: ``department/dataset`` → all versions of its records, as for ``evaluate``; a statistic without its
            dataset has no rows.
        as_of: the last day looked at.
        memory_limit: what DuckDB may hold in memory.

    Raises:
        FatalError: the profiles are missing, or memory does not suffice.
    """
    missing = [source for source in resolved.model.subjects_sources if source not in inputs]
    if missing:
        raise FatalError(f"没有主体基本信息 / the profiles are not among the inputs: {', '.join(missing)}")
    plan = Plan.of(resolved, as_of, inputs.keys())
    wanted = {resolved.source(statistic.counts) for statistic in resolved.statistics.values()}
    sources = sorted(wanted & inputs.keys())
    steps = [
        ("profiles", profiles(plan)),
        ("subjects", subjects(plan)),
        *((relation("latest", source), latest(plan, source)) for source in sources),
        ("subject_values", subject_values(plan)),
    ]
    settings = {"memory_limit": memory_limit, "preserve_insertion_order": "false"}
    with closing(duckdb.connect(config=dict(settings))) as connection:
        for source in (*resolved.model.subjects_sources, *sources):
            connection.register(relation("input", source), inputs[source])
        try:
            for name, query in steps:
                connection.execute(f'CREATE TEMP TABLE "{name}" AS {query.sql(dialect="duckdb", identify=True)}')
            found = connection.sql(statistics(plan).sql(dialect="duckdb", identify=True)).to_arrow_table()
        except duckdb.OutOfMemoryException as error:
            raise FatalError(f"统计内存不足 / statistics of {resolved.name} need more than {memory_limit}") from error
    return found.cast(STATISTICS)


def _values(plan: Plan, name: str, statistic: Statistic) -> exp.Query:
    source = plan.resolved.source(statistic.counts)
    when = statistic.day or "event_on"
    conditions = [
        condition(source, statistic.counts.where),
        column(when).between(day(days_before(plan.as_of, statistic.within)), day(plan.as_of)),
    ]
    if "repaired_on" in dataset_of(source).columns:
        repaired = column("repaired_on")
        conditions.append(any_of([repaired.is_(exp.null()), repaired > day(plan.as_of)]))
    return fill(
        "SELECT v.subject_ref AS subject_ref, $statistic AS statistic, $place AS place, records, value FROM ("
        "SELECT subject_ref, count(*) AS records, $value AS value FROM ("
        "SELECT subject_ref, $day AS day, $operand AS operand FROM latest WHERE $holds) AS mine GROUP BY subject_ref"
        ") AS v JOIN subjects AS s ON s.subject_ref = v.subject_ref",
        {"latest": relation("latest", source)},
        statistic=text(name),
        place=_place(statistic),
        value=value_of(plan, statistic.measure, "day"),
        day=column(when),
        operand=operand(source, statistic.measure),
        holds=all_of(conditions),
    )


def _place(statistic: Statistic) -> Row:
    """The group a subject belongs to: the two digits of its industry division, its city, or nothing."""
    if statistic.group_by == "city":
        return column("city_code", "s")
    if statistic.group_by == "all":
        return text("")
    code = column("industry_code", "s")
    first, lettered = (exp.func("substring", code.copy(), _number(start), _number(2)) for start in (1, 2))
    letter = exp.func("substring", code.copy(), _number(1), _number(1)).between(text("A"), text("T"))
    return exp.func("coalesce", choose([(letter, lettered)], first), text(""))


def _number(value: int) -> Row:
    return exp.Literal.number(value)


def _is(name: str) -> Row:
    return column("statistic").eq(text(name))
