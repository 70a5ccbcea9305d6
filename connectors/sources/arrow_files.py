"""Arrow IPC files and streams, read message by message and believed in nothing.

Sizes are looked at before memory is given for them: a message's own, and what compressed buffers
say they unpack to. Every batch is validated whole (offsets, UTF-8, lengths) before a row of it is
used. The footer of a file must say what the file holds, block by block; rows are read in the order
of the stream, so that a footer cannot hide or repeat any.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn, Self

import numpy as np
import pyarrow as pa

from connectors.sources import limits
from connectors.sources.contract import is_plain, show_name
from connectors.sources.model import PAGE_BYTES, PAGE_ROWS, RejectedInput, SourcePage
from connectors.sources.tables import FileBrokenError, Run, page_rows
from exchange_formats.rejects import Reason

_MAGIC = b"ARROW1"
_CONTINUED = b"\xff\xff\xff\xff"
#: Largest description of one message: 1,024 columns need far less.
_MAXIMUM_METADATA = 8 * 2**20
# What pyarrow raises for bytes that are no Arrow.
_UNSOUND = (pa.ArrowException, OSError, ValueError, IndexError, MemoryError, OverflowError)
# Fields of the flatbuffers of Message, RecordBatch and Footer, by their number in the format's schema.
_MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 2, 3
_BATCH_BUFFERS, _BATCH_COMPRESSION = 2, 3
_FOOTER_BLOCKS = 3


class _Block(NamedTuple):
    """Where a record batch lies: its message's offset and lengths."""

    offset: int
    metadata_length: int
    body_length: int


