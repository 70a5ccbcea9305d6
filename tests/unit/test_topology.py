"""Topology: everyone gets what they subscribe to and may do nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.department import Department, Departments
from exchange_formats.errors import ConfigurationError, FatalError, Problem
from exchange_formats.messages.examples import snapshot_body
from exchange_formats.messages.inbound import INBOUND_MESSAGES
from exchange_formats.messages.outbound import OUTBOUND
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.snapshots import encode_parts
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.topology import (
    GATEWAY,
    UNROUTED,
    Subscription,
    Topology,
    build_topology,
    consumed_queues,
    definitions,
    hash_password,
)
from gateway.bus import derive_topology, read_passwords, require_topology

DOMAINS = ("enterprise_environment", "work_safety")
SUBSCRIPTIONS = (
    Subscription("provincial_platform", "all", "all", "all", ("ecology_environment",), platform=True),
    Subscription("ecology_environment", ("enterprise_environment",), ()),
)
TOPOLOGY = build_topology(SUBSCRIPTIONS, DOMAINS)


def document(passwords: dict[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(definitions(TOPOLOGY, passwords or {u.name: "x" for u in TOPOLOGY.users}))
    return found


def keys_of(queue: str) -> list[str]:
    return [one.routing_key for one in TOPOLOGY.bindings if one.queue == queue]


def test_all_means_each_domain_by_name_when_bindings_are_made() -> None:
    assert keys_of("provincial_platform.grades") == ["grade.enterprise_environment.*", "grade.work_safety.*"]
    assert keys_of("provincial_platform.warnings") == ["warning.enterprise_environment.*.*", "warning.work_safety.*.*"]


def test_queue_exists_without_bindings_when_nothing_is_subscribed() -> None:
    assert keys_of("ecology_environment.grades") == ["grade.enterprise_environment.*"]
    assert keys_of("ecology_environment.warnings") == []
    assert "ecology_environment.warnings" in {queue.name for queue in TOPOLOGY.queues}


def receives(topology: Topology, queue: str, key: str) -> bool:
    """Whether a topic exchange would give the key to the queue: ``*`` stands for exactly one word."""
    patterns = [re.escape(one.routing_key).replace(r"\*", r"[^.]+") for one in topology.bindings if one.queue == queue]
    return any(re.fullmatch(pattern, key) for pattern in patterns)


@pytest.mark.parametrize("spec", OUTBOUND, ids=lambda spec: spec.name)
def test_every_outbound_type_reaches_the_platform(spec: MessageSpec) -> None:
    key = example_message(spec).routing_key
    queues = [queue for queue in consumed_queues(SUBSCRIPTIONS[0]) if receives(TOPOLOGY, queue, key)]
    if spec.name.startswith("feedback."):
        assert queues == []
        assert receives(TOPOLOGY, "ecology_environment.feedback", key)
    else:
        assert len(queues) == 1


@pytest.mark.semantics("5.3")
@pytest.mark.parametrize("spec", [spec for spec in OUTBOUND if spec.may_be_person], ids=lambda spec: spec.name)
def test_persons_reach_only_who_was_granted_them_by_name(spec: MessageSpec) -> None:
    key = f"{example_message(spec).routing_key}.person"
    assert re.fullmatch(spec.key_pattern, key)
    assert not any(receives(TOPOLOGY, queue.name, key) for queue in TOPOLOGY.queues)
    granted = replace(SUBSCRIPTIONS[0], persons=("enterprise_environment",), person_records=("ecology_environment",))
    wider = build_topology([granted, *SUBSCRIPTIONS[1:]], DOMAINS)
    assert [queue.name for queue in wider.queues if receives(wider, queue.name, key)] == [
        queue for queue in consumed_queues(granted) if receives(wider, queue, example_message(spec).routing_key)
    ]
    other = key.replace("enterprise_environment", "work_safety").replace("ecology_environment", "work_safety")
    assert not any(receives(wider, queue.name, other) for queue in wider.queues)


@pytest.mark.semantics("5.3")
def test_persons_are_not_granted_by_a_subscription_to_another_domain() -> None:
    one = Subscription("abc", grades=("work_safety",), persons=("enterprise_environment",))
    topology = build_topology([one], DOMAINS)
    assert [x.routing_key for x in topology.bindings if x.queue == "abc.grades"] == ["grade.work_safety.*"]


@pytest.mark.parametrize("spec", INBOUND_MESSAGES, ids=lambda spec: spec.name)
def test_inbound_types_are_written_by_whom_their_key_names(spec: MessageSpec) -> None:
    key = example_message(spec).routing_key
    allowed = {u.name: bool(re.search(u.topics["credit.inbound"], key)) for u in TOPOLOGY.users if u.topics}
    platform_only = spec.name == "public_credit.evaluated"
    assert allowed == {"ecology_environment": not platform_only, "provincial_platform": platform_only}
    assert not any(re.search(u.topics["credit.inbound"], f"{key}.x") for u in TOPOLOGY.users if u.topics)


@pytest.mark.semantics("7.8")
def test_full_queue_refuses_and_dead_letters_are_kept_when_policies_apply() -> None:
    policies = {one["name"]: one["definition"] for one in document()["policies"]}
    assert set(policies) == {queue.name for queue in TOPOLOGY.queues}
    assert {one["overflow"] for one in policies.values()} == {"reject-publish"}
    grades = policies["provincial_platform.grades"]
    assert grades["dead-letter-exchange"] == "provincial_platform.dead"
    assert grades["dead-letter-strategy"] == "at-least-once"
    assert grades["delivery-limit"] == 10


def test_snapshot_of_ten_million_grades_fits_into_its_queue() -> None:
    sample = pa.ipc.open_stream(snapshot_body()).read_next_batch()
    rows = pa.Table.from_batches([sample] * 20_000).combine_chunks().to_batches()
    parts = -(-10_000_000 // max(count for count, _ in encode_parts(rows)))
    (queue,) = (one for one in build_topology([Subscription("tax")], []).queues if one.name == "tax.snapshots")
    assert parts <= queue.maximum_length * 3 // 4


def test_each_policy_matches_its_queue_only() -> None:
    for policy in document()["policies"]:
        matched = [queue.name for queue in TOPOLOGY.queues if re.search(policy["pattern"], queue.name)]
        assert matched == [policy["name"]]


def test_every_queue_is_quorum_and_every_topic_exchange_has_an_alternate() -> None:
    found = document()
    assert all(queue["arguments"] == {"x-queue-type": "quorum"} and queue["durable"] for queue in found["queues"])
    topics = [exchange for exchange in found["exchanges"] if exchange["type"] == "topic"]
    assert {exchange["name"] for exchange in topics} == {"credit.results", "credit.inbound"}
    assert all(exchange["arguments"] == {"alternate-exchange": UNROUTED} for exchange in topics)


def test_parking_queue_receives_what_its_exchange_gets() -> None:
    assert any(
        one.exchange == "ecology_environment.dead" and one.queue == "ecology_environment.dead"
        for one in TOPOLOGY.bindings
    )


@pytest.mark.parametrize(
    "queue",
    [
        "provincial_platform.grades",
        "ecology_environment.dead",
        "gateway.inbound",
        "xecology_environment.grades",
        "ecology_environment_bureau.grades",
    ],
)
def test_participant_reads_nothing_but_its_own_queues(queue: str) -> None:
    user = next(user for user in TOPOLOGY.users if user.name == "ecology_environment")
    assert not re.search(user.read, queue)
    assert re.search(user.read, "ecology_environment.grades")
    assert not re.search(user.configure, queue)
    assert not re.search(user.write, "credit.results")
    assert not re.search(user.write, "amq.default")
    assert user.tags == ()


@pytest.mark.parametrize(
    ("user", "key", "allowed"),
    [
        ("ecology_environment", "record.ecology_environment.penalty", True),
        ("ecology_environment", "receipt.ecology_environment", True),
        ("ecology_environment", "record.market_regulation.penalty", False),
        ("ecology_environment", "record.ecology_environment_bureau.penalty", False),
        ("ecology_environment", "record.ecology_environment.penalty.withdrawn", False),
        ("ecology_environment", "receipt.provincial_platform", False),
        ("ecology_environment", "public_credit.enterprise", False),
        ("provincial_platform", "public_credit.enterprise", True),
    ],
)
def test_participant_writes_only_its_own_keys(user: str, key: str, *, allowed: bool) -> None:
    permission = next(one for one in document()["topic_permissions"] if one["user"] == user)
    assert permission["exchange"] == "credit.inbound"
    assert bool(re.search(permission["write"], key)) is allowed


def test_gateway_declares_nothing_and_cannot_read_results() -> None:
    user = next(user for user in TOPOLOGY.users if user.name == GATEWAY)
    assert not re.search(user.configure, "credit.results")
    assert not re.search(user.read, "provincial_platform.grades")
    assert re.search(user.read, "provincial_platform.dead")


def test_definitions_hold_no_password_and_repeat_byte_for_byte() -> None:
    text = definitions(TOPOLOGY, {GATEWAY: "clear-text", "provincial_platform": "clear-text"})
    assert "clear-text" not in text
    assert text == definitions(build_topology(reversed(SUBSCRIPTIONS), reversed(DOMAINS)), {
        "provincial_platform": "clear-text", GATEWAY: "clear-text",
    })  # fmt: skip
    first, second = (user["password_hash"] for user in json.loads(text)["users"])
    assert first != second


def test_user_is_left_out_when_it_has_no_password() -> None:
    found = document({GATEWAY: "x"})
    assert [user["name"] for user in found["users"]] == [GATEWAY]
    assert {one["user"] for one in found["permissions"] + found["topic_permissions"]} == {GATEWAY}
    assert len(found["queues"]) == len(TOPOLOGY.queues)


def test_hash_is_what_the_broker_computes() -> None:
    raw = base64.b64decode(hash_password("gateway", "口令"))
    assert raw[4:] == hashlib.sha256(raw[:4] + "口令".encode()).digest()


@pytest.mark.parametrize("name", ["gateway", "credit", "guest"])
def test_reserved_participant_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        build_topology([Subscription(name)], DOMAINS)


def test_repeated_participant_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="repeat"):
        build_topology([Subscription("abc"), Subscription("abc")], DOMAINS)


def test_a_further_department_changes_nothing_of_the_others() -> None:
    more = build_topology([*SUBSCRIPTIONS, Subscription("maritime_affairs", "all", ())], DOMAINS)
    assert set(TOPOLOGY.queues) <= set(more.queues)
    assert set(TOPOLOGY.bindings) <= set(more.bindings)
    others = [user for user in more.users if user.name != "maritime_affairs"]
    assert others == list(TOPOLOGY.users)


def department(name: str, **fields: Any) -> Department:
    return Department.model_validate(
        {
            "id": name,
            "title": name,
            "title_en": name,
            "owner": {"team": "a", "contact": "b"},
            "schedule": "30 2 * * *",
            "late_after": "PT6H",
            "source": {"kind": "files", "connection": "abc"},
            "datasets": {},
        }
        | fields
    )


def test_departments_yaml_decides_who_receives_what() -> None:
    platform = department("provincial_platform", kind="platform", subscribes={"grades": "all"})
    owner = department("ecology_environment", domains=["enterprise_environment"])
    found = derive_topology([platform, owner], participants=["visitor_department", "ecology_environment"])
    assert {(one.queue, one.routing_key) for one in found.bindings if one.exchange == "credit.results"} == {
        ("provincial_platform.grades", "grade.enterprise_environment.*"),
        ("provincial_platform.checkpoints", "checkpoint.committed"),
        ("provincial_platform.feedback", "feedback.provincial_platform"),
        ("ecology_environment.feedback", "feedback.ecology_environment"),
        ("visitor_department.feedback", "feedback.visitor_department"),
    }
    assert "visitor_department.grades" in {queue.name for queue in found.queues}


def test_topology_is_refused_when_a_department_s_file_is_broken() -> None:
    broken = Departments({}, {"x": [Problem("x.yaml", 3, 1, "id", "wrong")]})
    with pytest.raises(ConfigurationError, match=r"x\.yaml:3:1"):
        require_topology(broken)


def test_user_without_a_connection_is_left_out_when_passwords_are_read() -> None:
    def resolve(identifier: str) -> Any:
        raise FatalError(f"no connection {identifier}")

    assert read_passwords(TOPOLOGY, resolve) == {}
