"""Dialect ``provincial_sharing``: the provincial data-sharing gateway's log-in, envelope and retries (facts §7.3).

Two steps: ``refreshTokenByKey`` (signed with the appSecret) gives a refreshSecret (48 h)
and a requestSecret (15 min); ``refreshTokenBySec`` (signed with the refreshSecret) renews
both. A data call is signed with the requestSecret. Parameters travel as a form, so that
no signature stands in an access log.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from connectors.connection import Connection
from connectors.sources.failures import explain_code, explain_http, explain_status, time_out
from exchange_formats.errors import FatalError, TransientError

KEY_PATH = "/gateway/app/refreshTokenByKey.htm"
RENEWAL_PATH = "/gateway/app/refreshTokenBySec.htm"
MAXIMUM_ANSWER_BYTES = 64 * 1024 * 1024
_RENEW_EARLY = timedelta(minutes=3)
_ATTEMPTS = 4
# A longer wait is the scheduler's business, not this process's.
_LONGEST_WAIT = timedelta(seconds=60)
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A successful answer: its rows as they came (any JSON value) and what it says about the whole."""

    rows: tuple[object, ...]
    total: int
    pages: int
    count: int | None


@dataclass(frozen=True, slots=True)
class _Answer:
    body: Mapping[str, object]
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class _Secrets:
    refresh: str = field(repr=False)
    refresh_ends: datetime
    request: str = field(repr=False)
    request_ends: datetime


def sign_compat(app_key: str, secret: str, request_time: str) -> str:
    """md5 hex of the three run together: what the platform asks for.

    Weak: MD5 is broken and the construction is no MAC. It is here for compatibility
    only; confidentiality and integrity are TLS's part.
    """
    return hashlib.md5(f"{app_key}{secret}{request_time}".encode(), usedforsecurity=False).hexdigest()


