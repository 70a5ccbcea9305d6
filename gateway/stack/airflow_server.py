"""Airflow 3.3 for the local stack: four processes, PostgreSQL metadata, one generated admin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version

from exchange_formats.errors import FatalError, TransientError
from gateway.stack.home import write_private
from gateway.stack.model import Component, Program
from gateway.stack.ports import LOOPBACK
from gateway.stack.postgres import read_note, write_note
from gateway.stack.processes import MARKER
from gateway.stack.readiness import fetch
from gateway.stack.settings import AIRFLOW_DATABASE, StackSettings

ADMIN = "admin"
_MIGRATION_SECONDS = 180
_COMPONENTS = ("scheduler", "dag_processor", "triggerer")


def describe_airflow(settings: StackSettings) -> Mapping[str, str]:
    """Airflow's settings as environment variables; they go into ``stack.env`` too."""
    held = settings.state.secrets
    home = settings.home.root / "airflow"
    database = f"{AIRFLOW_DATABASE}:{held.postgres_airflow}@{LOOPBACK}:{settings.ports.postgres}/{AIRFLOW_DATABASE}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.dags),
        # LocalExecutor with our modules imported before it forks.
        "AIRFLOW__CORE__EXECUTOR": "gateway.airflow.executor.WarmLocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
        "AIRFLOW__CORE__FERNET_KEY": held.airflow_fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(settings.ports.airflow),
        "AIRFLOW__API__BASE_URL": settings.airflow_url,
        "AIRFLOW__API__SECRET_KEY": held.airflow_api_secret,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": held.airflow_jwt_secret,
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _process_environment(settings: StackSettings, connections: Mapping[str, str]) -> Mapping[str, str]:
    held_back = os.environ.get("NO_PROXY", "")
    return {
        **connections,
        **describe_airflow(settings),
        "NO_PROXY": ",".join(filter(None, (held_back, LOOPBACK, "localhost"))),
        # Else setproctitle overwrites /proc/PID/environ, by which `down` knows our processes.
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",
    }


def prepare(settings: StackSettings) -> None:
    """Write the admin's password where the simple auth manager looks for it."""
    home = settings.home.root / "airflow"
    home.mkdir(mode=0o700, exist_ok=True)
    write_private(home / "passwords.json", json.dumps({ADMIN: settings.state.secrets.airflow_admin}) + "\n")


def programs(settings: StackSettings, connections: Mapping[str, str]) -> tuple[Program, ...]:
    """The four processes; none serves logs, which are files beside the API server."""
    commands = {
        "airflow-api-server": ("api-server",),
        "airflow-scheduler": ("scheduler", "--skip-serve-logs"),
        "airflow-dag-processor": ("dag-processor",),
        "airflow-triggerer": ("triggerer", "--skip-serve-logs"),
    }
    environment = _process_environment(settings, connections)
    return tuple(
        Program(
            name=name,
            component=Component.AIRFLOW,
            command=(sys.executable, "-m", "airflow", *arguments),
            directory=settings.home.root / "airflow",
            environment=environment,
            # The triggerer alone would take eleven seconds; all they know is in the database.
            stop_wait=4,
        )
        for name, arguments in commands.items()
    )


def migrate(settings: StackSettings) -> None:
    """Create or upgrade Airflow's tables, only when this database has not seen this version of Airflow.

    The version is noted on the database itself, and so is lost with it.
    """
    wanted = f"apache-airflow {version('apache-airflow')}"
    if read_note(settings, AIRFLOW_DATABASE) == wanted:
        return
    _run_migration(settings)
    write_note(settings, AIRFLOW_DATABASE, wanted)


def _run_migration(settings: StackSettings) -> None:
    log = settings.home.logs / "airflow-migrate.log"
    environment = {**os.environ, **_process_environment(settings, {}), MARKER: str(settings.home.root)}
    with log.open("ab") as output:
        done = subprocess.run(
            (sys.executable, "-m", "airflow", "db", "migrate"),
            env=environment,
            cwd=settings.home.root / "airflow",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_MIGRATION_SECONDS,
            check=False,
        )
    if done.returncode:
        raise FatalError("airflow db migrate 失败 failed", hint=f"见 see {log}")


def probe(settings: StackSettings) -> None:
    """Raise TransientError until the API answers and the scheduler, DAG processor and triggerer beat."""
    try:
        health = fetch(f"{settings.airflow_url}/api/v2/monitor/health").json()
    except ValueError as error:
        raise TransientError("Airflow: 不是 not JSON") from error
    late = [one for one in _COMPONENTS if (health.get(one) or {}).get("status") != "healthy"]
    if late:
        raise TransientError(f"Airflow: {', '.join(late)} 未就绪 not ready")
