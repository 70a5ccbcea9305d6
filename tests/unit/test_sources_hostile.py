"""Files built to do harm: each ends as a reject or a typed error, soon and in little memory; nothing runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from connectors.sources import RejectedInput, limits
from connectors.sources.files import open_file
from connectors.sources.packed import open_text
from connectors.sources.tables import FileBrokenError
from exchange_formats.errors import FatalError
from tests.source_samples import make_department, read

HEADER = "no,code,day\n"
GIBIBYTE = 2**30
#: What a reader may take beyond the interpreter and its libraries.
MEGABYTES = 400
SECONDS = 60

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def _relate(**targets: str) -> str:
    """Relations of a part: kind → target; their ids are the kinds."""
    kinds = (f'<Relationship Id="{kind}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for kind, to in targets.items())
    return f"<Relationships>{''.join(kinds)}</Relationships>"


_SHEETS = '<sheets><sheet name="s" sheetId="1" r:id="worksheet"/></sheets>'
_PARTS = {
    "[Content_Types].xml": "<Types/>",
    "_rels/.rels": _relate(officeDocument="xl/workbook.xml"),
    "xl/workbook.xml": f'<workbook xmlns:r="{_OFFICE}">{_SHEETS}</workbook>',
    "xl/_rels/workbook.xml.rels": _relate(worksheet="worksheets/sheet1.xml", sharedStrings="sharedStrings.xml"),
}


class Ending(NamedTuple):
    """How a child process ended that read a file."""

    rows: int
    rejects: list[tuple[int | None, str]]
    error: str
    megabytes: int
    forbidden: list[str]


_CHILD = """
import json, resource, sys
forbidden = []
watched = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "urllib.", "pickle.")
from pathlib import Path
import pyarrow.csv
import connectors.sources.workbooks, connectors.sources.uploads, connectors.sources.json_records
from connectors.sources import RejectedInput
from connectors.sources.files import open_file
from exchange_formats.errors import XinqiaoError
from tests.source_samples import make_department
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.addaudithook(lambda event, _: forbidden.append(event) if event.startswith(watched) else None)
department = make_department({"kind": "files"}, {"files": {"pattern": "*", "format": sys.argv[2]}})
rows, rejects, error = 0, [], ""
try:
    with open_file(department.datasets["complaint"], Path(sys.argv[1])) as reader:
        for item in reader:
            if isinstance(item, RejectedInput):
                rejects.append((item.row, str(item.reason)))
            else:
                rows += item.batch.num_rows
