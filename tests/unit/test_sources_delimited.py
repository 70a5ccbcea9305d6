"""CSV read in blocks gives what reading it record by record gives, whatever is in it and wherever blocks end."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.mapping import Mapper
from connectors.sources import SourcePage, blocks
from connectors.sources.delimited import DelimitedTable
from connectors.sources.files import open_file
from connectors.sources.model import RejectedInput
from connectors.sources.tables import FileBrokenError
from exchange_formats.datasets import load_catalogue
from tests.pulls import KEY
from tests.source_samples import WINDOW, make_department, split

HEADER = ["no", "code", "day"]
Entry = tuple[int, object]
_UNDECODED = re.compile("[\udc80-\udcff]")
_LEFT_BEHIND = {"row.malformed": {"row.ragged"}}


def read_slowly(content: bytes, encoding: str, delimiter: str) -> list[Entry]:
    """Number and cells, or number and reason, by Python's csv alone: one text, one record after the other."""
    text = content.decode({"utf-8": "utf-8-sig"}.get(encoding, encoding), "surrogateescape")
    lines = io.StringIO(text, newline="").readlines()
    found: list[Entry] = []
    torn: set[str] = set()
    width = 0
    for number, record in enumerate(_read_records(lines, delimiter), 1):
        if record is not None and (not record or (len(record) == 1 and not record[0].strip())):
            continue
        if not width:
            width = len(record or ())
            continue
        reason = ""
        if record is None:
            reason = "row.malformed"
        elif len(record) != width:
            reason = "row.ragged"
        elif _UNDECODED.search("".join(record)):
            reason = "row.undecodable"
        if not reason:
            torn = set()
            found.append((number, record))
        elif reason not in torn:
            torn = _LEFT_BEHIND.get(reason, set())
            found.append((number, reason))
    return found


def _read_records(lines: list[str], delimiter: str) -> Iterator[list[str] | None]:
    """Each record; None for the first line of one that is none."""
    place = 0
    while place < len(lines):
        reader = csv.reader(lines[place:], delimiter=delimiter, strict=True)
        try:
            record = next(reader)
        except csv.Error:
            place += 1
            yield None
        else:
            place += reader.line_num
            yield record


def read_table(content: bytes, encoding: str, delimiter: str, columns: Sequence[str]) -> list[Entry]:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        Path(file.name).write_bytes(content)
        with DelimitedTable(Path(file.name), "a.csv", encoding, delimiter) as table:
            found: list[Entry] = []
            for one in table.pages(columns):
                if isinstance(one, RejectedInput):
                    assert one.row is not None
                    found.append((one.row, str(one.reason)))
                else:
                    rows, _ = split([one])
                    found += [(row.pop("_at")[1], list(row.values())) for row in rows]
            return found


def encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "surrogateescape")


PIECES = [
    "a",
    "1",
    ",",
    ",",
    ",",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    '"',
    '"',
    '""',
    '","',
    '"\r\n',
    '\r\n"',
    " ",
    "\u3000",
    "字",
    "=1+1",
]
PIECES += [
    "\udc81",
    "\udcff",
    "\x00",
    "\ufeff",
    "𠮷",
    "1,A,d\r\n",
    '"1","A","d"\r\n',
    '1,"A\r\nB",d\r\n',
    "1,A\r\n",
    "\r\n\r\n",
    "é",
]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.sampled_from(["utf-8", "gb18030"]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([1, 2, 7, 30, 2**21]),
    st.sampled_from(["", "\ufeff"]),
)
@example('1,"A,d\r\n2,B,d\r\n', "utf-8", ",", 7, "")
@example('""a,b,c\r\n"a""",b,c\r\n"""",b,c\r\na"b,c,d\r\n', "utf-8", ",", 2**21, "")
@example("\ufeffa,b,c\r\n\r\r\n1,2,3\r", "utf-8", ",", 2**21, "")
@example('"a"\r,b,c\r\n', "utf-8", ",", 2**21, "")
@example("1,A,d\r\n2,B\udc81,d\r\n,,\r\n", "gb18030", ",", 2**21, "\ufeff")
def test_rows_rejects_and_numbers_are_those_of_a_slow_reading(
    body: str, encoding: str, delimiter: str, block: int, mark: str
) -> None:
    text = mark + delimiter.join(HEADER) + "\r\n" + body.replace(",", delimiter)
    content = encode(text, encoding)
    expected = read_slowly(content.removeprefix("\ufeff".encode(encoding)), encoding, delimiter)
    with patch.object(blocks, "BLOCK", block):
        assert read_table(content, encoding, delimiter, HEADER) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=3, max_size=3), max_size=30))
