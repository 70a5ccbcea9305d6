"""The daily checkpoint: write down the heads of every chain, and tell the witness (semantics §6).

A checkpoint is stored before it is sent and chained to the one before by digest. What the lake's
chains say later must still lead to every head that was witnessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from exchange_formats.keys import CHECKPOINTS, checkpoint_key, checkpoint_sent_key
from exchange_formats.messages.checkpoints import (
    CHECKPOINT_COMMITTED,
    CHECKPOINT_KEY,
    Chain,
    CheckpointCommitted,
    build_checkpoint,
)
from exchange_formats.messages.envelope import GATEWAY_SOURCE, OutgoingMessage, encode_event
from exchange_formats.messages.registry import MESSAGES
from gateway.outbox import Letter, send_once
from gateway.publication import OpenPublisher

_ID = "[a-z][a-z0-9_]{2,39}"
#: A manifest's key → the prefix of its chain and its parts.
_CHAINS = (
    re.compile(rf"(landing/department=({_ID})/dataset=({_ID})/).*/manifest-[0-9a-f]{{64}}\.json"),
    re.compile(rf"(scored/domain=({_ID})/).*/manifest-[0-9a-f]{{64}}\.json"),
)
_CHECKPOINT = re.compile(r"/checkpoint-[0-9a-f]{64}\.json$")


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """The newest checkpoint, whether this call wrote it, and how many were sent (also ones left from before)."""

    checkpoint: CheckpointCommitted
    new: bool
    sent: int


def commit_checkpoint(
    day: date, *, lake: Lake, open_publisher: OpenPublisher, now: Callable[[], datetime]
) -> CheckpointResult:
    """Write the checkpoint of ``day`` unless the newest one says the same, and send what was not sent.

    Raises:
        FatalError: a stored checkpoint or manifest that is not what its name says.
        TransientError, ConfigurationError: the store or broker is away; done again, nothing is lost.
    """
    stored = read_checkpoints(lake)
    chains = read_chains(lake)
    newest = stored[-1] if stored else None
    new = newest is None or (newest.day, newest.chains) != (day, chains)
    checkpoint = newest
    if checkpoint is None or new:
        checkpoint = build_checkpoint(day, chains, newest.sha256 if newest else None)
        data = checkpoint.model_dump_json().encode()
        lake.store.put_bytes(checkpoint_key(day, checkpoint.sha256), data)
        stored = (*stored, checkpoint)
    time = now()
    letters = (
        Letter(encode_checkpoint(one, time), mark)
        for one in stored
        if not lake.store.exists(mark := checkpoint_sent_key(one.day, one.sha256))
    )
    return CheckpointResult(checkpoint, new, send_once(letters, lake.store, open_publisher))


def read_chains(lake: Lake) -> tuple[Chain, ...]:
    """Every chain of the lake with its heads, by name; also of participants that are configured no longer."""
    prefixes: dict[str, str] = {}
    for root in ("landing/", "scored/"):
        for key in lake.store.list_keys(root):
            for pattern in _CHAINS:
                if match := pattern.fullmatch(key):
                    prefixes["/".join((root.rstrip("/"), *match.groups()[1:]))] = match[1]
    return tuple(Chain(name=name, heads=lake.heads(prefix)) for name, prefix in sorted(prefixes.items()))


def read_checkpoints(lake: Lake) -> tuple[CheckpointCommitted, ...]:
    """Every stored checkpoint, verified, each behind the one it names; FatalError names the first bad one."""
    found = {one.sha256: one for one in _load(lake)}
    following: dict[str | None, CheckpointCommitted] = {}
    for one in found.values():
        if one.previous_sha256 in following:
            raise FatalError(f"存证分叉 two checkpoints follow one: {one.day}", hint="one of them was not written here")
        following[one.previous_sha256] = one
    ordered: list[CheckpointCommitted] = []
    last: str | None = None
    while last in following:
        ordered.append(following.pop(last))
        last = ordered[-1].sha256
    if following:
        first = min(one.day for one in following.values())
        raise FatalError(f"存证缺失 the checkpoint before that of {first} is missing", hint="restore it from a backup")
    return tuple(ordered)


def encode_checkpoint(checkpoint: CheckpointCommitted, time: datetime) -> OutgoingMessage:
    """The message of a checkpoint."""
    return encode_event(
        CHECKPOINT_COMMITTED,
        checkpoint.model_dump_json(exclude_none=True).encode(),
        source=GATEWAY_SOURCE,
        scope=checkpoint.sha256,
        subject=checkpoint.day.isoformat(),
        time=time,
        routing_key=CHECKPOINT_KEY,
        priority=MESSAGES[CHECKPOINT_COMMITTED].priority,
    )


def _load(lake: Lake) -> Iterator[CheckpointCommitted]:
    for key in sorted(lake.store.list_keys(CHECKPOINTS)):
        if not _CHECKPOINT.search(key):
            continue
        try:
            one = CheckpointCommitted.model_validate_json(lake.store.get_bytes(key))
        except ValidationError as error:
            raise FatalError(f"存证不可读 the checkpoint cannot be read: {key}") from error
        if key != checkpoint_key(one.day, one.sha256):
            raise FatalError(f"存证与名称不符 the checkpoint is not what its name says: {key}")
        yield one
