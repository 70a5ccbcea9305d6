from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from exchange_formats.errors import ConfigurationError, FatalError, SkippableError
from exchange_formats.manifests import Counts, Window
from exchange_formats.messages.checkpoints import Chain, build_checkpoint
from exchange_formats.shards import Shard
from gateway.airflow import tasks
from gateway.airflow.lateness import report_lateness
from gateway.airflow.names import dataset_asset
from gateway.checkpoints import CheckpointResult
from gateway.collection import CollectionResult
from gateway.correspondence import Correspondence
from gateway.evaluation import RunReference
from gateway.publication import PublicationResult
from gateway.record_notices import NoticesResult

DUE = datetime(2026, 6, 30, 16, 30, tzinfo=UTC)  # half past midnight of 1 July in Shanghai
END = datetime(2026, 6, 29, 18, 30, tzinfo=UTC)
SHA = "a" * 64
RUN = "r" * 32
DEPARTMENT = SimpleNamespace(datasets={"profile": None, "penalty": None})


@dataclass
class Events:
    """Stands for ``outlet_events[alias]``."""

    added: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def add(self, asset: Any, extra: dict[str, Any]) -> None:
        self.added.append((asset.uri, extra))


@dataclass
class Bench:
    """A run's context, a workplace of sentinels, and what the use cases were called with."""

    dag_run: Any
    events: Events
    calls: list[dict[str, Any]]
    use_case: Callable[..., Any]

    def answer(self, value: Any) -> None:
        self.use_case(value)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    events = Events()
    dag_run = SimpleNamespace(run_after=DUE, data_interval_end=None)
    monkeypatch.setattr(
        tasks,
        "get_current_context",
        lambda: {"dag_run": dag_run, "outlet_events": _Any(events)},
    )
    workplace = SimpleNamespace(
        departments={"market_regulation": DEPARTMENT},
        lake="the lake",
        resolve=nullcontext,
        open_publisher=nullcontext,
        open_serving_publisher="the serving publisher",
        pseudonyms="the key",
        models=SimpleNamespace(in_force=lambda domain, day: SimpleNamespace(cycle="monthly")),
        sources=frozenset({"market_regulation/penalty"}),
        spool=tmp_path,
        served="the served versions",
    )
    monkeypatch.setattr("gateway.workplace.open_workplace", lambda resolve: workplace)
    calls: list[dict[str, Any]] = []

    def install(value: Any) -> None:
        def use_case(*arguments: Any, **options: Any) -> Any:
            calls.append({"arguments": arguments, **options})
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr("gateway.collection.collect_dataset", use_case)
        monkeypatch.setattr("gateway.evaluation.evaluate_domain", use_case)
        monkeypatch.setattr("gateway.publication.publish_domain", use_case)
        monkeypatch.setattr("gateway.correspondence.tell_participant", use_case)
        monkeypatch.setattr("gateway.checkpoints.commit_checkpoint", use_case)

    return Bench(dag_run, events, calls, install)


