"""The object store: put, get, list. The only file that knows which S3 client is used.

What the stores disagree on is never asked for: no tags, no locks, no versions, no
conditions, no metadata (reliability §3.3, §3.4: one server answers 200 to a tag and
replaces the object). An object is one PUT, so it is there whole or not at all.
Errors are told apart by HTTP status, because not every server labels its XML.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from connectors.connection import Connection
from exchange_formats.errors import FatalError, TransientError, XinqiaoError
from exchange_formats.keys import BUCKET

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
RETRIES = 2
#: The client cuts an object into several requests above its part size; one request needs a larger part size.
_SMALLEST_PART = 5 << 20
_LARGEST_PUT = 5 << 30
_CHUNK = 1 << 20
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_FULL = ("no space left", "storagefull", "storage full", "disk full", "insufficient storage", "not enough space")


class ObjectMissingError(FatalError):
    """There is no such object; ``key`` says which."""

    def __init__(self, message: str, *, key: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


class ObjectStore(Protocol):
    """What the gateway asks of a store. Objects are never overwritten with other bytes and never changed.

    Every method may raise TransientError (store away or busy) and FatalError
    (credentials, no bucket, store full); the readers raise ObjectMissingError.
    """

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file under ``key`` in one request."""

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key`` in one request."""

    def get_bytes(self, key: str) -> bytes:
        """The whole object."""

    def get_file(self, key: str, path: Path) -> None:
        """Write the whole object to ``path``; the file appears complete or not at all."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with ``prefix``, in no promised order."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    def delete(self, key: str) -> None:
        """Remove an object; no error if there is none. A bucket that keeps versions keeps them: the lake's may not."""


class MinioStore:
    """An ``ObjectStore`` on any S3 server; signed requests, own time-outs, few retries."""

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        *,
        bucket: str = BUCKET,
        secure: bool = True,
        region: str = "us-east-1",
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        retries: int = RETRIES,
    ) -> None:
        self._endpoint = endpoint
        self._bucket = bucket
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,  # given, so that the client does not ask the server for it
            http_client=_open_pool(connect_timeout, read_timeout, retries),
        )

    @classmethod
    def open(cls, connection: Connection) -> MinioStore:
        """The store a connection names: host, port, login, password; extra ``bucket``, ``secure``, ``region``."""
        extra = connection.extra
        endpoint = f"{connection.host}:{connection.port}" if connection.port else str(connection.host)
        if not connection.host or not connection.login or not connection.password:
            raise FatalError(
                f"对象存储连接不完整 / the connection '{connection.id}' is incomplete",
                hint="it needs host, login (access key) and password (secret key)",
            )
        return cls(
            endpoint,
            connection.login,
            connection.password,
            bucket=str(extra.get("bucket") or BUCKET),
            secure=bool(extra.get("secure", True)),
            region=str(extra.get("region") or "us-east-1"),
        )

    def __repr__(self) -> str:
        return f"MinioStore({self._endpoint}/{self._bucket})"

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file in one request; the request holds the file in memory, so parts are kept small."""
        with path.open("rb") as file:
            self._put(key, file, path.stat().st_size)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store ``data`` in one request."""
        self._put(key, io.BytesIO(data), len(data))

    def get_bytes(self, key: str) -> bytes:
        """The whole object."""
        buffer = io.BytesIO()
        for chunk in self._stream(key):
            buffer.write(chunk)
        return buffer.getvalue()

    def get_file(self, key: str, path: Path) -> None:
        """Write the whole object to ``path`` through a temporary name beside it."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.partial")
        try:
            with partial.open("xb") as file:
                for chunk in self._stream(key):
                    file.write(chunk)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with ``prefix``."""
        with self._typed("list", prefix):
            for item in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                yield str(item.object_name)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            with self._typed("look for", key):
                self._client.stat_object(self._bucket, key)
        except ObjectMissingError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove an object; no error if there is none."""
        with suppress(ObjectMissingError), self._typed("delete", key):
            self._client.remove_object(self._bucket, key)

    def _put(self, key: str, data: BinaryIO, length: int) -> None:
        if length > _LARGEST_PUT:
            raise FatalError(f"对象过大 / '{key}' has {length} bytes, more than one request may carry")
        with self._typed("store", key):
            self._client.put_object(
                self._bucket,
                key,
                data,
                length,
                part_size=max(length, _SMALLEST_PART),
            )

    def _stream(self, key: str) -> Iterator[bytes]:
        with self._typed("read", key):
            response = self._client.get_object(self._bucket, key)
            try:
                yield from response.stream(_CHUNK)
            finally:
                response.close()
                response.release_conn()

    @contextmanager
    def _typed(self, verb: str, key: str) -> Iterator[None]:
        """Turn the client's errors into ours; the message names the store, the verb and the key."""
        where = f"{verb} '{key}' at {self._endpoint}/{self._bucket}"
        try:
            yield
        except (S3Error, InvalidResponseError, ServerError) as error:
            status, code, text = _read_error(error)
            raise _explain(status, code, text, where, key) from error
        except MinioException as error:
            raise FatalError(f"对象存储错误 / cannot {where}: {type(error).__name__}") from error
        except urllib3.exceptions.HTTPError as error:
            raise _explain_transport(error, where) from error


