"""Consume: acknowledge only what the handler has made safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

import pika
from pika.adapters.blocking_connection import BlockingChannel

from connectors.connection import Connection
from connectors.rabbit.connection import DEFAULT_PATIENCE, Patience, open_channel
from exchange_formats.errors import TransientError

_PREFETCH = 200
#: Deliveries between two flushes at most; a flush also happens when nothing more is waiting.
_UNFLUSHED = 100
#: Seconds between two looks at the clock and at the stop signal.
_TICK = 0.2


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it arrived; ``user_id`` is the sender, checked by the broker."""

    queue: str
    routing_key: str
    body: bytes
    content_type: str
    message_id: str
    user_id: str
    redelivered: bool
    #: AMQP headers; a binary CloudEvent has its attributes there.
    headers: Mapping[str, Any] = field(default_factory=dict)


class PoisonMessageError(Exception):
    """A handler's word that no later attempt will understand this message; the text is the reason."""


class Sink(Protocol):
    """What takes deliveries. After ``flush`` returns, everything taken before survives a crash."""

    def take(self, delivery: Delivery) -> None:
        """Take one; raises PoisonMessageError to have it parked."""

    def flush(self) -> None:
        """Make everything taken so far durable."""


@dataclass(frozen=True, slots=True)
class Stop:
    """When to end: after ``idle`` seconds without a message, after ``maximum`` messages, or when ``asked``."""

    idle: float | None = None
    maximum: int | None = None
    asked: Event = field(default_factory=Event)


@dataclass(slots=True)
class Progress:
    """Counts that survive a lost connection: the caller keeps them across attempts."""

    acknowledged: int = 0
    rejected: int = 0

    @property
    def settled(self) -> int:
        """Messages the broker need not deliver again."""
        return self.acknowledged + self.rejected


def consume_queues(
    connection: Connection,
    queues: Sequence[str],
    sink: Sink,
    stop: Stop,
    progress: Progress,
    *,
    patience: Patience = DEFAULT_PATIENCE,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Feed ``sink`` from all ``queues`` until ``stop``; what was not acknowledged goes back.

    A message is acknowledged after ``sink.flush``; one the sink calls poison is rejected
    into the queue's dead letters (``basic.reject``: in 4.3 ``basic.nack`` counts as no failure).

    Raises:
        TransientError: connection lost; call again with the same ``progress``.
        FatalError: login or permission refused.
        ConfigurationError: there is no such queue.
    """
    with open_channel(connection, purpose=f"consume {', '.join(queues)}", patience=patience) as channel:
        _Session(channel, sink, stop, progress, on_progress).run(queues)


class _Session:
    """One channel's worth of consuming."""

    def __init__(
        self,
        channel: BlockingChannel,
        sink: Sink,
        stop: Stop,
        progress: Progress,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._channel = channel
        self._sink = sink
        self._stop = stop
        self._progress = progress
        self._on_progress = on_progress
        self._unflushed = 0
        self._last_tag = 0
        self._quiet_since = time.monotonic()
        self._cancelled = False

    def run(self, queues: Sequence[str]) -> None:
        if self._complete:
            return
        self._channel.basic_qos(prefetch_count=min(_PREFETCH, self._stop.maximum or _PREFETCH))
        self._channel.add_on_cancel_callback(self._note_cancel)
        for queue in queues:
            self._channel.basic_consume(queue, self._receiver(queue))
        while not self._complete and not self._stop.asked.is_set() and not self._is_idle():
            # Returns when a message or heartbeat came, or after the tick; callbacks have run by then.
            self._channel.connection.process_data_events(time_limit=_TICK)
            self._settle()
            if self._cancelled:
                raise TransientError("代理取消了订阅 the broker cancelled the consumer: a queue was deleted or moved")
        self._settle()

    @property
    def _complete(self) -> bool:
        return self._stop.maximum is not None and self._progress.settled + self._unflushed >= self._stop.maximum

    def _is_idle(self) -> bool:
        return self._stop.idle is not None and time.monotonic() - self._quiet_since >= self._stop.idle

    def _note_cancel(self, _frame: object) -> None:
        self._cancelled = True

    def _receiver(self, queue: str) -> Callable[..., None]:
        def receive(
            _channel: BlockingChannel,
            method: pika.spec.Basic.Deliver,
            properties: pika.BasicProperties,
            body: bytes,
        ) -> None:
            self._receive(queue, method, properties, body)

        return receive

    def _receive(
        self, queue: str, method: pika.spec.Basic.Deliver, properties: pika.BasicProperties, body: bytes
    ) -> None:
        if self._complete:
            # Prefetched beyond the maximum: not acknowledged, so it goes back when the channel closes.
            return
        self._quiet_since = time.monotonic()
        delivery = Delivery(
            queue=queue,
            routing_key=_text(method.routing_key),
            body=body,
            content_type=properties.content_type or "",
            message_id=properties.message_id or "",
            user_id=properties.user_id or "",
            redelivered=bool(method.redelivered),
            headers=dict(properties.headers or {}),
        )
        try:
            self._sink.take(delivery)
        except PoisonMessageError:
            self._channel.basic_reject(method.delivery_tag, requeue=False)
            self._progress.rejected += 1
            return
        self._last_tag = method.delivery_tag
        self._unflushed += 1
        if self._unflushed >= _UNFLUSHED:
            self._settle()

    def _settle(self) -> None:
        """Flush, then acknowledge everything up to the last message taken."""
        if not self._unflushed:
            return
        self._sink.flush()
        self._channel.basic_ack(self._last_tag, multiple=True)
        self._progress.acknowledged += self._unflushed
        self._unflushed = 0
        if self._on_progress:
            self._on_progress(self._progress)


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
