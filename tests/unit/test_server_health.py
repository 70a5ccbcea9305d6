"""The health check of a container without a port of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from gateway.server.health import check_health, main

_ANSWER = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}, "dag_processor": {"status": None}}


@contextmanager
def serve(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v2/monitor/health"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("scheduler", None),
        ("triggerer", "triggerer: unhealthy"),
        ("dag_processor", "dag_processor: unknown"),
        ("another", "another: unknown"),
    ],
)
def test_health_is_the_heartbeats_when_the_server_answers(component: str, expected: str | None) -> None:
    with serve(json.dumps(_ANSWER).encode()) as url:
        assert check_health(url, component) == expected


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), (b"[]", 200), (b"{}", 503)])
def test_health_is_bad_when_the_answer_is_not_one(body: bytes, status: int) -> None:
    with serve(body, status) as url:
        assert check_health(url, "scheduler")


def test_exit_status_says_it_when_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(b"{}") as url:
        pass
    assert main([url, "scheduler"]) == 1
    assert "ConnectError" in capsys.readouterr().err
