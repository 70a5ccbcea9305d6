"""Collect: windows, outcomes of every attempt, one failure that stops nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gateway.cli
import gateway.cli.collect as command
from connectors.connection import Connection
from connectors.department import Department, Departments
from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, FatalError, TransientError
from exchange_formats.manifests import Outcome, Window
from gateway.collection import CollectionResult, collect_dataset, collect_department
from tests.fakes import MemoryStore
from tests.pulls import DEPARTMENT, KEY, UNTIL, FakeReader, later, penalty, penalty_mapping, profile_mapping

MOVED = penalty(2, updateTime="2026-06-09 08:00:00")


@pytest.fixture
def department() -> Department:
    settings: dict[str, Any] = {
        "id": DEPARTMENT,
        "title": "省生态环境厅",
        "title_en": "ecology",
        "owner": {"team": "t", "contact": "c"},
        "schedule": "0 2 * * *",
        "late_after": "PT6H",
        "source": {"kind": "files", "connection": "dept_ecology_environment"},
        "datasets": {
            "profile": profile_mapping().model_dump(by_alias=True, exclude_none=True),
            "penalty": penalty_mapping().model_dump(by_alias=True, exclude_none=True),
        },
    }
    return Department.model_validate(settings)


class Source:
    """A source that hands over what the test says and keeps which windows it was asked for."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | None]] = [penalty(1)]
        self.windows: list[Window] = []
        self.error: Exception | None = None

    def open(
        self,
        department: Department,
        dataset_id: str,
        connection: Connection,
        window: Window,
        *,
        now: Callable[[], datetime],
    ) -> FakeReader:
        assert (connection.id, now()) == (department.source.connection, UNTIL)
        self.windows.append(window)
        if self.error is not None:
            raise self.error
        return FakeReader(self.rows if dataset_id == "penalty" else [{"code": "91330100MA9YYYY09Q", "name": "x"}])


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def collect(
    department: Department, source: Source, store: MemoryStore, tmp_path: Path
) -> Callable[..., CollectionResult]:
    return partial(
        collect_dataset,
        department,
        lake=Lake(store, tmp_path / "cache"),
        resolve=lambda name: Connection(id=name, kind="fs"),
        pseudonyms=KEY,
        now=lambda: UNTIL,
        open_reader=source.open,
    )


def outcomes(store: MemoryStore) -> list[Outcome]:
    return [Outcome.model_validate_json(data) for key, data in store.objects.items() if key.startswith("outcomes/")]


def test_next_pull_begins_at_the_watermark_less_the_overlap_when_there_is_one(
    collect: Callable[..., CollectionResult], source: Source
) -> None:
    collect("penalty", until=UNTIL)
    source.rows = [penalty(1), MOVED]
    collect("penalty", until=later(1))
    collect("penalty", until=later(2))
    since = [window.since for window in source.windows]
    marks = [datetime(2026, 6, day, tzinfo=UTC) - timedelta(minutes=30) for day in (1, 9)]
    assert since == [None, *marks]


def test_window_is_what_was_asked_for_when_it_is_given(
    collect: Callable[..., CollectionResult], source: Source
) -> None:
    collect("penalty", until=UNTIL)
    collect("penalty", until=later(1), full=True)
    collect("penalty", until=later(1), since=later(-48))
    collect("profile", until=later(1))
    assert [window.since for window in source.windows[1:]] == [None, later(-48), None]


