"""The plan of a compilation: who claims records, in which order, and what each claim is worth.

A *claimant* is an override or an indicator. Its number is its place in the model file,
overrides first: what an override claims never enters the points (semantics §3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pyarrow as pa
from sqlglot import exp

from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import LINEAGE_FIELDS, Dataset, load_catalogue
from exchange_formats.results import OWN_PUBLIC_CREDIT, OWN_PUBLIC_CREDIT_SCHEMA, REFERENCE_STATISTICS, STATISTICS
from exchange_formats.shards import WHOLE, Shard
from scoring.grammar import EVERY, Counts, dataset_columns, full_name, stands_for
from scoring.measurement import Measure
from scoring.model import ComplianceDimension, EarnedDimension, Indicator, Override
from scoring.quantities import centi, covered_since
from scoring.resolution import ResolvedModel
from scoring.tables import Decree

#: Inputs that are results of earlier work, and their columns.
_SCORED: Mapping[str, pa.Schema] = {OWN_PUBLIC_CREDIT: OWN_PUBLIC_CREDIT_SCHEMA, REFERENCE_STATISTICS: STATISTICS}
JudgedDimension = ComplianceDimension | EarnedDimension


@dataclass(frozen=True)
class Claimant:
    """An override (``dimension`` is None) or an indicator, with its number."""

    number: int
    id: str
    part: Override | Indicator
    dimension_id: str | None = None
    dimension: JudgedDimension | None = None

    @property
    def listed(self) -> bool:
        """Whether it asks for list entries in force, not for records that count."""
        return isinstance(self.part, Override) and self.part.state == "listed"

    @property
    def measure(self) -> Measure | None:
        """What its records together measure, where they are not worth points one by one."""
        return self.part.measure if isinstance(self.part, Indicator) else None

    @property
    def above(self) -> str | None:
        """The reference statistic it compares with."""
        return self.part.above if isinstance(self.part, Indicator) else None

    @property
    def exclusive(self) -> bool:
        """Whether what it claims is closed to the claimants after it: overrides and deductions."""
        return isinstance(self.part, Override) or self.part.deduct is not None

    @property
    def cap(self) -> int | None:
        """Its cap in raw units (1e-6 point), before the scale."""
        if isinstance(self.part, Override):
            return None
        cap = self.part.worth.cap
        if self.part.earn and self.part.earn.exists is not None:
            cap = self.part.earn.exists
        return None if cap is None else centi(cap) * 10**4

    @property
    def sign(self) -> int:
        """-1 where it deducts, 1 where it earns, 0 where it decides."""
        return 0 if isinstance(self.part, Override) else -1 if self.part.deduct else 1

    @property
    def scale(self) -> int:
        """The dimension's scale in hundredths, signed: raw units × this are units of 1e-8 point."""
        scale = centi(self.dimension.scale) if isinstance(self.dimension, ComplianceDimension) else 100
        return self.sign * scale


