"""The daily checkpoint: write down the heads of every chain, and tell the witness (semantics §6).

A checkpoint is stored before it is sent and chained to the one before by digest. What the lake's
chains say later must still lead to every head that was witnessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from exchange_formats.keys import CHECKPOINTS, INSPECTIONS, checkpoint_key, checkpoint_sent_key
from exchange_formats.messages.checkpoints import (
    CHECKPOINT_COMMITTED,
    CHECKPOINT_KEY,
    MAXIMUM_HEADS,
    Chain,
    CheckpointCommitted,
    build_checkpoint,
)
from exchange_formats.messages.envelope import GATEWAY_SOURCE, OutgoingMessage, encode_event
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.publications import Receipt
from gateway.inspection_planning import InspectionPlan
from gateway.locks import work_alone
from gateway.outbox import Letter, send_once
from gateway.publication import OpenPublisher

_ID = "[a-z][a-z0-9_]{2,39}"
#: A manifest's key → the prefix of its chain and its parts.
_CHAINS = (
    re.compile(rf"(landing/department=({_ID})/dataset=({_ID})/).*/manifest-[0-9a-f]{{64}}\.json"),
    *(
        re.compile(rf"({root}/domain=({_ID})/).*/manifest-[0-9a-f]{{64}}\.json")
        for root in ("scored", "statistics", "warned")
    ),
)
_RECEIPT = re.compile(rf"published/domain=({_ID})/run=[0-9a-f]{{32}}/receipt\.json")
_INSPECTION_LIST = re.compile(rf"{INSPECTIONS}domain=({_ID})/task=[^/]+/plan-([0-9a-f]{{64}})\.json")
#: So many of a domain fit into the message; earlier ones were told by earlier checkpoints.
_INSPECTION_LISTS = 20
_ROOTS = ("landing/", "scored/", "statistics/", "warned/")
_CHECKPOINT = re.compile(r"/checkpoint-[0-9a-f]{64}\.json$")


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """The newest checkpoint, whether this call wrote it, and how many were sent (also ones left from before)."""

    checkpoint: CheckpointCommitted
    new: bool
    sent: int


def commit_checkpoint(
    day: date, *, lake: Lake, open_publisher: OpenPublisher, now: Callable[[], datetime], spool: Path
) -> CheckpointResult:
    """Write the checkpoint of ``day`` unless the newest one says the same, and send what was not sent.

    A day before the newest one's gets none: how the chains stood then, nobody can say any more.

    Raises:
        FatalError: a stored checkpoint or manifest that is not what its name says; heads that no message holds.
        TransientError, ConfigurationError: the store or broker is away, or another process is at it; done again,
            nothing is lost.
    """
    # Two at once would follow the same checkpoint, and the chain could never be read again.
    with work_alone("checkpoint", spool):
        return _commit(day, lake, open_publisher, now())


def _commit(day: date, lake: Lake, open_publisher: OpenPublisher, time: datetime) -> CheckpointResult:
    stored = read_checkpoints(lake)
    chains = read_chains(lake)
    newest = stored[-1] if stored else None
    checkpoint = newest
    new = newest is None or (newest.day <= day and (newest.day, newest.chains) != (day, chains))
    if checkpoint is None or new:
        checkpoint = build_checkpoint(day, chains, newest.sha256 if newest else None)
        # Before it is stored: one that is too large to be sent would keep all later ones back.
        encode_checkpoint(checkpoint, time)
        data = checkpoint.model_dump_json().encode()
        lake.store.put_bytes(checkpoint_key(day, checkpoint.sha256), data)
        stored = (*stored, checkpoint)
    # One listing, not one question a day that ever was.
    sent = frozenset(lake.store.list_keys(CHECKPOINTS))
    letters = (
        Letter(encode_checkpoint(one, time), mark)
        for one in stored
        if (mark := checkpoint_sent_key(one.day, one.sha256)) not in sent
    )
    return CheckpointResult(checkpoint, new, send_once(letters, lake.store, open_publisher))


def read_chains(lake: Lake) -> tuple[Chain, ...]:
    """Every chain of the lake with its heads, by name; also of participants that are configured no longer."""
    prefixes: dict[str, str] = {}
    for root in _ROOTS:
        for key in lake.store.list_keys(root):
            for pattern in _CHAINS:
                if match := pattern.fullmatch(key):
                    prefixes["/".join((root.rstrip("/"), *match.groups()[1:]))] = match[1]
    chains = [_read_chain(name, lake.heads(prefix)) for name, prefix in prefixes.items()]
    others = (*_read_publications(lake), *_read_inspections(lake))
    return tuple(sorted([*chains, *others], key=lambda chain: chain.name))


def _read_inspections(lake: Lake) -> Iterator[Chain]:
    """The newest inspection lists of each domain: who took one out of the lake could draw again until it pleases."""
    drawn: dict[str, list[tuple[date, str]]] = {}
    for key in lake.store.list_keys(INSPECTIONS):
        if match := _INSPECTION_LIST.fullmatch(key):
            try:
                plan = InspectionPlan.model_validate_json(lake.store.get_bytes(key))
            except ValidationError as error:
                raise FatalError(f"抽查任务不可读 the inspection list cannot be read: {key}") from error
            drawn.setdefault(match[1], []).append((plan.day, match[2]))
    for domain, plans in drawn.items():
        newest = sorted(plans)[-_INSPECTION_LISTS:]
        yield Chain(name=f"inspections/{domain}", heads=tuple(sorted({digest for _, digest in newest})))


def _read_publications(lake: Lake) -> Iterator[Chain]:
    """The last receipt of each domain: every one but the first leads to the one before."""
    last: dict[str, Receipt] = {}
    for key in lake.store.list_keys("published/"):
        if match := _RECEIPT.fullmatch(key):
            try:
                receipt = Receipt.model_validate_json(lake.store.get_bytes(key))
            except ValidationError as error:
                raise FatalError(f"回执不可读 the receipt cannot be read: {key}") from error
            if match[1] not in last or last[match[1]].number < receipt.number:
                last[match[1]] = receipt
    yield from (Chain(name=f"published/{domain}", heads=(one.sealed().seal or "",)) for domain, one in last.items())


def _read_chain(name: str, heads: tuple[str, ...]) -> Chain:
    if len(heads) > MAXIMUM_HEADS:
        raise FatalError(
            f"链头过多 the chain {name} has {len(heads)} heads, more than {MAXIMUM_HEADS}",
            hint="再归集一次即合并链头 collect once more: the next batch joins them",
        )
    return Chain(name=name, heads=heads)


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
