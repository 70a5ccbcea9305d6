"""Connections from the environment: ``AIRFLOW_CONN_<ID>`` holds JSON, as Airflow's own secrets backend reads it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange_formats.errors import ConfigurationError

OWNER_VARIABLE = "XINQIAO_SIMULATOR_DATABASE"


class Connection(BaseModel):
    """One connection; ``schema`` names the database, ``extra`` what the protocol needs besides."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = 0
    login: str = ""
    password: str = Field(default="", repr=False)
    database: str = Field(default="", alias="schema")
    extra: Mapping[str, str | int | float | bool | None] = Field(default_factory=dict)


def read_connection(connection_id: str, environment: Mapping[str, str]) -> Connection | None:
    """The connection, or ``None`` when the variable is not set.

    Raises:
        ConfigurationError: the variable is set and is not such JSON; its value is never shown.
    """
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    text = environment.get(variable)
    if not text:
        return None
    try:
        return Connection.model_validate_json(text)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, problem["loc"])) or "(value)" for problem in error.errors())
        hint = 'JSON such as {"conn_type": "http", "host": "127.0.0.1", "port": 8080}'
        raise ConfigurationError(f"{variable} is not a connection: {where}", hint=hint) from None


def require_connection(connection_id: str, environment: Mapping[str, str]) -> Connection:
    """The connection, which must be there."""
    connection = read_connection(connection_id, environment)
    if connection is None:
        raise ConfigurationError(f"AIRFLOW_CONN_{connection_id.upper()} is not set", hint="run xinqiao up, or set it")
    return connection


def read_owner(environment: Mapping[str, str]) -> Connection | None:
    """Who may write the market department's database, when that is not the gateway's own reading login.

    ``AIRFLOW_CONN_DEPT_MARKET_REGULATION_ADMIN`` (JSON) or the local stack's ``XINQIAO_SIMULATOR_DATABASE``
    (``postgresql://user:password@host:port/database``).

    Raises:
        ConfigurationError: either is set and cannot be read.
    """
    admin = read_connection("dept_market_regulation_admin", environment)
    url = environment.get(OWNER_VARIABLE)
    if admin is not None or not url:
        return admin
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError:
        port = 0
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not parts.username or not port:
        raise ConfigurationError(
            f"{OWNER_VARIABLE} is not a database URL", hint="postgresql://user:password@host:port/database"
        )
    return Connection(
        host=parts.hostname,
        port=port,
        login=unquote(parts.username),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.removeprefix("/")),
    )
