"""Stale data: the department that owns a dataset is told once when it brought nothing for several of its cycles.

How many cycles and at which level each waiting domain's warnings table says (facts §4); the cycle is the
department's own schedule. When new data comes there is nothing to clear: the next silence is a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

from croniter import croniter

from connectors.department import Departments
from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import feedback_prefix
from exchange_formats.messages.envelope import GATEWAY_SOURCE, encode_event
from exchange_formats.messages.feedback import FEEDBACK_AWAITED, FeedbackAwaited, WaitingDomain, feedback_key
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.periods import SHANGHAI, end_of_day, shanghai_date
from gateway.outbox import Letter, send_once
from gateway.outcomes import read_completeness
from gateway.publication import OpenPublisher
from scoring.library import Models
from scoring.resolution import resolve

#: The longest gap among so many turns of a schedule is its cycle: weekdays only has a weekend in it.
_TURNS: Final = 10


@dataclass(frozen=True, slots=True)
class Reminders:
    """Overdue datasets (``department/dataset``), and how many of them were told of just now."""

    overdue: tuple[str, ...]
    told: int


def remind_owners(
    *, lake: Lake, departments: Departments, models: Models, open_publisher: OpenPublisher, now: Callable[[], datetime]
) -> Reminders:
    """Tell every owner of a dataset that some domain reads and that is overdue, once a silence.

    Raises:
        TransientError, FatalError, ConfigurationError: as the publisher; what was told before stays told.
    """
    instant = now()
    overdue = list(find_overdue(lake, departments, models, instant))
    letters = (_write(one, instant) for one in overdue if not lake.store.exists(_mark(one)))
    told = send_once(letters, lake.store, open_publisher)
    return Reminders(tuple(f"{one.participant}/{one.dataset}" for one in overdue), told)


def find_overdue(lake: Lake, departments: Departments, models: Models, now: datetime) -> Iterator[FeedbackAwaited]:
    """Datasets that brought nothing for more cycles than a domain that reads them allows, by department and dataset.

    What was never collected is not overdue: nothing says since when.
    """
    for source, waiting in sorted(_find_readers(departments, models, shanghai_date(now)).items()):
        department, _, dataset = source.partition("/")
        until = read_completeness(lake, department, dataset)
        if until is None:
            continue
        cycle = find_cycle(departments.by_id[department].schedule, now)
        late = [one for one, cycles in waiting if now - end_of_day(until) > cycles * cycle]
        if late:
            yield FeedbackAwaited(
                participant=department,
                dataset=dataset,
                current_until=until,
                cycle_hours=max(1, cycle // timedelta(hours=1)),
                stale_after_cycles=min(cycles for _, cycles in waiting),
                domains=tuple(late),
            )


def find_cycle(schedule: str, now: datetime) -> timedelta:
    """The longest time between two turns of a schedule in Asia/Shanghai, of those about ``now``."""
    turns = croniter(schedule, now.astimezone(SHANGHAI))
    days: list[datetime] = [turns.get_next(datetime) for _ in range(_TURNS)]
    return max(after - before for before, after in pairwise(days))


def _find_readers(departments: Departments, models: Models, day: date) -> Mapping[str, list[tuple[WaitingDomain, int]]]:
    """``department/dataset`` → the domains that read it, each with the cycles it waits."""
    known = [f"{one.id}/{dataset}" for one in departments.by_id.values() for dataset in one.datasets]
    found: dict[str, list[tuple[WaitingDomain, int]]] = {}
    for domain in sorted(models.versions):
        try:
            resolved = resolve(models.in_force(domain, day), day, models.tables)
        except ConfigurationError:
            continue  # no model in force today reads anything
        rule = next((rule for rule in resolved.warnings.rules if rule.stale), None)
        if rule is None or rule.stale is None:
            continue
        for source in resolved.used(known):
            waiting = WaitingDomain(domain=domain, level=rule.level, required=source in resolved.required)
            found.setdefault(source, []).append((waiting, rule.stale))
    return found


def _write(one: FeedbackAwaited, now: datetime) -> Letter:
    message = encode_event(
        FEEDBACK_AWAITED,
        one.model_dump_json(exclude_none=True).encode(),
        source=GATEWAY_SOURCE,
        scope=one.current_until.isoformat(),
        subject=f"{one.participant}/{one.dataset}",
        time=now,
        routing_key=feedback_key(one.participant),
        priority=MESSAGES[FEEDBACK_AWAITED].priority,
    )
    return Letter(message, _mark(one))


def _mark(one: FeedbackAwaited) -> str:
    return f"{feedback_prefix(one.participant, one.dataset)}awaited-{one.current_until.isoformat()}.json"
