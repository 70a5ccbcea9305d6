"""The log of a warning: its state is the fold over its events; consumers read every one of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.warning_log import (
    CLEARED,
    ESCALATED,
    EXPIRED,
    HANDLED,
    OVER,
    RAISED,
    SIGNED,
    UPDATED,
    WARNING_EVENTS,
    State,
    fold_state,
)
from exchange_formats.received import read_event


@pytest.mark.semantics("4.1")
@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], None),
        ([RAISED], "open"),
        ([RAISED, UPDATED], "open"),
        ([RAISED, SIGNED, UPDATED], "signed"),
        ([RAISED, SIGNED, ESCALATED], "open"),
        ([RAISED, SIGNED, HANDLED], "handled"),
        ([RAISED, SIGNED, HANDLED, CLEARED], "cleared"),
        ([RAISED, EXPIRED], "expired"),
        ([RAISED, CLEARED, RAISED], "open"),
    ],
)
def test_state_is_the_fold_of_the_events(events: list[str], state: State | None) -> None:
    assert fold_state(events) == state


@pytest.mark.semantics("4.1")
@pytest.mark.parametrize(
    "events", [[SIGNED], [UPDATED], [CLEARED], [RAISED, RAISED], [RAISED, CLEARED, SIGNED], [RAISED, EXPIRED, UPDATED]]
)
def test_log_is_refused_when_an_event_cannot_follow(events: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot be followed by"):
        fold_state(events)


@given(st.lists(st.sampled_from(WARNING_EVENTS), max_size=8))
def test_warning_is_raised_only_when_it_is_not_there(events: list[str]) -> None:
    try:
        fold_state(events)
    except ValueError:
        return
    open_now = False
    for kind in events:
        assert (kind == RAISED) is not open_now
        open_now = kind not in OVER


@pytest.mark.parametrize("kind", WARNING_EVENTS)
def test_consumer_reads_every_event_of_the_log(kind: str) -> None:
    message = example_message(MESSAGES[kind])
    document = json.loads(message.body)
    document["data"]["novelty"] = document["novelty"] = 1
    event, data = read_event(json.dumps(document).encode())
    assert event.type == kind
    assert data is not None
    assert data.warning is not None
    assert (data.domain, data.warning.level) == ("enterprise_environment", "orange")
