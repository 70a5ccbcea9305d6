"""The compiler: a resolved model on a day → named SQL steps and artefact queries, as trees.

Steps stand in the order they are run; each is a relation that later steps read. Input
relations are named ``input_<department>__<dataset>`` and hold all versions of all
records, as ``Lake.records`` gives them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlglot import exp

from exchange_formats.shards import WHOLE, Shard
from scoring.evidence import evidence
from scoring.grading import decided, graded, public_credit, severe, totals
from scoring.outputs import grades, reasons
from scoring.plan import Plan, relation
from scoring.points import dimension_points, group_points, indicator_points, weighted
from scoring.profiles import profiles, subjects
from scoring.records import active, claims, latest, unmatched
from scoring.resolution import ResolvedModel
from scoring.sharding import shard_input, shard_results
from scoring.warning_rules import standing_warnings

Dialect = Literal["duckdb", "spark"]


@dataclass(frozen=True)
class Step:
    """One named relation; a ``view`` is only named, not computed: each of its readers takes just what it needs."""

    name: str
    query: exp.Query
    view: bool = False

    def sql(self, dialect: Dialect = "duckdb", *, pretty: bool = False) -> str:
        """The step as text; every identifier quoted."""
        return self.query.sql(dialect=dialect, identify=True, pretty=pretty)


@dataclass(frozen=True)
class Program:
    """A compiled model: ``steps`` in order, then one query an artefact (``outputs``, warnings without their id)."""

    plan: Plan
    inputs: Mapping[str, str]
    steps: tuple[Step, ...]
    outputs: tuple[Step, ...]

    def text(self, dialect: Dialect = "duckdb") -> str:
        """Everything, to be read by a person."""
        shown = [f"-- {step.name}\n{step.sql(dialect, pretty=True)};" for step in (*self.steps, *self.outputs)]
        return "\n\n".join(shown) + "\n"


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
    used = [*profiled, *plan.sources, *filter(None, (plan.public_source, plan.own_source))]
    read = dict.fromkeys(one for source in used for one in plan.inputs(source))
    steps = [
        *([] if plan.shard.whole else [_shard_step(plan, one) for one in read]),
        Step("profiles", profiles(plan)),
        Step("subjects", subjects()),
        *(Step(relation("latest", one), latest(plan, one)) for one in plan.sources),
        Step("public_credit", public_credit(plan)),
        Step("claims", claims(plan)),
        Step("active", active(plan)),
        Step("weighted", weighted(plan)),
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
    return Program(plan, inputs, tuple(steps), tuple(outputs))


def _shard_step(plan: Plan, source: str) -> Step:
    landed = relation("landed", source)
    mine = shard_results(plan.shard, landed) if source == plan.own_source else shard_input(plan.shard, landed)
    return Step(relation("input", source), mine, view=True)
