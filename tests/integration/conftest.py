"""Services for integration tests: one stack for all that only need a broker and a store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.stack import Component, Stack
from tests.integration.broker import Broker


@pytest.fixture(scope="package")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """RabbitMQ and S3 of a stack of their own, for this package."""
    stack = Stack(tmp_path_factory.mktemp("broker") / "home")
    try:
        stack.up((Component.RABBITMQ, Component.S3))
        yield Broker.of(stack)
    finally:
        stack.down()


@pytest.fixture
def broker(shared_broker: Broker) -> Broker:
    """The shared broker with the tests' topology and empty queues."""
    shared_broker.apply()
    shared_broker.empty()
    return shared_broker
