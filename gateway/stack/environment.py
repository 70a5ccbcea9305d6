"""``stack.env``: every endpoint and secret as environment variables, the same for Airflow and the command line.

One ``NAME=value`` a line, the value as it is (no quotes, no escapes), which is also what Docker's ``--env-file`` reads.
Load it with :func:`load_environment`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from exchange_formats.errors import FatalError
from gateway.stack.home import HOME_VARIABLE, resolve_home
from gateway.stack.ports import LOOPBACK
from gateway.stack.settings import (
    BUCKET,
    GATEWAY_USER,
    READER,
    REGION,
    SOURCE_DATABASE,
    VHOST,
    StackSettings,
    list_simulated,
)

_Extra = Mapping[str, str | int | bool]


def describe_environment(settings: StackSettings) -> Mapping[str, str]:
    """All variables of the stack, Airflow's own settings excepted (:mod:`gateway.stack.airflow_server`)."""
    held = settings.state.secrets
    ports = settings.ports
    variables = {
        HOME_VARIABLE: str(settings.home.root),
        "AIRFLOW_CONN_LAKE": _connection(
            "aws",
            ports.s3,
            held.s3_access_key,
            held.s3_secret_key,
            extra={"bucket": BUCKET, "secure": False, "region": REGION},
        ),
        "XINQIAO_PSEUDONYM_KEY": held.pseudonym_key,
        "XINQIAO_PSEUDONYM_KEY_ID": "local-1",
        # The simulators write here; the gateway itself may only read (AIRFLOW_CONN_DEPT_MARKET_REGULATION).
        "XINQIAO_SIMULATOR_DATABASE": (
            f"postgresql://{SOURCE_DATABASE}:{held.postgres_owner}@{LOOPBACK}:{ports.postgres}/{SOURCE_DATABASE}"
        ),
    }
    for user, password in {GATEWAY_USER: held.rabbitmq_gateway, **held.participants}.items():
        variables[f"AIRFLOW_CONN_RABBITMQ_{user.upper()}"] = _connection(
            "amqp", ports.amqp, user, password, schema=VHOST, extra={"management_port": ports.management}
        )
    return {**variables, **_sources(settings)}


def _sources(settings: StackSettings) -> Mapping[str, str]:
    held = settings.state.secrets
    http = {
        f"AIRFLOW_CONN_DEPT_{one.upper()}": _connection("http", settings.ports.simulators, one, secret)
        for one, secret in held.applications.items()
    }
    files = {
        f"AIRFLOW_CONN_DEPT_{one.upper()}": json.dumps(
            {"conn_type": "fs", "extra": {"path": str(settings.home.drop(one))}}, ensure_ascii=False
        )
        for one in list_simulated("files")
    }
    return {
        **http,
        **files,
        "AIRFLOW_CONN_DEPT_MARKET_REGULATION": _connection(
            "postgres", settings.ports.postgres, READER, held.postgres_reader, schema=SOURCE_DATABASE
        ),
    }


def _connection(
    kind: str, port: int, login: str, password: str, *, schema: str = "", extra: _Extra | None = None
) -> str:
    fields: dict[str, object] = {
        "conn_type": kind,
        "host": LOOPBACK,
        "port": port,
        "login": login,
        "password": password,
    }
    if schema:
        fields["schema"] = schema
    if extra:
        fields["extra"] = dict(extra)
    return json.dumps(fields, ensure_ascii=False)


def render_environment(variables: Mapping[str, str]) -> str:
    """The text of ``stack.env``."""
    for name, value in variables.items():
        if "\n" in value:
            raise FatalError(f"{name}: 值中有换行 a line break in the value")
    return "".join(f"{name}={value}\n" for name, value in sorted(variables.items()))


def read_environment(path: Path) -> Mapping[str, str]:
    """The variables of a ``stack.env``; blank lines and ``#`` lines are skipped.

    Raises:
        FatalError: the file is absent.
    """
    if not path.exists():
        raise FatalError(f"没有 no such file: {path}", hint="先运行 run first: xinqiao up")
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): value for name, _, value in pairs}


def load_environment(home: Path | str | None = None) -> bool:
    """Put the stack's variables into this process where they aren't set; False if there is no ``stack.env``."""
    path = resolve_home(home).environment_file
    if not path.exists():
        return False
    for name, value in read_environment(path).items():
        os.environ.setdefault(name, value)
    return True
