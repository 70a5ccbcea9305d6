"""The daily checkpoint: the heads of every chain, told to a witness outside (semantics §6).

A chain of digests proves nothing against its own operator. The platform that stored a checkpoint and
receipted it can later show what the gateway's lake must still contain.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from exchange_formats.digests import canonical_json, digest_bytes
from exchange_formats.manifests import Sha256
from exchange_formats.messages.texts import Frozen, MessageData

CHECKPOINT_COMMITTED: Final = "cn.credit.checkpoint.committed.v1"
CHECKPOINT_KEY: Final = "checkpoint.committed"
#: 33 departments with 16 datasets each, and their domains, are less than half of it.
MAXIMUM_CHAINS: Final = 1500
#: Several writers may fork a chain; the next one joins all heads.
MAXIMUM_HEADS: Final = 100

_ID = "[a-z][a-z0-9_]{2,39}"


class Chain(Frozen):
    """The heads of one chain: the manifests that no other one names as a parent."""

    #: ``landing/<department>/<dataset>``, or a chain of a domain: ``scored/<domain>``, its ``statistics``, its log of
    #: warnings (``warned``), its publications (``published``: the seal of the last receipt), its inspection lists
    #: (``inspections``: those of the last twenty tasks, each by its digest).
    name: Annotated[
        str, Field(pattern=rf"^(landing/{_ID}/{_ID}|(scored|statistics|warned|published|inspections)/{_ID})$")
    ]
    heads: Annotated[tuple[Sha256, ...], Field(min_length=1, max_length=MAXIMUM_HEADS)]


class CheckpointCommitted(MessageData):
    """All heads at the end of ``day`` (Asia/Shanghai), chained to the checkpoint before."""

    day: date
    chains: Annotated[tuple[Chain, ...], Field(max_length=MAXIMUM_CHAINS)]
    #: ``sha256`` of the checkpoint before; absent for the first.
    previous_sha256: Sha256 | None = None
    #: Of the canonical JSON of day, previous_sha256 and chains (:func:`digest_checkpoint`).
    sha256: Sha256

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        names = [chain.name for chain in self.chains]
        if names != sorted(set(names)):
            raise ValueError("chains are not sorted by name, each once")
        if any(list(chain.heads) != sorted(set(chain.heads)) for chain in self.chains):
            raise ValueError("the heads of a chain are not sorted, each once")
        if self.sha256 != digest_checkpoint(self.day, self.chains, self.previous_sha256):
            raise ValueError("sha256 is not the digest of what the checkpoint says")
        return self


def build_checkpoint(day: date, chains: Iterable[Chain], previous_sha256: str | None) -> CheckpointCommitted:
    """The checkpoint of ``day``; equal heads give equal bytes."""
    ordered = tuple(sorted(chains, key=lambda chain: chain.name))
    digest = digest_checkpoint(day, ordered, previous_sha256)
    return CheckpointCommitted(day=day, chains=ordered, previous_sha256=previous_sha256, sha256=digest)


def digest_checkpoint(day: date, chains: Iterable[Chain], previous_sha256: str | None) -> str:
    """What a witness keeps: SHA-256 of ``{"chains": …, "day": …, "previous_sha256": …}``, sorted keys, no spaces."""
    said = {
        "day": day.isoformat(),
        "previous_sha256": previous_sha256,
        "chains": [chain.model_dump(mode="json") for chain in chains],
    }
    return digest_bytes(canonical_json(said))
