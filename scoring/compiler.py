"""The compiler: a resolved model on a day → named SQL steps and artefact queries, as trees.

Steps stand in the order they are run; each is a relation that later steps read. Input
relations are named ``input_<department>__<dataset>`` and hold all versions of all
records, as ``Lake.records`` gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sqlglot import exp

from exchange_formats.results import REFERENCE_STATISTICS
from exchange_formats.shards import WHOLE, Shard
from scoring.evidence import evidence
from scoring.grading import decided, graded, public_credit, severe, totals
from scoring.measuring import measured
from scoring.outputs import grades, reasons
from scoring.plan import Plan, relation
from scoring.points import dimension_points, group_points, indicator_points, weighted
from scoring.profiles import profiles, subjects
from scoring.records import active, claims, latest, unmatched
from scoring.reported import reported
from scoring.resolution import ResolvedModel
from scoring.sharding import shard_input, shard_results
from scoring.spark_dialect import adapt_to_spark
from scoring.statistics import exceeding, subject_values
from scoring.trees import fill
from scoring.warning_rules import standing_warnings

Dialect = Literal["duckdb", "spark"]


@dataclass(frozen=True)
class Step:
    """One named relation; a ``view`` is only named, not computed: each of its readers takes just what it needs."""

    name: str
    query: exp.Query
    view: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """The relations it reads: inputs and earlier steps."""
        return frozenset(table.name for table in self.query.find_all(exp.Table))

    def sql(self, dialect: Dialect = "duckdb", *, pretty: bool = False) -> str:
        """The step's query as text; every identifier quoted."""
        query = adapt_to_spark(self.query) if dialect == "spark" else self.query
        return query.sql(dialect=dialect, identify=True, pretty=pretty)

    def statement(self, dialect: Dialect = "duckdb", *, pretty: bool = False) -> str:
        """What makes the relation: a view, or a table that is computed once (in DuckDB only for the connection)."""
        name = exp.to_identifier(self.name, quoted=True).sql(dialect)
        if dialect == "duckdb":
            made = f"CREATE TEMP {'VIEW' if self.view else 'TABLE'} {name} AS"
        else:
            made = f"CREATE TEMPORARY VIEW {name} AS" if self.view else f"CREATE TABLE {name} USING parquet AS"
        return f"{made}{chr(10) if pretty else ' '}{self.sql(dialect, pretty=pretty)}"


@dataclass(frozen=True)
class Program:
    """A compiled model: ``steps`` in order, then one query an artefact (``outputs``, warnings without their id)."""

    plan: Plan
    inputs: Mapping[str, str]
    steps: tuple[Step, ...]
    outputs: tuple[Step, ...]

    def text(self, dialect: Dialect = "duckdb") -> str:
        """Everything, to be read by a person."""
        read = [f"-- {name}: every row of {source}, all versions" for source, name in self.inputs.items()]
        made = [step.statement(dialect, pretty=True) for step in self.steps]
        said = [f"-- {step.name}\n{step.sql(dialect, pretty=True)}" for step in self.outputs]
        return "\n".join(read) + "\n\n" + "".join(f"{one};\n\n" for one in (*made, *said))


def compile_model(resolved: ResolvedModel, as_of: date, available: Collection[str], shard: Shard = WHOLE) -> Program:
    """Compile for the inputs that are ``available`` (``department/dataset``); those the model does not use are ignored.

    With a ``shard`` (default: all subjects) the input relations are named ``landed_…``, and the first steps select
    from them what the shard reads.

    Raises:
        KeyError: profiles are not among them; the caller checks what is required.
    """
    plan = Plan.of(resolved, as_of, available, shard)
    profiled = resolved.model.subjects_sources
    if missing := [source for source in profiled if source not in plan.available]:
        raise KeyError(*missing)
    used = [*profiled, *plan.sources, *filter(None, (plan.public_source, plan.own_source, plan.reported_source))]
    used += [REFERENCE_STATISTICS] if plan.resolved.statistics else []
    read = dict.fromkeys(one for source in used for one in plan.inputs(source))
    steps = [
        *([] if plan.shard.whole else [_shard_step(plan, one) for one in read]),
        Step("profiles", profiles(plan)),
        Step("subjects", subjects(plan)),
        *(Step(relation("latest", one), latest(plan, one)) for one in plan.sources),
        Step("public_credit", public_credit(plan)),
        Step("reported", reported(plan)),
        Step("claims", claims(plan)),
        Step("active", active(plan)),
        Step("weighted", weighted(plan)),
        *_measuring(plan),
        Step("indicator_points", indicator_points(plan)),
        Step("group_points", group_points(plan)),
        Step("dimension_points", dimension_points(plan)),
        Step("totals", totals(plan)),
        Step("decided", decided(plan)),
        Step("graded", graded(plan)),
        Step("reasons", reasons(plan)),
        Step("severe", severe(plan)),
    ]
    outputs = [
        Step("grades", grades(plan)),
        Step("evidence", evidence(plan)),
        Step("warnings", standing_warnings(plan)),
        Step("unmatched", unmatched(plan)),
    ]
    inputs = {one: relation("input" if plan.shard.whole else "landed", one) for one in read}
    return Program(plan, inputs, store_shared(steps, outputs), tuple(outputs))


def store_shared(steps: Sequence[Step], outputs: Sequence[Step]) -> tuple[Step, ...]:
    """What is read once is a view, so that the engine plans it together with its reader; only the rest is stored."""
    read = Counter(table.name for step in (*steps, *outputs) for table in step.query.find_all(exp.Table))
    return tuple(replace(step, view=step.view or read[step.name] <= 1) for step in steps)


def _measuring(plan: Plan) -> list[Step]:
    """The steps of models that measure records together or compare with reference statistics."""
    steps = []
    if plan.resolved.statistics:
        steps += [Step("subject_values", subject_values(plan)), Step("exceeding", exceeding(plan))]
    if plan.measured or plan.comparing:
        steps.append(Step("measured", measured(plan)))
    return steps


def _shard_step(plan: Plan, source: str) -> Step:
    landed = relation("landed", source)
    if source == REFERENCE_STATISTICS:
        mine: exp.Query = fill("SELECT * FROM landed", {"landed": landed})
    else:
        mine = shard_results(plan.shard, landed) if source == plan.own_source else shard_input(plan.shard, landed)
    return Step(relation("input", source), mine, view=True)
