"""The drawn province: identifiers, shares, and a register taken as it is."""

from __future__ import annotations

import csv
import gzip
import os
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from stdnum.cn import ric, uscc

from exchange_formats.errors import ConfigurationError
from exchange_formats.subjects import check_resident_numbers, check_unified_codes
from gateway.simulators.codes import compose_resident_number, compose_unified_code
from gateway.simulators.divisions import CITIES
from gateway.simulators.universe import REGISTER_COLUMNS, draw_universe, read_register

TODAY = date(2026, 6, 30)

RegisterWriter = Callable[..., Path]


@pytest.fixture
def write_register(tmp_path: Path) -> RegisterWriter:
    def write(*rows: tuple[str, ...], header: tuple[str, ...] = REGISTER_COLUMNS) -> Path:
        path = tmp_path / "register.csv.gz"
        with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([header, *rows])
        return path

    return write


def row(name: str, code: str, city: str = "宁波") -> tuple[str, ...]:
    return (name, code, "1999-01-01", "N/A", "50(万元人民币)", "五金件", "浙江", city)


@pytest.mark.parametrize(
    ("prefix", "division", "body", "code"),
    [
        ("91", "330100", "MA9YYYY0", "91330100MA9YYYY09Q"),
        ("92", "331082", "MA9YYYY1", "92331082MA9YYYY17G"),
        ("51", "330000", "50000000", "51330000500000007N"),
        ("12", "330000", "40000000", "1233000040000000XG"),
    ],
)
def test_code_is_the_published_vector_when_composed(prefix: str, division: str, body: str, code: str) -> None:
    assert compose_unified_code(prefix, division, body) == code


def test_codes_are_valid_and_distinct_when_drawn() -> None:
    codes = [subject.code for subject in draw_universe(subjects=2_000, seed=7, today=TODAY).subjects]
    assert check_unified_codes(pa.array(codes)).all()
    assert all(uscc.is_valid(code) for code in codes)
    assert len(set(codes)) == 2_000
    assert {code[8:10] for code in codes} == {"YY"}


def test_resident_number_is_valid_when_composed() -> None:
    number = compose_resident_number("330102", date(1905, 2, 28), 0)
    assert ric.compact(number)[14:17] == "000"
    assert check_resident_numbers(pa.array([number])).all()
    assert not check_resident_numbers(pa.array([number[:-1] + ("0" if number[-1] != "0" else "1")])).any()


def test_cities_and_prefixes_have_measured_shares_when_drawn() -> None:
    subjects = draw_universe(subjects=10_000, seed=2019, today=TODAY).subjects
    cities = Counter(subject.code[2:6] for subject in subjects)
    assert cities["3302"] == round(10_000 * 21_431 / 89_571)
    assert cities["3301"] == round(10_000 * 17_289 / 89_571)
    assert cities["3300"] == 10_000 * 318 // 89_571
    assert len(cities) == 12
    prefixes = Counter(subject.code[:2] for subject in subjects)
    assert prefixes["91"] > 9_400
    assert 500 < prefixes["92"] < 600
    assert 5 <= prefixes["93"] <= 15


def test_divisions_are_zhejiang_counties_when_drawn() -> None:
    counties = {code for city in CITIES for code, _ in city.counties}
    assert len(counties) == 90
    drawn = {subject.division for subject in draw_universe(subjects=3_000, seed=1, today=TODAY).subjects}
    assert drawn <= counties | {"330000"}


def test_universe_differs_only_when_seed_differs() -> None:
    first = draw_universe(subjects=300, seed=1, today=TODAY)
    assert first == draw_universe(subjects=300, seed=1, today=TODAY)
    assert first.subjects != draw_universe(subjects=300, seed=2, today=TODAY).subjects


def test_register_rows_stay_as_they_are_when_dirty(write_register: RegisterWriter) -> None:
    good, other = "91330100MA9YYYY09Q", "92331082MA9YYYY17G"
    path = write_register(
        row("甲公司", good), row("乙公司", "3303021012389"), row("丙公司", other.lower()), row("甲公司改名", good)
    )
    universe = read_register(path, seed=1, today=TODAY)
    assert [entry.code for entry in universe.rows] == [good, "3303021012389", other.lower(), good]
    assert [(subject.code, subject.name) for subject in universe.subjects] == [(good, "甲公司"), (other, "丙公司")]
    assert {entry.status for entry in universe.rows} == {"存续"}


def test_register_is_refused_when_its_header_is_wrong(write_register: RegisterWriter) -> None:
    path = write_register(row("甲", "x"), header=("name", *REGISTER_COLUMNS[1:]))
    with pytest.raises(ConfigurationError, match="is not a register"):
        read_register(path, seed=1, today=TODAY)


def test_register_is_refused_when_a_row_has_too_few_cells(write_register: RegisterWriter) -> None:
    with pytest.raises(ConfigurationError, match=r"register.csv.gz:2 has 2 cells, expected 8"):
        read_register(write_register(("甲", "乙")), seed=1, today=TODAY)


@pytest.mark.parametrize("content", [b"not gzip", None])
def test_register_is_refused_when_it_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "register.csv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot read the register"):
        read_register(path, seed=1, today=TODAY)


def test_real_register_keeps_every_row_when_its_path_is_given() -> None:
    path = os.environ.get("XINQIAO_REGISTER")
    if not path:
        pytest.skip("XINQIAO_REGISTER names no register: its licence forbids shipping it")
    universe = read_register(Path(path), seed=2019, today=TODAY)
    assert len(universe.rows) == 44_777
    assert len(universe.subjects) == 44_777 - 42 - 9
