"""What a consumer reads of a message: leniently, for a later publisher may add fields inside a version."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.messages import EVALUATED, WITHDRAWN
from exchange_formats.messages.warning_log import WARNING_EVENTS


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
    #: Of a run; what a department did about a warning has none.
    as_of: date | None = None
    sequence: Annotated[int, Field(ge=1)]
    correction: bool = False
    results: tuple[ReceivedResult, ...] = ()
    warning: ReceivedWarning | None = None

    @model_validator(mode="after")
    def _check_day(self) -> Self:
        if self.as_of is None and (self.results or self.correction):
            raise ValueError("results and corrections need as_of")
        return self


class ReceivedEvent(_Lenient):
    """The envelope of any CloudEvent; ``data`` is read for the types this version knows."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    type: Annotated[str, Field(min_length=1)]


class _KnownEvent(ReceivedEvent):
    data: ReceivedData


_KNOWN = frozenset({EVALUATED, WITHDRAWN, *WARNING_EVENTS})


def read_event(body: bytes) -> tuple[ReceivedEvent, ReceivedData | None]:
    """Envelope and, for a known type, data; ValueError (pydantic) when it is no CloudEvent or its data is broken."""
    event = ReceivedEvent.model_validate_json(body)
    if event.type not in _KNOWN:
        return event, None
    return event, _KnownEvent.model_validate_json(body).data
