"""Change data: rows that say what happened to a record (facts §6.5, ``opt_type`` I, U, D; observed).

A deletion revokes its record (semantics §2: it never happened), from the Shanghai day of the row's
own update time. Where it carries the whole record it lands as a version like any other row. Where it
carries no more than the record's identity, it lands as the version before it, revoked; if there is
none, it is rejected, because nobody can say what it deletes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from connectors.department import Changes
from connectors.reject_rows import Finding
from connectors.spool import PULL_SEQUENCE, SpoolFile, open_engine, open_spooled
from exchange_formats.datasets import Dataset
from exchange_formats.rejects import REJECTS, Reason
from exchange_formats.texts import Mask, mask_of

_TIME = pa.field("source_updated_at", pa.timestamp("us", tz="UTC"))
#: Deletions that carry no whole record: the reject that each one is unless its record is known, and when it happened.
DELETIONS = pa.schema([*REJECTS, _TIME])

#: What a deletion must be right in; anything else may be wrong in it.
_IDENTIFYING = frozenset(
    {
        Reason.CELL_TOO_LARGE,
        Reason.KEY_MISSING,
        Reason.CHANGE_UNKNOWN,
        Reason.SOURCE_TIME_MISSING,
        Reason.SOURCE_TIME_MALFORMED,
        Reason.SOURCE_TIME_FUTURE,
    }
)


def find_deletions(flags: pa.Array, changes: Changes) -> tuple[Mask, Mask]:
    """(rows that delete, rows whose flag is missing or not declared); ``flags`` is clean text."""
    deleted = mask_of(pc.is_in(flags, pa.array(changes.delete, pa.string())))
    kept = mask_of(pc.is_in(flags, pa.array(changes.upsert, pa.string())))
    return deleted, ~deleted & ~kept


def revoke_deleted(revoked_on: pa.Array, deleted: Mask, instants: pa.Array) -> pa.Array:
    """``revoked_on`` (date32) with the Shanghai day of ``instants`` where a row deletes and says no day itself."""
    local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz="Asia/Shanghai")))
    return pc.if_else(pa.array(deleted), pc.coalesce(revoked_on, local.cast(pa.date32())), revoked_on)


def split_deletions(
    rejects: pa.RecordBatch, findings: Sequence[Finding], deleted: Mask, instants: pa.Array
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """(rejects that stay, ``DELETIONS``): broken rows that delete and say for certain which record, and when.

    ``rejects`` has one row for each row of the page that ``findings`` name, in their order;
    ``deleted`` and ``instants`` have one for every row of the page.
    """
    wrong = np.zeros(len(deleted), dtype=np.bool_)
    unsure = np.zeros(len(deleted), dtype=np.bool_)
    for finding in findings:
        wrong |= finding.rows
        if finding.reason in _IDENTIFYING:
            unsure |= finding.rows
    chosen = (deleted & ~unsure)[wrong] & mask_of(pc.is_valid(rejects.column("record_id")))
    times = instants.filter(pa.array(wrong))
    arrays = [*rejects.columns, times]
    deletions = pa.RecordBatch.from_arrays(arrays, schema=DELETIONS).filter(pa.array(chosen))
    return rejects.filter(pa.array(~chosen)), deletions


def complete_deletions(
    dataset: Dataset, field: str, deletions: Path, records: Path, chain: pads.Dataset, completed: SpoolFile
) -> pa.RecordBatch:
    """Write each deletion's record to ``completed``: its latest version up to then, revoked. Returns the other rejects.

    ``deletions`` and ``records`` are spool files of one pull; ``chain`` is what was landed before. ``field`` is the
    source column of the flag. A version with the same time counts where it came earlier.
    """
    connection = open_engine(records.parent, "256MB")
    try:
        connection.register("arriving", open_spooled(deletions))
        connection.execute("CREATE TEMP TABLE deletion AS SELECT * FROM arriving")
        connection.register("chain", chain)
        connection.register("spool", open_spooled(records))
        _find_versions(connection, dataset)
        schema = completed.schema
        for batch in _revoke_versions(connection, dataset).to_arrow_reader(8_192):
            extra = [pa.nulls(batch.num_rows, one.type) for one in schema if one.name not in dataset.schema.names]
            completed.write(pa.RecordBatch.from_arrays([*batch.columns, *extra], schema=schema))
        return _reject_unknown(connection, field)
    finally:
        connection.close()


def _find_versions(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Table ``before``: for each deletion the version that it ends."""
    columns = ", ".join(f'"{name}"' for name in dataset.schema.names)
    connection.execute(
        f"""
        CREATE TEMP TABLE before AS
        WITH version AS (
            SELECT {columns}, chain_sequence AS sequence, batch_id FROM chain
            WHERE record_id IN (SELECT record_id FROM deletion)
            UNION ALL
            SELECT {columns}, {PULL_SEQUENCE}, '' FROM spool WHERE record_id IN (SELECT record_id FROM deletion)
        )
        SELECT version.*, deletion."row" AS deletion_row, deletion.source_updated_at AS deleted_at
        FROM version JOIN deletion USING (record_id)
        WHERE version.source_updated_at IS NULL OR version.source_updated_at < deletion.source_updated_at
        OR (
            version.source_updated_at = deletion.source_updated_at
            AND (version.sequence < {PULL_SEQUENCE} OR version."row" < deletion."row")
        )
        QUALIFY row_number() OVER (
            PARTITION BY deletion."row"
            ORDER BY version.source_updated_at DESC NULLS LAST, version.sequence DESC, version."row" DESC, batch_id
        ) = 1
        """
    )


def _revoke_versions(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> duckdb.DuckDBPyRelation:
    replaced = {
        "row": "deletion_row",
        "source_updated_at": "deleted_at",
        # Shanghai has been eight hours ahead of UTC since 1991, without summer time.
        "revoked_on": "coalesce(revoked_on, CAST(timezone('UTC', deleted_at) + INTERVAL 8 HOUR AS DATE))",
    }
    columns = [f'{replaced[name]} AS "{name}"' if name in replaced else f'"{name}"' for name in dataset.schema.names]
    return connection.sql(f"SELECT {', '.join(columns)} FROM before ORDER BY deletion_row")


def _reject_unknown(connection: duckdb.DuckDBPyConnection, field: str) -> pa.RecordBatch:
    """Deletions of what was never received, for that reason."""
    left = connection.sql(
        'SELECT deletion.* FROM deletion ANTI JOIN before ON deletion."row" = before.deletion_row ORDER BY "row"'
    ).to_arrow_table()
    reason = str(Reason.CHANGE_UNMATCHED)
    replaced = {
        "reason": pa.array([reason] * left.num_rows, pa.string()),
        "column": pa.nulls(left.num_rows, pa.string()),
        "source_column": pa.array([field] * left.num_rows, pa.string()),
        "value": pa.nulls(left.num_rows, pa.string()),
        "detail": pc.binary_join_element_wise(f"{reason} {field}", left.column("detail"), ", "),
    }
    arrays = [replaced.get(name, left.column(name)) for name in REJECTS.names]
    combined = [one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in arrays]
    return pa.RecordBatch.from_arrays(combined, schema=REJECTS)
