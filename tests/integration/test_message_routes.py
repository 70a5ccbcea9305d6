"""Every message type on the real broker: who receives it, who may send it, and what the official SDK reads there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from connectors.rabbit.consumer import Delivery, Progress, Stop, consume_queues
from connectors.rabbit.publisher import Publisher
from exchange_formats.errors import FatalError
from exchange_formats.messages.decoding import Incoming, decode_event, decode_incoming
from exchange_formats.messages.inbound import INBOUND_MESSAGES
from exchange_formats.messages.outbound import OUTBOUND
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.snapshots import join_parts, read_snapshot
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.topology import Subscription, build_topology, consumed_queues
from gateway.bus import read_status
from tests.integration.broker import DOMAINS, ECOLOGY, PLATFORM, QUICK, Broker, Recorder, wait_for

EVERYTHING = Subscription(PLATFORM, "all", "all", "all", "all", platform=True)
NOTHING = Subscription(ECOLOGY)
TOPOLOGY = build_topology([EVERYTHING, NOTHING], DOMAINS)
QUEUES = {PLATFORM: consumed_queues(EVERYTHING), ECOLOGY: consumed_queues(NOTHING)}


@pytest.fixture
def wide(broker: Broker) -> Broker:
    """The broker with every kind of queue, empty; the next test's fixture brings its own topology back."""
    broker.apply(TOPOLOGY)
    with broker.operator() as client:
        for queue in TOPOLOGY.queues:
            client.delete(f"queues/credit/{queue.name}/contents").raise_for_status()
    return broker


def take(broker: Broker, user: str) -> list[Delivery]:
    return broker.drain(user, *QUEUES[user])


def read_by_sdk(delivery: Delivery) -> CloudEvent:
    """What the official SDK makes of what came off the wire."""
    message = AMQPMessage({"content-type": delivery.content_type}, dict(delivery.headers), delivery.body)
    event = from_amqp(message, JSONFormat(), CloudEvent)
    assert isinstance(event, CloudEvent)
    return event


def test_every_outbound_message_reaches_who_subscribes_as_it_was_sent(wide: Broker) -> None:
    sent = {spec.type: example_message(spec) for spec in OUTBOUND}
    with Publisher(wide.connection()) as publisher:
        assert publisher.publish(sent.values()).messages == len(OUTBOUND)
    received = take(wide, PLATFORM)
    own = take(wide, ECOLOGY)
    # What became of a batch, and what is awaited.
    assert [one.routing_key for one in own] == [f"feedback.{ECOLOGY}"] * 2
    by_type: dict[str, Delivery] = {}
    for delivery in (*received, *own):
        event = read_by_sdk(delivery)
        assert event.get_id() == delivery.message_id
        by_type[event.get_type()] = delivery
    assert by_type.keys() == sent.keys()
    for kind, message in sent.items():
        delivery = by_type[kind]
        assert (delivery.body, delivery.content_type, delivery.user_id) == (
            message.body,
            message.content_type,
            "gateway",
        )
        assert dict(delivery.headers) == dict(message.headers)
        if MESSAGES[kind].mode == "structured":
            assert decode_event(delivery.body).data == MESSAGES[kind].example()
        else:
            assert join_parts([read_snapshot(delivery.headers, delivery.body)]).num_rows == 1
    places = {by_type[spec.type].queue.rpartition(".")[2] for spec in OUTBOUND}
    assert places == {"grades", "warnings", "snapshots", "records", "feedback", "checkpoints"}


def test_persons_reach_nobody_without_a_grant_and_the_granted_with_it(wide: Broker) -> None:
    persons = [
        replace(example_message(spec), routing_key=f"{example_message(spec).routing_key}.person")
        for spec in OUTBOUND
        if spec.may_be_person
    ]
    with Publisher(wide.connection()) as publisher:
        publisher.publish(persons)
    assert take(wide, PLATFORM) == []
    wait_for(
        lambda: any(f"credit.unrouted: {len(persons)}" in one for one in read_status(TOPOLOGY, wide.resolve).alarms)
    )
    granted = replace(EVERYTHING, persons=DOMAINS, person_records=(ECOLOGY,))
    wide.apply(build_topology([granted, NOTHING], DOMAINS))
    with Publisher(wide.connection()) as publisher:
        publisher.publish(persons)
    assert sorted(one.routing_key for one in take(wide, PLATFORM)) == sorted(one.routing_key for one in persons)
    wide.apply(TOPOLOGY)
    with Publisher(wide.connection()) as publisher:
        publisher.publish(persons)
    assert take(wide, PLATFORM) == []


@pytest.mark.parametrize("spec", INBOUND_MESSAGES, ids=lambda spec: spec.name)
def test_inbound_message_is_taken_from_its_sender_and_from_nobody_else(wide: Broker, spec: MessageSpec) -> None:
    message = example_message(spec)
    owner, other = (PLATFORM, ECOLOGY) if spec.name == "public_credit.evaluated" else (ECOLOGY, PLATFORM)
    with Publisher(wide.connection(owner), exchange="credit.inbound") as publisher:
        publisher.publish([message])
    with (
        pytest.raises(FatalError, match="403"),
        Publisher(wide.connection(other), exchange="credit.inbound", patience=QUICK) as publisher,
    ):
        publisher.publish([message])
    (found,) = wide.drain("gateway", "gateway.inbound")
    incoming = Incoming(found.body, found.content_type, found.routing_key, found.user_id)
    assert decode_incoming(incoming).data == spec.example()
    assert read_by_sdk(found).get_type() == spec.type


def test_participant_writes_no_result_and_reads_no_other_queue(wide: Broker) -> None:
    for spec in OUTBOUND:
        with (
            pytest.raises(FatalError, match="403"),
            Publisher(wide.connection(PLATFORM), patience=QUICK) as publisher,
        ):
            publisher.publish([example_message(spec)])
    for queue in (*QUEUES[PLATFORM], f"{PLATFORM}.dead"):
        with pytest.raises(FatalError, match="403"):
            consume_queues(wide.connection(ECOLOGY), [queue], Recorder(), Stop(idle=0.1), Progress())


@pytest.mark.parametrize("spec", OUTBOUND, ids=lambda spec: spec.name)
def test_message_is_not_sent_when_it_is_larger_than_its_type_may_be(wide: Broker, spec: MessageSpec) -> None:
    huge = replace(example_message(spec), body=b"x" * (spec.maximum_bytes + 1))
    with pytest.raises(FatalError, match=re.escape(str(spec.maximum_bytes))), Publisher(wide.connection()) as publisher:
        publisher.publish([huge])
    assert take(wide, PLATFORM) == []


def test_message_is_not_sent_when_its_key_is_none_of_its_type(wide: Broker) -> None:
    astray = replace(example_message(OUTBOUND[0]), routing_key="grade.enterprise_environment.33010619900101123X")
    with pytest.raises(FatalError, match="routing key") as caught, Publisher(wide.connection()) as publisher:
        publisher.publish([astray])
    assert "33010619900101123X" not in str(caught.value)
    assert take(wide, PLATFORM) == []
