"""The reference page's sections about messages: one section a type, and the promise about versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from exchange_formats.messages.decoding import MessageFault, describe_fault
from exchange_formats.messages.envelope import CloudEvent, InboundEvent
from exchange_formats.messages.field_titles import find_title
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.schemas import message_schema
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.messages.submissions import RECORDS_SUBMITTED
from gateway.reference.markdown import BREAK, Tongue, code, fold, link, table
from gateway.reference.paths import message_schema_path


def render_messages(tongue: Tongue) -> Iterator[str]:
    """An overview of both directions, then one section a type."""
    for direction, zh, en in (
        ("outbound", "网关发出(交换机 `credit.results`):", "From the gateway (exchange `credit.results`):"),
        ("inbound", "参与方发来(交换机 `credit.inbound`):", "To the gateway (exchange `credit.inbound`):"),
    ):
        if found := [one for one in MESSAGES.values() if one.direction == direction]:
            yield from (tongue.say(zh, en), "", *_render_overview(found, tongue), "")
    yield from (*_render_parameters(tongue), "")
    for message in MESSAGES.values():
        yield from (*_render_message(message, tongue), "")


def link_submission(tongue: Tongue) -> str:
    """A link to the message that carries records to the gateway."""
    message = MESSAGES[RECORDS_SUBMITTED]
    return link(_heading(message, tongue), message.name)


def render_envelope(tongue: Tongue) -> Iterator[str]:
    """The context attributes of a structured message, and who has to write which."""
    head = tongue.say(
        "属性 | 含义 | 网关发出 | 参与方发来", "attribute | meaning | from the gateway | to the gateway"
    ).split(" | ")
    always, may = tongue.say("必有", "always"), tongue.say("可有", "optional")
    outbound, inbound = CloudEvent.model_fields, InboundEvent.model_fields
    # What has a default is written by us all the same.
    required = {name for name, field in inbound.items() if field.is_required()}
    titles = ((name, find_title("CloudEvent", name)) for name in outbound)
    yield from table(
        head,
        (
            (code(name), tongue.say(title.zh, title.en), always, always if name in required else may)
            for name, title in titles
        ),
    )


def render_faults(tongue: Tongue) -> Iterator[str]:
    """Why a message to the gateway may be refused as a whole."""
    head = tongue.say("代码 | 含义", "code | meaning").split(" | ")
    titles = ((fault, describe_fault(fault)) for fault in MessageFault)
    yield from table(head, ((code(fault), tongue.say(title.zh, title.en)) for fault, title in titles))


def _heading(message: MessageSpec, tongue: Tongue) -> str:
    return f"{message.name} v{message.version} {tongue.say(message.title, message.title_en)}"


def _render_overview(messages: list[MessageSpec], tongue: Tongue) -> list[str]:
    head = tongue.say("消息 | 路由键 | 含义", "message | routing key | meaning").split(" | ")
    person = tongue.say("(自然人另加 `.person`)", "(about natural persons: and `.person`)")
    return table(
        head,
        (
            (
                link(_heading(one, tongue), one.name),
                code(one.key) + (f" {person}" if one.may_be_person else ""),
                tongue.say(one.description, one.description_en),
            )
            for one in messages
        ),
    )


def _render_parameters(tongue: Tongue) -> list[str]:
    parameters = {name: found for one in MESSAGES.values() for name, found in one.parameters.items()}
    head = tongue.say("路由键的部分 | 含义 | 格式 | 例", "part of a key | meaning | pattern | example").split(" | ")
    return table(
        head,
        (
            (code("{" + name + "}"), tongue.say(one.title, one.title_en), code(one.pattern), code(one.example))
            for name, one in parameters.items()
        ),
    )


def _render_message(message: MessageSpec, tongue: Tongue) -> Iterator[str]:
    yield from (f"### {_heading(message, tongue)}", "")
    yield from (tongue.say(message.description, message.description_en), "")
    path = message_schema_path(message)
    yield f"- **type** {code(message.type)} · [JSON Schema]({path.removeprefix('docs/')})"
    yield f"- **source** {code(message.source)} · **subject** {code(message.subject)}"
    most = f"{message.maximum_bytes // 1024:,} KiB"
    yield f"- {code(message.content_type)} · {tongue.say(f'至多 {most}', f'at most {most}')}"
    yield ""
    schema = message_schema(message)
    binary = message.mode == "binary"
    fields = schema if binary else _resolve(schema["properties"]["data"], schema)
    first = tongue.say("属性", "attribute") if binary else tongue.say("data 的字段", "field of data")
    head = first, *tongue.say("含义 | 类型 | 必有 | 限定", "meaning | type | always there | bounds").split(" | ")
    yield from (*table(head, _list_fields(fields, schema, "", tongue)), "")
    sent = example_message(message)
    example = dict(sent.headers) if binary else json.loads(sent.body)
    what = tongue.say("消息头", "headers") if binary else tongue.say("整条消息", "the whole message")
    summary = f"{tongue.say('示例', 'example')}: {what}, {tongue.say('路由键', 'routing key')} {sent.routing_key}"
    yield from fold(summary, ["```json", json.dumps(example, ensure_ascii=False, indent=1), "```"])


def _list_fields(
    node: Mapping[str, Any], root: Mapping[str, Any], prefix: str, tongue: Tongue, kind: str = ""
) -> Iterator[tuple[str, ...]]:
    """Every field below ``node``, nested ones by their path (``results[].reasons[].points``).

    ``kind`` is that of the shape that ``node`` is one of.
    """
    for name, found in node.get("properties", {}).items():
        shape = _resolve(found, root)
        path = f"{prefix}{name}"
        inner = shape
        while "items" in inner:
            path += "[]"
            inner = _resolve(inner["items"], root)
        always = tongue.say("是", "yes") if name in node.get("required", ()) else ""
        if kind:
            always = f"{code(kind)}: {always or tongue.say('可有', 'optional')}"
        shapes = [_resolve(choice, root) for choice in inner.get("oneOf", ())]
        type_ = "object" if shapes or "properties" in inner else str(inner.get("type", ""))
        meaning = tongue.say(found.get("title", ""), found.get("description", ""))
        yield code(path), meaning, type_, always, BREAK.join(_say_bounds(shape, inner))
        yield from _list_fields(inner, root, f"{path}.", tongue, kind)
        for one in shapes:
            yield from _list_fields(one, root, f"{path}.", tongue, one["properties"]["kind"]["const"])


def _resolve(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference; of a value that may be null take the value."""
    if "$ref" in node:
        return _resolve(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    return _resolve(choices[0], root) if len(choices) == 1 else node


def _say_bounds(shape: Mapping[str, Any], inner: Mapping[str, Any]) -> Iterator[str]:
    if "items" in shape and ("minItems" in shape or "maxItems" in shape):
        yield f"{shape.get('minItems', 0)}–{shape.get('maxItems', '')}"
    if "const" in inner:
        yield code(json.dumps(inner["const"], ensure_ascii=False))
    if "enum" in inner:
        yield " ".join(code(str(value)) for value in inner["enum"])
    if "format" in inner:
        yield str(inner["format"])
    if "pattern" in inner:
        yield code(inner["pattern"])
    if "maxLength" in inner:
        yield f"{inner['minLength']}–{inner['maxLength']}" if "minLength" in inner else f"≤ {inner['maxLength']}"
    if "minimum" in inner:
        yield f"≥ {inner['minimum']}"
