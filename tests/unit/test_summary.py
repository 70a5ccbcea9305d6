"""Summaries: figures read back from a lake, and how a terminal shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from connectors.department import load_departments
from connectors.lake import Lake
from exchange_formats.keys import outcome_key
from exchange_formats.manifests import Counts, Outcome, Window
from gateway.cli.summary import show_collections, show_consumptions, show_grades, show_levels, show_publications
from gateway.figures import read_collections, read_evaluations
from gateway.publication import publish_domain
from gateway.subscription import ConsumptionResult
from scoring.library import load_models
from tests.fakes import MemoryStore
from tests.publication_samples import NOW, Bus, Runs, code, grade, warning

DEPARTMENT = load_departments()["ecology_environment"]
BEGAN = datetime(2026, 7, 1, 2, tzinfo=UTC)


def text(shown: RenderableType) -> str:
    console = Console(width=160, record=True, file=StringIO())
    console.print(shown)
    return console.export_text()


def put_outcome(lake: Lake, dataset: str, minutes: int, counts: Counts | None, error: str = "") -> None:
    finished = BEGAN + timedelta(minutes=minutes)
    outcome = Outcome(
        department=DEPARTMENT.id,
        dataset=dataset,
        window=Window(until=BEGAN),
        result="failed" if error else "landed",
        counts=counts,
        rejected_by_reason={"unified_code.length": counts.rejected} if counts and counts.rejected else {},
        error=error,
        started_at=finished,
        finished_at=finished,
        host="here",
    )
    key = outcome_key(DEPARTMENT.id, dataset, date(2026, 7, 1), f"{minutes}")
    lake.store.put_bytes(key, outcome.model_dump_json().encode())


def test_newest_outcome_of_each_dataset_counts_when_there_are_several(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path)
    put_outcome(lake, "penalty", -5, Counts(read=99, landed=99, duplicates=0, rejected=0))
    put_outcome(lake, "penalty", 1, Counts(read=50, landed=50, duplicates=0, rejected=0))
    put_outcome(lake, "penalty", 2, Counts(read=10, landed=3, duplicates=5, rejected=2))
    put_outcome(lake, "profile", 1, Counts(read=7, landed=7, duplicates=0, rejected=0))
    put_outcome(lake, "incident", 1, None, error="没有表 no such table")
    (row,) = read_collections(lake, [DEPARTMENT], since=BEGAN)
    assert row.counts == Counts(read=17, landed=10, duplicates=5, rejected=2)
    assert row.counts.balance()
    assert (row.datasets, row.rejected_by_reason, row.in_lake) == (3, {"unified_code.length": 2}, 0)
    shown = text(show_collections([row]))
    assert "省生态环境厅" in shown
    assert "incident: 没有表 no such table" in shown
    assert "统一社会信用代码不是18位 2" in shown


def test_newest_run_is_shown_with_its_receipt_when_it_is_published(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    runs = Runs(lake, tmp_path)
    model = load_models().by_id[runs.domain]
    assert read_evaluations(lake, [model]) == []
    runs.commit(date(2026, 5, 31), [grade(code(1))])
    runs.commit(date(2026, 6, 30), [grade(code(n)) for n in range(3)], [warning(code(1))])
    (unpublished,) = read_evaluations(lake, [model])
    assert (unpublished.run.as_of, unpublished.receipt) == (date(2026, 6, 30), None)
    assert "–" in text(show_publications([unpublished]))
    publish_domain(runs.domain, lake=lake, open_publisher=Bus().open, now=lambda: NOW, spool=tmp_path)
    (published,) = read_evaluations(lake, [model])
    assert published.receipt is not None
    assert published.receipt.run_id == runs.committed[-1].run_id
    assert f"{published.receipt.confirmed:,}" in text(show_publications([published]))


def test_bars_are_as_long_as_the_shares_when_grades_are_shown(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    runs = Runs(lake, tmp_path)
    runs.commit(date(2026, 6, 30), [grade(code(1))])
    (row,) = read_evaluations(lake, [load_models().by_id[runs.domain]])
    by_grade = {"A": 1000, "B": 500, "E": 1}
    changed = row.run.model_copy(update={"subjects": 1501, "subjects_by_grade": by_grade})
    lines = dict(
        zip("ABCDEN", text(show_grades(type(row)(row.domain, row.title, changed, None))).splitlines(), strict=True)
    )
    assert lines["A"].count("█") == 2 * lines["B"].count("█") == 44
    assert "66.6 %" in lines["A"]
    assert lines["E"].strip().startswith("E 差 ")
    assert "▌" in lines["E"], "a bar that is there at all is seen"
    assert "▌" not in lines["C"]


def test_domains_own_level_follows_the_colours_when_it_has_any() -> None:
    assert show_levels({"watch": 2, "red": 1, "blue": 0}).plain.split() == ["红", "1", "watch", "2"]
    assert show_levels({}).plain == "–"


def test_consumption_is_one_line_a_participant_when_shown() -> None:
    row = ConsumptionResult("a", 3, 1, 0, 2, {"A": 1200, "C": 5}, 0, {"red": 1}, 0, 7, 4, {}, 0)
    shown = text(show_consumptions([("省某厅", row)]))
    assert "1,205" in shown
    assert "A1,200 C5" in shown
    assert shown.split()[-4:] == ["7", "4", "1", "2"]
