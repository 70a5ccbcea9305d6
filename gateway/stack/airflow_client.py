"""A small client of Airflow's REST API: start DAGs, wait for runs, read what tasks said."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from exchange_formats.errors import FatalError, TransientError
from gateway.stack.airflow_server import ADMIN
from gateway.stack.home import resolve_home
from gateway.stack.ports import LOOPBACK

T = TypeVar("T")
_TIMEOUT = httpx.Timeout(15.0)
_INTERVAL = 0.5
_PAGE = 100
FINISHED = ("success", "failed")


@dataclass(frozen=True, slots=True)
class DagState:
    """One DAG as the scheduler knows it."""

    dag_id: str
    title: str
    paused: bool
    tags: tuple[str, ...]
    import_errors: bool


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run; ``state`` is queued, running, success or failed; ``kind`` manual, scheduled or asset_triggered."""

    dag_id: str
    run_id: str
    state: str
    kind: str

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in FINISHED


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task of one run. ``map_index`` is -1 where the task is not mapped; ``label`` names the mapped instance."""

    task_id: str
    map_index: int
    label: str
    state: str
    attempt: int


class AirflowClient:
    """A context manager over one HTTP connection; the login is made once, when it is first needed."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._login = {"username": login, "password": password}
        # The API is on loopback: a proxy of the environment must not come between.
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False)

    @classmethod
    def of_stack(cls, home: Path | str | None = None) -> AirflowClient:
        """The client of the local stack in ``home``.

        Raises:
            FatalError: the folder holds no stack.
        """
        state = resolve_home(home).load()
        if "airflow" not in state.ports:
            raise FatalError("没有本地环境 no local stack", hint="xinqiao up")
        return cls(f"http://{LOOPBACK}:{state.ports['airflow']}", ADMIN, state.secrets.airflow_admin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def dags(self) -> Mapping[str, DagState]:
        """Every DAG by its id."""
        found = self._list("/api/v2/dags", "dags", {"order_by": "dag_id"})
        return {
            one["dag_id"]: DagState(
                one["dag_id"],
                one["dag_display_name"],
                bool(one["is_paused"]),
                tuple(sorted(tag["name"] for tag in one["tags"])),
                bool(one["has_import_errors"]),
            )
            for one in found
        }

    def add_connection(self, identifier: str, fields: Mapping[str, object]) -> None:
        """Keep a connection in Airflow's database; ``fields`` as in an ``AIRFLOW_CONN_`` variable, without extra."""
        self._call("POST", "/api/v2/connections", json={"connection_id": identifier, **fields})

    def pause(self, part: str, *, paused: bool) -> int:
        """Let the DAGs with ``part`` in their ids rest, or wake them; returns how many there are.

        One that rests runs neither by its schedule nor for an asset.
        """
        params = {"dag_id_pattern": part, "update_mask": "is_paused", "limit": _PAGE}
        return int(self._call("PATCH", "/api/v2/dags", params=params, json={"is_paused": paused})["total_entries"])

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> DagRun:
        """Start a run by hand; it has no logical date, like one that an asset starts."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return _read_run(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run as it is now."""
        return _read_run(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str) -> tuple[DagRun, ...]:
        """Every run of a DAG, the latest first."""
        found = self._list(f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs", {"order_by": "-run_after"})
        return tuple(_read_run(one) for one in found)

    def tasks(self, dag_id: str, run_id: str) -> tuple[TaskState, ...]:
        """The tasks of a run, mapped ones one by one."""
        found = self._list(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances", {})
        read = [
            TaskState(
                one["task_id"],
                int(one["map_index"]),
                one.get("rendered_map_index") or "",
                one["state"] or "",
                int(one["try_number"]),
            )
            for one in found
        ]
        return tuple(sorted(read, key=lambda task: (task.task_id, task.map_index)))

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def marked(self, dag_id: str, run_id: str) -> tuple[str, ...]:
        """Names of the assets that a run marked, sorted."""
        params = {"source_dag_id": dag_id, "source_run_id": run_id}
        return tuple(sorted(one["name"] for one in self._list("/api/v2/assets/events", "asset_events", params)))

    def log(self, dag_id: str, run_id: str, task: TaskState) -> str:
        """What a task said at its last attempt, as text."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.attempt}"
        answer = self._call("GET", path, params={"map_index": task.map_index, "full_content": True})
        return "\n".join(str(line) for line in answer["content"])

    def wait(
        self,
        runs: Collection[DagRun],
        *,
        seconds: float,
        report: Callable[[DagRun], None] | None = None,
    ) -> tuple[DagRun, ...]:
        """Wait until every run has ended; ``report`` hears each change of state.

        Raises:
            FatalError: not within ``seconds``; names the runs that have not ended.
        """
        latest = {(one.dag_id, one.run_id): one for one in runs}

        def all_ended() -> tuple[DagRun, ...] | None:
            for key, before in latest.items():
                if not before.finished:
                    latest[key] = after = self.run(*key)
                    if report and after.state != before.state:
                        report(after)
            return tuple(latest.values()) if all(one.finished for one in latest.values()) else None

        def describe() -> str:
            return ", ".join(f"{one.dag_id} {one.state}" for one in latest.values() if not one.finished)

        return self.await_result(all_ended, what=describe, seconds=seconds)

    def await_result(self, probe: Callable[[], T | None], *, what: Callable[[], str] | str, seconds: float) -> T:
        """Ask ``probe`` until it has an answer.

        Raises:
            FatalError: none within ``seconds``.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                found = probe()
            except TransientError:
                found = None
            if found is not None:
                return found
            if time.monotonic() > end:
                text = what if isinstance(what, str) else what()
                raise FatalError(f"Airflow: {seconds:.0f} 秒内未完成 not done in time: {text}")
            time.sleep(_INTERVAL)

    def _list(self, path: str, key: str, params: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        while True:
            page = self._call("GET", path, params={**params, "limit": _PAGE, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _call(self, method: str, path: str, **request: Any) -> Any:
        """One request, logged in.

        Raises:
            TransientError: no answer, or a server error. FatalError: refused, or not JSON.
        """
        try:
            if "Authorization" not in self._http.headers:
                self._log_in()
            response = self._http.request(method, path, headers={"Accept": "application/json"}, **request)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._log_in()
                response = self._http.request(method, path, headers={"Accept": "application/json"}, **request)
        except httpx.HTTPError as error:
            raise TransientError(f"Airflow: {path}: {type(error).__name__}") from error
        return _read(response)

    def _log_in(self) -> None:
        token = _read(self._http.post("/auth/token", json=self._login))["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"


def _read(response: httpx.Response) -> Any:
    path = response.request.url.path
    if response.is_server_error:
        raise TransientError(f"Airflow: {path}: HTTP {response.status_code}")
    if response.is_error:
        raise FatalError(f"Airflow: {path}: HTTP {response.status_code}: {response.text[:300]}")
    try:
        return response.json()
    except ValueError as error:
        raise FatalError(f"Airflow: {path}: 不是 JSON not JSON") from error


def _read_run(one: Mapping[str, Any]) -> DagRun:
    return DagRun(one["dag_id"], one["dag_run_id"], one["state"], one["run_type"])
