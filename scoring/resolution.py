"""A resolved model: everything a run depends on besides its inputs, inlined and named by digest (semantics §6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import Final

from pydantic import Field

from exchange_formats.digests import digest_bytes
from exchange_formats.errors import ConfigurationError
from scoring.grammar import Counts, full_name, stands_for
from scoring.measurement import Statistic
from scoring.model import (
    ComplianceDimension,
    EarnedDimension,
    Indicator,
    Model,
    Override,
    PublicCreditDimension,
)
from scoring.quantities import Frozen
from scoring.table_library import TABLES, Tables, load_tables
from scoring.tables import Bands, Crosswalk, Decay, Decree, Measures, Publicity, Severity
from scoring.warning_tables import WarningTable, name_statistic
from scoring.working_days import HolidayTable, WorkingCalendar, build_calendar

#: The version of what is computed; it is part of every run's id and changes when any result could.
SEMANTICS: Final = "2"


class ResolvedModel(Frozen):
    """A model with its tables, and with the publicity decree in force on the day it is used for."""

    model: Model = Field(description="without its examples: they decide nothing")
    bands: Bands
    decay: Decay
    publicity: Publicity
    decree: Decree
    decrees: Mapping[str, Decree] = Field(default_factory=dict, description="by department/dataset, where not decree")
    severity: Severity
    warnings: WarningTable
    #: Of the day and the year after it: what working days are counted by.
    calendar: WorkingCalendar
    measures: Measures
    crosswalk: Crosswalk | None = None

    @cached_property
    def canonical(self) -> bytes:
        """JSON in the order of the files, without spaces: equal models give equal bytes.

        Nothing is sorted: the first indicator in file order whose condition holds takes a record (semantics §2).
        """
        plain = self.model_dump(mode="json", by_alias=True)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    @cached_property
    def sha256(self) -> str:
        """Digest of the canonical bytes."""
        return digest_bytes(self.canonical)

    @property
    def name(self) -> str:
        """``id@version``."""
        return self.model.name

    @property
    def public_credit(self) -> tuple[str, PublicCreditDimension] | None:
        """The public-credit dimension with its id; None where the model has none."""
        for name, dimension in self.model.dimensions.items():
            if isinstance(dimension, PublicCreditDimension):
                return name, dimension
        return None

    @property
    def reported_source(self) -> str | None:
        """``department/dataset`` of the grades the department finished itself, where the model takes them."""
        return full_name(self.model.reported.dataset, self.model.department) if self.model.reported else None

    @property
    def statistics(self) -> Mapping[str, Statistic]:
        """Every reference statistic that an indicator or a warning compares with."""
        named = {name_statistic(name): one for name, one in self.warnings.statistics.items()}
        return {**self.model.statistics, **named}

    @property
    def judged(self) -> Mapping[str, ComplianceDimension | EarnedDimension]:
        """The dimensions made of indicators."""
        return {k: v for k, v in self.model.dimensions.items() if not isinstance(v, PublicCreditDimension)}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every ``department/dataset`` (``*/dataset``: of every department) the model can use, sorted."""
        found = {*self.model.subjects_sources, *(self.source(counts) for counts in self.counts())}
        if self.public_credit:
            found.add(full_name(self.public_credit[1].dataset, self.model.department))
        if self.reported_source:
            found.add(self.reported_source)
        return tuple(sorted(found | set(self.required)))

    @property
    def required(self) -> tuple[str, ...]:
        """The inputs without which there is no new run."""
        named = {full_name(name, self.model.department) for name in self.model.required}
        return tuple(sorted(named.union(self.model.subjects_sources)))

    @property
    def stale_after(self) -> Mapping[str, int]:
        """``department/dataset`` → after how many days without news it is stale (semantics §8), where that is said."""
        limits = {**self.model.required, **self.model.optional}
        named = {full_name(name, self.model.department): days for name, days in limits.items()}
        return {source: days for source, days in sorted(named.items()) if days is not None}

    def used(self, known: Iterable[str]) -> tuple[str, ...]:
        """The inputs among ``known`` (``department/dataset``) that the model uses, sorted; no ``*`` among them."""
        names = frozenset(known)
        return tuple(sorted({one for source in self.inputs for one in stands_for(source, names)}))

    def source(self, counts: Counts) -> str:
        """``department/dataset`` of what is counted."""
        return counts.source(self.model.department)

    def counts(self) -> tuple[Counts, ...]:
        """Everything the model counts: indicators, overrides, statistics, warnings, the severe list."""
        parts: list[Indicator | Override] = [*self.model.indicators.values(), *self.model.overrides.values()]
        found = [counts for part in parts for counts in part.counts]
        found += [statistic.counts for statistic in self.statistics.values()]
        found += self.warnings.counts()
        return tuple(found + ([self.measures.severe_list] if self.measures.severe_list else []))


def resolve(model: Model, as_of: date, tables: Tables | None = None) -> ResolvedModel:
    """Inline every table ``model`` names, as in force on ``as_of``.

    Raises:
        ConfigurationError: the model, one of its tables, or the publicity decree is not in force on that day.
    """
    library = tables or load_tables(TABLES)
    if not model.effective.holds(as_of):
        raise ConfigurationError(
            f"模型 {model.name} 在 {as_of} 未生效 / model {model.name} is not in force on {as_of}",
            hint=f"in force from {model.effective.from_}" + (f" to {model.effective.to}" if model.effective.to else ""),
        )
    warnings = library.in_force("warnings", model.warnings, WarningTable, as_of)
    publicity = library.in_force("publicity", model.publicity, Publicity, as_of)
    return ResolvedModel(
        model=model.model_copy(update={"examples": ()}),
        bands=library.in_force("bands", model.bands, Bands, as_of),
        decay=library.in_force("decay", model.decay, Decay, as_of),
        publicity=publicity,
        decree=publicity.decree(as_of),
        decrees={
            full_name(name, model.department): library.in_force("publicity", table, Publicity, as_of).decree(as_of)
            for name, table in model.publicity_of.items()
        },
        severity=library.in_force("severity", model.severity, Severity, as_of),
        warnings=warnings,
        calendar=build_calendar(library.in_force("holidays", warnings.holidays, HolidayTable, as_of), as_of),
        measures=library.in_force("measures", model.measures, Measures, as_of),
        crosswalk=(
            library.in_force("crosswalk", model.reported.crosswalk, Crosswalk, as_of) if model.reported else None
        ),
    )


def read_resolved(data: bytes) -> ResolvedModel:
    """The resolved model a run stored beside its artefacts."""
    return ResolvedModel.model_validate_json(data)
