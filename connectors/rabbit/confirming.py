"""A channel with many messages on their way at once, driven from plain calling code.

pika's blocking connection waits for each confirm before it sends the next message; this
one runs pika's event loop only while there is something to wait for, and never longer
than its patience.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pika
from pika.channel import Channel
from pika.exceptions import AMQPError, NackError, UnroutableError

from connectors.connection import Connection
from connectors.rabbit.connection import Patience, describe_endpoint, read_parameters
from connectors.rabbit.failures import classify
from exchange_formats.errors import FatalError, TransientError

_CLOSE_SECONDS = 5.0


class ConfirmingChannel:
    """One connection with one channel in confirm mode."""

    def __init__(self, connection: Connection, *, purpose: str, patience: Patience) -> None:
        self._parameters = read_parameters(connection, purpose, patience)
        self._endpoint = describe_endpoint(connection)
        self._patience = patience
        self._connection: pika.SelectConnection | None = None
        self._channel: Channel | None = None
        self._failure: Exception | None = None
        self._ready = self._closing = False
        self._published = 0
        # Delivery tags without a confirm yet, in order.
        self._waiting: dict[int, None] = {}

    @property
    def in_flight(self) -> int:
        """Messages sent and not confirmed."""
        return len(self._waiting)

    @property
    def settled(self) -> int:
        """Messages confirmed, counted from the first without a gap."""
        return next(iter(self._waiting)) - 1 if self._waiting else self._published

    def open(self) -> None:
        """Connect and select confirms; typed errors as for every connection."""
        try:
            self._connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
                on_open_error_callback=lambda _connection, error: self._fail(error),
                on_close_callback=lambda _connection, reason: self._on_close(reason),
            )
        except OSError as error:
            raise classify(error, self._endpoint) from error
        self._run_until(lambda: self._ready, self._patience.connect + self._patience.handshake, "answer")

    def publish(self, exchange: str, routing_key: str, body: bytes, properties: pika.BasicProperties) -> None:
        """Put one message on its way; it leaves when the loop runs, in ``wait``."""
        if self._channel is None:
            raise FatalError("the publisher is not open; use it in a with statement")
        self._raise_failure()
        try:
            self._channel.basic_publish(exchange, routing_key, body, properties, mandatory=True)
        except AMQPError as error:
            raise classify(error, self._endpoint) from error
        self._published += 1
        self._waiting[self._published] = None

    def wait(self, in_flight: int) -> None:
        """Wait until at most so many messages are on their way."""
        self._run_until(lambda: len(self._waiting) <= in_flight, self._patience.confirm, "confirm")

    def close(self) -> None:
        """Say goodbye if anyone is there; never raises, for what had to be safe was confirmed before."""
        if self._connection is None or self._connection.is_closed:
            return
        self._closing = True
        with suppress(AMQPError, OSError, TransientError):
            if self._connection.is_open:
                self._connection.close()
                closed = self._connection
                self._failure = None
                self._run_until(lambda: bool(closed.is_closed), _CLOSE_SECONDS, "close")

    def _run_until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        if self._connection is None:
            raise FatalError("the channel is not open")
        loop = self._connection.ioloop
        limit = loop.call_later(seconds, lambda: self._fail(_silence(self._endpoint, seconds, what)))
        try:
            while not done() and self._failure is None:
                loop.start()  # until a callback below stops it
        finally:
            loop.remove_timeout(limit)
        if not done():
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise classify(self._failure, self._endpoint) from self._failure

    def _wake(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.stop()

    def _fail(self, error: Exception) -> None:
        # The first failure is the cause; what follows from it (a closed connection) is not.
        self._failure = self._failure or error
        self._wake()

    def _on_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _channel, reason: self._on_close(reason))
        channel.add_on_return_callback(lambda *_returned: self._fail(UnroutableError([])))
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_ready())

    def _on_ready(self) -> None:
        self._ready = True
        self._wake()

    def _on_close(self, reason: Exception) -> None:
        if self._closing:
            self._wake()
        else:
            self._fail(reason)

    def _on_confirm(self, frame: pika.frame.Method) -> None:
        method = frame.method
        if isinstance(method, pika.spec.Basic.Nack):
            self._fail(NackError([]))
            return
        if method.multiple:
            for tag in [tag for tag in self._waiting if tag <= method.delivery_tag]:
                del self._waiting[tag]
        else:
            self._waiting.pop(method.delivery_tag, None)
        self._wake()


def _silence(endpoint: str, seconds: float, what: str) -> TransientError:
    """A broker that is there and does nothing: a queue without a majority of its members, for instance."""
    return TransientError(
        f"{endpoint}: 代理 {seconds:.0f} 秒内未应答 the broker did not {what} within {seconds:.0f} s",
        retry_after=timedelta(seconds=30),
    )
