"""Shared tables that models name: bands, decay, publicity, severity, warnings, holidays, measures.

``scoring/tables/<kind>/<id>@<version>.yaml``. Every number here that is not law is marked
``status: assumption`` and stays in its file, versioned, with the dates it is in force
(semantics, first paragraph; facts §11). Models name a table by its id; the version in
force on the day that is scored is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from exchange_formats.datasets import ColumnName, Identifier
from exchange_formats.errors import ConfigurationError
from scoring.grammar import Counts, Text
from scoring.quantities import Days, Factor, Frozen, Months, Points

#: ``republished``: read only in a third party's copy, so never to be called official (facts, marks).
Status = Literal["official", "republished", "assumption"]
Letter = Literal["A", "B", "C", "D", "E"]
TableKind = Literal["bands", "decay", "publicity", "severity", "warnings", "holidays", "crosswalk", "measures"]


class Effective(Frozen):
    """The days something is in force; the last day is included, open while ``to`` is absent."""

    from_: Annotated[date, Field(alias="from")]
    to: date | None = None

    def holds(self, day: date) -> bool:
        """Whether it is in force on ``day``."""
        return self.from_ <= day and (self.to is None or day <= self.to)


class Table(Frozen):
    """What every table says of itself."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{1,3}$")]
    title: Text
    title_en: Text
    status: Status
    source: Text
    effective: Effective

    @property
    def name(self) -> str:
        """``id@version``, as its file is named."""
        return f"{self.id}@{self.version}"


class Band(Frozen):
    """One grade: ``from`` is included, ``below`` is not (null: no upper end)."""

    grade: Letter
    from_: Annotated[Points, Field(alias="from")]
    below: Points | None


class Bands(Table):
    """Score → grade, best first, without gap or overlap from 0 to the top."""

    bands: Annotated[tuple[Band, ...], Field(min_length=1)]


class DecayStep(Frozen):
    """Up to ``months`` of age a record weighs ``factor``."""

    months: Months
    factor: Factor


class Repeat(Frozen):
    """What a record weighs when the previous counting one lies within so many months before it."""

    within: Months
    factor: Factor


class Decay(Table):
    """How a record's weight falls with age, and grows when the conduct is repeated."""

    steps: Annotated[tuple[DecayStep, ...], Field(min_length=1)]
    repeat: Repeat


class Tier(Frozen):
    """One publicity tier: a penalty counts for ``months`` from its instrument date."""

    title: Text
    title_en: Text
    months: Months
    status: Status


class Decree(Frozen):
    """The rule of publicity in force in some years."""

    id: Text
    effective: Effective
    #: The column of the day the periods are counted from, where it is not the instrument date; the instrument date
    #: stands in where the record has none.
    counted_from: ColumnName | None = None
    tiers: Mapping[str, Tier]


class Crosswalk(Table):
    """Native grade, as the department writes it → uniform grade (facts §1.6)."""

    grades: Annotated[Mapping[Text, Letter], Field(min_length=1)]


class Publicity(Table):
    """Which penalties are final, and how long they are published and counted."""

    #: Without a date of finality in the source, a penalty is final so many days after its decision.
    final_after: Days
    final_after_basis: Text
    decrees: Annotated[tuple[Decree, ...], Field(min_length=1)]

    def decree(self, day: date) -> Decree:
        """The decree in force on ``day``; ConfigurationError where none is entered."""
        for decree in self.decrees:
            if decree.effective.holds(day):
                return decree
        first = min(decree.effective.from_ for decree in self.decrees)
        raise ConfigurationError(
            f"公示期限表 {self.id} 没有 {day} 适用的规定 / table {self.id} has no publicity rule in force on {day}",
            hint=f"the first one entered holds from {first}; enter the repealed decree's tiers to score earlier days",
        )


class SeverityRow(Frozen):
    """Penalties for which ``when`` holds, and no row above: their points and publicity tier."""

    when: str
    points: Points
    tier: str


class Severity(Table):
    """Penalty kind and amount → points and tier; the last row takes what is left."""

    rows: Annotated[tuple[SeverityRow, ...], Field(min_length=1)]


class Measure(Frozen):
    """What inspectors do; one that limits rights needs a named law (facts §3.2, 浙江条例 26)."""

    title: Text
    title_en: Text
    limits_rights: bool = False
    basis: tuple[Text, ...] = ()


class Frequency(Frozen):
    """At most so many inspections of one subject within a period."""

    times: Annotated[int, Field(ge=1, le=366)]
    per: Months


class GradeMeasures(Frozen):
    """How a grade's subjects are inspected, and which measures follow."""

    ratio_percent: Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)]
    #: The cap on inspections of one subject; ``at_most`` says it in words.
    frequency: Frequency
    at_most: Text
    at_most_en: Text
    items: Text
    items_en: Text
    measures: tuple[str, ...]


class NeverSkipped(Frozen):
    """Inspections that neither ratio nor frequency cap holds back: of subjects with such a record within so many days.

    ``counts.valid_until`` instead asks for records that are in force, like licences. Not an input of scoring.
    """

    title: Text
    title_en: Text
    counts: Counts
    within: Days


class Measures(Table):
    """Grade → measures. Those that limit rights follow only for subjects on ``severe_list``."""

    severe_list: Counts | None = None
    grades: Mapping[Literal["A", "B", "C", "D", "E", "N"], GradeMeasures]
    never_skip: Mapping[Identifier, NeverSkipped] = Field(default_factory=dict)
    measures: Mapping[Annotated[str, Field(pattern=r"^M\d{2}$")], Measure]
