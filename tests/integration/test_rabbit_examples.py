"""The consumers of docs/consumers, run as a department would run them, against the same queue."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from connectors.lake import Lake
from connectors.rabbit.dead_letters import list_dead_letters
from connectors.rabbit.publisher import Publisher
from gateway.publication import publish_domain
from tests.fakes import MemoryStore
from tests.integration.broker import DEAD, GRADES, PLATFORM, Broker, message, wait_for
from tests.publication_samples import DOMAIN, Runs, code, grade, warning

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "consumers"


def publish_two_runs(broker: Broker, folder: Path) -> None:
    """300 subjects; then one falls to E, one leaves, one warning is cleared. And a message nobody can read."""
    lake = Lake(MemoryStore(), folder / "cache")
    runs = Runs(lake, folder)
    rows = [grade(code(n)) for n in range(300)]
    runs.commit(date(2026, 6, 30), rows, [warning(code(0)), warning(code(1))])
    fallen = grade(code(0), grade="E", score=Decimal("610.00"))
    runs.commit(date(2026, 7, 31), [fallen, *rows[1:-1]], [warning(code(0))])
    publish_domain(
        DOMAIN,
        lake=lake,
        open_publisher=lambda: Publisher(broker.connection()),
        now=lambda: datetime.now(UTC),
        spool=folder / "spool",
    )
    with Publisher(broker.connection()) as publisher:
        publisher.publish([message(1)])


def run(broker: Broker, *command: str, cwd: Path) -> str:
    login = broker.connection(PLATFORM)
    url = f"amqp://{login.login}:{quote(login.password)}@{login.host}:{login.port}/{login.schema}"
    environment = os.environ | {"CREDIT_AMQP_URL": url, "CREDIT_IDLE_SECONDS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_parked(broker: Broker) -> None:
    wait_for(lambda: bool(list_dead_letters(broker.connection(), DEAD, 2)))
    (parked,) = list_dead_letters(broker.connection(), DEAD, 2)
    assert (parked.queue, parked.reason) == (GRADES, "rejected")


def test_python_example_keeps_standing_grades(broker: Broker, tmp_path: Path) -> None:
    publish_two_runs(broker, tmp_path)
    database = tmp_path / "credit.db"
    command = (sys.executable, str(EXAMPLES / "python" / "consume.py"), PLATFORM, str(database))
    said = run(broker, *command, cwd=tmp_path)
    # One of the two warnings was cleared; the fall to E raised another.
    assert said.splitlines() == ["- 1", "C 298", "E 1", "warnings 2"]
    assert run(broker, *command, cwd=tmp_path) == said
    with sqlite3.connect(database) as opened:
        found = opened.execute("SELECT score FROM grade WHERE subject_ref = ?", (code(0),)).fetchone()
    opened.close()
    assert found == ("610.00",)
    assert_parked(broker)


def test_node_example_writes_every_event_once(broker: Broker, tmp_path: Path) -> None:
    node, library = shutil.which("node"), EXAMPLES / "node" / "node_modules" / "amqplib"
    if node is None or not library.exists():
        pytest.skip("needs Node.js, and `npm install` in docs/consumers/node")
    publish_two_runs(broker, tmp_path)
    target = tmp_path / "events.jsonl"
    command = (node, str(EXAMPLES / "node" / "consume.mjs"), PLATFORM, str(target))
    first = json.loads(run(broker, *command, cwd=tmp_path))
    # Four messages of grades, one withdrawn; warnings: two raised, one of them not signed for in time and escalated,
    # one cleared, and the fall to E.
    assert first == {"written": 10, "duplicates": 0, "outdated": 0, "rejected": 1}
    events = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert len({event["id"] for event in events}) == 10
    with target.open("ab") as file:
        file.write(b'{"specversion":"1.0","id"')
    assert json.loads(run(broker, *command, cwd=tmp_path))["written"] == 0
    assert [json.loads(line) for line in target.read_bytes().splitlines()] == events
    assert_parked(broker)
