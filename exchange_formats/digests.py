"""Digests and derived ids: the same work has the same name (semantics §6, §7).

Files are named by SHA-256 of their bytes (storage integrity). Proof compares the
*canonical row digest*: every row encoded the same way whatever the file layout,
the row digests sorted, and hashed again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pyarrow as pa
from pydantic import BaseModel

if TYPE_CHECKING:
    # Only named here: whoever parses a DAG needs ids, not an engine.
    import duckdb

#: Namespace of every id this system derives; changing it would change every message id.
NAMESPACE = UUID("6f1d0c1e-6a53-5b0b-8d0a-7c9a5f3e2b19")
_CHUNK = 1 << 20
_ROWS = 1 << 16


def canonical_json(value: BaseModel | dict[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_bytes(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 in hex of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def derive_id(*parts: str) -> str:
    """32 hex characters derived from ``parts``; lengths are hashed too, so parts never run together."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(f"{len(raw)}:".encode() + raw)
    return digest.hexdigest()[:32]


def derive_uuid(*parts: str) -> UUID:
    """UUIDv5 derived from ``parts``: the id of a message or a warning."""
    return uuid5(NAMESPACE, "\x1f".join(f"{len(part)}:{part}" for part in parts))


def row_digest_sql(schema: pa.Schema) -> str:
    """DuckDB expression: SHA-256 (hex) of one row in the canonical encoding.

    Each value is ``<length>:<text>``, null is ``~``; instants as microseconds since
    1970 UTC, dates ISO, decimals at their declared scale, lists as JSON.
    """
    return "sha256(concat(" + ", ".join(_encode(field) for field in schema) + "))"


def digest_relation(connection: duckdb.DuckDBPyConnection, relation: str, schema: pa.Schema) -> str:
    """Canonical row digest of ``relation`` (a table, a view or a sub-query), whatever its row order.

    The row digests are sorted by the engine, which may spill, and hashed as they come:
    memory does not grow with the rows.
    """
    query = f"SELECT {row_digest_sql(schema)} AS h FROM {relation} ORDER BY h"
    digest = hashlib.sha256()
    for batch in connection.sql(query).to_arrow_reader(_ROWS):
        digest.update("".join(batch.column(0).to_pylist()).encode())
    return digest.hexdigest()


def _encode(field: pa.Field) -> str:
    column = '"' + field.name.replace('"', '""') + '"'
    if pa.types.is_timestamp(field.type):
        text = f"CAST(epoch_us({column}) AS VARCHAR)"
    elif pa.types.is_list(field.type) or pa.types.is_struct(field.type):
        text = f"CAST(to_json({column}) AS VARCHAR)"
    else:
        text = f"CAST({column} AS VARCHAR)"
    return f"coalesce(length({text}) || ':' || {text}, '~')"
