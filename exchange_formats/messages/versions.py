"""Two versions of a message side by side: who stays on the older one gets each message said in it, too.

The newest version of a type is published under its key; a participant that its YAML keeps on version n
of a noun (``grade``) is bound to the same keys with the further last word ``vn``, and gets there what
the newest version says, converted down by ``MessageSpec.downgrade``. A type of the noun that has no
newer version is copied as it is; one that did not exist in version n is left out. The copy carries the
same ``sequence``: every consumer sees each number once, in one version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange_formats.errors import FatalError
from exchange_formats.messages.envelope import OutgoingMessage, encode_event
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.specs import MessageSpec


def version_word(noun: str, version: int, messages: Mapping[str, MessageSpec] = MESSAGES) -> str:
    """The last word of the keys of version ``version`` of ``noun``: ``v1``; empty while nothing is newer."""
    newer = any(spec.version > version for spec in messages.values() if _is_published(spec, noun))
    return f"v{version}" if newer else ""


def known_versions(noun: str, messages: Mapping[str, MessageSpec] = MESSAGES) -> tuple[int, ...]:
    """The versions of ``noun`` that a participant may stay on, ascending; empty: there is no such noun."""
    return tuple(sorted({spec.version for spec in messages.values() if _is_published(spec, noun)}))


def _is_published(spec: MessageSpec, noun: str) -> bool:
    return spec.direction == "outbound" and spec.noun == noun


@dataclass(frozen=True)
class ServedVersions:
    """Which older versions are published besides the newest: noun → versions that some participant stays on."""

    older: Mapping[str, frozenset[int]] = field(default_factory=dict)
    messages: Mapping[str, MessageSpec] = field(default_factory=lambda: MESSAGES, repr=False)

    def only(self, older: Mapping[str, Iterable[int]]) -> ServedVersions:
        """The same messages in these older versions instead."""
        return replace(self, older={noun: frozenset(versions) for noun, versions in older.items()})

    def publish_all(self, newest: Iterable[OutgoingMessage]) -> Iterator[OutgoingMessage]:
        """Each message of ``newest``, followed by its older versions."""
        for message in newest:
            yield message
            if self.older:
                yield from self.convert(message)

    def convert(self, message: OutgoingMessage) -> Iterator[OutgoingMessage]:
        """The older versions of one message, newest first; none in the usual case that nobody stays behind.

        Raises:
            FatalError: a version between does not say how it is converted down, or the older message is too large.
        """
        spec = self.messages[message.type]
        for version in sorted(self.older.get(spec.noun, ()), reverse=True):
            word = version_word(spec.noun, version, self.messages)
            found = self._said_in(message, spec, version) if word else None
            if found is not None:
                yield replace(found, routing_key=f"{message.routing_key}.{word}")

    def _said_in(self, message: OutgoingMessage, spec: MessageSpec, version: int) -> OutgoingMessage | None:
        older = [one for one in self.messages.values() if one.name == spec.name and one.version <= version]
        if not older:
            return None
        target = max(older, key=lambda one: one.version)
        return message if target.version >= spec.version else self._downgrade(message, spec, target)

    def _downgrade(self, message: OutgoingMessage, spec: MessageSpec, target: MessageSpec) -> OutgoingMessage:
        event = json.loads(message.body)
        data = spec.data.model_validate_json(json.dumps(event["data"]))
        while spec.version > target.version:
            if spec.downgrade is None:
                raise FatalError(
                    f"消息无法转换为旧版本 {spec.type} does not say how it is converted to version {target.version}",
                    hint="报告此问题 this is a defect: a new version of a message needs a downgrade",
                )
            data = spec.downgrade(data)
            before = (one for one in self.messages.values() if one.name == spec.name and one.version < spec.version)
            spec = max(before, key=lambda one: one.version)
        return encode_event(
            target.type,
            data.model_dump_json(exclude_none=True).encode(),
            source=event["source"],
            scope=message.id,
            subject=event["subject"],
            time=datetime.fromisoformat(event["time"]),
            routing_key=message.routing_key,
            priority=message.priority,
        )
