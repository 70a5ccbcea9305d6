"""What stands is a fold over the log's events: the same however they were cut into entries (semantics §4)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_formats.messages.warning_log import fold_state
from exchange_formats.warning_events import EVENTS, STANDING
from scoring.warning_log import fold_events

BEGINNING = date(2026, 1, 1)
#: What may follow where a warning stands; None: it was never raised, or is over.
FOLLOWING: dict[str | None, tuple[str, ...]] = {
    None: ("raised",),
    "open": ("updated", "escalated", "signed", "handled", "cleared", "expired"),
    "signed": ("updated", "escalated", "handled", "cleared", "expired"),
    "handled": ("updated", "escalated", "cleared", "expired"),
}


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of a few warnings, each a sequence that may be; no answer is repeated."""
    states: dict[int, str | None] = {}
    rows: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 25))):
        who = draw(st.integers(0, 3))
        state = states.get(who)
        kind = draw(st.sampled_from(FOLLOWING[state]))
        states[who] = {"raised": "open", "escalated": "open", "updated": state}.get(kind, kind)
        if kind in {"cleared", "expired"}:
            states[who] = None
        rows.append(event(who, kind, number, rows))
    return rows


def event(who: int, kind: str, number: int, before: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The event, with the warning as it is after it."""
    known = next((row for row in reversed(before) if row["id"] == f"w{who}"), None)
    day = BEGINNING + timedelta(days=number)
    row: dict[str, Any] = dict.fromkeys(EVENTS.names)
    if known is not None:
        row |= {name: known[name] for name in STANDING.names}
    if kind == "raised":
        row |= {
            "id": f"w{who}",
            "subject_ref": f"91330100MA{who:08d}",
            "subject_type": "enterprise",
            "individual_business": False,
            "city_code": "330100",
            "rule": "frequent_penalties",
            "rule_level": "yellow",
            "level": "yellow",
            "trigger": f"p{number}",
            "last_trigger": f"p{number}",
            "records": 1,
            "raised_on": day,
            "raised_level": "yellow",
            "number": 1,
            "level_since": day,
            "answered_at": None,
        }
    if kind == "updated":
        row |= {"records": row["records"] + 1, "last_trigger": f"p{number}"}
    if kind == "escalated":
        row |= {"level": "red", "level_since": day, "answered_at": None}
    if kind in {"signed", "handled"}:
        row |= {"answered_at": datetime.combine(day, datetime.min.time(), UTC)}
    states = {"raised": "open", "escalated": "open", "cleared": "over", "expired": "over"}
    row["state"] = states.get(kind, row["state"] if kind == "updated" else kind)
    return row | {"kind": kind, "occurred_on": day}


def fold(standing: pa.Table | None, *parts: Sequence[dict[str, Any]]) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        return fold_events(standing, [pa.Table.from_pylist(list(part), schema=EVENTS) for part in parts], Path(folder))


@pytest.mark.semantics("4.1")
@settings(max_examples=40, deadline=None)
@given(rows=histories(), cuts=st.lists(st.integers(0, 25), max_size=4))
def test_state_is_the_same_when_the_events_are_cut_anywhere(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[start:end] for start, end in pairwise(places)]
    whole = fold(None, rows)
    assert fold(None, *parts) == whole
    step: pa.Table | None = None
    for part in parts:
        step = fold(step, part)
    assert step == whole


@pytest.mark.semantics("4.1")
@settings(max_examples=40, deadline=None)
@given(rows=histories())
def test_state_is_what_the_messages_fold_to(rows: list[dict[str, Any]]) -> None:
    kinds: dict[str, list[str]] = {}
    for row in rows:
        kinds.setdefault(row["id"], []).append(f"cn.credit.warning.{row['kind']}.v1")
    over = {"cleared": "over", "expired": "over"}
    expected = {name: over.get(str(fold_state(found)), fold_state(found)) for name, found in kinds.items()}
    assert {row["id"]: row["state"] for row in fold(None, rows).to_pylist()} == expected


@settings(max_examples=40, deadline=None)
@given(rows=histories())
def test_last_event_says_the_warning(rows: list[dict[str, Any]]) -> None:
    last = {row["id"]: {name: row[name] for name in STANDING.names} for row in rows}
    assert {row["id"]: row for row in fold(None, rows).to_pylist()} == last
