"""Messages that are sent once: a mark in the lake, written after the confirm, says that one was.

A crash between confirm and mark sends the same message again under the same id; consumers de-duplicate by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel, ConfigDict

from connectors.object_store import ObjectStore
from exchange_formats.digests import canonical_json, digest_bytes
from exchange_formats.manifests import Sha256
from exchange_formats.messages import OutgoingMessage
from gateway.publication import OpenPublisher

#: Letters between two rounds of marks: what a crash sends again at most.
_ROUND = 100


class Mark(BaseModel):
    """What was sent: the message's id, type and key, and the digest of its body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str
    routing_key: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Letter:
    """One message and the key of its mark."""

    message: OutgoingMessage
    mark: str

    def stamp(self) -> bytes:
        """The mark's bytes."""
        sent = self.message
        mark = Mark(id=sent.id, type=sent.type, routing_key=sent.routing_key, sha256=digest_bytes(sent.body))
        return canonical_json(mark)


def send_once(letters: Iterable[Letter], store: ObjectStore, open_publisher: OpenPublisher) -> int:
    """Send every letter and mark it; returns how many. Filter out what has a mark before.

    Raises:
        TransientError, FatalError, ConfigurationError: as the publisher; what was marked before stays sent.
    """
    waiting = iter(letters)
    sent = 0
    first = _take(waiting)
    if not first:
        return 0
    with open_publisher() as publisher:
        while first:
            publisher.publish(letter.message for letter in first)
            for letter in first:
                store.put_bytes(letter.mark, letter.stamp())
            sent += len(first)
            first = _take(waiting)
    return sent


def _take(waiting: Iterator[Letter]) -> list[Letter]:
    return list(islice(waiting, _ROUND))