class _Any(dict[Any, Any]):
    """Answers every key with the same value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, key: Any) -> Any:
        return self.value


def collected(**changes: Any) -> CollectionResult:
    counts = Counts(read=10, landed=7, duplicates=2, rejected=1)
    given = {
        "department": "market_regulation",
        "dataset": "penalty",
        "window": Window(until=DUE),
        "result": "landed",
        "seconds": 1.0,
        "counts": counts,
        "batch_id": "b" * 32,
        "manifest_sha256": SHA,
        "rejected_by_reason": {f"reason_{n}": n for n in range(1000)},
    }
    return CollectionResult(**{**given, **changes})


def test_window_ends_at_the_runs_own_moment_when_a_task_is_retried(bench: Bench) -> None:
    bench.answer(collected())
    for _ in range(2):
        tasks.collect.function("market_regulation", "penalty")
    assert [call["until"] for call in bench.calls] == [DUE, DUE]
    assert bench.calls[0]["arguments"] == (DEPARTMENT, "penalty")
    assert bench.calls[0]["lake"] == "the lake"


def test_window_ends_with_the_data_interval_when_the_run_has_one(bench: Bench) -> None:
    bench.answer(collected())
    bench.dag_run.data_interval_end = END
    tasks.collect.function("market_regulation", "penalty")
    assert bench.calls[0]["until"] == END


def test_xcom_holds_a_reference_and_no_data_when_a_dataset_was_collected(bench: Bench) -> None:
    bench.answer(collected())
    reference = tasks.collect.function("market_regulation", "penalty")
    assert reference["dataset"] == "penalty"
    assert (reference["read"], reference["landed"], reference["rejected"]) == (10, 7, 1)
    assert reference["manifest_sha256"] == SHA
    assert len(json.dumps(reference)) < 400


@pytest.mark.semantics("8.1")
def test_assets_are_marked_for_what_came_when_other_datasets_failed(bench: Bench) -> None:
    came: list[tasks.Reference] = [{"dataset": "profile", "batch_id": "b"}, {"dataset": "honour", "batch_id": None}]
    tasks.mark.function("market_regulation", came)
    assert [uri for uri, _ in bench.events.added] == [
        "x-credit://market_regulation/profile",
        "x-credit://market_regulation/honour",
    ]
    assert bench.events.added[0][1] == came[0]


def test_asset_has_the_models_name_for_it_when_named() -> None:
    asset = dataset_asset("market_regulation/penalty")
    assert (asset.name, asset.uri) == ("market_regulation/penalty", "x-credit://market_regulation/penalty")


@pytest.mark.semantics("1.1")
def test_as_of_is_the_day_in_shanghai_when_the_run_is_due_in_its_night(bench: Bench) -> None:
    run = RunReference("work_safety", date(2026, 7, 1), "r" * 32, SHA, "work_safety@2026.1", 5, {}, {}, (), new=True)
    bench.answer(run)
    reference = tasks.score.function("work_safety")
    assert bench.calls[0]["as_of"] == date(2026, 7, 1)
    # A first run waits for all that is configured.
    assert bench.calls[0]["expected"] == {"market_regulation/penalty"}
    assert reference == {
        "as_of": "2026-07-01",
        "run_id": "r" * 32,
        "manifest_sha256": SHA,
        "subjects": 5,
        "new": True,
    }


@pytest.mark.semantics("3.18")
def test_as_of_is_the_end_of_the_month_before_when_public_credit_is_evaluated(bench: Bench) -> None:
    run = RunReference("public_credit_enterprise", date(2026, 6, 30), "r" * 32, SHA, "m@1", 5, {}, {}, (), new=True)
    bench.answer(run)
    for due in (DUE, datetime(2026, 7, 31, 15, 59, tzinfo=UTC)):
        bench.dag_run.run_after = due
        tasks.score.function("public_credit_enterprise")
    assert [call["as_of"] for call in bench.calls] == [date(2026, 6, 30)] * 2


def test_log_says_what_was_left_out_and_what_is_a_backfill_when_a_domain_was_scored(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunReference("work_safety", date(2026, 7, 1), "r" * 32, SHA, "m@1", 5, {}, {}, (), new=True)
    bench.answer(replace(run, stale=("work_safety/complaint",), backfill=True))
    tasks.score.function("work_safety")
    assert "work_safety/complaint" in caplog.text
    assert "as a correction only" in caplog.text


def test_shards_are_listed_when_a_run_is_begun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sharded_evaluation.begin_run", _note(bench, RUN))
    parts = tasks.begin.function("work_safety", 4)
    assert parts == [{"run_id": RUN, "index": index, "count": 4} for index in range(4)]
    assert bench.calls[0]["as_of"] == date(2026, 7, 1)
    assert bench.calls[0]["expected"] == {"market_regulation/penalty"}


def test_nothing_is_scored_when_the_very_run_is_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sharded_evaluation.begin_run", lambda *_, **__: None)
    assert tasks.begin.function("work_safety", 4) == []
    assert tasks.finish.function("work_safety", []) == {"new": False}
    assert bench.calls == []


def test_run_is_committed_of_all_its_shards_when_they_are_scored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunReference("work_safety", date(2026, 7, 1), RUN, SHA, "work_safety@2026.1", 5, {}, {}, (), new=True)
    for name, value in (("score_shard", None), ("finish_run", run)):
        monkeypatch.setattr(f"gateway.sharded_evaluation.{name}", _note(bench, value))
    parts = [{"run_id": RUN, "index": index, "count": 2} for index in range(2)]
    for part in parts:
        tasks.score_part.function("work_safety", part)
    assert tasks.finish.function("work_safety", parts)["run_id"] == RUN
    assert [call["arguments"] for call in bench.calls] == [
        ("work_safety", RUN, Shard(index=0, count=2)),
        ("work_safety", RUN, Shard(index=1, count=2)),
        ("work_safety", RUN, 2),
    ]


def _note(bench: Bench, value: Any) -> Callable[..., Any]:
    def use_case(*arguments: Any, **options: Any) -> Any:
        bench.calls.append({"arguments": arguments, **options})
        return value

    return use_case


@pytest.mark.semantics("8.3")
def test_run_is_skipped_with_the_reason_when_a_required_input_is_missing(bench: Bench) -> None:
    bench.answer(SkippableError("缺少必需数据 never collected: work_safety/profile"))
    with pytest.raises(AirflowSkipException, match="never collected"):
        tasks.score.function("work_safety")


def test_task_fails_with_the_typed_error_when_the_use_case_does(bench: Bench) -> None:
    bench.answer(FatalError("凭据被拒 credentials refused"))
    with pytest.raises(FatalError, match="credentials"):
        tasks.collect.function("market_regulation", "penalty")


def test_xcom_holds_counts_when_a_domain_was_published(bench: Bench) -> None:
    bench.answer(PublicationResult("work_safety", (), ("w" * 32,)))
    reference = tasks.publish.function("work_safety")
    assert reference == {"runs": [], "withheld": ["w" * 32], "messages": 0, "results": 0, "warnings": 0}


def test_department_is_told_of_all_its_datasets_when_it_was_collected(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    notices = (NoticesResult("profile", 0, 0, first=True), NoticesResult("penalty", 1, 2))
    bench.answer(Correspondence("market_regulation", notices, {"profile": 0, "penalty": 3}))
    with caplog.at_level("INFO"):
        reference = tasks.tell.function("market_regulation")
    assert reference == {"batches": 3, "withdrawn": 1, "corrected": 2}
    assert bench.calls[0]["arguments"] == ("market_regulation", ("profile", "penalty"))
    # Whoever stays on an older version of a message is served it, too.
    assert bench.calls[0]["open_publisher"] == "the serving publisher"
    assert [one.getMessage() for one in caplog.records] == [
        "market_regulation/penalty: 已反馈 told of 3 个批次 batches",
        "market_regulation/penalty: 撤回 withdrawn 1, 更正 corrected 2",
    ]


def test_log_says_so_when_there_is_nothing_to_tell(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.answer(Correspondence("market_regulation", (NoticesResult("profile", 0, 0),), {"profile": 0}))
    with caplog.at_level("INFO"):
        tasks.tell.function("market_regulation")
    assert "nothing new to tell" in caplog.text


def test_checkpoint_is_of_the_runs_own_day_when_it_is_tried_again_after_midnight(bench: Bench) -> None:
    day = date(2026, 7, 1)
    checkpoint = build_checkpoint(day, [Chain(name="scored/work_safety", heads=(SHA,))], None)
    bench.answer(CheckpointResult(checkpoint, new=True, sent=1))
    reference = tasks.commit_heads.function()
    assert bench.calls[0]["arguments"] == (day,)
    assert bench.calls[0]["open_publisher"] == "the serving publisher"
    assert reference == {"day": "2026-07-01", "sha256": checkpoint.sha256, "chains": 1, "new": True, "sent": 1}


def test_quarantine_fails_with_every_problem_when_it_runs() -> None:
    with pytest.raises(ConfigurationError) as raised:
        tasks.report_problems.function("a.yaml", ["a.yaml:3:1 x: unknown key", "a.yaml:9:2 y: the key is missing"])
    assert "a.yaml:3:1" in str(raised.value)
    assert "a.yaml:9:2" in str(raised.value)


async def _say() -> str:
    context = {"dag_run": {"dag_run_id": "manual__1"}, "deadline": {"id": "1"}}
    return await report_lateness(
        context=context, title="省应急管理厅", contact="duty@example.invalid", late_after="12h"
    )


def test_lateness_names_the_run_and_whom_to_call_when_reported(caplog: pytest.LogCaptureFixture) -> None:
    said = asyncio.run(_say())
    for text in ("manual__1", "省应急管理厅", "duty@example.invalid"):
        assert text in said
        assert text in caplog.text
