"""Dropped Arrow files and streams: typed columns, and everything that a message or a footer may lie about."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.sources import PAGE_ROWS, SourcePage, limits
from connectors.sources.files import open_file
from exchange_formats.errors import FatalError
from tests.source_samples import make_department, read

TABLE = pa.table({"no": ["1", "2", None], "code": [Decimal("1.50")] * 3, "day": [date(2026, 1, 2)] * 3})


def pack(table: pa.Table, *, stream: bool = False, compression: str | None = None, rows: int | None = None) -> bytes:
    raw = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(raw, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return raw.getvalue()


def open_arrow(folder: Path, content: bytes, **mapping: Any) -> Any:
    path = folder / "a.arrow"
    path.write_bytes(content)
    department = make_department({"kind": "files"}, {"files": {"pattern": "*", "format": "arrow"}, **mapping})
    return open_file(department.datasets["complaint"], path)


def find_fault(folder: Path, content: bytes) -> str:
    rows, rejects = read(open_arrow(folder, content))
    assert [(one.origin, one.row, str(one.reason)) for one in rejects] == [("a.arrow", None, "file.broken")]
    assert not rows
    return rejects[0].detail


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_rows_come_typed_and_decimals_exact(tmp_path: Path, stream: bool, compression: str | None) -> None:  # noqa: FBT001
    rows, rejects = read(open_arrow(tmp_path, pack(TABLE, stream=stream, compression=compression, rows=2)))
    assert [(row["no"], row["code"], row["day"], row["_at"]) for row in rows] == [
        ("1", "1.50", date(2026, 1, 2), ("a.arrow", 1)),
        ("2", "1.50", date(2026, 1, 2), ("a.arrow", 2)),
        (None, "1.50", date(2026, 1, 2), ("a.arrow", 3)),
    ]
    assert not rejects


def test_pages_stay_bounded_when_a_batch_is_long(tmp_path: Path) -> None:
    count = 2 * PAGE_ROWS + 5
    table = pa.table({"no": pa.array(["1"] * count, pa.large_string()), "code": ["A"] * count, "day": ["d"] * count})
    with open_arrow(tmp_path, pack(table)) as reader:
        pages = [page for page in reader if isinstance(page, SourcePage)]
    assert [(page.first_row, page.batch.num_rows) for page in pages] == [
        (1, PAGE_ROWS),
        (PAGE_ROWS + 1, PAGE_ROWS),
        (2 * PAGE_ROWS + 1, 5),
    ]
    assert pages[0].batch.schema.field("no").type == pa.string()


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a"]).dictionary_encode(),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.nulls(1),
        pa.array([b"a"]),
        pa.array(["a"], pa.string_view()),
        pa.RunEndEncodedArray.from_arrays([1], ["a"]),
    ],
    ids=lambda column: str(column.type)[:12],
)
def test_the_file_is_rejected_when_a_column_is_not_plain(tmp_path: Path, column: pa.Array) -> None:
    assert "column 'no' is a" in find_fault(tmp_path, pack(pa.table({"no": column, "code": ["A"], "day": ["d"]})))


@pytest.mark.parametrize("kept", [1, 7, 9, 100, 400, -1, -9, -40])
@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
def test_the_file_is_rejected_when_it_is_cut_off(tmp_path: Path, kept: int, stream: bool) -> None:  # noqa: FBT001
    rows, rejects = read(open_arrow(tmp_path, pack(TABLE, stream=stream)[:kept]))
    assert [str(one.reason) for one in rejects] == ["file.broken"]
    assert not rows or stream


def test_an_empty_file_is_named_so(tmp_path: Path) -> None:
    assert [str(one.reason) for one in read(open_arrow(tmp_path, b""))[1]] == ["file.empty"]


def _blocks(content: bytes) -> list[int]:
    """Where the footer's blocks stand in the file."""
    length = struct.unpack("<i", content[-10:-6])[0]
    footer, found = len(content) - 10 - length, []
    with pa.ipc.open_file(pa.BufferReader(content)) as file:
        count = file.num_record_batches
    for place in range(footer, len(content) - 24):
        offset, metadata, body = struct.unpack_from("<qi4xq", content, place)
        if content[offset : offset + 4] == b"\xff" * 4 and 0 < offset < len(content) and metadata > 8 and body > 0:
            found.append(place)
    assert len(found) == count
    return found


@pytest.mark.parametrize("lie", ["offset", "metadata length", "body length", "one block twice"])
def test_the_file_is_rejected_when_its_footer_lies(tmp_path: Path, lie: str) -> None:
    content = bytearray(pack(TABLE, rows=1))
    first, second, _ = _blocks(bytes(content))
    if lie == "one block twice":
        content[second : second + 24] = content[first : first + 24]
    else:
        place = first + {"offset": 0, "metadata length": 8, "body length": 16}[lie]
        content[place : place + 4] = struct.pack("<i", 2**31 - 8)
    rows, rejects = read(open_arrow(tmp_path, bytes(content)))
    assert [one.detail for one in rejects] == ["the footer does not say what the file holds"]
    assert [row["no"] for row in rows] in ([], ["1", "2", None])


def test_the_file_is_rejected_when_its_footer_has_another_schema(tmp_path: Path) -> None:
    content = pack(TABLE)
    renamed = content[: len(content) // 2] + content[len(content) // 2 :].replace(b"code", b"edoc")
    assert renamed != content
    assert find_fault(tmp_path, renamed) == "the footer does not say what the file holds"


def test_no_memory_is_given_when_a_message_says_it_is_huge(tmp_path: Path) -> None:
    content = bytearray(pack(TABLE, stream=True))
    _, batch = pa.ipc.MessageReader.open_stream(pa.BufferReader(bytes(content)))
    place = content.index(struct.pack("<q", batch.body.size))
    content[place : place + 8] = struct.pack("<q", 2**40)
    assert find_fault(tmp_path, bytes(content)) == "a record batch of more than 256 MiB"


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_bomb_is_rejected_before_it_is_unpacked(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARROW_MESSAGE", replace(limits.ARROW_MESSAGE, most=2**20))
    table = pa.table({"no": ["0" * 50_000_000], "code": ["A"], "day": ["d"]})
    assert (
        find_fault(tmp_path, pack(table, compression=compression)) == "a record batch that unpacks to more than 1 MiB"
    )


def test_a_batch_is_rejected_when_its_offsets_or_text_are_not_sound(tmp_path: Path) -> None:
    content = pack(TABLE.set_column(1, "code", pa.array(["ABCDEFGH", "B", "C"])))
    assert find_fault(tmp_path, content.replace(b"ABCDEFGH", b"ABCD\xff\xfeGH")) == (
        "a record batch is not sound: ArrowInvalid"
    )
    offsets = struct.pack("<4i", 0, 8, 9, 10)
    assert content.count(offsets) == 1
    lying = content.replace(offsets, struct.pack("<4i", 0, 2**30, 9, 10))
    assert find_fault(tmp_path, lying).startswith("a record batch is not sound")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"a\.arrow: missing columns: 'day'"):
        read(open_arrow(tmp_path, pack(TABLE.drop_columns("day"))))