except XinqiaoError as found:
    error = type(found).__name__
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([rows, rejects, error, (after - before) // 1024, forbidden]))
"""


def read_apart(path: Path, form: str) -> Ending:
    """Read a file in a process of its own; fails where that takes too long, and where the process dies."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), form],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows, rejects, error, megabytes, forbidden = json.loads(done.stdout.splitlines()[-1])
    return Ending(rows, [(row, reason) for row, reason in rejects], error, megabytes, forbidden)


def check_harmless(ending: Ending) -> None:
    assert ending.megabytes < MEGABYTES
    assert ending.forbidden == []


def open_here(path: Path, form: str, **mapping: Any) -> Any:
    department = make_department({"kind": "files"}, {"files": {"pattern": "*", "format": form}, **mapping})
    return open_file(department.datasets["complaint"], path)


def find_rejects(path: Path, form: str) -> list[tuple[int | None, str, str]]:
    rejects: list[RejectedInput] = read(open_here(path, form))[1]
    return [(one.row, str(one.reason), one.detail) for one in rejects]


def write_workbook(
    path: Path, sheet: str, strings: str = "", parts: Mapping[str, bytes] = MappingProxyType({})
) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in _PARTS.items():
            if name not in parts:
                package.writestr(name, content)
        package.writestr("xl/sharedStrings.xml", f"<sst>{strings}</sst>")
        package.writestr("xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{sheet}</sheetData></worksheet>")
        for name, embedded in parts.items():
            package.writestr(name, embedded)
    return path


def write_cells(*rows: tuple[str, ...]) -> str:
    return "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>" for row in rows
    )


def write_sparse(path: Path, start: bytes, hole: int, end: bytes) -> Path:
    """A file of ``hole`` NUL bytes between two ends, which takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.seek(hole, io.SEEK_CUR)
        file.write(end)
    return path


def test_a_row_is_rejected_when_one_cell_has_a_gibibyte(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.csv", HEADER.encode() + b"1,A,d\n2,", GIBIBYTE, b",d\n3,C,d\n")
    ending = read_apart(path, "csv")
    assert (ending.rows, ending.rejects) == (2, [(3, "cell.too_large")])
    check_harmless(ending)


def test_a_row_is_rejected_when_a_quoted_cell_of_a_gibibyte_has_many_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    line = b"x" * 1023 + b"\n"
    with path.open("wb") as file:
        file.write(HEADER.encode() + b'1,A,d\n2,"')
        for _ in range(64):
            file.write(line * 1024)
        file.write(b'",d\n3,C,d\n')
    ending = read_apart(path, "csv")
    assert ending.rows == 2
    assert ending.rejects[0] == (3, "cell.too_large")
    assert len(ending.rejects) < 4
    check_harmless(ending)


def test_the_rest_is_rejected_when_a_json_value_has_a_gibibyte(tmp_path: Path) -> None:
    start = b'[{"no": 1, "code": "A", "day": "d"}, {"no": "'
    listed = read_apart(write_sparse(tmp_path / "a.json", start + b"x" * 100, GIBIBYTE, b'"}]'), "json")
    assert listed.rejects[0][1] in {"cell.too_large", "file.broken"}
    check_harmless(listed)
    lines = write_sparse(tmp_path / "b.json", start[1:].replace(b", {", b"\n{"), GIBIBYTE, b'"}\n')
    ending = read_apart(lines, "json")
    assert (ending.rows, ending.rejects) == (1, [(2, "cell.too_large")])
    check_harmless(ending)


@pytest.mark.parametrize(("name", "form"), [("a.csv.gz", "csv"), ("a.json.gz", "json")])
def test_the_rest_is_rejected_when_gzip_unpacks_to_a_gibibyte(tmp_path: Path, name: str, form: str) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", 9) as file:
        file.write(b"[" if form == "json" else HEADER.encode())
        for _ in range(64):
            file.write(bytes(2**24) if form == "csv" else b" " * 2**24)
    ending = read_apart(path, form)
    assert [reason for _, reason in ending.rejects] == ["file.broken"]
    check_harmless(ending)


def test_the_limit_of_a_gzip_file_is_counted_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode() + b"1,A,d\n" * 100_000))
    monkeypatch.setattr(limits, "UNPACKED", replace(limits.UNPACKED, most=500_000))
    with open_text(path) as stream, pytest.raises(FileBrokenError, match="unpacks to more than 500,000 bytes"):
        stream.read()


def _pack_zip(content: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a.csv", content)
    return raw.getvalue()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.json", "a.json.gz"])
@pytest.mark.parametrize(
    "pack", [gzip.compress, _pack_zip, lambda content: b"Rar!" + content], ids=["gz", "zip", "rar"]
)
def test_an_archive_is_rejected_inside_and_instead_of_text(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    inner = pack(HEADER.encode())
    path = tmp_path / name
    path.write_bytes(gzip.compress(inner) if name.endswith(".gz") else inner)
    found = find_rejects(path, name.split(".")[1])
    assert [(row, reason) for row, reason, _ in found] == [(None, "file.broken")]
    assert "an archive" in found[0][2]


def test_a_workbook_inside_a_workbook_is_not_opened(tmp_path: Path) -> None:
    inner = write_workbook(tmp_path / "inner.xlsx", write_cells(("x",)) * 10).read_bytes()
    sheet = write_cells(("no", "code", "day"), ("1", "A", "d"))
    path = write_workbook(tmp_path / "a.xlsx", sheet, parts={"xl/embeddings/a.xlsx": inner, "xl/b.bin": b"\0"})
    rows, rejects = read(open_here(path, "xlsx"))
    assert [row["no"] for row in rows] == ["1"]
    assert not rejects


_ROW = '<row><c t="s"><v>0</v></c></row>'
_FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'


@pytest.mark.parametrize(
    ("sheet", "strings", "why"),
    [
        (_FAR, "", "8,000,000 cells"),
        (
            _FAR.replace("<c r=", "<x:c y:r='A1' r=").replace("</c>", "</x:c>").replace("<row r='1", "<row"),
            "",
            "8,000,000",
        ),
        (_ROW * 400_000, f"<si><t>{'x' * 1_000_000}</t></si>", "of text"),
        ("<a>" * 100_000, "", "levels deep"),
        (f"<row a='{'x' * 20_000_000}'/>", "", "beyond measure"),
        ("<row><c r='ZZZZZZ1'><v>1</v></c></row>", "", "a reference that is none"),
        ("\x00", "", "not well-formed"),
        ("<!DOCTYPE a>", "", "not well-formed"),
        ("&a;", "", "not well-formed"),
    ],
    ids=[
        "far cells",
        "far cells by other names",
        "one text many times",
        "nested",
        "one tag",
        "no place",
        "NUL",
        "d",
        "e",
    ],
)
def test_a_workbook_is_rejected_when_it_would_be_huge_once_open(
    sheet: str, strings: str, why: str, tmp_path: Path
) -> None:
    found = find_rejects(write_workbook(tmp_path / "a.xlsx", sheet, strings), "xlsx")
    assert [(row, reason) for row, reason, _ in found] == [(None, "file.broken")]
    assert why in found[0][2]


def test_memory_stays_bounded_when_a_workbook_is_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in _PARTS.items():
            package.writestr(name, content)
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(b"<worksheet><sheetData>")
            for _ in range(64):
                part.write(b" " * 2**24)
    assert path.stat().st_size < 4 * 2**20
    ending = read_apart(path, "xlsx")
    assert ending.rejects == [(None, "file.broken")]
    check_harmless(ending)


def test_a_workbook_is_rejected_when_it_has_countless_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKBOOK_TAGS", replace(limits.WORKBOOK_TAGS, most=1000))
    path = write_workbook(tmp_path / "a.xlsx", "<row/>" * 1000)
    assert find_rejects(path, "xlsx") == [(None, "file.broken", "more than 1,000 tags: send it as CSV")]


def test_a_workbook_is_rejected_when_it_has_countless_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        for number in range(limits.WORKBOOK_MEMBERS.most + 1):
            package.writestr(f"{number}", b"")
    assert find_rejects(path, "xlsx") == [(None, "file.broken", "more than 10,000 members")]


def test_a_workbook_is_rejected_when_a_second_table_of_texts_hides_the_first(tmp_path: Path) -> None:
    decoy = {"xl/0.xml": b"<sst><si><t>x</t></si></sst>"}
    path = write_workbook(tmp_path / "a.xlsx", _ROW * 400_000, f"<si><t>{'x' * 1_000_000}</t></si>", decoy)
    assert "of text" in find_rejects(path, "xlsx")[0][2]


def test_a_workbook_is_rejected_when_a_part_stands_twice(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", write_cells(("no", "code", "day")))
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("xl/SharedStrings.xml", "<sst/>")
    assert find_rejects(path, "xlsx") == [(None, "file.broken", "a part that stands twice")]


@pytest.mark.parametrize("name", ["content.xml", "xl/workbook.bin"])
def test_a_workbook_is_rejected_when_it_is_of_two_kinds(name: str, tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", write_cells(("no",)), parts={name: b"<a/>"})
    assert find_rejects(path, "xlsx") == [(None, "file.broken", "a workbook of another kind: send XLSX")]


def test_cells_whose_value_cannot_be_told_are_rejects_not_blanks(tmp_path: Path) -> None:
    sheet = write_cells(("no", "code", "day"))
    sheet += '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c><c r="B2" t="str"><f>"A"</f><v>A</v></c></row>'
    sheet += '<row r="3"><c r="A3"><f>cmd|\' /C calc\'!A0</f></c></row><row r="4"><c r="A4"><f>1+1</f><v></v></c></row>'
    sheet += (
        '<row r="5"><c r="A5"><v>5</v></c><c r="B5" t="e"><v>#REF!</v></c></row><row r="9"><c r="C9"><f>1</f></c></row>'
    )
    rows, rejects = read(open_here(write_workbook(tmp_path / "a.xlsx", sheet), "xlsx"))
    assert [(row["no"], row["code"], row["_at"]) for row in rows] == [("2", "A", ("a.xlsx!s", 2))]
    assert [(one.row, str(one.reason), one.detail) for one in rejects] == [
        (3, "row.malformed", "a formula that was never computed in column A"),
        (4, "row.malformed", "a formula that was never computed in column A"),
        (5, "row.malformed", "the error value #REF! in column B"),
        (9, "row.malformed", "a formula that was never computed in column C"),
    ]


@pytest.mark.parametrize("style", [14, 21, 22, 45, 46])
@pytest.mark.parametrize("value", ["1e308", "-1e308", "1e18", "1e10", "-700000", "2958466"])
def test_only_that_row_is_rejected_when_a_date_is_in_no_calendar(style: int, value: str, tmp_path: Path) -> None:
    sheet = write_cells(("no", "code", "day"), ("1", "A", "d"))
    sheet += f'<row><c t="inlineStr"><is><t>2</t></is></c><c t="b"><v>1</v></c><c s="0"><v>{value}</v></c></row>'
    sheet += write_cells(("3", "C", "d"))
    styles = f'<styleSheet><cellXfs><xf numFmtId="{style}"/></cellXfs></styleSheet>'.encode()
    relations = _relate(worksheet="worksheets/sheet1.xml", styles="styles.xml").encode()
    parts = {"xl/styles.xml": styles, "xl/_rels/workbook.xml.rels": relations}
    rows, rejects = read(open_here(write_workbook(tmp_path / "a.xlsx", sheet, parts=parts), "xlsx"))
    found = {row["_at"][1]: row["no"] for row in rows} | {one.row: one.detail for one in rejects}
    assert found.pop(3) in {"2", "a date or duration out of range"}
    assert found == {2: "1", 4: "3"}


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1+1", "-2+3", "=HYPERLINK(1)"])
@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
def test_text_that_begins_a_formula_is_text_when_it_is_read(cell: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form}"
    if form == "csv":
        path.write_text(f"{HEADER}{cell},A,d\n")
    elif form == "json":
        path.write_text(json.dumps([{"no": cell, "code": "A", "day": "d"}]))
    else:
        write_workbook(path, write_cells(("no", "code", "day"), (cell, "A", "d")))
    rows, rejects = read(open_here(path, form))
    assert [row["no"] for row in rows] == [cell]
    assert not rejects


_UPLOAD = (
    "<U><Head><DeptID>1</DeptID><InfoClass>2</InfoClass><UploadTime>3</UploadTime></Head>"
    "<Body><FIELDS>no,code,day</FIELDS><DATA>{data}</DATA></Body></U>"
)
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    ("doctype", "data"),
    [
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]>', "&x;"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]>', ""),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd">', ""),
        (f"<!DOCTYPE a [{_LAUGHS}]>", "&l11;"),
        ("", "&x;"),
        ("", "<a>" * 100_000),
    ],
    ids=["file", "network", "parameter", "DTD", "laughs", "undeclared", "nested"],
)
def test_an_upload_is_rejected_and_nothing_fetched_when_it_has_entities(
    doctype: str, data: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.xml"
    path.write_text(doctype + _UPLOAD.format(data=data))
    ending = read_apart(path, "xml")
    assert ending.rejects == [(None, "file.broken")]
    check_harmless(ending)


@pytest.mark.parametrize("form", ["csv", "xlsx", "json", "arrow", "xml"])
def test_a_file_is_rejected_when_it_has_ten_thousand_columns(form: str, tmp_path: Path) -> None:
    names = ["no", "code", "day", *(f"c{number}" for number in range(9_997))]
    path = tmp_path / f"a.{form}"
    if form == "csv":
        path.write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    elif form == "json":
        path.write_text(json.dumps([dict.fromkeys(names, 1)]))
    elif form == "xlsx":
        write_workbook(path, write_cells(tuple(names)))
    elif form == "xml":
        path.write_text(_UPLOAD.replace("no,code,day", ",".join(names)).format(data="1"))
    else:
        with pa.ipc.new_file(path, (table := pa.table({name: ["1"] for name in names})).schema) as writer:
            writer.write_table(table)
    found = find_rejects(path, form)
    assert [(row, reason) for row, reason, _ in found] == [(None, "file.broken")]
    assert "1,024 columns" in found[0][2]


def test_cells_keep_their_nul_bytes_for_the_rules_to_find(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER.encode() + b"1\x00,A,d\n")
    assert read(open_here(tmp_path / "a.csv", "csv"))[0][0]["no"] == "1\x00"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "big5", "cp037"])
def test_a_file_stops_with_a_hint_or_is_rejected_when_its_encoding_is_another(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("编号,代码,日期\n1,甲,d\n".encode(encoding, "replace"))
    columns = {"complaint_no": "编号", "subject_id": "代码", "filed_on": "日期"}
    with pytest.raises(FatalError, match=r"a\.csv: missing columns"):
        read(open_here(path, "csv", key=["编号"], columns=columns))


def test_a_pipe_is_rejected_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert find_rejects(tmp_path / "a.csv", "csv") == [(None, "file.broken", "not a regular file")]


def test_every_limit_says_in_both_languages_what_happens() -> None:
    assert len({limit.id for limit in limits.LIMITS}) == len(limits.LIMITS)
    named = {name for name in vars(limits) if name.isupper() and isinstance(getattr(limits, name), limits.Limit)}
    assert len(named) == len(limits.LIMITS)
    for limit in limits.LIMITS:
        assert not limit.title.zh.isascii()
        assert limit.title.en.isascii()
        assert limit.most > 0
        assert str(limit)[0].isdigit()
