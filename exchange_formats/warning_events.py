"""Arrow schemas of the warning log: what happened, and what is open after it (semantics §4).

The log of a domain is append-only: each entry holds the events of one run, or one answer of
a department, and names the entries before it. An event says the warning as it is after it, so
where a warning stands is a fold over its events; ``standing`` is that fold up to an entry.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import pyarrow as pa

from exchange_formats.results import SUBJECT

#: What a run finds, in the order in which it is told; what a department answers.
FindingKind = Literal["escalated", "raised", "updated", "cleared", "expired"]
AnswerKind = Literal["signed", "handled"]
EventKind = FindingKind | AnswerKind
#: ``over``: it ended, and its trigger still stands; kept so that only a new trigger raises it again.
LogState = Literal["open", "signed", "handled", "over"]


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


#: One row a warning, ordered by subject_ref, rule, id.
STANDING: Final = pa.schema(
    [
        #: UUIDv5 of domain, subject reference, rule and first trigger.
        _required("id", pa.string()),
        *SUBJECT,
        _required("rule", pa.string()),
        _required("level", pa.string()),
        #: The rule's own level; ``level`` is more severe after an escalation.
        _required("rule_level", pa.string()),
        _required("state", pa.string()),
        #: The first trigger's day; null where the score itself is the trigger.
        pa.field("triggered_on", pa.date32()),
        #: A record's id, ``band:<grade>@<day it was raised>``, or ``fall:<grade>@<day it last stood>``.
        _required("trigger", pa.string()),
        pa.field("last_triggered_on", pa.date32()),
        _required("last_trigger", pa.string()),
        _required("records", pa.int64()),
        pa.field("dataset", pa.string()),
        #: The day (as_of) of the run that raised it, the level then, and its number among that day's of that level.
        _required("raised_on", pa.date32()),
        _required("raised_level", pa.string()),
        _required("number", pa.int32()),
        #: Since when it has its present level, and the last day to sign for it; null: no limit.
        _required("level_since", pa.date32()),
        pa.field("sign_by", pa.date32()),
        pa.field("answered_at", pa.timestamp("us", "UTC")),
    ]
)

#: One row an event, in the order in which they are told.
EVENTS: Final = pa.schema(
    [
        _required("kind", pa.string()),
        #: The run's day; of an answer the day (Asia/Shanghai) it was given.
        _required("occurred_on", pa.date32()),
        *STANDING,
        #: Before the event, where it changed them.
        pa.field("previous_level", pa.string()),
        pa.field("previous_records", pa.int64()),
        #: Of an escalation: ``new_trigger`` or ``unsigned``.
        pa.field("cause", pa.string()),
        #: Of an answer: who gave it, whether in time (null: no limit), and what was done.
        pa.field("department", pa.string()),
        pa.field("in_time", pa.bool_()),
        pa.field("office", pa.string()),
        pa.field("result", pa.string()),
        pa.field("summary", pa.string()),
    ]
)


def render_number(raised_on: date, department_no: int, rank: int, number: int) -> str:
    """The YJ number of a warning, for people only: day, department, level (1 is the most severe), number (facts §4)."""
    return f"YJ{raised_on:%Y%m%d}{department_no:02d}{rank}{number:06d}"
