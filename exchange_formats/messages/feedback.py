"""Feedback to a sender: what was taken of a batch or message, what was not, and why.

Rows are bounded; every reason shows some. Values are masked when they are rejected (exchange_formats.rejects).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from exchange_formats.datasets import Identifier
from exchange_formats.manifests import Count, Counts, Sha256
from exchange_formats.messages.texts import Contract, Frozen, Level, MessageData, Text

FEEDBACK_REPORTED: Final = "cn.credit.feedback.reported.v1"
FEEDBACK_AWAITED: Final = "cn.credit.feedback.awaited.v1"
#: Rows shown of one batch, and of one reason, at most; all of them are in the gateway's rejects.
MAXIMUM_ROWS: Final = 200
ROWS_PER_REASON: Final = 20


class BatchPointer(Frozen):
    """A batch that was pulled or uploaded. ``until`` is the end of its window."""

    kind: Literal["batch"] = "batch"
    dataset: Identifier
    contract: Contract
    batch_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    manifest_sha256: Sha256
    until: AwareDatetime


class MessagePointer(Frozen):
    """A message that was refused as a whole or taken in part; its ``id`` is the sender's own."""

    kind: Literal["message"] = "message"
    id: Annotated[Text, Field(max_length=100)]
    type: Annotated[Text, Field(max_length=100)] = ""
    routing_key: Annotated[Text, Field(max_length=255)]


class ReasonCount(Frozen):
    """How many rows (or messages) were rejected for one reason; ``shown``: how many of them are in ``rows``."""

    reason: Text
    title: Text
    title_en: Text
    count: Annotated[int, Field(ge=1)]
    shown: Count


class RejectedRow(Frozen):
    """One rejected row: where it stands at the sender's, what is wrong, and the masked value."""

    origin: Text
    row: Annotated[int, Field(ge=1)] | None = None
    reason: Text
    column: Text | None = None
    source_column: Text | None = None
    value: Text | None = None
    #: The record's declared key, identities masked.
    key: Text | None = None
    #: Every reason of the row; for a broken message the place in it.
    detail: Text | None = None


class FeedbackReported(MessageData):
    """What became of what ``participant`` sent. ``read = landed + duplicates + rejected``."""

    participant: Identifier
    about: Annotated[BatchPointer | MessagePointer, Field(discriminator="kind")]
    counts: Counts
    reasons: tuple[ReasonCount, ...] = ()
    rows: Annotated[tuple[RejectedRow, ...], Field(max_length=MAXIMUM_ROWS)] = ()
    #: Rejected rows that are not in ``rows``.
    omitted: Count = 0

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if not self.counts.balance():
            raise ValueError("read is not landed + duplicates + rejected")
        if sum(one.count for one in self.reasons) != self.counts.rejected:
            raise ValueError("the reasons do not add up to the rejected rows")
        if self.omitted != self.counts.rejected - sum(one.shown for one in self.reasons):
            raise ValueError("omitted is not what is rejected and not shown")
        return self


class WaitingDomain(Frozen):
    """A domain that reads the data; ``level``: how its warnings table ranks stale data."""

    domain: Identifier
    level: Level
    #: Without it the domain is not evaluated anew, and its standing grades are stale.
    required: bool


class FeedbackAwaited(MessageData):
    """Data of ``participant`` that is overdue: told once to its owner, and over when new data comes."""

    participant: Identifier
    dataset: Identifier
    #: Up to the end of this day the data is known to be complete.
    current_until: date
    #: Hours between two pulls by the participant's own schedule, and after how many such cycles data is stale.
    cycle_hours: Annotated[int, Field(ge=1)]
    stale_after_cycles: Annotated[int, Field(ge=1)]
    domains: Annotated[tuple[WaitingDomain, ...], Field(min_length=1)]


def feedback_key(participant: str) -> str:
    """Routing key of feedback."""
    return f"feedback.{participant}"
