"""The message bus as a whole: derive its topology from the departments, apply it, say how it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.connection import Resolve
from connectors.department import Department, Departments
from connectors.rabbit.management import Management, QueueState
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.messages.versions import ServedVersions, version_word
from exchange_formats.topology import GATEWAY, UNROUTED, Subscription, Topology, build_topology, definitions


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did. ``surplus_queues`` are left alone: they may hold messages."""

    queues: int
    users: int
    without_password: tuple[str, ...]
    unbound: tuple[str, ...]
    surplus_queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BusStatus:
    """Depths of all queues; ``alarms`` says in words what a person must look at."""

    queues: tuple[QueueState, ...]
    alarms: tuple[str, ...]


def connection_id(user: str) -> str:
    """The id of a bus user's connection."""
    return f"rabbitmq_{user}"


def derive_topology(
    departments: Iterable[Department],
    participants: Iterable[str] = (),
    messages: Mapping[str, MessageSpec] = MESSAGES,
) -> Topology:
    """The bus for ``departments``; other ``participants`` get queues that receive nothing yet.

    Raises:
        ConfigurationError: a reserved participant id.
    """
    known = sorted(departments, key=lambda one: one.id)
    subscriptions = [
        Subscription(
            one.id,
            grades=one.subscribes.grades,
            warnings=one.subscribes.warnings,
            snapshots=one.subscribes.snapshots,
            records=one.subscribes.records,
            persons=one.subscribes.persons,
            person_records=one.subscribes.person_records,
            platform=one.kind == "platform",
            older=_find_older(one, messages),
        )
        for one in known
    ]
    named = {one.id for one in known}
    subscriptions += [Subscription(one) for one in sorted(set(participants)) if one not in named]
    return build_topology(subscriptions, [domain for one in known for domain in one.domains])


def find_served(departments: Iterable[Department], messages: Mapping[str, MessageSpec] = MESSAGES) -> ServedVersions:
    """The older message versions that some participant stays on."""
    older: dict[str, set[int]] = {}
    for one in departments:
        for noun, version in one.subscribes.versions.items():
            if version_word(noun, version, messages):
                older.setdefault(noun, set()).add(version)
    return ServedVersions({noun: frozenset(versions) for noun, versions in older.items()}, messages)


def _find_older(department: Department, messages: Mapping[str, MessageSpec]) -> Mapping[str, str]:
    """Noun → last word of its keys, where a participant stays on a version that is not the newest."""
    words = {noun: version_word(noun, version, messages) for noun, version in department.subscribes.versions.items()}
    return {noun: word for noun, word in words.items() if word}


def require_topology(departments: Departments) -> Topology:
    """The topology of all departments; a broken YAML stops it, for its bindings would be taken away.

    Raises:
        ConfigurationError: with every problem of every file.
    """
    problems = [problem for found in departments.problems.values() for problem in found]
    if problems:
        raise ConfigurationError("部门配置有错误 the departments' files have problems", problems)
    return derive_topology(departments.by_id.values())


def read_passwords(topology: Topology, resolve: Resolve) -> Mapping[str, str]:
    """The password of each user that has a connection; users without one are left out."""
    found: dict[str, str] = {}
    for user in topology.users:
        try:
            password = resolve(connection_id(user.name)).password
        except FatalError:
            continue
        if password:
            found[user.name] = password
    return found


def apply_topology(topology: Topology, resolve: Resolve) -> Applied:
    """Make the broker have ``topology``: create and update, then unbind what is no longer subscribed.

    Queues and users beyond it are only named: a person decides about messages and logins.

    Raises:
        TransientError: the broker does not answer. FatalError: not an administrator.
    """
    passwords = read_passwords(topology, resolve)
    names = frozenset(queue.name for queue in topology.queues)
    with Management.open(resolve(connection_id(GATEWAY))) as management:
        management.import_definitions(definitions(topology, passwords))
        surplus = management.find_surplus(frozenset(topology.bindings), names)
        for binding in surplus.bindings:
            management.unbind(binding)
    return Applied(
        queues=len(topology.queues),
        users=len(passwords),
        without_password=tuple(user.name for user in topology.users if user.name not in passwords),
        unbound=tuple(f"{one.queue} ← {one.routing_key}" for one in surplus.bindings),
        surplus_queues=surplus.queues,
    )


def read_status(topology: Topology, resolve: Resolve) -> BusStatus:
    """How the bus is. Alarms: something unrouted, something parked, a queue missing or nearly full."""
    with Management.open(resolve(connection_id(GATEWAY))) as management:
        queues = management.list_queues()
    by_name = {queue.name: queue for queue in queues}
    alarms: list[str] = []
    for queue in topology.queues:
        found = by_name.get(queue.name)
        if found is None:
            alarms.append(f"{queue.name}: 队列不存在 the queue does not exist (xinqiao bus apply)")
        elif queue.name == UNROUTED and found.messages:
            alarms.append(f"{queue.name}: {found.messages} 条消息无人接收 messages that no queue was bound for")
        elif queue.name.endswith(".dead") and found.messages:
            alarms.append(f"{queue.name}: {found.messages} 条死信 dead letters (xinqiao bus dead-letters)")
        elif found.messages * 10 >= queue.maximum_length * 9:
            alarms.append(f"{queue.name}: 将满 nearly full, {found.messages}/{queue.maximum_length}")
    return BusStatus(queues, tuple(alarms))
