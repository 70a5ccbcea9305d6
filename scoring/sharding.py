"""Sharding in SQL: the records and subjects that one shard of a run reads (semantics §3)."""

from __future__ import annotations

from sqlglot import exp

from exchange_formats.shards import Shard
from scoring.trees import Row, all_of, column, fill, text


def in_shard(shard: Shard, name: str = "subject_ref") -> Row:
    """Whether the subject in column ``name`` is the shard's: the first two hex digits of its SHA-256 say."""
    if shard.whole:
        return exp.true()
    hashed = exp.SHA2(this=column(name), length=exp.Literal.number(256))
    first, behind = (f"{256 * place // shard.count:02x}" for place in (shard.index, shard.index + 1))
    bounds: list[Row] = [hashed >= text(first)]
    if shard.index + 1 < shard.count:
        bounds.append(hashed < text(behind))
    return all_of(bounds)


def shard_input(shard: Shard, landed: str) -> exp.Query:
    """Every version of every record of which any version is of one of the shard's subjects.

    A corrected record may have changed its subject: where it went, its newest version is needed all the same.
    """
    return fill(
        "SELECT * FROM landed WHERE record_id IN (SELECT record_id FROM landed WHERE $mine)",
        {"landed": landed},
        mine=in_shard(shard),
    )


def shard_results(shard: Shard, landed: str) -> exp.Query:
    """The results of an earlier run about the shard's subjects: one row a subject, never corrected."""
    return fill("SELECT * FROM landed WHERE $mine", {"landed": landed}, mine=in_shard(shard))
