"""Dirt as real exports carry it (domain facts §6.6), put on about one row in a hundred."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from gateway.simulators.draws import open_stream

Row = dict[str, str]
_CODE = "统一社会信用代码"
_CHANGED = "更新时间"
_NAMES = ("行政相对人名称", "检查对象名称", "被投诉单位名称", "单位名称", "企业名称")
_OPTIONAL_DATES = ("整改期限", "办结日期", "有效期至", "处罚有效期", "责任认定日期", "成立日期")
_UNIMPORTANT = ("行业类别", "备注")
_SENTINELS = ("9999-09-09", "2099-12-31", "1900-01-01", "1899-12-31 12:00:00")
_PER_DIRTY_ROW = 85
_FEWEST = 21


def soil(department: str, dataset: str, rows: list[Row], seed: int) -> list[tuple[int, str]]:
    """Dirty some rows in place; answers (row index, kind) of each. At least one row, the kinds in turn.

    So few rows that a bad one, sent twice, would be more than landing allows stay clean.
    """
    if len(rows) < _FEWEST:
        return []
    kinds = _PLAN[dataset]
    stream = open_stream(seed, f"{department}/{dataset}/dirt")
    count = min(len(rows), max(1, round(len(rows) / _PER_DIRTY_ROW)))
    places = sorted(stream.sample(range(len(rows)), count))
    soiled = []
    for turn, place in enumerate(places):
        kind = kinds[turn % len(kinds)]
        _KINDS[kind](stream, rows[place])
        soiled.append((place, kind))
    return soiled


def _spell_null(stream: Random, row: Row) -> None:
    empty = [name for name, text in row.items() if not text][:3]
    for header in empty or [name for name in _UNIMPORTANT if name in row]:
        row[header] = stream.choice((r"\N", "暂无"))


def _put_sentinel(stream: Random, row: Row) -> None:
    header = next(name for name in _OPTIONAL_DATES if name in row)
    row[header] = stream.choice(_SENTINELS)


def _break_time(_: Random, row: Row) -> None:
    row[_CHANGED] = row[_CHANGED][:10] + " 00:00;00"


def _widen_digits(_: Random, row: Row) -> None:
    row[_CODE] = row[_CODE].translate({0x30 + i: 0xFF10 + i for i in range(10)})


def _swap_brackets(_: Random, row: Row) -> None:
    name = _name_of(row)
    swapped = row[name].translate(str.maketrans("（）()", "()（）"))
    row[name] = swapped if swapped != row[name] else f"{row[name]}（浙江)"


def _trail_spaces(stream: Random, row: Row) -> None:
    row[_name_of(row)] += stream.choice(("  ", "　", " \t"))
    row[_CODE] += " "


def _lower_code(_: Random, row: Row) -> None:
    row[_CODE] = row[_CODE].lower()


def _put_old_number(stream: Random, row: Row) -> None:
    """A 15-digit registration number of before 2015 where the unified code belongs."""
    row[_CODE] = f"{row[_CODE][2:8] or '330000'}{stream.randrange(10**9):09d}"


def _mask_code(_: Random, row: Row) -> None:
    row[_CODE] = (row[_CODE][2:8] or "330000") + "*" * 12


def _mix_bytes(_: Random, row: Row) -> None:
    """UTF-8 bytes inside a GB18030 file; carried as surrogates until the file is encoded."""
    name = _name_of(row)
    row[name] = row[name].encode("utf-8").decode("ascii", "surrogateescape")


def _name_of(row: Row) -> str:
    return next(name for name in _NAMES if name in row)


_KINDS: Mapping[str, Callable[[Random, Row], None]] = {
    "null_spelling": _spell_null,
    "sentinel_date": _put_sentinel,
    "broken_time": _break_time,
    "full_width_digits": _widen_digits,
    "brackets": _swap_brackets,
    "trailing_spaces": _trail_spaces,
    "lower_case_code": _lower_code,
    "old_number": _put_old_number,
    "masked_code": _mask_code,
    "mixed_bytes": _mix_bytes,
}
# Rows that cannot be kept (old numbers, masked codes, mixed bytes) stay out of the small adverse datasets.
_PLAN: Mapping[str, tuple[str, ...]] = {
    "profile": (
        *("old_number", "trailing_spaces", "lower_case_code", "full_width_digits", "masked_code", "brackets"),
        *("sentinel_date", "null_spelling"),
    ),
    "penalty": ("broken_time", "trailing_spaces", "sentinel_date", "null_spelling"),
    "inspection": ("mixed_bytes", "sentinel_date", "lower_case_code", "old_number"),
    "incident": ("sentinel_date", "brackets", "null_spelling"),
    "complaint": ("masked_code", "null_spelling", "mixed_bytes", "trailing_spaces"),
    "honour": ("brackets", "full_width_digits", "sentinel_date"),
    "annual_report": ("trailing_spaces", "lower_case_code"),
    "commitment": ("brackets", "full_width_digits", "null_spelling"),
}
