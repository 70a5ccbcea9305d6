"""The SQL source against a real PostgreSQL: the whole department, and everything that can be wrong with a database."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import psycopg
import pytest

from connectors.connection import Connection, read_connection
from connectors.department import load_departments
from connectors.sources import PAGE_ROWS, SourcePage, SourceReader, open_source, sql
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.manifests import Window
from gateway.stack import Component, Stack, read_environment
from tests.source_samples import NOW, WINDOW, make_department, now, read

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    stack = Stack(tmp_path_factory.mktemp("stack") / "home")
    try:
        stack.up((Component.POSTGRES,))
        yield dict(read_environment(stack.home.environment_file))
    finally:
        stack.down()


@pytest.fixture(scope="module")
def owner(environment: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The department's own administrator; the gateway only reads."""
    with psycopg.connect(environment["XINQIAO_SIMULATOR_DATABASE"], autocommit=True) as session:
        yield session


@pytest.fixture
def login(environment: dict[str, str]) -> Connection:
    return read_connection("dept_market_regulation", environment)


@pytest.fixture
def table(owner: psycopg.Connection[Any], login: Connection) -> Iterator[str]:
    owner.execute('CREATE TABLE "Case" ("no" bigint, code text, "day" date, amount numeric(18,6), at timestamptz)')
    owner.execute(f'GRANT SELECT ON "Case" TO "{login.login}"')
    yield "Case"
    owner.execute('DROP TABLE "Case"')


def open_table(login: Connection, window: Window = WINDOW, *, timeout: str = "PT1M", **mapping: Any) -> SourceReader:
    whole = {"table": {"name": "Case", "order_by": ["no"]}, "ignore": ["amount", "at"], **mapping}
    department = make_department({"kind": "sql", "timeout": timeout}, whole)
    return open_source(department, "complaint", login, window, now=now)


def fill(owner: psycopg.Connection[Any], count: int) -> None:
    owner.execute(
        """INSERT INTO "Case" SELECT n, '9133' || n, date '2026-01-01', n / 3.0, timestamptz '2026-06-01 00:00+00'
        FROM generate_series(1, %s) n""",
        (count,),
    )


