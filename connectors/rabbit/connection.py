"""One AMQP connection with a time limit on everything."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError

from connectors.connection import Connection
from connectors.rabbit.failures import classify, typed_errors
from exchange_formats.topology import VHOST

_AMQP_PORT = 5672
# It logs each failure five times over with traces; the typed error says it once.
logging.getLogger("pika").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until each kind of silence becomes an error.

    ``blocked``: the broker has an alarm. ``confirm``: it answers, and confirms nothing.
    ``heartbeat``: it hangs, or the network swallows; noticed after about twice this.
    """

    connect: float = 5.0
    handshake: float = 10.0
    blocked: float = 30.0
    confirm: float = 60.0
    heartbeat: int = 20


DEFAULT_PATIENCE = Patience()


def describe_endpoint(connection: Connection) -> str:
    """``user@host:port/vhost``: what errors and logs show."""
    vhost = connection.schema or VHOST
    return f"RabbitMQ {connection.login}@{connection.host}:{connection.port or _AMQP_PORT}/{vhost}"


@contextmanager
def open_channel(
    connection: Connection, *, purpose: str, patience: Patience = DEFAULT_PATIENCE
) -> Iterator[BlockingChannel]:
    """A connection with one channel, closed afterwards; ``purpose`` is shown in the broker's management pages.

    Raises:
        TransientError: refused, unreachable, lost, blocked.
        FatalError: login or permission refused.
        ConfigurationError: an exchange or queue that does not exist.
    """
    endpoint = describe_endpoint(connection)
    with typed_errors(endpoint):
        try:
            opened = BlockingConnection(read_parameters(connection, purpose, patience))
        except OSError as error:  # an unknown host, a certificate nobody trusts
            raise classify(error, endpoint) from error
        try:
            yield opened.channel()
        finally:
            _close(opened)


def _close(opened: BlockingConnection) -> None:
    # Whatever had to be safe was confirmed or acknowledged before; a broker that died must not hide the first error.
    with suppress(AMQPError, OSError):
        if opened.is_open:
            opened.close()


def read_parameters(connection: Connection, purpose: str, patience: Patience) -> pika.ConnectionParameters:
    """Pika's own form of a connection, with a limit on every wait."""
    return pika.ConnectionParameters(
        host=connection.host,
        port=connection.port or _AMQP_PORT,
        virtual_host=connection.schema or VHOST,
        credentials=pika.PlainCredentials(connection.login or "", connection.password or "", erase_on_connect=True),
        heartbeat=patience.heartbeat,
        blocked_connection_timeout=patience.blocked,
        socket_timeout=patience.connect,
        stack_timeout=patience.handshake,
        connection_attempts=1,
        client_properties={"connection_name": f"xinqiao {purpose}", "product": "xinqiao"},
        ssl_options=_tls(connection),
    )


def _tls(connection: Connection) -> pika.SSLOptions | None:
    """TLS when the connection's extra says ``secure``; ``ca_file`` names the province's own authority."""
    if not connection.extra.get("secure"):
        return None
    authority = connection.extra.get("ca_file")
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    return pika.SSLOptions(context, connection.host)
