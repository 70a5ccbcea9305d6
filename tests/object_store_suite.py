"""What every object store must do: the same tests for the stand-in and for real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.object_store import ObjectMissingError, ObjectStore


class ObjectStoreSuite:
    """Inherit and provide a ``store`` fixture; keys below ``suite/`` are the suite's."""

    def test_object_is_read_back_when_it_was_put(self, store: ObjectStore) -> None:
        store.put_bytes("suite/a/b=c/object.json", b'{"a":1}')
        assert store.get_bytes("suite/a/b=c/object.json") == b'{"a":1}'

    def test_key_may_hold_chinese_and_equals_signs_when_put(self, store: ObjectStore) -> None:
        store.put_bytes("suite/数据=一/对象 1.bin", b"x")
        assert store.get_bytes("suite/数据=一/对象 1.bin") == b"x"
        assert list(store.list_keys("suite/数据=一/")) == ["suite/数据=一/对象 1.bin"]

    @pytest.mark.parametrize("size", [0, 1, 12 << 20])
    def test_file_is_read_back_when_it_is_of_any_size(self, store: ObjectStore, tmp_path: Path, size: int) -> None:
        data = bytes(range(256)) * (size // 256) + bytes(size % 256)
        (tmp_path / "in").write_bytes(data)
        store.put_file(f"suite/sizes/{size}", tmp_path / "in")
        store.get_file(f"suite/sizes/{size}", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == data

    def test_missing_object_is_a_typed_error_when_read(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(ObjectMissingError, match="suite/nothing") as caught:
            store.get_bytes("suite/nothing")
        assert caught.value.key == "suite/nothing"
        with pytest.raises(ObjectMissingError):
            store.get_file("suite/nothing", tmp_path / "nothing")
        assert list(tmp_path.iterdir()) == [], "nothing is left where a file could not be written"

    def test_exists_tells_when_an_object_is_there(self, store: ObjectStore) -> None:
        store.put_bytes("suite/there", b"1")
        assert store.exists("suite/there")
        assert not store.exists("suite/not-there")

    def test_listing_is_empty_when_nothing_has_the_prefix(self, store: ObjectStore) -> None:
        assert list(store.list_keys("suite/no/such/prefix/")) == []

    def test_listing_holds_every_key_when_there_are_more_than_one_page(self, store: ObjectStore) -> None:
        keys = {f"suite/many/part={number % 7}/{number:05d}" for number in range(1100)}
        for key in keys:
            store.put_bytes(key, b"")
        assert set(store.list_keys("suite/many/")) == keys
        assert len(list(store.list_keys("suite/many/part=3/"))) == len([k for k in keys if "part=3/" in k])

    def test_object_is_the_same_when_it_is_put_twice(self, store: ObjectStore) -> None:
        store.put_bytes("suite/twice", b"same")
        store.put_bytes("suite/twice", b"same")
        assert store.get_bytes("suite/twice") == b"same"
        assert list(store.list_keys("suite/twice")) == ["suite/twice"]

    def test_object_is_gone_when_it_was_deleted(self, store: ObjectStore) -> None:
        store.put_bytes("suite/gone", b"1")
        store.delete("suite/gone")
        store.delete("suite/gone")
        assert not store.exists("suite/gone")
        assert list(store.list_keys("suite/gone")) == []
