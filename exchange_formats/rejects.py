"""Rejects: rows that broke their dataset's contract, kept with the reason (semantics §5, architecture §5.5).

A reject never carries a row's values as they came: it names the place (origin and
row), the reason, the column and the masked value, and what is needed to find the
record again: its derived id, its key, its pseudonymised subject and a keyed fingerprint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from exchange_formats.subjects import mask_identity, mask_name

#: How long rejects are kept (semantics §5).
RETENTION_DAYS = 180

REJECTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # position in the pull, from 1
        pa.field("rows", pa.int64(), nullable=False),  # how many source rows this entry stands for
        pa.field("origin", pa.string(), nullable=False),  # table, endpoint page or file, as the source names it
        pa.field("origin_row", pa.int64()),  # row number inside the origin
        pa.field("reason", pa.string(), nullable=False),
        pa.field("column", pa.string()),  # catalogue column
        pa.field("source_column", pa.string()),
        pa.field("value", pa.string()),  # masked
        pa.field("record_id", pa.string()),
        pa.field("subject_ref", pa.string()),
        pa.field("key", pa.string()),  # the record's declared key, identities masked
        pa.field("fingerprint", pa.string(), nullable=False),  # keyed digest of the row as it came
        pa.field("detail", pa.string()),  # every reason of the row: "reason column", comma separated
    ]
)


class Reason(StrEnum):
    """Why a row was rejected: a stable code, shown with ``describe_reason`` in Chinese and English."""

    FILE_EMPTY = "file.empty"
    FILE_BROKEN = "file.broken"
    ROW_RAGGED = "row.ragged"
    ROW_MALFORMED = "row.malformed"
    ROW_UNDECODABLE = "row.undecodable"
    CELL_TOO_LARGE = "cell.too_large"
    KEY_MISSING = "key.missing"
    SUBJECT_MISSING = "subject.missing"
    SUBJECT_MALFORMED = "subject.malformed"
    REQUIRED_MISSING = "required.missing"
    DATE_MALFORMED = "date.malformed"
    DATE_FUTURE = "date.future"
    NUMBER_MALFORMED = "number.malformed"
    NUMBER_INEXACT = "number.inexact"
    NUMBER_RANGE = "number.range"
    BOOLEAN_MALFORMED = "boolean.malformed"
    CODE_UNKNOWN = "code.unknown"
    CHANGE_UNKNOWN = "change.unknown"
    CHANGE_UNMATCHED = "change.unmatched"
    SOURCE_TIME_MISSING = "source_time.missing"
    SOURCE_TIME_MALFORMED = "source_time.malformed"
    SOURCE_TIME_FUTURE = "source_time.future"


@dataclass(frozen=True, slots=True)
class Title:
    """A short text in both languages."""

    zh: str
    en: str


_TITLES = {
    Reason.FILE_EMPTY: Title("空文件", "the file is empty"),
    Reason.FILE_BROKEN: Title("文件损坏", "the file is broken"),
    Reason.ROW_RAGGED: Title("列数不符", "the row has too many or too few cells"),
    Reason.ROW_MALFORMED: Title("行格式错误", "the row is malformed"),
    Reason.ROW_UNDECODABLE: Title("编码错误", "the row is not in the declared encoding"),
    Reason.CELL_TOO_LARGE: Title("单元格过大", "the cell is too large"),
    Reason.KEY_MISSING: Title("缺少主键", "a key value is missing"),
    Reason.SUBJECT_MISSING: Title("缺少主体代码", "the subject's code is missing"),
    Reason.SUBJECT_MALFORMED: Title("主体代码错误", "the subject's code is malformed"),
    Reason.REQUIRED_MISSING: Title("缺少必填项", "a required value is missing"),
    Reason.DATE_MALFORMED: Title("日期格式错误", "the date is malformed"),
    Reason.DATE_FUTURE: Title("日期在未来", "the date lies in the future"),
    Reason.NUMBER_MALFORMED: Title("数字格式错误", "the number is malformed"),
    Reason.NUMBER_INEXACT: Title("数字精度超出", "the number has more decimals than the column keeps"),
    Reason.NUMBER_RANGE: Title("数字超出范围", "the number is out of range"),
    Reason.BOOLEAN_MALFORMED: Title("是否值错误", "neither yes nor no"),
    Reason.CODE_UNKNOWN: Title("代码未登记", "the code is not in the list"),
    Reason.CHANGE_UNKNOWN: Title("变更标志缺失或未登记", "the change flag is missing or not declared"),
    Reason.CHANGE_UNMATCHED: Title("要删除的记录从未收到", "it deletes a record that was never received"),
    Reason.SOURCE_TIME_MISSING: Title("缺少更新时间", "the source's update time is missing"),
    Reason.SOURCE_TIME_MALFORMED: Title("更新时间格式错误", "the source's update time is malformed"),
    Reason.SOURCE_TIME_FUTURE: Title("更新时间在未来", "the source's update time lies in the future"),
}


def describe_reason(code: str) -> Title:
    """The title of a reason code; a code only a source knows describes itself."""
    return _TITLES[Reason(code)] if code in set(Reason) else Title(code, code)


_LONG_RUN = re.compile(r"[0-9A-Za-z]{11,}")
_SHOWN = 40


def mask_value(value: str, kind: str) -> str:
    """What a reject may show of a value. ``kind``: ``identity``, ``name``, ``typed`` (dates, numbers) or ``code``.

    A typed value keeps digits and signs, so that a broken date can be recognised, but
    no letter: a shifted column must not show a name. Nothing shows a run of eleven.
    """
    if kind == "identity":
        return mask_identity(value)[:_SHOWN]
    if kind == "name":
        return mask_name(value)
    shown = _LONG_RUN.sub(lambda match: mask_identity(match[0]), value[:_SHOWN])
    if kind == "typed":
        shown = "".join("*" if letter.isalpha() else letter for letter in shown)
    return shown + ("…" if len(value) > _SHOWN else "")
