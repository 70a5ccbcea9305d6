"""Data that is overdue by three of its cycles: its owner is told once, with who waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.department import Departments, load_departments
from connectors.lake import Lake
from exchange_formats.manifests import Outcome, Window
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.feedback import FeedbackAwaited
from gateway.outcomes import write_outcome
from gateway.reminders import find_cycle, remind_owners
from scoring.library import load_models
from tests.fakes import MemoryStore
from tests.publication_samples import Bus

ALL = load_departments()
#: Collects every night at 02:30 Shanghai time.
ECOLOGY = "ecology_environment"
DEPARTMENTS = Departments({ECOLOGY: ALL.by_id[ECOLOGY]}, {})
MODELS = load_models()
LAST = datetime(2026, 6, 30, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache")


def pull(lake: Lake, until: datetime, result: str = "nothing_new", dataset: str = "penalty") -> None:
    window = Window(until=until)
    told = {"department": ECOLOGY, "dataset": dataset, "window": window, "result": result, "host": "h"}
    write_outcome(lake, Outcome(**told, started_at=until, finished_at=until))


def remind(lake: Lake, bus: Bus, now: datetime) -> tuple[tuple[str, ...], int]:
    done = remind_owners(lake=lake, departments=DEPARTMENTS, models=MODELS, open_publisher=bus.open, now=lambda: now)
    return done.overdue, done.told


@pytest.mark.semantics("8.3")
def test_owner_is_told_once_when_three_cycles_brought_nothing(lake: Lake) -> None:
    pull(lake, LAST)
    bus = Bus()
    assert remind(lake, bus, LAST + timedelta(days=3)) == ((), 0)
    assert remind(lake, bus, LAST + timedelta(days=3, minutes=2)) == ((f"{ECOLOGY}/penalty",), 1)
    assert remind(lake, bus, LAST + timedelta(days=9)) == ((f"{ECOLOGY}/penalty",), 0)
    (message,) = bus.sent
    assert (message.routing_key, message.priority) == (f"feedback.{ECOLOGY}", 1)
    said = decode_event(message.body).data
    assert isinstance(said, FeedbackAwaited)
    assert (said.current_until.isoformat(), said.cycle_hours, said.stale_after_cycles) == ("2026-06-30", 24, 3)
    waiting = {one.domain: (one.level, one.required) for one in said.domains}
    assert waiting["enterprise_environment"] == ("blue", True)
    assert waiting["public_credit_enterprise"][1] is False, "the public evaluation reads it, and goes on without"


def test_next_silence_is_told_anew(lake: Lake) -> None:
    pull(lake, LAST)
    bus = Bus()
    remind(lake, bus, LAST + timedelta(days=4))
    pull(lake, LAST + timedelta(days=5), "landed")
    assert remind(lake, bus, LAST + timedelta(days=6)) == ((), 0)
    assert remind(lake, bus, LAST + timedelta(days=9))[1] == 1
    assert len({one.id for one in bus.sent}) == 2


def test_failed_pull_is_no_news(lake: Lake) -> None:
    pull(lake, LAST)
    pull(lake, LAST + timedelta(days=3), "failed")
    assert remind(lake, Bus(), LAST + timedelta(days=4))[1] == 1


def test_dataset_that_was_never_collected_is_not_overdue(lake: Lake) -> None:
    pull(lake, LAST, "failed")
    assert remind(lake, Bus(), LAST + timedelta(days=90)) == ((), 0)


@pytest.mark.parametrize(
    ("schedule", "days"), [("30 2 * * *", 1), ("0 2 * * 1-5", 3), ("0 1 1 * *", 31), ("0 */6 * * *", 0.25)]
)
def test_cycle_is_the_longest_gap_of_the_schedule(schedule: str, days: float) -> None:
    assert find_cycle(schedule, LAST) == timedelta(days=days)
