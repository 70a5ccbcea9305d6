"""The table from the broker's behaviour to our error classes."""

from __future__ import annotations

import pytest
from pika import exceptions

from connectors.connection import Connection
from connectors.rabbit.connection import describe_endpoint
from connectors.rabbit.failures import classify, typed_errors
from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.AMQPConnectionError(ConnectionRefusedError(111, "Connection refused")), TransientError),
        (exceptions.StreamLostError("reset"), TransientError),
        (exceptions.AMQPHeartbeatTimeout("none in 20 s"), TransientError),
        (exceptions.ConnectionBlockedTimeout("alarm"), TransientError),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), TransientError),
        (exceptions.ConnectionClosedByBroker(541, "INTERNAL_ERROR"), TransientError),
        (exceptions.ConsumerCancelled("x"), TransientError),
        (exceptions.NackError([]), TransientError),
        (exceptions.ChannelWrongStateError("closed"), TransientError),
        (exceptions.ProbableAuthenticationError("x"), TransientError),
        (OSError(5, "io"), TransientError),
        (exceptions.AuthenticationError("PLAIN"), FatalError),
        (exceptions.ConnectionClosedByBroker(403, "ACCESS_REFUSED"), FatalError),
        (exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - vhost x not found"), FatalError),
        (exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - queue"), FatalError),
        (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - user_id"), FatalError),
        (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - acknowledgement timed out"), TransientError),
        (exceptions.ChannelClosedByBroker(311, "CONTENT_TOO_LARGE"), FatalError),
        (exceptions.ChannelClosedByBroker(599, "NEW"), FatalError),
        (exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no exchange"), ConfigurationError),
        (exceptions.UnroutableError([]), ConfigurationError),
        (exceptions.ProtocolSyntaxError("x"), FatalError),
    ],
)
def test_class_says_what_happens_next(error: Exception, expected: type[XinqiaoError]) -> None:
    found = classify(error, "RabbitMQ gateway@broker:5672/credit")
    assert type(found) is expected
    assert "gateway@broker:5672/credit" in str(found)


def test_own_errors_pass_unchanged() -> None:
    mine = SkippableError("mine")
    assert classify(mine, "x") is mine
    with pytest.raises(OSError, match="full"), typed_errors("x"):
        raise OSError(28, "full")


def test_endpoint_shows_no_password() -> None:
    connection = Connection("rabbitmq_gateway", "amqp", "broker", None, "gateway", "secret", "credit")
    assert describe_endpoint(connection) == "RabbitMQ gateway@broker:5672/credit"
