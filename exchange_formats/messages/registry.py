"""The registry: every message type of every version, what it carries and how it travels.

Reference pages, JSON Schemas, the AsyncAPI document, the compatibility test and the bus's permissions
are derived from it. A new version of a type is a new entry beside the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from exchange_formats.messages.envelope import BinaryEvent, CloudEvent, InboundEvent
from exchange_formats.messages.inbound import INBOUND_MESSAGES
from exchange_formats.messages.outbound import OUTBOUND
from exchange_formats.messages.specs import MessageSpec

Event = BinaryEvent | CloudEvent | InboundEvent

#: By type, in the order of the reference page.
MESSAGES: Final[Mapping[str, MessageSpec]] = MappingProxyType(
    {spec.type: spec for spec in (*OUTBOUND, *INBOUND_MESSAGES)}
)
#: The largest body of any structured type.
LARGEST: Final = max(spec.maximum_bytes for spec in MESSAGES.values() if spec.mode == "structured")


def find_message(kind: str) -> MessageSpec:
    """The entry of a CloudEvents type; KeyError when there is none."""
    return MESSAGES[kind]


@cache
def event_model(spec: MessageSpec) -> type[Event]:
    """The model of a whole message: the context attributes, then ``data``; of a binary one all its attributes."""
    name = f"{spec.name.title().replace('.', '').replace('_', '')}V{spec.version}"
    fields: dict[str, Any] = {
        "type": (Literal[spec.type], ...),
        "source": (Annotated[str, Field(pattern=spec.source)], ...),
    }
    if spec.mode == "binary":
        own = {attribute: (field.annotation, field) for attribute, field in spec.data.model_fields.items()}
        fields |= {"datacontenttype": (Literal[spec.content_type], ...), **own}
        return create_model(name, __base__=BinaryEvent, **fields)
    fields |= {"data": (spec.data, ...)}
    if spec.direction == "outbound":
        return create_model(name, __base__=CloudEvent, **fields)
    return create_model(name, __base__=InboundEvent, **fields)
