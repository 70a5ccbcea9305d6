"""The S3 adapter: errors by status, time-outs, one request an object; and the stand-in other tests use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import ClassVar

import pytest

from connectors.object_store import MinioStore, ObjectMissingError, ObjectStore
from exchange_formats.errors import FatalError, TransientError, XinqiaoError
from tests.fakes import MemoryStore
from tests.object_store_suite import ObjectStoreSuite


class TestMemoryStore(ObjectStoreSuite):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore()


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with what the test says, and keeps what it was asked."""

    status = 200
    content_type = "text/xml"
    body = b""
    delay = threading.Event()
    asked: ClassVar[list[tuple[str, str, int]]] = []
    headers_seen: ClassVar[list[str]] = []

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        type(self).asked.append((self.command, self.path, length))
        type(self).headers_seen += [name.lower() for name in self.headers]
        if self.status == 0:
            self.delay.wait(5)
            return
        self.send_response(self.status)
        self.send_header("Content-Type", self.content_type)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_HEAD = do_POST = _answer  # noqa: N815 - names the server asks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    _Answers.status, _Answers.content_type, _Answers.body = 200, "text/xml", b""
    _Answers.asked, _Answers.headers_seen, _Answers.delay = [], [], threading.Event()
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    _Answers.delay.set()
    running.shutdown()
    running.server_close()


def open_store(server: ThreadingHTTPServer, *, read_timeout: float = 5, retries: int = 0) -> MinioStore:
    endpoint = f"127.0.0.1:{server.server_address[1]}"
    return MinioStore(endpoint, "access", "secret", secure=False, read_timeout=read_timeout, retries=retries)


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (403, "AccessDenied", FatalError, "refuses"),
        (403, "InvalidAccessKeyId", FatalError, "refuses"),
        (400, "InvalidAccessKeyId", FatalError, "refuses"),
        (403, "RequestTimeTooSkewed", FatalError, "clocks differ"),
        (404, "NoSuchBucket", FatalError, "no such bucket"),
        (404, "NoSuchKey", ObjectMissingError, "no such object"),
        (500, "InternalError", TransientError, "busy"),
        (503, "SlowDown", TransientError, "busy"),
        (507, "XMinioStorageFull", FatalError, "disk is full"),
        (418, "Teapot", FatalError, "HTTP 418"),
    ],
)
@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8"])
def test_error_is_typed_by_status_when_the_server_refuses(
    server: ThreadingHTTPServer, status: int, code: str, error: type[XinqiaoError], words: str, content_type: str
) -> None:
    _Answers.status, _Answers.content_type = status, content_type
    _Answers.body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    with pytest.raises(error, match=words) as caught:
        open_store(server).get_bytes("landing/one")
    assert "landing/one" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_full_disk_is_named_when_the_server_only_says_so_in_its_text(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    _Answers.status = 500
    _Answers.body = b"<Error><Code>InternalError</Code><Message>write /data: no space left on device</Message></Error>"
    (tmp_path / "part").write_bytes(b"abc")
    with pytest.raises(FatalError, match="disk is full"):
        open_store(server).put_file("landing/one", tmp_path / "part")


def test_object_is_one_request_without_metadata_when_it_is_put(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(11 << 20))
    open_store(server).put_file("landing/one", tmp_path / "part")
    assert _Answers.asked == [("PUT", "/credit-lake/landing/one", 11 << 20)]
    unwanted = ("x-amz-meta", "x-amz-tagging", "x-amz-object-lock", "if-none-match")
    assert not [name for name in _Answers.headers_seen if name.startswith(unwanted)]


def test_store_is_asked_again_only_a_few_times_when_it_stays_busy(server: ThreadingHTTPServer) -> None:
    _Answers.status = 503
    with pytest.raises(TransientError):
        open_store(server, retries=2).put_bytes("landing/one", b"1")
    assert len(_Answers.asked) == 3


def test_silence_ends_in_a_transient_error_when_the_server_hangs(server: ThreadingHTTPServer) -> None:
    _Answers.status = 0
    started = monotonic()
    with pytest.raises(TransientError, match="cannot be reached"):
        open_store(server, read_timeout=0.3).get_bytes("landing/one")
    assert monotonic() - started < 3


def test_missing_server_is_a_transient_error_when_nothing_listens() -> None:
    store = MinioStore("127.0.0.1:9", "access", "secret", secure=False, retries=0)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9"):
        list(store.list_keys("landing/"))


def test_file_never_appears_half_written_when_the_answer_breaks_off(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(handler: _Answers) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"only this")
        handler.close_connection = True

    monkeypatch.setattr(_Answers, "do_GET", break_off)
    with pytest.raises(TransientError):
        open_store(server).get_file("landing/one", tmp_path / "part")
    assert list(tmp_path.iterdir()) == []
