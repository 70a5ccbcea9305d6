"""Warnings: an append-only log of events, one message each (semantics §4).

What a run finds carries the run (raised, updated, escalated, cleared, expired); what a department
did about a warning is echoed to all who received it (signed, handled). The state of a warning is the
fold over its events in order of ``sequence``; :func:`fold_state` is that fold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from exchange_formats.datasets import Identifier
from exchange_formats.manifests import Count
from exchange_formats.messages.grades import RunData
from exchange_formats.messages.parties import Subject, route
from exchange_formats.messages.texts import Frozen, Level, MessageData, SequenceNumber, Text, Uuid

RAISED: Final = "cn.credit.warning.raised.v1"
UPDATED: Final = "cn.credit.warning.updated.v1"
ESCALATED: Final = "cn.credit.warning.escalated.v1"
SIGNED: Final = "cn.credit.warning.signed.v1"
HANDLED: Final = "cn.credit.warning.handled.v1"
CLEARED: Final = "cn.credit.warning.cleared.v1"
EXPIRED: Final = "cn.credit.warning.expired.v1"
#: Of a whole domain, not of one subject: 行业性预警.
DECLARED: Final = "cn.credit.warning.declared.v1"
LIFTED: Final = "cn.credit.warning.lifted.v1"
#: The city of what concerns the whole province (GB/T 2260).
PROVINCE: Final = "330000"

#: Every type of the log.
WARNING_EVENTS: Final = (RAISED, UPDATED, ESCALATED, SIGNED, HANDLED, CLEARED, EXPIRED)
#: Types after which a warning is over.
OVER: Final = frozenset({CLEARED, EXPIRED})

#: Where a warning stands (facts §4; the states are an assumption, the log is ours).
State = Literal["open", "signed", "handled", "cleared", "expired"]
_STATES: Final[dict[str, State]] = {
    RAISED: "open",
    # More severe: it must be signed for anew.
    ESCALATED: "open",
    SIGNED: "signed",
    HANDLED: "handled",
    CLEARED: "cleared",
    EXPIRED: "expired",
}


class Warning_(Subject):  # noqa: N801 — Warning is a builtin
    """One warning; ``id`` stays the same from raised to cleared (semantics §4)."""

    id: Uuid
    rule: Text
    level: Level
    title: Text
    #: The first trigger's day; absent where the score itself is the trigger.
    triggered_on: date | None = None
    trigger: Text
    records: Count
    #: The last day to sign for it, by working days; absent where its level has no limit.
    sign_by: date | None = None
    basis: tuple[Text, ...] = ()


class WarningRaised(RunData):
    """A warning that was not there before."""

    warning: Warning_


class WarningUpdated(RunData):
    """A warning that stands and whose records changed, or that became less severe."""

    warning: Warning_
    previous_level: Level
    previous_records: Count


class WarningEscalated(RunData):
    """A warning that became more severe: by what happened, or because nobody signed for it in time."""

    warning: Warning_
    previous_level: Level
    cause: Literal["new_trigger", "unsigned"]


class WarningCleared(RunData):
    """A warning whose cause is gone."""

    warning: Warning_


class WarningExpired(RunData):
    """A warning whose time is over; the same warning is raised again only by a new trigger."""

    warning: Warning_
    expired_on: date


class IndustryAlert(Frozen):
    """One warning of a whole domain: more of its subjects than usual were newly warned within a few days."""

    id: Uuid
    level: Level
    title: Text
    raised_on: date
    #: Subjects newly warned at the level that is watched, of so many in the domain, when it was declared.
    warned_subjects: Count
    all_subjects: Count


class WarningDeclared(RunData):
    """An industry-wide warning that was not in force before."""

    industry_warning: IndustryAlert


class WarningLifted(RunData):
    """An industry-wide warning that is no longer in force."""

    industry_warning: IndustryAlert


class AnsweredWarning(Subject):
    """Which warning an answer is about."""

    id: Uuid
    rule: Text
    level: Level


class _Answered(MessageData):
    """What a department did about a warning, as it is told to all who received the warning."""

    domain: Identifier
    sequence: SequenceNumber
    department: Identifier
    warning: AnsweredWarning
    #: Whether it came within the working days its level allows; absent where the level has no limit.
    in_time: bool | None = None


class WarningSigned(_Answered):
    """A department took a warning over (签收)."""

    signed_at: AwareDatetime


class WarningHandled(_Answered):
    """A department said what it did about a warning (处置反馈)."""

    handled_at: AwareDatetime
    result: Literal["rectified", "under_way", "referred", "unfounded"]
    summary: Annotated[Text, Field(min_length=1)]


def encode_warning(run: RunData, item: bytes, **also: str | int) -> bytes:
    """``data`` of a warning message, from a warning that is encoded already; ``also``: the type's own fields."""
    return _join(run.model_dump_json(exclude_none=True)[:-1], "warning", item, also)


def encode_answer(run: RunData, item: bytes, department: str, **also: str | int) -> bytes:
    """``data`` of the echo of an answer: it speaks of no run, but has its place among the domain's messages."""
    head = {"domain": run.domain, "sequence": run.sequence, "department": department}
    return _join(json.dumps(head)[:-1], "warning", item, also)


def encode_industry(run: RunData, item: bytes) -> bytes:
    """``data`` of an industry-wide warning, from its alert that is encoded already."""
    return _join(run.model_dump_json(exclude_none=True)[:-1], "industry_warning", item, {})


def warning_key(domain: str, city: str, level: str, *, person: bool = False) -> str:
    """Routing key of a warning."""
    return route(f"warning.{domain}.{city}.{level}", person=person)


def fold_state(kinds: Iterable[str]) -> State | None:
    """Where a warning stands after events of these types, in order of ``sequence``; None: never raised.

    Raises:
        ValueError: an event that cannot follow: anything before ``raised``, an answer to a warning that is over.
    """
    state: State | None = None
    for kind in kinds:
        begins, over = kind == RAISED, state in {"cleared", "expired"}
        if begins != (state is None or over):
            raise ValueError(f"a warning that is {state or 'not raised'} cannot be followed by {kind}")
        state = _STATES.get(kind, state)
    return state


def _join(head: str, name: str, item: bytes, also: Mapping[str, str | int]) -> bytes:
    tail = "".join(f',"{key}":{json.dumps(value, ensure_ascii=False)}' for key, value in also.items())
    return f'{head},"{name}":'.encode() + item + tail.encode() + b"}"
