"""Files that nobody means well with: sound ones of every format, damaged at random, read and mapped to the end.

``python -m tests.hostile_files 10000`` tries so many of each format and counts how they end.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
from openpyxl import Workbook

from connectors.mapping import Mapper
from connectors.reject_rows import describe_input
from connectors.sources import RejectedInput
from connectors.sources.files import open_file
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import XinqiaoError
from exchange_formats.rejects import REJECTS
from tests.pulls import CODES, KEY
from tests.source_samples import WINDOW, make_department

HEADER = ("no", "code", "day")
ROWS = tuple((f"{number}", CODES[number % len(CODES)], f"2026-01-{1 + number % 28:02d}") for number in range(12))
#: Pieces that parsers trip over, one after another thrown into a file.
PIECES = (
    b'"', b'""', b",", b"\r", b"\n", b"\r\n", b"\x00", b"\xff", b"\x81", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe",
    "字".encode("gb18030"), "字".encode(), b"=cmd|'/c calc'!A0", b"@SUM(1)", b"{", b"}", b"[", b"]", b":", b"null",
    b"NaN", b'{"no":1,"no":2}', b"\\ud800", b"1e999999", b"-0", b"[" * 200, b'{"a":' * 90, b"9" * 400, b"]]>",
    b"<![CDATA[", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b"&b;", b"&#0;", b"<a>", b"</a>",
    b'r="XFD1048576"', b't="s"', b"<f>1+1</f>", b"<v>9999999</v>", b"PK\x03\x04", b"PK\x01\x02", b"\x1f\x8b\x08",
    b"\xff\xff\xff\x7f", b"\xff" * 4, b"\x00\x00\x00\x80", b"\xff" * 7 + b"\x7f", b"ARROW1", b"0000-00-00",
)  # fmt: skip


_VALUE = re.compile(rb"""(?<=[>"])([^<>"]*)(?=[<"])""")
#: What a value may be turned into: numbers, dates and references at and beyond their ends.
_VALUES = (
    b"", b"0", b"-1", b"1e308", b"-1e308", b"1e10", b"2958466", b"-700000", b"inf", b"nan", b"99999999999999999999",
    b"s", b"b", b"d", b"e", b"str", b"inlineStr", b"A1", b"C3", b"XFD1048576", b"ZZZZ9", b"1904", b"[h]:mm", b"yyyy",
    b"../sheet1.xml", b"http://127.0.0.1:9/x", b"/etc/passwd",
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    """One format: how its files are configured and called, and sound ones."""

    name: str
    files: Mapping[str, object]
    seeds: tuple[bytes, ...]


@dataclass
class Tally:
    """How many files ended how."""

    cases: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def damage(sound: bytes, draw: random.Random) -> bytes:
    """``sound`` with a few bytes changed, cut, doubled or thrown in."""
    data = bytearray(sound)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        place = draw.randrange(len(data) + 1)
        manner = draw.randrange(7)
        if manner == 0:
            data[place : place + 1] = bytes([draw.randrange(256)])
        elif manner == 1:
            data[place:place] = draw.choice(PIECES)
        elif manner == 2:
            piece = draw.choice(PIECES)
            data[place : place + len(piece)] = piece
        elif manner == 3:
            del data[place : place + draw.randrange(1, 60)]
        elif manner == 4:
            end = place + draw.randrange(1, 200)
            data[place:place] = data[place:end] * draw.choice((1, 2, 20))
        elif manner == 5 and draw.random() < 0.3:
            del data[place:]
        else:
            data[place : place + 8] = draw.randbytes(draw.randrange(12))
    return bytes(data)


def damage_values(sound: bytes, draw: random.Random) -> bytes:
    """XML that stays well-formed: some texts and attributes become others."""
    places, data = list(_VALUE.finditer(sound)), sound
    chosen = draw.sample(places, min(len(places), draw.choice((1, 2, 6))))
    for match in sorted(chosen, key=lambda match: -match.start()):
        piece = escape(draw.choice(PIECES).decode("utf-8", "replace"), {'"': "&quot;"}).encode()
        data = data[: match.start(1)] + draw.choice((*_VALUES, piece)) + data[match.end(1) :]
    return data


def damage_inside(sound: bytes, draw: random.Random) -> bytes:
    """A package whose parts are damaged and whose directory is not; or one damaged outside."""
    if draw.random() < 0.3:
        return damage(sound, draw)
    raw = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as package, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as damaged:
        chosen = draw.choice(package.namelist())
        for name in package.namelist():
            content = package.read(name)
            manner = draw.choice((damage, damage_values, damage_values))
            damaged.writestr(name, manner(content, draw) if name in {chosen, "xl/worksheets/sheet1.xml"} else content)
    return raw.getvalue()


def damage_packed(sound: bytes, draw: random.Random) -> bytes:
    """The same for gzip."""
    return damage(sound, draw) if draw.random() < 0.3 else gzip.compress(damage(gzip.decompress(sound), draw), 1)


def read_hostile(content: bytes, form: Format, folder: Path) -> Counter[str]:
    """Read and map a file as the gateway would: the count of rows, of rejects by reason, and the error that ended it.

    Anything but a typed error is a defect and comes out as it is.
    """
    path = folder / form.name
    path.write_bytes(content)
    department = make_department({"kind": "files"}, {"files": {"pattern": "*", **form.files}})
    mapping = department.datasets["complaint"]
    found: Counter[str] = Counter()
    shown = ""
    with closing(Mapper("sample_office", load_catalogue()["complaint"], mapping, WINDOW, KEY)) as mapper:
        try:
            with open_file(mapping, path) as reader:
                for item in reader:
                    if isinstance(item, RejectedInput):
                        rejects = describe_input(item, 1, KEY)
                    else:
                        page = mapper.map(
                            item.batch, origin=item.origin, first_row=item.first_row, numbers=item.numbers, position=1
                        )
                        found["rows"] += page.records.num_rows
                        rejects = page.rejects
                    rejects.validate(full=True)
                    assert rejects.schema.equals(REJECTS)
                    found.update(rejects.column("reason").to_pylist())
        except XinqiaoError as error:
            found[type(error).__name__] += 1
            shown = str(error)
    assert shown.isprintable(), "a terminal would obey an error message"
    return found


def try_files(form: Format, cases: int, seed: int) -> Tally:
    """``cases`` damaged files of one format, the same ones for the same ``seed``."""
    draw, tally = random.Random(seed), Tally()
    manner = _MANNERS.get(form.name.rpartition(".")[2], damage)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(cases):
            content = manner(draw.choice(form.seeds), draw)
            began = time.monotonic()
            try:
                found = read_hostile(content, form, Path(name))
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"hostile-{seed}-{form.name}"
                kept.write_bytes(content)
                print(f"kept as {kept}", file=sys.stderr)  # noqa: T201
                raise
            tally.slowest = max(tally.slowest, time.monotonic() - began)
            tally.cases += 1
            tally.endings.update({kind: 1 for kind, count in found.items() if count} or {"nothing": 1})
    return tally


def _damage_upload(sound: bytes, draw: random.Random) -> bytes:
    return draw.choice((damage, damage_values))(sound, draw)


_MANNERS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "xlsx": damage_inside,
    "gz": damage_packed,
    "xml": _damage_upload,
}


def _write_csv(encoding: str = "utf-8", *, quoted: bool = False) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(
        [HEADER, *ROWS, ("12", "宁波（集团）\r\n公司", '甲"乙,丙')]
    )
    return text.getvalue().encode(encoding)


def _write_workbook() -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (HEADER, *ROWS, ("=1+1", "x", 46000), ("13", timedelta(hours=30), date(2026, 1, 2))):
        sheet.append(row)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def _write_arrow(compression: str | None, *, stream: bool) -> bytes:
    table = pa.table(dict(zip(HEADER, zip(*ROWS, strict=True), strict=True)))
    raw = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(raw, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=5)
    return raw.getvalue()


def _write_records() -> list[dict[str, object]]:
    return [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def _write_upload() -> bytes:
    head = "<Head><DeptID>1</DeptID><InfoClass>2</InfoClass><UploadTime>2026-01-01 00:00:00</UploadTime></Head>"
    lines = "\n".join(",".join(row) for row in ROWS)
    body = f"<Body><FIELDS>{','.join(HEADER)}</FIELDS><DATA><![CDATA[{lines}]]></DATA></Body>"
    return f'<?xml version="1.0" encoding="UTF-8"?><Upload>{head}{body}</Upload>'.encode()


_JSON = json.dumps(_write_records()).encode()
_LINES = b"\n".join(json.dumps(record).encode() for record in _write_records())
_DOCUMENT = json.dumps({"code": 0, "data": {"total": 12, "rows": _write_records()}, "message": "ok"}).encode()
FORMATS = (
    Format("a.csv", {"format": "csv"}, (_write_csv(), _write_csv(quoted=True))),
    Format("b.csv", {"format": "csv", "encoding": "gb18030"}, (_write_csv("gb18030"),)),
    Format("a.csv.gz", {"format": "csv"}, (gzip.compress(_write_csv()),)),
    Format("a.json", {"format": "json"}, (_JSON, _LINES)),
    Format("b.json", {"format": "json", "records": "data.rows"}, (_DOCUMENT,)),
    Format("a.json.gz", {"format": "json"}, (gzip.compress(_JSON), gzip.compress(_LINES))),
    Format("a.xlsx", {"format": "xlsx"}, (_write_workbook(),)),
    Format("a.xml", {"format": "xml"}, (_write_upload(),)),
    Format(
        "a.arrow",
        {"format": "arrow"},
        tuple(_write_arrow(kind, stream=stream) for kind in (None, "lz4", "zstd") for stream in (False, True)),
    ),
)


def main(cases: int, seed: int) -> None:
    """Try ``cases`` files of each format and print how they ended."""
    total = 0
    for form in FORMATS:
        tally = try_files(form, cases, seed)
        total += tally.cases
        endings = ", ".join(f"{kind} {count}" for kind, count in tally.endings.most_common())
        print(f"{form.name}: {tally.cases} files, slowest {tally.slowest:.2f} s; {endings}")  # noqa: T201
    print(f"{total} files, every one ended in rows, rejects or a typed error")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
