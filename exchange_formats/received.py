"""What a consumer reads of a message: leniently, for a later publisher may add fields inside a version."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.messages import CLEARED, EVALUATED, RAISED, WITHDRAWN


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReceivedResult(_Lenient):
    """One subject of a grade message; a withdrawn one has no grade."""

    subject_ref: Annotated[str, Field(min_length=1)]
    grade: str = ""


class ReceivedWarning(_Lenient):
    """One warning."""

    id: Annotated[str, Field(min_length=1)]
    level: str


class ReceivedData(_Lenient):
    """What ordering and counting need of a message's data."""

    domain: str
    as_of: date
    sequence: Annotated[int, Field(ge=1)]
    correction: bool = False
    results: tuple[ReceivedResult, ...] = ()
    warning: ReceivedWarning | None = None


class ReceivedEvent(_Lenient):
    """The envelope of any CloudEvent; ``data`` is read for the types this version knows."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    type: Annotated[str, Field(min_length=1)]


class _KnownEvent(ReceivedEvent):
    data: ReceivedData


_KNOWN = (EVALUATED, WITHDRAWN, RAISED, CLEARED)


def read_event(body: bytes) -> tuple[ReceivedEvent, ReceivedData | None]:
    """Envelope and, for a known type, data; ValueError (pydantic) when it is no CloudEvent or its data is broken."""
    event = ReceivedEvent.model_validate_json(body)
    if event.type not in _KNOWN:
        return event, None
    return event, _KnownEvent.model_validate_json(body).data
