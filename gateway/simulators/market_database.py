"""The market department's database: tables, loaded with COPY, and a login that may only read when an admin seeds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import psycopg
from psycopg import sql

from exchange_formats.errors import FatalError, TransientError
from gateway.simulators import tables
from gateway.simulators.connections import Connection
from gateway.simulators.draws import days_before, open_stream, stamp
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.tables import Cell, Column, SourceTable
from gateway.simulators.universe import Universe

_CONNECT_SECONDS = 10
_LOCK_WAIT = "30s"
_TABLES = (
    "enterprise_profile",
    "penalty",
    "abnormal_operation",
    "serious_violation",
    "annual_report",
    "inspection",
    "incident",
    "complaint",
    "honour",
)
_PROFILE = tuple(
    Column(name, name)
    for name in (
        *("ID", "ENTERPRISE_NAME", "USCC", "REGISTERED_ON", "ENTERPRISE_TYPE", "REGISTERED_CAPITAL"),
        *("BUSINESS_SCOPE", "PROVINCE", "CITY", "STATUS", "UPDATED_AT"),
    )
)
_TYPES = {
    **dict.fromkeys(("CD_TIME", "UPDATED_AT"), "timestamptz NOT NULL"),
    **dict.fromkeys(("SWRS", "ZSRS", "ANCHEYEAR"), "integer"),
    **dict.fromkeys(("CF_JDRQ", "CF_YXQ", "CF_GSJZQ", "CF_SXRQ", "FYSS_KSRQ", "FYSS_JSRQ", "GSRQ"), "date"),
    **dict.fromkeys(("XYXF_RQ", "YY_KSRQ", "YY_JSRQ", "CX_RQ", "JCRQ", "ZGQX", "ZGWCRQ", "FSRQ", "RDRQ"), "date"),
    **dict.fromkeys(("TSRQ", "CSRQ", "BJRQ", "SYRQ", "YXQZ", "ABNTIME", "REMDATE", "DUE_DATE", "ANCHEDATE"), "date"),
    "ID": "bigint PRIMARY KEY",
    "JCZ": "numeric(6,2)",
}
_LISTING_VIEW = """
CREATE VIEW listing AS
SELECT 'A' || id AS id, '经营异常名录' AS list_type, decwsh, entname, uscc, specause_cn AS cause, abntime, decorg_cn,
       remexcpres_cn, remdate, redecorg_cn, xyxf_rq, yy_ksrq, yy_jsrq, cx_rq, cd_time
FROM abnormal_operation
UNION ALL
SELECT 'S' || id, '严重违法失信名单', decwsh, entname, uscc, serillrea_cn, abntime, decorg_cn,
       remexcpres_cn, remdate, redecorg_cn, xyxf_rq, yy_ksrq, yy_jsrq, cx_rq, cd_time
