"""Semantics §4 without history: which warnings stand at as_of, and since which trigger.

Falls need earlier runs and stale data are told to their owner: both are the warning log's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from exchange_formats.digests import derive_uuid
from scoring.grammar import Counts
from scoring.warning_tables import WarningRule, name_statistic
from tests.oracle.conditions import holds
from tests.oracle.measurement import measure_value
from tests.oracle.population import Population
from tests.oracle.records import Day, Record, exclusion, not_in_force


@dataclass(frozen=True)
class Trigger:
    """One record that raises a warning, on the day it does."""

    day: date
    record: Record


@dataclass(frozen=True)
class Standing:
    """What a rule rests on: its first and newest trigger, and how many records are behind it."""

    first: Trigger
    last: Trigger
    records: int


class Watch:
    """The rules of a model's warning table over a population."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.day: Day = population.day

    def warn(self, grade: dict[str, Any], records: Sequence[Record]) -> Iterator[dict[str, Any]]:
        """The rows of WARNINGS of one subject, as the table is written; ``grade`` is its row of GRADES."""
        for rule in self.day.resolved.warnings.rules:
            found = self._near_band(rule, grade) if rule.near_band is not None else self._stand(rule, grade, records)
            if found is None:
                continue
            first = found["first_trigger"]
            subject = {name: grade[name] for name in _SUBJECT}
            derived = str(derive_uuid(self.day.resolved.model.id, grade["subject_ref"], rule.id, first))
            yield {"id": derived, **subject, "rule": rule.id, "level": rule.level, **found}

    def _near_band(self, rule: WarningRule, grade: dict[str, Any]) -> dict[str, Any] | None:
        """The score is within so many points of the next lower grade, and decides the grade."""
        bands = self.day.resolved.bands.bands
        band = next((one for one in bands if one.grade == grade["computed_grade"]), None)
        if grade["score"] is None or band is None or band is bands[-1] or grade["grade"] != grade["computed_grade"]:
            return None
        if grade["score"] - band.from_ > (rule.near_band or Decimal(0)):
            return None
        named = f"band:{band.grade}"
        return _row(None, named, None, named, 0, None)

    def _stand(self, rule: WarningRule, grade: dict[str, Any], records: Sequence[Record]) -> dict[str, Any] | None:
        if rule.above:
            return self._above(rule.above, grade["subject_ref"])
        if rule.counts:
            found = self._counted(rule, rule.counts, records)
        elif rule.deadline:
            found = self._missed(rule, records)
        elif rule.expiring:
            found = self._expiring(rule, records)
        else:
            return None
        if found is None:
            return None
        first, last = found.first, found.last
        return _row(first.day, first.record.id, last.day, last.record.id, found.records, first.record.source)

    def _claimed(self, counts: Counts, records: Sequence[Record]) -> list[Record]:
        return [r for r in records if self.population.means(counts, r) and holds(counts.where, r.dataset, r.facts)]

    def _counted(self, rule: WarningRule, counts: Counts, records: Sequence[Record]) -> Standing | None:
        claimed = self._claimed(counts, records)
        if rule.state == "listed":
            inside = [record for record in claimed if not_in_force(record, self.day) is None]
            triggers = _ordered(Trigger(record.event, record) for record in inside)
            if len(triggers) < rule.at_least:
                return None
            return Standing(triggers[rule.at_least - 1], triggers[-1], len(triggers))
        if rule.state == "counting":
            claimed = [one for one in claimed if exclusion(one, counts, self.day, adverse=True) is None]
        within = timedelta(days=rule.within or 0)
        entries = _ordered(Trigger(self._effective(record), record) for record in claimed)
        triggers = [
            entry
            for place, entry in enumerate(entries)
            if place + 1 >= rule.at_least and entry.day - entries[place + 1 - rule.at_least].day <= within
        ]
        if not triggers or self.day.as_of - triggers[-1].day > within:
            return None
        first = triggers[0]
        for before, after in pairwise(triggers):
            if after.day - before.day > within:
                first = after
        return Standing(first, triggers[-1], sum(self.day.as_of - entry.day <= within for entry in entries))

    def _effective(self, record: Record) -> date:
        """A penalty triggers when it became final, anything else on the day of its event."""
        if not record.is_penalty():
            return record.event
        final = record.state("final") or record.event + timedelta(days=self.day.resolved.publicity.final_after)
        return max(record.event, final)

    def _missed(self, rule: WarningRule, records: Sequence[Record]) -> Standing | None:
        """Dates of records that count which passed before as_of without the other date being reached."""
        deadline = rule.deadline
        assert deadline is not None
        found = []
        for record in self._claimed(deadline.counts, records):
            due, done = record.row.get(deadline.due), record.row.get(deadline.done)
            if due is None or due >= self.day.as_of or self.day.passed(done):
                continue
            if exclusion(record, deadline.counts, self.day, adverse=True) is None:
                found.append(Trigger(due, record))
        return _all_of(found)

    def _expiring(self, rule: WarningRule, records: Sequence[Record]) -> Standing | None:
        """Last days ahead that no later one follows."""
        ending = rule.expiring
        assert ending is not None
        within = timedelta(days=ending.within)
        valid = [
            (record, record.row[ending.valid_until])
            for record in self._claimed(ending.counts, records)
            if record.row.get(ending.valid_until) is not None
        ]
        found = []
        for record, last in valid:
            same = [day for other, day in valid if not ending.per or _same(other, record, ending.per)]
            if self.day.as_of <= last <= self.day.as_of + within and max(same) == last:
                found.append(Trigger(last - within, record))
        return _all_of(found)

    def _above(self, name: str, subject: str) -> dict[str, Any] | None:
        """The subject's own value is above its group's percentile: all its records together, none of them alone."""
        statistic = self.day.resolved.statistics[name_statistic(name)]
        own = self.population.own_records(statistic, subject)
        standard = self.population.reference.get((name_statistic(name), self.population.group(statistic, subject)))
        if not own or standard is None or measure_value(statistic.measure, own, self.day) <= standard:
            return None
        named = f"above:{name}"
        return _row(None, named, None, named, len(own), own[0].source)


_SUBJECT = ("subject_ref", "subject_type", "subject_name", "individual_business", "city_code")


def _same(one: Record, other: Record, column: str) -> bool:
    return bool(one.row.get(column) == other.row.get(column))


def _ordered(triggers: Iterator[Trigger] | Sequence[Trigger]) -> list[Trigger]:
    return sorted(triggers, key=lambda one: (one.day, one.record.id))


def _all_of(triggers: Sequence[Trigger]) -> Standing | None:
    ordered = _ordered(triggers)
    return Standing(ordered[0], ordered[-1], len(ordered)) if ordered else None


def _row(
    first_on: date | None, first: str, last_on: date | None, last: str, records: int, dataset: str | None
) -> dict[str, Any]:
    return {
        "triggered_on": first_on,
        "first_trigger": first,
        "last_triggered_on": last_on,
        "last_trigger": last,
        "records": records,
        "dataset": dataset,
    }