def test_window_is_never_empty_when_an_old_run_is_done_again(
    collect: Callable[..., CollectionResult], source: Source
) -> None:
    collect("penalty", until=UNTIL)
    collect("penalty", until=datetime(2026, 5, 1, tzinfo=UTC))
    since = source.windows[-1].since
    assert since is not None
    assert since < source.windows[-1].until


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        ("profile", {"since": later(-1)}),
        ("penalty", {"since": later(-1), "full": True}),
        ("penalty", {"since": later(1)}),
        ("honour", {}),
    ],
)
def test_impossible_window_is_a_configuration_error_when_asked_for(
    collect: Callable[..., CollectionResult], dataset: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        collect(dataset, until=UNTIL, **options)


@pytest.mark.semantics("6.10", "6.13")
def test_outcome_says_what_landed_when_a_pull_lands(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore
) -> None:
    source.rows = [penalty(1), penalty(2, CF_JDRQ="x")]
    result = collect("penalty", until=UNTIL)
    (outcome,) = outcomes(store)
    assert (outcome.result, outcome.batch_id, outcome.counts) == ("landed", result.batch_id, result.counts)
    assert outcome.rejected_by_reason == {"date.malformed": 1}
    again = collect("penalty", until=UNTIL)
    assert (again.result, again.batch_id) == ("nothing_new", None)
    assert sorted(one.result for one in outcomes(store)) == ["landed", "nothing_new"]


def test_outcome_says_why_when_a_pull_fails(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore
) -> None:
    source.error = TransientError("the source is away")
    with pytest.raises(TransientError):
        collect("penalty", until=UNTIL)
    (outcome,) = outcomes(store)
    assert (outcome.result, outcome.error, outcome.error_kind) == ("failed", "the source is away", "TransientError")


def test_outcome_carries_the_counts_when_rejects_stop_a_pull(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore, department: Department
) -> None:
    department.datasets["penalty"] = penalty_mapping(max_reject_ratio=0)  # type: ignore[index]
    source.rows = [penalty(1), penalty(2, CF_JDRQ="x")]
    with pytest.raises(FatalError):
        collect("penalty", until=UNTIL)
    (outcome,) = outcomes(store)
    assert outcome.counts is not None
    assert (outcome.counts.read, outcome.counts.rejected, outcome.error_kind) == (2, 1, "FatalError")
    assert outcome.rejected_by_reason == {"date.malformed": 1}


def test_unforeseen_error_shows_no_value_when_it_is_noted(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore
) -> None:
    source.error = ValueError("cannot parse 11010519491231002X")
    with pytest.raises(ValueError, match="cannot parse"):
        collect("penalty", until=UNTIL)
    assert "11010519491231002X" not in str(outcomes(store))


def test_first_error_stays_the_error_when_the_outcome_cannot_be_written(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TransientError("the store is away")

    monkeypatch.setattr(store, "put_bytes", refuse)
    source.error = FatalError("wrong credentials")
    with pytest.raises(FatalError, match="wrong credentials"):
        collect("penalty", until=UNTIL)


def test_nothing_at_all_is_written_when_it_is_a_dry_run(
    collect: Callable[..., CollectionResult], source: Source, store: MemoryStore
) -> None:
    assert collect("penalty", until=UNTIL, dry_run=True).result == "dry_run"
    source.error = FatalError("x")
    with pytest.raises(FatalError):
        collect("penalty", until=UNTIL, dry_run=True)
    assert store.objects == {}


@pytest.mark.semantics("8.1")
def test_other_datasets_go_on_when_one_fails(
    collect: Callable[..., CollectionResult], department: Department, store: MemoryStore
) -> None:
    def one(dataset: str) -> CollectionResult:
        if dataset == "profile":
            raise ZeroDivisionError("a bug, with 11010519491231002X in it")
        return collect(dataset, until=UNTIL)

    failed, landed = collect_department(department, collect=one, until=UNTIL)
    assert (failed.result, failed.error_kind, landed.result) == ("failed", "ZeroDivisionError", "landed")
    assert "11010519491231002X" not in failed.error


class Place:
    """A workplace whose department and source are the test's."""

    def __init__(self, department: Department, store: MemoryStore, folder: Path) -> None:
        self.departments = Departments({department.id: department}, {})
        self.lake = Lake(store, folder / "cache")
        self.spool = folder / "spool"
        self.pseudonyms = KEY

    def resolve(self, name: str) -> Connection:
        return Connection(id=name, kind="fs")


@pytest.fixture
def run(
    department: Department, source: Source, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    place = Place(department, store, tmp_path)
    monkeypatch.setattr(command, "open_workplace", lambda: place)
    ours = partial(collect_dataset, now=lambda: UNTIL, open_reader=source.open)
    monkeypatch.setattr(command, "collect_dataset", ours)
    return lambda *words: CliRunner().invoke(gateway.cli.app, ["collect", DEPARTMENT, *words])


def test_command_prints_counts_and_reasons_when_it_collects(run: Callable[..., Any], source: Source) -> None:
    source.rows = [penalty(1), penalty(2, CF_JDRQ="x")]
    answer = run("--until", "2026-06-30T18:00:00")
    assert answer.exit_code == 0, answer.output
    assert "日期格式错误 / the date is malformed (date.malformed)" in answer.output
    assert "省生态环境厅" in answer.output
    assert source.windows[0].until == UNTIL


def test_command_speaks_json_when_asked(run: Callable[..., Any]) -> None:
    answer = run("--dataset", "penalty", "--until", "2026-06-30T10:00:00Z", "--dry-run", "--json")
    (found,) = json.loads(answer.stdout)
    assert (found["dataset"], found["result"], found["counts"]["landed"]) == ("penalty", "dry_run", 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [(TransientError("away"), 75), (FatalError("refused"), 4), (ConfigurationError("wrong"), 3), (KeyError("x"), 1)],
)
def test_exit_code_says_what_happens_next_when_a_dataset_fails(
    run: Callable[..., Any], source: Source, error: Exception, code: int
) -> None:
    source.error = error
    answer = run("--dataset", "penalty", "--until", "2026-06-30T10:00:00Z")
    assert answer.exit_code == code
    assert "失败 failed" in answer.output


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--dataset", "honour"]])
def test_command_refuses_when_the_words_make_no_sense(run: Callable[..., Any], words: list[str]) -> None:
    answer = run(*words)
    assert answer.exit_code != 0
    assert "landed" not in answer.output