FROM serious_violation
"""


def lay_out_market(records: DepartmentRecords, universe: Universe) -> dict[str, SourceTable]:
    """Table name → its rows, in the order they are created."""
    abnormal = tables.lay_out_listings(x for x in records.listings if not x.is_severe)
    serious = tables.lay_out_listings(x for x in records.listings if x.is_severe)
    laid_out = tables.lay_out_records(records)
    laid_out |= {
        "enterprise_profile": lay_out_profile(universe),
        "penalty": _adapt_penalties(laid_out["penalty"]),
        "abnormal_operation": _rename(abnormal, "CAUSE", "SPECAUSE_CN"),
        "serious_violation": _rename(serious, "CAUSE", "SERILLREA_CN"),
    }
    return {name: laid_out[name] for name in _TABLES}


def lay_out_profile(universe: Universe) -> SourceTable:
    """The register whole, in file order: ``id`` is the row number, cells are as they came."""
    stream = open_stream(universe.seed, "market_regulation/profile")
    rows = (
        (
            *(n, row.name, row.code, row.registered_on, row.enterprise_type, row.capital, row.scope, row.province),
            *(row.city, row.status, stamp(stream, days_before(stream, universe.today, 1, 900), universe.today)),
        )
        for n, row in enumerate(universe.rows, 1)
    )
    return SourceTable("profile", _PROFILE, tuple(rows))


def _adapt_penalties(table: SourceTable) -> SourceTable:
    """The market's own columns: CASE_PROCESS_TYPE 01 简易 / 02 一般, ISCANCELCASE (domain facts §6.5), GSRQ.

    Publicity follows within 20 working days (domain facts §5.4); what was published since is not known yet.
    """
    procedure, revoked, decided = table.place("CF_CFCX"), table.place("CX_RQ"), table.place("CF_JDRQ")

    def adapt(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        code = "01" if row[procedure] == "简易程序" else "02"
        cancelled = "1" if row[revoked] else "0"
        day, changed = row[decided], row[-1]
        assert isinstance(day, date) and isinstance(changed, datetime)  # noqa: S101, PT018 - how penalties are laid out
        published = min(day + timedelta(days=7 + int(str(row[0])) % 20), changed.date())
        return (*row[:procedure], code, *row[procedure + 1 : -1], cancelled, published, changed)

    own = (Column("ISCANCELCASE", "是否撤销"), Column("GSRQ", "公示日期"))
    columns = (*table.columns[:-1], *own, table.columns[-1])
    adapted = SourceTable(table.dataset, columns, tuple(adapt(row) for row in table.rows))
    return _rename(adapted, "CF_CFCX", "CASE_PROCESS_TYPE")


def _rename(table: SourceTable, old: str, new: str) -> SourceTable:
    return replace(table, columns=tuple(replace(c, name=new) if c.name == old else c for c in table.columns))


def seed_market_database(
    market: dict[str, SourceTable], connection: Connection, owner: Connection | None = None
) -> dict[str, int]:
    """Replace the department's tables in one transaction; answers table → rows.

    With ``owner`` the database and the login are made when missing, and the login may only read; without it the
    login owns the tables. Nothing changes unless everything was loaded.

    Raises:
        TransientError: the server cannot be reached or is busy.
        FatalError: the server refuses (credentials, rights).
    """
    writer = owner or connection
    try:
        if owner is not None:
            _prepare(owner, connection)
        with _connect(writer, connection.database) as session:
            session.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_WAIT))
            _replace_tables(session, market)
            if connection.login != writer.login:
                role = sql.Identifier(connection.login)
                session.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
                session.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
    except psycopg.OperationalError as error:
        raise _classify(error, writer) from error
    except psycopg.Error as error:
        raise FatalError(
            f"the market department's database refused: {error.sqlstate or type(error).__name__}"
        ) from error
    return {name: len(table.rows) for name, table in market.items()}


def _classify(error: psycopg.OperationalError, writer: Connection) -> FatalError | TransientError:
    text = str(error)
    if "authentication failed" in text or "does not exist" in text:
        return FatalError(f"PostgreSQL on {writer.host}:{writer.port} refused the login", hint="check the connection")
    return TransientError(f"PostgreSQL on {writer.host}:{writer.port} did not answer")


def _connect(connection: Connection, database: str, *, autocommit: bool = False) -> psycopg.Connection:
    return psycopg.connect(
        host=connection.host,
        port=connection.port or None,
        user=connection.login or None,
        password=connection.password or None,
        dbname=database,
        connect_timeout=_CONNECT_SECONDS,
        autocommit=autocommit,
        application_name="xinqiao-simulators",
    )


def _prepare(owner: Connection, reader: Connection) -> None:
    """Make the database and the reading login when they are missing."""
    with _connect(owner, owner.database or "postgres", autocommit=True) as session:
        if not session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (reader.database,)).fetchone():
            statement = "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0"
            session.execute(sql.SQL(statement).format(sql.Identifier(reader.database)))
        if reader.login == owner.login:
            return
        if not session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (reader.login,)).fetchone():
            statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}"
            session.execute(sql.SQL(statement).format(sql.Identifier(reader.login), sql.Literal(reader.password)))


def _replace_tables(session: psycopg.Connection, market: dict[str, SourceTable]) -> None:
    session.execute("DROP VIEW IF EXISTS listing")
    for name, table in market.items():
        identifier = sql.Identifier(name)
        session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier))
        session.execute(sql.SQL("CREATE TABLE {} ({})").format(identifier, _declare(table)))
        columns = sql.SQL(", ").join(sql.Identifier(column.lower()) for column in table.names())
        with (
            session.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(identifier, columns)) as copy,
        ):
            for row in table.rows:
                copy.write_row(row)
        changed = sql.Identifier(table.names()[-1].lower())
        session.execute(sql.SQL("CREATE INDEX ON {} ({}, id)").format(identifier, changed))
        session.execute(sql.SQL("ANALYZE {}").format(identifier))
    session.execute(_LISTING_VIEW)


def _declare(table: SourceTable) -> sql.Composable:
    parts = [
        sql.SQL("{} {}").format(sql.Identifier(column.name.lower()), sql.SQL(_type_of(column)))
        for column in table.columns
    ]
    return sql.SQL(", ").join(parts)


def _type_of(column: Column) -> str:
    return "numeric(18,6)" if column.is_money else _TYPES.get(column.name, "text")
