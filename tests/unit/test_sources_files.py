"""Dropped CSV files: encodings, ragged and broken rows, huge cells, and files that are not ready."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.connection import Connection
from connectors.sources import PAGE_ROWS, RejectedInput, SourcePage, open_source
from connectors.sources.limits import CELL, LINE
from connectors.sources.packed import refuse_utf8
from exchange_formats.errors import FatalError, SkippableError, TransientError
from tests.source_samples import WINDOW, make_department, now, read

HEADER = "no,code,day\r\n"
#: The 3,755 letters of GB 2312's first level.
COMMON = bytes(byte for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) for byte in (row, cell))[
    : 2 * 3755
].decode("gb2312")


def drop(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def open_folder(folder: Path, *, encoding: str = "utf-8", **mapping: Any) -> Any:
    files = {"pattern": "in/*.csv", "format": "csv", "encoding": encoding}
    department = make_department({"kind": "files"}, {"files": files, **mapping})
    connection = Connection("dept_sample_office", "fs", extra={"path": str(folder)})
    return open_source(department, "complaint", connection, WINDOW, now=now)


def reasons(rejects: Sequence[RejectedInput]) -> list[tuple[str, int | None, str]]:
    return [(one.origin, one.row, str(one.reason)) for one in rejects]


def test_rows_carry_file_and_row_as_a_person_counts_when_files_are_read_in_order(tmp_path: Path) -> None:
    drop(tmp_path, "in/b.csv", HEADER + "3,C,2026-01-03\r\n")
    drop(tmp_path, "in/a.csv", "\ufeff" + HEADER + "1,A,2026-01-01\r\n\r\n2,B,2026-01-02")
    rows, rejects = read(open_folder(tmp_path))
    assert [(row["no"], row["_at"]) for row in rows] == [
        ("1", ("in/a.csv", 2)),
        ("2", ("in/a.csv", 4)),
        ("3", ("in/b.csv", 2)),
    ]
    assert not rejects


def test_text_is_read_when_the_file_is_gb18030(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", (HEADER + "衢综执〔2026〕1号,𠮷,2026-01-01\r\n").encode("gb18030"))
    rows, _ = read(open_folder(tmp_path, encoding="gb18030"))
    assert (rows[0]["no"], rows[0]["code"]) == ("衢综执〔2026〕1号", "𠮷")


def test_only_that_row_is_rejected_when_a_cell_is_in_another_encoding(tmp_path: Path) -> None:
    body = HEADER.encode() + "甲,A,d\r\n".encode("gb18030") + "乙丙丁,B,d\r\n".encode() + "戊,C,d\r\n".encode("gb18030")
    drop(tmp_path, "in/a.csv", body)
    rows, rejects = read(open_folder(tmp_path, encoding="gb18030"))
    assert [row["no"] for row in rows] == ["甲", "戊"]
    assert [row["_at"][1] for row in rows] == [2, 4]
    assert reasons(rejects) == [("in/a.csv", 3, "row.undecodable")]
    assert "'no'" in rejects[0].detail
    assert "乙" not in rejects[0].detail


def test_the_encoding_is_named_when_the_whole_file_is_in_another(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "编号,代码,日期\r\n1,A,d\r\n".encode("gb18030"))
    columns = {"complaint_no": "编号", "subject_id": "代码", "filed_on": "日期"}
    with pytest.raises(FatalError, match=r"in/a\.csv: missing columns: '编号', '代码', '日期'.*check 'encoding'"):
        read(open_folder(tmp_path, key=["编号"], columns=columns))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "a byte order mark"])
def test_the_encoding_is_named_when_utf8_could_be_read_as_gb18030(tmp_path: Path, start: bytes) -> None:
    names = "1,示例公司,d\r\n2,浙江,d\r\n"  # an even number of letters: GB 18030 reads each pair as three others
    assert names.encode().decode("gb18030") != names
    drop(tmp_path, "in/a.csv", start + (HEADER + names).encode())
    drop(tmp_path, "in/b.csv", (HEADER + names).encode("gb18030"))
    rows, rejects = read(open_folder(tmp_path, encoding="gb18030"))
    assert [row["code"] for row in rows] == ["示例公司", "浙江"]
    assert reasons(rejects) == [("in/a.csv", None, "file.broken")]
    assert "it is UTF-8" in rejects[0].detail


@given(st.text(st.sampled_from(COMMON), max_size=40))
@example("模")  # two bytes that are one letter of UTF-8, too
def test_gb18030_is_not_taken_for_utf8_when_its_letters_are_common(text: str) -> None:
    refuse_utf8(HEADER.encode() + text.encode("gb18030"))


def test_ragged_rows_are_rejected_with_file_and_row_and_the_others_go_on(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER + "1,A,d\r\n2,B\r\n3,C,d,extra\r\n4,D,d\r\n")
    rows, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in rows] == ["1", "4"]
    assert reasons(rejects) == [("in/a.csv", 3, "row.ragged"), ("in/a.csv", 4, "row.ragged")]
    assert rejects[0].detail == "2 cells, the header has 3"


def test_rows_behind_it_are_kept_when_a_quote_is_never_closed(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER + '1,"A,d\r\n2,B,d\r\n3,"C",d\r\n4,D,d\r\n')
    rows, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in rows] == ["2", "3", "4"]
    assert reasons(rejects) == [("in/a.csv", 2, "row.malformed")]


def test_rows_behind_it_are_kept_when_the_last_quote_of_a_file_is_never_closed(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER + '1,"A,d\r\n2,B,d\r\n3,C,d\r\n')
    rows, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in rows] == ["2", "3"]
    assert reasons(rejects) == [("in/a.csv", 2, "row.malformed")]


def test_line_breaks_inside_quotes_belong_to_the_cell_when_well_formed(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER + '1,"A\r\nB ""x""",d\r\n2,B,d\r\n')
    rows, rejects = read(open_folder(tmp_path))
    assert [(row["code"], row["_at"][1]) for row in rows] == [('A\r\nB "x"', 2), ("B", 3)]
    assert not rejects


