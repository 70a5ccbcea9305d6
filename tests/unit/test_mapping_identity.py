"""Identity in batches gives what the single-value rules give."""

from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity import derive_ids, find_resident_numbers, protect
from exchange_formats.digests import derive_id
from exchange_formats.texts import Texts
from tests.pulls import CODES, KEY, RESIDENT

TEXT = st.text(max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20), TEXT)
def test_ids_are_those_of_derive_id_when_derived_in_a_batch(rows: list[tuple[str, str]], department: str) -> None:
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(2)]
    found = derive_ids((department, "penalty"), columns).to_pylist()
    assert found == [derive_id(department, "penalty", *row) for row in rows]


def test_id_is_null_when_a_part_of_the_key_is() -> None:
    found = derive_ids(("d",), [pa.array(["a", None, "c"]), pa.array(["1", "2", None])]).to_pylist()
    assert found == [derive_id("d", "a", "1"), None, None]


def test_only_resident_numbers_are_replaced_when_values_are_protected() -> None:
    values = pa.array([RESIDENT, RESIDENT.lower(), "浙环罚〔2026〕1号", CODES[0], None])
    reference = KEY.reference(RESIDENT)
    assert protect(values, KEY).to_pylist() == [reference, reference, "浙环罚〔2026〕1号", CODES[0], None]


NUMBERS_AND_MORE = st.lists(
    st.sampled_from([RESIDENT, RESIDENT.lower(), "7", "x", " 中", CODES[0], RESIDENT[:17] + "1"])
)


@given(st.lists(st.one_of(st.none(), NUMBERS_AND_MORE.map("".join)), max_size=8))
def test_number_is_found_where_it_stands_by_itself_when_rows_follow_each_other(cells: list[str | None]) -> None:
    alone = re.compile(rf"(?<![0-9A-Za-z]){RESIDENT}(?![0-9A-Za-z])", re.IGNORECASE)
    expected = [cell is not None and alone.search(cell) is not None for cell in cells]
    assert find_resident_numbers(Texts.of(pa.array(cells, pa.string()))).tolist() == expected
