"""Formula injection: what a spreadsheet would run is written as text, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange_formats.formulas import neutralise, restore

_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|'/c calc'!A0",
        "+1+1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "＝1+1",
        "\t=1",
        "\r=1",
        "-",
        "+86 571",
        "-1e5",
    ],
)
def test_a_quote_stands_before_it_when_text_begins_a_formula(text: str) -> None:
    assert neutralise(text) == "'" + text


@pytest.mark.parametrize("text", ["", "-12.50", "+3", "-0", "杭州=宁波", "1-2", "'", "'abc", "甲@乙", "O'Neil"])
def test_text_stays_when_no_spreadsheet_would_run_it(text: str) -> None:
    assert neutralise(text) == text


@given(st.text() | st.text(alphabet="'=+-@1.aＡ＝\t\r\n", max_size=6))
@example("'=1")
@example("'-5")
def test_nothing_written_begins_a_formula_and_every_text_comes_back(text: str) -> None:
    written = neutralise(text)
    assert restore(written) == text
    assert not written.startswith(_STARTS) or written.lstrip("+-").replace(".", "").isdecimal()
