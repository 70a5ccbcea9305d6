"""A real register of 44,777 enterprises, row by row, against a reading of its own that shares no code with ours.

The oracle: Python's csv and dates, python-stdnum for the unified code, GB 11714 written out below. The register's
licence keeps it out of the repository: its path comes from XINQIAO_REGISTER.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import stdnum.cn.uscc
from stdnum.exceptions import InvalidChecksum, ValidationError

from connectors.department import load_department
from exchange_formats.periods import end_of_day
from exchange_formats.subjects import PseudonymKey
from gateway.validation import Repeats, Submission, Validation, prepare, validate_file

MAPPING = Path(__file__).parents[1] / "data" / "register_zhejiang.yaml"
AS_OF = date(2026, 11, 24)
NOTHING = frozenset({"", "\\N", "N/A", "NULL", "null", "暂无", "无"})
CITIES = frozenset(["杭州", "宁波", "温州", "嘉兴", "湖州", "绍兴", "金华", "衢州", "舟山", "台州", "丽水"])
#: GB 11714: weights of the organisation code's eight places; the check digit 10 is written X, 11 is written 0.
WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def register() -> Path:
    path = os.environ.get("XINQIAO_REGISTER")
    if not path:
        pytest.skip("XINQIAO_REGISTER names no register: its licence forbids shipping it")
    return Path(path)


@pytest.fixture(scope="module")
def rows(register: Path) -> Mapping[int, Row]:
    """The rows by their number in the file, the header being 1; every byte is UTF-8."""
    text = gzip.decompress(register.read_bytes()).decode("utf-8")
    return dict(enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), start=2))


@pytest.fixture(scope="module")
def validated(register: Path) -> tuple[Validation, Mapping[int, str]]:
    """What validating says, and the first reason of each rejected row."""
    submission = open_register(register)
    rejects: list[pa.RecordBatch] = []
    found = validate_file(
        submission, until=end_of_day(AS_OF), pseudonyms=PseudonymKey("t", b"t" * 32), shown=100, keep=rejects.append
    )
    entries = [entry for batch in rejects for entry in batch.to_pylist()]
    return found, {entry["origin_row"]: entry["reason"] for entry in entries}


def open_register(path: Path) -> Submission:
    return prepare(path, "profile", department=load_department(MAPPING))


def find_fault(row: Row) -> str | None:
    """The reason code this row must be rejected for; None where it is good."""
    if any("\N{REPLACEMENT CHARACTER}" in value for value in row.values()):
        return "text.mojibake"
    return find_code_fault(read_code(row)) or find_date_fault(row["注册日期"]) or find_other_fault(row)


def read_code(row: Row) -> str:
    """The code as the declared rules normalise it."""
    return row["统一社会信用代码"].strip().upper()


def find_code_fault(code: str) -> str | None:
    if code in NOTHING:
        return "key.missing"
    if code.isdigit() and len(code) in {13, 15}:
        return "unified_code.registration_number"
    if len(code) != 18:
        return "unified_code.length"
    try:
        stdnum.cn.uscc.validate(code)
    except InvalidChecksum:
        return "unified_code.check_digit" if is_organisation_code(code[8:17]) else "unified_code.organisation"
    except ValidationError:
        return "unified_code.alphabet"
    return None if is_organisation_code(code[8:17]) else "unified_code.organisation"


def is_organisation_code(code: str) -> bool:
    values = [int(letter, 36) for letter in code[:8]]
    check = 11 - sum(value * weight for value, weight in zip(values, WEIGHTS, strict=True)) % 11
    return code[8] == {10: "X", 11: "0"}.get(check, str(check))


def find_date_fault(text: str) -> str | None:
    if text.strip() in NOTHING:
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return "date.malformed"
    return "date.future" if day > AS_OF else None


def find_other_fault(row: Row) -> str | None:
    if row["企业名称"].strip() in NOTHING:
        return "required.missing"
    if row["地区"].strip() not in CITIES | NOTHING:
        return "code.unknown"
    lengths = {"企业名称": 200, "企业类型": 100, "注册资金": 100}
    return "text.too_long" if any(len(row[name]) > most for name, most in lengths.items()) else None


def count_repeats(rows: Mapping[int, Row]) -> Repeats:
    """Good rows whose code stood before, by whether all that is read of them is the same."""
    seen: dict[str, set[tuple[str, ...]]] = {}
    identical = 0
    for row in rows.values():
        if find_fault(row) is None:
            content = tuple(read_cells(row))
            before = seen.setdefault(read_code(row), set())
            identical += content in before
            before.add(content)
    return Repeats(identical, sum(len(contents) - 1 for contents in seen.values()))


def read_cells(row: Row) -> Iterator[str]:
    for name in ("企业名称", "企业类型", "注册日期", "注册资金", "地区"):
        text = row[name].strip().replace("（", "(").replace("）", ")")
        yield "" if text in NOTHING else text


def test_mapping_is_sound_when_the_file_is_not_at_hand() -> None:
    assert set(load_department(MAPPING).datasets) == {"profile"}


def test_exactly_the_malformed_rows_are_rejected_each_for_its_reason(
    rows: Mapping[int, Row], validated: tuple[Validation, Mapping[int, str]]
) -> None:
    expected = {number: fault for number, row in rows.items() if (fault := find_fault(row))}
    found, rejected = validated
    assert dict(rejected) == expected
    assert (found.read, found.rejected) == (44_777, 42)
    assert Counter(expected.values()) == {"text.mojibake": 40, "unified_code.registration_number": 2}


def test_nothing_is_lost_or_counted_twice_when_the_register_is_read(
    rows: Mapping[int, Row], validated: tuple[Validation, Mapping[int, str]]
) -> None:
    found, _ = validated
    assert found.read == found.good + found.rejected == len(rows)
    assert found.repeats == count_repeats(rows)
    assert found.repeats.identical + found.repeats.differing == 9, "codes that stand twice"
    assert not found.refused


def test_every_change_of_a_cell_is_counted_when_the_register_is_dirty(
    rows: Mapping[int, Row], validated: tuple[Validation, Mapping[int, str]]
) -> None:
    rules = validated[0].normalised_by_rule
    lower = [row for row in rows.values() if read_code(row) != row["统一社会信用代码"] and find_fault(row) is None]
    assert rules["code_normalised"] == len(lower) > 0
    read = ("企业名称", "统一社会信用代码", "注册日期", "企业类型", "注册资金", "地区")
    written = sum(row[name].strip() in NOTHING for row in rows.values() for name in read)
    assert rules["null_spelling"] == written > 40_000


def test_no_problem_shows_a_whole_code_or_name(
    rows: Mapping[int, Row], validated: tuple[Validation, Mapping[int, str]]
) -> None:
    for problem in validated[0].problems:
        assert problem.row is not None
        row = rows[problem.row]
        for name in ("统一社会信用代码", "企业名称"):
            assert row[name] not in (problem.value or "")
