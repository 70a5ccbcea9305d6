"""The subjects of the simulated province: drawn from a seed, or the rows of a real register.

Shares come from domain facts §10 (city split, prefixes). A drawn organisation code starts with ``YY``, which no
authority has issued, so no drawn subject is a real entity on purpose.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from random import Random

import pyarrow as pa

from exchange_formats.errors import ConfigurationError
from exchange_formats.subjects import check_unified_codes, normalise_identifiers
from gateway.simulators import wording
from gateway.simulators.codes import compose_unified_code
from gateway.simulators.divisions import CAPITAL, CITIES, PROVINCE_CODE, PROVINCE_WEIGHT, city_of
from gateway.simulators.draws import open_stream, share_out
from gateway.simulators.organisations import draw_organisations
from gateway.simulators.subjects import Subject

REGISTER_COLUMNS = ("企业名称", "统一社会信用代码", "注册日期", "企业类型", "注册资金", "经营范围", "所在省份", "地区")
# Measured shares of prefixes 91, 92 and 93 (domain facts §10).
_PREFIXES = (("91", 84_432), ("92", 5_042), ("93", 94))
_FIRST_REGISTRATION = date(1980, 1, 1)
#: One in so many was registered within the last half year (an assumption).
_NEW_EVERY = 90
#: From so many subjects on everything occurs three times, and populations are whole.
FULL_PROVINCE = 5_000


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One row of the register exactly as it is held: every cell is text, dirt included."""

    name: str
    code: str
    registered_on: str
    enterprise_type: str
    capital: str
    scope: str
    province: str
    city: str
    status: str = "存续"


@dataclass(frozen=True)
class Universe:
    """Everything is a function of these: the register's rows, the subjects among them, the seed and the day.

    ``organisations`` are the subjects that are in no register of enterprises.
    """

    seed: int
    today: date
    rows: tuple[RegisterRow, ...]
    subjects: tuple[Subject, ...]
    from_register: bool

    @property
    def scale(self) -> float:
        """How whole a province this is: a small one has smaller populations."""
        return min(1.0, len(self.subjects) / FULL_PROVINCE)

    @cached_property
    def organisations(self) -> tuple[Subject, ...]:
        """Law firms, social organisations, institutions, agencies and supervised persons."""
        return draw_organisations(seed=self.seed, today=self.today, scale=self.scale)


def draw_universe(*, subjects: int, seed: int, today: date) -> Universe:
    """Draw ``subjects`` enterprises as they stand at the start of ``today``."""
    stream = open_stream(seed, "universe")
    divisions = _draw_divisions(stream, subjects)
    prefixes = _draw_prefixes(stream, subjects)
    bodies = stream.sample(range(1_000_000), subjects)
    drawn = [
        _draw_subject(stream, prefix, division, f"YY{body:06d}", today)
        for prefix, division, body in zip(prefixes, divisions, bodies, strict=True)
    ]
    rows = tuple(_register_row(stream, subject) for subject in drawn)
    return Universe(seed, today, rows, tuple(drawn), from_register=False)


def read_register(path: Path, *, seed: int, today: date) -> Universe:
    """Take the rows of a register (gzip CSV, UTF-8) whole; subjects are its distinct well-formed codes.

    Raises:
        ConfigurationError: the file cannot be read or its header is not the register's.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines)
            header = tuple(next(reader, ()))
            if header != REGISTER_COLUMNS:
                raise ConfigurationError(f"{path.name} is not a register", hint=f"header: {','.join(REGISTER_COLUMNS)}")
            rows = tuple(RegisterRow(*_eight(line, path, number)) for number, line in enumerate(reader, 2))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the register {path.name}: {error}") from error
    return Universe(seed, today, rows, _well_formed_subjects(rows, seed), from_register=True)


def _eight(line: list[str], path: Path, number: int) -> list[str]:
    if len(line) != len(REGISTER_COLUMNS):
        raise ConfigurationError(f"{path.name}:{number} has {len(line)} cells, expected {len(REGISTER_COLUMNS)}")
    return line


def _well_formed_subjects(rows: tuple[RegisterRow, ...], seed: int) -> tuple[Subject, ...]:
    stream = open_stream(seed, "register")
    codes = normalise_identifiers(pa.array([row.code for row in rows], pa.string()))
    well = check_unified_codes(codes)
    found: dict[str, Subject] = {}
    for row, code, right in zip(rows, codes.to_pylist(), well, strict=True):
        if not right or code in found:
            continue
        found[code] = Subject(
            code=code,
            name=row.name,
            division=code[2:8],
            industry=wording.guess_industry(row.name, row.scope),
            registered_on=row.registered_on,
            capital=row.capital,
            enterprise_type=row.enterprise_type,
            representative=wording.draw_person(stream),
        )
    return tuple(found.values())


def _draw_divisions(stream: Random, count: int) -> list[str]:
    shares = share_out(count, [*(city.weight for city in CITIES), PROVINCE_WEIGHT])
    divisions = [PROVINCE_CODE] * shares[-1]
    for city, share in zip(CITIES, shares, strict=False):
        divisions.extend(stream.choice(city.counties)[0] for _ in range(share))
    stream.shuffle(divisions)
    return divisions


def _draw_prefixes(stream: Random, count: int) -> list[str]:
    shares = share_out(count, [weight for _, weight in _PREFIXES])
    if count >= 100 and shares[2] == 0:
        shares[0], shares[2] = shares[0] - 1, 1
    prefixes = [prefix for (prefix, _), share in zip(_PREFIXES, shares, strict=True) for _ in range(share)]
    stream.shuffle(prefixes)
    return prefixes


def _draw_subject(stream: Random, prefix: str, division: str, body: str, today: date) -> Subject:
    city = city_of(division)
    county = dict(city.counties).get(division, "")
    industry = wording.draw_industry(stream)
    person = wording.draw_person(stream)
    latest = (today - timedelta(days=400) - _FIRST_REGISTRATION).days
    # The square root leans registrations towards recent years, as a real register does.
    registered = _FIRST_REGISTRATION + timedelta(days=int(latest * stream.random() ** 0.5))
    if int(body[2:]) % _NEW_EVERY == 0:
        registered = today - timedelta(days=5 + int(body[2:]) % 180)
    place = "浙江" if division == PROVINCE_CODE else stream.choice((city.name, county, f"{city.name}市{county}"))
    name, enterprise_type = wording.name_enterprise(stream, prefix, place, industry)
    return Subject(
        code=compose_unified_code(prefix, division, body),
        name=name,
        division=division,
        industry=industry.title,
        registered_on=registered.isoformat(),
        capital=wording.draw_capital(stream, prefix),
        enterprise_type=enterprise_type,
        representative=person,
    )


def _register_row(stream: Random, subject: Subject) -> RegisterRow:
    status = stream.choices(("存续", "注销", "吊销"), weights=(97, 2, 1))[0]
    city = CAPITAL.name if subject.division == PROVINCE_CODE else subject.city.name
    return RegisterRow(
        name=subject.name,
        code=subject.code,
        registered_on=subject.registered_on,
        enterprise_type=subject.enterprise_type,
        capital=subject.capital,
        scope=wording.describe_scope(subject.industry),
        province="浙江",
        city=city,
        status=status,
    )
