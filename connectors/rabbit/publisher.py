"""Publish with confirms: what was counted as confirmed is on the disk of a majority of the queue's members."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pika
from pika.adapters.blocking_connection import BlockingChannel

from connectors.connection import Connection
from connectors.rabbit.connection import DEFAULT_PATIENCE, Patience, describe_endpoint, open_channel
from connectors.rabbit.failures import typed_errors
from exchange_formats.errors import FatalError
from exchange_formats.messages import OutgoingMessage
from exchange_formats.topology import RESULTS

#: RabbitMQ 4.x refuses more than 16 MiB and closes the channel; nothing of ours comes near half of it.
MAXIMUM_BODY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the broker took responsibility for."""

    messages: int
    bytes: int


class Publisher:
    """A context manager over one connection; not for several threads.

    Every message is persistent, mandatory, says who sent it (the broker checks) and is
    confirmed before the next is sent, so order holds and a failure has one message in doubt.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        exchange: str = RESULTS,
        patience: Patience = DEFAULT_PATIENCE,
        maximum_body: int = MAXIMUM_BODY,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._patience = patience
        self._maximum_body = maximum_body
        self._stack = ExitStack()
        self._channel: BlockingChannel | None = None

    def __enter__(self) -> Self:
        opened = open_channel(self._connection, purpose=f"publish {self._exchange}", patience=self._patience)
        self._channel = self._stack.enter_context(opened)
        with typed_errors(describe_endpoint(self._connection)):
            self._channel.confirm_delivery()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._channel = None
        return self._stack.__exit__(kind, error, trace)

    def publish(
        self, messages: Iterable[OutgoingMessage], *, on_confirm: Callable[[int], None] | None = None
    ) -> Confirmed:
        """Send in order; ``on_confirm`` hears the number confirmed so far.

        Raises:
            TransientError: lost, blocked, or a queue is full; messages before it are confirmed.
            FatalError: too large (before it is sent), or refused by the broker.
            ConfigurationError: the exchange does not exist.
        """
        count = size = 0
        for message in messages:
            self._send(message)
            count += 1
            size += len(message.body)
            if on_confirm:
                on_confirm(count)
        return Confirmed(count, size)

    def _send(self, message: OutgoingMessage) -> None:
        if self._channel is None:
            raise FatalError("the publisher is not open; use it in a with statement")
        if len(message.body) > self._maximum_body:
            raise FatalError(
                f"消息过大 message {message.id} has {len(message.body)} bytes, at most {self._maximum_body}"
            )
        with typed_errors(describe_endpoint(self._connection)):
            self._channel.basic_publish(
                exchange=self._exchange,
                routing_key=message.routing_key,
                body=message.body,
                mandatory=True,
                properties=pika.BasicProperties(
                    content_type=message.content_type,
                    content_encoding="utf-8" if "json" in message.content_type else None,
                    delivery_mode=pika.DeliveryMode.Persistent.value,
                    message_id=message.id,
                    type=message.type or None,
                    priority=message.priority,
                    user_id=self._connection.login,
                    app_id="xinqiao",
                ),
            )
