"""Topology of the message bus: exchanges, queues, bindings and users (architecture §5.3).

Everything is derived from who subscribes to what. Limits and dead-lettering are
*policies*, not queue arguments: arguments are fixed when a queue is declared, a
policy can be changed on a queue that holds messages. The same definitions are
imported by RabbitMQ 3.10 and 4.x.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from exchange_formats.errors import ConfigurationError
from exchange_formats.messages import INBOUND, RESULTS
from exchange_formats.messages.checkpoints import CHECKPOINT_KEY
from exchange_formats.messages.envelope import PERSON
from exchange_formats.messages.feedback import feedback_key
from exchange_formats.messages.inbound import INBOUND_MESSAGES
from exchange_formats.messages.public_results import PUBLIC_CREDIT_EVALUATED

VHOST = "credit"
UNROUTED = "credit.unrouted"
#: The user that publishes results, and the owner of what comes in.
GATEWAY = "gateway"
#: A message that a consumer could not take this many times is parked.
DELIVERY_LIMIT = 10

Wanted = tuple[str, ...] | Literal["all"]

_RESERVED = frozenset({GATEWAY, "credit", "amq", "guest"})
_ID = "[a-z][a-z0-9_]*"
# A parked message is looked at and put back any number of times; 3.10 knows no "unlimited".
_LOOK_AT_LIMIT = 1_000_000
#: Messages a queue holds before it refuses: 100 000 grade messages are 10 million results, 8 000 parts of a
#: snapshot (4 GiB) too.
_MAXIMUM_LENGTH: Mapping[str, int] = MappingProxyType(
    {
        "grades": 100_000,
        "warnings": 500_000,
        "snapshots": 8_000,
        "records": 500_000,
        "feedback": 100_000,
        "checkpoints": 10_000,
        "inbound": 500_000,
    }
)
_MAXIMUM_PARKED = 100_000


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one participant receives: ids of domains (of departments for ``records``), or ``all`` known ones.

    ``persons`` and ``person_records`` name the domains and departments whose messages about natural persons
    it may receive too, as far as it subscribes to them: each by name, for ``all`` never covers persons
    (semantics §5). ``platform``: receives checkpoints and may send public credit. ``older``: noun → last word of
    the keys of the older message version that it stays on (``exchange_formats.messages.versions``).
    """

    participant: str
    grades: Wanted = ()
    warnings: Wanted = ()
    snapshots: Wanted = ()
    records: Wanted = ()
    persons: tuple[str, ...] = ()
    person_records: tuple[str, ...] = ()
    platform: bool = False
    older: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """``alternate`` takes what no queue is bound for; with it the broker returns nothing to the publisher."""

    name: str
    kind: Literal["topic", "fanout"]
    alternate: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """One quorum queue; ``dead_letters`` names the exchange for what its consumers refuse."""

    name: str
    maximum_length: int
    delivery_limit: int
    dead_letters: str | None = None

    @property
    def policy(self) -> Mapping[str, str | int]:
        """Full means refused, not dropped; a dead letter is moved at least once, never lost between two queues."""
        limits: dict[str, str | int] = {
            "max-length": self.maximum_length,
            "overflow": "reject-publish",
            "delivery-limit": self.delivery_limit,
        }
        if self.dead_letters:
            limits |= {"dead-letter-exchange": self.dead_letters, "dead-letter-strategy": "at-least-once"}
        return limits


@dataclass(frozen=True, slots=True)
class Binding:
    """``queue`` receives what is published to ``exchange`` under ``routing_key``."""

    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class User:
    """A login and all it may do; ``topics``: exchange → pattern of the routing keys it may write."""

    name: str
    configure: str
    write: str
    read: str
    topics: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """All of the bus; every tuple is sorted, so equal subscriptions give equal definitions."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    users: tuple[User, ...]


def grades_queue(participant: str) -> str:
    """The queue of a participant's grades."""
    return f"{participant}.grades"


def warnings_queue(participant: str) -> str:
    """The queue of a participant's warnings."""
    return f"{participant}.warnings"


def snapshots_queue(participant: str) -> str:
    """The queue of snapshots: large, so it is apart from the grades that follow them."""
    return f"{participant}.snapshots"


def records_queue(participant: str) -> str:
    """The queue of withdrawn and corrected records: nothing waits behind grades when three days run."""
    return f"{participant}.records"


def feedback_queue(participant: str) -> str:
    """The queue of what the gateway says about what the participant sent."""
    return f"{participant}.feedback"


