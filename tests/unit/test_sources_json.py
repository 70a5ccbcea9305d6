"""Dropped JSON files: a list, a list inside a document, JSON Lines; packed ones; and what is none of these."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sources import limits
from connectors.sources.files import open_file
from exchange_formats.errors import FatalError
from tests.source_samples import make_department, read

GOOD = '{"no": 1, "code": "A", "day": null}'


def read_json(
    folder: Path, content: bytes | str, *, name: str = "a.json", records: str | None = None, **mapping: Any
) -> tuple[list[dict[str, Any]], list[tuple[int | None, str, str]]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    files = {"pattern": "*", "format": "json", "records": records}
    department = make_department({"kind": "files"}, {"files": files, **mapping})
    rows, rejects = read(open_file(department.datasets["complaint"], path))
    return rows, [(one.row, str(one.reason), one.detail) for one in rejects]


def numbers(rows: list[dict[str, Any]]) -> list[tuple[Any, int]]:
    return [(row["no"], row["_at"][1]) for row in rows]


def test_values_are_the_text_they_were_when_records_stand_in_a_list(tmp_path: Path) -> None:
    content = (
        '\ufeff [ {"no": 1.10, "code": "甲", "day": true}, {"day": null, "code": "B", "no": 12345678901234567890} ]\n'
    )
    rows, rejects = read_json(tmp_path, content)
    assert [(row["no"], row["code"], row["day"], row["_at"]) for row in rows] == [
        ("1.10", "甲", "true", ("a.json", 1)),
        ("12345678901234567890", "B", None, ("a.json", 2)),
    ]
    assert not rejects


def test_records_are_found_when_they_stand_inside_a_document(tmp_path: Path) -> None:
    content = json.dumps({"code": 0, "data": {"note": [[1]], "rows": [json.loads(GOOD)] * 3, "total": 3}, "ok": True})
    rows, rejects = read_json(tmp_path, content, records="data.rows")
    assert numbers(rows) == [("1", 1), ("1", 2), ("1", 3)]
    assert not rejects


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ('{"code": 0}', "there is no key 'data'"),
        ('{"data": {"total": 3}}', "there is no key 'rows'"),
        ('{"data": []}', "no object where the key 'rows' should be"),
        ('{"data": {"rows": {}}}', "no list where the records should be"),
        ("[]", "no object where the key 'data' should be"),
    ],
)
def test_the_file_is_rejected_when_the_list_is_not_where_it_should_be(
    content: str, detail: str, tmp_path: Path
) -> None:
    assert read_json(tmp_path, content, records="data.rows") == ([], [(None, "file.broken", detail)])


def test_rows_are_numbered_by_line_and_a_bad_line_costs_no_other_when_it_is_json_lines(tmp_path: Path) -> None:
    bad = [b'{"no": 2,}', b'{"no": 3} {"no": 3}', b"[4]", b'{"no": "\xff"}', b'{"no": "\\ud800"}', b'{"no": {}}']
    rows, rejects = read_json(tmp_path, b"\r\n".join([GOOD.encode(), b"", *bad, GOOD.encode()]))
    assert numbers(rows) == [("1", 1), ("1", 9)]
    assert [(row, reason) for row, reason, _ in rejects] == [
        (3, "row.malformed"),
        (4, "row.malformed"),
        (5, "row.malformed"),
        (6, "row.undecodable"),
        (7, "row.malformed"),
        (8, "row.malformed"),
    ]
    assert rejects[-1][2] == "column 'no' holds a structure"


@pytest.mark.parametrize(
    "record",
    ['{"no": 2, "code": "B", "no": 3}', '{"no": NaN, "code": "B"}', '{"no": 2, "extra": ' + "[" * 70 + "]" * 70 + "}"],
    ids=["a key twice", "not a number", "nested"],
)
@pytest.mark.parametrize("lines", [True, False])
def test_only_that_record_is_rejected_when_it_is_ambiguous_or_nested(record: str, lines: bool, tmp_path: Path) -> None:  # noqa: FBT001
    content = f"{GOOD}\n{record}\n{GOOD}" if lines else f"[{GOOD},{record},{GOOD}]"
    rows, rejects = read_json(tmp_path, content, on_unknown_column="report")
    assert numbers(rows) == [("1", 1), ("1", 3)]
    assert [(row, reason) for row, reason, _ in rejects] == [(2, "row.malformed")]


@pytest.mark.parametrize(
    "rest",
    [
        f", {GOOD}",
        f" {GOOD}]",
        f", {GOOD},]",
        f", {GOOD}] x",
        ', {"no": 2',
        ", " + "[" * 100_000,
        "}",
        ', {"no": "\x00',
    ],
)
def test_the_records_in_front_are_kept_when_a_list_breaks(rest: str, tmp_path: Path) -> None:
    rows, rejects = read_json(tmp_path, f"[{GOOD}{rest}")
    assert numbers(rows)[0] == ("1", 1)
    assert [(row, reason) for row, reason, _ in rejects] == [(None, "file.broken")]


@pytest.mark.parametrize("content", ["", " \n ", "[]", "[ ]"])
def test_a_file_is_empty_when_it_holds_no_record(content: str, tmp_path: Path) -> None:
    assert read_json(tmp_path, content)[1] == [(None, "file.empty", "there is no record")]


@pytest.mark.parametrize(
    "content", ["no,code\n1,A\n", "<html>", "nul", "[[[", '{"a":', b"\xff\xfe[\x00]\x00", b'["\xff"]']
)
def test_a_file_is_rejected_when_it_is_no_json(content: bytes | str, tmp_path: Path) -> None:
    assert [reason for _, reason, _ in read_json(tmp_path, content)[1]] == ["file.broken"]


def test_a_missing_key_says_what_to_send_when_no_record_has_it(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"a\.json: missing columns: 'day'.*null where there is no value"):
        read_json(tmp_path, '[{"no": 1, "code": "A"}]')


def test_an_unknown_key_stops_wherever_it_first_stands(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="unknown columns: 'phone'"):
        read_json(tmp_path, f"[{','.join([GOOD] * 3000)}, " + '{"phone": 1}]')


@pytest.mark.parametrize("lines", [True, False])
def test_a_record_is_rejected_when_it_is_too_large(
    lines: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("JSON_RECORD", "LINE"):
        monkeypatch.setattr(limits, name, replace(limits.JSON_RECORD, most=1_000_000))
    large = json.dumps({"no": "x" * 3_000_000})
    content = f"{GOOD}\n{large}\n{GOOD}" if lines else f"[{GOOD},{large},{GOOD}]"
    rows, rejects = read_json(tmp_path, content)
    assert numbers(rows) == ([("1", 1), ("1", 3)] if lines else [("1", 1)])
    assert [(row, reason) for row, reason, _ in rejects] == [(2 if lines else None, "cell.too_large")]


def test_the_file_is_rejected_when_it_has_too_many_keys(tmp_path: Path) -> None:
    content = json.dumps([{f"key{number}": 1 for number in range(100 * part, 100 * part + 100)} for part in range(100)])
    assert read_json(tmp_path, content)[1] == [(None, "file.broken", "more than 1,024 columns")]


def test_the_file_is_rejected_when_its_keys_are_endless(tmp_path: Path) -> None:
    content = json.dumps([{f"{number}" + "k" * 1_000_000: 1} for number in range(10)])
    assert read_json(tmp_path, content)[1] == [(None, "file.broken", "names of columns of more than 4 MiB")]


def test_a_packed_file_is_read_when_it_ends_in_gz(tmp_path: Path) -> None:
    rows, _ = read_json(tmp_path, gzip.compress(f"[{GOOD}]".encode()), name="a.json.gz")
    assert numbers(rows) == [("1", 1)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.none() | st.text(max_size=8) | st.integers() for name in ("no", "code", "day")}
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["list", "lines", "document"]),
)
def test_every_record_comes_back_whatever_holds_them(tmp_path: Path, records: list[dict[str, Any]], shape: str) -> None:
    if shape == "lines":
        content = "\n".join(json.dumps(record) for record in records)
    else:
        content = json.dumps(records if shape == "list" else {"a": {"b": records}})
    rows, rejects = read_json(tmp_path, content, records="a.b" if shape == "document" else None)
    assert not rejects
    assert [{name: row[name] for name in ("no", "code", "day")} for row in rows] == [
        {name: None if value is None else str(value) for name, value in record.items()} for record in records
    ]
