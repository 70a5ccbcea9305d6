"""The model grammar: one domain's evaluation as data (architecture §5.4, §7).

``scoring/models/<id>@<version>.yaml``::

    id, version, title, title_en
    department            who owns the domain; its own datasets are named without a prefix
    basis                 the documents the model rests on
    subjects              {type: one or several, from: one or several profile datasets, where: condition}
    minimum_records       0: who has no record is graded all the same; 1 (default): is N without a public score
    effective             {from: day, to: day}
    cycle                 how often it is evaluated by rule
    scope                 归集范围, in words
    required              datasets without which there is no new run: a list, or {dataset: stale after, P30D}
    optional              {dataset: stale after}: missing or stale, its indicators are not_collected
    lookback              how old a record may be, unless an indicator says less
    dimensions            public_credit | compliance | earned; their ``full`` add up to 1000
    statistics            percentiles over the subjects, which an indicator may compare with (``above``)
    native                another scheme's grade by the same score, kept beside the uniform one
    reported              grades the department finished itself, in place of the computed ones
    overrides             what decides the grade whatever the score
    bands, decay, publicity, severity, warnings, measures    shared tables, by id
    publicity_of          {dataset: table}: whose authority publishes by rules of its own
    examples              small inputs with the expected result; each is a test

``counts`` may name ``"*/penalty"``: that dataset of every department, as far as the record may
stand in the public-credit catalogue. An indicator has ``counts``, or is ``above`` a reference
statistic, or ``needs`` what nobody collects yet; with ``measure`` its records together are worth what ``bins`` say; and
``deduct`` or ``earn`` (what they are worth).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from exchange_formats.datasets import ColumnName, Identifier
from scoring.grammar import Counts, DatasetName, Text, full_name
from scoring.measurement import Bins, Measure, Statistic
from scoring.quantities import Days, Factor, Frozen, Months, Points
from scoring.schemes import Native, Reported
from scoring.tables import Effective, Letter, Status

SubjectType = Literal["enterprise", "natural_person", "social_organization", "public_institution", "government_agency"]
#: Subject type → the domain of our own evaluation of its public credit (facts §1).
PUBLIC_CREDIT_DOMAINS: Final[Mapping[str, str]] = {kind: f"public_credit_{kind}" for kind in get_args(SubjectType)}
IndicatorId = Annotated[str, Field(pattern=r"^(IND\d{4}|[a-z][a-z0-9_]{2,39})$")]
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
Basis = Annotated[tuple[Text, ...], Field(min_length=1)]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, dict | str) else value


def _without_limits(value: object) -> object:
    """A list of datasets as a map: none of them is ever stale."""
    return dict.fromkeys(value) if isinstance(value, list | tuple) else value


class Deduct(Frozen):
    """What a counting record takes: ``per`` record, by a column's code (``map``), or by the severity table.

    ``bins``: what the indicator's measured value takes, once. ``cap`` is in raw points, before the
    dimension's scale. ``repeat`` and ``decay`` follow the model's decay table unless switched off; what is
    measured neither fades nor repeats.
    """

    per: Points | None = None
    column: ColumnName | None = None
    map: Mapping[str, Points] | None = None
    bins: Bins | None = None
    severity: bool = False
    cap: Points | None = None
    repeat: bool = True
    decay: bool = True

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        _check_worth(self, other=self.severity)
        return self


class Earn(Frozen):
    """What a counting record gives: ``per`` record, by a column's code, or once when any ``exists``.

    ``bins``: what the indicator's measured value gives, once.
    """

    per: Points | None = None
    column: ColumnName | None = None
    map: Mapping[str, Points] | None = None
    bins: Bins | None = None
    exists: Points | None = None
    cap: Points | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        _check_worth(self, other=self.exists is not None)
        return self


def _check_worth(worth: Deduct | Earn, *, other: bool) -> None:
    if sum((worth.per is not None, worth.map is not None, worth.bins is not None, other)) != 1:
        raise ValueError(
            "say what a record is worth exactly once: per, map (with column), bins, or the kind's own word"
        )
    if (worth.column is None) != (worth.map is None):
        raise ValueError("column and map belong together")


class Indicator(Frozen):
    """One measured fact of a subject turned into points."""

    title: Text
    title_en: Text
    basis: Basis
    status: Status
    counts: Annotated[tuple[Counts, ...], BeforeValidator(_one_or_many)] = ()
    #: What its counting records together measure, turned into points by ``bins``.
    measure: Measure | None = None
    #: A reference statistic: it holds once, where the subject's own value is above that of its group.
    above: Identifier | None = None
    #: Data that nobody collects yet, in words: the indicator is shown as not collected.
    needs: Text | None = None
    deduct: Deduct | None = None
    earn: Earn | None = None
    group: str | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if sum(map(bool, (self.counts, self.above, self.needs))) != 1:
            raise ValueError("an indicator has counts, or is above a statistic, or needs what nobody collects yet")
        worth = self.deduct or self.earn
        if worth is None or (self.deduct and self.earn):
            raise ValueError("an indicator has deduct or earn: one of the two")
        if self.measure and not self.counts:
            raise ValueError("measure is of the records an indicator counts")
        if (self.measure is None) != (worth.bins is None) and not self.needs:
            raise ValueError("measure and bins belong together")
        if self.above and worth.per is None:
            raise ValueError("being above a statistic is worth 'per' points, once")
        return self

    @property
    def worth(self) -> Deduct | Earn:
        """What its records are worth, whichever way."""
        worth = self.deduct or self.earn
        if worth is None:
            raise ValueError("an indicator has deduct or earn")
        return worth


class Group(Frozen):
    """Indicators whose raw points together are capped."""

    title: Text
    title_en: Text
    cap: Points


class PublicCreditDimension(Frozen):
    """The subject's public-credit result, weighed by ``full`` / 1000 (semantics §3)."""

    kind: Literal["public_credit"]
    title: Text
    title_en: Text
    full: Points
    dataset: DatasetName
    not_older_than: Months
    #: What stands in for a missing result, on the 1000-point scale.
    neutral: Points


