"""Division codes (GB/T 2260): which exist, when each was in force, which city each lay in."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.code_lists import find_codes
from exchange_formats.divisions import check_divisions, find_city, find_division, load_divisions

TODAY = date(2026, 6, 30)
CODES = sorted(load_divisions())


@pytest.mark.parametrize(
    ("code", "on", "name"),
    [
        ("330000", TODAY, "浙江省"),
        ("330100", TODAY, "杭州市"),
        ("330103", date(2020, 12, 31), "下城区"),  # retired in 2021
        ("330103", date(2022, 1, 1), None),
        ("330104", date(2019, 5, 1), "江干区"),
        ("330104", TODAY, None),
        ("330113", date(2020, 12, 31), None),
        ("330113", TODAY, "临平区"),
        ("330114", TODAY, "钱塘区"),
        ("330383", date(2018, 12, 31), None),
        ("330383", TODAY, "龙港市"),
        ("330183", date(2010, 1, 1), "富阳市"),
        ("330183", TODAY, None),
        ("330111", TODAY, "富阳区"),
        ("330621", date(2012, 1, 1), "绍兴县"),
        ("330402", date(1999, 1, 1), "秀城区"),  # one code, renamed
        ("330402", TODAY, "南湖区"),
        ("110103", date(2009, 1, 1), "崇文区"),
        ("110103", TODAY, None),
        ("330199", TODAY, None),
        ("330201", TODAY, "市辖区"),
    ],
)
def test_a_code_names_its_division_only_when_in_force(code: str, on: date, name: str | None) -> None:
    found = find_division(code, on)
    assert (found and found.name) == name


def test_zhejiang_has_eleven_cities_and_ninety_counties_when_asked_today() -> None:
    now = [code for code in CODES if code.startswith("33") and find_division(code, TODAY)]
    cities = {code for code in now if code.endswith("00") and code != "330000"}
    assert cities | {"330000"} == set(find_codes("zhejiang_city"))
    assert len([code for code in now if code[4:] not in {"00", "01"}]) == 90


@pytest.mark.parametrize(
    ("code", "city"),
    [("330106", "330100"), ("330382", "330300"), ("330100", "330100"), ("330000", "330000"), ("429004", "429000")],
)
def test_a_county_lies_in_its_city_when_in_force(code: str, city: str) -> None:
    found = find_city(code, TODAY)
    assert found
    assert found.code == city
    assert find_city("330103", TODAY) is None


def test_unknown_and_retired_codes_are_told_apart_when_checked() -> None:
    codes = pa.array(["330106", "330103", "330103", "330199", "", None, "330113"])
    days = pa.array([TODAY, TODAY, None, TODAY, TODAY, TODAY, date(2015, 1, 1)], pa.date32())
    found = check_divisions(codes, days)
    assert found.unknown.tolist() == [False, False, False, True, True, False, False]
    assert found.not_in_force.tolist() == [False, True, False, False, False, False, True]
    assert not check_divisions(codes).not_in_force.any(), "without days a retired code will do"


def test_every_row_of_the_table_is_sound_when_read() -> None:
    for code, names in load_divisions().items():
        assert len(code) == 6
        assert code.isdecimal()
        assert all(one.name and one.since <= one.until for one in names), code
        assert len({one.name for one in names}) == len(names), code
        assert find_division(f"{code[:2]}0000", TODAY), "every code lies in a province of today"


def test_nothing_is_found_when_there_are_no_rows() -> None:
    found = check_divisions(pa.array([], pa.string()), pa.array([], pa.date32()))
    assert (len(found.unknown), len(found.not_in_force)) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from([*CODES, "330199", "x"]), st.dates(date(1950, 1, 1), TODAY)), max_size=20))
def test_a_batch_says_what_each_row_alone_says_when_checked(rows: list[tuple[str, date]]) -> None:
    found = check_divisions(
        pa.array([code for code, _ in rows], pa.string()), pa.array([day for _, day in rows], pa.date32())
    )
    expected = [find_division(code, day) is not None for code, day in rows]
    assert (~found.unknown & ~found.not_in_force).tolist() == expected


def test_some_code_is_in_force_on_every_day_when_one_follows_another() -> None:
    """萧山 was a county, then a city directly below the province, then one of Hangzhou, then a district."""
    codes = ("330121", "339005", "330181", "330109")
    assert {one.name[:2] for code in codes for one in load_divisions()[code]} == {"萧山"}
    days = [date(1960, 1, 1) + timedelta(days=30 * number) for number in range(800)]
    assert [day for day in days if not any(find_division(code, day) for code in codes)] == []
