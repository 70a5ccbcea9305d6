"""Shared tables that models name: bands, decay, publicity, severity, warnings, measures.

``scoring/tables/<kind>/<name>.yaml``. Every number here that is not law is marked
``status: assumption`` and stays in its file, versioned, with the dates it is in force
(semantics, first paragraph; facts §11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from exchange_formats.conditions import ConditionError, Kind, parse_condition
from exchange_formats.documents import Document, read_document
from exchange_formats.errors import ConfigurationError, Problem
from scoring.grammar import Counts, Text, dataset_columns
from scoring.quantities import Days, Factor, Frozen, Months, Points

TABLES = Path(__file__).parent / "tables"
Status = Literal["official", "assumption"]
Letter = Literal["A", "B", "C", "D", "E"]
TableKind = Literal["bands", "decay", "publicity", "severity", "warnings", "measures"]


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
    version: str
    title: Text
    title_en: Text
    status: Status
    source: Text
    effective: Effective


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
    tiers: Mapping[str, Tier]


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


class DeadlineMissed(Frozen):
    """A date that passed without the other date being reached."""

    counts: Counts
    due: str
    done: str


class WarningRule(Frozen):
    """One warning. Exactly one of ``counts`` (records), ``deadline`` (a missed date) and ``near_band`` (the score)."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
    level: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
    title: Text
    title_en: Text
    counts: Counts | None = None
    #: counting: records that count; listed: entries in force.
    state: Literal["counting", "listed", "any"] = "counting"
    at_least: Annotated[int, Field(ge=1)] = 1
    within: Days | None = None
    deadline: DeadlineMissed | None = None
    near_band: Points | None = None

    @model_validator(mode="after")
    def _check_trigger(self) -> Self:
        if sum(trigger is not None for trigger in (self.counts, self.deadline, self.near_band)) != 1:
            raise ValueError("a rule has exactly one of counts, deadline, near_band")
        if self.counts and self.state != "listed" and self.within is None:
            raise ValueError("a rule that counts records says within how many days")
        return self


class WarningTable(Table):
    """The warnings of a domain; levels are its own words."""

    levels: Mapping[str, Text]
    rules: Annotated[tuple[WarningRule, ...], Field(min_length=1)]


class Measure(Frozen):
    """What inspectors do; one that limits rights needs a named law (facts §3.2, 浙江条例 26)."""

    title: Text
    title_en: Text
    limits_rights: bool = False
    basis: tuple[Text, ...] = ()


class GradeMeasures(Frozen):
    """How a grade's subjects are inspected, and which measures follow."""

    ratio_percent: Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)]
    at_most: Text
    at_most_en: Text
    items: Text
    items_en: Text
    measures: tuple[str, ...]


class Measures(Table):
    """Grade → measures. Those that limit rights follow only for subjects on ``severe_list``."""

    severe_list: Counts | None = None
    grades: Mapping[Literal["A", "B", "C", "D", "E", "N"], GradeMeasures]
    measures: Mapping[Annotated[str, Field(pattern=r"^M\d{2}$")], Measure]


AnyTable = Bands | Decay | Publicity | Severity | WarningTable | Measures
_SCHEMAS: Mapping[TableKind, type[Table]] = {
    "bands": Bands,
    "decay": Decay,
    "publicity": Publicity,
    "severity": Severity,
    "warnings": WarningTable,
    "measures": Measures,
}


@dataclass(frozen=True)
class Tables:
    """Every shared table by kind and name, and what is wrong with their files."""

    by_name: Mapping[tuple[str, str], Table]
    problems: tuple[Problem, ...]

    def names(self, kind: TableKind) -> tuple[str, ...]:
        """The names a model may use for a table of ``kind``."""
        return tuple(sorted(name for found, name in self.by_name if found == kind))


@cache
def load_tables(folder: Path = TABLES) -> Tables:
    """Every table of ``folder``; a broken file becomes problems, not an exception."""
    found: dict[tuple[str, str], Table] = {}
    problems: list[Problem] = []
    for kind, schema in _SCHEMAS.items():
        for path in sorted((folder / kind).glob("*.yaml")):
            document = read_document(path, schema, shown_as=f"tables/{kind}/{path.name}")
            problems += document.problems
            if document.value is None:
                continue
            wrong = list(_check(document, document.value, path.stem))
            problems += wrong
            if not wrong:
                found[kind, path.stem] = document.value
    return Tables(found, tuple(problems))


def _check(document: Document[Any], table: Table, stem: str) -> Iterator[Problem]:
    if table.id != stem:
        yield document.problem(("id",), "the id is not the file's name", expected=stem, got=table.id)
    if isinstance(table, Bands):
        yield from check_bands(document, table.bands, ("bands",))
    elif isinstance(table, Decay):
        yield from _check_decay(document, table)
    elif isinstance(table, Severity):
        yield from _check_severity(document, table)
    elif isinstance(table, Measures):
        yield from _check_measures(document, table)
    elif isinstance(table, WarningTable):
        yield from _check_warnings(document, table)
    elif isinstance(table, Publicity):
        yield from _check_decrees(document, table)


