"""Text files as blocks of physical lines: bounded memory, any line ends, and a look at many lines at once."""

from __future__ import annotations

import codecs
from functools import cached_property
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.sources import limits
from exchange_formats.texts import Mask, Places

#: Bytes read at a time: what is parsed while it is still in a core's cache.
BLOCK = 2 * 2**20
_LF, _CR, _QUOTE = 10, 13, 34
_BOMS = {"utf-8": codecs.BOM_UTF8, "gb18030": "\ufeff".encode("gb18030")}

#: What stands behind a block: more of the file, its end, or a line that is too long to be held.
Behind = Literal["more", "end", "long line"]


class Block:
    """Some whole lines, in UTF-8; what could not be decoded stays undecodable.

    Attributes:
        data: the lines, each with its end (the file's last line may have none).
        behind: what follows the block.
    """

    def __init__(self, raw: bytes, encoding: str, behind: Behind) -> None:
        self.behind = behind
        self._raw = raw
        self._errors, self.data = "surrogateescape", raw
        if encoding != "utf-8" and not raw.isascii():
            # No encoding we accept uses CR or LF inside a character: the lines stay the same.
            self.data = raw.decode(encoding, "surrogateescape").encode("utf-8", "surrogatepass")
            self._errors = "surrogatepass"

    @cached_property
    def is_plain(self) -> bool:
        """Whether every line is certainly one record or blank: no quotes, decodable, none too long."""
        return b'"' not in self.data and self._is_utf8 and not self._may_hold_long_line()

    @cached_property
    def bounds(self) -> Places:
        """Where the lines begin, and the end of the last one: ``count + 1`` places."""
        return _find_bounds(self.data)

    @cached_property
    def raw_bounds(self) -> Places:
        """The same in the file's own encoding."""
        return self.bounds if self.data is self._raw else _find_bounds(self._raw)

    @property
    def size(self) -> int:
        """How many bytes of the file."""
        return len(self._raw)

    @property
    def count(self) -> int:
        """How many lines."""
        return len(self.bounds) - 1

    @cached_property
    def lengths(self) -> Places:
        """Bytes of each line with its end."""
        return np.diff(self.bounds)

    @cached_property
    def blank(self) -> Mask:
        """Lines with nothing in them."""
        firsts = np.frombuffer(self.data, np.uint8)[self.bounds[:-1]]
        blank: Mask = (firsts == _LF) | (firsts == _CR)
        return blank

    def read_line(self, line: int) -> str:
        """One line with its end; bytes outside the encoding are lone surrogates."""
        return self.data[self.bounds[line] : self.bounds[line + 1]].decode("utf-8", self._errors)

    def join(self, runs: list[tuple[int, int]]) -> bytes:
        """The lines of each run (first, behind the last), one after the other."""
        if runs == [(0, self.count)]:
            return self.data
        return b"".join(self.data[self.bounds[first] : self.bounds[end]] for first, end in runs)

    def find_doubtful(self, delimiter: str) -> Places:
        """Lines that may not be one whole record: blank, long, undecodable, or with quotes not just around cells."""
        bytes_ = np.frombuffer(self.data, np.uint8)
        doubtful = self.blank | (self.lengths > limits.CELL.most)
        if b'"' in self.data:
            doubtful |= self._find_odd_quotes(bytes_, delimiter)
        if not self._is_utf8:
            doubtful[self._find_undecodable()] = True
        return np.flatnonzero(doubtful)

    @cached_property
    def _is_utf8(self) -> bool:
        return self.data.isascii() or _is_utf8(self.data)

    def _may_hold_long_line(self) -> bool:
        """A line that is too long would take up at least one of these windows as a whole."""
        window = limits.CELL.most // 2
        return any(
            self.data.find(b"\n", start, start + window) < 0 for start in range(0, len(self.data) - window, window)
        )

    def _find_odd_quotes(self, bytes_: npt.NDArray[np.uint8], delimiter: str) -> Mask:
        """Lines with a quote that neither opens nor closes a cell, nor stands for one inside."""
        quotes = np.flatnonzero(bytes_ == _QUOTE)
        counts = np.diff(np.searchsorted(quotes, self.bounds))
        odd: Mask = counts % 2 == 1
        if odd.any():
            quotes = quotes[~np.repeat(odd, counts)]
        # In what is left, quotes take turns; the character outside the cell must be where cells begin and end.
        opening, closing = quotes[::2], quotes[1::2]
        before, after = bytes_[opening - 1], bytes_[np.minimum(closing + 1, len(bytes_) - 1)]
        before[opening == 0] = after[closing == len(bytes_) - 1] = _LF
        edges = np.zeros(256, np.bool_)
        edges[[_LF, _CR, _QUOTE, ord(delimiter)]] = True
        for places, outside in ((opening, before), (closing, after)):
            wrong = places[~edges[outside]]
            odd[np.searchsorted(self.bounds, wrong, side="right") - 1] = True
        return odd

    def _find_undecodable(self) -> list[int]:
        found, view, start = [], memoryview(self.data), 0
        while start < len(view):
            try:
                codecs.utf_8_decode(view[start:], "strict", True)  # noqa: FBT003  (positional only)
            except UnicodeDecodeError as error:
                line = int(np.searchsorted(self.bounds, start + error.start, side="right")) - 1
                found.append(line)
                start = int(self.bounds[line + 1])
            else:
                break
        return found


