"""Feedback: a sender is told once what became of each batch, with some rows of every reason, masked, in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exchange_formats.errors import TransientError
from exchange_formats.manifests import BatchManifest, Counts
from exchange_formats.messages.decoding import BrokenMessageError, Incoming, decode_event, decode_incoming
from exchange_formats.messages.envelope import CONTENT_TYPE, MAXIMUM_BYTES
from exchange_formats.messages.feedback import MAXIMUM_ROWS, ROWS_PER_REASON, FeedbackReported
from exchange_formats.rejects import REJECTS
from gateway.feedback import build_feedback, build_refusal, encode_feedback, encode_refusal, report_batches
from tests.fakes import MemoryStore
from tests.publication_samples import NOW, Bus
from tests.pulls import DEPARTMENT, RESIDENT, Landings, later, penalty, penalty_mapping


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    return Landings(MemoryStore(), tmp_path, penalty_mapping())


def told(bus: Bus) -> list[FeedbackReported]:
    found = [decode_event(one.body).data for one in bus.sent]
    return [data for data in found if isinstance(data, FeedbackReported)]


def report(landings: Landings, bus: Bus) -> int:
    return report_batches(DEPARTMENT, ["penalty"], lake=landings.lake, open_publisher=bus.open).messages


def test_sender_is_told_of_counts_reasons_and_rows(landings: Landings) -> None:
    landings.pull([penalty(1), penalty(2, CF_JDRQ="2026-13-01"), penalty(3, CF_JDRQ=""), penalty(4)])
    bus = Bus()
    assert report(landings, bus) == 1
    (sent,), (said,) = bus.sent, told(bus)
    assert sent.routing_key == f"feedback.{DEPARTMENT}"
    assert (said.counts.read, said.counts.landed, said.counts.rejected, said.omitted) == (4, 2, 2, 0)
    assert {one.reason: (one.count, one.shown) for one in said.reasons} == {
        "date.malformed": (1, 1),
        "required.missing": (1, 1),
    }
    assert all(one.title and one.title_en for one in said.reasons)
    row = next(row for row in said.rows if row.reason == "date.malformed")
    assert (row.row, row.column, row.source_column, row.value) == (2, "decided_on", "CF_JDRQ", "2026-13-01")


def test_nothing_is_told_twice_and_every_batch_once(landings: Landings) -> None:
    landings.pull([penalty(1)])
    bus = Bus()
    assert report(landings, bus) == 1
    assert report(landings, bus) == 0
    landings.pull([penalty(2)], until=later(1))
    assert report(landings, bus) == 1
    assert len({one.id for one in bus.sent}) == 2


def test_same_message_is_sent_again_when_the_confirm_was_lost(landings: Landings) -> None:
    landings.pull([penalty(1, CF_JDRQ="x")])
    with pytest.raises(TransientError):
        report(landings, lost := Bus(fail_after=0))
    bus = Bus()
    assert report(landings, bus) == 1
    assert bus.sent == lost.sent


def test_person_s_number_and_name_are_in_no_feedback(landings: Landings) -> None:
    person = {"CF_XDR_SHXYM": None, "CF_XDR_ZJHM": RESIDENT, "CF_XDR_LB": "自然人", "CF_XDR_MC": "王小五"}
    landings.pull([penalty(1, **person, CF_JDRQ=RESIDENT), penalty(2, CF_WSH=f"文号{RESIDENT}", CF_JDRQ="王小五")])
    bus = Bus()
    report(landings, bus)
    text = bus.sent[0].body.decode()
    assert RESIDENT not in text
    assert "王小五" not in text
    assert told(bus)[0].counts.rejected == 2


def manifest(by_reason: dict[str, int]) -> BatchManifest:
    rejected = sum(by_reason.values())
    return BatchManifest.model_validate(
        {
            "parents": (),
            "sequence": 1,
            "batch_id": "a" * 32,
            "department": DEPARTMENT,
            "dataset": "penalty",
            "contract": "penalty@1",
            "window": {"until": "2026-06-30T10:00:00Z"},
            "configuration_sha256": "b" * 64,
            "content_sha256": "c" * 64,
            "watermark": None,
            "parts": (),
            "rejects": None,
            "counts": Counts(read=rejected, landed=0, duplicates=0, rejected=rejected),
            "rejected_by_reason": by_reason,
        }
    )


def rejects(reason: str, count: int, **changes: Any) -> pa.RecordBatch:
    row = {"rows": 1, "origin": "a.csv", "reason": reason, "fingerprint": "f", "detail": reason}
    rows = [row | {"row": n, "origin_row": n} | changes for n in range(1, count + 1)]
    return pa.RecordBatch.from_pylist(rows, REJECTS)


def test_rare_reason_is_shown_when_another_fills_the_batch() -> None:
    found = build_feedback(
        manifest({"date.malformed": 5000, "key.missing": 1}),
        [rejects("date.malformed", 3000), rejects("date.malformed", 2000), rejects("key.missing", 1)],
    )
    assert [(one.reason, one.shown) for one in found.reasons] == [
        ("date.malformed", ROWS_PER_REASON),
        ("key.missing", 1),
    ]
    assert [row.reason for row in found.rows[:3]] == ["date.malformed", "key.missing", "date.malformed"]
    assert found.omitted == 5001 - ROWS_PER_REASON - 1


def test_rows_are_bounded_when_there_are_many_reasons() -> None:
    reasons = {f"check.rule_{n}": 30 for n in range(40)}
    found = build_feedback(manifest(reasons), [rejects(reason, 30) for reason in reasons])
    assert len(found.rows) == MAXIMUM_ROWS
    assert found.omitted == 40 * 30 - MAXIMUM_ROWS
    assert {one.shown for one in found.reasons} == {MAXIMUM_ROWS // 40}


def test_message_fits_when_every_text_is_as_long_as_it_can_be() -> None:
    reasons = {f"check.rule_{n}": 30 for n in range(40)}
    long = dict.fromkeys(("origin", "column", "source_column", "value", "key", "detail"), "长" * 2000)
    said = manifest(reasons)
    found = build_feedback(said, [rejects(reason, 30, **long) for reason in reasons])
    sent = encode_feedback(said, found)
    assert len(sent.body) <= MAXIMUM_BYTES
    assert 10 < len(found.rows) < MAXIMUM_ROWS
    assert decode_event(sent.body).data == found


def test_entry_that_stands_for_many_rows_counts_as_many() -> None:
    found = build_feedback(manifest({"file.broken": 700}), [rejects("file.broken", 1, rows=700, origin_row=None)])
    assert (found.reasons[0].shown, found.omitted, found.rows[0].row) == (700, 0, None)


def test_sender_is_told_where_a_refused_message_breaks_and_not_what_it_said() -> None:
    body = b'{"type":"cn.credit.record.submitted.v1","data":{"' + RESIDENT.encode() + b'":1}}'
    key = f"record.{DEPARTMENT}.penalty"
    message = Incoming(body, CONTENT_TYPE, key, DEPARTMENT, message_id=f"no {RESIDENT}")
    with pytest.raises(BrokenMessageError) as caught:
        decode_incoming(message)
    sent = encode_refusal(build_refusal(message, caught.value), NOW)
    assert RESIDENT not in sent.body.decode()
    assert sent.routing_key == f"feedback.{DEPARTMENT}"
    said = decode_event(sent.body).data
    assert isinstance(said, FeedbackReported)
    assert (said.about.kind, said.reasons[0].reason, said.reasons[0].count) == ("message", "message.invalid", 1)
    assert (said.reasons[0].title, said.reasons[0].title_en) == ("消息不符合格式", "the message breaks its format")
    assert said.rows[0].detail
