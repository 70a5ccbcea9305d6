"""One table says what a failure means; every entry of it is tried here."""

from __future__ import annotations

import errno
import ssl
from datetime import timedelta

import httpx
import pytest

from connectors.sources import failures
from exchange_formats.errors import FatalError, TransientError, XinqiaoError

_STATUSES = {
    **dict.fromkeys((400, 401, 403, 404, 407, 501), FatalError),
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504), TransientError),
}
_BY_CLASS = {302: FatalError, 307: FatalError, 410: FatalError, 418: FatalError, 507: TransientError, 204: FatalError}
_CODES = {
    **dict.fromkeys(("01", "11", "13", "14", "16"), FatalError),
    **dict.fromkeys(("15", "98", "99"), TransientError),
}
_STATES = {
    **dict.fromkeys(("22", "25", "28", "3D", "42", "42501", "42703", "42P01"), FatalError),
    **dict.fromkeys(("08", "40", "53", "55", "57", "57014", "58"), TransientError),
}
_LOGINS = {
    **dict.fromkeys(
        (
            *("no password supplied", "authentication failed", "认证失败", "no pg_hba.conf entry", "certificate"),
            *("does not support SSL", '" does not exist', "FATAL", "致命错误"),
        ),
        FatalError,
    ),
    **dict.fromkeys(
        (
            *("timeout expired", "too many clients", "remaining connection slots", "too many connections"),
            *("starting up", "shutting down", "recovery mode"),
        ),
        TransientError,
    ),
}
_EXCEPTIONS: dict[type[Exception], type[XinqiaoError]] = {
    **dict.fromkeys((httpx.UnsupportedProtocol, httpx.InvalidURL), FatalError),
    **dict.fromkeys(
        (
            *(httpx.TimeoutException, httpx.ConnectError, httpx.NetworkError, httpx.ProtocolError),
            *(httpx.ProxyError, httpx.DecodingError),
        ),
        TransientError,
    ),
}
_FILES = {
    **dict.fromkeys(("EACCES", "EPERM"), FatalError),
    **dict.fromkeys(("ENOENT", "EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EMFILE"), TransientError),
}


def test_every_entry_is_tried_below() -> None:
    names = {errno.errorcode[number] for number in failures.FILE_ERRORS}
    assert set(failures.STATUSES) == set(_STATUSES)
    assert set(failures.SHARING_CODES) == set(_CODES)
    assert set(failures.SQL_STATES) == set(_STATES)
    assert set(failures.LOGIN_TEXTS) == set(_LOGINS)
    assert set(failures.HTTP_EXCEPTIONS) == set(_EXCEPTIONS)
    assert names == set(_FILES)


def check(error: XinqiaoError, kind: type[XinqiaoError]) -> None:
    assert type(error) is kind
    assert "the place" in str(error)
    assert any("\u4e00" <= sign <= "\u9fff" for sign in error.message), "the message is bilingual"


@pytest.mark.parametrize(("status", "kind"), [*_STATUSES.items(), *_BY_CLASS.items()])
def test_class_of_a_status(status: int, kind: type[XinqiaoError]) -> None:
    error = failures.explain_status(status, "the place")
    check(error, kind)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(("code", "kind"), [*_CODES.items(), ("77", FatalError), ("None", FatalError)])
def test_class_of_an_envelope_code(code: str, kind: type[XinqiaoError]) -> None:
    check(failures.explain_code(code, "消息", "the place"), kind)


@pytest.mark.parametrize(
    ("state", "kind"),
    [*((state.ljust(5, "0"), kind) for state, kind in _STATES.items()), ("XX000", FatalError), ("28P01", FatalError)],
)
def test_class_of_a_sql_state(state: str, kind: type[XinqiaoError]) -> None:
    error = failures.explain_sql_state(state, "the place")
    check(error, kind)
    assert f"SQLSTATE {state}" in str(error)


@pytest.mark.parametrize(("sign", "kind"), [*_LOGINS.items(), ("Connection refused", TransientError)])
def test_class_of_a_refused_login(sign: str, kind: type[XinqiaoError]) -> None:
    error = failures.explain_login(f'connection to "10.1.2.3" failed: {sign} password=hunter2', "the place")
    check(error, kind)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(("raised", "kind"), _EXCEPTIONS.items())
def test_class_of_a_client_exception(raised: type[Exception], kind: type[XinqiaoError]) -> None:
    error = failures.explain_http(raised("sign=abc"), "the place")
    check(error, kind)
    assert "abc" not in str(error)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(httpx.ReadTimeout, TransientError), (httpx.RemoteProtocolError, TransientError), (RuntimeError, FatalError)],
)
def test_class_of_an_exception_that_is_only_akin_to_an_entry(raised: type[Exception], kind: type[XinqiaoError]) -> None:
    check(failures.explain_http(raised("x"), "the place"), kind)


def test_an_untrusted_certificate_is_fatal_when_the_connection_fails_for_it() -> None:
    error = httpx.ConnectError("x")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    check(failures.explain_http(error, "the place"), FatalError)


@pytest.mark.parametrize(("name", "kind"), [*_FILES.items(), ("ENOSPC", FatalError)])
def test_class_of_a_file_error(name: str, kind: type[XinqiaoError]) -> None:
    error = failures.explain_file(OSError(getattr(errno, name), "text"), "the place")
    check(error, kind)
    assert name in str(error)


def test_the_source_decides_how_long_to_wait_when_it_says_so() -> None:
    told = failures.explain_status(503, "the place", retry_after=timedelta(seconds=7))
    assert isinstance(told, TransientError)
    assert told.retry_after == timedelta(seconds=7)
    unsaid = failures.explain_code("98", "", "the place")
    assert isinstance(unsaid, TransientError)
    assert unsaid.retry_after == timedelta(minutes=5)


def test_a_call_that_takes_too_long_is_transient() -> None:
    check(failures.time_out("the place", 30), TransientError)
