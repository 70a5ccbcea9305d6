"""Subjects: both check digits, resident numbers, references and masks; against an independent implementation."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from exchange_formats.check_digits import ALPHABET
from exchange_formats.subjects import (
    PseudonymKey,
    check_resident_numbers,
    check_unified_codes,
    is_individual_business,
    mask_identity,
    mask_name,
    narrow,
    normalise_identifiers,
    subject_type,
)

VALID = [
    "91330100MA9YYYY09Q",
    "51330000500000007N",
    "92331082MA9YYYY17G",
    "52330300500000015X",
    "93330481MA9YYYY252",
    "533300005000000236",
    "1233000040000000XG",
    "11330000000000000C",
    "31330000400000018H",
    "713300005000000315",
]
INVALID = ["91330100MA9YYYY09R", "91330100MA9YYYYO9Q", "330183000123456", "91330100ma9yyyy09q", "", "暂无", None]
RESIDENT = "11010519491231002X"
KEY = PseudonymKey("k1", b"secret")


def test_vectors_of_the_standard_are_told_apart_when_checked() -> None:
    found = check_unified_codes(pa.array([*VALID, *INVALID], pa.string()))
    assert found.tolist() == [True] * len(VALID) + [False] * len(INVALID)


@given(st.from_regex(r"[0-9]{6}", fullmatch=True), st.text(alphabet=ALPHABET, min_size=8, max_size=8))
def test_one_organisation_digit_fits_and_another_implementation_agrees_when_drawn(division: str, body: str) -> None:
    beginnings = [f"91{division}{body}{digit}" for digit in "0123456789X"]
    codes = [beginning + uscc.calc_check_digit(beginning) for beginning in beginnings]
    assert all(uscc.is_valid(code) for code in codes), "it only checks the last digit"
    assert check_unified_codes(pa.array(codes)).sum() == 1


@pytest.mark.parametrize("position", range(18))
def test_every_position_is_checked_when_one_sign_is_wrong(position: int) -> None:
    code = VALID[0]
    others = [code[:position] + sign + code[position + 1 :] for sign in ALPHABET if sign != code[position]]
    assert not check_unified_codes(pa.array(others)).any()


def test_sliced_and_chunked_arrays_are_read_right_when_checked() -> None:
    array = pa.array(["x", None, *VALID, "y"])
    assert check_unified_codes(array.slice(2, 10)).all()
    assert check_unified_codes(pa.chunked_array([array.slice(2, 4), array.slice(6, 6)])).all()
    assert check_unified_codes(pa.array([], pa.string())).tolist() == []


@given(st.integers(0, 10**17 - 1))
def test_resident_number_agrees_with_another_implementation_when_drawn(number: int) -> None:
    text = f"{number:017d}"
    text += ric.calc_check_digit(text + "0")
    if check_resident_numbers(pa.array([text]))[0]:
        assert ric.calc_check_digit(text) == text[-1]


@pytest.mark.parametrize(
    ("number", "good"),
    [
        (RESIDENT, True),
        ("110105194912310021", False),
        ("11010519491331002X", False),
        ("110105491231002", False),
        ("330226************", False),
        ("91330100MA9YYYY09Q", False),
        (None, False),
    ],
)
def test_resident_number_is_told_apart_when_checked(number: str | None, *, good: bool) -> None:
    assert check_resident_numbers(pa.array([number], pa.string())).tolist() == [good]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (" 91330100ma9yyyy09q ", "91330100MA9YYYY09Q"),
        ("９１３３０１００ＭＡ９ＹＹＹＹ０９Ｑ", "91330100MA9YYYY09Q"),
        ("　91330100MA9YYYY09Q　", "91330100MA9YYYY09Q"),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_identifier_is_normalised_when_it_is_dirty(raw: str | None, normal: str | None) -> None:
    assert normalise_identifiers(pa.array([raw], pa.string())).to_pylist() == [normal]


def test_only_wide_rows_change_when_a_column_is_narrowed() -> None:
    assert narrow(pa.array(["ａ！", "中文，", "b", None])).to_pylist() == ["a!", "中文,", "b", None]


@pytest.mark.semantics("5.1")
def test_reference_depends_on_number_and_key_when_pseudonymised() -> None:
    reference = KEY.reference(RESIDENT)
    assert reference.startswith("np_k1_")
    assert len(reference) == len("np_k1_") + 40
    assert reference == PseudonymKey("k1", b"secret").reference(RESIDENT)
    assert reference != PseudonymKey("k1", b"another").reference(RESIDENT)
    assert RESIDENT not in reference
    assert "secret" not in repr(KEY)


@pytest.mark.semantics("3.37")
@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        (KEY.reference(RESIDENT), "natural_person"),
        ("91330100MA9YYYY09Q", "enterprise"),
        ("92331082MA9YYYY17G", "enterprise"),
        ("51330000500000007N", "social_organization"),
        ("713300005000000315", "social_organization"),
        ("1233000040000000XG", "public_institution"),
        ("11330000000000000C", "government_agency"),
    ],
)
def test_subject_type_is_the_prefixs_when_asked(reference: str, kind: str) -> None:
    assert subject_type(reference) == kind


@pytest.mark.semantics("3.38")
def test_individual_business_is_told_when_its_code_begins_with_92() -> None:
    assert is_individual_business("92331082MA9YYYY17G")
    assert not is_individual_business("91330100MA9YYYY09Q")


def test_masks_show_only_the_beginning_when_something_is_shown() -> None:
    assert mask_identity(RESIDENT) == "110105************"
    assert mask_identity("12345") == "*****"
    assert mask_name("张三丰") == "张*"
    assert not mask_name("")
