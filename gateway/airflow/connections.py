"""Connections as Airflow keeps them, whichever secrets backend that is; asked at run time only."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from connectors.connection import Connection
from exchange_formats.errors import FatalError


def resolve_connection(identifier: str) -> Connection:
    """The connection ``identifier``; Airflow masks its secrets in the task's log from here on.

    Raises:
        FatalError: Airflow knows no such connection, or its extra is not JSON.
    """
    try:
        found = BaseHook.get_connection(identifier)
    except AirflowNotFoundException as error:
        raise FatalError(
            f"没有连接 / there is no connection '{identifier}' in Airflow",
            hint=f"set AIRFLOW_CONN_{identifier.upper()}, or add it to the secrets backend",
        ) from error
    extra = found.extra_dejson
    if not isinstance(extra, dict):
        raise FatalError(f"连接不可读 / the extra of connection '{identifier}' is not a JSON object")
    return Connection(
        id=identifier,
        kind=found.conn_type or "",
        host=found.host or "",
        port=int(found.port) if found.port else None,
        login=found.login or "",
        password=found.password or "",
        schema=found.schema or "",
        extra=extra,
    )
