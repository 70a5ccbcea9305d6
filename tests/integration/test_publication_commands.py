"""The commands publish, consume and bus, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.lake import Lake
from connectors.object_store import MinioStore
from connectors.rabbit.publisher import Publisher
from exchange_formats.errors import ConfigurationError
from exchange_formats.messages.snapshots import join_parts, read_snapshot
from gateway.bus import apply_topology, require_topology
from gateway.cli import app
from gateway.workplace import open_workplace
from tests.integration.broker import ECOLOGY, PLATFORM, Broker, message, wait_for
from tests.publication_samples import DOMAIN, Runs, code, grade, warning
from tests.pulls import Landings, later, penalty, penalty_mapping

Run = Callable[..., Result]


@pytest.fixture
def run(broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Runs a command in the shared stack, with the repository's own departments and two runs to publish."""
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XINQIAO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    apply_topology(require_topology(open_workplace().departments), broker.resolve)
    store = MinioStore.open(broker.resolve("lake"))
    runs = Runs(Lake(store, tmp_path / "lake"), tmp_path)
    runs.commit(date(2026, 7, 31), [grade(code(n)) for n in range(250)], [warning(code(1))])
    runs.commit(date(2026, 6, 30), [grade(code(1))])
    yield lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])
    for key in list(store.list_keys("")):
        store._client.remove_object("credit-lake", key)


def said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_published_results_are_consumed_when_both_commands_run(run: Run, tmp_path: Path) -> None:
    published = said(run("publish", DOMAIN, "--json"))
    assert (published["messages"], published["results"], published["warnings"]) == (4, 250, 1)
    assert len(published["withheld"]) == 1
    assert said(run("publish", DOMAIN, "--json"))["nothing_new"]
    assert said(run("publish", DOMAIN, "--correction", "--json"))["results"] == 1
    target = tmp_path / "out.jsonl"
    consumed = said(run("consume", PLATFORM, "--to", f"jsonl:{target}", "--until-idle", 1, "--json"))
    assert (consumed["written"], consumed["results_by_grade"]) == (5, {"C": 251})
    assert len(target.read_bytes().splitlines()) == 5


def test_standing_grades_come_again_as_a_snapshot_when_somebody_fell_behind(run: Run, broker: Broker) -> None:
    assert isinstance(run("snapshot", DOMAIN).exception, ConfigurationError)
    said(run("publish", DOMAIN, "--json"))
    assert said(run("snapshot", DOMAIN, "--json"))["rows"] == 250
    parts = broker.drain(PLATFORM, f"{PLATFORM}.snapshots")
    table = join_parts([read_snapshot(one.headers, one.body) for one in parts])
    assert sorted(table["subject_ref"].to_pylist()) == [code(n) for n in range(250)]


def test_summary_is_shown_when_a_person_reads_it(run: Run, tmp_path: Path) -> None:
    text = run("publish", DOMAIN)
    assert text.exit_code == 0
    assert "250" in text.output
    assert "--correction" in text.output
    target = tmp_path / "out.jsonl"
    result = run("consume", PLATFORM, "--to", f"jsonl:{target}", "--max", 2)
    assert "written 2" in result.output


def test_sender_and_witness_are_told_when_the_commands_run(run: Run, broker: Broker, tmp_path: Path) -> None:
    landings = Landings(MinioStore.open(broker.resolve("lake")), tmp_path / "landing", penalty_mapping())
    landings.pull([penalty(1), penalty(2, CF_JDRQ="2026-13-01")])
    assert said(run("feedback", ECOLOGY, "--dataset", "penalty", "--json"))["messages"] == 1
    assert "0" in run("feedback", ECOLOGY, "--dataset", "penalty").output
    assert "first time" in run("notices", ECOLOGY, "--dataset", "penalty").output
    landings.pull([penalty(1, CX_RQ="2026-06-20", updateTime="2026-06-02 08:00:00")], until=later(1))
    (notices,) = json.loads(run("notices", ECOLOGY, "--dataset", "penalty", "--json").stdout)
    assert (notices["withdrawn"], notices["corrected"]) == (1, 0)
    written = said(run("checkpoint", "--json"))
    assert (written["chains"], written["new"], written["sent"]) == (2, True, 1)
    assert "the heads are the same" in run("checkpoint").output
    target = tmp_path / "feedback.jsonl"
    said(run("consume", ECOLOGY, "--to", f"jsonl:{target}", "--until-idle", 1, "--json"))
    (line,) = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert (line["data"]["counts"]["rejected"], line["data"]["rows"][0]["row"]) == (1, 2)
    records = broker.drain(PLATFORM, f"{PLATFORM}.records", f"{PLATFORM}.checkpoints")
    assert [one.routing_key for one in records] == [f"record.{ECOLOGY}.penalty.withdrawn", "checkpoint.committed"]


def test_unknown_domain_is_a_configuration_error(run: Run) -> None:
    assert isinstance(run("publish", "no_such_domain").exception, ConfigurationError)


@pytest.mark.parametrize("target", ["postgres:x", "jsonl:", "out.jsonl"])
def test_unknown_target_is_a_usage_error(run: Run, target: str) -> None:
    assert run("consume", PLATFORM, "--to", target).exit_code == 2


def test_bus_status_exits_one_when_something_is_unrouted(run: Run, broker: Broker) -> None:
    assert run("bus", "status").exit_code == 0
    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1, "grade.unheard_of.330100")])
    wait_for(lambda: run("bus", "status", "--json").exit_code == 1)
    (letter,) = json.loads(run("bus", "dead-letters", "unrouted", "--json").stdout)
    assert (letter["reason"], letter["body_is"]) == ("unrouted", "10 B, body: json_invalid")
    assert "grade.unheard_of.330100" in run("bus", "dead-letters", "unrouted").output
    assert "1" in run("bus", "redrive", "unrouted").output


def test_definitions_hold_no_password_when_they_are_printed(run: Run, broker: Broker) -> None:
    text = run("bus", "definitions").stdout
    assert {"exchanges", "queues", "bindings", "policies", "users"} <= json.loads(text).keys()
    assert broker.connection().password not in text
    assert said(run("bus", "apply", "--json"))["unbound"] == []
