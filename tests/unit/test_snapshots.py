"""Snapshots: all grades of a domain in Arrow messages that fit, that can be verified, and that name nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_formats.errors import FatalError
from exchange_formats.messages.envelope import ARROW_STREAM, OutgoingMessage
from exchange_formats.messages.snapshots import (
    MAXIMUM_BYTES,
    SNAPSHOT,
    SnapshotPart,
    SnapshotRun,
    encode_parts,
    encode_snapshot,
    join_parts,
    read_snapshot,
)
from tests.publication_samples import code, grade

RUN = SnapshotRun(
    "enterprise_environment", "enterprise_environment@2026.1", date(2026, 6, 30), "b" * 32, "c" * 64, sequence=129
)
TIME = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
PERSON = "np_k1_" + "a" * 40
NUMBER = "33010619900101123X"


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), SNAPSHOT)


def messages(*batches: pa.RecordBatch, run: SnapshotRun = RUN, maximum: int = MAXIMUM_BYTES) -> list[OutgoingMessage]:
    parts = list(encode_parts(batches, person=run.person, maximum=maximum))
    return [encode_snapshot(run, n, len(parts), rows, body, TIME) for n, (rows, body) in enumerate(parts, start=1)]


def read(sent: list[OutgoingMessage]) -> list[SnapshotPart]:
    return [read_snapshot(one.headers, one.body) for one in sent]


def test_snapshot_comes_back_whole_when_it_is_cut() -> None:
    rows = [grade(code(n)) for n in range(5000)]
    sent = messages(batch(*rows[:3000]), batch(*rows[3000:]), maximum=100_000)
    assert len(sent) > 5
    assert all(len(one.body) <= 100_000 for one in sent)
    assert [one.routing_key for one in sent[:2]] == [f"snapshot.{RUN.domain}.1", f"snapshot.{RUN.domain}.2"]
    found = join_parts(list(reversed(read(sent))))
    assert found.equals(pa.Table.from_pylist(rows, SNAPSHOT))
    assert found.schema.metadata == {b"dataschema": b"urn:xinqiao:schema:cn.credit.snapshot.taken.v1"}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 60), max_size=6), st.integers(6_000, 40_000))
def test_rows_keep_their_order_whatever_the_batches_and_the_limit(sizes: list[int], maximum: int) -> None:
    numbers = iter(range(1000))
    batches = [batch(*(grade(code(next(numbers))) for _ in range(size))) for size in sizes]
    parts = list(encode_parts(batches, maximum=maximum))
    assert all(len(body) <= maximum for _, body in parts)
    sent = [encode_snapshot(RUN, n, len(parts), rows, body, TIME) for n, (rows, body) in enumerate(parts, start=1)]
    assert join_parts(read(sent))["subject_ref"].to_pylist() == [code(n) for n in range(sum(sizes))]


def test_domain_without_grades_is_one_empty_part() -> None:
    (sent,) = messages()
    assert (sent.content_type, sent.headers["cloudEvents:rows"]) == (ARROW_STREAM, 0)
    assert join_parts(read([sent])).num_rows == 0


def test_row_that_fits_no_message_is_a_fatal_error() -> None:
    with pytest.raises(FatalError, match="more than"):
        list(encode_parts([batch(grade(code(1), flags=["x" * 500] * 100))], maximum=20_000))


def test_same_state_of_a_domain_has_the_same_ids() -> None:
    first, again = messages(batch(grade(code(1)))), messages(batch(grade(code(1))))
    assert first == again
    assert messages(batch(grade(code(1))), run=replace(RUN, sequence=130))[0].id != first[0].id


@pytest.mark.semantics("5.4")
@pytest.mark.parametrize(
    ("row", "what"),
    [
        (grade(PERSON, subject_name="王*"), "persons travel apart"),
        (grade(code(1), subject_name=f"王小五{NUMBER}"), "resident number"),
        (grade("92330100MA00000001", subject_name="王小五面馆"), "must be masked"),
        (grade(NUMBER, subject_name="某某"), "resident number"),
    ],
)
def test_row_is_refused_when_it_would_show_a_person(row: dict[str, Any], what: str) -> None:
    with pytest.raises(FatalError, match=what) as caught:
        messages(batch(grade(code(2)), row))
    assert NUMBER not in str(caught.value)
    assert "王" not in str(caught.value)


@pytest.mark.semantics("5.3", "5.4")
def test_persons_travel_under_a_key_of_their_own() -> None:
    run = replace(RUN, person=True)
    (sent,) = messages(batch(grade(PERSON, subject_name="王*")), run=run)
    assert sent.routing_key == f"snapshot.{RUN.domain}.1.person"
    assert run.id != RUN.id
    with pytest.raises(FatalError, match="persons travel apart"):
        messages(batch(grade(code(1))), run=run)


def part(**changes: Any) -> OutgoingMessage:
    (sent,) = messages(batch(grade(code(1))))
    headers = dict(sent.headers) | {f"cloudEvents:{name}": value for name, value in changes.items()}
    return replace(sent, headers={name: value for name, value in headers.items() if value is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "cn.credit.grade.evaluated.v1"},
        {"specversion": "0.3"},
        {"rows": 2},
        {"rows": 100_001},
        {"rows": None},
        {"part": 2},
        {"part": 0},
        {"bodysha256": "0" * 64},
        {"asof": "yesterday"},
        {"sequence": 2**31},
    ],
)
def test_part_is_refused_when_its_headers_are_not_true(changes: dict[str, Any]) -> None:
    sent = part(**changes)
    with pytest.raises(ValueError, match=r"cloudEvents|headers|snapshot"):
        read_snapshot(sent.headers, sent.body)


def test_part_is_read_when_a_later_version_adds_an_attribute_and_writes_prefixes_otherwise() -> None:
    sent = part(novelty="x")
    headers = {name.replace(":", "_"): value for name, value in sent.headers.items()}
    assert read_snapshot(headers, sent.body).table.num_rows == 1


def rehash(body: bytes) -> OutgoingMessage:
    from exchange_formats.digests import digest_bytes

    return replace(part(bodysha256=digest_bytes(body)), body=body)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_part_is_refused_when_its_body_is_another_table() -> None:
    sent = rehash(stream(pa.table({"subject_ref": ["x"]})))
    with pytest.raises(ValueError, match="another schema"):
        read_snapshot(sent.headers, sent.body)
    sent = rehash(stream(pa.Table.from_pylist([grade(code(n)) for n in range(3)], SNAPSHOT)))
    with pytest.raises(ValueError, match="number of rows"):
        read_snapshot(sent.headers, sent.body)


@settings(deadline=None)
@given(st.data())
def test_broken_body_ends_in_a_value_error_or_the_right_schema(data: st.DataObject) -> None:
    body = bytearray(part().body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=8)):
        body[place] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    sent = rehash(cut)
    try:
        found = read_snapshot(sent.headers, sent.body)
    except ValueError:
        return
    assert found.table.schema.equals(SNAPSHOT)


def test_snapshot_is_refused_when_a_part_is_missing_or_strange() -> None:
    sent = read(messages(batch(*(grade(code(n)) for n in range(2000))), maximum=100_000))
    with pytest.raises(ValueError, match=rf"1 of {len(sent)} parts are missing, the first is 2"):
        join_parts([sent[0], *sent[2:]])
    other = read(messages(batch(grade(code(1))), run=replace(RUN, sequence=1)))
    with pytest.raises(ValueError, match="one snapshot"):
        join_parts([*sent, *other])
    with pytest.raises(ValueError, match="one snapshot"):
        join_parts([])
