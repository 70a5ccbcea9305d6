"""What the SQL source writes and how long it waits; the server itself is tried in the integration tests."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.connection import Connection
from connectors.sources.patience import PatienceError, Worker
from connectors.sources.sql import SqlReader, _address, _quote
from exchange_formats.errors import FatalError
from exchange_formats.manifests import Window
from tests.source_samples import NOW, make_department, now

LOGIN = Connection("dept_sample_office", "postgres", "db", 5433, "re@der", "p/ss?wörd", "a b", {"sslmode": "require"})


def make_reader(window: Window, connection: Connection = LOGIN) -> SqlReader:
    mapping: dict[str, Any] = {"table": {"name": "t", "order_by": ["no"]}, "watermark": {"field": "at"}}
    department = make_department({"kind": "sql"}, mapping)
    assert department.source.kind == "sql"
    return SqlReader(department.source, department.datasets["complaint"], connection, window, now)


@pytest.mark.parametrize(
    ("kind", "since", "until"),
    [
        ("timestamp with time zone", "'2026-06-29 16:00:00.000000+00'", "'2026-06-30 04:00:00.000000+00'"),
        ("timestamp without time zone", "'2026-06-30 00:00:00.000000'", "'2026-06-30 12:00:00.000000'"),
        ("date", "'2026-06-30'", "'2026-07-01'"),
        ("text", "'2026-06-30 00:00:00'", "'2026-06-30 12:00:00'"),
    ],
)
def test_the_window_fits_the_columns_type(kind: str, since: str, until: str) -> None:
    reader = make_reader(Window(since=datetime(2026, 6, 29, 16, 0, tzinfo=UTC), until=NOW))
    chosen = reader._choose({"at": kind})
    assert f'"at" >= {since}' in chosen
    assert f'"at" < {until}' in chosen
    assert '"at" IS NULL' in chosen, "a row without a time must end among the rejects, not out of sight"


def test_rows_from_the_future_are_seen_when_a_window_ends_in_the_past() -> None:
    chosen = make_reader(Window(until=NOW - timedelta(days=30)))._choose({"at": "date"})
    assert chosen.endswith("OR \"at\" >= '2026-07-02'::date")


def test_a_watermark_is_fatal_when_its_type_is_no_time() -> None:
    with pytest.raises(FatalError, match="the watermark column 'at' is a bytea"):
        make_reader(Window(until=NOW))._choose({"at": "bytea"})


def test_names_cannot_break_out_when_they_hold_quotes() -> None:
    assert _quote('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'


def test_the_address_survives_any_sign_and_never_waits_for_ever() -> None:
    address = _address(LOGIN)
    assert address.startswith("postgresql://re%40der:p%2Fss%3Fw%C3%B6rd@db:5433/a%20b?")
    assert "connect_timeout=10" in address
    assert "sslmode=require" in address


@pytest.mark.parametrize("lacking", ["host", "login", "schema"])
def test_a_connection_is_fatal_when_something_is_lacking(lacking: str) -> None:
    fields = {"host": "db", "login": "r", "schema": "d", lacking: ""}
    with pytest.raises(FatalError, match="needs host, login and schema"):
        make_reader(Window(until=NOW), Connection("dept_sample_office", "postgres", **fields))  # type: ignore[arg-type]


def test_a_connection_is_fatal_when_its_sslmode_is_unknown() -> None:
    with pytest.raises(FatalError, match="sslmode"):
        make_reader(Window(until=NOW), Connection("c", "postgres", "h", 1, "l", "p", "d", {"sslmode": "off&host=x"}))


def test_the_caller_goes_on_when_a_call_never_returns() -> None:
    worker, forever = Worker("test"), threading.Event()
    began = time.monotonic()
    with pytest.raises(PatienceError):
        worker.call(forever.wait, 0.05)
    assert time.monotonic() - began < 2
    assert worker.lost
    forever.set()


def test_results_and_errors_come_back_when_a_call_ends_in_time() -> None:
    worker = Worker("test")
    assert worker.call(lambda: 42, 5) == 42
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 // 0, 5)
    assert not worker.lost
    worker.stop()
