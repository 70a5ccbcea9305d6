"""JSON files: a list of flat objects, such a list inside a document, or JSON Lines; UTF-8.

A file is read twice, record by record: once for the names of all columns, because every
record names its own, and once for the rows. Numbers stay the text they were. A record
whose key stands twice is refused: which value counts is anybody's guess (RFC 8259 §4).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, Self

from connectors.sources import limits
from connectors.sources.blocks import LineBlocks, LongLine
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.packed import open_text
from connectors.sources.records import find_fault, to_text
from connectors.sources.tables import FileBrokenError, Line, page_rows
from exchange_formats.rejects import Reason

_CHUNK = 256 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
# What "surrogateescape" makes of a byte that is not in the encoding; an escape may spell one, too.
_UNDECODED = re.compile("[\ud800-\udfff]")


class _NamesError(FileBrokenError):
    """Too many columns, or names too long to be any."""


class _Fault(NamedTuple):
    """Why a record is none."""

    reason: Reason
    detail: str


class _Record(NamedTuple):
    number: int
    value: object | _Fault


class JsonTable:
    """One JSON file; records are counted from 1 (JSON Lines: lines). See ``TextTable``.

    ``records`` is the path of keys to the list, with dots; without it the file is the list itself or JSON Lines.
    """

    header_hint = (
        "every column must be a key of at least one record, with null where there is no value; "
        "a list under a key is found by 'files.records' of the department's YAML"
    )

    def __init__(self, path: Path, origin: str, records: str | None) -> None:
        self.origin = origin
        self._path = path
        self._keys = tuple(records.split(".")) if records else ()
        self._header: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Each pass closes the file itself."""

    @property
    def header(self) -> list[str]:
        """The keys of all records, in the order of their first appearance, up to where the file breaks."""
        if not self._header:
            names: dict[str, None] = {}
            record = None
            try:
                for record in self._read_records():
                    if isinstance(record.value, dict) and not names.keys() >= record.value.keys():
                        names.update(dict.fromkeys(record.value))
                        _check_names(names)
            except _NamesError:
                raise
            except FileBrokenError:
                # The rows in front of the fault still count, unless there are none.
                if not names:
                    raise
            if record is None:
                raise FileBrokenError(Reason.FILE_EMPTY, "there is no record")
            if not names:
                _fail("no record can be read: not JSON, or not objects")
            self._header = [_UNDECODED.sub("\N{REPLACEMENT CHARACTER}", name) for name in names]
        return self._header

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The records; a broken one is a reject, and what cannot be told apart any more breaks the file."""
        return page_rows(self._read_lines(columns), columns, columns, self.origin)

    def _read_lines(self, columns: Sequence[str]) -> Iterator[Line | RejectedInput]:
        for number, value in self._read_records():
            if isinstance(value, _Fault):
                yield RejectedInput(self.origin, number, value.reason, value.detail)
            elif fault := find_fault(value, columns):
                yield RejectedInput(self.origin, number, Reason.ROW_MALFORMED, fault)
            elif isinstance(value, dict):
                yield Line(number, [to_text(value.get(name)) for name in columns])

    def _read_records(self) -> Iterator[_Record]:
        with open_text(self._path) as file:
            first = _find_first(file)
        with open_text(self._path) as file:
            if self._keys or first == "[":
                yield from _Document(file).read_list(self._keys)
            elif first == "{":
                yield from _read_json_lines(file)
            elif first:
                _fail("neither a list nor objects: not JSON, or not in UTF-8")


def _check_names(names: Iterable[str]) -> None:
    lengths = [len(name) for name in names]
    if len(lengths) > limits.COLUMNS.most:
        raise _NamesError(Reason.FILE_BROKEN, f"more than {limits.COLUMNS}")
    if sum(lengths) > limits.LINE.most:
        raise _NamesError(Reason.FILE_BROKEN, f"names of columns of more than {limits.LINE}")


def _find_first(file: BinaryIO) -> str:
    """The first character that is no space; empty where there is none in reach."""
    return file.read(_CHUNK).decode("utf-8-sig", "replace").lstrip()[:1]


class _Decoder:
    """JSON as we take it: numbers as they are written, and what may not be, found with the value's end known."""

    def __init__(self) -> None:
        self._fault = ""
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._build, parse_int=str, parse_float=str, parse_constant=self._refuse_constant
        )

    def decode(self, text: str, at: int) -> tuple[object | _Fault, int]:
        """The value that begins at ``at``, and where it ends.

        Raises:
            ValueError: there is no whole value.
            RecursionError: nested beyond all measure.
        """
        self._fault = ""
        value, end = self._decoder.raw_decode(text, at)
        if not self._fault and _nests_too_deep(value, text, at, end):
            self._fault = f"nested more than {limits.JSON_LEVELS} deep"
        return (_Fault(Reason.ROW_MALFORMED, self._fault) if self._fault else value), end

    def _build(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) != len(pairs):
            self._fault = "a key stands twice"
        return built

    def _refuse_constant(self, name: str) -> str:
        self._fault = f"{name} is no JSON"
        return name


