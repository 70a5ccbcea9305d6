"""Publish with confirms: what was counted as confirmed is on the disk of a majority of the queue's members."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pika

from connectors.connection import Connection
from connectors.rabbit.confirming import ConfirmingChannel
from connectors.rabbit.connection import DEFAULT_PATIENCE, Patience
from exchange_formats.errors import FatalError
from exchange_formats.messages import RESULTS, OutgoingMessage
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.versions import ServedVersions

#: Of a message whose type the registry does not know. RabbitMQ 4.x refuses more than 16 MiB and closes the channel.
MAXIMUM_BODY = 8 * 1024 * 1024
#: Messages on their way at once. Waiting for each confirm alone is ten times slower; beyond this nothing is gained.
WINDOW = 200


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the broker took responsibility for."""

    messages: int
    bytes: int


class Publisher:
    """A context manager over one connection; not for several threads.

    Every message is persistent, mandatory, and says who sent it (the broker checks). They
    leave in order; at a failure at most ``window`` messages are in doubt, and sent again
    under the same ids. ``served``: each message is followed by its older versions, counted like any other.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        exchange: str = RESULTS,
        patience: Patience = DEFAULT_PATIENCE,
        maximum_body: int = MAXIMUM_BODY,
        window: int = WINDOW,
        served: ServedVersions | None = None,
    ) -> None:
        self._served = served or ServedVersions()
        self._login = connection.login
        self._exchange = exchange
        self._maximum_body = maximum_body
        self._window = window
        self._channel = ConfirmingChannel(connection, purpose=f"publish {exchange}", patience=patience)

    def __enter__(self) -> Self:
        self._channel.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def publish(
        self, messages: Iterable[OutgoingMessage], *, on_confirm: Callable[[int], None] | None = None
    ) -> Confirmed:
        """Send in order; ``on_confirm`` hears how many, counted from the first without a gap, are confirmed.

        Raises:
            TransientError: lost, blocked, silent, or a queue is full; what ``on_confirm`` heard is safe.
            FatalError: larger than its type may be, or under a key its type has not (before it is sent); or
                refused by the broker.
            ConfigurationError: the exchange does not exist.
        """
        before = self._channel.settled
        count = size = 0
        for message in self._served.publish_all(messages):
            self._send(message)
            count += 1
            size += len(message.body)
            if self._channel.in_flight >= self._window:
                self._channel.wait(self._window - 1)
                self._report(on_confirm, before)
        while self._channel.in_flight:
            self._channel.wait(self._channel.in_flight - 1)
            self._report(on_confirm, before)
        return Confirmed(count, size)

    def _report(self, on_confirm: Callable[[int], None] | None, before: int) -> None:
        if on_confirm:
            on_confirm(self._channel.settled - before)

    def _send(self, message: OutgoingMessage) -> None:
        spec = MESSAGES.get(message.type)
        if spec and not spec.takes_key(message.routing_key):
            # Not shown: what went wrong in building a key may have put anything there.
            raise FatalError(f"路由键不符 message {message.id}: its routing key is none of {message.type}: {spec.key}")
        maximum = min(self._maximum_body, spec.maximum_bytes) if spec else self._maximum_body
        if len(message.body) > maximum:
            raise FatalError(f"消息过大 message {message.id} has {len(message.body)} bytes, at most {maximum}")
        self._channel.publish(
            self._exchange,
            message.routing_key,
            message.body,
            pika.BasicProperties(
                content_type=message.content_type,
                content_encoding="utf-8" if "json" in message.content_type else None,
                delivery_mode=pika.DeliveryMode.Persistent.value,
                message_id=message.id,
                type=message.type or None,
                priority=message.priority,
                user_id=self._login,
                app_id="xinqiao",
                headers=dict(message.headers) or None,
            ),
        )