def checkpoints_queue(participant: str) -> str:
    """The queue of daily checkpoints; only a platform has one."""
    return f"{participant}.checkpoints"


def consumed_queues(one: Subscription) -> tuple[str, ...]:
    """Every queue a participant takes from; they exist whether or not anything is bound to them."""
    name = one.participant
    own = (grades_queue, warnings_queue, snapshots_queue, records_queue, feedback_queue)
    return (*(queue(name) for queue in own), *((checkpoints_queue(name),) if one.platform else ()))


def parking_queue(participant: str) -> str:
    """The queue (and the exchange in front of it) for what a participant's consumers refused."""
    return f"{participant}.dead"


def build_topology(subscriptions: Iterable[Subscription], domains: Iterable[str]) -> Topology:
    """Derive the bus; ``all`` means each of ``domains`` by name, so that a new domain is granted, not leaked.

    Raises:
        ConfigurationError: a reserved or repeated participant id.
    """
    known = tuple(sorted(set(domains)))
    wanted = sorted(subscriptions, key=lambda one: one.participant)
    _check_names([one.participant for one in wanted])
    exchanges = [Exchange(RESULTS, "topic", UNROUTED), Exchange(INBOUND, "topic", UNROUTED)]
    exchanges += [Exchange(UNROUTED, "fanout"), Exchange(parking_queue(GATEWAY), "fanout")]
    inbound = f"{GATEWAY}.inbound"
    queues = [
        Queue(UNROUTED, _MAXIMUM_PARKED, _LOOK_AT_LIMIT),
        _consumed(inbound, GATEWAY),
        Queue(parking_queue(GATEWAY), _MAXIMUM_PARKED, _LOOK_AT_LIMIT),
    ]
    bindings = [Binding(UNROUTED, UNROUTED, ""), Binding(INBOUND, inbound, "#")]
    bindings.append(Binding(parking_queue(GATEWAY), parking_queue(GATEWAY), ""))
    users = [_gateway_user()]
    for one in wanted:
        parking = parking_queue(one.participant)
        exchanges.append(Exchange(parking, "fanout"))
        queues += [_consumed(queue, one.participant) for queue in consumed_queues(one)]
        queues.append(Queue(parking, _MAXIMUM_PARKED, _LOOK_AT_LIMIT))
        bindings.append(Binding(parking, parking, ""))
        bindings += _subscribe(one, known, tuple(other.participant for other in wanted))
        users.append(_participant_user(one))
    return Topology(
        tuple(sorted(exchanges, key=lambda x: x.name)),
        tuple(sorted(queues, key=lambda x: x.name)),
        tuple(sorted(bindings, key=lambda x: (x.exchange, x.queue, x.routing_key))),
        tuple(sorted(users, key=lambda x: x.name)),
    )