@dataclass(frozen=True)
class Plan:
    """A resolved model on a day, with the inputs there are (``department/dataset``), for one shard of the subjects."""

    resolved: ResolvedModel
    as_of: date
    available: frozenset[str]
    shard: Shard = WHOLE

    @classmethod
    def of(cls, resolved: ResolvedModel, as_of: date, available: Collection[str], shard: Shard = WHOLE) -> Plan:
        """The plan for the inputs that are ``available``; for all subjects unless ``shard`` says which."""
        return cls(resolved, as_of, frozenset(available), shard)

    @cached_property
    def claimants(self) -> tuple[Claimant, ...]:
        """Overrides, then indicators, in file order."""
        found: list[Claimant] = []
        for name, override in self.resolved.model.overrides.items():
            found.append(Claimant(len(found), name, override))
        for dimension_id, dimension in self.resolved.judged.items():
            for name, indicator in dimension.indicators.items():
                found.append(Claimant(len(found), name, indicator, dimension_id, dimension))
        return tuple(found)

    @property
    def overrides(self) -> tuple[Claimant, ...]:
        """The claimants that decide grades."""
        return tuple(claimant for claimant in self.claimants if isinstance(claimant.part, Override))

    @property
    def indicators(self) -> tuple[Claimant, ...]:
        """The claimants that give or take points."""
        return tuple(claimant for claimant in self.claimants if isinstance(claimant.part, Indicator))

    @property
    def sources(self) -> tuple[str, ...]:
        """The record datasets that are there (``*/dataset`` as one), without profiles and public credit, sorted."""
        wanted = {self.resolved.source(counts) for counts in self.resolved.counts()}
        return tuple(sorted(source for source in wanted if self.inputs(source)))

    @property
    def judging(self) -> tuple[str, ...]:
        """The sources whose records indicators and overrides judge by."""
        statistics = [self.resolved.statistics[c.above].counts for c in self.claimants if c.above]
        counted = [counts for claimant in self.claimants for counts in claimant.part.counts]
        wanted = {self.resolved.source(counts) for counts in (*counted, *statistics)}
        return tuple(source for source in self.sources if source in wanted)

    def inputs(self, source: str) -> tuple[str, ...]:
        """The inputs there are that ``source`` means: itself, or for ``*/dataset`` every department's."""
        return stands_for(source, self.available)

    @property
    def public_source(self) -> str | None:
        """``department/dataset`` of public credit, where the model uses it and it is there."""
        if self.resolved.public_credit is None:
            return None
        source = full_name(self.resolved.public_credit[1].dataset, self.resolved.model.department)
        return source if source in self.available else None

    @property
    def own_source(self) -> str | None:
        """The input of our own public-credit results, where the model uses them and it is there."""
        wanted = self.resolved.public_credit is not None and OWN_PUBLIC_CREDIT in self.available
        return OWN_PUBLIC_CREDIT if wanted else None

    @property
    def reported_source(self) -> str | None:
        """``department/dataset`` of the grades the department finished itself, where they are taken and there."""
        source = self.resolved.reported_source
        return source if source in self.available else None

    @property
    def measured(self) -> tuple[Claimant, ...]:
        """The indicators whose records together are worth points, by what they measure."""
        return tuple(claimant for claimant in self.indicators if claimant.measure)

    @property
    def comparing(self) -> tuple[Claimant, ...]:
        """The indicators that compare with a reference statistic, as far as there is what they need."""
        return tuple(c for c in self.indicators if c.above and c.id not in self.not_collected)

    @cached_property
    def not_collected(self) -> tuple[str, ...]:
        """Indicators and overrides that lack (some of) their data, in file order."""
        missing = []
        for claimant in self.claimants:
            sources = {self.resolved.source(counts) for counts in claimant.part.counts}
            if claimant.above:
                sources = {self.resolved.source(self.resolved.statistics[claimant.above].counts), REFERENCE_STATISTICS}
            if not sources or not all(self.inputs(source) for source in sources):
                missing.append(claimant.id)
        return tuple(missing)

    @cached_property
    def groups(self) -> tuple[tuple[str, str, int, tuple[Claimant, ...]], ...]:
        """(dimension, group, cap in raw units, members) of every group with members."""
        found = []
        for dimension_id, dimension in self.resolved.judged.items():
            for name, group in dimension.groups.items():
                members = tuple(
                    c
                    for c in self.indicators
                    if c.dimension_id == dimension_id and isinstance(c.part, Indicator) and c.part.group == name
                )
                if members:
                    found.append((dimension_id, name, centi(group.cap) * 10**4, members))
        return tuple(found)

    def decree(self, source: str) -> Decree:
        """The rule of publicity that penalties of ``source`` follow."""
        return self.resolved.decrees.get(source, self.resolved.decree)

    def claims(self, source: str) -> Sequence[tuple[Claimant, Counts]]:
        """Who counts records of ``source``, in order of precedence."""
        return [
            (c, counts) for c in self.claimants for counts in c.part.counts if self.resolved.source(counts) == source
        ]

    def months(self, claimant: Claimant, counts: Counts) -> int:
        """How old a record may be to count for ``claimant``."""
        months = counts.lookback or self.resolved.model.lookback
        part = claimant.part
        if isinstance(part, Indicator) and part.deduct and part.deduct.decay and not part.measure:
            months = min(months, self.resolved.decay.steps[-1].months)
        return months

    def since(self, months: int) -> date:
        """The earliest day whose period of ``months`` covers as_of."""
        return covered_since(self.as_of, months)

    def dimension_number(self, dimension_id: str) -> int:
        """Where a dimension stands in the model file."""
        return list(self.resolved.model.dimensions).index(dimension_id)

    def numbers(self, values: Mapping[str, int]) -> Mapping[int, int]:
        """``values`` by claimant id as values by claimant number."""
        return {claimant.number: values[claimant.id] for claimant in self.claimants if claimant.id in values}


def dataset_of(source: str) -> Dataset:
    """The catalogue's dataset behind ``department/dataset``."""
    return load_catalogue()[source.rpartition("/")[2]]


def input_schema(source: str) -> pa.Schema:
    """The columns an input has: its dataset's as the lake gives them, or those of earlier results."""
    if source in _SCORED:
        return _SCORED[source]
    return pa.schema([*dataset_of(source).schema, *LINEAGE_FIELDS])


def condition(source: str, text: str) -> exp.Expr:
    """The checked tree of a condition over ``source``, its columns quoted."""
    tree = parse_condition(text, dataset_columns(source)).tree.copy()
    for found in tree.find_all(exp.Identifier):
        found.args["quoted"] = True
    return exp.paren(tree)


def relation(stage: str, source: str) -> str:
    """The name of a step's relation for ``department/dataset``; no department's id has one letter."""
    return f"{stage}_{source.replace('/', '__').replace(EVERY, 'x')}"