class ArrowTable:
    """One Arrow IPC file or stream; rows are counted from 1. See ``TextTable``."""

    header_hint = ""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self._header: list[str] = []
        self._found: list[_Block] = []
        self._file = path.open("rb")
        try:
            self._blocks = _read_footer(self._file, path)
            self._schema = self._read_schema()
            if self._blocks is not None:
                _check_footer_schema(path, self._schema)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def header(self) -> list[str]:
        """Column names, trimmed."""
        return self._header

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The rows, typed as they came; exact decimals as text."""
        return page_rows(
            self._read_runs([self.header.index(name) for name in columns], columns), columns, columns, self.origin
        )

    def _read_runs(self, places: Sequence[int], columns: Sequence[str]) -> Iterator[Run]:
        number = 1
        while (message := self._read_message()) is not None:
            batch = self._build_batch(message)
            chosen = pa.record_batch([_simplify(batch.column(place)) for place in places], names=list(columns))
            rows = min(PAGE_ROWS, max(1, PAGE_BYTES * chosen.num_rows // max(1, chosen.nbytes)))
            for start in range(0, chosen.num_rows, rows):
                piece = chosen.slice(start, rows)
                yield Run(np.arange(number + start, number + start + piece.num_rows), piece)
            number += chosen.num_rows
        if self._blocks is not None and self._blocks != tuple(self._found):
            _fail("the footer does not say what the file holds")

    def _read_schema(self) -> pa.Schema:
        message = self._read_message()
        if message is None or message.type != "schema":
            _fail("it does not begin with a schema")
        try:
            schema = pa.ipc.read_schema(message)
            self._header = [name.strip() for name in schema.names]  # names that are no UTF-8 fail here
        except _UNSOUND as error:
            _fail(f"the schema is not sound: {type(error).__name__}")
        if not self._header:
            _fail("no columns")
        for field in schema:
            if not is_plain(field.type):
                kind = show_name(str(field.type))
                _fail(f"column '{show_name(field.name)}' is a {kind}: send text, numbers, booleans or dates")
        return schema

    def _read_message(self) -> pa.ipc.Message | None:
        """The next message; None at the end of the stream, which must be marked."""
        offset = self._file.tell()
        start = self._read_exactly(8)
        length = _integer(start, 4, "i")
        if not start.startswith(_CONTINUED) or not 0 <= length <= _MAXIMUM_METADATA:
            _fail("not Arrow IPC, damaged, or of a version before 1.0")
        if length == 0:
            return None
        metadata = self._read_exactly(length)
        try:
            table = _integer(metadata, 0, "I")
            body_length = _read_number(metadata, table, _MESSAGE_BODY_LENGTH, "q")
            if not 0 <= body_length <= limits.ARROW_MESSAGE.most:
                _fail(f"a record batch of more than {limits.ARROW_MESSAGE}")
            body = self._read_exactly(body_length)
            if _measure_unpacked(metadata, table, body) > limits.ARROW_MESSAGE.most:
                _fail(f"a record batch that unpacks to more than {limits.ARROW_MESSAGE}")
            message = pa.ipc.read_message(pa.py_buffer(start + metadata + body))
        except (*_UNSOUND, struct.error) as error:
            _fail(f"a message is not sound: {type(error).__name__}")
        if message.type == "record batch":
            self._found.append(_Block(offset, 8 + length, body_length))
        return message

    def _build_batch(self, message: pa.ipc.Message) -> pa.RecordBatch:
        if message.type != "record batch":
            _fail(f"a message of the kind '{message.type}': send plain columns")
        try:
            batch = pa.ipc.read_record_batch(message, self._schema)
            batch.validate(full=True)
        except _UNSOUND as error:
            _fail(f"a record batch is not sound: {type(error).__name__}")
        return batch

    def _read_exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            _fail("it is empty or cut off" if not data else "it is cut off")
        return data


def _simplify(array: pa.Array) -> pa.Array:
    """Text of one kind, decimals as exact text; the rest stays."""
    if pa.types.is_large_string(array.type) or pa.types.is_decimal(array.type):
        return array.cast(pa.string())
    return array


def _read_footer(file: BinaryIO, path: Path) -> tuple[_Block, ...] | None:
    """The record batches that the footer names; None where it is a stream. Leaves the file at its first message.

    Raises:
        FileBrokenError: the footer is not sound.
    """
    size = path.stat().st_size
    if size == 0:
        raise FileBrokenError(Reason.FILE_EMPTY, "the file is empty")
    if file.read(len(_MAGIC)) != _MAGIC:
        file.seek(0)
        return None
    try:
        file.seek(max(0, size - len(_MAGIC) - 4))
        end = file.read()
        length = _integer(end, 0, "i")
        if not end.endswith(_MAGIC) or not 0 < length <= min(size, _MAXIMUM_METADATA):
            _fail("the footer is missing: the file is cut off")
        file.seek(size - len(end) - length)
        footer = file.read(length)
        blocks = tuple(_read_blocks(footer))
    except (OSError, struct.error):
        _fail("the footer is not sound")
    file.seek(8)
    return blocks


def _check_footer_schema(path: Path, schema: pa.Schema) -> None:
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
            same = file.schema.equals(schema)
    except _UNSOUND:
        same = False
    if not same:
        _fail("the footer does not say what the file holds")


def _read_blocks(footer: bytes) -> Iterator[_Block]:
    vector = _find_field(footer, _integer(footer, 0, "I"), _FOOTER_BLOCKS)
    if vector is not None:
        vector += _integer(footer, vector, "I")
        for place in range(vector + 4, vector + 4 + 24 * _integer(footer, vector, "I"), 24):
            yield _Block(*struct.unpack_from("<qi4xq", footer, place))


def _measure_unpacked(metadata: bytes, table: int, body: bytes) -> int:
    """Bytes that a record batch takes unpacked, as its compressed buffers say; 0 where nothing is compressed."""
    header = _find_field(metadata, table, _MESSAGE_HEADER)
    if (
        header is None
        or _find_field(metadata, header := header + _integer(metadata, header, "I"), _BATCH_COMPRESSION) is None
    ):
        return 0
    vector = _find_field(metadata, header, _BATCH_BUFFERS)
    if vector is None:
        return 0
    vector += _integer(metadata, vector, "I")
    total = 0
    for place in range(vector + 4, vector + 4 + 16 * _integer(metadata, vector, "I"), 16):
        offset, length = struct.unpack_from("<qq", metadata, place)
        total += max(_integer(body, offset, "q"), length) if length else 0
    return total


def _find_field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a flatbuffer's table lies; None where it is left out."""
    directory = table - _integer(data, table, "i")
    place = 4 + 2 * number
    offset = _integer(data, directory + place, "H") if place < _integer(data, directory, "H") else 0
    return table + offset if offset else None


def _read_number(data: bytes, table: int, number: int, kind: str) -> int:
    place = _find_field(data, table, number)
    return 0 if place is None else _integer(data, place, kind)


def _integer(data: bytes, place: int, kind: str) -> int:
    """A little-endian integer; struct.error where ``place`` is outside."""
    if place < 0:
        raise struct.error("outside")
    return int(struct.unpack_from("<" + kind, data, place)[0])


def _fail(detail: str) -> NoReturn:
    raise FileBrokenError(Reason.FILE_BROKEN, detail)
