"""A department's XML upload (``exchange_formats.uploads``) as a table of text.

The envelope is parsed first and whole, with nothing a hostile document could use: no
DOCTYPE (so no entities of its own and nothing to fetch), few levels, short names. What
stands in ``DATA`` is streamed to a temporary file and read as the CSV it is, so that a
bad record costs no other one, as in any CSV.
"""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn, Self
from xml.parsers import expat

from connectors.sources.delimited import DelimitedTable
from connectors.sources.limits import UPLOAD, UPLOAD_LEVELS, UPLOAD_TAGS, UPLOAD_TOKEN
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.packed import refuse_utf8
from connectors.sources.tables import FileBrokenError
from exchange_formats.rejects import Reason
from exchange_formats.uploads import (
    BODY,
    DATA,
    DEPARTMENT,
    FIELDS,
    HEAD,
    HEAD_FIELDS,
    INFO_CLASS,
    UPLOADED_AT,
    UploadHead,
)

_CHUNK = 64 * 1024
# What of a file tells its encoding.
_START = 8 * 1024
_CODECS = {"utf-8": "utf-8-sig", "utf8": "utf-8-sig", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}
_DECLARED = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
# A byte outside the encoding travels through the parser as a noncharacter and comes out as a byte that is no UTF-8,
# so that the reader of the records finds it in its row.
_UNDECODED = re.compile("[\udc80-\udcff\ufdd0]")
_STAND_IN, _NO_UTF8 = "\ufdd0", b"\xff"


class UploadTable:
    """One upload; the line of ``FIELDS`` counts as row 1. See ``TextTable``.

    Attributes:
        head: who sent which class of information, and when.
    """

    def __init__(self, path: Path, origin: str, delimiter: str = ",") -> None:
        self.origin = origin
        self._records = tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115  (closed with the table)
        try:
            self.head = _Envelope(delimiter, self._records.file).read(path)
            self._records.flush()
            self._table = DelimitedTable(Path(self._records.name), origin, "utf-8", delimiter)
        except BaseException:
            self._records.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._table.__exit__(*exception)
        self._records.close()

    @property
    def header(self) -> list[str]:
        """The names in ``FIELDS``, trimmed."""
        return self._table.header

    @property
    def header_hint(self) -> str:
        """What may be wrong with the names."""
        return self._table.header_hint

    def pages(self, columns: Sequence[str]) -> Iterator[SourcePage | RejectedInput]:
        """The records of ``DATA``."""
        return self._table.pages(columns)


