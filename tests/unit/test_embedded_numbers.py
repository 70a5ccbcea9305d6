"""Resident numbers inside other text: every one is found, whatever stands around it, and nothing else is changed."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
import stdnum.cn.ric
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity import find_resident_numbers, protect
from exchange_formats.subjects import PseudonymKey
from exchange_formats.texts import Texts
from tests.pulls import CODES, RESIDENT

KEY = PseudonymKey("k", b"k" * 32)
#: Another number of nobody; the first's check digit is X.
OTHER = "330106199003070014"

PIECES = st.sampled_from(
    [
        RESIDENT,
        RESIDENT.lower(),
        OTHER,
        OTHER[:-1] + "5",
        "0",
        "1234567",
        "（",
        "，",
        ":",
        "?",
        "x",
        "某",
        " ",
        "号码",
        *CODES,
    ]
)
TEXTS = st.lists(st.none() | st.lists(PIECES, max_size=5).map("".join), max_size=20)


def find_naively(text: str | None) -> list[str]:
    """Python's own reading of one text: 18 letters that stand by themselves and that python-stdnum takes."""
    apart = re.findall(r"(?<![0-9A-Za-z])[0-9]{17}[0-9Xx](?![0-9A-Za-z])", text or "")
    return [number for number in apart if number.upper() in {RESIDENT, OTHER} or is_right(number.upper())]


def is_right(number: str) -> bool:
    """By its check digit and birth date; its division may be one that is no longer."""
    return number[-1] == stdnum.cn.ric.calc_check_digit(number[:-1]) and "1800" <= number[6:10] < "2100"


@given(texts=TEXTS)
def test_numbers_are_found_as_a_naive_reading_finds_them(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    assert find_resident_numbers(Texts.of(array)).tolist() == [bool(find_naively(text)) for text in texts]


@given(texts=TEXTS)
def test_only_the_numbers_change_when_texts_are_protected(texts: list[str | None]) -> None:
    hidden = protect(pa.array(texts, pa.string()), KEY).to_pylist()
    for before, after in zip(texts, hidden, strict=True):
        expected = before
        for number in find_naively(before):
            assert expected is not None
            pattern = rf"(?<![0-9A-Za-z]){number}(?![0-9A-Za-z])"
            expected = re.sub(pattern, KEY.reference(number.upper()), expected)
        assert after == expected


@pytest.mark.parametrize("shift", range(20))
def test_number_is_found_at_any_place_of_the_column(shift: int) -> None:
    array = pa.array(["a" * shift, f"当事人（{RESIDENT}）", None, "b"])
    assert find_resident_numbers(Texts.of(array)).tolist() == [False, True, False, False]
    assert find_resident_numbers(Texts.of(array.slice(1))).tolist() == [True, False, False]


def test_numbers_are_found_when_a_long_column_repeats_itself() -> None:
    texts = [f"当事人{RESIDENT}。", "编号20260501000000001", None, RESIDENT, "某"]
    found = find_resident_numbers(Texts.of(pa.array(texts * 1000)))
    assert found.tolist() == [True, False, False, True, False] * 1000


def test_digits_of_neighbouring_cells_make_no_number() -> None:
    array = pa.array([RESIDENT[:9], RESIDENT[9:], OTHER[:17] + "  " + OTHER[17:]])
    assert not find_resident_numbers(Texts.of(array)).any()
