"""The local stack for real, without Airflow: up, up again, killed, side by side, down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pika
import psutil
import psycopg
import pytest

from exchange_formats.errors import FatalError
from gateway.stack import Component, Stack, State, read_environment
from gateway.stack.processes import find_processes

SERVICES = (Component.RABBITMQ, Component.S3, Component.POSTGRES)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """RabbitMQ, S3 and PostgreSQL, shared by the tests of this module."""
    running = Stack(tmp_path_factory.mktemp("stack") / "home")
    try:
        running.up(SERVICES)
        yield running
    finally:
        running.down()


def connection(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_environment(stack.home.environment_file)[f"AIRFLOW_CONN_{name}"])
    return found


def open_channel(stack: Stack, name: str) -> Any:
    login = connection(stack, name)
    parameters = pika.ConnectionParameters(
        host=login["host"],
        port=login["port"],
        virtual_host=login["schema"],
        credentials=pika.PlainCredentials(login["login"], login["password"]),
        socket_timeout=10,
    )
    return pika.BlockingConnection(parameters)


def open_source(stack: Stack) -> psycopg.Connection[Any]:
    dsn = read_environment(stack.home.environment_file)["XINQIAO_SIMULATOR_DATABASE"]
    return psycopg.connect(dsn, autocommit=True, connect_timeout=5)


def pids(stack: Stack) -> dict[Component, int]:
    return {row.component: row.pid for row in stack.status().components if row.component in SERVICES}


def kill_supervisor(stack: Stack) -> None:
    supervisor = psutil.Process(int((stack.home.root / "supervisord.pid").read_text()))
    supervisor.kill()
    supervisor.wait(10)


def assert_ready(stack: Stack) -> None:
    states = {row.component: row.state for row in stack.status().components}
    assert {one: states[one] for one in SERVICES} == dict.fromkeys(SERVICES, State.READY)


def test_every_component_is_ready_when_up_returns(stack: Stack) -> None:
    assert_ready(stack)


def test_every_queue_is_quorum_when_the_topology_was_imported(stack: Stack) -> None:
    login = connection(stack, "RABBITMQ_GATEWAY")
    url = f"http://{login['host']}:{login['extra']['management_port']}/api/queues/{login['schema']}"
    answer = httpx.get(url, auth=(login["login"], login["password"]), trust_env=False)
    types = {queue["name"]: queue["type"] for queue in answer.json()}
    assert types["provincial_platform.grades"] == "quorum"
    assert set(types.values()) == {"quorum"}


def test_source_database_is_read_only_when_gateway_reads_it(stack: Stack) -> None:
    login = connection(stack, "DEPT_MARKET_REGULATION")
    with open_source(stack) as owner:
        owner.execute("create schema if not exists supervision")
        owner.execute("create table if not exists supervision.probe (n int)")
        owner.execute("insert into supervision.probe values (1)")
    with psycopg.connect(
        host=login["host"],
        port=login["port"],
        user=login["login"],
        password=login["password"],
        dbname=login["schema"],
        autocommit=True,
        connect_timeout=5,
    ) as reader:
        assert reader.execute("select count(*) > 0 from supervision.probe").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("insert into supervision.probe values (2)")


def test_store_refuses_when_nobody_signs(stack: Stack) -> None:
    lake = connection(stack, "LAKE")
    answer = httpx.get(f"http://{lake['host']}:{lake['port']}/credit-lake", trust_env=False)
    assert answer.status_code in {400, 403}


def test_only_loopback_is_listened_on_when_up(stack: Stack) -> None:
    addresses = {
        socket.laddr.ip
        for process in find_processes(stack.home.root)
        for socket in process.net_connections(kind="inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_secrets_are_private_when_written(stack: Stack) -> None:
    for name in ("stack.env", "state.json", "supervisord.conf", "rabbitmq/definitions.json"):
        assert (stack.home.root / name).stat().st_mode & 0o077 == 0, name


def test_nothing_changes_when_up_is_called_again(stack: Stack) -> None:
    before = pids(stack), stack.home.environment_file.stat().st_mtime_ns, stack.home.state_file.read_bytes()
    began = monotonic()
    stack.up(SERVICES)
    assert monotonic() - began < 5
    assert (pids(stack), stack.home.environment_file.stat().st_mtime_ns, stack.home.state_file.read_bytes()) == before


def test_up_recovers_when_only_the_supervisor_was_killed(stack: Stack) -> None:
    orphans = pids(stack)
    kill_supervisor(stack)
    stack.up(SERVICES)
    assert_ready(stack)
    assert not set(orphans.values()) & set(pids(stack).values())


def test_up_recovers_with_its_data_when_everything_was_killed(stack: Stack) -> None:
    with open_channel(stack, "RABBITMQ_GATEWAY") as broker:
        channel = broker.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "credit.unrouted", b"x", pika.BasicProperties(delivery_mode=2))
    with open_source(stack) as owner:
        owner.execute("create table if not exists kept (n int)")
        owner.execute("set synchronous_commit = on")
        owner.execute("insert into kept values (7)")
    environment = read_environment(stack.home.environment_file)
    kill_supervisor(stack)
    for process in find_processes(stack.home.root):
        # Some end by themselves when another one is gone.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    stack.up(SERVICES)
    assert_ready(stack)
    assert read_environment(stack.home.environment_file) == environment
    with open_channel(stack, "RABBITMQ_GATEWAY") as broker:
        assert broker.channel().basic_get("credit.unrouted", auto_ack=True)[2] == b"x"
    with open_source(stack) as owner:
        assert owner.execute("select n from kept").fetchone() == (7,)


def test_another_port_is_taken_when_the_remembered_one_is_in_use(stack: Stack, tmp_path: Path) -> None:
    taken = connection(stack, "LAKE")["port"]
    other = Stack(tmp_path / "home")
    other.home.create()
    other.home.state_file.write_text(json.dumps({"ports": {"s3": taken}}))
    try:
        other.up({Component.S3})
        assert connection(other, "LAKE")["port"] != taken
        assert_ready(stack)
    finally:
        other.down()
    assert_ready(stack)


def test_no_process_is_left_when_down_even_in_a_folder_with_chinese_and_blanks(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "信桥 状态" / "home")
    try:
        stack.up({Component.RABBITMQ})
        running = find_processes(stack.home.root)
        assert {"beam.smp", "epmd"} <= {process.name() for process in running}
    finally:
        ended_by_force = stack.down()
    assert ended_by_force == 0
    assert find_processes(stack.home.root) == ()
    assert not any(process.is_running() for process in running)
    assert stack.home.short == stack.home.root or not stack.home.short.exists()


def test_error_names_process_and_log_when_a_component_cannot_start(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    data = stack.home.root / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")
    try:
        with pytest.raises(FatalError, match=r"postgres 启动失败 failed to start") as caught:
            stack.up({Component.POSTGRES})
        assert "postgres.log" in caught.value.hint
    finally:
        stack.down()
