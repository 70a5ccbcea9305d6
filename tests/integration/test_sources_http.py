"""The sharing dialect against the simulated platform over real sockets, with the faults it can play."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn

from connectors.connection import Connection
from connectors.department import load_departments
from connectors.sources import SourceReader, open_source
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.manifests import Window
from gateway.simulators.history import draw_history
from gateway.simulators.seeding import seed_sharing
from gateway.simulators.sharing_protocol import AppKey
from gateway.simulators.sharing_server import SharingServer
from gateway.simulators.universe import draw_universe
from tests.source_samples import read

TODAY = datetime(2026, 6, 30, tzinfo=UTC)
ECOLOGY, PLATFORM = "ecology_environment", "provincial_platform"


@dataclass
class Served:
    """The simulated platform on a port of this machine."""

    port: int
    counts: dict[str, int]

    def open(self, department: str = ECOLOGY, dataset: str = "penalty", **changes: Any) -> SourceReader:
        loaded = load_departments()[department]
        source = loaded.source.model_copy(
            update={"rate_limit": 1000, "timeout": timedelta(seconds=2), **changes.pop("source", {})}
        )
        request = loaded.datasets[dataset].request
        assert request is not None
        small = loaded.datasets[dataset].model_copy(update={"request": request.model_copy(update={"page_size": 20})})
        chosen = loaded.model_copy(update={"source": source, "datasets": {dataset: small}})
        login = Connection(f"dept_{department}", "http", "127.0.0.1", self.port, department, f"{department}-secret")
        window = changes.pop("window", Window(until=TODAY + timedelta(days=1)))
        return open_source(
            chosen, dataset, replace(login, **changes), window, sleep=lambda _: None, now=lambda: datetime.now(UTC)
        )

    def order(self, **fault: Any) -> None:
        httpx.post(f"http://127.0.0.1:{self.port}/_control/faults", json=fault, timeout=5).raise_for_status()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("platform")
    universe = draw_universe(subjects=1_500, seed=5, today=TODAY.date())
    counts = seed_sharing(home, universe, draw_history(universe))
    keys = {one: AppKey(one, f"{one}-secret", one) for one in (ECOLOGY, PLATFORM)}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(SharingServer(home, keys).build(), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Served(listening.getsockname()[1], counts)
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def platform(running: Served) -> Served:
    httpx.delete(f"http://127.0.0.1:{running.port}/_control/faults", timeout=5)
    return running


@pytest.mark.parametrize(
    ("department", "dataset"),
    [
        *((ECOLOGY, one) for one in ("profile", "penalty", "inspection", "incident", "complaint", "honour")),
        (PLATFORM, "public_credit"),
    ],
)
def test_every_dataset_is_read_as_it_is_mapped(platform: Served, department: str, dataset: str) -> None:
    reader = platform.open(department, dataset)
    rows, rejects = read(reader)
    assert len(rows) == reader.expected_rows == platform.counts[f"{department}/{dataset}"]
    assert (rejects, reader.unknown_columns) == ([], ())


def test_only_the_window_is_read_when_there_is_one(platform: Served) -> None:
    everything, _ = read(platform.open(PLATFORM, "public_credit"))
    cut = sorted(row["updateTime"] for row in everything)[len(everything) // 2]
    since = datetime.fromisoformat(f"{cut}+08:00")
    some, _ = read(platform.open(PLATFORM, "public_credit", window=Window(since=since, until=TODAY)))
    assert 0 < len(some) < len(everything)
    assert min(row["updateTime"] for row in some) == cut


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "http_status", "status": 429},
        {"kind": "http_status", "status": 503, "times": 3},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "hang", "seconds": 3},
        {"kind": "refusal", "code": "99"},
        {"kind": "expire_secrets"},
        {"kind": "same_request_id", "times": 2},
        {"kind": "empty_page", "page": 2},
        {"kind": "total_page_change", "page": 2},
        {"kind": "http_status", "status": 502, "dataset": "token"},
    ],
    ids=lambda fault: "-".join(str(part) for part in fault.values()),
)
def test_all_rows_come_once_when_the_platform_recovers(platform: Served, fault: dict[str, Any]) -> None:
    platform.order(**fault)
    reader = platform.open()
    rows, rejects = read(reader)
    keys = [(row["CF_WSH"], row["CF_XDR_SHXYM"], row["CF_XDR_ZJHM"]) for row in rows]
    assert len(keys) == platform.counts[f"{ECOLOGY}/penalty"]
    assert not rejects


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"kind": "html"}, "HTML page instead of JSON"),
        ({"kind": "truncated"}, "cut off"),
        ({"kind": "hang", "seconds": 2}, "did not answer in time"),
        ({"kind": "refusal", "code": "98"}, "no data yet"),
        ({"kind": "empty_page"}, "is empty"),
        ({"kind": "http_status", "status": 500}, "HTTP 500"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_it_is_transient_when_the_platform_does_not_recover(platform: Served, fault: dict[str, Any], text: str) -> None:
    platform.order(times=50, **fault)
    with pytest.raises(TransientError, match=text):
        read(platform.open(source={"timeout": timedelta(seconds=0.5)}))


def test_a_missing_column_stops_when_the_interface_changed(platform: Served) -> None:
    platform.order(kind="rows", rows=[{"CF_WSH": "1"}])
    with pytest.raises(FatalError, match="missing columns: 'CF_CFJGDM'"):
        read(platform.open())


def test_wrong_credentials_are_fatal(platform: Served) -> None:
    with pytest.raises(FatalError, match="refuses the signature"):
        read(platform.open(password="not-the-secret"))
    with pytest.raises(FatalError, match="does not know the appKey"):
        read(platform.open(login="nobody"))


def test_an_interface_that_is_not_granted_is_fatal(platform: Served) -> None:
    with pytest.raises(FatalError, match="not granted this interface"):
        read(platform.open(login=PLATFORM, password=f"{PLATFORM}-secret"))


def test_a_wrong_clock_is_fatal_and_its_error_is_shown(platform: Served) -> None:
    department = load_departments()[ECOLOGY]
    login = Connection("dept_x", "http", "127.0.0.1", platform.port, ECOLOGY, f"{ECOLOGY}-secret")
    stopped = datetime.now(UTC) - timedelta(minutes=10)
    late = open_source(department, "honour", login, Window(until=TODAY), now=lambda: stopped)
    # A busy server sets its Date header (whole seconds) now and then: it may lag, and the answer may take a while.
    with pytest.raises(FatalError, match=r"clock.*platform minus here \+(59[0-9]|60[0-9]) s"):
        read(late)


def test_an_unreachable_platform_is_transient(platform: Served) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="cannot be reached"):
            read(platform.open(port=unused.getsockname()[1]))


def test_a_host_without_a_name_is_transient(platform: Served) -> None:
    with pytest.raises(TransientError, match="cannot be reached"):
        read(platform.open(host="nowhere.invalid", schema="http"))


def test_an_answer_that_trickles_is_given_up(platform: Served) -> None:
    with _answer_slowly() as port, pytest.raises(TransientError, match="did not answer in time"):
        read(platform.open(port=port, source={"timeout": timedelta(seconds=0.5)}))


def test_plain_text_on_a_tls_port_is_a_typed_error(platform: Served) -> None:
    with pytest.raises((TransientError, FatalError)):
        read(platform.open(schema="https"))


class _answer_slowly:  # noqa: N801  (used as a context)
    """A server that sends its answer one byte in a tenth of a second."""

    def __enter__(self) -> int:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        port: int = self._server.getsockname()[1]
        return port

    def __exit__(self, *exception: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._trickle, args=(client,), daemon=True).start()

    def _trickle(self, client: socket.socket) -> None:
        client.recv(65536)
        try:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                client.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            return
