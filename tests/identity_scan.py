"""A scanner for what must not be there: resident numbers, planted ones, and persons' full names (semantics §5).

Content is unpacked first (Arrow with its metadata, gzip, zstd, and what lies inside), so a number cannot hide behind
a compression. What is found is shown masked.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from exchange_formats.subjects import (
    check_resident_numbers,
    check_unified_codes,
    mask_identity,
    mask_name,
    normalise_identifiers,
)

#: Overlapping, and whatever stands around it: a planted number may be glued to anything.
_EIGHTEEN = re.compile(r"(?=([0-9]{17}[0-9Xx]))")
_DEEPEST = 4


@dataclass(frozen=True)
class Sighting:
    """One thing found: where, what kind (``resident number``, ``planted number``, ``name``), and a masked glimpse."""

    place: str
    kind: str
    shown: str


@dataclass(frozen=True)
class Planted:
    """The resident numbers and full names of persons that the departments' systems hold."""

    numbers: frozenset[str]
    names: frozenset[str]


@dataclass
class Scanner:
    """Looks into everything it is given; ``seen`` counts the places by kind, ``found`` is what should not be there."""

    planted: Planted
    seen: dict[str, int] = field(default_factory=dict)
    found: list[Sighting] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = sorted(map(re.escape, self.planted.names), key=len, reverse=True)
        self._names = re.compile("|".join(names)) if names else None

    def scan(self, kind: str, place: str, *contents: bytes | str) -> None:
        """Look at a place's own name and at each of its contents."""
        self.seen[kind] = self.seen.get(kind, 0) + 1
        for content in (place, *contents):
            for text in unpack(content):
                self.found += [Sighting(f"{kind} {_hide(place)}", what, shown) for what, shown in self._look(text)]

    def _look(self, text: str) -> Iterator[tuple[str, str]]:
        numbers = dict.fromkeys(match[1].upper() for match in _EIGHTEEN.finditer(text))
        planted = [number for number in numbers if number in self.planted.numbers]
        yield from (("planted number", mask_identity(number)) for number in planted)
        # One in eleven has a right check digit by chance: what stands inside a longer run is part of a digest.
        apart = [number for number in numbers if number not in planted and _stands_apart(number, text)]
        yield from (("resident number", mask_identity(number)) for number in find_resident_numbers(apart))
        if self._names is not None:
            yield from (("name", mask_name(name)) for name in dict.fromkeys(self._names.findall(text)))


def find_resident_numbers(candidates: Sequence[str]) -> list[str]:
    """The valid resident numbers that are no unified codes (which may be all digits, too)."""
    if not candidates:
        return []
    values = normalise_identifiers(pa.array(candidates, pa.string()))
    persons = check_resident_numbers(values) & ~check_unified_codes(values)
    return [number for number, person in zip(candidates, persons, strict=True) if person]


def unpack(content: bytes | str, depth: int = 0) -> Iterator[str]:
    """Every text in ``content``: itself, what it is a compression of, and the cells and metadata of Arrow files."""
    if isinstance(content, str):
        yield content
        return
    if depth < _DEEPEST:
        for inner in _open(content):
            yield from unpack(inner, depth + 1)
    yield content.decode("utf-8", errors="replace")


def _open(content: bytes) -> Iterable[bytes | str]:
    if content.startswith(b"\x1f\x8b"):
        try:
            return [gzip.decompress(content)]
        except (OSError, EOFError, zlib.error):
            return []
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            return [stream.read()]
    if content.startswith(b"ARROW1"):
        with pa.ipc.open_file(pa.BufferReader(content)) as file:
            return list(_read_table(file.read_all()))
    if content.startswith(b"\xff\xff\xff\xff"):
        try:
            with pa.ipc.open_stream(pa.BufferReader(content)) as stream:
                return list(_read_table(stream.read_all()))
        except pa.ArrowException:
            return []
    return []


def _read_table(table: pa.Table) -> Iterator[bytes | str]:
    yield str(table.schema.names)
    for holder in (table.schema, *table.schema):
        for key, value in (holder.metadata or {}).items():
            yield from (key, value)
    for column in table.columns:
        # One text a column: cells are apart, so that two of them do not make a number.
        yield "\n".join(str(value) for value in column.to_pylist() if value is not None)


def _stands_apart(number: str, text: str) -> bool:
    return re.search(rf"(?<![0-9A-Za-z]){number}(?![0-9A-Za-z])", text, re.IGNORECASE) is not None


def _hide(place: str) -> str:
    """The place as an assertion may show it."""
    return _EIGHTEEN.sub("", re.sub(r"[0-9]{17}[0-9Xx]", lambda match: mask_identity(match[0]), place))