class ComplianceDimension(Frozen):
    """``base`` less what its indicators deduct, times ``scale``, within [0, full]."""

    kind: Literal["compliance"]
    title: Text
    title_en: Text
    full: Points
    base: Points
    scale: Factor = Decimal(1)
    groups: Mapping[Identifier, Group] = Field(default_factory=dict)
    indicators: Annotated[Mapping[IndicatorId, Indicator], Field(min_length=1)]


class EarnedDimension(Frozen):
    """``base`` and what its indicators give, within [0, full]."""

    kind: Literal["earned"]
    title: Text
    title_en: Text
    full: Points
    base: Points = Decimal(0)
    groups: Mapping[Identifier, Group] = Field(default_factory=dict)
    indicators: Annotated[Mapping[IndicatorId, Indicator], Field(min_length=1)]


Dimension = Annotated[PublicCreditDimension | ComplianceDimension | EarnedDimension, Field(discriminator="kind")]


class Afterwards(Frozen):
    """At most this grade for ``within`` days after a subject left the list."""

    at_most: Letter
    within: Days


class Override(Frozen):
    """A record that decides the grade: while it counts, or while its list entry is in force (``state: listed``).

    Records it claims never enter the computed score (semantics §3).
    """

    title: Text
    title_en: Text
    basis: Basis
    status: Status
    counts: Annotated[tuple[Counts, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    state: Literal["counting", "listed"] = "counting"
    grade: Letter | None = None
    at_most: Letter | None = None
    afterwards: Afterwards | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if (self.grade is None) == (self.at_most is None):
            raise ValueError("an override says grade or at_most: one of the two")
        if self.grade not in {None, "E"}:
            raise ValueError("a veto gives grade E; anything milder is at_most")
        if self.afterwards and self.state != "listed":
            raise ValueError("afterwards follows a list entry: state must be listed")
        return self


class Subjects(Frozen):
    """Who is scored: profiles of these types for which ``where`` holds."""

    type: Annotated[tuple[SubjectType, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    #: Where several know a subject, the first listed says who it is.
    from_: Annotated[tuple[DatasetName, ...], BeforeValidator(_one_or_many), Field(alias="from", min_length=1)] = (
        "profile",
    )
    where: str = "true"


class Expectation(Frozen):
    """What an example must give; what is left out is not compared. ``reasons``: indicators, strongest first."""

    grade: Literal["A", "B", "C", "D", "E", "N"]
    score: Decimal | None = None
    computed_grade: Literal["A", "B", "C", "D", "E", "N"] | None = None
    reasons: tuple[str, ...] | None = None
    overrides: tuple[str, ...] | None = None
    flags: tuple[str, ...] | None = None
    origin: Literal["computed", "reported"] | None = None
    native_grade: str | None = None


class Example(Frozen):
    """One subject's records by dataset (``public_credit`` may be a number), a day, and the result."""

    title: Text
    given: Mapping[str, Any]
    as_of: date
    expect: Expectation


class Model(Frozen):
    """One version of one domain's evaluation. The module's text explains each key."""

    id: Identifier
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{1,3}$")]
    department: Identifier
    title: Text
    title_en: Text
    basis: Basis
    status: Status
    subjects: Subjects
    effective: Effective
    cycle: Literal["daily", "monthly", "quarterly", "yearly"]
    scope: Basis
    minimum_records: Literal[0, 1] = 1
    required: Annotated[Mapping[DatasetName, Days | None], BeforeValidator(_without_limits)] = Field(
        default_factory=dict
    )
    optional: Mapping[DatasetName, Days] = Field(default_factory=dict)
    lookback: Months
    dimensions: Annotated[Mapping[Identifier, Dimension], Field(min_length=1)]
    statistics: Mapping[Identifier, Statistic] = Field(default_factory=dict)
    native: Native | None = None
    reported: Reported | None = None
    overrides: Mapping[IndicatorId, Override] = Field(default_factory=dict)
    bands: TableName
    decay: TableName
    publicity: TableName
    #: Penalty datasets whose authority has publicity rules of its own.
    publicity_of: Mapping[DatasetName, TableName] = Field(default_factory=dict)
    severity: TableName
    warnings: TableName
    measures: TableName
    examples: tuple[Example, ...] = ()

    @property
    def name(self) -> str:
        """``id@version``, as messages and manifests name it."""
        return f"{self.id}@{self.version}"

    @property
    def subjects_sources(self) -> tuple[str, ...]:
        """``department/dataset`` of the profiles, first the one that goes before the others."""
        return tuple(full_name(name, self.department) for name in self.subjects.from_)

    @property
    def indicators(self) -> Mapping[str, Indicator]:
        """Every indicator of every dimension by id, in file order."""
        found: dict[str, Indicator] = {}
        for dimension in self.dimensions.values():
            if not isinstance(dimension, PublicCreditDimension):
                found |= dimension.indicators
        return found
