"""Parked messages: look at them, and put them back where they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pika
from pika.adapters.blocking_connection import BlockingChannel

from connectors.connection import Connection
from connectors.rabbit.connection import DEFAULT_PATIENCE, Patience, open_channel

#: How often a message was put back; a reader sees at once that it is going round.
_REDRIVEN = "x-credit-redriven"
#: What the broker wrote about a message's death must not be counted against it again.
_BROKERS_OWN = ("x-death", "x-first-death", "x-last-death", "x-delivery-count")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One parked message and the broker's word on why: rejected, delivery_limit or unrouted."""

    queue: str
    reason: str
    routing_key: str
    message_id: str
    sender: str
    redriven: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Parked:
    letter: DeadLetter
    tag: int
    exchange: str
    properties: pika.BasicProperties


def list_dead_letters(
    connection: Connection, queue: str, maximum: int, *, patience: Patience = DEFAULT_PATIENCE
) -> tuple[DeadLetter, ...]:
    """Look at the first ``maximum`` messages of a parking queue; they stay there, in their order."""
    with open_channel(connection, purpose=f"look at {queue}", patience=patience) as channel:
        # Closing the channel returns what was not acknowledged.
        return tuple(parked.letter for parked in _take(channel, queue, maximum))


def redrive(
    connection: Connection, queue: str, maximum: int | None = None, *, patience: Patience = DEFAULT_PATIENCE
) -> int:
    """Put parked messages back: a dead letter into the queue that refused it, an unrouted one to its exchange.

    Each is confirmed there before it is acknowledged here, so a crash repeats one and loses none;
    consumers de-duplicate by id. Stops behind what lay there at the start: what comes back at once is not chased.

    Raises:
        TransientError: connection lost, or the queue is full.
        ConfigurationError: the queue it came from is gone.
    """
    count = 0
    with open_channel(connection, purpose=f"redrive {queue}", patience=patience) as channel:
        channel.confirm_delivery()
        waiting = channel.queue_declare(queue, passive=True).method.message_count
        for parked in _take(channel, queue, waiting if maximum is None else min(maximum, waiting)):
            _put_back(channel, parked)
            channel.basic_ack(parked.tag)
            count += 1
    return count


def _take(channel: BlockingChannel, queue: str, maximum: int) -> Iterator[_Parked]:
    for _ in range(maximum):
        method, properties, body = channel.basic_get(queue)
        if method is None:
            return
        yield _read(method, properties, body)


def _read(method: pika.spec.Basic.GetOk, properties: pika.BasicProperties, body: bytes) -> _Parked:
    headers = properties.headers or {}
    deaths = headers.get("x-death") or []
    letter = DeadLetter(
        queue=str(headers.get("x-first-death-queue", "")),
        reason=str(deaths[0].get("reason", "")) if deaths else "unrouted",
        routing_key=str((deaths[0].get("routing-keys") or [method.routing_key])[0]) if deaths else method.routing_key,
        message_id=properties.message_id or "",
        sender=properties.user_id or "",
        redriven=int(headers.get(_REDRIVEN, 0)),
        body=body,
    )
    return _Parked(letter, method.delivery_tag, method.exchange, properties)


def _put_back(channel: BlockingChannel, parked: _Parked) -> None:
    letter, properties = parked.letter, parked.properties
    kept = {name: value for name, value in (properties.headers or {}).items() if not name.startswith(_BROKERS_OWN)}
    properties.headers = kept | {_REDRIVEN: letter.redriven + 1}
    # A dead letter goes to its one queue, through the default exchange: everyone else had the message already.
    exchange, key = ("", letter.queue) if letter.queue else (parked.exchange, letter.routing_key)
    channel.basic_publish(exchange, key, letter.body, properties, mandatory=True)
