"""Shards of a run: what one part of the subjects, told by their hash, came to (semantics §3).

The result of a run does not depend on how many shards there were: a shard takes whole buckets of
``row_digests``, and what spans the subjects is added up from these results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.manifests import ArtefactFile, Count, Sha256
from exchange_formats.row_digests import BUCKETS


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Frozen):
    """The ``index``-th of ``count`` parts of all subjects, from 0."""

    index: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _check(self) -> Shard:
        if BUCKETS % self.count or self.index >= self.count:
            raise ValueError(f"{self.index} of {self.count}: shards are 1, 2, 4 … {BUCKETS}, counted from 0")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    @property
    def buckets(self) -> range:
        """The buckets it takes."""
        size = BUCKETS // self.count
        return range(self.index * size, (self.index + 1) * size)

    def name_file(self, artefact: str) -> str:
        """The file of one artefact: ``grades.arrow``, ``grades-3-of-8.arrow``."""
        return f"{artefact}.arrow" if self.whole else f"{artefact}-{self.index}-of-{self.count}.arrow"


#: All subjects.
WHOLE: Final = Shard()


def split_shards(count: int) -> tuple[Shard, ...]:
    """All ``count`` shards; ValueError unless it divides the number of buckets."""
    return tuple(Shard(index=index, count=count) for index in range(count))


class ShardFile(ArtefactFile):
    """One file of ``artefact``, with the digest of every bucket it has rows of."""

    artefact: str
    buckets: Mapping[int, Sha256]


class GradeCount(_Frozen):
    """How many subjects of the severe list (or not of it) have a grade: measures follow from both."""

    grade: str
    severe: bool
    subjects: Count


class ShardResult(_Frozen):
    """What one shard wrote and counted."""

    shard: Shard
    files: tuple[ShardFile, ...]
    grades: tuple[GradeCount, ...]
    warnings_by_level: Mapping[str, Count]
