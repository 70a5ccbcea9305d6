"""Plan and receipt of a publication (semantics §7).

The plan is written before the first message is sent, the receipt after the last
confirm. A plan without a receipt is work to finish: the same bytes under the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from exchange_formats.digests import canonical_json, digest_bytes
from exchange_formats.manifests import Count, Sha256
from exchange_formats.messages import EventType


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedMessage(_Frozen):
    """One message to send; ``sha256`` is the digest of its whole body, ``results`` how many it carries."""

    routing_key: str
    id: str
    type: EventType
    sha256: Sha256
    results: Count
    priority: Annotated[int, Field(ge=0, le=9)] = 0


class Totals(_Frozen):
    """What a publication says, counted."""

    messages: Count = 0
    results: Count = 0
    withdrawn: Count = 0
    raised: Count = 0
    updated: Count = 0
    escalated: Count = 0
    cleared: Count = 0
    expired: Count = 0
    signed: Count = 0
    handled: Count = 0
    declared: Count = 0
    lifted: Count = 0


class _Publication(_Frozen):
    """What plan and receipt both name. ``number`` counts a domain's publications from 1."""

    format: Literal[1] = 1
    domain: str
    number: Annotated[int, Field(ge=1)]
    run_id: str
    manifest_sha256: Sha256
    as_of: date
    correction: bool = False
    #: Messages carry first_sequence … last_sequence; nothing changed: last = first - 1.
    first_sequence: Annotated[int, Field(ge=1)]
    last_sequence: Count
    totals: Totals
    #: Digest of all the rest but what is null: a stored document that was changed tells of itself.
    seal: Sha256 | None = None

    def encode(self) -> bytes:
        """The canonical bytes that are stored, sealed."""
        return canonical_json(self.sealed())

    def sealed(self) -> Self:
        """The same with its seal."""
        return self.model_copy(update={"seal": self._find_seal()})

    @property
    def sha256(self) -> str:
        """Digest of the canonical bytes."""
        return digest_bytes(self.encode())

    def _find_seal(self) -> str:
        return digest_bytes(canonical_json(self.model_dump(mode="json", exclude={"seal"}, exclude_none=True)))

    @model_validator(mode="after")
    def _check_seal(self) -> Self:
        if self.seal is not None and self.seal != self._find_seal():
            raise ValueError("the seal is not the digest of the document: it was changed after it was written")
        return self


class Plan(_Publication):
    """What will be sent: the changes of a run against its baseline, as messages in order of sequence."""

    kind: Literal["plan"] = "plan"
    #: Seal of the receipt of the domain's publication before: publications are a chain.
    previous_seal: Sha256 | None = None
    baseline_run_id: str | None
    baseline_sha256: Sha256 | None
    #: Manifests of the entries of the warning log that are told, in order.
    warned: tuple[Sha256, ...] = ()
    #: Older message versions that are sent besides the newest: noun → versions.
    older: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    #: The ``time`` of every message.
    planned_at: AwareDatetime
    messages: tuple[PlannedMessage, ...]


class Receipt(_Publication):
    """What the broker confirmed: all of the plan."""

    kind: Literal["receipt"] = "receipt"
    plan_sha256: Sha256
    confirmed: Count
    finished_at: AwareDatetime
