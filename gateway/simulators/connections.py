"""Connections from the environment: ``AIRFLOW_CONN_<ID>`` holds JSON, as Airflow's own secrets backend reads it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange_formats.errors import ConfigurationError


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