def test_every_table_comes_back_when_it_was_written_by_the_standard_writer(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([HEADER, *rows])
    with patch.object(blocks, "BLOCK", 64):
        found = read_table(text.getvalue().encode(), "utf-8", ",", HEADER)
    assert [cells for _, cells in found] == rows


def test_only_the_columns_that_are_read_come_and_in_their_order() -> None:
    content = b'no,code,day\r\n1,A,d\r\n2,"B",e\r\n'
    assert read_table(content, "utf-8", ",", ["day", "no"]) == [(2, ["d", "1"]), (3, ["e", "2"])]


def test_lines_beyond_doubt_are_parsed_at_once_and_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[str] = []
    read_line = blocks.Block.read_line

    def listen(block: blocks.Block, line: int) -> str:
        alone.append(read_line(block, line))
        return alone[-1]

    monkeypatch.setattr(blocks.Block, "read_line", listen)
    rows = [b"%d,A,d\r\n" % number for number in range(1000)]
    rows[500:500] = [b'"1","A ""x""","d,e"\r\n', b'2,a"b,d\r\n', b"3,A\r\n", b"\xff,A,d\r\n"]
    read_table(b"no,code,day\r\n" + b"".join(rows), "utf-8", ",", HEADER)
    assert alone[1:] == ['2,a"b,d\r\n', "\udcff,A,d\r\n", "3,A\r\n"]


@pytest.mark.parametrize("limit", ["LINE", "RECORD"])
def test_a_record_over_several_lines_is_rejected_when_it_is_too_large(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from connectors.sources import limits

    monkeypatch.setattr(limits, limit, replace(getattr(limits, limit), most=200))
    monkeypatch.setattr(blocks, "BLOCK", 64)
    long = "x" * 300 if limit == "LINE" else "x\n" * 150
    content = f'no,code,day\n1,A,d\n2,"b\n{long}",d\n3,C,d\n'.encode()
    found = read_table(content, "utf-8", ",", HEADER)
    assert [one for one in found if isinstance(one[1], list)] == [(2, ["1", "A", "d"]), (found[-1][0], ["3", "C", "d"])]
    assert found[1] == (3, "cell.too_large")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_header_that_spells_nothing_known_says_so(encoding: str) -> None:
    with pytest.raises(FileBrokenError, match="empty"):
        read_table(b"\r\n \r\n", encoding, ",", HEADER)


def test_pages_hold_as_many_rows_whatever_the_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"no,code,day\r\n" + b"".join(b'%d,"A",d\r\n' % number for number in range(5000)))
    for block in (100, 2**21):
        with patch.object(blocks, "BLOCK", block), DelimitedTable(path, "a.csv", "utf-8", ",") as table:
            pages = list(table.pages(HEADER))
        rows, rejects = split(pages)
        assert len(pages) == 1
        assert [row["_at"][1] for row in rows] == list(range(2, 5002))
        assert not rejects


def test_blank_rows_cost_no_pages_and_rejects_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"no,code,day\r\r\n" + b"".join(b"%d,A,d\r\r\n" % number for number in range(1000)) + b" \r\n9,A,d"
    )
    files = {"pattern": "*", "format": "csv"}
    mapping = make_department({"kind": "files"}, {"files": files}).datasets["complaint"]
    with open_file(mapping, path) as reader:
        pages = [page for page in reader if isinstance(page, SourcePage)]
    assert [page.batch.num_rows for page in pages] == [1001]
    assert pages[0].numbers is not None
    assert pages[0].numbers.tolist() == [*range(3, 2003, 2), 2004]
    assert [page.first_row for page in (pages[0].slice(10, 5), pages[0])] == [23, 3]
    mapper = Mapper("sample_office", load_catalogue()["complaint"], mapping, WINDOW, KEY)
    part = pages[0].slice(998, 100)
    mapped = mapper.map(part.batch, origin="a.csv", first_row=part.first_row, numbers=part.numbers, position=999)
    assert mapped.rejects.column("origin_row").to_pylist() == [1999, 2001, 2004]


def test_order_is_kept_while_rejects_are_few_and_pages_when_they_are_many(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"no,code,day\n" + b"".join(b"%d,A,d\n%d,A\n" % (number, number) for number in range(3000)))
    with DelimitedTable(path, "a.csv", "utf-8", ",") as table:
        found = list(table.pages(HEADER))
    assert sum(isinstance(one, SourcePage) for one in found) == 1001
    rows, rejects = split(found)
    assert [row["_at"][1] for row in rows] == list(range(2, 6002, 2))
    assert [one.row for one in rejects] == list(range(3, 6003, 2))
    places = [one.first_row if isinstance(one, SourcePage) else one.row for one in found[:2000]]
    assert places == list(range(2, 2002))
