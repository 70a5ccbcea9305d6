"""A tap on the bus: a queue of its own that receives a copy of every message any participant gets or sends."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from connectors.connection import Connection
from connectors.rabbit.connection import open_channel
from connectors.rabbit.management import Management
from exchange_formats.topology import VHOST, Topology

QUEUE = "tap"


@dataclass(frozen=True)
class Message:
    """One message as the broker carries it; ``envelope`` is everything but its body, as text."""

    routing_key: str
    envelope: str
    body: bytes


@dataclass(frozen=True)
class Tap:
    """The login that may read the tap, and nothing else."""

    connection: Connection

    def drain(self) -> Iterator[Message]:
        """Every message so far, once."""
        with open_channel(self.connection, purpose="tap") as channel:
            while True:
                method, properties, body = channel.basic_get(QUEUE, auto_ack=True)
                if method is None:
                    return
                yield Message(str(method.routing_key), f"{method.exchange} {properties}", bytes(body))


def open_tap(administrator: Connection, topology: Topology) -> Tap:
    """Bind the tap to every topic exchange; what was published before is not seen."""
    user, password = "tap", secrets.token_urlsafe(18)
    queue = {"name": QUEUE, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": {}}
    bindings = [
        {
            "source": exchange.name,
            "vhost": VHOST,
            "destination": QUEUE,
            "destination_type": "queue",
            "routing_key": "#",
            "arguments": {},
        }
        for exchange in topology.exchanges
        if exchange.kind == "topic"
    ]
    assert bindings
    permission = {"user": user, "vhost": VHOST, "configure": "^$", "write": "^$", "read": f"^{QUEUE}$"}
    definitions = {
        "users": [{"name": user, "password": password, "tags": []}],
        "permissions": [permission],
        "queues": [queue],
        "bindings": bindings,
    }
    with Management.open(administrator) as management:
        management.import_definitions(json.dumps(definitions))
    return Tap(replace(administrator, login=user, password=password))
