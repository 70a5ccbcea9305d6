"""Source ``sql``: one table or view over ADBC, PostgreSQL protocol, streamed.

One read-only REPEATABLE READ transaction sees one snapshot: the columns, ``count(*)``
and the rows agree. Only mapped columns are selected. The window is
``since ≤ watermark < until``; rows without a watermark, and rows whose watermark lies
more than a day in the future, are read as well, so that they end among the rejects
instead of out of sight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql import StatementOptions
from adbc_driver_postgresql import dbapi as postgresql

from connectors.connection import Connection
from connectors.department import DatasetMapping, SqlSource, Table
from connectors.sources.contract import check_columns, is_plain
from connectors.sources.failures import explain_login, explain_sql_state, time_out
from connectors.sources.model import PAGE_ROWS, RejectedInput, SourcePage
from connectors.sources.patience import PatienceError, Worker
from exchange_formats.errors import FatalError
from exchange_formats.manifests import Window
from exchange_formats.periods import SHANGHAI

T = TypeVar("T")

_CONNECT_SECONDS = 10
# The server ends a statement at its time-out; a server that stands still is given up a little later.
_GRACE_SECONDS = 15
_FETCH_BYTES = 16 * 1024 * 1024
_FAR = timedelta(days=1)
_COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
    "WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_STATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class SqlReader:
    """One pull of one table; see ``SourceReader``."""

    def __init__(
        self,
        source: SqlSource,
        mapping: DatasetMapping,
        connection: Connection,
        window: Window,
        now: Callable[[], datetime],
    ) -> None:
        if mapping.table is None:
            raise FatalError("a sql source needs 'table'")
        self._table: Table = mapping.table
        self._mapping, self._window, self._now = mapping, window, now
        self._seconds = source.timeout.total_seconds()
        self._address = _address(connection)
        self._where = f"{connection.id} ({connection.host}:{connection.port or 5432}), table {self._table.name}"
        self._worker = Worker(f"source {connection.id}")
        self._session: Any = None
        self._cursor: Any = None
        self.expected_rows: int | None = None
        self.unknown_columns: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._worker.lost:
            # Everything was read, or the error that matters is already on its way.
            with suppress(PatienceError, adbc.Error):
                self._worker.call(self._close, _CONNECT_SECONDS)
            self._worker.stop()

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]:
        self._session = self._log_in()
        self._cursor = self._call(self._session.cursor)
        self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._execute(f"SET LOCAL statement_timeout = {int(self._seconds * 1000)}")
        types = self._describe()
        chosen = self._choose(types)
        table = _quote_name(self._table.name)
        self._execute(f"SELECT count(*) FROM {table}{chosen}")
        self.expected_rows = int(self._call(self._cursor.fetchone)[0])
        columns = ", ".join(_quote(name) for name in self._mapping.source_columns)
        order = ", ".join(_quote(name) for name in self._table.order_by)
        self._call(
            lambda: self._cursor.adbc_statement.set_options(
                **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_FETCH_BYTES)}
            )
        )
        self._execute(f"SELECT {columns} FROM {table}{chosen} ORDER BY {order}")
        yield from self._fetch()

    def _fetch(self) -> Iterator[SourcePage]:
        stream = self._call(self._cursor.fetch_record_batch)
        row = 1
        while (batch := self._call(lambda: next(stream, None))) is not None:
            plain = self._to_plain(batch)
            for start in range(0, plain.num_rows, PAGE_ROWS):
                page = plain.slice(start, PAGE_ROWS)
                yield SourcePage(page, self._table.name, row)
                row += page.num_rows

    def _log_in(self) -> Any:
        try:
            return self._worker.call(lambda: postgresql.connect(self._address), _CONNECT_SECONDS + _GRACE_SECONDS)
        except PatienceError:
            raise time_out(self._where, _CONNECT_SECONDS) from None
        except adbc.Error as error:
            raise explain_login(str(error), self._where) from None

    def _close(self) -> None:
        for one in (self._cursor, self._session):
            if one is not None:
                one.close()

    def _execute(self, statement: str, parameters: tuple[str, ...] | None = None) -> None:
        self._call(lambda: self._cursor.execute(statement, parameters))

    def _call(self, function: Callable[[], T]) -> T:
        try:
            return self._worker.call(function, self._seconds + _GRACE_SECONDS)
        except PatienceError:
            raise time_out(self._where, self._seconds) from None
        except (adbc.Error, OSError, pa.ArrowException) as error:
            found = _STATE.search(str(error)) or re.fullmatch(
                "(?P<state>.{5})", str(getattr(error, "sqlstate", None) or "")
            )
            state = found[1] if found else "08000"
            raise explain_sql_state(state, self._where, _first_line(error)) from None

    def _describe(self) -> Mapping[str, str]:
        """Column → type of the table; the contract with the mapping is checked here."""
        self._execute(_COLUMNS, (_quote_name(self._table.name),))
        types = {str(name): str(kind) for name, kind in self._call(self._cursor.fetchall)}
        if not types:
            raise explain_sql_state("42P01", self._where)
        self.unknown_columns = check_columns(f"table {self._table.name}", list(types), self._mapping)
        unsorted = [name for name in self._table.order_by if name not in types]
        if unsorted:
            raise FatalError(
                f"缺少列 / table {self._table.name}: order_by names missing columns: {', '.join(unsorted)}"
            )
        return types

    def _choose(self, types: Mapping[str, str]) -> str:
        """The WHERE clause of the window; empty where the dataset has no watermark."""
        if self._mapping.watermark is None:
            return ""
        name = self._mapping.watermark.field
        column, kind = _quote(name), types[name]
        until, far = self._window.until, self._now() + _FAR
        bounds = [f"{column} < {self._write(until, name, kind)}"]
        if self._window.since is not None:
            bounds.insert(0, f"{column} >= {self._write(self._window.since, name, kind)}")
        out_of_order = f"{column} IS NULL OR {column} >= {self._write(max(until, far), name, kind)}"
        return f" WHERE ({' AND '.join(bounds)}) OR {out_of_order}"

    def _write(self, instant: datetime, name: str, kind: str) -> str:
        """An instant as a literal of the column's type; columns without a zone hold Shanghai time."""
        local = instant.astimezone(SHANGHAI)
        if kind == "timestamp with time zone":
            return f"'{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'::timestamptz"
        if kind == "timestamp without time zone":
            return f"'{local:%Y-%m-%d %H:%M:%S.%f}'::timestamp"
        if kind == "date":
            # A date says less than an instant: its whole day is inside.
            day = local.date() + timedelta(days=1) if instant >= self._window.until else local.date()
            return f"'{day:%Y-%m-%d}'::date"
        if kind in {"text", "character varying"}:
            return f"'{local:%Y-%m-%d %H:%M:%S}'"
        raise FatalError(
            f"水位列类型不支持 / table {self._table.name}: the watermark column '{name}' is a {kind}",
            hint="expected a timestamp, a date, or text such as 2026-01-31 08:00:00",
        )

    def _to_plain(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Numbers of arbitrary precision are strings already; what is no plain value is a broken contract."""
        arrays = []
        for field, array in zip(batch.schema, batch.columns, strict=True):
            plain = array.storage if isinstance(array, pa.ExtensionArray) else array
            if not is_plain(plain.type):
                raise FatalError(
                    f"列类型不支持 / table {self._table.name}: column '{field.name}' is a {field.type}",
                    hint="offer a view that casts it to text",
                )
            arrays.append(plain)
        return pa.record_batch(arrays, names=batch.schema.names)


def _address(connection: Connection) -> str:
    """The libpq address: no time-out is left to chance, a dead peer is noticed within a minute."""
    if not connection.host or not connection.login or not connection.schema:
        raise FatalError(
            f"连接不完整 / the connection '{connection.id}' needs host, login and schema (the database)",
            hint=f"see AIRFLOW_CONN_{connection.id.upper()}",
        )
    mode = str(connection.extra.get("sslmode", "prefer"))
    if mode not in _TLS_MODES:
        raise FatalError(f"the connection '{connection.id}' has an unknown sslmode", hint=f"one of {_TLS_MODES}")
    options = {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": "xinqiao",
        "client_encoding": "UTF8",
        "sslmode": mode,
    }
    login = f"{quote(connection.login, safe='')}:{quote(connection.password, safe='')}"
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    database = quote(connection.schema, safe="")
    return f"postgresql://{login}@{host}:{connection.port or 5432}/{database}?{urlencode(options)}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quote_name(name: str) -> str:
    return ".".join(_quote(part) for part in name.split("."))


def _first_line(error: Exception) -> str:
    """What the server says without the query, the values and the context it may quote."""
    match = re.search(r"ERROR: +([^\n:]{1,160})", str(error))
    return match[1].strip() if match else ""
