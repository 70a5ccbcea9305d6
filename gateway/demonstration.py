"""The whole flow on the local stack: start the DAGs as an operator would, and wait for what they leave in the lake.

Nothing here collects, scores or publishes: Airflow does. What is awaited is read from
the lake, so that a result is shown only when it is really there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from connectors.department import Department
from connectors.rabbit.consumer import Stop
from exchange_formats.errors import FatalError
from exchange_formats.keys import landing_prefix
from gateway.figures import EvaluationFigures, read_evaluations
from gateway.stack import Report as StackReporter
from gateway.stack import Seed, Stack, StackReport
from gateway.stack.airflow_client import AirflowClient, DagRun
from gateway.subscription import ConsumptionResult, consume
from gateway.workplace import Workplace
from scoring.model import PUBLIC_CREDIT_DOMAINS, Model

#: The departments that are shown unless the whole province is asked for.
PILOTS: Final = frozenset({"provincial_platform", "market_regulation", "ecology_environment", "emergency_management"})
PUBLIC_CREDIT_DAG: Final = "public_credit"

#: Airflow reads new files every few seconds; a department's pull takes seconds to a minute.
_KNOWN_SECONDS = 120.0
_COLLECT_SECONDS = 1200.0
_SCORE_SECONDS = 300.0
_PROVINCE_SECONDS = 1200.0
_IDLE_SECONDS = 1.0
#: Says which province a state folder holds.
_PROVINCE = "province"
#: What outlives another province: the bootstrap's own tool, ports and secrets, the lock.
_KEPT = frozenset({"uv", "state.json", "lock"})
_INTERVAL = 0.7


@dataclass(frozen=True, slots=True)
class Step:
    """One line of progress: what it is about, how it stands, how far it is (0 of 0: nothing to count)."""

    name: str
    state: str
    done: int = 0
    total: int = 0


Report = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is collected and scored: participants in the order of their numbers, and models."""

    departments: tuple[Department, ...]
    models: tuple[Model, ...]
    #: Of the whole province only: they read every department's records.
    public_credit: tuple[Model, ...]

    @property
    def whole(self) -> bool:
        """The whole province, not the pilots alone."""
        return bool(self.public_credit)


def start_stack(seed: Seed, report: StackReporter, say: Callable[[str], None]) -> StackReport:
    """Bring up the local stack with ``seed``; one that holds another province is emptied first.

    The departments' update times belong to one history: two of them behind one watermark
    would hide each other. All that is emptied was generated, and can be again.
    """
    stack = Stack()
    mark = stack.home.root / _PROVINCE
    if mark.exists() and mark.read_text(encoding="utf-8") != seed.fingerprint():
        say(
            "换了名录, 清空本地环境重新开始 another province than last time: the local stack is emptied and starts anew"
        )
        stack.down()
        for path in stack.home.root.iterdir():
            if path.name not in _KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    outcome = stack.up(report=report, seed=seed)
    mark.write_text(seed.fingerprint(), encoding="utf-8")
    return outcome


def choose_scope(workplace: Workplace, *, whole: bool) -> Scope:
    """The whole province, or the pilots and their domains."""
    departments = list(workplace.departments.by_id.values())
    chosen = departments if whole else [one for one in departments if one.id in PILOTS]
    models = workplace.models.by_id.values()
    owners = {one.id for one in chosen}
    return Scope(
        departments=tuple(sorted(chosen, key=lambda one: one.no or 0)),
        models=tuple(
            one for one in models if one.department in owners and one.id not in PUBLIC_CREDIT_DOMAINS.values()
        ),
        public_credit=tuple(one for one in models if whole and one.id in PUBLIC_CREDIT_DOMAINS.values()),
    )


def prepare_dags(client: AirflowClient, scope: Scope) -> None:
    """Wait until Airflow knows every DAG of ``scope``; domains rest that are not to be scored as records arrive.

    An asset would start each of them again and again while its inputs still come: the pilots' are few.
    """
    wanted = {f"department__{one.id}" for one in scope.departments} | {f"domain__{one.id}" for one in scope.models}
    wanted |= {PUBLIC_CREDIT_DAG} if scope.public_credit else set()

    def known() -> bool | None:
        return True if wanted <= client.dags().keys() else None

    client.await_result(known, what="DAG 解析 parsing the DAGs", seconds=_KNOWN_SECONDS)
    client.pause("domain__", paused=True)
    for model in () if scope.whole else scope.models:
        client.pause(f"domain__{model.id}", paused=False)


def collect_departments(client: AirflowClient, departments: Sequence[Department], report: Report) -> None:
    """Start ``department__<id>`` of every participant and wait until all have ended.

    The platform goes first: the departments' grades are then computed on its public credit.

    Raises:
        FatalError: a DAG is unknown, quarantined, or its run failed; names it and its failed tasks.
    """
    platforms = [department for department in departments if department.kind == "platform"]
    others = [department for department in departments if department.kind != "platform"]
    for group in (platforms, others):
        _run_group(client, group, report)


