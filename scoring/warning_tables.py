"""The warnings table: a domain's own levels, and the rules that raise, clear and end its warnings (facts §4).

Every trigger, window and time limit here is an assumption (H08) and stays in the table's
file. Levels are the domain's own words; their order, colour, priority on the bus, days to
sign in and what they escalate to are said per level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from exchange_formats.datasets import ColumnName, Identifier
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.checks import check_counts
from scoring.grammar import Counts, Text, dataset_columns
from scoring.measurement import Statistic, check_statistics
from scoring.quantities import Days, Frozen, Points
from scoring.tables import Letter, Table

LevelId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
#: Who is told besides the domain's subscribers of the level; a city by the city in the routing key.
Told = Literal["department", "province", "city", "data_steward"]


class Level(Frozen):
    """One level. ``rank`` 1 is the most severe; ``sign_within`` counts working days, no limit where it is absent."""

    title: Text
    title_en: Text
    rank: Annotated[int, Field(ge=1, le=9)]
    colour: Annotated[str, Field(pattern=r"^[a-z_]{3,20}$")]
    #: AMQP priority of its messages.
    priority: Annotated[int, Field(ge=1, le=9)]
    sign_within: Annotated[int, Field(ge=1, le=60)] | None = None
    #: What it becomes when nobody signs for it in time.
    escalates_to: LevelId | None = None
    told: tuple[Told, ...] = ()


class DeadlineMissed(Frozen):
    """A date that passed without the other date being reached."""

    counts: Counts
    due: ColumnName
    done: ColumnName


class Expiring(Frozen):
    """Records whose last day lies at most ``within`` days ahead, while no later one follows it."""

    counts: Counts
    valid_until: ColumnName
    within: Days
    #: Records with the same value of this column follow each other; all of a subject's where it is absent.
    per: ColumnName | None = None


class Fall(Frozen):
    """A fall since an earlier run of the same model, on public credit of the same origin: any of the conditions named.

    ``into``: the grade fell to this letter since the run before. ``grades``, ``points``: the grade or the score
    fell by as much since any run that stood within the window ``within``.
    """

    into: Letter | None = None
    grades: Annotated[int, Field(ge=1, le=4)] | None = None
    points: Points | None = None
    within: Days | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.into is None and self.grades is None and self.points is None:
            raise ValueError("a fall says into, grades or points")
        if (self.grades is not None or self.points is not None) != (self.within is not None):
            raise ValueError("a fall by grades or points says within how many days, a fall into a grade does not")
        return self


class Clearing(Frozen):
    """When a warning is cleared though its trigger cannot be undone; any of what is named.

    ``quiet``: so many days brought no new trigger. ``grade``: the grade was at least this one in ``runs`` evaluation
    cycles running, all after the warning. ``recovered``: the grade is again what it fell from.
    """

    quiet: Days | None = None
    grade: Letter | None = None
    runs: Annotated[int, Field(ge=1, le=4)] = 1
    recovered: bool = False

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if self.quiet is None and self.grade is None and not self.recovered:
            raise ValueError("clearing says quiet, grade or recovered")
        return self


class WarningRule(Frozen):
    """One warning, by exactly one kind of trigger.

    ``counts``: records (or, ``state: listed``, entries in force). ``deadline``: a missed date. ``expiring``: a
    record that ends soon. ``near_band``: the score. ``above``: a reference statistic. ``fall``: grade or score
    against earlier runs. ``stale``: a dataset that brought nothing for so many of its cycles; it goes to the
    dataset's owner, not to a subject.

    A warning whose trigger is gone is cleared; ``clears`` keeps it until then, ``expires_after`` ends it so many
    days after its last trigger whatever became of it.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
    level: LevelId
    title: Text
    title_en: Text
    counts: Counts | None = None
    #: counting: records that count; listed: entries in force.
    state: Literal["counting", "listed", "any"] = "counting"
    at_least: Annotated[int, Field(ge=1)] = 1
    within: Days | None = None
    deadline: DeadlineMissed | None = None
    expiring: Expiring | None = None
    near_band: Points | None = None
    #: A reference statistic of the table: it stands while the subject's own value is above its group's.
    above: str | None = None
    fall: Fall | None = None
    stale: Annotated[int, Field(ge=1, le=100)] | None = None
    clears: Clearing | None = None
    expires_after: Days | None = None

    @property
    def counted(self) -> Counts | None:
        """The records it reads; None where it reads the score, earlier runs, or no record at all."""
        nested = self.deadline or self.expiring
        return self.counts or (nested.counts if nested else None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads besides those of its condition."""
        if self.deadline:
            return self.deadline.due, self.deadline.done
        ending = self.expiring
        return tuple(filter(None, (ending.valid_until, ending.per))) if ending else ()

    @model_validator(mode="after")
    def _check_trigger(self) -> Self:
        triggers = (self.counts, self.deadline, self.expiring, self.near_band, self.above, self.fall, self.stale)
        if sum(trigger is not None for trigger in triggers) != 1:
            raise ValueError("a rule has exactly one of counts, deadline, expiring, near_band, above, fall, stale")
        if self.counts and self.state != "listed" and self.within is None:
            raise ValueError("a rule that counts records says within how many days")
        if self.fall and not (self.clears or self.expires_after):
            raise ValueError("a fall does not undo itself: say clears or expires_after")
        if self.clears and self.clears.recovered and not self.fall:
            raise ValueError("only a fall can be recovered from")
        return self


class Burst(Frozen):
    """One warning of the whole domain when more than a share of its subjects are newly at ``from_level`` or worse."""

    title: Text
    title_en: Text
    level: LevelId
    from_level: LevelId
    within: Days
    above_percent: Annotated[Decimal, Field(gt=0, lt=100, decimal_places=2)]


class WarningTable(Table):
    """The warnings of a domain. ``holidays`` names the table of public holidays that its working days follow."""

    holidays: str = "china"
    levels: Annotated[Mapping[LevelId, Level], Field(min_length=1)]
    #: Percentiles over the domain's subjects that rules compare with.
    statistics: Mapping[Identifier, Statistic] = Field(default_factory=dict)
    rules: Annotated[tuple[WarningRule, ...], Field(min_length=1)]
    burst: Burst | None = None

    def counts(self) -> Iterator[Counts]:
        """Everything the rules count."""
        for rule in self.rules:
            if rule.counted:
                yield rule.counted
        yield from (statistic.counts for statistic in self.statistics.values())


def name_statistic(name: str) -> str:
    """A table's statistic among those of the model: the dot tells it from the model's own."""
    return f"warnings.{name}"


def check_warnings(document: Document[Any], table: WarningTable) -> Iterator[Problem]:
    """Levels are ordered and escalate upwards; rules name levels, datasets and columns that there are."""
    yield from _check_levels(document, table)
    yield from check_statistics(document, table.statistics, ("statistics",))
    seen: set[str] = set()
    for index, rule in enumerate(table.rules):
        path: tuple[str | int, ...] = ("rules", index)
        if rule.id in seen:
            yield document.problem((*path, "id"), "the id is used twice", got=rule.id)
        seen.add(rule.id)
        yield from _check_level(document, table, (*path, "level"), rule.level)
        if rule.counts:
            yield from check_counts(document, rule.counts, (*path, "counts"))
        if rule.counted and rule.counted.wild:
            yield document.problem((*path, "counts", "dataset"), "a warning counts one department's dataset")
        if rule.above and rule.above not in table.statistics:
            known = ", ".join(table.statistics) or "none"
            yield document.problem((*path, "above"), "there is no such statistic", expected=known, got=rule.above)
        yield from _check_dates(document, rule, path)
    if table.burst:
        yield from _check_level(document, table, ("burst", "level"), table.burst.level)
        yield from _check_level(document, table, ("burst", "from_level"), table.burst.from_level)


def _check_levels(document: Document[Any], table: WarningTable) -> Iterator[Problem]:
    ranks = [level.rank for level in table.levels.values()]
    if ranks != sorted(set(ranks)):
        yield document.problem(("levels",), "levels stand in order, the most severe first, each with its own rank")
    for name, level in table.levels.items():
        path = ("levels", name, "escalates_to")
        if level.escalates_to is None:
            continue
        if level.sign_within is None:
            yield document.problem(path, "a level that escalates has days to sign in", expected="sign_within")
        higher = table.levels.get(level.escalates_to)
        if higher is None:
            yield from _check_level(document, table, path, level.escalates_to)
        elif higher.rank >= level.rank:
            yield document.problem(path, "a level escalates to a more severe one", got=level.escalates_to)


def _check_level(
    document: Document[Any], table: WarningTable, path: tuple[str | int, ...], level: str
) -> Iterator[Problem]:
    if level not in table.levels:
        yield document.problem(path, "there is no such level", expected=", ".join(table.levels), got=level)


def _check_dates(document: Document[Any], rule: WarningRule, path: tuple[str | int, ...]) -> Iterator[Problem]:
    named: list[tuple[str, Counts, Mapping[str, str]]] = []
    if rule.deadline:
        named.append(("deadline", rule.deadline.counts, {"due": rule.deadline.due, "done": rule.deadline.done}))
    if rule.expiring:
        named.append(("expiring", rule.expiring.counts, {"valid_until": rule.expiring.valid_until}))
    for key, counts, wanted in named:
        yield from check_counts(document, counts, (*path, key, "counts"))
        columns = dataset_columns(counts.dataset)
        for name, column in wanted.items():
            if columns and columns.get(column) != "date":
                yield document.problem((*path, key, name), "not a date column of the dataset", got=column)
    per = rule.expiring.per if rule.expiring else None
    if rule.expiring and per and per not in dataset_columns(rule.expiring.counts.dataset):
        yield document.problem((*path, "expiring", "per"), "not a column of the dataset", got=per)
