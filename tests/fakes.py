"""Stand-ins for services in unit tests: plain, in memory, and able to die on command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectors.object_store import ObjectMissingError


class MemoryStore:
    """An object store in a dictionary; ``puts`` keeps the order in which objects were written."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []

    def put_file(self, key: str, path: Path) -> None:
        self.put_bytes(key, path.read_bytes())

    def put_bytes(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.puts.append(key)

    def get_bytes(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissingError(f"no such object: {key}", key=key)
        return self.objects[key]

    def get_file(self, key: str, path: Path) -> None:
        path.write_bytes(self.get_bytes(key))

    def list_keys(self, prefix: str) -> Iterator[str]:
        yield from [key for key in self.objects if key.startswith(prefix)]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


class DiedError(BaseException):
    """The process ended here: nothing may catch it, as nothing catches a kill."""


class DyingStore(MemoryStore):
    """A store whose client dies at the ``step``-th write: just before it, or just after it was done."""

    def __init__(self, step: int, *, after: bool, objects: dict[str, bytes] | None = None) -> None:
        super().__init__()
        self.objects = objects if objects is not None else {}
        self._step = step
        self._after = after

    def put_bytes(self, key: str, data: bytes) -> None:
        last = len(self.puts) + 1 == self._step
        if last and not self._after:
            raise DiedError
        super().put_bytes(key, data)
        if last:
            raise DiedError
