"""JSON Schema of a message, and an example of it, from the registry."""

from __future__ import annotations

from typing import Any

from exchange_formats.messages.registry import MessageSpec, event_model

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def message_schema(spec: MessageSpec) -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole structured message, or of the attributes of a binary one.

    What the gateway sends may get further fields within a version, so its schema is open for readers;
    what participants send is refused with a field nobody knows, so its schema is closed.
    """
    schema = event_model(spec).model_json_schema()
    if spec.direction == "outbound":
        _open(schema)
    return {
        "$schema": DIALECT,
        "$id": spec.schema_name,
        **schema,
        "title": f"{spec.title} {spec.title_en}",
        "description": f"{spec.description} {spec.description_en}",
    }


def _open(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for child in node.values():
            _open(child)
    elif isinstance(node, list):
        for child in node:
            _open(child)
