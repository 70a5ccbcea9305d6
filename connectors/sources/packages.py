"""What a workbook holds, weighed before it is opened: a small package of XML parts (ECMA-376) may be huge inside.

Everything is unpacked once, counted and thrown away. Refused is what a reader would have to pay for: a
sheet with two cells a million rows apart, one long text that a million cells share, parts nested or described
beyond measure, a DOCTYPE. Noted is what a reader would silently take for an empty cell: an error
value, and a formula that was never computed. Formulas are never run: their stored value counts.
"""

from __future__ import annotations

import copy
import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from connectors.sources import limits
from connectors.sources.tables import FileBrokenError
from exchange_formats.rejects import Reason

_CHUNK = 256 * 1024
_ENDLESS = 2**62
#: Deepest nesting of a part, and most bytes that may go by without a whole tag in them.
_LEVELS = 64
_TOKEN = 4 * 2**20
_CELL = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_ERROR = re.compile(r"#[A-Z0-9/!?_]{1,15}")
#: What makes a package another kind of workbook, which is not weighed here.
_FOREIGN = frozenset({"content.xml", "xl/workbook.bin"})
_DIRECTORY_ENTRY = b"PK\x01\x02"


@dataclass(frozen=True)
class Fault:
    """A cell whose value cannot be told: its row (from 1) and why."""

    row: int
    detail: str


