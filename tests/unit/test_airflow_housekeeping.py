"""The housekeeping tasks: the day of the run is the day of the purge, whenever it is tried."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.airflow import housekeeping_tasks as tasks
from gateway.compaction import Compacted
from gateway.purging import PurgeReport, PurgeResult

SHA = "a" * 64


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run that is due in the last minutes of 30 June in Shanghai, and a workplace of sentinels."""
    dag_run = SimpleNamespace(run_after=None, data_interval_end=datetime(2026, 6, 30, 15, 50, tzinfo=UTC))
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"dag_run": dag_run})
    workplace = SimpleNamespace(lake="the lake", spool="the spool")
    monkeypatch.setattr("gateway.workplace.open_workplace", lambda resolve: workplace)
    return SimpleNamespace(calls=[])


def test_purge_is_of_the_runs_own_day(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def purge(lake: Any, **options: Any) -> PurgeReport:
        bench.calls.append((lake, options["day"], options["spool"]))
        result = PurgeResult("justice", "penalty", "条例 16", 2, 1, 7, 3, SHA)
        return PurgeReport((result,), 4)

    monkeypatch.setattr("gateway.purging.purge_expired", purge)
    with caplog.at_level("INFO"):
        reference = tasks.purge.function()
    assert bench.calls == [("the lake", date(2026, 6, 30), "the spool")]
    assert reference == {"day": "2026-06-30", "records": 7, "rejects": 3, "manifests": [SHA], "finished": 4}
    assert "条例 16" in caplog.text


def test_compaction_says_what_it_copied(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def compact(lake: Any, **options: Any) -> tuple[Compacted, ...]:
        bench.calls.append((lake, options["spool"]))
        return (Compacted("justice", "penalty", 40, 80, 2, 900),)

    monkeypatch.setattr("gateway.compaction.compact_lake", compact)
    assert tasks.compact.function() == {"datasets": 1, "batches": 40, "files": 2}
    assert bench.calls == [("the lake", "the spool")]
