"""The provincial sharing dialect against a scripted platform: secrets, pages that move, broken answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from connectors.connection import Connection
from connectors.department import HttpSource
from connectors.sources import sharing_client
from connectors.sources.sharing import SharingReader
from connectors.sources.sharing_client import KEY_PATH, RENEWAL_PATH, sign_compat
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.manifests import Window
from tests.source_samples import NOW, WINDOW, make_department, read

PATH = "/gateway/api/001/dataSharing/x.htm"
CONNECTION = Connection("dept_sample_office", "http", "127.0.0.1", 80, "the-key", "the-app-secret")
Answer = httpx.Response


def rows(count: int) -> list[dict[str, Any]]:
    return [{"no": str(n), "code": "A", "day": None} for n in range(1, count + 1)]


@dataclass
class Platform:
    """Answers as the real one does, unless a test says otherwise for a call (by its number, from 1)."""

    data: list[Any] = field(default_factory=lambda: rows(5))
    as_string: bool = False
    special: dict[int, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    now: datetime = NOW
    slept: list[float] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    secrets: int = 0
    valid: set[str] = field(default_factory=set)

    def handle(self, request: httpx.Request) -> Answer:
        parameters = dict(parse_qsl(request.content.decode()))
        assert "sign" not in request.url.params, "nothing secret in the address"
        if request.url.path in {KEY_PATH, RENEWAL_PATH}:
            self.calls.append("key" if request.url.path == KEY_PATH else "renew")
            return Answer(200, json=self._grant(request.url.path, parameters))
        self.calls.append(f"page {parameters['pageNum']}")
        self.asked.append(parameters)
        envelope = self._page(parameters)
        special = self.special.get(len(self.asked))
        if special is None:
            return Answer(200, content=json.dumps(envelope).encode())
        changed = special(envelope)
        return changed if isinstance(changed, Answer) else Answer(200, json=changed)

    def _grant(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        secret = "the-app-secret" if path == KEY_PATH else f"refresh-{self.secrets}"
        if parameters["sign"] != sign_compat("the-key", secret, parameters["requestTime"]):
            return {"code": "14", "msg": "签名错误"}
        self.secrets += 1
        self.valid = {f"request-{self.secrets}"}
        granted = {
            "refreshSecret": f"refresh-{self.secrets}",
            "refreshSecretEndTime": _milliseconds(self.now + timedelta(hours=48)),
            "requestSecret": f"request-{self.secrets}",
            "requestSecretEndTime": str(_milliseconds(self.now + timedelta(minutes=15))),
        }
        return {"code": "00", "msg": "", "datas": json.dumps(granted)}

    def _page(self, parameters: dict[str, str]) -> dict[str, Any]:
        if not any(parameters["sign"] == sign_compat("the-key", one, parameters["requestTime"]) for one in self.valid):
            return {"code": "14", "msg": "签名错误"}
        page, size = int(parameters["pageNum"]), int(parameters["pageSize"])
        found = self.data[(page - 1) * size : page * size]
        return {
            "code": "00",
            "msg": "成功",
            "datas": json.dumps(found, ensure_ascii=False) if self.as_string else found,
            "dataCount": len(found),
            "totalDataCount": len(self.data),
            "totalPage": -(-len(self.data) // size),
            "requestId": f"r{len(self.asked)}",
        }

    def open(
        self, *, window: Window = WINDOW, connection: Connection = CONNECTION, rate: str = "1000/s", **mapping: Any
    ) -> SharingReader:
        source = {"kind": "http", "dialect": "provincial_sharing", "rate_limit": rate}
        department = make_department(source, {"request": {"path": PATH, "page_size": 2}, **mapping})
        assert isinstance(department.source, HttpSource)
        return SharingReader(
            department.source,
            department.datasets["complaint"],
            connection,
            window,
            sleep=self.slept.append,
            now=lambda: self.now,
            transport=httpx.MockTransport(self.handle),
        )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("as_string", [False, True], ids=["list", "string"])
def test_all_pages_are_read_when_datas_is_a(as_string: bool) -> None:  # noqa: FBT001
    platform = Platform(as_string=as_string)
    reader = platform.open()
    found, rejects = read(reader)
    assert [row["no"] for row in found] == ["1", "2", "3", "4", "5"]
    assert [row["_at"] for row in found][-2:] == [(f"{PATH} page 2", 2), (f"{PATH} page 3", 1)]
    assert (reader.expected_rows, rejects) == (5, [])
    assert platform.calls == ["key", "page 1", "page 2", "page 3"]


def test_nothing_is_read_when_the_platform_has_no_rows() -> None:
    reader = Platform(data=[]).open()
    assert read(reader) == ([], [])
    assert reader.expected_rows == 0


def test_numbers_stay_exact_when_they_come_as_json_numbers() -> None:
    text = '{"no": 9007199254740993, "code": 0.10, "day": true}'
    platform = Platform(data=rows(1))
    platform.special[1] = lambda envelope: Answer(
        200, text=json.dumps(envelope).replace(json.dumps(platform.data[0]), text)
    )
    found, _ = read(platform.open())
    assert (found[0]["no"], found[0]["code"], found[0]["day"]) == ("9007199254740993", "0.10", "true")


def test_the_window_is_asked_in_shanghai_time_when_there_is_a_watermark() -> None:
    platform = Platform(data=[{**row, "updateTime": "x"} for row in rows(1)])
    since = datetime(2026, 6, 29, 16, 30, 0, 900_000, tzinfo=UTC)
    read(platform.open(window=Window(since=since, until=NOW), watermark={"field": "updateTime"}))
    assert platform.asked[0]["updateTimeStart"] == "2026-06-30 00:30:00"
    assert platform.asked[0]["updateTimeEnd"] == "2026-06-30 12:00:00"


def test_everything_is_asked_for_when_the_dataset_is_a_snapshot() -> None:
    platform = Platform()
    read(platform.open(window=Window(since=NOW - timedelta(days=1), until=NOW), snapshot={}))
    assert not {"updateTimeStart", "updateTimeEnd"} & set(platform.asked[0])


def test_the_secret_is_renewed_once_and_the_call_repeated_when_it_ran_out() -> None:
    platform = Platform()
    platform.special[2] = lambda _: {"code": "15", "msg": "密钥已过期"}
    found, _ = read(platform.open())
    assert len(found) == 5
    assert platform.calls == ["key", "page 1", "page 2", "renew", "page 2", "page 3"]


def test_the_secret_is_renewed_early_when_it_is_about_to_run_out() -> None:
    platform = Platform()

    def wait(envelope: dict[str, Any]) -> dict[str, Any]:
        platform.now += timedelta(minutes=13)
        return envelope

    platform.special[1] = wait
    read(platform.open())
    assert platform.calls == ["key", "page 1", "renew", "page 2", "page 3"]


def test_a_new_login_is_made_when_the_refresh_secret_ran_out_too() -> None:
    platform = Platform()

    def wait(envelope: dict[str, Any]) -> dict[str, Any]:
        platform.now += timedelta(hours=49)
        return envelope

    platform.special[1] = wait
    read(platform.open())
    assert platform.calls == ["key", "page 1", "key", "page 2", "page 3"]


def test_a_new_login_is_made_when_a_restarted_platform_forgot_the_secret() -> None:
    platform = Platform()

    def forget(envelope: dict[str, Any]) -> dict[str, Any]:
        platform.valid = set()
        return envelope

    platform.special[1] = forget
    assert len(read(platform.open())[0]) == 5
    assert platform.calls == ["key", "page 1", "page 2", "key", "page 2", "page 3"]


def test_credentials_are_fatal_and_not_shown_when_the_app_secret_is_wrong() -> None:
    platform = Platform()
    wrong = Connection("dept_sample_office", "http", "127.0.0.1", 80, "the-key", "not-the-app-secret")
    with pytest.raises(FatalError, match="refuses the signature") as caught:
        read(platform.open(connection=wrong))
    assert "not-the-app-secret" not in str(caught.value)
    assert "the-app-secret" not in repr(CONNECTION)
    assert platform.calls == ["key"]
    assert not platform.slept


@pytest.mark.parametrize(("code", "kind"), [("01", FatalError), ("13", FatalError), ("98", TransientError)])
def test_a_refusal_is_typed_when_http_says_200(code: str, kind: type[Exception]) -> None:
    platform = Platform()
    platform.special[1] = lambda _: {"code": code, "msg": "拒绝"}
    with pytest.raises(kind, match=f"code {code} 拒绝"):
        read(platform.open())
    assert platform.calls == ["key", "page 1"]


def test_the_difference_is_shown_when_the_clocks_differ() -> None:
    platform = Platform()
    headers = {"Date": "Tue, 30 Jun 2026 04:10:00 GMT"}
    platform.special[1] = lambda _: Answer(200, json={"code": "16", "msg": "相差"}, headers=headers)
    with pytest.raises(FatalError, match=r"platform minus here \+600 s"):
        read(platform.open())


def test_a_busy_platform_is_asked_again_when_it_says_99() -> None:
    platform = Platform()
    platform.special[1] = lambda _: {"code": "99", "msg": "系统繁忙"}
    assert len(read(platform.open())[0]) == 5
    assert platform.slept


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_source_says_how_long_to_wait_when_it_is_overrun(status: int) -> None:
    platform = Platform()
    platform.special[1] = lambda _: Answer(status, headers={"Retry-After": "7"})
    assert len(read(platform.open())[0]) == 5
    assert 7.0 in platform.slept


def test_a_long_wait_is_left_to_the_scheduler() -> None:
    platform = Platform()
    platform.special[1] = lambda _: Answer(429, headers={"Retry-After": "Tue, 30 Jun 2026 05:00:00 GMT"})
    with pytest.raises(TransientError) as caught:
        read(platform.open())
    assert caught.value.retry_after == timedelta(hours=1)
    assert platform.calls == ["key", "page 1"]


def test_it_is_given_up_after_a_few_attempts_when_the_platform_stays_down() -> None:
    platform = Platform(special={n: lambda _: Answer(502) for n in range(1, 50)})
    with pytest.raises(TransientError, match="HTTP 502"):
        read(platform.open())
    assert platform.calls.count("page 1") == 4


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Answer(200, html="<!DOCTYPE html><html>请登录</html>"), TransientError, "HTML page instead of JSON"),
        (Answer(200, text='{"code": "00", "datas": [{"no'), TransientError, "not JSON, or cut off after 29 bytes"),
        (Answer(200, text=""), TransientError, "cut off after 0 bytes"),
        (Answer(200, content='{"code":"00","msg":"成功"}'.encode("gb18030")), FatalError, "not UTF-8 at byte"),
        (Answer(200, content='{"code":"00","msg":"成'.encode()[:-1]), TransientError, "cut off"),
        (Answer(200, json=["rows"]), FatalError, "not the data-sharing envelope"),
        (Answer(200, json={"code": "00", "datas": []}), FatalError, "counts are missing"),
        (Answer(200, text="[" * 100_000), TransientError, "not JSON"),
        (Answer(302, headers={"Location": "/login"}), FatalError, "redirects"),
        (Answer(200, json={"code": "00", "datas": "[{]", "totalDataCount": 1}), TransientError, "not JSON"),
    ],
    ids=[
        "html",
        "cut off",
        "empty",
        "gb18030",
        "cut inside a character",
        "a list",
        "no counts",
        "deep",
        "redirect",
        "broken datas",
    ],
)
def test_a_broken_answer_is_typed_and_names_the_endpoint(answer: Answer, kind: type[Exception], text: str) -> None:
    body = answer.content
    platform = Platform(
        special={
            n: lambda _: Answer(answer.status_code, content=body, headers={"Location": "/login"}) for n in range(1, 9)
        }
    )
    with pytest.raises(kind, match=text) as caught:
        read(platform.open())
    assert PATH in str(caught.value)


def test_good_data_comes_when_only_the_first_answer_was_a_web_page() -> None:
    platform = Platform(special={1: lambda _: Answer(200, html="<html>维护中</html>")})
    assert len(read(platform.open())[0]) == 5


@pytest.mark.parametrize("raised", [httpx.ReadTimeout, httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_failing_network_is_transient_when_it_does_not_recover(raised: type[httpx.TransportError]) -> None:
    def fail(_: dict[str, Any]) -> Answer:
        raise raised("sign=secret")

    platform = Platform(special=dict.fromkeys(range(1, 9), fail))
    with pytest.raises(TransientError) as caught:
        read(platform.open())
    assert "secret" not in str(caught.value)


def test_an_answer_is_refused_when_it_is_larger_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_client, "MAXIMUM_ANSWER_BYTES", 1024 * 1024)
    platform = Platform(data=[{"no": "1", "code": "x" * 2_000_000, "day": None}])
    with pytest.raises(FatalError, match="more than 1 MiB"):
        read(platform.open())


def test_a_10_mb_cell_passes_whole_so_that_landing_can_reject_its_row() -> None:
    huge = {"no": "1", "code": "x" * 10_000_000, "day": None}
    found, _ = read(Platform(data=[huge, *rows(1)]).open())
    assert [len(row["code"]) for row in found] == [10_000_000, 1]


def test_all_is_read_again_when_the_total_changes_while_paging() -> None:
    platform = Platform()
    platform.special[2] = lambda envelope: {**envelope, "totalDataCount": 6, "totalPage": 3}
    reader = platform.open()
    found, _ = read(reader)
    assert [row["no"] for row in found] == ["1", "2", "3", "4", "5"]
    assert platform.calls == ["key", "page 1", "page 2", "page 1", "page 2", "page 3"]


def test_it_is_given_up_when_the_total_never_stands_still() -> None:
    platform = Platform()
    totals = iter(range(6, 100))
    platform.special = {n: lambda envelope: {**envelope, "totalDataCount": next(totals)} for n in range(1, 50)}
    with pytest.raises(TransientError, match="kept moving"):
        read(platform.open())


def test_a_page_is_asked_again_when_it_is_empty_though_rows_are_missing() -> None:
    platform = Platform()
    platform.special[2] = lambda envelope: {**envelope, "datas": [], "dataCount": 0}
    assert len(read(platform.open())[0]) == 5
    assert platform.calls == ["key", "page 1", "page 2", "page 2", "page 3"]


def test_a_page_is_asked_again_when_it_repeats_the_one_before() -> None:
    platform = Platform()
    platform.special[2] = lambda envelope: {**envelope, "datas": rows(2), "requestId": "r1"}
    assert [row["no"] for row in read(platform.open())[0]] == ["1", "2", "3", "4", "5"]


def test_another_page_is_taken_when_only_the_request_id_repeats() -> None:
    platform = Platform()
    platform.special[2] = lambda envelope: {**envelope, "requestId": "r1"}
    assert len(read(platform.open())[0]) == 5
    assert platform.calls.count("page 2") == 1


def test_it_is_given_up_when_a_page_stays_short() -> None:
    platform = Platform(special={n: lambda e: {**e, "dataCount": 2, "datas": rows(1)} for n in range(1, 50)})
    with pytest.raises(TransientError, match="page 1 announces 2 rows and holds 1, asked 3 times"):
        read(platform.open())


def test_only_that_row_is_rejected_when_it_is_no_row() -> None:
    broken: list[Any] = [{"no": "1", "code": {"a": 1}, "day": None}, "text", {"no": "\ud800", "code": "A", "day": None}]
    platform = Platform(data=[*broken, *rows(1)])
    reader = platform.open()
    found, rejects = read(reader)
    assert [row["_at"] for row in found] == [(f"{PATH} page 2", 2)]
    assert [(one.origin[-6:], one.row, str(one.reason)) for one in rejects] == [
        ("page 1", 1, "row.malformed"),
        ("page 1", 2, "row.malformed"),
        ("page 2", 1, "row.malformed"),
    ]
    assert reader.expected_rows == len(found) + sum(one.rows for one in rejects)


def test_a_missing_column_stops_naming_endpoint_and_column() -> None:
    platform = Platform(data=[{"no": "1", "code": "A"}])
    with pytest.raises(FatalError, match=r"x\.htm page 1: missing columns: 'day'"):
        read(platform.open())


def test_an_unknown_column_stops_or_is_reported_as_configured() -> None:
    platform = Platform(data=[{**row, "phone": "1"} for row in rows(1)])
    with pytest.raises(FatalError, match="unknown columns: 'phone'"):
        read(platform.open())
    reader = platform.open(on_unknown_column="report")
    found, _ = read(reader)
    assert reader.unknown_columns == ("phone",)
    assert "phone" not in found[0]


def test_calls_keep_their_distance_when_the_rate_is_limited() -> None:
    platform = Platform()
    read(platform.open(rate="1/s"))
    assert len(platform.slept) == 3
    assert all(0.9 < one <= 1 for one in platform.slept[:1])


@pytest.mark.parametrize(
    ("host", "schema", "expected"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:80"),
        ("interface.example.invalid", "", "https://interface.example.invalid:80"),
        ("interface.example.invalid", "http", "http://interface.example.invalid:80"),
        ("::1", "https", "https://[::1]:80"),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_clear_unless_said(host: str, schema: str, expected: str) -> None:
    connection = Connection("c", "http", host, 80, "k", "s", schema)
    assert sharing_client._base_address(connection) == expected


def test_a_connection_is_fatal_when_it_lacks_its_secret() -> None:
    with pytest.raises(FatalError, match=r"needs host, login \(appKey\) and password"):
        Platform().open(connection=Connection("c", "http", "127.0.0.1", 80, "k"))