def check_bands(document: Document[Any], bands: tuple[Band, ...], path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Bands lie end to end from 0 upwards, best first, each grade once."""
    for index, band in enumerate(bands):
        above = bands[index - 1].from_ if index else None
        if band.below != above:
            what = "the bands overlap" if above is not None and (band.below or 1001) > above else "the bands have a gap"
            shown = "no upper end (null)" if above is None else str(above)
            yield document.problem((*path, index, "below"), what, expected=shown, got=str(band.below))
        if band.below is not None and band.from_ >= band.below:
            yield document.problem((*path, index, "from"), "the band is empty", expected=f"less than {band.below}")
    if bands[-1].from_ != 0:
        yield document.problem(
            (*path, len(bands) - 1, "from"), "the lowest band must begin at 0", got=str(bands[-1].from_)
        )
    letters = [band.grade for band in bands]
    if letters != sorted(set(letters)):
        yield document.problem(path, "grades must stand once each, best first", got=" ".join(letters))


def _check_decay(document: Document[Any], table: Decay) -> Iterator[Problem]:
    for index in range(1, len(table.steps)):
        before, step = table.steps[index - 1], table.steps[index]
        if step.months <= before.months or step.factor > before.factor:
            yield document.problem(("steps", index), "steps grow older and never weigh more")
    if table.steps[-1].months > 60:
        yield document.problem(
            ("steps", len(table.steps) - 1, "months"),
            "no adverse record counts after five years",
            expected="at most P60M",
        )


def _check_severity(document: Document[Any], table: Severity) -> Iterator[Problem]:
    columns = dataset_columns("penalty")
    for index, row in enumerate(table.rows):
        yield from check_condition(document, row.when, columns, ("rows", index, "when"))
    if table.rows[-1].when != "true":
        yield document.problem(
            ("rows", len(table.rows) - 1, "when"), "the last row takes what is left", expected="'true'"
        )


def _check_decrees(document: Document[Any], table: Publicity) -> Iterator[Problem]:
    tiers = set(table.decrees[0].tiers)
    for index, decree in enumerate(table.decrees):
        if set(decree.tiers) != tiers:
            yield document.problem(
                ("decrees", index, "tiers"), "every decree has the same tiers", expected=", ".join(sorted(tiers))
            )
        for tier_id, tier in decree.tiers.items():
            if tier.months > 60:
                yield document.problem(
                    ("decrees", index, "tiers", tier_id, "months"),
                    "nothing is published after five years",
                    expected="at most P60M",
                )
        later = table.decrees[index + 1 :]
        if any(decree.effective.to is None or other.effective.from_ <= decree.effective.to for other in later):
            yield document.problem(
                ("decrees", index, "effective"), "decrees stand in order and never hold at the same time"
            )


def _check_measures(document: Document[Any], table: Measures) -> Iterator[Problem]:
    for code, measure in table.measures.items():
        if measure.limits_rights and not measure.basis:
            yield document.problem(
                ("measures", code, "basis"),
                "a measure that limits rights names its law",
                hint="浙江省公共信用信息管理条例 26: name the law or regulation, or leave the measure out",
            )
    if table.severe_list is None and any(measure.limits_rights for measure in table.measures.values()):
        yield document.problem(("severe_list",), "measures that limit rights need a severe list to follow from")
    for grade, row in table.grades.items():
        for index, code in enumerate(row.measures):
            if code not in table.measures:
                yield document.problem(("grades", grade, "measures", index), "there is no such measure", got=code)
    for letter in sorted({"A", "B", "C", "D", "E", "N"} - table.grades.keys()):
        yield document.problem(("grades",), f"grade {letter} has no row")
    if table.severe_list:
        yield from check_counts(document, table.severe_list, ("severe_list",))


def _check_warnings(document: Document[Any], table: WarningTable) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, rule in enumerate(table.rules):
        path: tuple[str | int, ...] = ("rules", index)
        if rule.id in seen:
            yield document.problem((*path, "id"), "the id is used twice", got=rule.id)
        seen.add(rule.id)
        if rule.level not in table.levels:
            yield document.problem(
                (*path, "level"), "there is no such level", expected=", ".join(table.levels), got=rule.level
            )
        if rule.counts:
            yield from check_counts(document, rule.counts, (*path, "counts"))
        if rule.deadline:
            yield from check_counts(document, rule.deadline.counts, (*path, "deadline", "counts"))
            columns = dataset_columns(rule.deadline.counts.dataset)
            for key, name in (("due", rule.deadline.due), ("done", rule.deadline.done)):
                if columns and columns.get(name) != "date":
                    yield document.problem((*path, "deadline", key), "not a date column of the dataset", got=name)


def check_counts(document: Document[Any], counts: Counts, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """The dataset is in the catalogue and every column the condition reads is one of its own."""
    columns = dataset_columns(counts.dataset)
    if not columns:
        yield document.problem((*path, "dataset"), "there is no such dataset in the catalogue", got=counts.dataset)
        return
    yield from check_condition(document, counts.where, columns, (*path, "where"))
    if counts.valid_until and columns.get(counts.valid_until) != "date":
        yield document.problem((*path, "valid_until"), "not a date column of the dataset", got=counts.valid_until)


def check_condition(
    document: Document[Any], text: str, columns: Mapping[str, Kind], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """The text is a condition that may run."""
    try:
        parse_condition(text, columns)
    except ConditionError as error:
        yield document.problem(path, str(error))
