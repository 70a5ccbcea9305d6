"""The data-sharing gateway: two-step secret, pages, windows, and the faults tests order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from exchange_formats.errors import ConfigurationError
from gateway.simulators.departments import ECOLOGY, PLATFORM
from gateway.simulators.history import draw_history
from gateway.simulators.seeding import seed_sharing
from gateway.simulators.sharing_protocol import AppKey, sign_request
from gateway.simulators.sharing_server import SharingServer, read_app_keys
from gateway.simulators.sharing_store import list_endpoints
from gateway.simulators.universe import draw_universe

TODAY = date(2026, 6, 30)
SUBJECTS = 1_200
PATHS = {(endpoint.participant, endpoint.dataset): endpoint.path for endpoint in list_endpoints()}
KEYS = {"eco": AppKey("eco", "eco-secret", ECOLOGY), "plat": AppKey("plat", "plat-secret", PLATFORM)}
PROFILE, PENALTY = PATHS[ECOLOGY, "profile"], PATHS[ECOLOGY, "penalty"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """A client that signs by hand."""

    def __init__(self, http: httpx.Client, clock: Clock, key: str = "eco") -> None:
        self.http, self.clock, self.key = http, clock, key
        self.secrets: dict[str, Any] = {}

    def sign(self, secret: str, at: float | None = None) -> dict[str, str]:
        stated = str(int((self.clock.now if at is None else at) * 1000))
        return {"appKey": self.key, "requestTime": stated, "sign": sign_request(self.key, secret, stated)}

    def log_in(self) -> Caller:
        path = "/gateway/app/refreshTokenByKey.htm"
        self.secrets = self.http.get(path, params=self.sign(KEYS[self.key].secret)).json()["datas"]
        return self

    def fetch(self, path: str, **parameters: str | int) -> httpx.Response:
        signed = self.sign(self.secrets["requestSecret"])
        return self.http.get(path, params={**signed, **parameters})

    def ask(self, path: str, **parameters: str | int) -> dict[str, Any]:
        answer: dict[str, Any] = self.fetch(path, **parameters).json()
        return answer


@contextmanager
def running(server: SharingServer) -> Iterator[httpx.Client]:
    """A client of the server, served on a free loopback port."""
    config = uvicorn.Config(server.build(), port=0, log_level="error", timeout_graceful_shutdown=1)
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not served.started and time.monotonic() < deadline:
        time.sleep(0.005)
    port = served.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client
    finally:
        served.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    universe = draw_universe(subjects=SUBJECTS, seed=2019, today=TODAY)
    seed_sharing(home, universe, draw_history(universe))
    return home


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def served(home: Path, clock: Clock) -> Iterator[httpx.Client]:
    with running(SharingServer(home, KEYS, clock)) as client:
        yield client


@pytest.fixture
def http(served: httpx.Client) -> httpx.Client:
    """The shared server, without what earlier tests ordered; its clock only ever moves forward."""
    assert served.delete("/_control/faults").status_code == 204
    return served


@pytest.fixture
def caller(http: httpx.Client, clock: Clock) -> Caller:
    return Caller(http, clock).log_in()


def order(http: httpx.Client, **fault: Any) -> None:
    assert http.post("/_control/faults", json=fault).status_code == 204


def test_secrets_live_48_hours_and_15_minutes_when_issued(caller: Caller, clock: Clock) -> None:
    now = clock.now * 1000
    assert caller.secrets["refreshSecretEndTime"] - now == 48 * 3600 * 1000
    assert caller.secrets["requestSecretEndTime"] - now == 15 * 60 * 1000


def test_request_secret_expires_and_a_refresh_revives_the_caller_when_15_minutes_pass(
    caller: Caller, clock: Clock
) -> None:
    clock.now += 15 * 60 - 1
    assert caller.ask(PROFILE)["code"] == "00"
    clock.now += 2
    assert caller.ask(PROFILE)["code"] == "15"
    signed = caller.sign(caller.secrets["refreshSecret"])
    caller.secrets = caller.http.post("/gateway/app/refreshTokenBySec.htm", data=signed).json()["datas"]
    assert caller.ask(PROFILE)["code"] == "00"


def test_refresh_is_refused_when_48_hours_pass(caller: Caller, clock: Clock) -> None:
    clock.now += 48 * 3600 + 1
    signed = caller.sign(caller.secrets["refreshSecret"])
    assert caller.http.get("/gateway/app/refreshTokenBySec.htm", params=signed).json()["code"] == "15"


def test_earlier_secret_still_opens_when_another_client_logs_in(
    caller: Caller, http: httpx.Client, clock: Clock
) -> None:
    Caller(http, clock).log_in()
    assert caller.ask(PROFILE)["code"] == "00"


@pytest.mark.parametrize(("skew", "code"), [(299, "00"), (-299, "00"), (301, "16"), (-301, "16")])
def test_call_is_refused_when_clocks_differ_by_more_than_five_minutes(
    caller: Caller, clock: Clock, skew: int, code: str
) -> None:
    signed = caller.sign(caller.secrets["requestSecret"], clock.now + skew)
    assert caller.http.get(PROFILE, params=signed).json()["code"] == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sign": "0" * 32}, "14"),
        ({"sign": ""}, "01"),
        ({"requestTime": "soon"}, "01"),
        ({"appKey": "nobody"}, "11"),
        ({"pageNum": "0"}, "01"),
        ({"pageSize": "5001"}, "01"),
        ({"pageSize": "x"}, "01"),
        ({"updateTimeStart": "2026-06-01"}, "01"),
    ],
)
def test_call_is_refused_with_http_200_when_a_parameter_is_wrong(
    caller: Caller, change: dict[str, str], code: str
) -> None:
    response = caller.http.get(PROFILE, params={**caller.sign(caller.secrets["requestSecret"]), **change})
    assert (response.status_code, response.json()["code"], response.json()["datas"]) == (200, code, None)


def test_signature_is_accepted_when_in_upper_case(caller: Caller) -> None:
    signed = caller.sign(caller.secrets["requestSecret"])
    assert caller.http.get(PROFILE, params={**signed, "sign": signed["sign"].upper()}).json()["code"] == "00"


def test_interface_is_closed_when_it_belongs_to_another_participant(caller: Caller) -> None:
    assert caller.ask(PATHS[PLATFORM, "public_credit"])["code"] == "13"


def test_every_record_is_read_once_when_paging(http: httpx.Client, clock: Clock) -> None:
    caller = Caller(http, clock, "plat").log_in()
    path = PATHS[PLATFORM, "public_credit"]
    first = caller.ask(path, pageSize=500)
    records = list(first["datas"])
    for page in range(2, first["totalPage"] + 1):
        records += caller.ask(path, pageSize=500, pageNum=page)["datas"]
    assert first["totalDataCount"] == len(records) == len({r["ID"] for r in records})
    assert set(records[0]) == {"ID", "qymc", "uscc", "zjhm", "zhxyf", "pjdj", "pjsj", "updateTime"}
    assert all(len(r["zhxyf"].rpartition(".")[2]) == 2 for r in records)
    assert [r["updateTime"] for r in records] == sorted(r["updateTime"] for r in records)
    assert caller.ask(path, pageSize=500, pageNum=99)["datas"] == []


def test_datas_is_a_json_string_or_a_list_when_the_endpoint_says_so(caller: Caller) -> None:
    for endpoint in list_endpoints():
        if endpoint.participant != ECOLOGY:
            continue
        datas = caller.ask(endpoint.path)["datas"]
        assert isinstance(datas, str if endpoint.as_string else list), endpoint.dataset
        rows: list[dict[str, object]] = json.loads(datas) if isinstance(datas, str) else datas
        assert all(cell is None or isinstance(cell, str) for cell in rows[0].values())


def test_amounts_are_in_ten_thousand_yuan_when_served(caller: Caller) -> None:
    fined = [r for r in json.loads(caller.ask(PENALTY, pageSize=5000)["datas"]) if "罚款人民币" in r["CF_NR"]]
    assert fined
    for record in fined:
        yuan = record["CF_NR"].split("罚款人民币")[1].split("元")[0]
        assert f"{float(record['CF_NR_FK']) * 10_000:.2f}" == f"{float(yuan):.2f}"


def test_window_takes_its_start_and_leaves_its_end_when_filtered(caller: Caller) -> None:
    rows = caller.ask(PROFILE, pageSize=5000)["datas"]
    start, end = rows[10]["updateTime"], rows[20]["updateTime"]
    taken = caller.ask(PROFILE, pageSize=5000, updateTimeStart=start, updateTimeEnd=end)
    expected = [r for r in rows if start <= r["updateTime"] < end]
    assert taken["datas"] == expected
    assert taken["totalDataCount"] == len(expected) > 0


@pytest.mark.parametrize("status", [429, 500, 503])
def test_status_is_answered_once_when_ordered(caller: Caller, status: int) -> None:
    order(caller.http, kind="http_status", status=status, retry_after=7)
    refused = caller.fetch(PROFILE)
    assert (refused.status_code, refused.headers["Retry-After"]) == (status, "7")
    assert caller.fetch(PROFILE).status_code == 200


def test_fault_waits_for_its_page_when_ordered_for_one(caller: Caller) -> None:
    order(caller.http, kind="empty_page", dataset="profile", page=2)
    first = caller.ask(PROFILE, pageSize=50)
    second = caller.ask(PROFILE, pageSize=50, pageNum=2)
    assert (len(first["datas"]), second["datas"], second["totalPage"]) == (50, [], first["totalPage"])
    assert len(caller.ask(PROFILE, pageSize=50, pageNum=2)["datas"]) == 50


def test_totals_move_when_total_page_change_is_ordered(caller: Caller) -> None:
    before = caller.ask(PROFILE, pageSize=50)
    order(caller.http, kind="total_page_change")
    after = caller.ask(PROFILE, pageSize=50, pageNum=2)
    assert after["totalPage"] == before["totalPage"] + 1
    assert after["totalDataCount"] == before["totalDataCount"] + 1


def test_login_page_comes_with_http_200_when_html_is_ordered(caller: Caller) -> None:
    order(caller.http, kind="html")
    response = caller.fetch(PROFILE)
    assert (response.status_code, response.text[:9]) == (200, "<!DOCTYPE")


def test_body_is_no_json_when_truncated_is_ordered(caller: Caller) -> None:
    order(caller.http, kind="truncated")
    # It may end inside a character.
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        caller.fetch(PROFILE).json()


def test_code_is_answered_when_a_refusal_is_ordered(caller: Caller) -> None:
    order(caller.http, kind="refusal", code="99", times=2)
    assert [caller.ask(PROFILE)["code"] for _ in range(3)] == ["99", "99", "00"]


def test_secret_runs_out_early_when_expiry_is_ordered(caller: Caller) -> None:
    order(caller.http, kind="expire_secrets")
    assert caller.ask(PROFILE)["code"] == "15"
    assert caller.log_in().ask(PROFILE)["code"] == "00"


def test_request_id_repeats_when_ordered(caller: Caller) -> None:
    order(caller.http, kind="same_request_id", times=2)
    ids = [caller.ask(PROFILE)["requestId"] for _ in range(3)]
    assert ids[0] == ids[1] != ids[2]


def test_given_rows_are_served_when_ordered(caller: Caller) -> None:
    order(caller.http, kind="rows", dataset="penalty", rows=[{"CF_WSH": "x", "CF_JDRQ": "2999-01-01"}])
    assert json.loads(caller.ask(PENALTY)["datas"]) == [{"CF_WSH": "x", "CF_JDRQ": "2999-01-01"}]


def test_tokens_fail_when_a_token_fault_is_ordered(caller: Caller) -> None:
    order(caller.http, kind="http_status", dataset="token", status=500)
    signed = caller.sign("eco-secret")
    assert caller.http.get("/gateway/app/refreshTokenByKey.htm", params=signed).status_code == 500
    assert caller.http.get("/gateway/app/refreshTokenByKey.htm", params=signed).json()["code"] == "00"


def test_faults_are_forgotten_when_cleared(caller: Caller) -> None:
    order(caller.http, kind="html")
    assert caller.http.delete("/_control/faults").status_code == 204
    assert caller.ask(PROFILE)["code"] == "00"


def test_order_is_refused_when_the_kind_is_unknown(http: httpx.Client) -> None:
    assert http.post("/_control/faults", json={"kind": "gremlin"}).status_code == 422


def test_client_gives_up_when_the_answer_hangs(http: httpx.Client) -> None:
    order(http, kind="hang", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        http.get(PROFILE, timeout=0.3)


def test_interface_says_not_ready_and_then_serves_when_seeded_later(tmp_path: Path, clock: Clock) -> None:
    with running(SharingServer(tmp_path, KEYS, clock)) as client:
        caller = Caller(client, clock).log_in()
        assert caller.ask(PROFILE)["code"] == "98"
        for subjects in (60, 300):
            universe = draw_universe(subjects=subjects, seed=1, today=TODAY)
            rows = seed_sharing(tmp_path, universe, draw_history(universe))
            assert caller.ask(PROFILE)["totalDataCount"] == rows["ecology_environment/profile"]


def test_store_has_the_same_bytes_when_seeded_twice(home: Path, tmp_path: Path) -> None:
    universe = draw_universe(subjects=SUBJECTS, seed=2019, today=TODAY)
    seed_sharing(tmp_path, universe, draw_history(universe))
    names = sorted(path.relative_to(home) for path in home.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) == len(list_endpoints())
    for name in names:
        assert (home / name).read_bytes() == (tmp_path / name).read_bytes()


def test_app_keys_are_refused_when_two_participants_share_one() -> None:
    connection = json.dumps({"conn_type": "http", "host": "h", "port": 1, "login": "same", "password": "p"})
    environment = {f"AIRFLOW_CONN_DEPT_{one.upper()}": connection for one in (ECOLOGY, PLATFORM)}
    with pytest.raises(ConfigurationError, match="belongs to another participant"):
        read_app_keys(environment)
