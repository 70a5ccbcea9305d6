"""Rejects: rows that broke their dataset's contract, kept with the reason (semantics §5, architecture §5.5).

A reject never carries a row's values as they came: it names the place (origin and
row), the reason, the column and the masked value, and what is needed to find the
record again: its derived id, its key, its pseudonymised subject and a keyed fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import pyarrow as pa

from exchange_formats.code_lists import load_code_lists
from exchange_formats.datasets import load_contracts
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
    """Why a row was rejected: a stable code, shown with ``describe_reason`` in Chinese and English.

    A cross-field rule of a dataset (``datasets.Check``) is a reason of its own, by its id.
    """

    FILE_EMPTY = "file.empty"
    FILE_BROKEN = "file.broken"
    ROW_RAGGED = "row.ragged"
    ROW_MALFORMED = "row.malformed"
    ROW_UNDECODABLE = "row.undecodable"
    CELL_TOO_LARGE = "cell.too_large"
    TEXT_MOJIBAKE = "text.mojibake"
    TEXT_CONTROL = "text.control"
    TEXT_SCIENTIFIC = "text.scientific"
    TEXT_TOO_LONG = "text.too_long"
    KEY_MISSING = "key.missing"
    SUBJECT_MISSING = "subject.missing"
    SUBJECT_TYPE = "subject.type"
    SUBJECT_PERSON_NUMBER = "subject.person_number"
    REGISTRY_NUMBER_MALFORMED = "registry_number.malformed"
    UNIFIED_CODE_MASKED = "unified_code.masked"
    UNIFIED_CODE_REGISTRATION_NUMBER = "unified_code.registration_number"
    UNIFIED_CODE_LENGTH = "unified_code.length"
    UNIFIED_CODE_ALPHABET = "unified_code.alphabet"
    UNIFIED_CODE_ORGANISATION = "unified_code.organisation"
    UNIFIED_CODE_CHECK_DIGIT = "unified_code.check_digit"
    RESIDENT_NUMBER_MASKED = "resident_number.masked"
    RESIDENT_NUMBER_LENGTH = "resident_number.length"
    RESIDENT_NUMBER_ALPHABET = "resident_number.alphabet"
    RESIDENT_NUMBER_BIRTH_DATE = "resident_number.birth_date"
    RESIDENT_NUMBER_CHECK_DIGIT = "resident_number.check_digit"
    ORGANISATION_CODE_MALFORMED = "organisation_code.malformed"
    ORGANISATION_CODE_CHECK_DIGIT = "organisation_code.check_digit"
    REQUIRED_MISSING = "required.missing"
    REQUIRED_CONDITION = "required.condition"
    DATE_MALFORMED = "date.malformed"
    DATE_RANGE = "date.range"
    DATE_FUTURE = "date.future"
    NUMBER_MALFORMED = "number.malformed"
    NUMBER_INEXACT = "number.inexact"
    NUMBER_RANGE = "number.range"
    BOOLEAN_MALFORMED = "boolean.malformed"
    CODE_UNKNOWN = "code.unknown"
    DIVISION_UNKNOWN = "division.unknown"
    DIVISION_NOT_VALID = "division.not_valid"
    INDUSTRY_UNKNOWN = "industry.unknown"
    CHANGE_UNKNOWN = "change.unknown"
    CHANGE_UNMATCHED = "change.unmatched"
    SOURCE_TIME_MISSING = "source_time.missing"
    SOURCE_TIME_MALFORMED = "source_time.malformed"
    SOURCE_TIME_FUTURE = "source_time.future"


@dataclass(frozen=True, slots=True)
class Title:
    """A short text in both languages; ``basis`` is the law or standard behind it, where there is one."""

    zh: str
    en: str
    basis: str = ""


_FILE = "RFC 4180"
_CODE = "GB 32100-2015"
_PERSON = "GB 11643-1999"
_ORGANISATION = "GB 11714"
_OURS = "本系统约定 (assumption)"
_CATALOGUE = "信用信息目录 (exchange_formats/catalogue)"

_TITLES = {
    Reason.FILE_EMPTY: Title("空文件", "the file is empty"),
    Reason.FILE_BROKEN: Title("文件损坏", "the file is broken"),
    Reason.ROW_RAGGED: Title("列数不符", "the row has too many or too few cells", _FILE),
    Reason.ROW_MALFORMED: Title("行格式错误", "the row is malformed", _FILE),
    Reason.ROW_UNDECODABLE: Title("编码错误", "the row is not in the declared encoding"),
    Reason.CELL_TOO_LARGE: Title("单元格过大", "the cell is too large", _OURS),
    Reason.TEXT_MOJIBAKE: Title("乱码", "the text was decoded wrongly before it came", _OURS),
    Reason.TEXT_CONTROL: Title("含控制字符", "the text holds control characters", _OURS),
    Reason.TEXT_SCIENTIFIC: Title(
        "科学计数法, 数位可能已丢失, 请按文本重新导出",
        "a number in scientific notation may have lost digits: export it as text",
        _OURS,
    ),
    Reason.TEXT_TOO_LONG: Title("文本超长", "the text is longer than the column keeps", _CATALOGUE),
    Reason.KEY_MISSING: Title("缺少主键", "a key value is missing"),
    Reason.SUBJECT_MISSING: Title("缺少主体代码", "the subject's code is missing", _CATALOGUE),
    Reason.SUBJECT_TYPE: Title("主体类型不符", "the dataset does not take subjects of this type", _CATALOGUE),
    Reason.SUBJECT_PERSON_NUMBER: Title(
        "组织的代码栏填了公民身份号码", "a person's number stands for an organisation", f"{_CODE}; {_PERSON}"
    ),
    Reason.REGISTRY_NUMBER_MALFORMED: Title("外部登记号错误", "the other registry's number is malformed", _OURS),
    Reason.UNIFIED_CODE_MASKED: Title("统一社会信用代码被打码", "the unified code is masked", _CODE),
    Reason.UNIFIED_CODE_REGISTRATION_NUMBER: Title(
        "填了旧工商注册号, 不是统一社会信用代码", "an old registration number instead of a unified code", _CODE
    ),
    Reason.UNIFIED_CODE_LENGTH: Title("统一社会信用代码不是18位", "the unified code has not 18 characters", _CODE),
    Reason.UNIFIED_CODE_ALPHABET: Title(
        "统一社会信用代码含非法字符", "the unified code has a character outside its alphabet", _CODE
    ),
    Reason.UNIFIED_CODE_ORGANISATION: Title(
        "统一社会信用代码的组织机构代码校验码错误",
        "the organisation code inside the unified code fails its check digit",
        f"{_CODE}; {_ORGANISATION}",
    ),
    Reason.UNIFIED_CODE_CHECK_DIGIT: Title(
        "统一社会信用代码校验码错误", "the unified code fails its check digit", _CODE
    ),
    Reason.RESIDENT_NUMBER_MASKED: Title("公民身份号码被打码", "the resident number is masked", _PERSON),
    Reason.RESIDENT_NUMBER_LENGTH: Title("公民身份号码不是18位", "the resident number has not 18 characters", _PERSON),
    Reason.RESIDENT_NUMBER_ALPHABET: Title(
        "公民身份号码含非法字符", "the resident number has a character that is no digit", _PERSON
    ),
    Reason.RESIDENT_NUMBER_BIRTH_DATE: Title(
        "公民身份号码的出生日期不存在", "the resident number's day of birth does not exist", _PERSON
    ),
    Reason.RESIDENT_NUMBER_CHECK_DIGIT: Title(
        "公民身份号码校验码错误", "the resident number fails its check digit", _PERSON
    ),
    Reason.ORGANISATION_CODE_MALFORMED: Title(
        "组织机构代码格式错误", "the organisation code is malformed", _ORGANISATION
    ),
    Reason.ORGANISATION_CODE_CHECK_DIGIT: Title(
        "组织机构代码校验码错误", "the organisation code fails its check digit", _ORGANISATION
    ),
    Reason.REQUIRED_MISSING: Title("缺少必填项", "a required value is missing", _CATALOGUE),
    Reason.REQUIRED_CONDITION: Title(
        "缺少条件必填项", "a value is missing that this row's other values require", _CATALOGUE
    ),
    Reason.DATE_MALFORMED: Title("日期格式错误", "the date is malformed"),
    Reason.DATE_RANGE: Title("日期超出合理范围", "the date is too early or too late to be a fact", _OURS),
    Reason.DATE_FUTURE: Title("日期在未来", "the date lies in the future", _CATALOGUE),
    Reason.NUMBER_MALFORMED: Title("数字格式错误", "the number is malformed"),
    Reason.NUMBER_INEXACT: Title("数字精度超出", "the number has more decimals than the column keeps", _CATALOGUE),
    Reason.NUMBER_RANGE: Title("数字超出范围", "the number is out of range", _CATALOGUE),
    Reason.BOOLEAN_MALFORMED: Title("是否值错误", "neither yes nor no"),
    Reason.CODE_UNKNOWN: Title("代码未登记", "the code is not in the list", _CATALOGUE),
    Reason.DIVISION_UNKNOWN: Title("行政区划代码不存在", "there is no such division", "GB/T 2260"),
    Reason.DIVISION_NOT_VALID: Title("行政区划代码当日无效", "the division did not exist on that day", "GB/T 2260"),
    Reason.INDUSTRY_UNKNOWN: Title("行业分类代码不存在", "there is no such industry class", "GB/T 4754-2017"),
    Reason.CHANGE_UNKNOWN: Title("变更标志缺失或未登记", "the change flag is missing or not declared"),
    Reason.CHANGE_UNMATCHED: Title("要删除的记录从未收到", "it deletes a record that was never received"),
    Reason.SOURCE_TIME_MISSING: Title("缺少更新时间", "the source's update time is missing"),
    Reason.SOURCE_TIME_MALFORMED: Title("更新时间格式错误", "the source's update time is malformed"),
    Reason.SOURCE_TIME_FUTURE: Title("更新时间在未来", "the source's update time lies in the future"),
}


def describe_reason(code: str) -> Title:
    """The title of a reason code, or of a dataset's check by its id; a code only a source knows describes itself."""
    if code in set(Reason):
        return _TITLES[Reason(code)]
    return _describe_checks().get(code) or Title(code, code)


