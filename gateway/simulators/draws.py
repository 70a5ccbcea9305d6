"""Seeded drawing: independent streams, exact quotas, and dates that stay inside the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def open_stream(seed: int, name: str) -> Random:
    """A generator of its own per purpose, so that drawing more of one thing never moves another."""
    return Random(f"{seed}/{name}")


def share_out(total: int, weights: Sequence[int], floor: int = 0) -> list[int]:
    """Split ``total`` by ``weights`` (largest remainder), then lift every share to at least ``floor``."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return [max(share, floor) for share in shares]


def stamp(stream: Random, day: date, latest: date) -> datetime:
    """An office-hours instant on ``day`` or, when that is later, on ``latest``."""
    clock = time(stream.randint(8, 17), stream.randint(0, 59), stream.randint(0, 59))
    return datetime.combine(min(day, latest), clock, SHANGHAI)


def days_before(stream: Random, today: date, nearest: int, farthest: int) -> date:
    """A day between ``nearest`` and ``farthest`` days before ``today``, both included."""
    return today - timedelta(days=stream.randint(nearest, farthest))


def past_or_none(day: date, today: date) -> date | None:
    """``day`` when it has already gone by at ``today``: sources do not know what has not happened yet."""
    return day if day < today else None
