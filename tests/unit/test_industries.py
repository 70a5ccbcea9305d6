"""Industry classes (GB/T 4754-2017) down to section and division."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.industries import check_industries, find_industry, load_industries


def test_the_standard_has_twenty_sections_and_ninety_seven_divisions_when_counted() -> None:
    classes = load_industries().values()
    sections = [one.code for one in classes if one.code == one.section]
    divisions = [one.code for one in classes if one.code != one.section]
    assert sections == list("ABCDEFGHIJKLMNOPQRST")
    assert divisions == [f"{number:02d}" for number in range(1, 98)]
    assert {one.section for one in classes} == set(sections)
    assert len({one.title for one in classes}) == 117 - 3, (
        "only 房地产业, 教育 and 国际组织 name a section and a division"
    )


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("C", "制造业"),
        ("26", "化学原料和化学制品制造业"),
        ("C26", "化学原料和化学制品制造业"),
        ("2614", "化学原料和化学制品制造业"),
        ("C2614", "化学原料和化学制品制造业"),
        ("014", "农业"),
        ("T97", "国际组织"),
        ("U", None),
        ("00", None),
        ("98", None),
        ("A26", None),  # the letter of another section
        ("2", None),
        ("C2", None),
        ("26145", None),
        ("c26", None),
        ("26 ", None),
        ("2６", None),
        ("", None),
    ],
)
def test_a_code_is_of_the_standard_when_its_division_is(code: str, title: str | None) -> None:
    found = find_industry(code)
    assert (found and found.title) == title


def test_null_is_no_code_when_checked() -> None:
    assert check_industries(pa.array([None, "C", "C99"], pa.string())).tolist() == [False, True, False]
    assert check_industries(pa.array([], pa.string())).tolist() == []


@given(st.text(alphabet="ABCTUZ0123456789c ", max_size=6))
def test_what_is_taken_lies_in_a_known_division_when_drawn(code: str) -> None:
    good = bool(check_industries(pa.array([code], pa.string()))[0])
    letter, digits = (code[:1], code[1:]) if code[:1].isalpha() else ("", code)
    known = load_industries()
    named = known.get(digits[:2])
    expected = (letter in known and not digits) or (
        digits.isdigit() and 2 <= len(digits) <= 4 and named is not None and letter in {"", named.section}
    )
    assert good == expected
