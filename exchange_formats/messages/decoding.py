"""Reading messages: strictly, within limits, and saying what is wrong without showing it.

What comes in is read once for its form (size, depth, no key twice, no NaN), then by the model of
its type. What is broken is a :class:`BrokenMessageError`: this message only is refused, the sender is told.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exchange_formats.errors import SkippableError
from exchange_formats.messages.envelope import CONTENT_TYPE, CloudEvent, InboundEvent, participant_source
from exchange_formats.messages.registry import LARGEST, event_model, find_message
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.rejects import Title

#: Objects and arrays inside each other; nothing of ours is deeper than 8.
MAXIMUM_DEPTH: Final = 32

# Possessive, and to the end where no quote closes it: one pass whatever the body holds.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}|\[key\]")
_BRACKETS = re.compile(rb"[\[\]{}]")


class MessageFault(StrEnum):
    """Why a message was refused: a stable code, shown with :func:`describe_fault`."""

    TOO_LARGE = "message.too_large"
    NOT_JSON = "message.not_json"
    TOO_DEEP = "message.too_deep"
    DUPLICATE_KEY = "message.duplicate_key"
    TYPE_UNKNOWN = "message.type_unknown"
    CONTENT_TYPE = "message.content_type"
    INVALID = "message.invalid"
    KEY_MISMATCH = "message.key_mismatch"
    SENDER_MISMATCH = "message.sender_mismatch"


_TITLES = {
    MessageFault.TOO_LARGE: Title("消息过大", "the message is too large"),
    MessageFault.NOT_JSON: Title("不是合法的 JSON", "the body is not JSON in UTF-8"),
    MessageFault.TOO_DEEP: Title("JSON 嵌套过深", "the JSON is nested too deeply"),
    MessageFault.DUPLICATE_KEY: Title("JSON 键重复", "a JSON key stands twice in one object"),
    MessageFault.TYPE_UNKNOWN: Title("消息类型未登记", "there is no such message type"),
    MessageFault.CONTENT_TYPE: Title("内容类型不符", "the content type is not the one of this message type"),
    MessageFault.INVALID: Title("消息不符合格式", "the message breaks its format"),
    MessageFault.KEY_MISMATCH: Title("路由键与内容不符", "the routing key is not what the message says"),
    MessageFault.SENDER_MISMATCH: Title("发送方与内容不符", "the sender is not who the message says"),
}


class BrokenMessageError(SkippableError):
    """One message that cannot be taken. ``place`` is the path to what is wrong; its value is never shown."""

    def __init__(self, fault: MessageFault, place: str = "", detail: str = "") -> None:
        title = describe_fault(fault)
        where = f": {place}" if place else ""
        super().__init__(f"{title.zh} {title.en}{where}{f': {detail}' if detail else ''}")
        self.fault = fault
        self.place = place
        self.detail = detail


def describe_fault(fault: MessageFault) -> Title:
    """The title of a fault in both languages."""
    return _TITLES[fault]


def check_json(body: bytes, maximum_bytes: int) -> dict[str, Any]:
    """The object in ``body``, if it is JSON in form: UTF-8, no key twice, no NaN, at most so large and deep.

    Raises:
        BrokenMessageError: with the fault; never with a value.
    """
    if len(body) > maximum_bytes:
        raise BrokenMessageError(MessageFault.TOO_LARGE, detail=f"{len(body)} > {maximum_bytes} bytes")
    _check_depth(body)
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_read_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BrokenMessageError(MessageFault.NOT_JSON) from None
    if not isinstance(document, dict):
        raise BrokenMessageError(MessageFault.NOT_JSON, detail="not an object")
    return document


def decode_event(body: bytes) -> CloudEvent | InboundEvent:
    """Read a structured message of any registered type strictly: unknown fields are refused.

    The result has the context attributes and ``data``, an instance of the type's own model.

    Raises:
        BrokenMessageError: says where the message breaks its format.
    """
    document = check_json(body, LARGEST)
    kind = document.get("type")
    try:
        spec = find_message(kind if isinstance(kind, str) else "")
    except KeyError:
        raise BrokenMessageError(MessageFault.TYPE_UNKNOWN, "type") from None
    return decode_message(spec, body)


def decode_message(spec: MessageSpec, body: bytes) -> CloudEvent | InboundEvent:
    """Read ``body`` as ``spec`` says; see :func:`decode_event`. Check the form first with :func:`check_json`."""
    if len(body) > spec.maximum_bytes:
        raise BrokenMessageError(MessageFault.TOO_LARGE, detail=f"{len(body)} > {spec.maximum_bytes} bytes")
    if spec.mode != "structured":
        raise BrokenMessageError(MessageFault.CONTENT_TYPE, detail=spec.content_type)
    try:
        # JSON mode: dates and tuples are strings and lists there. Strict: 0 is no date, true no number.
        event = event_model(spec).model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise BrokenMessageError(MessageFault.INVALID, _show_place(first["loc"]), _show_fault(first)) from None
    assert isinstance(event, CloudEvent | InboundEvent)  # noqa: S101 — what a structured type's model is
    return event


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as the broker delivered it to the gateway; ``user_id`` is the login the broker checked."""

    body: bytes
    content_type: str
    routing_key: str
    user_id: str
    message_id: str = ""


def decode_incoming(message: Incoming) -> InboundEvent:
    """Read what a participant sent: form, type, content, and that key, content and sender agree.

    Raises:
        BrokenMessageError: to be refused; the sender gets it as feedback.
    """
    if message.content_type != CONTENT_TYPE:
        raise BrokenMessageError(MessageFault.CONTENT_TYPE, detail=f"expected {CONTENT_TYPE}")
    event = decode_event(message.body)
    if not isinstance(event, InboundEvent):
        raise BrokenMessageError(MessageFault.TYPE_UNKNOWN, "type", "only the gateway sends this type")
    spec = find_message(event.type)
    found = re.fullmatch(spec.key_pattern, message.routing_key)
    if found is None:
        raise BrokenMessageError(MessageFault.KEY_MISMATCH, detail=f"expected {spec.key}")
    said = event.data.model_dump()
    for name, value in found.groupdict().items():
        if said[name] != value:
            raise BrokenMessageError(MessageFault.KEY_MISMATCH, f"data.{name}")
    owner = found.groupdict().get("department", found.groupdict().get("consumer", message.user_id))
    if owner != message.user_id or event.source != participant_source(message.user_id):
        raise BrokenMessageError(MessageFault.SENDER_MISMATCH, "source")
    return event


def _show_place(path: tuple[int | str, ...]) -> str:
    """A path with dots; a key that is no name of ours may be anything, a person's number too, and is not shown."""
    return ".".join(str(key) if isinstance(key, int) or _NAME.fullmatch(key) else "?" for key in path) or "body"


def _show_fault(error: ErrorDetails) -> str:
    """Pydantic's words, which quote the value in one case only."""
    return "no such kind" if error["type"] == "union_tag_invalid" else error["msg"]


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise BrokenMessageError(MessageFault.DUPLICATE_KEY)
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check_depth(body: bytes) -> None:
    """Count brackets outside strings, so that no parser has to recurse first."""
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAXIMUM_DEPTH:
            raise BrokenMessageError(MessageFault.TOO_DEEP, detail=f"> {MAXIMUM_DEPTH}")
