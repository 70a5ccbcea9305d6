"""The broker's management HTTP API: import definitions, see queues, take away what no longer belongs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from connectors.connection import Connection
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.messages import INBOUND, RESULTS
from exchange_formats.topology import VHOST, Binding

_MANAGEMENT_PORT = 15672
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_UNAUTHORISED = (401, 403)
_BUSY = (429, 500, 502, 503, 504)


class QueueState(BaseModel):
    """One queue as the broker reports it; counts lag by up to five seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    messages: int = 0
    messages_ready: int = 0
    messages_unacknowledged: int = 0
    consumers: int = 0
    state: str = "unknown"


class _Bound(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    destination: str
    destination_type: str
    routing_key: str
    properties_key: str


@dataclass(frozen=True, slots=True)
class Surplus:
    """What the broker has and the topology has not; queues are named only, they may hold messages."""

    bindings: tuple[Binding, ...]
    queues: tuple[str, ...]


class Management:
    """An authenticated client of one broker; every call ends within half a minute."""

    def __init__(self, client: httpx.Client, vhost: str) -> None:
        self._client = client
        self._vhost = quote(vhost, safe="")

    @classmethod
    @contextmanager
    def open(cls, connection: Connection) -> Iterator[Management]:
        """The management API of a connection; port from its extra ``management_port``, TLS when ``secure``."""
        scheme = "https" if connection.extra.get("secure") else "http"
        port = connection.extra.get("management_port") or _MANAGEMENT_PORT
        base = f"{scheme}://{connection.host}:{port}/api"
        auth = (connection.login or "", connection.password or "")
        # No proxy of the environment: the broker is inside.
        with httpx.Client(base_url=base, auth=auth, timeout=_TIMEOUT, trust_env=False) as client:
            yield cls(client, connection.schema or VHOST)

    def import_definitions(self, text: str) -> None:
        """Create or update all that ``text`` (JSON) names; nothing is deleted by it."""
        self._call("POST", "definitions", content=text.encode(), headers={"content-type": "application/json"})

    def list_queues(self) -> tuple[QueueState, ...]:
        """Every queue of the virtual host, by name."""
        found = _read(list[QueueState], self._call("GET", f"queues/{self._vhost}"))
        return tuple(sorted(found, key=lambda queue: queue.name))

    def find_surplus(self, bindings: frozenset[Binding], queues: frozenset[str]) -> Surplus:
        """Bindings of the two exchanges and queues that are not among the given ones."""
        known = {(one.exchange, one.queue, one.routing_key) for one in bindings}
        extra = [one for one in self._bindings() if (one.source, one.destination, one.routing_key) not in known]
        return Surplus(
            tuple(Binding(one.source, one.destination, one.routing_key) for one in extra),
            tuple(queue.name for queue in self.list_queues() if queue.name not in queues),
        )

    def unbind(self, unwanted: Binding) -> None:
        """Stop a queue from receiving; what it holds stays."""
        for one in self._bindings():
            if Binding(one.source, one.destination, one.routing_key) == unwanted:
                path = f"bindings/{self._vhost}/e/{quote(one.source, safe='')}/q/{quote(one.destination, safe='')}"
                self._call("DELETE", f"{path}/{quote(one.properties_key, safe='')}")

    def _bindings(self) -> list[_Bound]:
        found: list[_Bound] = []
        for exchange in (RESULTS, INBOUND):
            answer = self._call("GET", f"exchanges/{self._vhost}/{exchange}/bindings/source")
            found += [one for one in _read(list[_Bound], answer) if one.destination_type == "queue"]
        return found

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        where = f"RabbitMQ management {self._client.base_url}{path}"
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise TransientError(
                f"{where}: {type(error).__name__}",
                retry_after=timedelta(seconds=30),
                hint="代理是否在运行 is the broker up?",
            ) from error
        if answer.status_code in _UNAUTHORISED:
            raise FatalError(
                f"{where}: HTTP {answer.status_code} {answer.text[:200]}",
                hint="需要管理员用户 the user must be an administrator",
            )
        if answer.status_code in _BUSY:
            raise TransientError(f"{where}: HTTP {answer.status_code}", retry_after=timedelta(seconds=30))
        if answer.is_error:
            raise FatalError(f"{where}: HTTP {answer.status_code} {answer.text[:300]}")
        return answer


def _read(shape: Any, answer: httpx.Response) -> Any:
    try:
        return TypeAdapter(shape).validate_json(answer.content)
    except ValidationError as error:
        # Something else answers on that port, a proxy's login page for instance.
        raise FatalError(f"{answer.url}: 不是 RabbitMQ 管理接口 this is not RabbitMQ's management API") from error
