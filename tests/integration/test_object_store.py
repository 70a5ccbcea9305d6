"""The S3 adapter against the real development server: the suite of the stand-in, and what only a server shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.connection import read_connection
from connectors.object_store import MinioStore, ObjectStore
from exchange_formats.errors import FatalError, TransientError
from gateway.stack import Component, Stack, read_environment
from tests.object_store_suite import ObjectStoreSuite


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    stack = Stack(tmp_path_factory.mktemp("stack") / "home")
    try:
        stack.up((Component.S3,))
        yield dict(read_environment(stack.home.environment_file))
    finally:
        stack.down()


class TestRclone(ObjectStoreSuite):
    @pytest.fixture
    def store(self, environment: dict[str, str]) -> ObjectStore:
        return MinioStore.open(read_connection("lake", environment))


def test_wrong_secret_is_a_fatal_error_when_the_store_is_used(environment: dict[str, str]) -> None:
    lake = read_connection("lake", environment)
    store = MinioStore(f"{lake.host}:{lake.port}", lake.login, "not-the-secret", secure=False)
    with pytest.raises(FatalError, match="refuses") as caught:
        store.put_bytes("suite/never", b"1")
    assert "not-the-secret" not in str(caught.value)
    with pytest.raises(FatalError, match="refuses"):
        list(store.list_keys("suite/"))


def test_missing_bucket_is_a_fatal_error_when_the_store_is_used(environment: dict[str, str]) -> None:
    lake = read_connection("lake", environment)
    endpoint = f"{lake.host}:{lake.port}"
    store = MinioStore(endpoint, lake.login, lake.password, secure=False, bucket="no-such-bucket")
    with pytest.raises(FatalError, match="bucket"):
        store.put_bytes("suite/never", b"1")
    with pytest.raises(FatalError, match="bucket"):
        list(store.list_keys("suite/"))


def test_stopped_store_is_a_transient_error_when_it_is_used(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    try:
        stack.up((Component.S3,))
        connection = read_connection("lake", read_environment(stack.home.environment_file))
    finally:
        stack.down()
    store = MinioStore.open(connection)
    (tmp_path / "part").write_bytes(b"1")
    with pytest.raises(TransientError, match="cannot be reached"):
        store.put_file("landing/one", tmp_path / "part")
