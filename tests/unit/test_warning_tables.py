"""Warnings tables: a domain's own levels work as the default ones, and a wrong table is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from exchange_formats.documents import read_document
from exchange_formats.results import GRADES, WARNINGS
from gateway.wording import describe_model
from scoring.library import load_models
from scoring.resolution import resolve
from scoring.table_library import TABLES
from scoring.warning_log import LogInputs, record_events
from scoring.warning_tables import WarningTable, check_warnings
from tests.warning_runs import found, graded, on

MODELS = load_models()
DEFAULT = (TABLES / "warnings" / "default@2026.1.yaml").read_text(encoding="utf-8")


@pytest.mark.semantics("4.12")
def test_domain_warns_and_escalates_by_levels_of_its_own(tmp_path: Path) -> None:
    resolved = resolve(MODELS.in_force("labour_compliance", on("2026-09-24")), on("2026-09-24"), MODELS.tables)
    unpaid = found("wages_unpaid_after_order", "serious", "2026-09-23", "p-1")
    inputs = LogInputs(
        warnings=pa.Table.from_pylist([unpaid], schema=WARNINGS),
        grades=pa.Table.from_pylist([graded(unpaid["subject_ref"], "C")], schema=GRADES),
    )
    recorded = record_events(resolved, inputs, on("2026-09-24"), tmp_path)
    assert recorded.open_by_level == {"serious": 1}
    standing = pads.dataset(tmp_path / "standing.arrow", format="ipc").to_table()
    # Friday 09-25 is Mid-Autumn: two working days end on Tuesday.
    assert standing["sign_by"].to_pylist() == [on("2026-09-29")]
    later = tmp_path / "later"
    later.mkdir()
    again = record_events(resolved, LogInputs(inputs.warnings, inputs.grades, standing), on("2026-09-30"), later)
    assert (again.events_by_kind, again.open_by_level) == ({"escalated": 1}, {"grave": 1})
    assert describe_model(resolved).priorities == {"grave": 9, "serious": 6, "attention": 3}


@pytest.mark.parametrize(
    ("text", "instead", "complaint"),
    [
        (
            "escalates_to: red",
            "escalates_to: blue",
            "levels.orange.escalates_to: a level escalates to a more severe one",
        ),
        ("escalates_to: red", "escalates_to: purple", "levels.orange.escalates_to: there is no such level"),
        ("    sign_within: 3\n", "", "levels.orange.escalates_to: a level that escalates has days to sign in"),
        ("rank: 2", "rank: 1", "levels: levels stand in order, the most severe first"),
        ("from_level: orange", "from_level: purple", "burst.from_level: there is no such level"),
        (
            "level: yellow\n    title: 30日内投诉",
            "level: mauve\n    title: 30日内投诉",
            "rules[7].level: there is no such level",
        ),
        ("above: complaint_rate", "above: complaint_share", "rules[7].above: there is no such statistic"),
        ("due: rectify_by", "due: result", "rules[8].deadline.due: not a date column of the dataset"),
        ("per: licence_name", "per: licence_colour", "rules[11].expiring.per: not a column of the dataset"),
        ("id: fell_far", "id: severe_list", "rules[3].id: the id is used twice"),
        ("fall: {into: E}", "fall: {into: E, within: P30D}", "a fall by grades or points says within how many days"),
        ("fall: {into: E}\n    clears: {grade: D, runs: 2}", "fall: {into: E}", "a fall does not undo itself"),
        ("near_band: 10", "near_band: 10\n    above: complaint_rate", "a rule has exactly one of counts"),
        ("clears: {recovered: true}", "clears: {runs: 2}", "clearing says quiet, grade or recovered"),
        ("above_percent: 1", "above_percent: 0", "burst.above_percent"),
        ("statistics:\n  complaint_rate:", "statistics:\n  complaint rate:", "statistics"),
    ],
)
def test_wrong_table_is_refused_with_its_place(tmp_path: Path, text: str, instead: str, complaint: str) -> None:
    assert text in DEFAULT
    path = tmp_path / "default@2026.1.yaml"
    path.write_text(DEFAULT.replace(text, instead, 1), encoding="utf-8")
    document = read_document(path, WarningTable)
    problems = [*document.problems, *(check_warnings(document, document.value) if document.value else ())]
    said = [str(problem) for problem in problems]
    assert any(complaint in one for one in said), said
    assert all(one.startswith("default@2026.1.yaml:") for one in said)