def weigh_package(path: Path) -> Mapping[str, tuple[Fault, ...]]:
    """The faulty cells of each sheet, one a row, in the order of rows.

    Raises:
        FileBrokenError: no package, damaged, or more than the limits.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        raise FileBrokenError(Reason.FILE_EMPTY, "the file is empty")
    if size > limits.WORKBOOK.most:
        _fail(f"larger than {limits.WORKBOOK}: send it as CSV")
    # Counted before the directory is read: each entry becomes an object.
    if path.read_bytes().count(_DIRECTORY_ENTRY) > limits.WORKBOOK_MEMBERS.most:
        _fail(f"more than {limits.WORKBOOK_MEMBERS}")
    contents = _Contents()
    try:
        _unpack(path, contents)
    except (FileBrokenError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  (a damaged package is damaged, whatever zipfile and zlib raise)
        _fail(f"not a workbook, or cut off: {type(error).__name__}")
    if not contents.workbooks:
        _fail("not a workbook")
    contents.check_sheets()
    return contents.find_faults()


@dataclass
class _Sheet:
    """One worksheet part: where its used cells lie and what they hold."""

    used: list[int] = field(default_factory=list)  # first and last row, first and last column
    characters: int = 0
    shared: Counter[int] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)

    def add_cell(self, row: int, column: int) -> None:
        top, bottom, left, right = self.used or (row, row, column, column)
        self.used = [min(top, row), max(bottom, row), min(left, column), max(right, column)]


@dataclass
class _Contents:
    """What all parts say, by name of the part in lower case."""

    unpacked: int = 0
    tags: int = 0
    #: Lengths of the shared texts, by part: which one a reader takes is its own choice.
    strings: dict[str, list[int]] = field(default_factory=dict)
    sheets: dict[str, _Sheet] = field(default_factory=dict)
    #: Part of the workbook → (name, relation) of its sheets; part of relations → relation → part.
    workbooks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    relations: dict[str, dict[str, str]] = field(default_factory=dict)

    def check_sheets(self) -> None:
        """Refuse sheets that are larger open than they are packed."""
        for sheet in self.sheets.values():
            top, bottom, left, right = sheet.used or (0, 0, 0, 0)
            if (bottom - top + 1) * (right - left + 1) > limits.WORKBOOK_CELLS.most:
                _fail(f"a sheet of more than {limits.WORKBOOK_CELLS}: send it as CSV")
            shared = (
                sum(lengths[place] * count for place, count in sheet.shared.items() if place < len(lengths))
                for lengths in self.strings.values()
            )
            if sheet.characters + max(shared, default=0) > limits.WORKBOOK_TEXT.most:
                _fail(f"a sheet of more than {limits.WORKBOOK_TEXT} of text: send it as CSV")

    def find_faults(self) -> Mapping[str, tuple[Fault, ...]]:
        """Faults by the name of the sheet, which only the workbook and its relations tell."""
        found = {}
        for part, sheets in self.workbooks.items():
            folder, name = posixpath.split(part)
            relations = self.relations.get(posixpath.join(folder, "_rels", f"{name}.rels"), {})
            for title, relation in sheets:
                target = posixpath.normpath(posixpath.join("/" + folder, relations.get(relation, "")))
                sheet = self.sheets.get(target.lstrip("/").lower())
                if sheet:
                    found[title] = tuple(Fault(row, detail) for row, detail in sorted(sheet.faults.items()))
        return found


def _unpack(path: Path, contents: _Contents) -> None:
    names: set[str] = set()
    with zipfile.ZipFile(path) as package:
        for member in package.infolist():
            unbelieving = copy.copy(member)
            unbelieving.file_size = _ENDLESS
            name = member.filename.replace("\\", "/").lower()
            if name in _FOREIGN:
                _fail("a workbook of another kind: send XLSX")
            if name in names:
                _fail("a part that stands twice")
            names.add(name)
            part = _Part(name, contents) if name.endswith((".xml", ".rels")) else None
            with package.open(unbelieving) as stream:
                while chunk := stream.read(_CHUNK):
                    contents.unpacked += len(chunk)
                    if contents.unpacked > limits.WORKBOOK_UNPACKED.most:
                        _fail(f"unpacks to more than {limits.WORKBOOK_UNPACKED}: send it as CSV")
                    if part:
                        part.feed(chunk)
            if part:
                part.close()


class _Part:
    """One XML part being parsed; what it is shows in its root element."""

    def __init__(self, name: str, contents: _Contents) -> None:
        self._name, self._contents = name, contents
        self._level = 0
        self._fed = self._complete = 0
        self._row = self._column = -1
        self._cell: dict[str, str] = {}
        self._has_value = self._has_formula = False
        self._text: list[str] | None = None
        self._sheet = _Sheet()
        self._root = ""
        # A reader of another encoding would see another document.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = lambda *_: _fail("a DOCTYPE in a workbook")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._take

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, False)  # noqa: FBT003  (positional only)
        except expat.ExpatError as error:
            _fail(f"a part is not well-formed XML in UTF-8: {expat.ErrorString(error.code)}")
        if self._fed - self._complete > _TOKEN:
            _fail("a part with a tag or text beyond measure")

    def close(self) -> None:
        """The part is over."""
        if self._fed:
            try:
                self._parser.Parse(b"", True)  # noqa: FBT003  (positional only)
            except expat.ExpatError as error:
                _fail(f"a part is cut off: {expat.ErrorString(error.code)}")
        if self._root == "worksheet":
            self._contents.sheets[self._name] = self._sheet

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._complete = self._fed
        self._level += 1
        self._contents.tags += 1
        if self._contents.tags > limits.WORKBOOK_TAGS.most:
            _fail(f"more than {limits.WORKBOOK_TAGS}: send it as CSV")
        if self._level > _LEVELS:
            _fail(f"a part nested more than {_LEVELS} levels deep")
        local = name.rpartition(":")[2]
        if self._level == 1:
            self._root = local
        if self._root == "worksheet":
            self._start_in_sheet(local, attributes)
        elif self._root == "sst" and local == "si":
            self._contents.strings.setdefault(self._name, []).append(0)
        elif self._root == "workbook" and local == "sheet":
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self._contents.workbooks.setdefault(self._name, []).append((attributes.get("name", ""), relation))
        elif self._root == "Relationships" and local == "Relationship":
            target = attributes.get("Target", "")
            if attributes.get("Type", "").endswith("/worksheet") and not target.lower().endswith(".xml"):
                _fail("a sheet that is not XML")
            self._contents.relations.setdefault(self._name, {})[attributes.get("Id", "")] = target

    def _start_in_sheet(self, local: str, attributes: dict[str, str]) -> None:
        if local == "c":
            self._column += 1
            if "r" in attributes:
                self._row, self._column = _read_place(attributes["r"])
            self._cell, self._has_value, self._has_formula = attributes, False, False
        elif local == "row":
            number = attributes.get("r", "")
            self._row, self._column = int(number) - 1 if number.isdecimal() else self._row + 1, -1
        elif local in {"v", "is"}:
            self._has_value, self._text = True, []
        elif local == "f":
            self._has_formula = True

    def _take(self, text: str) -> None:
        self._complete = self._fed
        if self._root == "sst":
            if self._name in self._contents.strings:
                self._contents.strings[self._name][-1] += len(text)
        elif self._text is not None:
            self._sheet.characters += len(text)
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._complete = self._fed
        self._level -= 1
        if self._root != "worksheet":
            return
        local = name.rpartition(":")[2]
        if local == "c":
            self._end_cell()
        elif local in {"v", "is"} and self._text is not None:
            value, self._text = "".join(self._text), None
            # Some writers leave the value of a formula empty; only a text may be so.
            self._has_value = bool(value) or self._cell.get("t") in {"str", "inlineStr"}
            if self._cell.get("t") == "s" and value.isdecimal():
                self._sheet.characters -= len(value)
                self._sheet.shared[int(value)] += 1
            elif self._cell.get("t") == "e":
                shown = value if _ERROR.fullmatch(value) else "#?"
                self._note(f"the error value {shown}")

    def _end_cell(self) -> None:
        if self._has_value:
            self._sheet.add_cell(self._row, self._column)
        elif self._has_formula:
            self._note("a formula that was never computed")
        self._cell = {}

    def _note(self, what: str) -> None:
        self._sheet.faults.setdefault(self._row + 1, f"{what} in column {_name_column(self._column)}")


def _read_place(reference: str) -> tuple[int, int]:
    """Row and column, from 0, of a reference such as ``B12``."""
    match = _CELL.fullmatch(reference)
    if match is None:
        _fail("a cell with a reference that is none")
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - 64
    return int(match[2]) - 1, column - 1


def _name_column(column: int) -> str:
    name, column = "", column + 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def _fail(detail: str) -> NoReturn:
    raise FileBrokenError(Reason.FILE_BROKEN, detail)
