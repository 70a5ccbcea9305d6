"""One process at a time on one machine, for work that must not be done twice at once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange_formats.errors import TransientError


@contextmanager
def work_alone(work: str, spool: Path) -> Iterator[None]:
    """Hold the lock of ``work`` in the folder ``spool``; TransientError at once where another process holds it."""
    spool.mkdir(parents=True, exist_ok=True)
    with (spool / f"{work}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError(f"另一个进程正在进行 another process is at work: {work}") from error
        yield
