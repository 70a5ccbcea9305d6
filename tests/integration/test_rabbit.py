"""Publisher, consumer, dead letters and permissions against the real broker."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pika
import psutil
import pytest

from connectors.rabbit.connection import open_channel
from connectors.rabbit.consumer import Delivery, PoisonMessageError, Progress, Stop, consume_queues
from connectors.rabbit.dead_letters import list_dead_letters, redrive
from connectors.rabbit.management import Management
from connectors.rabbit.publisher import WINDOW, Publisher
from exchange_formats.errors import ConfigurationError, FatalError, TransientError
from exchange_formats.messages import OutgoingMessage
from exchange_formats.topology import Subscription, build_topology
from gateway.bus import apply_topology, read_status
from tests.fakes import DiedError
from tests.integration.broker import (
    DEAD,
    DOMAINS,
    ECOLOGY,
    GRADES,
    PLATFORM,
    QUICK,
    TOPOLOGY,
    WARNINGS,
    Broker,
    Recorder,
    message,
    wait_for,
)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block ends in time, however it ends."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_message_arrives_persistent_and_signed_when_it_was_confirmed(broker: Broker) -> None:
    with Publisher(broker.connection()) as publisher:
        assert publisher.publish([message(1), message(2)]).messages == 2
    with open_channel(broker.connection(PLATFORM), purpose="test") as channel:
        method, properties, body = channel.basic_get(GRADES)
        channel.basic_ack(method.delivery_tag)
    assert (body, properties.delivery_mode, properties.user_id) == (b"x" * 10, 2, "gateway")
    assert properties.message_id == message(1).id
    assert properties.content_type == "application/cloudevents+json"


def test_warnings_go_to_the_warnings_queue_only(broker: Broker) -> None:
    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1, "warning.enterprise_environment.330100.red"), message(2)])
    assert [one.message_id for one in broker.drain(PLATFORM, WARNINGS)] == [message(1).id]
    assert [one.message_id for one in broker.drain(PLATFORM, GRADES)] == [message(2).id]


def test_confirmed_messages_survive_when_the_broker_is_killed(broker: Broker) -> None:
    sent = [message(number, size=2000) for number in range(50_000)]
    confirmed, killed = 0, threading.Event()

    def count(number: int) -> None:
        nonlocal confirmed
        confirmed = number
        if number >= 300 and not killed.is_set():
            killed.set()
            broker.kill()

    with pytest.raises(TransientError), Publisher(broker.connection(), patience=QUICK) as publisher:
        publisher.publish(sent, on_confirm=count)
    assert 300 <= confirmed < 50_000
    wait_for(lambda: answers(broker))
    with Publisher(broker.connection()) as publisher:
        publisher.publish(sent[confirmed : confirmed + 50])
    received = [one.message_id for one in broker.drain(PLATFORM, GRADES)]
    # Nothing confirmed is missing; only the messages in doubt can be there twice, or beyond.
    assert {one.id for one in sent[: confirmed + 50]} <= set(received) <= {one.id for one in sent[: confirmed + WINDOW]}
    assert len(received) - len(set(received)) <= WINDOW


def answers(broker: Broker) -> bool:
    try:
        with open_channel(broker.connection(PLATFORM), purpose="probe", patience=QUICK) as channel:
            channel.basic_qos(prefetch_count=1)
    except (TransientError, FatalError):
        return False
    return True


@pytest.mark.parametrize(
    ("exchange", "key", "code"),
    [
        ("credit.results", "grade.enterprise_environment.330100", 403),
        ("credit.inbound", "record.market_regulation.penalty", 403),
        ("", GRADES, 403),
    ],
)
def test_participant_cannot_write_where_it_may_not(broker: Broker, exchange: str, key: str, code: int) -> None:
    with (
        pytest.raises(FatalError, match=str(code)),
        Publisher(broker.connection(ECOLOGY), exchange=exchange) as publisher,
    ):
        publisher.publish([message(1, key)])


def test_participant_writes_its_own_keys(broker: Broker) -> None:
    with Publisher(broker.connection(ECOLOGY), exchange="credit.inbound") as publisher:
        publisher.publish([message(1, f"record.{ECOLOGY}.penalty")])
    (found,) = broker.drain("gateway", "gateway.inbound")
    assert found.user_id == ECOLOGY


def test_forged_sender_is_refused(broker: Broker) -> None:
    def forge() -> None:
        with open_channel(broker.connection(ECOLOGY), purpose="forge") as channel:
            channel.confirm_delivery()
            forged = pika.BasicProperties(user_id=PLATFORM)
            channel.basic_publish("credit.inbound", f"record.{ECOLOGY}.penalty", b"x", forged)

    with pytest.raises(FatalError, match="user_id"):
        forge()


@pytest.mark.parametrize("queue", [GRADES, DEAD, "gateway.inbound"])
def test_participant_cannot_read_another_s_queue(broker: Broker, queue: str) -> None:
    with pytest.raises(FatalError, match="403"):
        consume_queues(broker.connection(ECOLOGY), [queue], Recorder(), Stop(idle=0.1), Progress())


@pytest.mark.parametrize("user", [ECOLOGY, "gateway"])
def test_nobody_declares_by_amqp(broker: Broker, user: str) -> None:
    with pytest.raises(FatalError, match="403"), open_channel(broker.connection(user), purpose="declare") as channel:
        channel.queue_declare(f"{user}.more", durable=True)


def test_unroutable_message_is_kept_and_raises_an_alarm(broker: Broker) -> None:
    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1, "grade.unheard_of.330100")])
    wait_for(lambda: any("credit.unrouted" in one for one in read_status(TOPOLOGY, broker.resolve).alarms))
    (parked,) = list_dead_letters(broker.connection(), "credit.unrouted", 5)
    assert (parked.reason, parked.routing_key) == ("unrouted", "grade.unheard_of.330100")
    broker.apply(build_topology([Subscription(PLATFORM, "all"), Subscription(ECOLOGY)], [*DOMAINS, "unheard_of"]))
    assert redrive(broker.connection(), "credit.unrouted") == 1
    assert [one.message_id for one in broker.drain(PLATFORM, GRADES)] == [message(1).id]


def test_full_queue_is_a_transient_error_when_it_refuses(broker: Broker) -> None:
    small = tuple(replace(one, maximum_length=3) if one.name == GRADES else one for one in TOPOLOGY.queues)
    broker.apply(replace(TOPOLOGY, queues=small))
    with pytest.raises(TransientError, match="full"), Publisher(broker.connection()) as publisher:
        publisher.publish(message(number) for number in range(2_000))
    broker.apply()
    with Publisher(broker.connection()) as publisher:
        assert publisher.publish([message(99)]).messages == 1


def test_oversize_is_refused_before_it_is_sent(broker: Broker) -> None:
    with Publisher(broker.connection(), maximum_body=100) as publisher:
        with pytest.raises(FatalError, match="101 bytes"):
            publisher.publish([message(1, size=101)])
        assert publisher.publish([message(2)]).messages == 1


def test_closed_port_is_a_transient_error_at_once(broker: Broker) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nobody = broker.connection(port=reserved.getsockname()[1])
        with within(3), pytest.raises(TransientError, match="refused"), Publisher(nobody, patience=QUICK):
            pass


def test_unknown_host_is_a_transient_error(broker: Broker) -> None:
    with within(5), pytest.raises(TransientError), Publisher(broker.connection(host="broker.invalid"), patience=QUICK):
        pass


def test_silent_peer_is_a_transient_error_when_patience_ends(broker: Broker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = broker.connection(port=silent.getsockname()[1])
        with within(5), pytest.raises(TransientError), Publisher(mute, patience=QUICK):
            pass


def test_wrong_password_is_a_fatal_error_that_does_not_show_it(broker: Broker) -> None:
    wrong = broker.connection(password="not-the-password")
    with within(5), pytest.raises(FatalError, match=r"login|REFUSED") as caught, Publisher(wrong, patience=QUICK):
        pass
    assert "not-the-password" not in str(caught.value)


def test_unknown_vhost_is_a_fatal_error(broker: Broker) -> None:
    with within(5), pytest.raises(FatalError, match="530"), Publisher(broker.connection(schema="no"), patience=QUICK):
        pass


def test_missing_exchange_and_queue_are_configuration_errors(broker: Broker) -> None:
    # The gateway may write nothing else, so the name is one it may: taken away and put back.
    with broker.operator() as operator:
        operator.delete("exchanges/credit/credit.results").raise_for_status()
        operator.delete(f"queues/credit/{ECOLOGY}.grades").raise_for_status()
    with pytest.raises(ConfigurationError, match="404") as caught, Publisher(broker.connection()) as publisher:
        publisher.publish([message(1)])
    assert "bus apply" in str(caught.value)
    with pytest.raises(ConfigurationError, match="404"):
        consume_queues(broker.connection(ECOLOGY), [f"{ECOLOGY}.grades"], Recorder(), Stop(idle=0.1), Progress())
    broker.apply()
    with Publisher(broker.connection()) as publisher:
        assert publisher.publish([message(1)]).messages == 1


def test_alarm_is_a_transient_error_after_the_time_limit(broker: Broker) -> None:
    broker.control("set_vm_memory_high_watermark", "0.000001")
    try:
        opened = Publisher(broker.connection(), patience=QUICK)
        with within(10), pytest.raises(TransientError, match="alarm"), opened as publisher:
            publisher.publish(message(number) for number in range(10_000))
    finally:
        broker.control("set_vm_memory_high_watermark", "0.4")


def test_hung_broker_is_a_transient_error_when_no_confirm_comes(broker: Broker) -> None:
    node = broker.node()
    opened = Publisher(broker.connection(), patience=replace(QUICK, confirm=2))
    try:
        with within(8), pytest.raises(TransientError, match="did not confirm"), opened as publisher:
            publisher.publish(_freeze_after(node, 20))
    finally:
        node.resume()
    wait_for(lambda: answers(broker))


def _freeze_after(node: psutil.Process, number: int) -> Iterator[OutgoingMessage]:
    for count in range(10_000):
        if count == number:
            node.suspend()
        yield message(count)


def test_message_comes_again_when_the_consumer_died_before_the_ack(broker: Broker) -> None:
    class Dying(Recorder):
        def flush(self) -> None:
            raise DiedError

    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1), message(2)])
    first = Dying()
    with pytest.raises(DiedError):
        consume_queues(broker.connection(PLATFORM), [GRADES], first, Stop(idle=1), Progress())
    again = broker.drain(PLATFORM, GRADES)
    assert {one.message_id for one in again} == {message(1).id, message(2).id}
    assert {one.message_id for one in again if one.redelivered} >= {one.message_id for one in first.taken}


def test_no_more_than_the_maximum_is_taken(broker: Broker) -> None:
    with Publisher(broker.connection()) as publisher:
        publisher.publish(message(number) for number in range(10))
    recorder, progress = Recorder(), Progress()
    consume_queues(broker.connection(PLATFORM), [GRADES, WARNINGS], recorder, Stop(idle=5, maximum=4), progress)
    assert (len(recorder.taken), progress.acknowledged) == (4, 4)
    assert len(broker.drain(PLATFORM, GRADES)) == 6


def test_poison_is_parked_and_comes_back_when_it_is_redriven(broker: Broker) -> None:
    class Picky(Recorder):
        def take(self, delivery: Delivery) -> None:
            if delivery.message_id == message(2).id:
                raise PoisonMessageError("not understood")
            super().take(delivery)

    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1), message(2), message(3)])
    recorder, progress = Picky(), Progress()
    consume_queues(broker.connection(PLATFORM), [GRADES], recorder, Stop(idle=0.5), progress)
    assert (progress.acknowledged, progress.rejected) == (2, 1)
    wait_for(lambda: bool(list_dead_letters(broker.connection(), DEAD, 5)))
    for _ in range(2):  # looking does not take it away
        (parked,) = list_dead_letters(broker.connection(), DEAD, 5)
        assert (parked.message_id, parked.queue, parked.reason) == (message(2).id, GRADES, "rejected")
        assert (parked.sender, parked.redriven) == ("gateway", 0)
    assert redrive(broker.connection(), DEAD) == 1
    assert [one.message_id for one in broker.drain(PLATFORM, GRADES)] == [message(2).id]
    assert list_dead_letters(broker.connection(), DEAD, 5) == ()


def test_stale_binding_is_removed_and_surplus_queue_is_named_when_topology_is_applied(broker: Broker) -> None:
    wider = build_topology(
        [Subscription(PLATFORM, "all", "all"), Subscription(ECOLOGY, "all")], [*DOMAINS, "work_safety"]
    )
    broker.apply(wider)
    narrow = build_topology([Subscription(PLATFORM, "all", "all")], DOMAINS)
    done = apply_topology(narrow, broker.resolve)
    assert f"{PLATFORM}.grades ← grade.work_safety.*" in done.unbound
    assert f"{ECOLOGY}.grades ← grade.enterprise_environment.*" in done.unbound
    assert f"{ECOLOGY}.grades" in done.surplus_queues
    assert apply_topology(narrow, broker.resolve).unbound == ()


def test_management_of_something_else_is_a_fatal_error(broker: Broker, tmp_path: Path) -> None:
    store = broker.resolve("lake")
    elsewhere = broker.connection(extra={"management_port": store.port})
    with pytest.raises(FatalError), Management.open(elsewhere) as management:
        management.list_queues()
    nobody = broker.connection(extra={"management_port": 9})
    with pytest.raises(TransientError), Management.open(nobody) as management:
        management.list_queues()


def test_participant_is_no_administrator(broker: Broker) -> None:
    with pytest.raises(FatalError, match="administrator"), Management.open(broker.connection(ECOLOGY)) as management:
        management.list_queues()
