"""The department XML upload: what is written is read again, and nothing hostile gets anywhere."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sources import uploads
from connectors.sources.limits import UPLOAD_TAGS, UPLOAD_TOKEN
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.tables import FileBrokenError
from connectors.sources.uploads import UploadTable
from exchange_formats.rejects import Reason
from exchange_formats.uploads import build_head, find_unwritable, write_upload

HEAD = build_head("001008007", "安监-失信行为信息", datetime(2026, 6, 1, 16, 30, tzinfo=UTC))
ENVELOPE = """<?xml version="1.0" encoding="{encoding}"?>
<ROOT><Head><DeptID>001</DeptID><InfoClass>安监</InfoClass><UploadTime>2026-06-01</UploadTime></Head>
<Body><FIELDS>{fields}</FIELDS><DATA><![CDATA[
{data}
]]></DATA></Body></ROOT>"""
#: Any text that XML can carry; U+FDD0 is what a broken byte becomes inside.
TEXTS = st.text(max_size=12).filter(lambda text: not find_unwritable(text))


def write(path: Path, fields: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    path.write_bytes(b"".join(write_upload(HEAD, fields, rows)))
    return path


def fill(path: Path, data: str, fields: str = "CF_WSH,CF_XDR_MC", encoding: str = "utf-8") -> Path:
    path.write_bytes(ENVELOPE.format(encoding=encoding, fields=fields, data=data).encode(encoding))
    return path


class Found(NamedTuple):
    """Rows by number, and numbers of rejects by reason."""

    header: list[str]
    rows: dict[int, tuple[str | None, ...]]
    rejects: list[tuple[int | None, str]]


def read(path: Path) -> Found:
    with UploadTable(path, path.name) as table:
        found = Found(table.header, {}, [])
        for item in table.pages(table.header):
            if isinstance(item, RejectedInput):
                found.rejects.append((item.row, item.reason))
            else:
                cells = zip(*(column.to_pylist() for column in item.batch.columns), strict=True)
                found.rows.update(enumerate(cells, item.first_row))
        return found


def refuse(path: Path, content: bytes) -> FileBrokenError:
    path.write_bytes(content)
    with pytest.raises(FileBrokenError) as caught:
        read(path)
    return caught.value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(TEXTS, min_size=2, max_size=2).filter(any), max_size=6))
def test_any_text_comes_back_when_an_upload_is_written_and_read(tmp_path: Path, rows: list[list[str]]) -> None:
    found = read(write(tmp_path / "a.xml", ("CF_WSH", "CF_XDR_MC"), rows))
    assert found == Found(["CF_WSH", "CF_XDR_MC"], {n: tuple(row) for n, row in enumerate(rows, 2)}, [])


def test_head_comes_back_when_an_upload_is_read(tmp_path: Path) -> None:
    with UploadTable(write(tmp_path / "a.xml", ("no",), [["1"]]), "a.xml") as table:
        assert table.head == HEAD
    assert HEAD.uploaded_at == "2026-06-02 00:30:00", "the sender's zone is Asia/Shanghai"


def test_writing_stops_when_a_text_cannot_be_carried_by_xml() -> None:
    with pytest.raises(ValueError, match=r"XML 1\.0"):
        list(write_upload(HEAD, ("no",), [["a\x00b"]]))


def test_the_declaration_is_named_when_it_is_gbk_and_the_file_is_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(ENVELOPE.format(encoding="GBK", fields="a,b", data="1,示例公司"), encoding="utf-8")
    with pytest.raises(FileBrokenError, match="it is UTF-8"):
        UploadTable(path, "a.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "GB2312"])
def test_text_is_read_when_its_encoding_is_declared(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.xml"
    declared = encoding.removesuffix("-sig")
    path.write_bytes(ENVELOPE.format(encoding=declared, fields="no,name", data="1,某某公司").encode(encoding))
    assert read(path) == Found(["no", "name"], {2: ("1", "某某公司")}, [])


def test_one_row_is_rejected_when_its_bytes_are_not_in_the_encoding(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.xml", "1,甲\n2,@\n3,丙")
    path.write_bytes(path.read_bytes().replace(b"@", "乙".encode("gb18030")))
    found = read(path)
    assert found.rows == {2: ("1", "甲"), 4: ("3", "丙")}
    assert found.rejects == [(3, Reason.ROW_UNDECODABLE)]


def test_one_row_is_rejected_when_it_is_ragged(tmp_path: Path) -> None:
    found = read(fill(tmp_path / "a.xml", "1,甲\n2\n3,丙"))
    assert found.rows == {2: ("1", "甲"), 4: ("3", "丙")}
    assert found.rejects == [(3, Reason.ROW_RAGGED)]


def test_all_records_are_read_when_each_has_its_own_data_element(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.xml", "1,甲")
    path.write_text(path.read_text().replace("</Body>", "<DATA>2,乙&amp;丙</DATA></Body>"))
    assert list(read(path).rows.values()) == [("1", "甲"), ("2", "乙&丙")]


GOOD = ENVELOPE.format(encoding="UTF-8", fields="no,name", data="1,甲")
ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("<ROOT>", '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><ROOT>'), "DOCTYPE"),
        (("<ROOT>", '<!DOCTYPE r SYSTEM "http://localhost:9/r.dtd"><ROOT>'), "DOCTYPE"),
        (("<ROOT>", f'<!DOCTYPE r [<!ENTITY a0 "ha">{ENTITIES}]><ROOT>'), "DOCTYPE"),
        (("安监", "&x;"), "undefined entity"),
        (("<DeptID>001</DeptID>", ""), "Head holds no DeptID"),
        (("<DeptID>001</DeptID>", "<DeptID> </DeptID>"), "Head holds no DeptID"),
        (("<DeptID>001</DeptID>", "<DeptID>1</DeptID><DeptID>2</DeptID>"), "DeptID twice"),
        (("<FIELDS>no,name</FIELDS>", ""), "FIELDS must stand before DATA"),
        (("<FIELDS>no,name</FIELDS>", "<FIELDS> \n</FIELDS>"), "FIELDS is empty"),
        (("<FIELDS>no,name</FIELDS>", "<FIELDS>no</FIELDS><FIELDS>name</FIELDS>"), "FIELDS twice"),
        (("<Body>", "<Body><ROW>1</ROW>"), "nothing but FIELDS and DATA"),
        (("<Body>", "<Body>stray"), "text outside"),
        (("<Head>", "<Head>" + "<a>" * 20), "8 levels"),
        (("</ROOT>", ""), "cut off"),
        (("UTF-8", "UTF-7"), "encoding other than"),
        (("<ROOT>", f"<ROOT a='{'x' * 2 * UPLOAD_TOKEN.most}'>"), "256 KiB"),
        (("<ROOT>", f"<ROOT><!--{'x' * 2 * UPLOAD_TOKEN.most}-->"), "256 KiB"),
        (("001", "x" * 2 * UPLOAD_TOKEN.most), "DeptID is longer"),
    ],
)
def test_the_file_is_refused_when_the_envelope_is_not_one(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in GOOD
    error = refuse(tmp_path / "a.xml", GOOD.replace(*change).encode())
    assert error.reason == Reason.FILE_BROKEN
    assert said in str(error)


def test_the_file_is_refused_when_it_is_nothing_but_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_TAGS", replace(UPLOAD_TAGS, most=100))
    assert read(fill(tmp_path / "a.xml", "1,甲")).rows
    error = refuse(tmp_path / "a.xml", GOOD.replace("<Head>", "<Head>" + "<a/>" * 100).encode())
    assert "more than 100 tags" in str(error)


def test_the_file_is_refused_when_there_is_no_data(tmp_path: Path) -> None:
    start, end = GOOD.index("<DATA>"), GOOD.index("</Body>")
    assert "Body holds no DATA" in str(refuse(tmp_path / "a.xml", (GOOD[:start] + GOOD[end:]).encode()))
    assert refuse(tmp_path / "a.xml", b"").reason == Reason.FILE_EMPTY
    assert "UTF-16" in str(refuse(tmp_path / "a.xml", GOOD.encode("utf-16")))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_but_a_typed_error_comes_when_bytes_are_damaged(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.xml"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with contextlib.suppress(FileBrokenError):
        read(path)


def test_memory_stays_bounded_when_the_data_is_large(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    row = ["x" * 1000, "y" * 1000]
    with path.open("wb") as file:
        file.writelines(write_upload(HEAD, ("no", "name"), (row for _ in range(40_000))))
    assert path.stat().st_size > 80_000_000
    tracemalloc.start()
    began = time.monotonic()
    with UploadTable(path, "a.xml") as table:
        assert sum(page.batch.num_rows for page in table.pages(["name"]) if isinstance(page, SourcePage)) == 40_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert time.monotonic() - began < 30
