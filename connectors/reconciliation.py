"""Reconciliation: what of a spooled pull is new against the chain (semantics §2).

The rows of one record are ordered by (source update time, row). A row is a duplicate
iff an identical one (all columns but ``row``) is already in the chain or stands
earlier in the pull, except that the pull's last row of a record is landed again when
it differs from the latest known version: the source went A → B → A. Everything runs
in DuckDB with bounded memory, spilling to the spool's disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from connectors.spool import PULL_SEQUENCE, open_engine, open_spooled
from exchange_formats.datasets import Dataset
from exchange_formats.digests import digest_relation, row_digest_sql
from exchange_formats.errors import FatalError
from exchange_formats.rejects import REJECTS

_ROW = '"row"'
#: Later wins; a record without an update time counts as older than any with one.
_LATEST = '"at" DESC NULLS LAST, sequence DESC, "row" DESC, batch_id'
_VERSION = 'record_id, source_updated_at AS "at", chain_sequence AS sequence, "row", batch_id'


@dataclass(frozen=True)
class Held:
    """A full snapshot against what the chain holds. ``withheld``: keys not revoked because rejects hide some keys."""

    previous: int
    held: int
    revoked: int
    withheld: int


class Reconciliation:
    """One pull's spool files (``records`` with the dataset's schema and ``supersedes``, ``rejects``) and the chain."""

    def __init__(
        self,
        dataset: Dataset,
        records: Sequence[Path],
        rejects: Path,
        chain: pads.Dataset,
        chain_rejects: pads.Dataset,
    ) -> None:
        self._dataset = dataset
        self._columns = ", ".join(f'"{name}"' for name in dataset.schema.names)
        self._connection = open_engine(rejects.parent)
        self._records = records
        self._connection.register("rejected", pads.dataset(str(rejects), format="ipc"))
        self._connection.register("chain", chain)
        self._connection.register("chain_rejects", chain_rejects)

    def close(self) -> None:
        """Release memory and temporary files."""
        self._connection.close()

    def find_new(self) -> int:
        """Decide which spooled rows land; returns how many. Call first."""
        content = pa.schema([field for field in self._dataset.schema if field.name != "row"])
        digest = f"left({row_digest_sql(content)}, 32)"
        run = self._connection.execute
        self._open_spool()
        run(
            f'CREATE TEMP TABLE pulled AS SELECT record_id, source_updated_at AS "at", {_ROW}, supersedes, '
            f"{digest} AS digest FROM spool"
        )
        run(
            f"CREATE TEMP TABLE known AS SELECT {_VERSION}, {digest} AS digest FROM chain "
            "WHERE record_id IN (SELECT record_id FROM pulled)"
        )
        run(
            f'CREATE TEMP TABLE landing AS SELECT min({_ROW}) AS "row", any_value(record_id) AS record_id, '
            'any_value("at") AS "at", digest FROM pulled ANTI JOIN known USING (digest) GROUP BY digest'
        )
        self._land_returned_versions()
        run(f"CREATE TEMP TABLE tombstones AS SELECT {self._columns} FROM chain LIMIT 0")
        return self._count("landing")

    def count_versions(self) -> int:
        """Rows that land as another version of a record that lands too: the same identity, another content."""
        return self._scalar("SELECT count(*) - count(DISTINCT record_id) FROM landing")

    def _land_returned_versions(self) -> None:
        """The last row of a record, known from before, lands again if something else is its latest version."""
        self._connection.execute(
            f"""
            INSERT INTO landing
            WITH last AS (
                SELECT * FROM pulled
                QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY "at" DESC NULLS LAST, {_ROW} DESC) = 1
            ), candidate AS (
                SELECT * FROM last
                WHERE {_ROW} NOT IN (SELECT {_ROW} FROM landing)
                AND record_id NOT IN (SELECT supersedes FROM pulled WHERE supersedes IS NOT NULL)
            ), version AS (
                SELECT record_id, "at", sequence, {_ROW}, batch_id, digest FROM known
                UNION ALL
                SELECT record_id, "at", {PULL_SEQUENCE} AS sequence, {_ROW}, '' AS batch_id, digest FROM landing
            ), latest AS (
                SELECT record_id, "at", digest FROM version WHERE record_id IN (SELECT record_id FROM candidate)
                QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {_LATEST}) = 1
            )
            SELECT candidate."row", candidate.record_id, candidate."at", candidate.digest
            FROM candidate JOIN latest USING (record_id)
            WHERE candidate.digest <> latest.digest AND (latest."at" IS NULL OR candidate."at" >= latest."at")
            """
        )

    def revoke_superseded(self, first_row: int, day: date) -> int:
        """Add a tombstone for each record that a row of this pull replaces and that still stands; returns how many."""
        if not self._scalar("SELECT count(supersedes) FROM pulled"):
            return 0
        self._open_spool()
        self._connection.execute(
            f"""
            CREATE TEMP TABLE superseded AS
            WITH old AS (SELECT DISTINCT supersedes AS record_id FROM pulled WHERE supersedes IS NOT NULL),
            version AS (
                SELECT {self._columns}, source_updated_at AS "at", chain_sequence AS sequence, batch_id
                FROM chain WHERE record_id IN (SELECT record_id FROM old)
                UNION ALL
                SELECT {self._columns}, source_updated_at, {PULL_SEQUENCE}, '' FROM spool
                WHERE record_id IN (SELECT record_id FROM old) AND {_ROW} IN (SELECT {_ROW} FROM landing)
            )
            SELECT * FROM version QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {_LATEST}) = 1
            """
        )
        return self._add_tombstones("superseded", first_row, day)

    def revoke_unheld(self, first_row: int, day: date, min_ratio: Decimal) -> Held:
        """Revoke what a full snapshot no longer holds.

        Raises FatalError when the snapshot holds less than ``min_ratio`` of what stood
        before. While a reject hides which record it is, nothing is revoked.
        """
        run = self._connection.execute
        run(
            "CREATE TEMP TABLE live AS SELECT record_id, batch_id, chain_row FROM ("
            f'SELECT {_VERSION}, "row" AS chain_row, revoked_on FROM chain '
            f"QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {_LATEST}) = 1) WHERE revoked_on IS NULL"
        )
        run(
            "CREATE TEMP TABLE held AS SELECT record_id FROM pulled "
            "UNION SELECT record_id FROM rejected WHERE record_id IS NOT NULL"
        )
        hidden = self._scalar("SELECT coalesce(sum(rows), 0) FROM rejected WHERE record_id IS NULL")
        previous, held = self._count("live"), self._count("held") + hidden
        if held < min_ratio * previous:
            raise FatalError(
                f"快照行数过少 / the snapshot holds {held} records where {previous} stood: "
                f"less than {min_ratio} of them; nothing was landed",
                hint="check the source; if it is right, lower snapshot.min_ratio for one run",
            )
        standing = "SELECT * FROM live ANTI JOIN tombstones USING (record_id)"
        run(f"CREATE TEMP TABLE gone AS SELECT * FROM ({standing}) ANTI JOIN held USING (record_id)")
        gone = self._count("gone")
        if hidden:
            return Held(previous, held, 0, gone)
        run(
            f"CREATE TEMP TABLE unheld AS SELECT {self._columns} FROM chain SEMI JOIN gone "
            'ON chain.batch_id = gone.batch_id AND chain."row" = gone.chain_row'
        )
        return Held(previous, held, self._add_tombstones("unheld", first_row, day), 0)

    def count_unseen_rejects(self) -> int:
        """Rejects that the chain does not hold yet, wherever in their source they stand now."""
        return self._scalar("SELECT count(*) FROM rejected ANTI JOIN chain_rejects USING (fingerprint, reason)")

    def digest_content(self) -> str:
        """Canonical digest of what lands, tombstones included."""
        self._open_spool()
        return digest_relation(self._connection, f"({self._landed()})", self._dataset.schema)

    def digest_rejects(self) -> str:
        """Canonical digest of the rejects."""
        return digest_relation(self._connection, "rejected", REJECTS)

    def read_landed(self, rows: int) -> pa.RecordBatchReader:
        """What lands, ordered by deletion month (open last), then row; a last column ``delete_month`` (YYYY-MM)."""
        rule = self._dataset.deletion
        self._open_spool()
        month = f"strftime(\"{rule.after}\" + to_months({rule.months}), '%Y-%m')" if rule else "NULL::VARCHAR"
        return self._connection.sql(
            f"SELECT *, {month} AS delete_month FROM ({self._landed()}) ORDER BY delete_month NULLS LAST, {_ROW}"
        ).to_arrow_reader(rows)

    def read_rejects(self, rows: int) -> pa.RecordBatchReader:
        """The rejects in the order of their rows."""
        return self._connection.sql(f"SELECT * FROM rejected ORDER BY {_ROW}, reason, fingerprint").to_arrow_reader(
            rows
        )

    def _open_spool(self) -> None:
        """Offer the spool for one query: read batch by batch, where a dataset would keep the whole file in memory."""
        self._connection.register("spool", open_spooled(*self._records))

    def _landed(self) -> str:
        return (
            f"SELECT {self._columns} FROM spool WHERE {_ROW} IN (SELECT {_ROW} FROM landing) "
            f"UNION ALL SELECT {self._columns} FROM tombstones"
        )

    def _add_tombstones(self, versions: str, first_row: int, day: date) -> int:
        """Copy ``versions`` that still stand, revoked on ``day``, numbered from ``first_row`` in record order."""
        before = self._count("tombstones")
        number = f'(row_number() OVER (ORDER BY record_id) + {first_row + before - 1})::BIGINT AS "row"'
        self._connection.execute(
            f"INSERT INTO tombstones BY NAME SELECT * REPLACE ({number}, DATE '{day.isoformat()}' AS revoked_on) "
            f"FROM (SELECT {self._columns} FROM {versions} WHERE revoked_on IS NULL)"
        )
        return self._count("tombstones") - before

    def _count(self, table: str) -> int:
        return self._scalar(f"SELECT count(*) FROM {table}")

    def _scalar(self, query: str) -> int:
        return int(self._connection.execute(query).fetchall()[0][0])
