"""Identifiers: which are well formed agrees with python-stdnum; why the others are not is told one reason a row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from exchange_formats.check_digits import ALPHABET, check_resident, check_unified
from exchange_formats.identifiers import (
    Judgement,
    judge_organisation_codes,
    judge_resident_numbers,
    judge_unified_codes,
    uppercase,
)
from exchange_formats.texts import Texts
from gateway.simulators.codes import compose_unified_code

RESIDENT = "11010519491231002X"


def texts_of(cells: list[str | None]) -> Texts:
    return Texts.of(pa.array(cells, pa.string()))


def reasons(judgement: Judgement, rows: int) -> list[str | None]:
    found: list[str | None] = [None] * rows
    for reason, mask in judgement:
        for place in mask.nonzero()[0].tolist():
            assert found[place] is None, "one reason a row"
            found[place] = str(reason)
    return found


bodies = st.text(ALPHABET, min_size=8, max_size=8)
good = bodies.map(lambda body: compose_unified_code("91", "330100", body))
spoiled = st.tuples(good, st.integers(0, 17), st.sampled_from(ALPHABET + "IOSVZ*a中")).map(
    lambda it: it[0][: it[1]] + it[2] + it[0][it[1] + 1 :]
)
anything = st.one_of(
    good, spoiled, st.text(max_size=20), st.none(), st.from_regex("[0-9]{13}|[0-9]{15}", fullmatch=True)
)


@given(st.lists(anything, max_size=20))
def test_code_is_good_or_has_one_reason_when_judged_in_a_batch(cells: list[str | None]) -> None:
    texts = texts_of(cells)
    found = reasons(judge_unified_codes(texts), len(cells))
    for cell, well, reason in zip(cells, check_unified(texts).tolist(), found, strict=True):
        assert well == (cell is not None and reason is None)
        if well:
            assert cell is not None
            assert uscc.is_valid(cell), "the other implementation checks the last digit"
        elif cell is not None and len(cell) == 18 and set(cell) <= set(ALPHABET):
            last_digit_fits = uscc.is_valid(cell)
            assert reason == ("unified_code.organisation" if last_digit_fits else reason)
            assert reason in {"unified_code.organisation", "unified_code.check_digit", "unified_code.alphabet"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("91330100MA9YYYY09Q", None),
        ("91330100MA9YYYY09R", "unified_code.check_digit"),
        ("91330100MA9YYYYO9Q", "unified_code.alphabet"),
        ("91330100MA9YYYY0中Q", "unified_code.alphabet"),
        ("91330100MA9YYYY19Q", "unified_code.organisation"),
        ("330183000123456", "unified_code.registration_number"),
        ("3301830001234", "unified_code.registration_number"),
        ("33018300012345", "unified_code.length"),
        ("330226************", "unified_code.masked"),
        ("113302******82090Q", "unified_code.masked"),
    ],
)
def test_reason_is_the_most_telling_one_when_a_code_is_broken(code: str, reason: str | None) -> None:
    assert reasons(judge_unified_codes(texts_of([code])), 1) == [reason]


numbers = st.tuples(st.integers(0, 999_999), st.dates(), st.integers(0, 999)).map(
    lambda it: f"{it[0]:06d}{it[1]:%Y%m%d}".rjust(14, "0")[:14] + f"{it[2]:03d}"
)


@given(st.lists(st.tuples(numbers, st.sampled_from("0123456789X")), max_size=20))
def test_resident_number_agrees_with_another_implementation_when_judged(cells: list[tuple[str, str]]) -> None:
    whole = [first + last for first, last in cells]
    found = reasons(judge_resident_numbers(texts_of(list(whole))), len(whole))
    for number, reason in zip(whole, found, strict=True):
        fits = ric.calc_check_digit(number) == number[-1]
        century = number[6:8] in {"18", "19", "20"}
        assert (reason is None) == (fits and century)
        if not century:
            assert reason == "resident_number.birth_date"
    assert check_resident(texts_of(list(whole))).tolist() == [reason is None for reason in found]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("MA9YYYY09", None),
        ("MA9YYYY08", "organisation_code.check_digit"),
        ("MA9YYYY0", "organisation_code.malformed"),
        ("MA9YYYY0-", "organisation_code.malformed"),
        ("ma9yyyy09", "organisation_code.malformed"),
        ("400000018", None),
    ],
)
def test_organisation_code_is_judged_by_its_standard_when_read(code: str, reason: str | None) -> None:
    assert reasons(judge_organisation_codes(texts_of([code])), 1) == [reason]


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=8))
def test_only_ascii_letters_change_when_text_is_made_upper_case(cells: list[str | None]) -> None:
    expected = [
        None if cell is None else "".join(letter.upper() if letter.isascii() else letter for letter in cell)
        for cell in cells
    ]
    assert uppercase(texts_of(cells)).array.to_pylist() == expected
