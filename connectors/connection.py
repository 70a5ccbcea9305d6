"""Connections: where a system is and how to log in, by id; the one place that reads them from the environment.

A connection is given as ``AIRFLOW_CONN_<ID>`` holding JSON, the form that Airflow reads
too, so that the command line and the DAG tasks see the same one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange_formats.errors import FatalError


@dataclass(frozen=True, slots=True)
class Connection:
    """One endpoint with its login. ``repr`` never shows the password or the extras."""

    id: str
    kind: str
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)


#: Finds a connection by id; FatalError names the id and where it was looked for.
Resolve = Callable[[str], Connection]


def read_connection(identifier: str, environ: Mapping[str, str]) -> Connection:
    """The connection ``identifier`` of the environment.

    Raises:
        FatalError: the variable is missing, is not JSON, or is not a connection.
    """
    variable = f"AIRFLOW_CONN_{identifier.upper()}"
    if variable not in environ:
        raise FatalError(
            f"没有连接 / there is no connection '{identifier}': the variable {variable} is not set",
            hint="set it, or start the local stack: xinqiao up",
        )
    try:
        found = _read_object(environ[variable])
        extra = found.get("extra") or {}
        return Connection(
            id=identifier,
            kind=str(found.get("conn_type", "")),
            host=str(found.get("host") or ""),
            port=int(found["port"]) if found.get("port") else None,
            login=str(found.get("login") or ""),
            password=str(found.get("password") or ""),
            schema=str(found.get("schema") or ""),
            extra=json.loads(extra) if isinstance(extra, str) else dict(extra),
        )
    except (ValueError, TypeError) as error:
        raise FatalError(
            f"连接不可读 / the connection '{identifier}' cannot be read from {variable}: {type(error).__name__}",
            hint='expected JSON such as {"conn_type": "http", "host": "…", "port": 443, "login": "…", "password": "…"}',
        ) from None


def _read_object(text: str) -> Mapping[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found
