"""Waiting for a call that has no time-out of its own, no longer than allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class PatienceError(Exception):
    """The call took too long. It may still be running: nothing of what it uses may be touched any more."""


class Worker:
    """One thread that makes all calls of one connection, so that the caller can stop waiting.

    A database driver blocks in C and cannot be interrupted where the server stands
    still with the connection open. The thread is a daemon: a call that never returns
    does not keep the process alive.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lost = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def lost(self) -> bool:
        """Whether a call took too long: the thread is given up, and its connection with it."""
        return self._lost

    def call(self, function: Callable[[], T], seconds: float) -> T:
        """What ``function`` returns or raises; PatienceError when that takes longer than ``seconds``."""
        results: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

        def run() -> None:
            try:
                results.put((function(), None))
            except BaseException as error:  # noqa: BLE001  (handed to the caller as it is)
                results.put((None, error))

        self._calls.put(run)
        try:
            value, error = results.get(timeout=seconds)
        except Empty:
            self._lost = True
            self.stop()
            raise PatienceError from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def stop(self) -> None:
        """Let the thread end after the calls it has."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
