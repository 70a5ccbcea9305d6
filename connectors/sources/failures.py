"""What a failing source means: one table from status, code and exception to error class (architecture §5.5)."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

import httpx

from exchange_formats.errors import FatalError, TransientError

Failure = FatalError | TransientError


@dataclass(frozen=True, slots=True)
class Meaning:
    """One entry: which class, what happened (中文 / English), what a person can do."""

    fatal: bool
    what: str
    hint: str = ""
    retry_after: timedelta | None = None

    def build(self, where: str, detail: str = "", *, retry_after: timedelta | None = None) -> Failure:
        """The error to raise; ``where`` names the endpoint, table or file."""
        message = f"{self.what}: {where}" + (f": {detail}" if detail else "")
        if self.fatal:
            return FatalError(message, hint=self.hint)
        return TransientError(message, retry_after=retry_after or self.retry_after, hint=self.hint)


_CREDENTIALS = "check login and password of the connection, and that they are still granted"
_UNREACHABLE = Meaning(
    fatal=False,
    what="连接不上 / the source cannot be reached",
    hint="check host and port of the connection, the network, and that the system is up",
)
_TIME_OUT = Meaning(
    fatal=False, what="超时 / the source did not answer in time", hint="see 'timeout' of the department's source"
)
_BROKEN_OFF = Meaning(fatal=False, what="连接中断 / the source broke the connection off")

#: HTTP status → meaning; a status that is not listed goes by its class (``explain_status``).
STATUSES: Mapping[int, Meaning] = MappingProxyType(
    {
        400: Meaning(fatal=True, what="请求被拒 / the source refuses the request", hint="check path and parameters"),
        401: Meaning(fatal=True, what="身份未通过 / the source refuses the login", hint=_CREDENTIALS),
        403: Meaning(fatal=True, what="没有权限 / the source refuses access", hint=_CREDENTIALS),
        404: Meaning(fatal=True, what="接口不存在 / there is no such endpoint", hint="check 'request.path'"),
        407: Meaning(fatal=True, what="代理拒绝 / a proxy asks for a login", hint=_CREDENTIALS),
        408: _TIME_OUT,
        425: Meaning(fatal=False, what="过早 / the source asks to come later"),
        429: Meaning(fatal=False, what="超出限速 / too many requests", hint="lower 'rate_limit' of the source"),
        500: Meaning(fatal=False, what="服务器内部错误 / the source failed"),
        501: Meaning(fatal=True, what="接口未实现 / the source does not offer this", hint="check 'request.path'"),
        502: Meaning(fatal=False, what="网关错误 / a gateway before the source failed"),
        503: Meaning(fatal=False, what="暂停服务 / the source is out of service"),
        504: Meaning(fatal=False, what="网关超时 / a gateway before the source waited in vain"),
    }
)

#: Code of the provincial data-sharing envelope (HTTP 200 all the same) → meaning; others are fatal.
SHARING_CODES: Mapping[str, Meaning] = MappingProxyType(
    {
        "01": Meaning(fatal=True, what="参数错误 / the platform calls a parameter wrong", hint="check 'request'"),
        "11": Meaning(fatal=True, what="appKey 不存在 / the platform does not know the appKey", hint=_CREDENTIALS),
        "13": Meaning(
            fatal=True, what="无接口权限 / the appKey is not granted this interface", hint="apply for the interface"
        ),
        "14": Meaning(fatal=True, what="签名错误 / the platform refuses the signature", hint=_CREDENTIALS),
        "15": Meaning(fatal=False, what="密钥过期 / the secret ran out and a new one did too"),
        "16": Meaning(
            fatal=True, what="时钟偏差 / this machine's clock and the platform's differ", hint="synchronise it (NTP)"
        ),
        "98": Meaning(fatal=False, what="数据未就绪 / the platform has no data yet", retry_after=timedelta(minutes=5)),
        "99": Meaning(fatal=False, what="系统繁忙 / the platform is busy"),
    }
)

#: Exception class of the HTTP client → meaning; the first that fits (``explain_http``).
HTTP_EXCEPTIONS: Mapping[type[Exception], Meaning] = MappingProxyType(
    {
        httpx.TimeoutException: _TIME_OUT,
        httpx.UnsupportedProtocol: Meaning(
            fatal=True, what="地址错误 / the address is wrong", hint="schema of the connection: http or https"
        ),
        httpx.ConnectError: _UNREACHABLE,
        httpx.NetworkError: _BROKEN_OFF,
        httpx.ProtocolError: _BROKEN_OFF,
        httpx.ProxyError: _UNREACHABLE,
        httpx.DecodingError: Meaning(fatal=False, what="压缩数据损坏 / the answer is damaged"),
        httpx.InvalidURL: Meaning(
            fatal=True, what="地址错误 / the address is wrong", hint="check host and port of the connection"
        ),
    }
)
_CERTIFICATE = Meaning(
    fatal=True,
    what="证书不可信 / the source's certificate is not trusted",
    hint="install its authority; the check is never turned off",
)

#: SQLSTATE, or its first two characters → meaning; the longer entry wins, others are fatal (``explain_sql_state``).
SQL_STATES: Mapping[str, Meaning] = MappingProxyType(
    {
        "08": _BROKEN_OFF,
        "22": Meaning(fatal=True, what="数据无法转换 / the database cannot convert a value"),
        "25": Meaning(fatal=True, what="事务状态错误 / the database refuses the transaction"),
        "28": Meaning(fatal=True, what="登录被拒 / the database refuses the login", hint=_CREDENTIALS),
        "3D": Meaning(fatal=True, what="数据库不存在 / there is no such database", hint="schema of the connection"),
        "40": Meaning(fatal=False, what="快照冲突 / the database broke the snapshot off"),
        "42": Meaning(fatal=True, what="语句被拒 / the database refuses the statement", hint="check 'table'"),
        "42501": Meaning(
            fatal=True, what="没有权限 / the login may not read this", hint="GRANT SELECT on the mapped columns"
        ),
        "42703": Meaning(fatal=True, what="缺少列 / there is no such column", hint="check 'columns'"),
        "42P01": Meaning(fatal=True, what="表不存在 / there is no such table or view", hint="check 'table.name'"),
        "53": Meaning(fatal=False, what="数据库资源不足 / the database is out of resources"),
        "55": Meaning(fatal=False, what="表被锁住 / the table is locked"),
        "57": Meaning(fatal=False, what="数据库停止服务 / the database is going down or starting"),
        "57014": _TIME_OUT,
        "58": Meaning(fatal=False, what="数据库系统错误 / the database has trouble with its machine"),
    }
)

#: What a refused database log-in says (it carries no SQLSTATE): first text found → meaning; none: unreachable.
LOGIN_TEXTS: Mapping[str, Meaning] = MappingProxyType(
    {
        "timeout expired": _TIME_OUT,
        "too many clients": SQL_STATES["53"],
        "remaining connection slots": SQL_STATES["53"],
        "too many connections": SQL_STATES["53"],
        "starting up": SQL_STATES["57"],
        "shutting down": SQL_STATES["57"],
        "recovery mode": SQL_STATES["57"],
        "no password supplied": SQL_STATES["28"],
        "authentication failed": SQL_STATES["28"],
        "认证失败": SQL_STATES["28"],
        "no pg_hba.conf entry": SQL_STATES["28"],
        "does not support SSL": Meaning(
            fatal=True, what="服务器不支持加密 / the server offers no TLS", hint="extra.sslmode of the connection"
        ),
        "certificate": _CERTIFICATE,
        '" does not exist': SQL_STATES["3D"],
        "FATAL": SQL_STATES["28"],
        "致命错误": SQL_STATES["28"],
    }
)

#: errno of a file operation → meaning; others are fatal.
FILE_ERRORS: Mapping[int, Meaning] = MappingProxyType(
    {
        errno.ENOENT: Meaning(
            fatal=False, what="目录或文件不在 / the folder or file is not there", hint="is the share mounted?"
        ),
        errno.EACCES: Meaning(fatal=True, what="没有权限 / no right to read", hint="check the rights of the folder"),
        errno.EPERM: Meaning(fatal=True, what="没有权限 / no right to read", hint="check the rights of the folder"),
        errno.EIO: Meaning(fatal=False, what="读取错误 / the storage failed"),
        errno.ESTALE: Meaning(fatal=False, what="共享失效 / the network share is stale"),
        errno.ETIMEDOUT: _TIME_OUT,
        errno.ENOTCONN: Meaning(fatal=False, what="共享断开 / the network share is not connected"),
        errno.EMFILE: Meaning(fatal=False, what="打开的文件过多 / too many open files"),
    }
)


def explain_status(status: int, where: str, *, retry_after: timedelta | None = None) -> Failure:
    """The error of an HTTP status that is no success."""
    by_class = {
        3: Meaning(fatal=True, what="被重定向 / the source redirects", hint="a login page? check host and path"),
        4: Meaning(fatal=True, what="请求被拒 / the source refuses the request"),
        5: Meaning(fatal=False, what="服务器错误 / the source failed"),
    }
    unexpected = Meaning(fatal=True, what="意外的状态码 / an unexpected status")
    meaning = STATUSES.get(status) or by_class.get(status // 100, unexpected)
    return meaning.build(where, f"HTTP {status}", retry_after=retry_after)


def explain_code(code: str, message: str, where: str) -> Failure:
    """The error of a data-sharing envelope whose code is not ``00``."""
    unknown = Meaning(fatal=True, what="平台拒绝 / the platform refuses", hint="ask the platform what the code means")
    return SHARING_CODES.get(code, unknown).build(where, f"code {code[:8]} {message[:60]}".rstrip())


def explain_http(error: Exception, where: str) -> Failure:
    """The error of an exception of the HTTP client; its text is not shown, it may carry the request."""
    if _has_certificate_problem(error):
        return _CERTIFICATE.build(where)
    for kind, meaning in HTTP_EXCEPTIONS.items():
        if isinstance(error, kind):
            return meaning.build(where, type(error).__name__)
    return Meaning(fatal=True, what="请求失败 / the request failed").build(where, type(error).__name__)


def _has_certificate_problem(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain_sql_state(state: str, where: str, detail: str = "") -> Failure:
    """The error of a SQLSTATE."""
    unknown = Meaning(fatal=True, what="数据库错误 / the database failed")
    meaning = SQL_STATES.get(state) or SQL_STATES.get(state[:2], unknown)
    return meaning.build(where, f"SQLSTATE {state}{f', {detail}' if detail else ''}")


def explain_login(text: str, where: str) -> Failure:
    """The error of a database log-in that failed; ``text`` is searched, never shown: it may carry the address."""
    for sign, meaning in LOGIN_TEXTS.items():
        if sign in text:
            return meaning.build(where)
    return _UNREACHABLE.build(where)


def explain_file(error: OSError, where: str) -> Failure:
    """The error of a file operation."""
    unknown = Meaning(fatal=True, what="文件不可读 / the file cannot be read")
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return FILE_ERRORS.get(error.errno or 0, unknown).build(where, name)


def time_out(where: str, seconds: float) -> TransientError:
    """The error of a call that took longer than it may."""
    return TransientError(f"{_TIME_OUT.what}: {where}: {seconds:g} s", hint=_TIME_OUT.hint)
