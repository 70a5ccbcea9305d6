from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exchange_formats.errors import FatalError, TransientError
from gateway.stack.airflow_client import AirflowClient, DagRun

Handle = Callable[[httpx.Request], httpx.Response]


def open_client(handle: Handle) -> AirflowClient:
    client = AirflowClient("http://airflow", "admin", "the password")
    client._http = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(handle))
    return client


def answer(state: str = "running") -> httpx.Response:
    run = {"dag_id": "d", "dag_run_id": "r", "state": state, "run_type": "manual"}
    return httpx.Response(200, json=run)


def test_login_is_made_again_when_the_token_has_expired() -> None:
    tokens: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            assert json.loads(request.content)["password"] == "the password"
            tokens.append(f"token {len(tokens)}")
            return httpx.Response(201, json={"access_token": tokens[-1]})
        fresh = request.headers["Authorization"] == "Bearer token 1"
        return answer() if fresh else httpx.Response(401)

    assert open_client(handle).run("d", "r") == DagRun("d", "r", "running", "manual")
    assert len(tokens) == 2


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(503), TransientError),
        (httpx.Response(404, text="no such run"), FatalError),
        (httpx.Response(200, text="<html>"), FatalError),
    ],
)
def test_error_is_typed_when_the_answer_is_none(response: httpx.Response, error: type[Exception]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"access_token": "t"}) if request.url.path == "/auth/token" else response

    with pytest.raises(error, match="/api/v2/dags/d/dagRuns/r"):
        open_client(handle).run("d", "r")


def test_error_is_transient_when_nobody_listens() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(TransientError, match="ConnectError"):
        open_client(handle).run("d", "r")


def test_waiting_goes_on_when_airflow_is_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stack.airflow_client._INTERVAL", 0)
    replies = [answer(), httpx.Response(502), answer("success")]
    heard: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"access_token": "t"}) if request.url.path == "/auth/token" else replies.pop(0)

    started = [DagRun("d", "r", "queued", "manual")]
    (ended,) = open_client(handle).wait(started, seconds=5, report=lambda run: heard.append(run.state))
    assert ended.state == "success"
    assert heard == ["running", "success"]


def test_waiting_ends_and_names_the_run_when_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stack.airflow_client._INTERVAL", 0)

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"access_token": "t"}) if request.url.path == "/auth/token" else answer()

    with pytest.raises(FatalError, match="d running"):
        open_client(handle).wait([DagRun("d", "r", "queued", "manual")], seconds=0.05)


def test_lists_are_read_to_their_end_when_they_have_pages() -> None:
    runs = [
        {"dag_id": "d", "dag_run_id": f"r{n}", "state": "success", "run_type": "scheduled", "run_after": ""}
        for n in range(250)
    ]

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        first = int(request.url.params["offset"])
        return httpx.Response(200, json={"dag_runs": runs[first : first + 100], "total_entries": len(runs)})

    assert len(open_client(handle).runs("d")) == 250


def test_client_says_what_to_do_when_there_is_no_stack(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="xinqiao up"):
        AirflowClient.of_stack(tmp_path)