class SharingClient:
    """Calls one platform with one appKey: paced, signed, retried, never without a time-out.

    Raises on any call:
        FatalError: credentials, contract.
        TransientError: unreachable, busy, out of time, damaged answers, after a few attempts.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout: timedelta,
        rate_limit: int,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base = _base_address(connection)
        self._key, self._secret = connection.login, connection.password
        self._seconds, self._gap = timeout.total_seconds(), 1 / rate_limit
        self._sleep, self._now = sleep, now
        self._next_call = 0.0
        self._secrets: _Secrets | None = None
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._seconds, connect=min(self._seconds, 10)),
            verify=_trust(connection, self._base),
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, path: str, parameters: Mapping[str, str]) -> Envelope:
        """One page of one endpoint."""
        return self._persist(lambda: self._read_envelope(self._call_signed(path, parameters), path))

    def _persist(self, call: Callable[[], Envelope]) -> Envelope:
        retrying = Retrying(
            retry=retry_if_exception(_is_worth_another),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(call)

    def _call_signed(self, path: str, parameters: Mapping[str, str]) -> _Answer:
        """A data call; a secret that ran out, or that a restarted platform forgot, is renewed once."""
        secrets = self._hold_secrets()
        answer = self._post(path, secrets.request, parameters)
        code = answer.body.get("code")
        if code in {"14", "15"}:
            self._secrets = self._renew(secrets) if code == "15" else self._log_in()
            answer = self._post(path, self._secrets.request, parameters)
        return answer

    def _hold_secrets(self) -> _Secrets:
        now = self._now()
        if self._secrets is None:
            self._secrets = self._log_in()
        elif self._secrets.request_ends - _RENEW_EARLY <= now:
            self._secrets = self._renew(self._secrets)
        return self._secrets

    def _log_in(self) -> _Secrets:
        return self._read_secrets(self._post(KEY_PATH, self._secret, {}), KEY_PATH)

    def _renew(self, held: _Secrets) -> _Secrets:
        if held.refresh_ends - _RENEW_EARLY > self._now():
            answer = self._post(RENEWAL_PATH, held.refresh, {})
            if answer.body.get("code") not in {"14", "15"}:
                return self._read_secrets(answer, RENEWAL_PATH)
        return self._log_in()

    def _read_secrets(self, answer: _Answer, path: str) -> _Secrets:
        self._check_code(answer, path)
        granted = _decode_datas(answer.body.get("datas"), self._name(path))
        held = granted if isinstance(granted, dict) else {}
        try:
            ends = [
                datetime.fromtimestamp(int(held[name]) / 1000, UTC)
                for name in ("refreshSecretEndTime", "requestSecretEndTime")
            ]
            return _Secrets(str(held["refreshSecret"]), ends[0], str(held["requestSecret"]), ends[1])
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise FatalError(
                f"令牌应答不合约定 / {self._name(path)}: the answer holds no secrets",
                hint="expected datas with refreshSecret, requestSecret and their end times in milliseconds",
            ) from None

    def _read_envelope(self, answer: _Answer, path: str) -> Envelope:
        self._check_code(answer, path)
        datas = _decode_datas(answer.body.get("datas"), self._name(path))
        rows = datas if isinstance(datas, list) else [] if datas is None else [datas]
        try:
            total = int(str(answer.body["totalDataCount"]))
            pages = int(str(answer.body.get("totalPage") or 0))
            count = answer.body.get("dataCount")
            return Envelope(tuple(rows), total, pages, None if count is None else int(str(count)))
        except (KeyError, ValueError):
            raise FatalError(
                f"应答不合约定 / {self._name(path)}: the envelope's counts are missing or no numbers",
                hint="expected dataCount, totalDataCount and totalPage",
            ) from None

    def _check_code(self, answer: _Answer, path: str) -> None:
        code, message = str(answer.body.get("code")), str(answer.body.get("msg") or "")
        if code == "00":
            return
        if code == "16" and answer.clock is not None:
            skew = (answer.clock - self._now()).total_seconds()
            message += f", platform minus here {skew:+.0f} s"
        raise explain_code(code, message, self._name(path))

    def _post(self, path: str, secret: str, parameters: Mapping[str, str]) -> _Answer:
        stamp = str(int(self._now().timestamp() * 1000))
        signed = {"appKey": self._key, "requestTime": stamp, "sign": sign_compat(self._key, secret, stamp)}
        self._pace()
        where = self._name(path)
        try:
            with self._client.stream("POST", self._base + path, data={**parameters, **signed}) as response:
                if response.status_code != httpx.codes.OK:
                    after = _read_retry_after(response.headers.get("Retry-After", ""), self._now())
                    raise explain_status(response.status_code, where, retry_after=after)
                body = self._read_body(response, where)
                clock = _read_http_date(response.headers.get("Date", ""))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise explain_http(error, where) from None
        return _Answer(_decode_body(body, where), clock)

    def _read_body(self, response: httpx.Response, where: str) -> bytes:
        """The body, within its size and within the time-out as a whole: a trickle is a hang, too."""
        deadline = time.monotonic() + self._seconds
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAXIMUM_ANSWER_BYTES:
                limit = MAXIMUM_ANSWER_BYTES // 1024 // 1024
                raise FatalError(f"应答过大 / {where}: more than {limit} MiB", hint="lower 'request.page_size'")
            if time.monotonic() > deadline:
                raise time_out(where, self._seconds)
        return bytes(body)

    def _pace(self) -> None:
        wait = self._next_call - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        self._next_call = time.monotonic() + self._gap

    def _name(self, path: str) -> str:
        return f"{self._base}{path}"


def _base_address(connection: Connection) -> str:
    if not connection.host or not connection.login or not connection.password:
        raise FatalError(
            f"连接不完整 / the connection '{connection.id}' needs host, login (appKey) and password (appSecret)",
            hint=f"see AIRFLOW_CONN_{connection.id.upper()}",
        )
    # Without a word about it, only this machine is spoken to in the clear.
    scheme = connection.schema or ("http" if connection.host in _LOCAL else "https")
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return f"{scheme}://{host}{f':{connection.port}' if connection.port else ''}"


def _trust(connection: Connection, base: str) -> ssl.SSLContext | bool:
    if not base.startswith("https:"):
        return True
    authority = connection.extra.get("ca_file")
    try:
        return ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError:
        raise FatalError(f"the connection '{connection.id}' names a ca_file that cannot be read") from None


def _is_worth_another(error: BaseException) -> bool:
    return isinstance(error, TransientError) and (error.retry_after or timedelta(0)) <= _LONGEST_WAIT


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TransientError) and error.retry_after is not None:
        return error.retry_after.total_seconds()
    return wait_exponential(multiplier=0.5, max=10)(state)


def _read_retry_after(text: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date; None where the header says neither."""
    if text.isascii() and text.isdigit() and len(text) < 9:
        return timedelta(seconds=int(text))
    moment = _read_http_date(text)
    return max(moment - now, timedelta(0)) if moment else None


def _read_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _decode_body(body: bytes, where: str) -> Mapping[str, object]:
    head = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if head == b"<":
        raise TransientError(
            f"得到网页而不是 JSON / {where}: an HTML page instead of JSON",
            hint="a log-in or maintenance page stands before the endpoint",
        )
    found = _decode_json(body, where)
    if not isinstance(found, dict) or "code" not in found:
        raise FatalError(
            f"应答不合约定 / {where}: not the data-sharing envelope", hint="expected an object with 'code'"
        )
    return found


def _decode_datas(datas: object, where: str) -> object:
    """``datas`` comes as JSON or as JSON inside a string."""
    if isinstance(datas, str):
        return _decode_json(datas.encode("utf-8", "surrogatepass"), where) if datas.strip() else None
    return datas


def _decode_json(text: bytes, where: str) -> object:
    """Numbers stay text: a price must not pass through a double."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except UnicodeDecodeError as error:
        if error.end < len(text):
            raise FatalError(f"编码错误 / {where}: not UTF-8 at byte {error.start}", hint="JSON is UTF-8") from None
        raise _cut_off(len(text), where) from None
    except (ValueError, RecursionError):
        raise _cut_off(len(text), where) from None


def _cut_off(size: int, where: str) -> TransientError:
    return TransientError(
        f"JSON 不完整 / {where}: not JSON, or cut off after {size} bytes", hint="the answer is damaged"
    )