def _nests_too_deep(value: object, text: str, at: int, end: int) -> bool:
    if text.count("[", at, end) + text.count("{", at, end) <= limits.JSON_LEVELS.most:
        return False
    level, inside = 0, [value]
    while inside and level <= limits.JSON_LEVELS.most:
        level += 1
        inside = [
            inner
            for outer in inside
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(inside)


def _read_json_lines(file: BinaryIO) -> Iterator[_Record]:
    """One object a line; a broken line costs no other."""
    blocks, decoder, number = LineBlocks(file, "utf-8"), _Decoder(), 0
    while (block := blocks.next_block()) is not None:
        if isinstance(block, LongLine):
            number += 1
            yield _Record(number, _Fault(Reason.CELL_TOO_LARGE, f"a record of more than {limits.JSON_RECORD}"))
            continue
        blocks.consume(block, block.count)
        for line in range(block.count):
            number += 1
            text = block.read_line(line).strip()
            if text:
                yield _Record(number, _decode_line(decoder, text))


def _decode_line(decoder: _Decoder, text: str) -> object | _Fault:
    if not text.isascii() and _UNDECODED.search(text):
        return _Fault(Reason.ROW_UNDECODABLE, "not UTF-8")
    try:
        value, end = decoder.decode(text, 0)
    except (ValueError, RecursionError) as error:
        return _Fault(Reason.ROW_MALFORMED, _explain(error))
    return _Fault(Reason.ROW_MALFORMED, "text behind the record") if end < len(text) else value


class _Document:
    """One JSON text, read forward: one record, or one value beside the list, is held at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode_bytes = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._decoder = _Decoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def read_list(self, keys: tuple[str, ...]) -> Iterator[_Record]:
        """The records of the list at ``keys``, then the rest of the document, which must be sound, too."""
        yield from self._read_inside(keys)
        if self._peek():
            _fail("text behind the document")

    def _read_inside(self, keys: tuple[str, ...]) -> Iterator[_Record]:
        if not keys:
            yield from self._read_items()
            return
        if self._peek() != "{":
            _fail(f"no object where the key '{keys[0]}' should be")
        seen: set[str] = set()
        while self._next_in("}", first=not seen):
            name = self._read_value()
            if not isinstance(name, str) or self._peek() != ":":
                _fail("not JSON: an object has names and values")
            if name in seen or len(seen) == limits.COLUMNS.most:
                _fail("a key of the document stands twice" if name in seen else "too many keys in the document")
            seen.add(name)
            self._at += 1
            if name == keys[0]:
                yield from self._read_inside(keys[1:])
            else:
                self._read_value()
        if keys[0] not in seen:
            _fail(f"there is no key '{keys[0]}'")

    def _read_items(self) -> Iterator[_Record]:
        if self._peek() != "[":
            _fail("no list where the records should be")
        number = 0
        while self._next_in("]", first=not number):
            number += 1
            yield _Record(number, self._read_value())

    def _next_in(self, end: str, *, first: bool) -> bool:
        """Step over what stands between two items; False: it was the end."""
        sign = self._peek() if not first else ","
        if first:
            self._at += 1
            if self._peek() == end:
                sign = end
            else:
                return True
        if sign not in {",", end}:
            _fail("not JSON, or cut off")
        self._at += 1
        return sign == ","

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill(_CHUNK)

    def _read_value(self) -> object | _Fault:
        self._peek()
        while True:
            why = "cut off"
            try:
                value, end = self._decoder.decode(self._text, self._at)
                # A number may go on behind what was read.
                if end < len(self._text) or self._ended:
                    if end - self._at > limits.JSON_RECORD.most:
                        raise FileBrokenError(Reason.CELL_TOO_LARGE, f"a record of more than {limits.JSON_RECORD}")
                    self._at = end
                    return value
            except RecursionError as error:
                _fail(_explain(error))
            except ValueError as error:
                why = _explain(error)
            held = len(self._text) - self._at
            if self._ended:
                _fail(why)
            if held > limits.JSON_RECORD.most:
                raise FileBrokenError(
                    Reason.CELL_TOO_LARGE, f"a record that is no JSON, or of more than {limits.JSON_RECORD}"
                )
            self._fill(max(_CHUNK, held))

    def _fill(self, size: int) -> None:
        raw = self._file.read(size)
        self._ended = not raw
        try:
            text = self._decode_bytes(raw, self._ended)
        except UnicodeDecodeError:
            _fail("not UTF-8")
        self._text, self._at = self._text[self._at :] + text, 0


def _explain(error: Exception) -> str:
    """What is wrong, without the text around it."""
    if isinstance(error, RecursionError):
        return f"nested more than {limits.JSON_LEVELS} deep"
    return f"not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else "not JSON"


def _fail(detail: str) -> NoReturn:
    raise FileBrokenError(Reason.FILE_BROKEN, detail)
