"""The department XML upload: an envelope around a table of text (facts §7.4).

Observed in a deployment: ``Head`` with ``DeptID``, ``InfoClass`` and ``UploadTime``; ``Body`` with
a list ``FIELDS`` and ``DATA`` in CDATA. Assumption, because no specification was found: ``FIELDS`` is
one line of names and ``DATA`` holds one record a line, both separated by commas and quoted as CSV
(RFC 4180), so that any text can be a cell. The root element has any name; we write ``Upload``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

#: Elements of the envelope, as observed.
HEAD: Final = "Head"
BODY: Final = "Body"
FIELDS: Final = "FIELDS"
DATA: Final = "DATA"
DEPARTMENT: Final = "DeptID"
INFO_CLASS: Final = "InfoClass"
UPLOADED_AT: Final = "UploadTime"
HEAD_FIELDS: Final = (DEPARTMENT, INFO_CLASS, UPLOADED_AT)

_SHANGHAI = ZoneInfo("Asia/Shanghai")
# XML 1.0, Char: what no document may hold, written in whatever way.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True)
class UploadHead:
    """Who uploads which class of information, and when (as the sender wrote it, Asia/Shanghai)."""

    department: str
    info_class: str
    uploaded_at: str


def build_head(department: str, info_class: str, uploaded_at: datetime) -> UploadHead:
    """A head with the time as the format writes it: ``YYYY-MM-DD HH:MM:SS``, Asia/Shanghai."""
    return UploadHead(department, info_class, f"{uploaded_at.astimezone(_SHANGHAI):%Y-%m-%d %H:%M:%S}")


def write_upload(head: UploadHead, fields: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The file in pieces, UTF-8; every row as many cells as ``fields``.

    Raises:
        ValueError: a text holds a character that XML 1.0 cannot carry; see ``find_unwritable``.
    """
    named = zip(HEAD_FIELDS, (head.department, head.info_class, head.uploaded_at), strict=True)
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<Upload>\n  <Head>\n'
    for element, text in named:
        yield f"    <{element}>{escape(_check(text))}</{element}>\n".encode()
    listed = _write_record(fields).rstrip("\r\n")
    yield f"  </Head>\n  <Body>\n    <FIELDS>{escape(listed)}</FIELDS>\n    <DATA><![CDATA[\n".encode()
    for row in rows:
        yield _quote(_write_record(row)).encode()
    yield b"]]></DATA>\n  </Body>\n</Upload>\n"


def find_unwritable(text: str) -> bool:
    """Whether ``text`` holds a character that XML 1.0 cannot carry (control characters, noncharacters)."""
    return _FORBIDDEN.search(text) is not None


def _write_record(cells: Sequence[str]) -> str:
    line = io.StringIO()
    # Quoted throughout: a leading blank of the first cell must not look like layout.
    csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow([_check(cell) for cell in cells])
    return line.getvalue()


def _check(text: str) -> str:
    if find_unwritable(text):
        raise ValueError("a character that XML 1.0 cannot carry")
    return text


def _quote(text: str) -> str:
    """CDATA cannot hold its own end, and a parser turns a carriage return in it into a line feed."""
    return text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