def test_rows_come_in_order_and_are_counted_when_a_table_is_read(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    fill(owner, PAGE_ROWS + 5)
    reader = open_table(login, table={"name": table, "order_by": ["no"]})
    with reader:
        pages = [page for page in reader if isinstance(page, SourcePage)]
    numbers = [n for page in pages for n in page.batch.column("no").to_pylist()]
    assert numbers == list(range(1, PAGE_ROWS + 6))
    assert [page.first_row for page in pages] == [page.batch.column("no")[0].as_py() for page in pages]
    assert max(page.batch.num_rows for page in pages) <= PAGE_ROWS
    assert reader.expected_rows == PAGE_ROWS + 5


def test_exact_decimals_come_as_text_when_the_column_is_numeric(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    owner.execute(
        """INSERT INTO "Case" VALUES (1, 'A', NULL, 0.000001, NULL), (2, 'B', NULL, 123456789012.345678, NULL)"""
    )
    rows, _ = read(open_table(login, key=["no", "amount"], ignore=["at"]))
    assert [row["amount"] for row in rows] == ["0.000001", "123456789012.345678"]
    assert rows[0]["day"] is None


def test_one_snapshot_is_counted_and_read_when_rows_arrive_meanwhile(
    owner: psycopg.Connection[Any], login: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(owner, 10)
    counted = sql.SqlReader._choose

    def write_between(self: sql.SqlReader, types: Any) -> str:
        fill(owner, 7)
        return counted(self, types)

    monkeypatch.setattr(sql.SqlReader, "_choose", write_between)
    reader = open_table(login)
    rows, _ = read(reader)
    assert len(rows) == 10
    assert reader.expected_rows == 10


def test_the_window_chooses_when_there_is_a_watermark(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    moments = {
        1: NOW - 2 * DAY,  # before
        2: NOW - DAY,  # since is included
        3: NOW - timedelta(microseconds=1),
        4: NOW,  # until is not
        5: NOW + 2 * DAY,  # the future ends among the rejects
        6: None,  # so does no time at all
    }
    for number, moment in moments.items():
        owner.execute("INSERT INTO \"Case\" VALUES (%s, 'A', NULL, NULL, %s)", (number, moment))
    window = Window(since=NOW - DAY, until=NOW)
    reader = open_table(login, window, watermark={"field": "at"}, ignore=["amount"])
    rows, _ = read(reader)
    assert [row["no"] for row in rows] == [2, 3, 5, 6]
    assert reader.expected_rows == 4
    assert rows[0]["at"] == NOW - DAY


def test_a_missing_column_stops_naming_table_and_column(login: Connection, table: str) -> None:
    columns = {"complaint_no": "no", "subject_id": "uscc", "filed_on": "day"}
    with pytest.raises(FatalError, match="table Case: missing columns: 'uscc'; unknown columns instead: 'code'"):
        read(open_table(login, columns=columns))


def test_an_unknown_column_stops_or_is_reported_as_configured(login: Connection, table: str) -> None:
    with pytest.raises(FatalError, match="table Case: unknown columns: 'amount', 'at'"):
        read(open_table(login, ignore=[]))
    reader = open_table(login, ignore=[], on_unknown_column="report")
    read(reader)
    assert reader.unknown_columns == ("amount", "at")


def test_a_missing_table_stops_naming_it(login: Connection) -> None:
    with pytest.raises(FatalError, match=r"no such table or view: .*table public\.nothing"):
        read(open_table(login, table={"name": "public.nothing", "order_by": ["no"]}))


def test_a_missing_right_stops_with_a_hint(owner: psycopg.Connection[Any], login: Connection, table: str) -> None:
    owner.execute(f'REVOKE SELECT ON "{table}" FROM "{login.login}"')
    with pytest.raises(FatalError, match=r"may not read this.*GRANT SELECT"):
        read(open_table(login))


def test_a_right_on_the_mapped_columns_is_enough(owner: psycopg.Connection[Any], login: Connection, table: str) -> None:
    owner.execute(f'REVOKE SELECT ON "{table}" FROM "{login.login}"')
    owner.execute(f'GRANT SELECT ("no", code, "day") ON "{table}" TO "{login.login}"')
    fill(owner, 3)
    assert len(read(open_table(login))[0]) == 3


def test_a_type_that_is_no_plain_value_stops_naming_the_column(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    owner.execute(f'ALTER TABLE "{table}" ALTER COLUMN code TYPE text[] USING ARRAY[code]')
    fill_one = f"""INSERT INTO "{table}" VALUES (1, ARRAY['A'], NULL, NULL, NULL)"""
    owner.execute(fill_one)
    with pytest.raises(FatalError, match="column 'code' is a list"):
        read(open_table(login))


def test_a_huge_cell_passes_whole_so_that_landing_can_reject_its_row(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    owner.execute("""INSERT INTO "Case" VALUES (1, repeat('x', 10000000)), (2, 'B')""")
    rows, _ = read(open_table(login))
    assert [len(row["code"]) for row in rows] == [10_000_000, 1]


def test_a_wrong_password_is_fatal_and_not_shown(login: Connection) -> None:
    with pytest.raises(FatalError, match=r"refuses the login: dept_market_regulation \(127\.0\.0\.1") as caught:
        read(open_table(replace(login, password="not-the-password")))
    assert "not-the-password" not in str(caught.value)


def test_a_missing_database_is_fatal(login: Connection) -> None:
    with pytest.raises(FatalError, match="no such database"):
        read(open_table(replace(login, schema="nowhere")))


def test_an_unreachable_server_is_transient(login: Connection) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(TransientError, match="cannot be reached"):
            read(open_table(replace(login, port=port)))


def test_a_server_that_accepts_and_says_nothing_is_transient(
    login: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_CONNECT_SECONDS", 2)
    timed_out = pytest.raises(TransientError, match="did not answer in time")
    with socket.create_server(("127.0.0.1", 0)) as silent, timed_out:
        read(open_table(replace(login, port=silent.getsockname()[1])))


def test_a_slow_statement_is_ended_by_the_server_and_transient(
    owner: psycopg.Connection[Any], login: Connection, table: str
) -> None:
    owner.execute("""CREATE VIEW slow AS SELECT "no", code, "day" FROM "Case", LATERAL (SELECT pg_sleep(5)) AS wait""")
    owner.execute(f'GRANT SELECT ON slow TO "{login.login}"')
    try:
        fill(owner, 1)
        with pytest.raises(TransientError, match="did not answer in time"):
            read(open_table(login, timeout="PT1S", table={"name": "slow", "order_by": ["no"]}))
    finally:
        owner.execute("DROP VIEW slow")


def test_a_server_that_stands_still_is_given_up(
    owner: psycopg.Connection[Any], login: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(owner, 1)
    monkeypatch.setattr(sql, "_GRACE_SECONDS", 1)
    assert login.port is not None
    described = sql.SqlReader._choose
    with _Forwarder(login.port) as between:

        def freeze(self: sql.SqlReader, types: Any) -> str:
            between.freeze()
            return described(self, types)

        monkeypatch.setattr(sql.SqlReader, "_choose", freeze)
        began = time.monotonic()
        with pytest.raises(TransientError, match="did not answer in time"):
            read(open_table(replace(login, port=between.port), timeout="PT1S"))
        assert time.monotonic() - began < 10


def test_every_dataset_of_the_department_is_read_as_it_is_mapped(
    environment: dict[str, str], login: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.simulators.connections import read_connection as read_simulator
    from gateway.simulators.connections import read_owner
    from gateway.simulators.history import draw_history
    from gateway.simulators.market_database import lay_out_market, seed_market_database
    from gateway.simulators.universe import draw_universe

    universe = draw_universe(subjects=300, seed=5, today=NOW.date())
    market = lay_out_market(draw_history(universe)["market_regulation"], universe)
    reader = read_simulator("dept_market_regulation", environment)
    assert reader is not None
    counts = seed_market_database(market, reader, read_owner(environment))
    department = load_departments()["market_regulation"]
    for dataset, mapping in department.datasets.items():
        assert mapping.table is not None
        source = open_source(department, dataset, login, Window(until=NOW + DAY), now=lambda: datetime.now(UTC))
        rows, rejects = read(source)
        expected = counts.get(mapping.table.name, counts["abnormal_operation"] + counts["serious_violation"])
        assert (len(rows), source.expected_rows, rejects) == (expected, expected, [])
        assert source.unknown_columns == ()


class _Forwarder:
    """A TCP forwarder that can stand still: connections stay open and nothing passes any more."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.close()

    def freeze(self) -> None:
        self._flowing.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            target = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((client, target), (target, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with source, sink:
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