def _open_pool(connect_timeout: float, read_timeout: float, retries: int) -> urllib3.PoolManager:
    # The last answer is handed over instead of "too many errors", so that its status and text can be told.
    policy = urllib3.Retry(
        total=retries,
        backoff_factor=0.2,
        status_forcelist=(502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
    return urllib3.PoolManager(timeout=timeout, retries=policy, maxsize=4)


def _read_error(error: S3Error | InvalidResponseError | ServerError) -> tuple[int, str, str]:
    """(HTTP status, S3 code if the server labelled its XML, the text it sent)."""
    if isinstance(error, S3Error):
        return int(error.response.status), str(error.code or ""), str(error.message or "")
    if isinstance(error, ServerError):
        return int(error.status_code), "", ""
    body = str(error._body or "")  # noqa: SLF001 - the only place where the client keeps an unlabelled answer
    start, end = body.find("<Code>"), body.find("</Code>")
    return int(error._code), body[start + 6 : end] if 0 <= start < end else "", body  # noqa: SLF001


def _explain(status: int, code: str, text: str, where: str, key: str) -> XinqiaoError:
    detail = f"HTTP {status} {code}".strip()
    if status == 507 or any(mark in f"{code} {text}".lower() for mark in _FULL):
        return FatalError(
            f"对象存储磁盘已满 / the object store's disk is full: cannot {where} ({detail})",
            hint="free space on the store, then run again: nothing was half-written",
        )
    if status == 404 and code != "NoSuchBucket":
        return ObjectMissingError(f"对象不存在 / no such object: cannot {where}", key=key)
    if status in {401, 403} or code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"}:
        hint = "check the connection's login and password" + ("; the clocks differ" if "Skewed" in code else "")
        return FatalError(f"对象存储拒绝访问 / the object store refuses: cannot {where} ({detail})", hint=hint)
    if code == "NoSuchBucket":
        return FatalError(f"存储桶不存在 / there is no such bucket: cannot {where}", hint="create it first")
    if status in _BUSY:
        return TransientError(
            f"对象存储忙 / the object store is busy: cannot {where} ({detail})", retry_after=timedelta(seconds=30)
        )
    return FatalError(f"对象存储错误 / the object store answers {detail}: cannot {where}")


def _explain_transport(error: urllib3.exceptions.HTTPError, where: str) -> XinqiaoError:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.SSLError):
        hint = "check the certificate, or `secure` in the connection"
        return FatalError(f"TLS 失败 / TLS fails: cannot {where}", hint=hint)
    return TransientError(
        f"对象存储不可达 / the object store cannot be reached: cannot {where} ({type(reason).__name__})",
        retry_after=timedelta(seconds=30),
        hint="is it running? `xinqiao status` tells for the local stack",
    )
