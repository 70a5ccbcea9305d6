"""The envelope of a message: CloudEvents 1.0, structured JSON or binary (architecture §5.2, semantics §7).

A message's ``id`` is derived from its type, what it says and the work behind it, so saying it again
repeats the id. ``time`` is not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SerializeAsAny

from exchange_formats.digests import derive_uuid, digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.messages.texts import InboundText, InboundTime, MessageData, Text

#: Where the gateway publishes, and where participants send.
RESULTS: Final = "credit.results"
INBOUND: Final = "credit.inbound"
CONTENT_TYPE: Final = "application/cloudevents+json"
ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
#: Of a JSON message, envelope and all.
MAXIMUM_BYTES: Final = 256 * 1024
#: Kept free in each message for the envelope and what is said of the run.
ENVELOPE_BYTES: Final = 4096
#: Last word of the routing key of every message about natural persons: a queue gets it only by a grant of its own.
PERSON: Final = "person"
#: The ``source`` of what the gateway says about no single domain.
GATEWAY_SOURCE: Final = "/credit/gateway"

EventType = Annotated[str, Field(pattern=r"^cn\.credit\.[a-z_]{3,30}\.[a-z]{3,20}\.v[1-9][0-9]?$")]
_SOURCE = r"^/credit/(gateway|(domains|participants)/[a-z][a-z0-9_]{2,39})$"


#: As pydantic writes it; inside a text the quotes would be escaped.
_PERSON_IN_JSON = b'"subject_type":"natural_person"'
_SCHEMA = r"^urn:xinqiao:schema:"


class BinaryEvent(BaseModel):
    """The context attributes of CloudEvents 1.0, as the gateway writes them; they travel as AMQP headers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    source: Annotated[str, Field(pattern=_SOURCE)]
    type: EventType
    time: AwareDatetime
    subject: Annotated[Text, Field(min_length=1)]
    datacontenttype: Literal["application/json", "application/vnd.apache.arrow.stream"]
    dataschema: Annotated[str, Field(pattern=_SCHEMA)]


class CloudEvent(BinaryEvent):
    """A whole message as the gateway writes it: the context attributes, then the data."""

    datacontenttype: Literal["application/json"] = "application/json"
    data: SerializeAsAny[MessageData]


class InboundEvent(BaseModel):
    """A whole message as a participant writes it: any id of its own, the optional attributes optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"]
    id: Annotated[InboundText, Field(max_length=100)]
    source: Annotated[str, Field(pattern=r"^/credit/participants/[a-z][a-z0-9_]{2,39}$")]
    type: EventType
    time: InboundTime
    subject: InboundText | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(pattern=_SCHEMA)] | None = None
    data: SerializeAsAny[MessageData]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message as it is sent. ``priority`` 0–9: a strict broker (4.3) lets a red warning overtake grades.

    ``headers`` are AMQP headers; a binary CloudEvent has its attributes there.
    """

    routing_key: str
    id: str
    body: bytes
    content_type: str = CONTENT_TYPE
    priority: int = 0
    type: str = ""
    headers: Mapping[str, str | int] = field(default_factory=dict)


def schema_name(kind: str) -> str:
    """The ``dataschema`` of a message type."""
    return f"urn:xinqiao:schema:{kind}"


def domain_source(domain: str) -> str:
    """The ``source`` of what a domain says."""
    return f"/credit/domains/{domain}"


def participant_source(participant: str) -> str:
    """The ``source`` of what a participant sends."""
    return f"/credit/participants/{participant}"


def encode_event(
    kind: str,
    data: bytes,
    *,
    source: str,
    scope: str,
    subject: str,
    time: datetime,
    routing_key: str,
    priority: int = 0,
) -> OutgoingMessage:
    """Wrap encoded ``data``; the id is derived from type, data and ``scope`` (a run id, a batch id, …).

    Raises:
        FatalError: the body would exceed 256 KiB; it speaks of a natural person and its key does not say so.
    """
    # The last line behind every builder: without the word, queues would get persons that nobody granted them.
    if _PERSON_IN_JSON in data and PERSON not in routing_key.split("."):
        raise FatalError(
            f"自然人消息的路由键须含 {PERSON} a message {kind} about natural persons travels under a key of its own",
            hint="报告此问题 this is a defect of the sender",
        )
    identity = str(derive_uuid(kind, digest_bytes(data), scope))
    empty = CloudEvent(
        specversion="1.0",
        id=identity,
        source=source,
        type=kind,
        time=time,
        subject=subject,
        dataschema=schema_name(kind),
        data=MessageData(),
    )
    # ``data`` is the last field: its place is taken by what is encoded already.
    body = empty.model_dump_json().removesuffix("{}}").encode() + data + b"}"
    check_size(kind, body, MAXIMUM_BYTES)
    return OutgoingMessage(routing_key, identity, body, priority=priority, type=kind)


def check_size(kind: str, body: bytes, maximum: int) -> None:
    """FatalError when a message is larger than its type may be: it must not leave."""
    if len(body) > maximum:
        raise FatalError(
            f"消息过大 a message {kind} has {len(body)} bytes, more than {maximum}",
            hint="报告此问题 this is a defect of the sender: its content must be cut smaller",
        )
