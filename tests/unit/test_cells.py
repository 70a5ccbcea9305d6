"""Cells: text read in batches gives what Python's own dates, decimals and strings give one by one."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_formats.cells import Cells, Scale, read_booleans, read_codes, read_dates, read_decimals, read_integers
from exchange_formats.cleaning import read_text
from exchange_formats.days import DateFormat
from exchange_formats.dirt import CONTROL, MOJIBAKE, normalise_word
from exchange_formats.texts import Texts

HORIZON = date(2026, 6, 30)
SPELLINGS = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日"]
FORMATS = [DateFormat(spelling) for spelling in SPELLINGS]


def texts_of(*cells: str | None) -> Texts:
    return Texts.of(pa.array(cells, pa.string()))


def problems(cells: Cells[pa.Array]) -> list[str | None]:
    """The first problem of every row."""
    found: list[str | None] = [None] * len(cells.values)
    for reason, rows in cells.problems:
        for place in rows.nonzero()[0].tolist():
            found[place] = found[place] or str(reason)
    return found


def parse(text: str) -> date | None:
    """A day with its digits written out or not, by Python's own reader."""
    for spelling in SPELLINGS:
        try:
            found = datetime.strptime(text, spelling)  # noqa: DTZ007
        except ValueError:
            continue
        if re.fullmatch(r"\d{4}\D.*|\d{8}", text):
            return found.date()
    return None


days = st.dates(date(1900, 1, 1), HORIZON)
written = st.one_of(
    days.flatmap(lambda day: st.sampled_from([day.strftime(spelling) for spelling in SPELLINGS])),
    days.map(lambda day: f"{day.year}-{day.month}-{day.day}"),
    st.tuples(st.integers(1900, 2025), st.integers(0, 13), st.integers(0, 32)).map(
        "{0[0]:04d}-{0[1]:02d}-{0[2]:02d}".format
    ),
    st.tuples(st.integers(0, 25), st.integers(0, 61)).map("2026-05-01 {0[0]:02d}:{0[1]:02d}:00".format),
    st.text("0123456789-/ :年;", max_size=12),
    st.none(),
)


@settings(max_examples=300)
@given(st.lists(written, max_size=12))
def test_days_are_those_of_the_standard_library_when_read_in_a_batch(cells: list[str | None]) -> None:
    found = read_dates(texts_of(*cells), FORMATS, [], HORIZON, may_be_future=True)
    for cell, value, problem in zip(cells, found.values.to_pylist(), problems(found), strict=True):
        expected = None if cell is None else parse(cell)
        if cell is None:
            assert (value, problem) == (None, None)
        elif expected is None:
            assert (value, problem) == (None, "date.malformed"), cell
        else:
            assert value == expected
            assert problem == (None if 1900 <= expected.year <= 2199 else "date.range")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-02-29", "date.malformed"),
        ("2024-02-29", None),
        ("2026-06-30", None),
        ("2026-07-01", "date.future"),
        ("1899-12-30", "date.range"),
        ("2200-01-01", "date.range"),
        ("0000-01-01", "date.malformed"),
        ("2026-05-01 24:00:00", "date.malformed"),
        ("2026-05-01 00:00;00", "date.malformed"),
        ("9999-12-31", None),
        ("202611", "date.malformed"),
        ("2026-1-1", None),
    ],
)
def test_day_is_refused_for_its_reason_when_it_is_none_or_no_fact(text: str, problem: str | None) -> None:
    found = read_dates(texts_of(text), FORMATS, ["9999-12-31"], HORIZON, may_be_future=False)
    assert problems(found) == [problem]
    assert (found.values.to_pylist() == [None]) == (problem == "date.malformed" or text == "9999-12-31")


numbers = st.one_of(
    st.decimals(-(10**12), 10**12, places=2).map(str),
    st.decimals(0, 10**6, places=4).map(lambda number: f"{number:f}"),
    st.integers(-(10**20), 10**20).map(str),
    st.text("0123456789.+-eE,", max_size=10),
    st.none(),
)


@settings(max_examples=300)
@given(st.lists(numbers, max_size=10), st.sampled_from([None, Decimal(10_000), Decimal("0.01")]))
def test_decimals_are_exact_or_refused_when_read_in_a_batch(cells: list[str | None], factor: Decimal | None) -> None:
    scale = None if factor is None else Scale(factor, "unit_converted")
    found = read_decimals(texts_of(*cells), pa.decimal128(18, 2), scale, None, None)
    for cell, value, problem in zip(cells, found.values.to_pylist(), problems(found), strict=True):
        if cell is None:
            assert (value, problem) == (None, None)
        elif not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", cell):
            assert (value, problem) == (None, "number.malformed")
        elif len(cell.partition(".")[0].lstrip("+-")) > 18:
            assert (value, problem) == (None, "number.range")
        else:
            exact = Decimal(cell) * (factor or 1)
            if exact != exact.quantize(Decimal("0.01")):
                assert (value, problem) == (None, "number.inexact")
            elif abs(exact) >= 10**16:
                assert (value, problem) == (None, "number.range")
            else:
                assert (value, problem) == (exact, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (str(0.1 + 0.2), "number.inexact"),
        ("20000.00000000001", "number.inexact"),
        ("1" * 19, "number.range"),
        ("-" + "1" * 30 + ".5", "number.range"),
        (".5", "number.malformed"),
        ("5.", "number.malformed"),
        ("1.2.3", "number.malformed"),
    ],
)
def test_number_is_refused_for_what_is_wrong_when_it_has_too_many_digits(text: str, problem: str) -> None:
    found = read_decimals(texts_of(text, "7"), pa.decimal128(18, 2), None, None, None)
    assert problems(found) == [problem, None]
    assert found.values.to_pylist() == [None, Decimal(7)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("20.5", "number.inexact"),
        ("20.50", "number.inexact"),
        ("20.0", None),
        ("1" * 15, None),
        ("1" * 16, "number.range"),
        ("-" + "1" * 25, "number.range"),
        ("1,000", "number.malformed"),
        ("20.", "number.malformed"),
    ],
)
def test_whole_number_is_refused_for_what_is_wrong_when_it_is_none(text: str, problem: str | None) -> None:
    assert problems(read_integers(texts_of(text, "7"), None, None)) == [problem, None]


