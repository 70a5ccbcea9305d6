"""JSON Schema of a message, from the registry."""

from __future__ import annotations

from typing import Any

from exchange_formats.messages.field_titles import find_title
from exchange_formats.messages.registry import event_model
from exchange_formats.messages.specs import MessageSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def message_schema(spec: MessageSpec) -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole structured message, or of the attributes of a binary one.

    What the gateway sends may get further fields within a version, so its schema is open for readers;
    what participants send is refused with a field nobody knows, so its schema is closed.
    """
    model = event_model(spec)
    schema = model.model_json_schema()
    for name, part in {model.__name__: schema, **schema.get("$defs", {})}.items():
        part.pop("title", None)
        for field, described in part.get("properties", {}).items():
            found = find_title(name, field)
            described |= {"title": found.zh, "description": found.en}
    _require_kinds(schema, schema)
    if spec.direction == "outbound":
        _open(schema)
    return {
        "$schema": DIALECT,
        "$id": spec.schema_name,
        **schema,
        "title": f"{spec.title} {spec.title_en}",
        "description": f"{spec.description} {spec.description_en}",
    }


def _require_kinds(node: Any, root: dict[str, Any]) -> None:
    """What tells shapes apart must be there: its default, which fills it in here, is no reader's."""
    if isinstance(node, dict):
        if "discriminator" in node:
            for choice in node["oneOf"]:
                shape = root["$defs"][choice["$ref"].rpartition("/")[2]]
                shape["required"] = sorted({node["discriminator"]["propertyName"], *shape.get("required", ())})
        for child in node.values():
            _require_kinds(child, root)
    elif isinstance(node, list):
        for child in node:
            _require_kinds(child, root)


def _open(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for child in node.values():
            _open(child)
    elif isinstance(node, list):
        for child in node:
            _open(child)
