"""Digests: equal content has an equal name, whatever its layout or order."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.digests import (
    canonical_json,
    derive_id,
    derive_uuid,
    digest_bytes,
    digest_file,
    digest_relation,
    row_digest_sql,
)

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(18, 2)),
        ("count", pa.int64()),
        ("yes", pa.bool_()),
    ]
)
ROW: dict[str, Any] = {
    "name": "某公司",
    "day": date(2026, 6, 30),
    "at": datetime(2026, 6, 30, 1, 2, 3, 4, UTC),
    "amount": Decimal("12.50"),
    "count": 7,
    "yes": True,
}


def digest_rows(rows: list[dict[str, Any]], *, chunks: int = 1, zone: str = "UTC") -> str:
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{zone}'")
    size = max(1, -(-len(rows) // chunks))
    tables = [pa.Table.from_pylist(rows[i : i + size], schema=SCHEMA) for i in range(0, len(rows), size)]
    connection.register("records", pa.concat_tables([SCHEMA.empty_table(), *tables]))
    return digest_relation(connection, "records", SCHEMA)


def test_row_digest_is_the_documented_encoding_when_computed() -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Shanghai'")
    connection.register("records", pa.Table.from_pylist([ROW, dict.fromkeys(ROW)], schema=SCHEMA))
    found = connection.sql(f"SELECT {row_digest_sql(SCHEMA)} FROM records").fetchall()
    text = "3:某公司10:2026-06-3016:17827813230000045:12.501:74:true"
    assert found[0][0] == hashlib.sha256(text.encode()).hexdigest()
    assert found[1][0] == hashlib.sha256(b"~~~~~~").hexdigest()


def test_relation_digest_is_that_of_the_sorted_row_digests_when_computed() -> None:
    connection = duckdb.connect()
    connection.register("records", pa.Table.from_pylist([ROW, ROW | {"count": 8}], schema=SCHEMA))
    rows = sorted(row[0] for row in connection.sql(f"SELECT {row_digest_sql(SCHEMA)} FROM records").fetchall())
    assert digest_relation(connection, "records", SCHEMA) == digest_bytes("".join(rows).encode())


def test_relation_digest_is_the_same_when_order_chunks_and_zone_differ() -> None:
    rows = [ROW | {"count": number % 90} for number in range(100)]
    expected = digest_rows(rows)
    assert digest_rows(rows[::-1], chunks=7, zone="Asia/Shanghai") == expected
    assert digest_rows(rows[:-1]) != expected, "a repeat counts"
    assert digest_rows([*rows[:-1], rows[0]]) != expected


def test_empty_relation_has_the_digest_of_nothing_when_computed() -> None:
    assert digest_rows([]) == digest_bytes(b"")


@pytest.mark.parametrize("column", SCHEMA.names)
def test_digest_changes_when_any_column_does(column: str) -> None:
    assert digest_rows([ROW | {column: None}]) != digest_rows([ROW])


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_parts_never_run_together_when_an_id_is_derived(one: list[str], other: list[str]) -> None:
    assert (derive_id(*one) == derive_id(*other)) == (one == other)
    assert (derive_uuid(*one) == derive_uuid(*other)) == (one == other)


def test_id_is_stable_when_derived_again() -> None:
    assert derive_id("a", "号") == hashlib.sha256("1:a3:号".encode()).hexdigest()[:32]
    assert derive_uuid("a").version == 5


def test_file_and_bytes_have_one_digest_when_equal(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert digest_file(tmp_path / "file") == digest_bytes(data) == hashlib.sha256(data).hexdigest()


def test_json_is_canonical_when_keys_come_in_any_order() -> None:
    assert canonical_json({"b": 1, "a": "号"}) == canonical_json({"a": "号", "b": 1}) == '{"a":"号","b":1}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})
