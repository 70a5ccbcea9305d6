"""Division codes of GB/T 2260 with the days on which each was in force, retired ones included.

``exchange_formats/codes/divisions.csv`` holds one row a code and name; its head names the sources.
The days are wide: where the day of a change is not known, both the old and the new code hold,
so that a right record is never refused.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_FILE = Path(__file__).parent / "codes" / "divisions.csv"
_EARLIEST, _LATEST = date.min, date.max
_EPOCH = date(1970, 1, 1)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Division:
    """One code under one name: in force from ``since`` to ``until``, both included."""

    code: str
    name: str
    since: date
    until: date


class DivisionCheck(NamedTuple):
    """What ``check_divisions`` found, row by row; a null code is neither."""

    #: No revision of the standard has the code.
    unknown: Mask
    #: The code exists, but was not in force on the row's day.
    not_in_force: Mask


@cache
def load_divisions() -> Mapping[str, tuple[Division, ...]]:
    """Every code with the names it had, oldest first."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found: dict[str, list[Division]] = {}
    for row in rows:
        since = date.fromisoformat(row["from"]) if row["from"] else _EARLIEST
        until = date.fromisoformat(row["until"]) if row["until"] else _LATEST
        found.setdefault(row["code"], []).append(Division(row["code"], row["name"], since, until))
    return {code: tuple(sorted(names, key=lambda one: (one.since, one.until))) for code, names in found.items()}


def find_division(code: str, on: date) -> Division | None:
    """The division that ``code`` named on ``on``; the newest name where two hold; None where there was none."""
    named = [one for one in load_divisions().get(code, ()) if one.since <= on <= one.until]
    return named[-1] if named else None


def find_city(code: str, on: date) -> Division | None:
    """The city that the county or city ``code`` lay in on ``on``.

    The province for the province's own code and for a county directly below it; None where the code was not in force.
    """
    if find_division(code, on) is None:
        return None
    return find_division(f"{code[:4]}00", on) or find_division(f"{code[:2]}0000", on)


def check_divisions(codes: pa.Array, days: pa.Array | None = None) -> DivisionCheck:
    """Check normalised codes (strings) against the table, each on its own day (date32) where ``days`` are given.

    A row without a day is only asked whether its code was ever in force.
    """
    table = _load_table()
    place = pc.index_in(codes, value_set=table.codes)
    filled = np.asarray(pc.fill_null(place, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    unknown = (filled < 0) & _mask(pc.is_valid(codes))
    not_in_force = np.zeros(len(codes), dtype=np.bool_)
    if days is not None:
        dated = (filled >= 0) & _mask(pc.is_valid(days))
        day = np.asarray(pc.fill_null(days.cast(pa.int32()), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        since, until = table.since[filled], table.until[filled]
        in_force = ((since <= day[:, None]) & (day[:, None] <= until)).any(axis=1)
        not_in_force = dated & ~in_force
    return DivisionCheck(unknown, not_in_force)


@dataclass(frozen=True, slots=True)
class _Table:
    """The codes, and per code (row) the days since the epoch of each period (column); an unused period is empty."""

    codes: pa.Array
    since: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]


@cache
def _load_table() -> _Table:
    divisions = load_divisions()
    width = max(len(names) for names in divisions.values())
    since = np.full((len(divisions), width), 1, dtype=np.int64)
    until = np.full((len(divisions), width), 0, dtype=np.int64)
    for row, names in enumerate(divisions.values()):
        for column, one in enumerate(names):
            since[row, column] = (one.since - _EPOCH).days
            until[row, column] = (one.until - _EPOCH).days
    return _Table(pa.array(list(divisions), pa.string()), since, until)


def _mask(array: pa.Array) -> Mask:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.bool_)