class _Envelope:
    """One parse: the head is kept, the records go to ``records``."""

    def __init__(self, delimiter: str, records: IO[bytes]) -> None:
        self._records = records
        self._delimiter = delimiter
        self._open: list[str] = []
        self._labels: dict[str, str] = {}
        self._fed = self._complete = self._tags = 0
        self._blank = self._listed = self._began = False
        # Told what it gets: expat itself does not know GB 18030, and a declaration does not change what we decoded.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = _CHUNK
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._take
        self._parser.DefaultHandler = self._pass_by

    def read(self, path: Path) -> UploadHead:
        """Parse ``path`` to its end; raises FileBrokenError."""
        size = path.stat().st_size
        if size == 0:
            raise FileBrokenError(Reason.FILE_EMPTY, "the file is empty")
        if size > UPLOAD.most:
            _fail(f"larger than {UPLOAD}: send it as CSV")
        with path.open("rb") as file:
            decode = codecs.getincrementaldecoder(_find_codec(file))("surrogateescape").decode
            try:
                while chunk := file.read(_CHUNK):
                    self._feed(decode(chunk))
                self._feed(decode(b"", final=True))
                self._parser.Parse(b"", True)  # noqa: FBT003  (positional only)
            except expat.ExpatError as error:
                _fail(f"not well-formed XML, or cut off, at line {error.lineno}: {expat.ErrorString(error.code)}")
        return self._build_head()

    def _feed(self, text: str) -> None:
        raw = _UNDECODED.sub(_STAND_IN, text).encode()
        self._fed += len(raw)
        self._parser.Parse(raw, False)  # noqa: FBT003  (positional only)
        if self._fed - self._complete > UPLOAD_TOKEN.most:
            _fail(f"a tag or comment of more than {UPLOAD_TOKEN}")

    def _build_head(self) -> UploadHead:
        for name in HEAD_FIELDS:
            if not self._labels.get(name, "").strip():
                _fail(f"{HEAD} holds no {name}")
        if not self._began:
            _fail(f"{BODY} holds no {DATA}")
        return UploadHead(*(self._labels[name].strip() for name in (DEPARTMENT, INFO_CLASS, UPLOADED_AT)))

    def _refuse_doctype(self, *_: object) -> None:
        _fail("a DOCTYPE: uploads have none, and entities are never expanded")

    def _pass_by(self, _: str) -> None:
        self._complete = self._fed

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._complete = self._fed
        self._open.append(name)
        self._tags += 1
        if self._tags > UPLOAD_TAGS.most:
            _fail(f"more than {UPLOAD_TAGS}: put the records into one {DATA}")
        if len(self._open) > UPLOAD_LEVELS.most:
            _fail(f"more than {UPLOAD_LEVELS} deep")
        place = self._open[1:]
        if place[:1] == [BODY] and len(place) > 1 and (len(place) > 2 or name not in {FIELDS, DATA}):
            _fail(f"{BODY} holds nothing but {FIELDS} and {DATA}")
        if name in self._labels and self._is_label(place):
            _fail(f"{name} twice")
        if self._is_label(place):
            self._labels[name] = ""
        elif place == [BODY, DATA]:
            self._start_data()

    def _start_data(self) -> None:
        if not self._listed:
            _fail(f"{FIELDS} must stand before {DATA} and name the columns")
        if self._began:
            self._records.write(b"\n")
        self._began = self._blank = True

    def _end(self, name: str) -> None:
        self._complete = self._fed
        if self._open[1:] == [BODY, FIELDS]:
            listed = " ".join(self._labels[name].split("\n")).strip()
            if not listed:
                _fail(f"{FIELDS} is empty")
            self._write(listed + "\n")
            self._listed = True
        self._open.pop()

    def _take(self, text: str) -> None:
        self._complete = self._fed
        place = self._open[1:]
        if place == [BODY, DATA]:
            # Layout between the tag and the first record; a tab may be an empty first cell.
            kept = text.lstrip(" \r\n") if self._blank else text
            self._blank = self._blank and not kept
            self._write(kept)
        elif self._is_label(place):
            name = place[1]
            self._labels[name] += text
            if len(self._labels[name]) > UPLOAD_TOKEN.most:
                _fail(f"{name} is longer than {UPLOAD_TOKEN}")
        elif place[:1] != [HEAD] and not text.isspace():
            _fail(f"text outside {HEAD}, {FIELDS} and {DATA}")

    @staticmethod
    def _is_label(place: list[str]) -> bool:
        return place == [BODY, FIELDS] or (len(place) == 2 and place[0] == HEAD and place[1] in HEAD_FIELDS)

    def _write(self, text: str) -> None:
        self._records.write(text.encode().replace(_STAND_IN.encode(), _NO_UTF8))


def _find_codec(file: IO[bytes]) -> str:
    """The declared encoding (UTF-8 where none is); leaves the file at its start."""
    start = file.read(_START)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        _fail("UTF-16: send UTF-8 or GB 18030")
    declared = _DECLARED.match(start)
    name = declared[1].decode().lower() if declared else "utf-8"
    if name not in _CODECS:
        _fail("an encoding other than UTF-8 and GB 18030")
    if _CODECS[name] == "gb18030":
        refuse_utf8(start)
    return _CODECS[name]


def _fail(detail: str) -> NoReturn:
    raise FileBrokenError(Reason.FILE_BROKEN, detail)
