from __future__ import annotations

import json

import pytest
from airflow.sdk import BaseHook
from airflow.sdk import Connection as AirflowConnection
from airflow.sdk.exceptions import AirflowNotFoundException

from connectors.connection import Connection, read_connection
from exchange_formats.errors import FatalError
from gateway.airflow.connections import resolve_connection

GIVEN = {
    "conn_type": "aws",
    "host": "127.0.0.1",
    "port": 9000,
    "login": "key",
    "password": "s3cr/et%",
    "schema": "库",
    "extra": {"bucket": "credit-lake", "secure": False},
}


def test_connection_is_the_same_as_the_command_lines_when_read_through_airflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable = {"AIRFLOW_CONN_LAKE": json.dumps(GIVEN)}
    monkeypatch.setenv(*next(iter(variable.items())))
    found = resolve_connection("lake")
    assert found == read_connection("lake", variable)
    assert found == Connection(
        "lake", "aws", "127.0.0.1", 9000, "key", "s3cr/et%", "库", {"bucket": "credit-lake", "secure": False}
    )
    assert "s3cr" not in repr(found)


def test_connection_is_fatal_and_named_when_airflow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(conn_id: str) -> None:
        raise AirflowNotFoundException(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    with pytest.raises(FatalError, match=r"'dept_x'.*AIRFLOW_CONN_DEPT_X"):
        resolve_connection("dept_x")


def test_connection_is_fatal_when_its_extra_is_not_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        BaseHook, "get_connection", lambda conn_id: AirflowConnection(conn_id=conn_id, conn_type="fs", extra="[1]")
    )
    with pytest.raises(FatalError, match="extra of connection 'drop'"):
        resolve_connection("drop")
