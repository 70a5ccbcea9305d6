"""The canonical row digest: of the rows, not of how they lie in files and batches."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.results import TEXTS
from exchange_formats.row_digests import RowDigest, bucket_of, combine_buckets, digest_rows

PART = pa.struct([("n", pa.int64()), ("points", pa.decimal128(18, 8))])
SCHEMA = pa.schema(
    [
        ("subject_ref", pa.string()),
        ("name", pa.string()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(18, 2)),
        ("count", pa.int64()),
        ("yes", pa.bool_()),
        ("codes", TEXTS),
        ("parts", pa.list_(pa.field("item", PART, nullable=False))),
    ]
)
ROW: dict[str, Any] = {
    "subject_ref": "91330100MA2A00001X",
    "name": "某公司",
    "day": date(2026, 6, 30),
    "at": datetime(2026, 6, 30, 1, 2, 3, 4, UTC),
    "amount": Decimal("12.50"),
    "count": 7,
    "yes": True,
    "codes": ["M01", "M02"],
    "parts": [{"n": 1, "points": Decimal("-80.00000001")}],
}
CHANGES: dict[str, list[Any]] = {
    "subject_ref": ["91330100MA2A00002X"],
    "name": [None, "", "某公司 "],
    "day": [None, date(1970, 1, 1)],
    "at": [None, datetime(1970, 1, 1, tzinfo=UTC)],
    "amount": [None, Decimal("-12.50"), Decimal("0.00")],
    "count": [None, 0, 2**40],
    "yes": [None, False],
    "codes": [None, [], ["M01"], ["M01M02"], ["M0", "1M02"], ["M02", "M01"]],
    "parts": [None, [], [{"n": 1, "points": None}], [{"n": None, "points": Decimal("-80.00000001")}]],
}


def digest(rows: list[dict[str, Any]], size: int = 1000) -> str:
    return digest_rows(SCHEMA, [pa.Table.from_pylist(rows, schema=SCHEMA).to_batches(size)])


@pytest.mark.semantics("6.16")
@pytest.mark.parametrize("column", SCHEMA.names)
def test_digest_changes_when_any_value_does(column: str) -> None:
    others = [ROW | {column: value} for value in CHANGES[column]]
    assert len({digest([row]) for row in [ROW, *others]}) == len(others) + 1


def test_values_do_not_run_together_when_they_move_between_rows_or_columns() -> None:
    apart = [ROW | {"name": "ab", "codes": ["c"]}, ROW | {"name": "c", "codes": ["d", "e"]}]
    moved = [ROW | {"name": "a", "codes": ["c"]}, ROW | {"name": "bc", "codes": ["d", "e"]}]
    shifted = [ROW | {"name": "ab", "codes": ["c", "d"]}, ROW | {"name": "c", "codes": ["e"]}]
    assert len({digest(rows) for rows in (apart, moved, shifted)}) == 3


def test_digest_changes_when_rows_of_one_subject_change_places_repeat_or_are_gone() -> None:
    one, two = ROW, ROW | {"count": 8}
    found = [digest(rows) for rows in ([one, two], [two, one], [one, two, two], [one], [])]
    assert len(set(found)) == len(found)


@pytest.mark.semantics("6.16")
@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 12), st.integers(0, 12))
def test_digest_is_the_same_when_batches_and_slices_differ(subjects: list[int], size: int, cut: int) -> None:
    rows = [
        ROW | {"subject_ref": f"s{number}", "count": place, "name": "长" * place, "codes": ["x"] * (place % 3)}
        for place, number in enumerate(subjects)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pieces = [*table.slice(0, cut).to_batches(), *table.slice(cut).to_batches(size)]
    assert digest_rows(SCHEMA, [pieces]) == digest(rows)


def test_values_behind_nulls_do_not_matter_when_they_are_hashed() -> None:
    schema = pa.schema([("n", pa.int32()), ("t", pa.string())])
    there = pa.array([1, 2, 3], pa.int32())
    hidden = pa.Array.from_buffers(pa.int32(), 3, [pa.py_buffer(b"\x05"), there.buffers()[1]])
    words = pa.array(["a", "bc", "d"])
    dark = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *words.buffers()[1:]])
    plain = pa.record_batch([pa.array([1, None, 3], pa.int32()), pa.array(["a", None, "d"])], schema=schema)
    assert digest_rows(schema, [[pa.record_batch([hidden, dark], schema=schema)]]) == digest_rows(schema, [[plain]])


@pytest.mark.semantics("6.16")
def test_digest_is_the_documented_one_when_computed_by_hand() -> None:
    schema = pa.schema([("subject_ref", pa.string()), ("n", pa.int32())])
    table = pa.table({"subject_ref": ["a", "a", "b"], "n": pa.array([1, None, 3], pa.int32())}, schema=schema)

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def length(number: int) -> bytes:
        return number.to_bytes(4, "little")

    of_a = sha(sha(length(1) * 2) + sha(b"aa") + sha(b"\x01\x00") + sha(length(1) + length(0)))
    of_b = sha(sha(length(1)) + sha(b"b") + sha(b"\x01") + sha(length(3)))
    buckets = sorted([(bucket_of("a"), of_a), (bucket_of("b"), of_b)])
    whole = hashlib.sha256(b"".join(bytes([bucket]) + digest for bucket, digest in buckets)).hexdigest()
    assert digest_rows(schema, [table.to_batches()]) == whole
    assert digest_rows(schema, [[]]) == hashlib.sha256().hexdigest()


def test_rows_are_all_in_one_bucket_when_they_have_no_subject() -> None:
    schema = pa.schema([("n", pa.int64())])
    held = RowDigest(schema)
    held.update(pa.record_batch([pa.array(range(5))], schema=schema))
    assert list(held.buckets()) == [0]


def test_buckets_do_not_combine_when_two_shards_hold_one() -> None:
    with pytest.raises(ValueError, match=r"\[4\]"):
        combine_buckets([{1: "00" * 32, 4: "11" * 32}, {4: "22" * 32}])
