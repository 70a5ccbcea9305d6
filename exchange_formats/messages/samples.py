"""The example of a message type as it travels: headers, key and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchange_formats.digests import derive_uuid
from exchange_formats.messages.envelope import (
    GATEWAY_SOURCE,
    InboundEvent,
    OutgoingMessage,
    domain_source,
    encode_event,
    participant_source,
    schema_name,
)
from exchange_formats.messages.examples import DEPARTMENT, DOMAIN, EXAMPLE_TIME, snapshot_body, snapshot_run
from exchange_formats.messages.snapshots import encode_snapshot
from exchange_formats.messages.specs import MessageSpec

#: Who sends the example of an inbound type that no department's key names.
PLATFORM = "provincial_platform"


def example_message(spec: MessageSpec) -> OutgoingMessage:
    """The type's example, the same bytes each time; ``routing_key`` from the example of each parameter."""
    if spec.mode == "binary":
        return encode_snapshot(snapshot_run(), 1, 1, 1, snapshot_body(), EXAMPLE_TIME)
    key = spec.routing_key(**{name: parameter.example for name, parameter in spec.parameters.items()})
    data = spec.example().model_dump_json(exclude_none=True).encode()
    subject = _fill_subject(spec)
    if spec.direction == "inbound":
        sender = DEPARTMENT if DEPARTMENT in key else PLATFORM
        event = InboundEvent(
            specversion="1.0",
            id=str(derive_uuid(spec.type, "example")),
            source=participant_source(sender),
            type=spec.type,
            time=EXAMPLE_TIME,
            subject=subject,
            dataschema=schema_name(spec.type),
            data=spec.example(),
        )
        return OutgoingMessage(key, event.id, event.model_dump_json(exclude_none=True).encode(), type=spec.type)
    return encode_event(
        spec.type,
        data,
        source=domain_source(DOMAIN) if "domains" in spec.source else GATEWAY_SOURCE,
        scope="example",
        subject=subject,
        time=EXAMPLE_TIME,
        routing_key=key,
        priority=spec.priority,
    )


def _fill_subject(spec: MessageSpec) -> str:
    """What the spec says the ``subject`` is made of: parts of the key, else what the example's data say."""
    said = _flatten(spec.example().model_dump(mode="json"))
    parts = {name: parameter.example for name, parameter in spec.parameters.items()}
    return spec.subject.format_map(said | parts)


def _flatten(node: Mapping[str, Any]) -> dict[str, Any]:
    """Every scalar by its own name, of objects inside too; an outer one wins."""
    inner = [_flatten(value) for value in node.values() if isinstance(value, Mapping)]
    return {name: value for one in inner for name, value in one.items()} | dict(node)
