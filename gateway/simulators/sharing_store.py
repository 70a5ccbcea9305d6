"""What the sharing platform serves, kept as one JSON line per record under HOME/simulators/<participant>/."""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

from gateway.simulators.departments import ECOLOGY, PLATFORM
from gateway.simulators.draws import SHANGHAI
from gateway.simulators.practice import load_practices
from gateway.simulators.tables import Cell, SourceTable

_FOLDER = "simulators"
_UPDATED = "updateTime"
# Now and then a source writes "nothing known" its own way (domain facts §6.6).
_NULL_SPELLINGS = {89: "暂无", 97: ""}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One shared interface: department code and 16-character id make its path.

    ``as_string``: the platform answers ``datas`` as a JSON string inside the JSON.
    """

    participant: str
    dataset: str
    department_code: str
    interface_id: str
    as_string: bool

    @property
    def path(self) -> str:
        """The path below the host."""
        return f"/gateway/api/{self.department_code}/dataSharing/{self.interface_id}.htm"


#: Those whose addresses were there first; every other participant's are derived.
_KNOWN = (
    Endpoint(ECOLOGY, "profile", "001008009", "hbJbXx7Kq2Tn8Wd1", as_string=False),
    Endpoint(ECOLOGY, "penalty", "001008009", "hbXzCf4Rm9Yc6Ls2", as_string=True),
    Endpoint(ECOLOGY, "inspection", "001008009", "hbJdJc5Pv3Hx7Gz3", as_string=False),
    Endpoint(ECOLOGY, "incident", "001008009", "hbHjSj8Nf1Bt5Qk4", as_string=True),
    Endpoint(ECOLOGY, "complaint", "001008009", "hbXfTs2Cw6Mj9Rp5", as_string=True),
    Endpoint(ECOLOGY, "honour", "001008009", "hbRyXx3Zd4Fk7Vn6", as_string=False),
    Endpoint(PLATFORM, "public_credit", "001003001", "xyQyPj6Ts1Lw8Xe7", as_string=False),
    Endpoint(PLATFORM, "profile", "001003001", "TnDtajnGPfNSNxrD", as_string=False),
    Endpoint(PLATFORM, "enforcement", "001003001", "vAALXCHuE6BuiHiA", as_string=True),
)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


@cache
def list_endpoints() -> tuple[Endpoint, ...]:
    """Every shared interface of the province, the known ones first."""
    derived = [
        Endpoint(one.id, dataset, f"0010090{one.number:02d}", _derive_id(one.id, dataset), as_string=turn % 2 == 1)
        for one in load_practices().values()
        if one.channel == "sharing" and one.id != ECOLOGY
        for turn, dataset in enumerate(one.datasets)
    ]
    return (*_KNOWN, *derived)


def _derive_id(participant: str, dataset: str) -> str:
    """16 letters and digits that look like an interface's id, always the same ones."""
    number = int.from_bytes(hashlib.sha256(f"{participant}/{dataset}".encode()).digest()[:16])
    found = ""
    for _ in range(16):
        number, place = divmod(number, len(_LETTERS))
        found += _LETTERS[place]
    return found


@dataclass(frozen=True, slots=True)
class Shelf:
    """The records of one endpoint in (updateTime, ID) order; ``times`` runs beside ``lines``."""

    times: tuple[str, ...]
    lines: tuple[str, ...]

    def window(self, start: str, end: str) -> tuple[int, int]:
        """Index range of records with ``start ≤ updateTime < end``; an empty bound does not bind."""
        first = bisect_left(self.times, start) if start else 0
        last = bisect_left(self.times, end) if end else len(self.times)
        return first, max(first, last)


def write_shelf(home: Path, participant: str, table: SourceTable) -> int:
    """Write one dataset's records (temp file, then rename); answers how many.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = home / _FOLDER / participant
    folder.mkdir(parents=True, exist_ok=True)
    order = sorted(range(len(table.rows)), key=lambda i: (_text(table.rows[i][-1]) or "", i))
    records = list(render_records(participant, table))
    target = folder / f"{table.dataset}.jsonl"
    partial = folder / f".{table.dataset}.jsonl.part"
    partial.write_text("".join(records[i] + "\n" for i in order), encoding="utf-8")
    os.replace(partial, target)  # noqa: PTH105  (the atomic rename is the point)
    return len(records)


class ShelfReader:
    """Reads one endpoint's records when first asked for, and again whenever another seeding replaced the file."""

    def __init__(self, home: Path, endpoint: Endpoint) -> None:
        self._path = home / _FOLDER / endpoint.participant / f"{endpoint.dataset}.jsonl"
        self._version: tuple[int, int] | None = None
        self._shelf = Shelf((), ())

    def read(self) -> Shelf | None:
        """The records, or ``None`` when nothing was seeded yet."""
        try:
            state = self._path.stat()
            version = (state.st_mtime_ns, state.st_ino)
            if version != self._version:
                lines = tuple(self._path.read_text(encoding="utf-8").split("\n")[:-1])
                self._shelf = Shelf(tuple(json.loads(line)[_UPDATED] for line in lines), lines)
                self._version = version
        except FileNotFoundError:
            return None
        return self._shelf


def render_records(participant: str, table: SourceTable) -> Iterator[str]:
    """The rows as the API gives them: one JSON object each, names in lower case on the platform."""
    lower = participant == PLATFORM
    names = [name.lower() if lower and name != "ID" else name for name in table.names()[:-1]]
    names.append(_UPDATED)
    absent = 0
    for row in table.rows:
        record: dict[str, str | None] = {}
        for name, cell in zip(names, row, strict=True):
            record[name] = _text(cell)
            if cell is None:
                absent += 1
                record[name] = next((text for every, text in _NULL_SPELLINGS.items() if absent % every == 0), None)
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _text(cell: Cell) -> str | None:
    if isinstance(cell, datetime):
        return cell.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, (Decimal, int)):
        return str(cell)
    return cell
