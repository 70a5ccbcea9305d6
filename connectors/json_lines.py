"""A file of JSON lines that a crash cannot spoil: appended, synchronised on demand, one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from exchange_formats.errors import FatalError

_BLOCK = 1 << 16


class JsonLinesFile:
    """Open with :func:`open_json_lines`; what was appended is durable after ``flush``."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path = path
        self._handle = handle

    def lines(self) -> Iterator[bytes]:
        """Every whole line so far, without its line end."""
        with self.path.open("rb") as reader:
            for line in reader:
                yield line.rstrip(b"\n")

    def append(self, line: bytes) -> None:
        """Add one line; ``line`` holds no line break."""
        with _typed(self.path):
            self._handle.write(line + b"\n")

    def flush(self) -> None:
        """Put everything appended on the disk.

        Raises:
            FatalError: the disk is full or broken.
        """
        with _typed(self.path):
            self._handle.flush()
            os.fsync(self._handle.fileno())


@contextmanager
def open_json_lines(path: Path) -> Iterator[JsonLinesFile]:
    """Open ``path`` for appending, alone; a half-written last line of a crash is cut off first.

    Raises:
        FatalError: another process writes it, or the folder cannot be written.
    """
    with _typed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("ab")
    try:
        _lock(handle, path)
        _cut_half_line(path, handle)
        opened = JsonLinesFile(path, handle)
        # Lines that an earlier process wrote count as taken from now on: they must be on the disk.
        opened.flush()
        yield opened
        opened.flush()
    finally:
        # After a failed flush, closing tries again to write what is buffered; its error is the same one.
        try:
            handle.close()
        except OSError:
            os.close(handle.fileno())


def _lock(handle: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FatalError(f"另一个进程正在写这个文件 another process is writing {path}") from error


def _cut_half_line(path: Path, handle: BinaryIO) -> None:
    size = path.stat().st_size
    end = size
    with path.open("rb") as reader:
        while end > 0:
            start = max(0, end - _BLOCK)
            reader.seek(start)
            found = reader.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
    if end == size:
        return
    with path.open("rb") as reader:
        reader.seek(end)
        # Every line of ours is an object. Anything else is somebody's file, given by mistake.
        if reader.read(1) != b"{":
            raise FatalError(f"{path}: 不是 JSON 行文件 not a file of JSON lines", hint="换一个文件 use another file")
    handle.truncate(end)


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        what = "磁盘已满 the disk is full" if full else f"无法写入 cannot be written: {error.strerror}"
        raise FatalError(
            f"{path}: {what}", hint="未写入的消息仍在队列中 unwritten messages are still in the queue"
        ) from error
