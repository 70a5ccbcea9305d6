"""A process that lands one pull and is killed by the kernel at a given write: ``python -m … FOLDER STEP before|after``.

STEP 0 lets it live. The connection ``lake`` comes from the environment, the bucket from XINQIAO_TEST_BUCKET.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from connectors.connection import read_connection
from connectors.object_store import MinioStore
from tests.pulls import Landings, later, penalty, penalty_mapping

#: Several parts, several batches in a part's month, rejects, versions and repeats.
FIRST = [penalty(number, CF_JDRQ=f"2025-0{1 + number % 3}-01") for number in range(300)]
SECOND = [
    *FIRST[:50],
    *(penalty(number, CF_NR_FK="9", updateTime="2026-06-02 08:00:00") for number in range(20)),
    *(penalty(number, CF_JDRQ=f"2024-0{1 + number % 2}-01") for number in range(1000, 1200)),
    penalty(2000, CF_JDRQ="broken"),
]


class KillingStore:
    """Passes everything on and kills its own process, with nothing left to clean up, at one write."""

    def __init__(self, store: MinioStore, step: int, *, after: bool) -> None:
        self._store = store
        self._step = step
        self._after = after
        self._writes = 0
        self.get_bytes = store.get_bytes
        self.get_file = store.get_file
        self.list_keys = store.list_keys
        self.exists = store.exists
        self.delete = store.delete

    def put_file(self, key: str, path: Path) -> None:
        self._count(lambda: self._store.put_file(key, path))

    def put_bytes(self, key: str, data: bytes) -> None:
        self._count(lambda: self._store.put_bytes(key, data))

    def _count(self, write: object) -> None:
        self._writes += 1
        if self._writes == self._step and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        assert callable(write)
        write()
        if self._writes == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def open_bucket() -> MinioStore:
    connection = read_connection("lake", os.environ)
    return MinioStore.open(replace(connection, extra={**connection.extra, "bucket": os.environ["XINQIAO_TEST_BUCKET"]}))


def main(folder: str, step: str, moment: str) -> None:
    store = KillingStore(open_bucket(), int(step), after=moment == "after")
    landings = Landings(store, Path(folder), penalty_mapping())
    landings.pull(SECOND, until=later(1))


if __name__ == "__main__":
    main(*sys.argv[1:])
