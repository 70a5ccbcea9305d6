"""What consumers are told of the warning log: every event once, answers too, whatever crashed (semantics §4, §7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exchange_formats.errors import TransientError
from exchange_formats.keys import plan_key
from exchange_formats.messages import OutgoingMessage
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.warning_log import (
    DECLARED,
    EXPIRED,
    HANDLED,
    LIFTED,
    PROVINCE,
    SIGNED,
    WarningExpired,
    WarningHandled,
    WarningSigned,
    fold_state,
)
from exchange_formats.publications import Plan
from gateway.publication import PublicationResult, publish_domain
from gateway.warning_log import read_log
from tests.publication_samples import DOMAIN, NOW, Bus
from tests.warning_runs import A, Story, found, graded, near_band, on, penalties


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def publish(story: Story, bus: Bus, **options: Any) -> PublicationResult:
    return publish_domain(
        DOMAIN, lake=story.lake, open_publisher=bus.open, now=lambda: NOW, spool=story.spool, **options
    )


def warned(bus: Bus) -> list[OutgoingMessage]:
    return [one for one in bus.sent if ".warning." in one.type]


def kinds(bus: Bus) -> list[str]:
    return [one.type.split(".")[3] for one in warned(bus)]


def test_answers_are_echoed_with_the_next_publication(story: Story) -> None:
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    publish(story, Bus())
    story.answer("signed", "2026-06-11")
    story.answer("handled", "2026-06-12", summary='现场"复查"已整改')
    story.run("2026-06-13", "C", [penalties("2026-06-01")])
    bus = Bus()
    totals = publish(story, bus).runs[0].totals
    signed, handled = (decode_event(one.body) for one in warned(bus))
    assert (signed.type, handled.type) == (SIGNED, HANDLED)
    assert isinstance(signed.data, WarningSigned)
    assert isinstance(handled.data, WarningHandled)
    assert (signed.data.department, signed.data.in_time, signed.data.warning.subject_ref) == (
        "ecology_environment", True, A,
    )  # fmt: skip
    assert (handled.data.result, handled.data.summary, handled.data.in_time) == ("rectified", '现场"复查"已整改', None)
    assert handled.data.sequence == signed.data.sequence + 1
    assert (totals.signed, totals.handled) == (1, 1)
    story.run("2026-06-14", "C", [penalties("2026-06-01")])
    again = Bus()
    publish(story, again)
    assert again.sent == []


def test_expiry_says_its_day(story: Story) -> None:
    checks = found("failed_checks", "yellow", "2026-01-05", "c-1")
    story.run("2026-06-20", "C", [checks])
    story.answer("signed", "2026-06-22")
    story.run("2026-07-05", "C")
    bus = Bus()
    publish(story, bus)
    assert kinds(bus) == ["raised", "signed", "expired"]
    expired = decode_event(warned(bus)[-1].body)
    assert expired.type == EXPIRED
    assert isinstance(expired.data, WarningExpired)
    assert expired.data.expired_on == on("2026-07-05")


def test_industry_wide_warning_is_declared_and_lifted_under_the_provinces_key(story: Story) -> None:
    story.run("2026-06-20", "C", [penalties("2026-06-20")])
    story.run("2026-06-23", "C", [penalties("2026-06-20")])
    story.run("2026-06-29", "C", [penalties("2026-06-20")])
    bus = Bus()
    publish(story, bus)
    industry = [one for one in bus.sent if one.type in {DECLARED, LIFTED}]
    assert [one.type for one in industry] == [DECLARED, LIFTED]
    assert {one.routing_key for one in industry} == {f"warning.{DOMAIN}.{PROVINCE}.orange"}
    assert [one.priority for one in industry] == [6, 6]


@pytest.mark.semantics("6.15", "7.1")
def test_plan_names_the_entries_it_tells(story: Story) -> None:
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    answer = story.answer("signed", "2026-06-11")
    story.run("2026-06-12", "C", [penalties("2026-06-01"), near_band("C")])
    publish(story, Bus())
    first, second = (
        Plan.model_validate_json(story.lake.store.get_bytes(plan_key(DOMAIN, run.run_id)))
        for run in story.runs.committed
    )
    entries = [entry.sha256 for entry in story.entries]
    assert (first.warned, second.warned) == ((entries[0],), (answer.sha256, entries[1]))


def test_entry_that_was_not_recorded_after_scoring_is_recorded_by_the_publication(story: Story) -> None:
    story.runs.commit(on("2026-06-10"), [graded(A, "C")], [penalties("2026-06-01")])
    assert read_log(story.lake, DOMAIN).entries == ()
    bus = Bus()
    publish(story, bus)
    assert kinds(bus) == ["raised"]
    assert len(read_log(story.lake, DOMAIN).entries) == 1


@pytest.mark.parametrize("confirmed", range(5))
def test_every_event_is_told_once_when_the_broker_failed_anywhere(story: Story, confirmed: int) -> None:
    overdue = found("rectification_overdue", "yellow", "2026-06-01", "c-1")
    story.run("2026-06-10", "C", [overdue, near_band("C")])
    story.run("2026-06-18", "C", [overdue])
    story.answer("signed", "2026-06-19")
    bus = Bus(fail_after=confirmed)
    with pytest.raises(TransientError):
        publish(story, bus)
    bus.fail_after = None
    # Somebody answers while the first run's plan waits: its bytes stay the same.
    story.answer("handled", "2026-06-22")
    story.run("2026-06-23", "C")
    publish(story, bus)
    bodies: dict[str, set[bytes]] = {}
    for one in bus.sent:
        bodies.setdefault(one.id, set()).add(one.body)
    assert all(len(same) == 1 for same in bodies.values())
    told: dict[str, list[str]] = {}
    for body in dict.fromkeys(one.body for one in warned(bus)):
        event = decode_event(body)
        told.setdefault(event.data.model_dump()["warning"]["id"], []).append(event.type)
    assert sorted([kind.split(".")[3] for kind in found] for found in told.values()) == [
        ["raised", "cleared"],
        ["raised", "escalated", "signed", "handled", "cleared"],
    ]
    assert {fold_state(found) for found in told.values()} == {"cleared"}


@pytest.mark.semantics("4.13")
def test_correction_tells_no_warning(story: Story) -> None:
    story.run("2026-06-30", "C")
    publish(story, Bus())
    story.run("2026-06-10", "E", [penalties("2026-06-01")])
    bus = Bus()
    publish(story, bus, correction=True)
    assert [one.type.split(".")[3] for one in bus.sent] == ["evaluated"]


@pytest.mark.semantics("4.13")
def test_nothing_is_told_again_when_a_run_was_overtaken_before_it_was_recorded(story: Story) -> None:
    """The process died between a run's commit and its entry, and the next run was recorded."""
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    publish(story, Bus())
    story.runs.commit(on("2026-06-11"), [graded(A, "C")], [penalties("2026-06-01"), near_band("C")])
    story.run("2026-06-12", "C", [penalties("2026-06-01"), near_band("C")])
    bus = Bus()
    assert len(publish(story, bus).runs) == 2
    assert kinds(bus) == ["raised"]
    assert decode_event(warned(bus)[0].body).data.model_dump()["warning"]["rule"] == "near_lower_band"


@pytest.mark.semantics("4.13")
def test_log_does_not_go_back_when_a_run_of_the_same_day_is_recorded_late(story: Story) -> None:
    story.runs.commit(on("2026-06-10"), [graded(A, "C")], [])
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    bus = Bus()
    publish(story, bus)
    assert kinds(bus) == ["raised"]
    assert story.open() == [("frequent_penalties", "orange", "open")]
