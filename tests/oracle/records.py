"""Semantics §2, record by record: which version stands, and whether it counts at ``as_of``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeAlias

from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.periods import add_months, covers
from exchange_formats.subjects import is_individual_business, subject_type
from scoring.grammar import Counts
from scoring.resolution import ResolvedModel
from scoring.tables import SeverityRow
from tests.oracle.conditions import holds

Row: TypeAlias = Mapping[str, Any]
#: ``department/dataset`` → every version of every record.
Inputs: TypeAlias = Mapping[str, Iterable[Row]]
#: 浙江省公共信用信息管理条例 16: nothing adverse counts after five years.
FIVE_YEARS: Final = 60
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Day:
    """What everything is judged by: the model with its tables, on one day."""

    resolved: ResolvedModel
    as_of: date

    def passed(self, day: date | None) -> bool:
        """Whether ``day`` was reached by the end of as_of."""
        return day is not None and day <= self.as_of


@dataclass(frozen=True)
class Record:
    """The standing version of one record."""

    source: str
    dataset: Dataset
    row: Row

    @property
    def id(self) -> str:
        return str(self.row["record_id"])

    @property
    def subject(self) -> str:
        return str(self.row["subject_ref"])

    def happened(self, day: Day) -> bool:
        """Whether the day of its event was reached by as_of."""
        return day.passed(self.row.get(self.dataset.event_on))

    @cached_property
    def event(self) -> date:
        found = self.row[self.dataset.event_on]
        assert isinstance(found, date)
        return found

    @cached_property
    def facts(self) -> Row:
        """The row as a condition reads it: with what is known of its subject."""
        return dict(self.row) | {
            "subject_type": subject_type(self.subject),
            "individual_business": is_individual_business(self.subject),
        }

    def state(self, name: str) -> date | None:
        """The day the record entered a dated state; None where it did not, or its dataset has no such state."""
        column = getattr(self.dataset.states, name)
        return self.row.get(column) if column else None

    def is_penalty(self) -> bool:
        return self.dataset.states.final is not None

    def under_objection(self, day: Day) -> bool:
        columns = self.dataset.states.objected
        if columns is None:
            return False
        opened, closed = (self.row.get(name) for name in columns)
        return day.passed(opened) and not day.passed(closed)


def standing(source: str, rows: Iterable[Row]) -> list[Record]:
    """The latest version of every record of ``source``, unless it was revoked: then it never happened."""
    dataset = load_catalogue()[source.rpartition("/")[2]]
    latest: dict[str, Row] = {}
    for row in rows:
        held = latest.get(row["record_id"])
        if held is None or is_newer(row, held):
            latest[row["record_id"]] = row
    found = (Record(source, dataset, row) for row in latest.values())
    return [record for record in found if record.state("revoked") is None]


def is_newer(row: Row, held: Row) -> bool:
    """By source update time (none is the oldest), chain sequence, row; all equal, the smaller batch id."""
    first, second = _age(row), _age(held)
    return first > second or (first == second and row["batch_id"] < held["batch_id"])


def _age(row: Row) -> tuple[datetime, int, int]:
    return (row.get("source_updated_at") or _LONG_AGO, row["chain_sequence"], row["row"])


def severity(record: Record, day: Day) -> SeverityRow:
    """The first row of the severity table that holds for a penalty."""
    return next(row for row in day.resolved.severity.rows if holds(row.when, record.dataset, record.facts))


def exclusion(record: Record, counts: Counts, day: Day, *, adverse: bool) -> str | None:
    """Why a claimed record does not count; None where it does."""
    if record.is_penalty() and (why := _not_final(record, day)):
        return why
    if day.passed(record.state("repaired")):
        return "repaired"
    if record.is_penalty() and not _is_published(record, day):
        return "publicity_ended"
    months = counts.lookback or day.resolved.model.lookback
    if not covers(record.event, min(months, FIVE_YEARS) if adverse else months, day.as_of):
        return "lookback_ended"
    if counts.valid_until:
        last = record.row.get(counts.valid_until)
        if last is not None and last < day.as_of:
            return "validity_ended"
    return None


def not_in_force(record: Record, day: Day) -> str | None:
    """Why a list entry is not in force; None where it is. An entry in force is never too old.

    Who left the list by repair left it all the same: what follows a removal follows.
    """
    if day.passed(record.state("removed")):
        return "removed"
    return "repaired" if day.passed(record.state("repaired")) else None


def _not_final(record: Record, day: Day) -> str | None:
    if record.row.get("procedure") == "simple":
        return "simple_procedure"
    if day.passed(record.row.get("review_opened_on")) and not day.passed(record.row.get("review_closed_on")):
        return "review_open"
    final = record.state("final") or record.event + timedelta(days=day.resolved.publicity.final_after)
    return None if day.passed(final) else "not_final"


def _is_published(record: Record, day: Day) -> bool:
    """Whether its tier's period has not ended, by the decree of its dataset (by default the national one)."""
    decree = day.resolved.decrees.get(record.source, day.resolved.decree)
    published = record.row.get(decree.counted_from) if decree.counted_from else None
    months = decree.tiers[severity(record, day).tier].months
    return day.as_of <= add_months(published or record.event, months)


def decay_factor(event: date, day: Day) -> Decimal:
    """The weight of a record of that age."""
    for step in day.resolved.decay.steps:
        if covers(event, step.months, day.as_of):
            return step.factor
    return Decimal(0)


def repeat_factor(previous: date | None, event: date, day: Day) -> Decimal:
    """The weight of a record whose indicator's previous counting record was of ``previous``."""
    repeat = day.resolved.decay.repeat
    if previous is not None and event <= add_months(previous, repeat.within):
        return repeat.factor
    return Decimal(1)