@pytest.mark.parametrize(
    "cell",
    [
        "x" * 10_000_000,
        '"' + "x" * 10_000_000 + '"',
        '"' + "line of text\r\n" * 800_000 + '"',
        "x" * (CELL.most + 1),
        "x" * LINE.most,
    ],
    ids=["plain", "quoted", "many lines", "just above", "as long as a line may be"],
)
def test_only_that_row_is_rejected_when_a_cell_is_huge(tmp_path: Path, cell: str) -> None:
    drop(tmp_path, "in/a.csv", HEADER + f"1,A,d\r\n2,{cell},d\r\n3,C,d\r\n")
    rows, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in rows] == ["1", "3"]
    assert reasons(rejects) == [("in/a.csv", 3, "cell.too_large")]


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b"\xef\xbb\xbf"], ids=["nothing", "blank lines", "a BOM"])
def test_the_others_go_on_when_a_file_is_empty(tmp_path: Path, content: bytes) -> None:
    drop(tmp_path, "in/a.csv", content)
    drop(tmp_path, "in/b.csv", HEADER + "1,A,d\r\n")
    rows, rejects = read(open_folder(tmp_path))
    assert [row["no"] for row in rows] == ["1"]
    assert reasons(rejects) == [("in/a.csv", None, "file.empty")]


