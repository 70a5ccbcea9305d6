"""The provincial data-sharing gateway over HTTP: tokens, paged interfaces, and a control path for tests.

Loopback only: ``/_control`` orders faults and needs no credentials.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from exchange_formats.errors import ConfigurationError
from gateway.simulators.connections import read_connection
from gateway.simulators.sharing_faults import Fault, FaultBook
from gateway.simulators.sharing_protocol import (
    BAD_PARAMETER,
    BUSY,
    NOT_READY,
    OK,
    AppKey,
    Gate,
    Refusal,
    RefusedError,
    Tokens,
)
from gateway.simulators.sharing_store import Endpoint, Shelf, ShelfReader, list_endpoints

LARGEST_PAGE = 5_000
_DEFAULT_PAGE = 100
_JSON = "application/json;charset=UTF-8"
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>统一身份认证</title></head><body>请登录</body></html>"
_GRACE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Query:
    """A checked data call: 1-based page, size, bounds of updateTime."""

    page: int
    size: int
    start: str
    end: str


class SharingServer:
    """One gateway serving what was seeded under ``home``; what is seeded later is picked up, until then code 98."""

    def __init__(self, home: Path, keys: Mapping[str, AppKey], clock: Callable[[], float] = time.time) -> None:
        self.gate = Gate(keys, clock)
        self.faults = FaultBook()
        self._clock = clock
        self._shelves = {endpoint: ShelfReader(home, endpoint) for endpoint in list_endpoints()}
        self._numbers = count(1)

    def build(self) -> FastAPI:
        """The ASGI application."""
        app = FastAPI(openapi_url=None)
        for path, refresh in (("ByKey", self.gate.refresh_by_key), ("BySec", self.gate.refresh_by_secret)):
            route = f"/gateway/app/refreshToken{path}.htm"
            app.add_api_route(route, self._token_route(refresh), methods=["GET", "POST"])
        for endpoint, reader in self._shelves.items():
            app.add_api_route(endpoint.path, self._data_route(endpoint, reader), methods=["GET", "POST"])
        app.add_api_route("/_control/faults", self._order_fault, methods=["POST"])
        app.add_api_route("/_control/faults", self._clear_faults, methods=["DELETE"])
        app.add_api_route("/healthz", self._health, methods=["GET"])
        return app

    def _token_route(self, refresh: Callable[[Mapping[str, str]], Tokens]) -> Callable[..., object]:
        async def route(request: Request) -> Response:
            fault = self.faults.take("", "token", 0)
            if fault is not None and (answer := await self._break_off(fault)):
                return answer
            try:
                tokens = refresh(await _read_parameters(request))
            except RefusedError as refused:
                return _answer(self._refuse(refused.refusal))
            granted = {
                "refreshSecret": tokens.refresh_secret,
                "refreshSecretEndTime": tokens.refresh_ends,
                "requestSecret": tokens.request_secret,
                "requestSecretEndTime": tokens.request_ends,
            }
            return _answer(self._envelope(json.dumps(granted), 1, 1, 1))

        return route

    def _data_route(self, endpoint: Endpoint, reader: ShelfReader) -> Callable[..., object]:
        async def route(request: Request) -> Response:
            parameters = await _read_parameters(request)
            number = _read_natural(parameters.get("pageNum", "1"))
            fault = self.faults.take(endpoint.participant, endpoint.dataset, number)
            if fault is not None and (answer := await self._break_off(fault)):
                return answer
            try:
                self.gate.admit(parameters, endpoint.participant)
                body = self._page(endpoint, reader.read(), _read_query(parameters), fault)
            except RefusedError as refused:
                return _answer(self._refuse(refused.refusal))
            if fault is not None and fault.kind == "truncated":
                body = body[: len(body) // 2]
            return _answer(body)

        return route

    async def _break_off(self, fault: Fault) -> Response | None:
        """The answer of a fault that never reaches the data; ``None`` lets the call go on."""
        if fault.kind == "http_status":
            headers = {"Retry-After": str(fault.retry_after)}
            return Response("", status_code=fault.status, headers=headers, media_type="text/plain")
        if fault.kind == "html":
            return Response(_LOGIN_PAGE, media_type="text/html")
        if fault.kind == "refusal":
            return _answer(self._refuse(Refusal(fault.code, BUSY.message)))
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "expire_secrets":
            self.gate.expire_requests()
        return None

    def _page(self, endpoint: Endpoint, shelf: Shelf | None, query: _Query, fault: Fault | None) -> bytes:
        if shelf is None:
            raise RefusedError(NOT_READY)
        first, last = shelf.window(query.start, query.end)
        start = first + (query.page - 1) * query.size
        lines = list(shelf.lines[start : min(start + query.size, last)])
        total = last - first
        kind = fault.kind if fault else None
        if kind == "empty_page":
            lines = []
        if fault is not None and kind == "rows":
            lines = [json.dumps(dict(row), ensure_ascii=False) for row in fault.rows]
        pages = -(-total // query.size)
        if kind == "total_page_change":
            total, pages = total + 1, pages + 1
        datas = f"[{','.join(lines)}]"
        if endpoint.as_string:
            datas = json.dumps(datas, ensure_ascii=False)
        return self._envelope(datas, len(lines), total, pages, repeat=kind == "same_request_id")

    def _envelope(self, datas: str, rows: int, total: int, pages: int, *, repeat: bool = False) -> bytes:
        number = 0 if repeat else next(self._numbers)
        head = json.dumps({"code": OK, "msg": "成功", "data": None}, ensure_ascii=False)[:-1]
        counts = f'"dataCount":{rows},"totalDataCount":{total},"totalPage":{pages}'
        return f'{head},"datas":{datas},{counts},"requestId":"{number:032x}","interfaces":null}}'.encode()

    def _refuse(self, refusal: Refusal) -> bytes:
        body = {
            "code": refusal.code,
            "msg": refusal.message,
            "data": None,
            "datas": None,
            "dataCount": 0,
            "totalDataCount": 0,
            "totalPage": 0,
            "requestId": f"{next(self._numbers):032x}",
            "interfaces": None,
        }
        return json.dumps(body, ensure_ascii=False).encode()

    async def _order_fault(self, request: Request) -> Response:
        try:
            self.faults.order(Fault.model_validate_json(await request.body()))
        except ValidationError as error:
            return Response(error.json(include_url=False), status_code=422, media_type=_JSON)
        return Response(status_code=204)

    async def _clear_faults(self) -> Response:
        self.faults.clear()
        return Response(status_code=204)

    async def _health(self) -> Response:
        shelves = {f"{e.participant}/{e.dataset}": reader.read() for e, reader in self._shelves.items()}
        rows = {name: len(shelf.lines) if shelf else None for name, shelf in shelves.items()}
        return _answer(json.dumps({"status": "ok", "rows": rows}).encode())


def read_app_keys(environment: Mapping[str, str]) -> dict[str, AppKey]:
    """The callers' keys, taken from the connections the gateway itself uses; who has none cannot call.

    Raises:
        ConfigurationError: nobody has a connection, or two participants share one appKey.
    """
    keys: dict[str, AppKey] = {}
    for participant in dict.fromkeys(endpoint.participant for endpoint in list_endpoints()):
        connection = read_connection(f"dept_{participant}", environment)
        if connection is None:
            continue
        if connection.login in keys:
            raise ConfigurationError(f"dept_{participant}: its appKey (login) belongs to another participant")
        keys[connection.login] = AppKey(connection.login, connection.password, participant)
    if not keys:
        raise ConfigurationError("no AIRFLOW_CONN_DEPT_<ID> of an API is set", hint="run xinqiao up, or set them")
    return keys


def serve(home: Path, port: int, environment: Mapping[str, str], host: str = "127.0.0.1") -> None:
    """Serve until told to stop (SIGINT, SIGTERM)."""
    app = SharingServer(home, read_app_keys(environment)).build()
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )


def _answer(body: bytes) -> Response:
    return Response(body, media_type=_JSON)


async def _read_parameters(request: Request) -> dict[str, str]:
    """Query string and, on POST, form fields; a form field wins."""
    parameters = dict(request.query_params)
    if request.method == "POST":
        parameters |= dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    return parameters


def _read_query(parameters: Mapping[str, str]) -> _Query:
    page = _read_natural(parameters.get("pageNum", "1"))
    size = _read_natural(parameters.get("pageSize", str(_DEFAULT_PAGE)))
    start, end = parameters.get("updateTimeStart", ""), parameters.get("updateTimeEnd", "")
    bounds_hold = all(not bound or _is_instant(bound) for bound in (start, end))
    if page < 1 or not 1 <= size <= LARGEST_PAGE or not bounds_hold:
        raise RefusedError(BAD_PARAMETER)
    return _Query(page, size, start, end)


def _read_natural(text: str) -> int:
    """The number a parameter says, 0 when it says none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def _is_instant(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").strftime("%Y-%m-%d %H:%M:%S") == text  # noqa: DTZ007
    except ValueError:
        return False
