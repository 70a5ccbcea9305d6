"""Receipts: a consumer's digest of what it stored, so that an auditor can prove who received what (architecture §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from exchange_formats.datasets import Identifier
from exchange_formats.manifests import Sha256
from exchange_formats.messages.texts import Frozen, InboundDate, InboundTime, MessageData, RunId, SequenceNumber

RECEIPT_STORED: Final = "cn.credit.receipt.stored.v1"


class PublicationReceipt(Frozen):
    """What was stored of a domain's run: its messages of ``first_sequence`` … ``last_sequence`` that one queue brought.

    ``sha256`` is :func:`digest_messages` of them.
    """

    kind: Literal["publication"] = "publication"
    domain: Identifier
    run_id: RunId
    first_sequence: SequenceNumber
    last_sequence: SequenceNumber
    messages: Annotated[int, Field(ge=1)]
    sha256: Sha256

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if not self.messages <= self.last_sequence - self.first_sequence + 1:
            raise ValueError("more messages than the range of sequences holds")
        return self


class CheckpointReceipt(Frozen):
    """A checkpoint that was stored; ``sha256`` is the checkpoint's own."""

    kind: Literal["checkpoint"] = "checkpoint"
    day: InboundDate
    sha256: Sha256


class ReceiptStored(MessageData):
    """What a consumer has made durable, at most 100 receipts a message."""

    consumer: Identifier
    stored_at: InboundTime
    receipts: Annotated[
        tuple[Annotated[PublicationReceipt | CheckpointReceipt, Field(discriminator="kind")], ...],
        Field(min_length=1, max_length=100),
    ]


def digest_messages(messages: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over ``(id, body)`` sorted by id: per message a line of the id, a space and the body's SHA-256 in hex."""
    lines = sorted(f"{identity} {hashlib.sha256(body).hexdigest()}\n" for identity, body in messages)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
