"""The whole province on this machine: real Airflow, database, store and broker; small, of its own, for this package."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.department import DEPARTMENTS, load_departments
from connectors.rabbit.consumer import Stop
from exchange_formats.messages import EVALUATED, RAISED, WITHDRAWN
from exchange_formats.messages.warning_log import ESCALATED, UPDATED
from exchange_formats.periods import shanghai_date
from exchange_formats.topology import GATEWAY
from gateway.bus import connection_id, derive_topology
from gateway.demonstration import PILOTS, is_current
from gateway.figures import read_evaluations
from gateway.stack import Seed, Stack
from gateway.stack.airflow_client import AirflowClient, DagRun
from gateway.stack.environment import read_environment
from gateway.stack.home import StackHome
from gateway.subscription import consume
from gateway.workplace import Workplace, open_workplace
from scoring.library import MODELS
from tests.e2e.tap import Tap, open_tap
from tests.identity_scan import Planted
from tests.planted_persons import Plants, plant_files, plant_shelf, plant_table

SUBJECTS = 600
#: A 34th department, one of whose datasets cannot be pulled, and which is always late; a 35th that is broken.
ADDED = "tobacco_monopoly"
BROKEN = "postal_administration"
BROKEN_LINE = 7
_READY_SECONDS = 90
_RUN_SECONDS = 240


@dataclass(frozen=True)
class Inbox:
    """What a participant has taken out of its queues: the grade of each (domain, subject), and what came last."""

    grades: Mapping[tuple[str, str], str]
    latest: tuple[Mapping[str, Any], ...]

    @property
    def latest_grades(self) -> Mapping[tuple[str, str], str]:
        """The grades among what came last."""
        return stand(self.latest)

    @property
    def latest_warnings(self) -> Mapping[tuple[str, str], str]:
        """The warnings raised or changed among what came last: level by (domain, subject)."""
        raised = [event["data"] for event in self.latest if event["type"] in {RAISED, UPDATED, ESCALATED}]
        return {(data["domain"], data["warning"]["subject_ref"]): data["warning"]["level"] for data in raised}


def stand(events: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Each subject's grade after ``events``, which the consumer has put in order."""
    found: dict[tuple[str, str], str] = {}
    for event in events:
        for result in event["data"].get("results", ()):
            key = (event["data"]["domain"], result["subject_ref"])
            if event["type"] == EVALUATED:
                found[key] = result["grade"]
            elif event["type"] == WITHDRAWN:
                found.pop(key, None)
    return found


@dataclass(frozen=True)
class Province:
    """The running stack, and how the tests use it."""

    stack: Stack
    airflow: AirflowClient
    workplace: Workplace
    inboxes: Path
    tap: Tap
    planted: Planted

    def collect(self, *departments: str) -> dict[str, DagRun]:
        """Start the departments' DAGs, wait for all, and return their runs."""
        started = [self.airflow.trigger(f"department__{one}") for one in departments]
        ended = self.airflow.wait(started, seconds=_RUN_SECONDS)
        return dict(zip(departments, ended, strict=True))

    def await_published(self) -> Mapping[str, str]:
        """Wait until each domain has published the run of what the lake now holds; domain → run id."""

        models = self.workplace.models.by_id

        def find() -> Mapping[str, str] | None:
            as_of = shanghai_date(datetime.now(UTC))
            rows = read_evaluations(self.workplace.lake, models.values())
            runs = {row.domain: row.run.run_id for row in rows if is_current(self.workplace, row, as_of)}
            return runs if runs.keys() == models.keys() else None

        return self.airflow.await_result(find, what="publication", seconds=_RUN_SECONDS)

    def consume(self, participant: str) -> Inbox:
        """Empty the participant's queues with its own login."""
        path = self.inboxes / f"{participant}.jsonl"
        before = len(read_lines(path))
        consume(participant, path, resolve=self.workplace.resolve, stop=Stop(idle=2))
        events = read_lines(path)
        return Inbox(stand(events), tuple(events[before:]))


def read_lines(path: Path) -> list[Mapping[str, Any]]:
    """Every event of a consumer's file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def copy_pilots(folder: Path) -> None:
    """The departments and domains of the demonstration: the whole province would be the same many times over."""
    for name in ("departments", "models"):
        (folder / name).mkdir()
    for one in load_departments().by_id.values():
        if one.id in PILOTS:
            shutil.copy(DEPARTMENTS / f"{one.id}.yaml", folder / "departments")
            for path in (found for domain in one.domains for found in MODELS.glob(f"{domain}@*.yaml")):
                if one.kind == "department":
                    shutil.copy(path, folder / "models")


def add_departments(folder: Path) -> None:
    """Two files beside the real ones: a 34th department, and one that is broken."""
    text = (folder / "market_regulation.yaml").read_text(encoding="utf-8")
    for pattern, replacement in (
        ("^id: .*$", f"id: {ADDED}"),
        ("^no: .*$", "no: 34"),
        ("connection: dept_market_regulation", f"connection: dept_{ADDED}"),
        ("^late_after: .*$", "late_after: PT1S"),
        ("^domains: .*$", "domains: []"),
        (r"name: honour,", "name: there_is_no_such_table,"),
    ):
        text, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
        assert count == 1, pattern
    (folder / f"{ADDED}.yaml").write_text(text, encoding="utf-8")
    lines = [f"id: {BROKEN}", "no: 35", "title: 省邮政管理局", "title_en: post", "owner: {team: a, contact: b}"]
    lines += ['schedule: "0 3 * * *"', "late_aftr: PT6H"]
    assert lines[BROKEN_LINE - 1].startswith("late_aftr")
    (folder / f"{BROKEN}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def plant_persons(home: StackHome, database: str) -> Planted:
    """Many persons in the penalties of every kind of source."""
    plants = Plants()
    plant_files(home.drop("emergency_management"), plants.draw("330106", "应"))
    plant_shelf(home.root / "simulators" / "ecology_environment" / "penalty.jsonl", plants.draw("330206", "环"))
    plant_table(database, plants.draw("330302", "市"))
    return plants.planted


@pytest.fixture(scope="package")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    """The whole stack, with the added departments known to Airflow."""
    folder = tmp_path_factory.mktemp("e2e")
    copy_pilots(folder)
    add_departments(folder / "departments")
    stack = Stack(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        # The stack's processes inherit it.
        patch.setenv("XINQIAO_DEPARTMENTS", str(folder / "departments"))
        patch.setenv("XINQIAO_MODELS", str(folder / "models"))
        try:
            stack.up(seed=Seed(subjects=SUBJECTS))
            variables = {**os.environ, **read_environment(stack.home.environment_file)}
            planted = plant_persons(stack.home, variables["XINQIAO_SIMULATOR_DATABASE"])
            with AirflowClient.of_stack(folder / "home") as airflow:
                # In Airflow's own database: any of its secrets backends serves a task.
                airflow.add_connection(f"dept_{ADDED}", json.loads(variables["AIRFLOW_CONN_DEPT_MARKET_REGULATION"]))
                known = {f"department__{path.stem}" for path in (folder / "departments").glob("*.yaml")}
                airflow.await_result(
                    lambda: known <= set(airflow.dags()) or None, what="department DAGs", seconds=_READY_SECONDS
                )
                workplace = open_workplace(environ=variables)
                topology = derive_topology(workplace.departments.by_id.values())
                tap = open_tap(workplace.resolve(connection_id(GATEWAY)), topology)
                yield Province(stack, airflow, workplace, folder, tap, planted)
        finally:
            stack.down()