@given(st.lists(st.decimals(0, 10**9, places=3).map(str), min_size=1, max_size=10))
def test_currency_is_rounded_half_up_to_the_cent_when_its_rate_is_declared(cells: list[str]) -> None:
    rate = Decimal("5.12")
    found = read_decimals(texts_of(*cells), pa.decimal128(18, 2), Scale(rate, "r", rounded=True), None, None)
    expected = [(Decimal(cell) * rate).quantize(Decimal("0.01"), ROUND_HALF_UP) for cell in cells]
    assert found.values.to_pylist() == expected
    assert found.problems == []


@given(st.lists(st.one_of(st.integers(-(10**16), 10**16).map(str), st.sampled_from(["3.0", "3.5", "+3", "", None]))))
def test_integers_are_whole_or_refused_when_read_in_a_batch(cells: list[str | None]) -> None:
    found = read_integers(texts_of(*cells), Decimal(0), Decimal(10**14))
    for cell, value, problem in zip(cells, found.values.to_pylist(), problems(found), strict=True):
        if cell is None or not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", cell):
            assert (value, problem) == (None, None if cell is None else "number.malformed")
        elif Decimal(cell) % 1:
            assert (value, problem) == (None, "number.inexact")
        elif not 0 <= int(Decimal(cell)) <= 10**14:
            assert problem == "number.range"
        else:
            assert (value, problem) == (int(Decimal(cell)), None)


def test_repeated_column_is_read_like_its_rows_when_it_is_long() -> None:
    cells = ["1.5", "x", None, "0.001", "7"] * 1000
    long = read_decimals(texts_of(*cells), pa.decimal128(18, 2), Scale(Decimal(10), "ten"), None, None)
    short = read_decimals(texts_of(*cells[:5]), pa.decimal128(18, 2), Scale(Decimal(10), "ten"), None, None)
    assert long.values.to_pylist() == short.values.to_pylist() * 1000
    assert problems(long) == problems(short) * 1000
    assert [int(rows.sum()) for _, rows in long.normalised] == [3000]


def test_listed_words_are_the_only_ones_when_codes_and_booleans_are_read() -> None:
    codes = read_codes(texts_of("罚款", "fine", "没收", None), {"罚款": "fine", "fine": "fine"})
    assert (codes.values.to_pylist(), problems(codes)) == (
        ["fine", "fine", None, None],
        [None, None, "code.unknown", None],
    )
    flags = read_booleans(texts_of("是", "FALSE", "1", "maybe", None), None)
    assert flags.values.to_pylist() == [True, False, True, None, None]
    assert problems(flags) == [None, None, None, "boolean.malformed", None]


LETTERS = "'=-ab09 \t　（）１Ａｚ，《。中\u00a0\u200b\ufeff\u2028é\x00\x7f\ufffd\u00ad\u3000生锟斤拷\U0001f600"


def clean(cell: str) -> tuple[str | None, str | None]:
    """One cell by the rules of ``dirt``, in plain Python."""
    if re.search(MOJIBAKE, cell):
        return None, "text.mojibake"
    if re.search(CONTROL.replace(r"\x{", r"\x").replace("}", ""), cell):
        return None, "text.control"
    text = normalise_word(cell)
    return (None, None) if text in {"", "\\N", "暂无"} else (text, None)


@settings(max_examples=500)
@given(
    st.lists(st.one_of(st.text(LETTERS, max_size=8), st.sampled_from(["\\N", "暂无", " 暂无　", None])), max_size=10)
)
def test_text_is_cleaned_by_the_rules_when_read_in_a_batch(cells: list[str | None]) -> None:
    found = read_text(pa.array(cells, pa.string()), ["", "\\N", "暂无"])
    reasons: list[str | None] = [None] * len(cells)
    for reason, rows in found.problems:
        for place in rows.nonzero()[0].tolist():
            reasons[place] = str(reason)
    got = list(zip(found.values.array.to_pylist(), reasons, strict=True))
    assert got == [(None, None) if cell is None else clean(cell) for cell in cells]


@given(st.lists(st.one_of(st.none(), st.text(LETTERS, max_size=5)), min_size=1), st.data())
def test_slice_is_read_like_a_copy_when_the_array_is_one(cells: list[str | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(cells) - 1))
    sliced = pa.array(cells, pa.string()).slice(start)
    assert Texts.of(sliced).array.to_pylist() == cells[start:]
    assert (
        read_text(sliced, [""]).values.array.to_pylist()
        == read_text(pa.array(cells[start:], pa.string()), [""]).values.array.to_pylist()
    )
