"""Subjects beside the register of enterprises: law firms, social organisations, institutions, agencies, persons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.documents import require_document
from gateway.simulators import wording
from gateway.simulators.codes import compose_resident_number, compose_unified_code
from gateway.simulators.divisions import CITIES, PROVINCE_CODE, city_of
from gateway.simulators.draws import open_stream
from gateway.simulators.subjects import Subject

_KINDS = Path(__file__).with_name("organisations.yaml")
#: So few of a kind are still useful.
_FEWEST = 12
#: Bodies below are those of the simulated offices themselves.
_FIRST_BODY = 1_000
_FIRST_FOUNDING = date(1985, 1, 1)
#: One in so many came within the last half year (an assumption).
_NEW_EVERY = 40
#: Born before 1910: no living person has such a number.
_FIRST_BIRTH = date(1900, 1, 1)
_BIRTHS = 3_650


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Organisation(_Data):
    """A kind of organisation; ``sponsor`` is the number of the department that set it up."""

    kind: str
    prefix: str
    title: str
    count: int = Field(ge=1)
    sponsor: int | None = None
    names: tuple[str, ...]


class Occupation(_Data):
    """A kind of supervised person."""

    kind: str
    occupation: str
    count: int = Field(ge=1)


class _Kinds(_Data):
    organisations: tuple[Organisation, ...]
    persons: tuple[Occupation, ...]


def draw_organisations(*, seed: int, today: date, scale: float) -> tuple[Subject, ...]:
    """Every kind in file order, at ``scale`` (1: a whole province); names and numbers are synthetic."""
    kinds = _read_kinds()
    stream = open_stream(seed, "organisations")
    drawn: list[Subject] = []
    bodies = iter(stream.sample(range(_FIRST_BODY, 1_000_000), sum(kind.count for kind in kinds.organisations)))
    for kind in kinds.organisations:
        drawn += [_found(stream, kind, body, today) for body in islice(bodies, _scale(kind.count, scale))]
    numbers = _draw_numbers(stream)
    for one in kinds.persons:
        drawn += [_admit(stream, one, next(numbers), today) for _ in range(_scale(one.count, scale))]
    return tuple(drawn)


@cache
def _read_kinds() -> _Kinds:
    return require_document(_KINDS, _Kinds)


def _scale(count: int, scale: float) -> int:
    return min(count, max(_FEWEST, round(count * scale)))


def _found(stream: Random, kind: Organisation, body: int, today: date) -> Subject:
    division = _draw_division(stream)
    city = city_of(division)
    place = "浙江" if division == PROVINCE_CODE else stream.choice((city.name, dict(city.counties)[division]))
    name = stream.choice(kind.names).format(place=place, word=wording.draw_trade_name(stream))
    authority = PROVINCE_CODE if division == PROVINCE_CODE else city.code
    sponsor = kind.sponsor and compose_unified_code("11", authority, f"YY0000{kind.sponsor:02d}")
    return Subject(
        code=compose_unified_code(kind.prefix, division, f"YY{body:06d}"),
        name=name,
        division=division,
        industry="",
        registered_on=_draw_day(stream, body, today).isoformat(),
        capital="",
        enterprise_type=kind.title,
        representative=wording.draw_person(stream),
        kind=kind.kind,
        sponsor=sponsor or None,
    )


def _admit(stream: Random, kind: Occupation, number: str, today: date) -> Subject:
    return Subject(
        code=number,
        name=wording.draw_person(stream),
        division=number[:6],
        industry="",
        registered_on=_draw_day(stream, int(number[6:14]), today).isoformat(),
        capital="",
        enterprise_type="",
        representative="",
        kind=kind.kind,
        occupation=kind.occupation,
    )


def _draw_numbers(stream: Random) -> Iterator[str]:
    """Resident numbers of the never issued sequence 000, each once."""
    counties = [code for city in CITIES for code, _ in city.counties]
    total = sum(kind.count for kind in _read_kinds().persons)
    for place in stream.sample(range(len(counties) * _BIRTHS), total):
        county, day = divmod(place, _BIRTHS)
        yield compose_resident_number(counties[county], _FIRST_BIRTH + timedelta(days=day), 0)


def _draw_division(stream: Random) -> str:
    """One in ten is the province's own; the others lie where the enterprises do."""
    if stream.random() < 0.1:
        return PROVINCE_CODE
    city = stream.choices(CITIES, weights=[one.weight for one in CITIES])[0]
    return stream.choice(city.counties)[0]


def _draw_day(stream: Random, turn: int, today: date) -> date:
    """One in so many came within the last half year; the others were there before any record."""
    drawn = _FIRST_FOUNDING + timedelta(days=stream.randint(0, (today - timedelta(days=1200) - _FIRST_FOUNDING).days))
    return today - timedelta(days=5 + turn % 180) if turn % _NEW_EVERY == 0 else drawn