def await_evaluations(
    client: AirflowClient, workplace: Workplace, models: Sequence[Model], as_of: date, report: Report
) -> list[EvaluationFigures]:
    """Wait until every domain has published a run of ``as_of`` on what the lake now holds.

    Raises:
        FatalError: not in time, or a domain's DAG run failed.
    """
    end = time.monotonic() + _SCORE_SECONDS
    while True:
        found = {row.domain: row for row in read_evaluations(workplace.lake, models)}
        current = [row for row in found.values() if is_current(workplace, row, as_of)]
        ready = {row.domain for row in current}
        for model in models:
            state = "success" if model.id in ready else "running" if model.id in found else "queued"
            report(Step(model.title, state))
        if len(current) == len(models):
            return current
        missing = sorted({model.id for model in models} - ready)
        _check_failed(client, [f"domain__{domain}" for domain in missing])
        if time.monotonic() > end:
            raise FatalError(f"评价未在 {_SCORE_SECONDS:.0f} 秒内完成 not scored in time: {', '.join(missing)}")
        time.sleep(_INTERVAL)


def evaluate_province(
    client: AirflowClient, workplace: Workplace, scope: Scope, report: Report
) -> list[EvaluationFigures]:
    """Score and publish every domain once, then the public credit of the five types of subject.

    Raises:
        FatalError: a run failed, or did not end in time.
    """
    client.pause("domain__", paused=False)
    for group in ([f"domain__{one.id}" for one in scope.models], [PUBLIC_CREDIT_DAG]):
        runs = [client.trigger(name) for name in group]
        done = 0

        def count(run: DagRun, total: int = len(runs), name: str = group[0]) -> None:
            nonlocal done
            done += run.finished
            title = "公共信用评价 public credit" if name == PUBLIC_CREDIT_DAG else "行业评价 domains"
            report(Step(title, "success" if done == total else "running", done, total))

        ended = client.wait(runs, seconds=_PROVINCE_SECONDS, report=count)
        if failed := [run for run in ended if run.state == "failed"]:
            raise _explain_failure(client, failed[0])
    return read_evaluations(workplace.lake, [*scope.models, *scope.public_credit])


def consume_all(
    workplace: Workplace, departments: Iterable[Department], folder: Path
) -> list[tuple[str, ConsumptionResult]]:
    """What each participant's own consumer takes from its own queues, with its own login, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        (
            department.title,
            consume(
                department.id,
                folder / f"{department.id}.jsonl",
                resolve=workplace.resolve,
                stop=Stop(idle=_IDLE_SECONDS),
            ),
        )
        for department in departments
    ]


def _run_group(client: AirflowClient, departments: Sequence[Department], report: Report) -> None:
    runs = {department.id: client.trigger(f"department__{department.id}") for department in departments}
    end = time.monotonic() + _COLLECT_SECONDS
    while True:
        for department in departments:
            run = runs[department.id]
            if not run.finished:
                runs[department.id] = run = client.run(run.dag_id, run.run_id)
                tasks = [task for task in client.tasks(run.dag_id, run.run_id) if task.task_id == "collect"]
                done = sum(task.state in {"success", "failed", "skipped"} for task in tasks)
                report(Step(department.title, run.state, done, len(department.datasets)))
        if all(run.finished for run in runs.values()):
            break
        if time.monotonic() > end:
            raise FatalError(f"采集未在 {_COLLECT_SECONDS:.0f} 秒内完成 not collected in time")
        # Each department is two questions to the server that the tasks ask, too.
        time.sleep(max(_INTERVAL, len(departments) / 10))
    failed = [run for run in runs.values() if run.state == "failed"]
    if failed:
        raise _explain_failure(client, failed[0])


def is_current(workplace: Workplace, row: EvaluationFigures, as_of: date) -> bool:
    """Published, of this day (or of the next: midnight may pass), and on everything that the lake holds now."""
    heads = {source: workplace.lake.heads(landing_prefix(*source.split("/"))) for source in row.run.cut}
    return row.receipt is not None and row.run.as_of >= as_of and heads == dict(row.run.cut)


def _check_failed(client: AirflowClient, dag_ids: Iterable[str]) -> None:
    for dag_id in dag_ids:
        latest = next(iter(client.runs(dag_id)), None)
        if latest is not None and latest.state == "failed":
            raise _explain_failure(client, latest)


def _explain_failure(client: AirflowClient, run: DagRun) -> FatalError:
    failed = [task for task in client.tasks(run.dag_id, run.run_id) if task.state == "failed"]
    names = ", ".join(task.label or task.task_id for task in failed)
    return FatalError(
        f"Airflow: {run.dag_id} 失败 failed: {names}",
        hint=f"its log tells why: the Airflow page of {run.dag_id}, run {run.run_id}",
    )
