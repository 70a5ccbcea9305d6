"""Consumption into a file: each message once, whatever is delivered twice, late, or broken."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.json_lines import open_json_lines
from connectors.lake import Lake
from connectors.rabbit.consumer import Delivery, PoisonMessageError
from exchange_formats.errors import FatalError
from exchange_formats.messages import CLEARED, CONTENT_TYPE, EVALUATED, RAISED, OutgoingMessage
from exchange_formats.messages.feedback import FEEDBACK_REPORTED
from exchange_formats.messages.records import RECORD_CORRECTED, RECORD_WITHDRAWN
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from gateway.publication import publish_domain
from gateway.subscription import EventFile
from tests.fakes import MemoryStore
from tests.publication_samples import DOMAIN, NOW, Bus, Runs, code, grade, warning

A, B = code(1), code(2)


def delivery(message: OutgoingMessage, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "queue": "province.grades",
        "routing_key": message.routing_key,
        "body": message.body,
        "content_type": message.content_type,
        "message_id": message.id,
        "user_id": "gateway",
        "redelivered": False,
    }
    return Delivery(**(fields | changes))


@contextmanager
def opened(path: Path) -> Iterator[EventFile]:
    with open_json_lines(path) as file:
        sink = EventFile(file)
        sink.reset_counts()
        yield sink


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "province.jsonl"


@pytest.fixture
def messages(tmp_path: Path) -> list[OutgoingMessage]:
    """Two runs: A and B with a warning, then A worse and the warning gone. Sequences 1, 2 and 3, 4."""
    lake, bus = Lake(MemoryStore(), tmp_path / "cache"), Bus()
    runs = Runs(lake, tmp_path)
    runs.commit(date(2026, 6, 30), [grade(A), grade(B)], [warning(A)])
    runs.commit(date(2026, 7, 31), [grade(A, grade="E", score=Decimal("600.00")), grade(B)])
    publish_domain(DOMAIN, lake=lake, open_publisher=bus.open, now=lambda: NOW, spool=tmp_path / "spool")
    return bus.sent


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_published_bytes_are_written_when_they_arrive(target: Path, messages: list[OutgoingMessage]) -> None:
    with opened(target) as sink:
        for message in messages:
            sink.take(delivery(message))
        sink.flush()
        assert target.read_bytes() == b"".join(message.body + b"\n" for message in messages)
        assert sink.grades == {"C": 2, "E": 1}
        assert (sink.levels["orange"], sink.counts["cleared"]) == (1, 1)


def test_message_is_written_once_when_it_is_delivered_again(target: Path, messages: list[OutgoingMessage]) -> None:
    with opened(target) as sink:
        sink.take(delivery(messages[1]))
        sink.take(delivery(messages[1], redelivered=True))
        assert sink.counts["duplicates"] == 1
    with opened(target) as again:
        again.take(delivery(messages[1], redelivered=True))
        assert (again.counts["duplicates"], again.counts["written"]) == (1, 0)
    assert len(lines(target)) == 1


def test_half_line_is_cut_off_when_a_crash_left_it(target: Path, messages: list[OutgoingMessage]) -> None:
    with opened(target) as sink:
        sink.take(delivery(messages[0]))
    with target.open("ab") as file:
        file.write(messages[1].body[:100])
    with opened(target) as again:
        again.take(delivery(messages[1], redelivered=True))
        assert again.counts["written"] == 1
    assert [line["id"] for line in lines(target)] == [messages[0].id, messages[1].id]


def test_file_is_empty_again_when_its_only_line_is_half(target: Path, messages: list[OutgoingMessage]) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(messages[0].body * 50)
    with opened(target):
        assert target.read_bytes() == b""


@pytest.mark.semantics("7.4")
def test_lower_sequence_of_a_subject_is_left_out_when_it_comes_late(
    target: Path, messages: list[OutgoingMessage]
) -> None:
    kinds = [json.loads(message.body)["type"] for message in messages]
    raised, cleared = (messages[kinds.index(kind)] for kind in (RAISED, CLEARED))
    first, second = (message for message, kind in zip(messages, kinds, strict=True) if kind == EVALUATED)
    with opened(target) as sink:
        sink.take(delivery(second))
        sink.take(delivery(first))
        sink.take(delivery(cleared))
        sink.take(delivery(raised))
        assert sink.counts["outdated"] == 2
        assert sink.grades == {"E": 1, "C": 1}
    written = lines(target)
    assert [line["id"] for line in written] == [second.id, first.id, cleared.id]
    # Of the late message only B is news; A has its newer grade already.
    assert [row["subject_ref"] for row in written[1]["data"]["results"]] == [B]
    with opened(target) as again:
        again.take(delivery(raised))
        assert again.counts["outdated"] == 1


def test_correction_is_kept_beside_the_standing_grade(target: Path, messages: list[OutgoingMessage]) -> None:
    document = json.loads(messages[1].body)
    document["id"] = "00000000-0000-5000-8000-000000000001"
    document["data"] |= {"correction": True, "sequence": 9}
    correction = delivery(messages[1], body=json.dumps(document).encode())
    with opened(target) as sink:
        sink.take(correction)
        sink.take(delivery(messages[3]))
        assert sink.counts["outdated"] == 0
        assert sink.counts["written"] == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": b"not json"}, "json_invalid"),
        ({"body": b"[]"}, "model_type"),
        ({"body": b'{"specversion":"1.0","id":"1","source":"s"}'}, "type: missing"),
        ({"content_type": "text/plain"}, "content type"),
        ({"content_type": ""}, "content type"),
    ],
)
def test_poison_is_refused_with_its_reason_and_nothing_is_written(
    target: Path, messages: list[OutgoingMessage], changes: dict[str, Any], reason: str
) -> None:
    with opened(target) as sink:
        with pytest.raises(PoisonMessageError, match=reason):
            sink.take(delivery(messages[0], **changes))
        assert sum(sink.reasons.values()) == 1
    assert target.read_bytes() == b""


def test_reason_shows_no_value_when_the_data_is_broken(target: Path, messages: list[OutgoingMessage]) -> None:
    document = json.loads(messages[1].body)
    document["data"]["results"][0]["grade"] = {"secret": "王小五"}
    with opened(target) as sink:
        with pytest.raises(PoisonMessageError) as caught:
            sink.take(delivery(messages[1], body=json.dumps(document).encode()))
        assert str(caught.value) == "data.results.0.grade: string_type"


def test_event_of_an_unknown_type_is_kept_whole(target: Path, messages: list[OutgoingMessage]) -> None:
    body = b'{"specversion":"1.0",\n"id":"x-1","source":"/s","type":"cn.credit.checkpoint.sealed.v1","data":{}}'
    with opened(target) as sink:
        sink.take(delivery(messages[0], body=body))
    assert [line["type"] for line in lines(target)] == ["cn.credit.checkpoint.sealed.v1"]


def test_feedback_and_changed_records_are_counted_apart_when_they_arrive(
    target: Path, messages: list[OutgoingMessage]
) -> None:
    with opened(target) as sink:
        for message_type in (FEEDBACK_REPORTED, RECORD_WITHDRAWN, RECORD_CORRECTED):
            sink.take(delivery(messages[0], body=example_message(MESSAGES[message_type]).body))
    assert (sink.counts["feedback"], sink.counts["changed_records"], sink.counts["written"]) == (1, 2, 3)


def test_second_consumer_is_refused_when_the_file_is_in_use(target: Path) -> None:
    with opened(target), pytest.raises(FatalError, match="another process"), ExitStack() as stack:
        stack.enter_context(opened(target))


@pytest.mark.parametrize("content", [b"name,grade\n", b"name,grade", b'{"some":"object"}\n'])
def test_file_of_something_else_is_left_alone(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    with pytest.raises(FatalError, match=r"province\.jsonl"), ExitStack() as stack:
        stack.enter_context(opened(target))
    assert target.read_bytes() == content


def test_full_disk_is_a_fatal_error_when_messages_are_flushed(
    target: Path, messages: list[OutgoingMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(target) as sink:
        sink.take(delivery(messages[0]))
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(FatalError, match="disk is full"):
            sink.flush()
        monkeypatch.undo()


def test_content_type_is_the_structured_json_of_cloudevents() -> None:
    assert CONTENT_TYPE == "application/cloudevents+json"