@cache
def _describe_checks() -> Mapping[str, Title]:
    checks = [check for contract in load_contracts().values() for check in contract.checks]
    marked = {check.id: "" if check.status == "official" else f" ({check.status})" for check in checks}
    return {
        check.id: Title(f"不满足: {check.title}", f"does not hold: {check.title_en}", check.basis + marked[check.id])
        for check in checks
    }


_LONG_RUN = re.compile(r"[0-9A-Za-z]{11,}")
_LETTER = re.compile(r"[^\W\d_]")
#: What no identity holds: a name in its place, or before it.
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_SHOWN = 40


@cache
def _listed_words() -> frozenset[str]:
    """Every code and title of the shared code lists."""
    return frozenset(word for one in load_code_lists().values() for pair in one.codes.items() for word in pair)


def mask_value(value: str, kind: str) -> str:
    """What a reject may show of a value. ``kind``: ``identity``, ``name``, ``typed`` (dates, numbers) or ``code``.

    A typed value keeps digits and signs, so that a broken date can be recognised, but
    no letter: a shifted column must not show a name. For the same reason a code is shown whole only
    where it is a word of some code list; of any other the first letter. Nothing shows a run of eleven,
    nor a code the words beside such a run.
    """
    if kind == "identity":
        return _FOREIGN.sub("*", mask_identity(value)[:_SHOWN])
    if kind == "name":
        return mask_name(value)
    shown, runs = _LONG_RUN.subn(lambda match: mask_identity(match[0]), value[:_SHOWN])
    if kind == "typed" or runs:
        shown = _LETTER.sub("*", shown)
    elif value not in _listed_words():
        shown = shown[:1] + _LETTER.sub("*", shown[1:])
    return shown + ("…" if len(value) > _SHOWN else "")
