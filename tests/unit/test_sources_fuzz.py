"""Damaged files of any format end as rows, rejects or a typed error; ``python -m tests.hostile_files N`` tries more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile_files import FORMATS, HEADER, Format, read_hostile, try_files


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_sound_files_are_read_whole(form: Format, tmp_path: Path) -> None:
    for seed in form.seeds:
        found = read_hostile(seed, form, tmp_path)
        assert found["rows"] in {12, 13}
        assert set(found) <= {"rows", "unified_code.length", "row.malformed"}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_ending_is_typed_and_soon_when_a_file_is_damaged(form: Format) -> None:
    tally = try_files(form, 60, 20_261_124)
    assert tally.cases == 60
    assert tally.slowest < 20
    # A damage that nothing notices would be no damage: some are found, and not all rows are lost.
    assert sum(tally.endings.values()) > tally.endings["rows"] > 0


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_every_ending_is_typed_when_a_file_is_random_bytes(form: Format, tmp_path: Path, content: bytes) -> None:
    assert read_hostile(content, form, tmp_path)


@pytest.mark.parametrize("form", [form for form in FORMATS if form.name == "a.csv"], ids=lambda form: form.name)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), max_size=20))
def test_every_row_is_accounted_for_when_cells_are_any_text(
    form: Format, tmp_path: Path, rows: list[list[str]]
) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (HEADER, *rows)]
    found = read_hostile("\r\n".join(lines).encode("utf-8", "surrogatepass"), form, tmp_path)
    assert sum(found.values()) == len(rows)