def definitions(topology: Topology, passwords: Mapping[str, str]) -> str:
    """The JSON text of ``definitions.json``: hashes only, the same text for the same input.

    ``passwords`` maps login to password. A user of the topology without one is left out,
    so that nobody can log in as it; its queues are made all the same.
    """
    able = [user for user in topology.users if user.name in passwords]
    document = {
        "vhosts": [{"name": VHOST, "metadata": {"default_queue_type": "quorum", "description": "", "tags": []}}],
        "users": [
            {
                "name": user.name,
                "password_hash": hash_password(user.name, passwords[user.name]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(user.tags),
            }
            for user in able
        ],
        "permissions": [
            {"user": u.name, "vhost": VHOST, "configure": u.configure, "write": u.write, "read": u.read} for u in able
        ],
        "topic_permissions": [
            {"user": user.name, "vhost": VHOST, "exchange": exchange, "write": pattern, "read": "^$"}
            for user in able
            for exchange, pattern in sorted(user.topics.items())
        ],
        "exchanges": [_describe_exchange(exchange) for exchange in topology.exchanges],
        "queues": [_describe_queue(queue) for queue in topology.queues],
        "bindings": [_describe_binding(binding) for binding in topology.bindings],
        "policies": [_describe_policy(queue) for queue in topology.queues],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def hash_password(user: str, password: str) -> str:
    """RabbitMQ's salted SHA-256; the salt is derived, so that the definitions stay the same from run to run."""
    salt = hashlib.sha256(f"xinqiao-salt:{user}:{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _check_names(names: list[str]) -> None:
    reserved = sorted(_RESERVED.intersection(names))
    if reserved:
        raise ConfigurationError(f"participant ids are reserved on the bus: {', '.join(reserved)}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigurationError(f"participant ids repeat: {', '.join(repeated)}")


def _consumed(name: str, owner: str) -> Queue:
    return Queue(name, _MAXIMUM_LENGTH[name.rpartition(".")[2]], DELIVERY_LIMIT, parking_queue(owner))


def _subscribe(one: Subscription, domains: tuple[str, ...], participants: tuple[str, ...]) -> list[Binding]:
    name = one.participant
    keys = [
        *_grant(grades_queue(name), one.grades, domains, one.persons, "grade.{}.*"),
        *_grant(warnings_queue(name), one.warnings, domains, one.persons, "warning.{}.*.*"),
        *_grant(snapshots_queue(name), one.snapshots, domains, one.persons, "snapshot.{}.*"),
        *_grant(records_queue(name), one.records, participants, one.person_records, "record.{}.*.*"),
        (feedback_queue(name), feedback_key(name)),
    ]
    if one.platform:
        keys.append((checkpoints_queue(name), CHECKPOINT_KEY))
    return [Binding(RESULTS, queue, _choose_version(key, one.older)) for queue, key in keys]


def _choose_version(key: str, older: Mapping[str, str]) -> str:
    """The key of the version that a participant takes: the newest one's has no further word."""
    word = older.get(key.partition(".")[0])
    return f"{key}.{word}" if word else key


def _grant(
    queue: str, wanted: Wanted, known: tuple[str, ...], persons: tuple[str, ...], key: str
) -> Iterator[tuple[str, str]]:
    """Bindings by name. A key about persons has one word more, which no ``*`` stands for."""
    chosen = sorted(set(known if wanted == "all" else wanted))
    yield from ((queue, key.format(name)) for name in chosen)
    yield from ((queue, f"{key.format(name)}.{PERSON}") for name in chosen if name in persons)


def _gateway_user() -> User:
    """Publishes results, takes what comes in, looks after parked messages.

    ``amq.default`` is written by a redrive (back into one queue, not to everyone).
    Writing a queue and reading an exchange is what an *unbind* needs; it gives no way to read
    a participant's messages. ``impersonator`` lets a redrive keep who sent a message;
    ``administrator`` applies this very topology.
    """
    purposes = "|".join(sorted(_MAXIMUM_LENGTH.keys() - {"inbound"}))
    name, results = re.escape(GATEWAY), rf"{_ID}\.({purposes})"
    exchanges = f"{re.escape(RESULTS)}|{re.escape(INBOUND)}"
    return User(
        GATEWAY,
        configure="^$",
        write=rf"^({exchanges}|amq\.default|{results})$",
        read=rf"^({exchanges}|{name}\.inbound|{re.escape(UNROUTED)}|{_ID}\.dead)$",
        tags=("administrator", "impersonator"),
    )


def _participant_user(one: Subscription) -> User:
    """Reads its own queues, and writes the inbound keys that name it; a platform also public credit."""
    name = one.participant
    specs = [spec for spec in INBOUND_MESSAGES if one.platform or spec.type != PUBLIC_CREDIT_EVALUATED]
    keys = [spec.key_pattern_of({"department": name, "consumer": name}) for spec in specs]
    return User(
        name,
        configure="^$",
        write=_any(INBOUND),
        read=_any(*consumed_queues(one)),
        topics={INBOUND: f"^({'|'.join(keys)})$"},
    )


def _any(*names: str) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$"


def _describe_exchange(exchange: Exchange) -> Mapping[str, object]:
    arguments = {"alternate-exchange": exchange.alternate} if exchange.alternate else {}
    flags = {"durable": True, "auto_delete": False, "internal": False}
    return {"name": exchange.name, "vhost": VHOST, "type": exchange.kind, **flags, "arguments": arguments}


def _describe_queue(queue: Queue) -> Mapping[str, object]:
    arguments = {"x-queue-type": "quorum"}
    return {"name": queue.name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}


def _describe_binding(binding: Binding) -> Mapping[str, object]:
    return {
        "source": binding.exchange,
        "vhost": VHOST,
        "destination": binding.queue,
        "destination_type": "queue",
        "routing_key": binding.routing_key,
        "arguments": {},
    }


def _describe_policy(queue: Queue) -> Mapping[str, object]:
    return {
        "vhost": VHOST,
        "name": queue.name,
        "pattern": f"^{re.escape(queue.name)}$",
        "apply-to": "queues",
        "priority": 0,
        "definition": dict(queue.policy),
    }
