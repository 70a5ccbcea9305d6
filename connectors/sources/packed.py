"""The bytes of a dropped text file, unpacked where its name ends in ``.gz``, and never more than the limits."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import IO, BinaryIO

from connectors.sources import limits
from connectors.sources.tables import FileBrokenError
from exchange_formats.rejects import Reason

_CHINESE = re.compile("[\u4e00-\u9fff]{2}")
#: Below this much the ratio says nothing: a small file of one repeated row packs as well as a bomb.
_RATIO_FROM = 16 * 2**20
_ARCHIVES = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip or xlsx", b"PK\x05\x06": "zip", b"\xd0\xcf\x11\xe0": "xls"}
_ARCHIVES |= {b"7z\xbc\xaf": "7z", b"Rar!": "rar", b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def open_text(path: Path, encoding: str = "utf-8") -> BinaryIO:
    """The file's text as bytes; ``.gz`` is unpacked once, and an archive inside or instead is refused.

    Raises:
        FileBrokenError: an archive, UTF-8 where ``encoding`` is another; from any later ``read``, too: cut off,
            damaged, or more than the limits.
        OSError: the file cannot be read.
    """
    file = path.open("rb")
    packed = path.suffix.lower() == ".gz"
    stream = io.BufferedReader(_Unpacked(file)) if packed else file
    try:
        _refuse_archive(stream.peek(8), packed=packed)
        if encoding != "utf-8":
            refuse_utf8(stream.peek(8))
    except BaseException:
        stream.close()
        raise
    return stream


def refuse_utf8(start: bytes) -> None:
    """For a file that is declared GB 18030: most UTF-8 can be read as such, and every name comes out as another.

    ``start`` are the file's first bytes. GB 18030 is UTF-8 only by chance, and never over two Chinese letters in a
    row and all the rest.

    Raises:
        FileBrokenError: it is UTF-8.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return
    if text.startswith("\ufeff") or _CHINESE.search(text):
        raise FileBrokenError(Reason.FILE_BROKEN, "it is UTF-8, and GB 18030 is declared: correct 'encoding'")


def _refuse_archive(start: bytes, *, packed: bool) -> None:
    for magic, name in _ARCHIVES.items():
        if start.startswith(magic):
            where = "an archive inside the gzip file" if packed else "an archive, not text"
            raise FileBrokenError(Reason.FILE_BROKEN, f"{where}: {name}")


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, counted while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._stream = gzip.GzipFile(fileobj=file)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read the next bytes; see ``open_text`` for what it raises."""
        try:
            count = self._stream.readinto(buffer)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            detail = f"not gzip, damaged, or cut off: {type(error).__name__}"
            raise FileBrokenError(Reason.FILE_BROKEN, detail) from None
        self._total += count
        if self._total > limits.UNPACKED.most:
            raise FileBrokenError(Reason.FILE_BROKEN, f"unpacks to more than {limits.UNPACKED}")
        if self._total > _RATIO_FROM and self._total > limits.RATIO.most * self._file.tell():
            raise FileBrokenError(Reason.FILE_BROKEN, f"unpacks to more than {limits.RATIO} its size")
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()
