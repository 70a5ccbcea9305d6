"""The two-step secret of the provincial data-sharing gateway (domain facts §7.3).

``sign`` is lower- or upper-case md5 hex of appKey + secret + requestTime: the appSecret when asking by key, the
refreshSecret when asking by secret, the requestSecret on data calls. The refreshSecret lives 48 hours, the
requestSecret 15 minutes. MD5 is what the departments' gateway speaks; it protects nothing else here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

REFRESH_SECONDS = 48 * 3600
REQUEST_SECONDS = 15 * 60
SKEW_SECONDS = 5 * 60
_FORGET_AFTER = 3600

OK = "00"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer: HTTP 200 with this code and message in the envelope."""

    code: str
    message: str


class RefusedError(Exception):
    """A call the gateway answers with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


BAD_PARAMETER = Refusal("01", "参数错误")
UNKNOWN_KEY = Refusal("11", "appKey不存在")
NO_PERMISSION = Refusal("13", "无接口访问权限")
WRONG_SIGN = Refusal("14", "签名错误")
EXPIRED = Refusal("15", "密钥已过期")
CLOCK_SKEW = Refusal("16", "请求时间与服务器时间相差超过5分钟")
NOT_READY = Refusal("98", "数据尚未就绪")
BUSY = Refusal("99", "系统繁忙, 请稍后再试")


@dataclass(frozen=True, slots=True, repr=False)
class AppKey:
    """Who may call: key, secret and the participant whose interfaces it opens."""

    key: str
    secret: str
    participant: str


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """An answer of either refresh call; end times are milliseconds since the epoch."""

    refresh_secret: str
    refresh_ends: int
    request_secret: str
    request_ends: int


@dataclass(slots=True)
class Gate:
    """Issues and checks secrets. Several clients may hold secrets of one key at once: a new one voids no other."""

    keys: Mapping[str, AppKey]
    clock: Callable[[], float]
    _refresh: dict[str, dict[str, float]] = field(default_factory=dict)
    _request: dict[str, dict[str, float]] = field(default_factory=dict)

    def refresh_by_key(self, parameters: Mapping[str, str]) -> Tokens:
        """Step 1: signed with the appSecret.

        Raises:
            RefusedError: what the gateway answers instead.
        """
        app = self._identify(parameters)
        self._check(parameters, app, {app.secret: float("inf")})
        return self._issue(app)

    def refresh_by_secret(self, parameters: Mapping[str, str]) -> Tokens:
        """Step 2: signed with a refreshSecret."""
        app = self._identify(parameters)
        self._check(parameters, app, self._refresh.get(app.key, {}))
        return self._issue(app)

    def admit(self, parameters: Mapping[str, str], participant: str) -> None:
        """A data call: signed with a requestSecret, on an interface of the key's own participant."""
        app = self._identify(parameters)
        self._check(parameters, app, self._request.get(app.key, {}))
        if app.participant != participant:
            raise RefusedError(NO_PERMISSION)

    def expire_requests(self) -> None:
        """Let every requestSecret run out now (for tests of the refresh)."""
        for known in self._request.values():
            for secret in known:
                known[secret] = self.clock() - 1

    def _identify(self, parameters: Mapping[str, str]) -> AppKey:
        app = self.keys.get(parameters.get("appKey", ""))
        if app is None:
            raise RefusedError(UNKNOWN_KEY)
        return app

    def _check(self, parameters: Mapping[str, str], app: AppKey, known: Mapping[str, float]) -> None:
        stated, sign = parameters.get("requestTime", ""), parameters.get("sign", "").lower()
        if not (stated.isascii() and stated.isdigit()) or len(sign) != 32:
            raise RefusedError(BAD_PARAMETER)
        if abs(self.clock() - int(stated) / 1000) > SKEW_SECONDS:
            raise RefusedError(CLOCK_SKEW)
        for secret, ends in known.items():
            if hmac.compare_digest(sign_request(app.key, secret, stated).encode(), sign.encode()):
                if ends < self.clock():
                    raise RefusedError(EXPIRED)
                return
        raise RefusedError(WRONG_SIGN)

    def _issue(self, app: AppKey) -> Tokens:
        now = self.clock()
        refresh, request = secrets.token_hex(16), secrets.token_hex(16)
        for held, secret, seconds in (
            (self._refresh, refresh, REFRESH_SECONDS),
            (self._request, request, REQUEST_SECONDS),
        ):
            fresh = {known: ends for known, ends in held.get(app.key, {}).items() if ends > now - _FORGET_AFTER}
            held[app.key] = fresh | {secret: now + seconds}
        return Tokens(refresh, int((now + REFRESH_SECONDS) * 1000), request, int((now + REQUEST_SECONDS) * 1000))


def sign_request(app_key: str, secret: str, request_time: str) -> str:
    """Lower-case md5 hex of the three parts run together."""
    return hashlib.md5(f"{app_key}{secret}{request_time}".encode()).hexdigest()  # noqa: S324  (the protocol's own)