def test_the_pull_stops_when_a_file_of_a_snapshot_is_empty(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", b"")
    with pytest.raises(FatalError, match=r"in/a\.csv.*must be readable whole"):
        read(open_folder(tmp_path, snapshot={}))


def test_no_row_and_no_reject_come_when_there_is_only_a_header(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER)
    assert read(open_folder(tmp_path)) == ([], [])


def test_a_missing_column_stops_naming_file_and_column(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,Day\r\n1,A,d\r\n")
    with pytest.raises(FatalError, match=r"in/a\.csv: missing columns: 'day'; unknown columns instead: 'Day'"):
        read(open_folder(tmp_path))


def test_nobody_is_shown_when_a_record_stands_in_the_headers_place(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "11010519491231002X,张三丰,浙罚1号\r\n")
    with pytest.raises(FatalError, match="looks like a record") as caught:
        read(open_folder(tmp_path))
    assert "110105************" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("11010519491231002X", "张"))


def test_a_number_is_masked_when_it_stands_in_the_name_of_a_file(tmp_path: Path) -> None:
    drop(tmp_path, "in/11010519491231002X.csv", HEADER + "1,A,d\r\n2,B\r\n")
    rows, rejects = read(open_folder(tmp_path))
    assert rows[0]["_at"] == ("in/110105************.csv", 2)
    assert reasons(rejects) == [("in/110105************.csv", 3, "row.ragged")]


def test_a_number_is_masked_when_it_names_an_unknown_column(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,day,11010519491231002X\r\n1,A,d,x\r\n")
    source = open_folder(tmp_path, on_unknown_column="report")
    read(source)
    assert source.unknown_columns == ("110105************",)


def test_an_unknown_column_stops_when_nothing_is_said(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,day,phone\r\n1,A,d,130\r\n")
    with pytest.raises(FatalError, match=r"in/a\.csv: unknown columns: 'phone'"):
        read(open_folder(tmp_path))


def test_an_unknown_column_is_reported_and_not_read_when_so_configured(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,day,phone\r\n1,A,d,130\r\n")
    reader = open_folder(tmp_path, on_unknown_column="report")
    rows, _ = read(reader)
    assert reader.unknown_columns == ("phone",)
    assert set(rows[0]) == {"no", "code", "day", "_at"}


def test_an_ignored_column_is_not_unknown_when_listed(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,day,phone\r\n1,A,d,130\r\n")
    reader = open_folder(tmp_path, ignore=["phone"])
    assert len(read(reader)[0]) == 1
    assert reader.unknown_columns == ()


def test_a_column_that_stands_twice_stops_because_nobody_knows_which_is_meant(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", "no,code,day,day\r\n1,A,d,e\r\n")
    with pytest.raises(FatalError, match=r"in/a\.csv: columns that stand twice: 'day'"):
        read(open_folder(tmp_path))


@pytest.mark.parametrize("name", [".a.csv", "~a.csv", "_a.csv", "a.csv.part", "a.tmp", "a.csv~"])
def test_a_file_is_left_when_its_name_is_temporary(tmp_path: Path, name: str) -> None:
    drop(tmp_path, f"in/{name}", HEADER + "1,A,d\r\n")
    drop(tmp_path, "in/b.csv", HEADER + "2,B,d\r\n")
    files = {"pattern": "in/*", "format": "csv"}
    assert [row["no"] for row in read(open_folder(tmp_path, files=files))[0]] == ["2"]


def test_a_pull_is_transient_when_the_file_grows_while_it_is_read(tmp_path: Path) -> None:
    path = drop(tmp_path, "in/a.csv", HEADER + "1,A,d\r\n2,B\r\n")
    with open_folder(tmp_path) as reader:
        found = iter(reader)
        next(found)
        with path.open("ab") as more:
            more.write(b"3,C,d\r\n")
        with pytest.raises(TransientError, match=r"in/a\.csv: the file changed"):
            list(found)


def test_nothing_delivered_is_skippable_when_no_file_matches(tmp_path: Path) -> None:
    with pytest.raises(SkippableError, match=r"no file matches in/\*\.csv"):
        read(open_folder(tmp_path))


def test_a_missing_folder_is_transient_because_a_share_may_not_be_mounted(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="mounted"):
        read(open_folder(tmp_path / "nowhere"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_fatal_when_the_rights_are_missing(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER).chmod(0)
    with pytest.raises(FatalError, match=r"in/a\.csv"):
        read(open_folder(tmp_path))


def test_a_link_is_not_followed_when_it_leaves_the_folder(tmp_path: Path) -> None:
    secret = drop(tmp_path, "outside.csv", HEADER + "1,A,d\r\n")
    (tmp_path / "drop/in").mkdir(parents=True)
    (tmp_path / "drop/in/a.csv").symlink_to(secret)
    rows, rejects = read(open_folder(tmp_path / "drop"))
    assert not rows
    assert reasons(rejects) == [("in/a.csv", None, "file.broken")]


def test_pages_stay_bounded_when_a_file_is_long(tmp_path: Path) -> None:
    count = PAGE_ROWS + 10
    drop(tmp_path, "in/a.csv", HEADER + "".join(f"{n},A,d\r\n" for n in range(count)))
    with open_folder(tmp_path) as reader:
        pages = [page for page in reader if isinstance(page, SourcePage)]
    assert [page.batch.num_rows for page in pages] == [PAGE_ROWS, 10]
    assert [page.first_row for page in pages] == [2, PAGE_ROWS + 2]


def test_pages_close_early_when_the_cells_are_long(tmp_path: Path) -> None:
    drop(tmp_path, "in/a.csv", HEADER + "".join(f"{n},{'x' * 1_000_000},d\r\n" for n in range(40)))
    with open_folder(tmp_path) as reader:
        pages = [page.batch.num_rows for page in reader if isinstance(page, SourcePage)]
    assert len(pages) > 1
    assert sum(pages) == 40


def test_no_folder_is_fatal_when_the_connection_names_none() -> None:
    files = {"pattern": "*.csv", "format": "csv"}
    department = make_department({"kind": "files"}, {"files": files})
    with pytest.raises(FatalError, match=r"extra\.path"):
        open_source(department, "complaint", Connection("dept_sample_office", "fs"), WINDOW, now=now)


def test_every_byte_ends_as_row_or_typed_error_when_a_file_is_noise(tmp_path: Path) -> None:
    draw = random.Random(7)
    alphabet = [b'"', b",", b"\r", b"\n", b"\x00", b"\x81", b"\xff", b"1", "字".encode("gb18030")]
    for _ in range(300):
        noise = b"".join(draw.choices(alphabet, k=draw.randrange(60)))
        drop(tmp_path, "in/a.csv", HEADER.encode() + noise + b"\r\n")
        rows, rejects = read(open_folder(tmp_path, encoding="gb18030"))
        assert all(row["no"] is not None for row in rows)
        assert all(reject.row is not None and reject.row > 1 for reject in rejects)
