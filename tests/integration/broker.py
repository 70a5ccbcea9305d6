"""A real broker with a small topology, and the ways to hurt it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import httpx
import psutil

from connectors.connection import Connection, read_connection
from connectors.rabbit.connection import Patience
from connectors.rabbit.consumer import Delivery, Progress, Stop, consume_queues
from exchange_formats.messages import OutgoingMessage
from exchange_formats.topology import Subscription, Topology, build_topology
from gateway.bus import apply_topology
from gateway.stack import Stack, read_environment
from gateway.stack.processes import find_processes

PLATFORM, ECOLOGY = "provincial_platform", "ecology_environment"
GRADES, WARNINGS, DEAD = f"{PLATFORM}.grades", f"{PLATFORM}.warnings", f"{PLATFORM}.dead"
DOMAINS = ("enterprise_environment",)
TOPOLOGY = build_topology([Subscription(PLATFORM, "all", "all", platform=True), Subscription(ECOLOGY)], DOMAINS)
QUICK = Patience(connect=2, handshake=2, blocked=1.5, confirm=10, heartbeat=20)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Poll until ``condition`` holds; AssertionError when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def message(number: int, key: str = "grade.enterprise_environment.330100", size: int = 10) -> OutgoingMessage:
    """A small message that is no event; ``number`` makes its id."""
    return OutgoingMessage(key, f"00000000-0000-5000-8000-{number:012d}", b"x" * size)


@dataclass
class Recorder:
    """A sink that keeps everything."""

    taken: list[Delivery] = field(default_factory=list)

    def take(self, delivery: Delivery) -> None:
        self.taken.append(delivery)

    def flush(self) -> None:
        pass


@dataclass
class Broker:
    """The RabbitMQ of one local stack."""

    stack: Stack
    environment: Mapping[str, str]

    @classmethod
    def of(cls, stack: Stack) -> Broker:
        return cls(stack, read_environment(stack.home.environment_file))

    def resolve(self, identifier: str) -> Connection:
        return read_connection(identifier, self.environment)

    def connection(self, user: str = "gateway", **changes: object) -> Connection:
        return replace(self.resolve(f"rabbitmq_{user}"), **changes)  # type: ignore[arg-type]

    def apply(self, topology: Topology = TOPOLOGY) -> None:
        apply_topology(topology, self.resolve)

    def drain(self, user: str, *queues: str) -> list[Delivery]:
        """Take everything out of queues of ``user``."""
        recorder = Recorder()
        consume_queues(self.connection(user), queues, recorder, Stop(idle=0.5), Progress())
        return recorder.taken

    def empty(self) -> None:
        """Leave no message in any queue of the topology."""
        with self.operator() as client:
            for queue in TOPOLOGY.queues:
                client.delete(f"queues/credit/{queue.name}/contents").raise_for_status()

    def operator(self) -> httpx.Client:
        """The management API as somebody who may do anything: the gateway itself may not."""
        login = self.connection()
        base = f"http://{login.host}:{login.extra['management_port']}/api"
        with httpx.Client(base_url=base, auth=(login.login, login.password), trust_env=False, timeout=10) as client:
            client.put("users/operator", json={"password": "operator", "tags": "administrator"}).raise_for_status()
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            client.put("permissions/credit/operator", json=everything).raise_for_status()
        return httpx.Client(base_url=base, auth=("operator", "operator"), trust_env=False, timeout=10)

    def node(self) -> psutil.Process:
        """The Erlang machine itself."""
        (found,) = [one for one in find_processes(self.stack.home.root) if "beam" in one.name()]
        return found

    def kill(self) -> None:
        """kill -9; the supervisor starts it again."""
        self.node().send_signal(signal.SIGKILL)

    def control(self, *arguments: str) -> None:
        """``rabbitmqctl`` with the node's own names and cookie."""
        inherited = self.node().environ()
        wanted = ("HOME", "ERL_EPMD_PORT", "ERL_EPMD_ADDRESS", "RABBITMQ_CONF_ENV_FILE", "PATH", "LANG")
        environment = {name: inherited[name] for name in wanted if name in inherited}
        command = ("/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", "xinqiao@localhost", *arguments)
        subprocess.run(command, env=os.environ | environment, check=True, timeout=30, capture_output=True)
