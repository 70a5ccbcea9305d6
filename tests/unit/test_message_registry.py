"""The registry: every type has a valid example, a schema, titles, and an envelope the official SDK accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp
from cloudevents.core.formats.base import Format
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator, FormatChecker

from exchange_formats.datasets import load_contracts
from exchange_formats.errors import FatalError
from exchange_formats.messages.decoding import BrokenMessageError, Incoming, decode_event, decode_incoming
from exchange_formats.messages.envelope import CONTENT_TYPE, OutgoingMessage, check_size
from exchange_formats.messages.field_titles import load_titles
from exchange_formats.messages.registry import LARGEST, MESSAGES
from exchange_formats.messages.samples import PLATFORM, example_message
from exchange_formats.messages.schemas import message_schema
from exchange_formats.messages.snapshots import read_snapshot
from exchange_formats.messages.specs import PARAMETERS, MessageSpec
from tests.identity_scan import Planted, Scanner

ALL = pytest.mark.parametrize("spec", MESSAGES.values(), ids=lambda spec: f"{spec.name}.v{spec.version}")
FORMATS = FormatChecker()


def is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


FORMATS.checks("date-time", raises=ValueError)(is_instant)


def read_by_sdk(message: OutgoingMessage) -> Any:
    """What the official SDK makes of a message as it travels."""
    reader: Format = JSONFormat()
    properties = {"content-type": message.content_type}
    return from_amqp(AMQPMessage(properties, dict(message.headers), message.body), reader, CloudEvent)


def validator(spec: MessageSpec) -> Draft202012Validator:
    schema = message_schema(spec)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FORMATS)


def document_of(message: OutgoingMessage, spec: MessageSpec) -> dict[str, Any]:
    """What the schema speaks of: the body, or the attributes in the headers."""
    if spec.mode == "structured":
        found: dict[str, Any] = json.loads(message.body)
        return found
    named = {name.partition(":")[2]: value for name, value in message.headers.items()}
    return named | {"datacontenttype": message.content_type}


@ALL
def test_example_is_a_cloud_event_to_the_official_sdk(spec: MessageSpec) -> None:
    message = example_message(spec)
    event = read_by_sdk(message)
    assert (event.get_id(), event.get_type(), event.get_specversion()) == (message.id, spec.type, "1.0")
    assert re.fullmatch(spec.source, event.get_source())
    assert event.get_time().tzinfo is not None
    assert event.get_dataschema() == f"urn:xinqiao:schema:{spec.type}"
    assert event.get_datacontenttype() == ("application/json" if spec.mode == "structured" else spec.content_type)
    # CloudEvents 1.0 §3.1: names of attributes are lower-case letters and digits, 20 of them at most here.
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event.get_attributes())


@ALL
def test_example_passes_its_own_schema_and_is_read_strictly(spec: MessageSpec) -> None:
    message = example_message(spec)
    assert list(validator(spec).iter_errors(document_of(message, spec))) == []
    if spec.mode == "structured":
        event = decode_event(message.body)
        assert event.data == spec.example()
        assert event.model_dump_json(exclude_none=True).encode() == message.body
    else:
        assert read_snapshot(message.headers, message.body).attributes == spec.example()


@ALL
def test_schema_refuses_the_example_when_a_required_field_is_gone(spec: MessageSpec) -> None:
    checked, document = validator(spec), document_of(example_message(spec), spec)
    for name in message_schema(spec)["required"]:
        assert list(checked.iter_errors({k: v for k, v in document.items() if k != name}))
    assert list(checked.iter_errors(document | {"type": "cn.credit.other.said.v1"}))
    assert list(checked.iter_errors(document | {"time": "yesterday"}))


@ALL
def test_schema_is_open_to_readers_and_closed_to_senders(spec: MessageSpec) -> None:
    document = document_of(example_message(spec), spec) | {"novelty": 1}
    assert bool(list(validator(spec).iter_errors(document))) is (spec.direction == "inbound")


@ALL
def test_example_keeps_to_its_key_exchange_and_limit(spec: MessageSpec) -> None:
    message = example_message(spec)
    assert re.fullmatch(spec.key_pattern, message.routing_key)
    assert spec.exchange == ("credit.results" if spec.direction == "outbound" else "credit.inbound")
    assert 0 < len(message.body) <= spec.maximum_bytes <= LARGEST * 2
    assert 0 <= spec.priority <= 9
    with pytest.raises(FatalError, match="more than"):
        check_size(spec.type, b"x" * (spec.maximum_bytes + 1), spec.maximum_bytes)


@ALL
def test_example_is_about_what_the_spec_says(spec: MessageSpec) -> None:
    said = read_by_sdk(example_message(spec)).get_subject()
    shape = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(spec.subject))
    assert re.fullmatch(shape, said)


@ALL
def test_example_is_the_same_each_time_and_names_nobody(spec: MessageSpec) -> None:
    message = example_message(spec)
    assert message == example_message(spec)
    scanner = Scanner(Planted(frozenset(), frozenset()))
    scanner.scan("message", message.routing_key, message.body, json.dumps([message.id, dict(message.headers)]))
    assert scanner.found == []


@ALL
def test_titles_are_in_both_languages(spec: MessageSpec) -> None:
    for text in (spec.title, spec.description):
        assert re.search(r"[\u4e00-\u9fff]", text)
    for text in (spec.title_en, spec.description_en):
        assert re.search(r"[a-z]{3}", text)


def described(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for child in node.values():
            yield from described(child)
    elif isinstance(node, list):
        for child in node:
            yield from described(child)


def test_every_field_has_a_title_and_every_title_a_field() -> None:
    fields = [pair for spec in MESSAGES.values() for pair in described(message_schema(spec))]
    assert all(field["title"] and field["description"] for _, field in fields)
    assert {name.rpartition(".")[2] for name in load_titles()} == {name for name, _ in fields}


def test_types_and_keys_follow_the_rules_when_all_are_listed() -> None:
    names = [(spec.name, spec.version) for spec in MESSAGES.values()]
    assert len(set(names)) == len(names) == 25
    # A past participle (architecture §5.2); taken, withdrawn are irregular.
    assert all(re.search(r"(ed|taken|withdrawn)$", spec.name) for spec in MESSAGES.values())
    used = {name for spec in MESSAGES.values() for name in spec.parameters}
    assert used == set(PARAMETERS)


def test_key_is_refused_when_a_parameter_is_not_of_its_form() -> None:
    spec = MESSAGES["cn.credit.grade.evaluated.v1"]
    assert spec.routing_key(domain="work_safety", city="unknown") == "grade.work_safety.unknown"
    with pytest.raises(ValueError, match="not a routing key"):
        spec.routing_key(domain="work_safety", city="330106199001011237")


@ALL
def test_type_takes_its_own_keys_and_copies_of_older_versions(spec: MessageSpec) -> None:
    key = example_message(spec).routing_key
    assert all(spec.takes_key(one) for one in (key, f"{key}.v1", f"{key}.v12"))
    assert spec.takes_key(f"{key}.person") is spec.may_be_person
    assert not any(spec.takes_key(one) for one in ("", f"{key}.", f"{key}.v0", f"x{key}", key.partition(".")[0]))


def test_example_of_rows_names_columns_of_its_contract() -> None:
    event = decode_event(example_message(MESSAGES["cn.credit.record.submitted.v1"]).body)
    data = event.data.model_dump()
    assert set(data["rows"][0]) <= set(load_contracts()[data["contract"]].fields)


@pytest.mark.parametrize(
    "spec", [one for one in MESSAGES.values() if one.direction == "inbound"], ids=lambda spec: spec.name
)
def test_example_is_taken_when_its_sender_sends_it(spec: MessageSpec) -> None:
    message = example_message(spec)
    sender = PLATFORM if spec.name == "public_credit.evaluated" else "ecology_environment"
    event = decode_incoming(Incoming(message.body, CONTENT_TYPE, message.routing_key, sender))
    assert event.data == spec.example()


@pytest.mark.parametrize(
    ("kind", "break_it"),
    [
        ("objection.filed", lambda data: data["about"].pop("kind")),
        ("receipt.stored", lambda data: data["receipts"][0].pop("kind")),
        ("record.submitted", lambda data: data["rows"][0].update({"违法事实": "x"})),
    ],
)
def test_schema_refuses_what_the_gateway_refuses_when_no_type_says_it(kind: str, break_it: Any) -> None:
    spec = MESSAGES[f"cn.credit.{kind}.v1"]
    document = document_of(example_message(spec), spec)
    break_it(document["data"])
    with pytest.raises(BrokenMessageError):
        decode_event(json.dumps(document).encode())
    assert list(validator(spec).iter_errors(document))