class LongLine:
    """A line above the limit, left out unread."""


class LineBlocks:
    """A text file, block by block: take ``next_block``, then ``consume`` what was used of it, or ``grow``."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._waiting = b""
        self._wanted = BLOCK
        self._began = self._ended = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def next_block(self) -> Block | LongLine | None:
        """The lines from here on, or the one line here that is too long; None at the end.

        Raises:
            FileBrokenError, OSError: the file cannot be read on.
        """
        self._fill(self._wanted)
        while not (end := self._find_end()):
            if not self._waiting and self._ended:
                return None
            if len(self._waiting) > limits.LINE.most:
                self._skip_line()
                return LongLine()
            self._fill(len(self._waiting) + BLOCK)
        behind: Behind = "more"
        if self._ended and end == len(self._waiting):
            behind = "end"
        elif len(self._waiting) - end > limits.LINE.most:
            behind = "long line"
        return Block(self._waiting[:end], self._encoding, behind)

    def consume(self, block: Block, lines: int | None = None) -> None:
        """Go on behind the first ``lines`` of the block, or behind all of them."""
        self._waiting = self._waiting[block.size if lines is None else block.raw_bounds[lines] :]
        self._wanted = BLOCK

    def grow(self) -> None:
        """The next block begins where this one did and holds more."""
        self._wanted *= 2

    def _fill(self, size: int) -> None:
        pieces, held = [self._waiting], len(self._waiting)
        size = size if self._began else max(size, 4)  # a whole byte order mark
        while held < size and not self._ended:
            piece = self._file.read(size - held)
            self._ended = not piece
            pieces.append(piece)
            held += len(piece)
        if not self._ended and len(pieces) > 1:
            # A block that ends with its last line need not be copied to be cut; most lines are short.
            pieces.append(self._file.readline(BLOCK // 32))
        self._waiting = b"".join(pieces)
        if not self._began:
            self._began = True
            self._waiting = self._waiting.removeprefix(_BOMS[self._encoding])

    def _find_end(self) -> int:
        """Where the last line that is known to be whole ends; 0 where none is."""
        if self._ended:
            return len(self._waiting)
        # A CR at the very end may be half of CR LF.
        return max(self._waiting.rfind(b"\n"), self._waiting.rfind(b"\r", 0, len(self._waiting) - 1)) + 1

    def _skip_line(self) -> None:
        while (end := self._find_first_end()) is None:
            self._waiting = self._waiting[-1:]
            self._fill(BLOCK)
        self._waiting = self._waiting[end:]

    def _find_first_end(self) -> int | None:
        """Where the first line ends; None where that cannot be told yet."""
        feed, carriage = self._waiting.find(b"\n"), self._waiting.find(b"\r")
        if carriage >= 0 and (carriage < len(self._waiting) - 1 or self._ended) and not 0 <= feed <= carriage + 1:
            return carriage + 1
        if feed >= 0:
            return feed + 1
        return len(self._waiting) if self._ended else None


def _find_bounds(data: bytes) -> Places:
    bytes_ = np.frombuffer(data, np.uint8)
    # One pass over the data: both line ends are among the few bytes this low.
    places = np.flatnonzero(bytes_ <= _CR)
    found = bytes_[places]
    ends = found == _LF
    returns = found == _CR
    if returns.any():
        ends |= returns & (bytes_[np.minimum(places + 1, len(bytes_) - 1)] != _LF)
    places = places[ends] + 1
    last = [] if len(places) and places[-1] == len(data) else [len(data)]
    return np.concatenate(([0], places, last)).astype(np.int64)


def _is_utf8(data: bytes) -> bool:
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
