"""Dirt: what real files hold besides their values, and what is done to it (facts §6.6).

This list is the whole of it. A rule that normalises loses no meaning and is counted by
its id in the manifest (``normalised_by_rule``); one that rejects marks the row with a
reason, because reading on would be guessing. The pages are made from this list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from exchange_formats.formulas import restore
from exchange_formats.rejects import Reason

_WIDE_SIGNS: Final = (("（", "("), ("）", ")"))
_TO_NARROW: Final = str.maketrans({chr(c): chr(c - 0xFEE0) for c in range(0xFF10, 0xFF5B) if chr(c).isalnum()})
SPACES: Final = "[\u0085\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
INVISIBLE: Final = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
#: Tab and line ends are text; every other control character is a sign of broken bytes.
CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{84}\x{86}-\x{9f}]"
#: U+FFFD; what it becomes when it is decoded once more as GBK; GBK that was decoded as Latin-1.
MOJIBAKE: Final = "\ufffd|锟斤拷|[\u00c0-\u00ff]{4}"

#: As spreadsheets write a number of twelve digits and more that was not kept as text.
SCIENTIFIC: Final = r"^-?[0-9](\.[0-9]+)?[Ee]\+[0-9]{2}$"


class Dirt(StrEnum):
    """The rules that normalise, by the id under which they are counted."""

    FORMULA_GUARD = "formula_guard"
    NULL_SPELLING = "null_spelling"
    FULL_WIDTH = "full_width"
    SPACE = "space"
    INVISIBLE = "invisible"
    TRIMMED = "trimmed"
    CODE_NORMALISED = "code_normalised"
    CASE_FOLDED = "case_folded"
    HYPHEN_REMOVED = "hyphen_removed"
    SENTINEL_DATE = "sentinel_date"
    TIME_DROPPED = "time_dropped"
    TRAILING_ZERO = "trailing_zero"
    UNIT_CONVERTED = "unit_converted"
    CURRENCY_CONVERTED = "currency_converted"
    PSEUDONYMISED = "pseudonymised"
    NAME_REDUCED = "name_reduced"


@dataclass(frozen=True, slots=True)
class DirtRule:
    """One rule in both languages, with an example: ``after`` is None where the row is rejected for ``reason``.

    ``example`` and ``after`` are a cell as it came and as it is kept; an empty ``after`` is null.
    """

    id: str
    zh: str
    en: str
    example: str
    after: str | None
    reason: Reason | None = None


RULES: Final[tuple[DirtRule, ...]] = (
    DirtRule(
        Dirt.FORMULA_GUARD,
        "删除公式防护引号: 单元格开头的单引号, 其后是电子表格会当作公式的文本",
        "the guard against formulas is removed: a single quote before what a spreadsheet would take for a formula",
        "'=1+1",
        "=1+1",
    ),
    DirtRule(Dirt.NULL_SPELLING, "空值写法读作空", "a spelling of nothing is null", "\\N", ""),
    DirtRule(
        Dirt.FULL_WIDTH,
        "全角括号、数字、字母改为半角; 其他中文标点不变",
        "full-width brackets, digits and letters become narrow; other Chinese punctuation stays",
        "某（浙江）公司１２",
        "某(浙江)公司12",
    ),
    DirtRule(
        Dirt.SPACE,
        "全角空格、不换行空格等改为普通空格",
        "an ideographic, no-break or other Unicode space becomes a plain one",
        "甲\u3000乙",
        "甲 乙",
    ),
    DirtRule(
        Dirt.INVISIBLE,
        "删除零宽字符、字节顺序标记、双向控制符",
        "zero-width characters, byte order marks and bidirectional marks are removed",
        "某\u200b公司\ufeff",
        "某公司",
    ),
    DirtRule(Dirt.TRIMMED, "删除首尾空白", "white space at both ends is removed", "  某公司\t", "某公司"),
    DirtRule(
        Dirt.CODE_NORMALISED,
        "主体代码改为大写半角",
        "the subject's code becomes upper case and narrow",
        "91330100ma9yyyy09q",
        "91330100MA9YYYY09Q",
    ),
    DirtRule(
        Dirt.CASE_FOLDED,
        "其他代码改为大写",
        "any other code becomes upper case",
        "11330000000000000c",
        "11330000000000000C",
    ),
    DirtRule(
        Dirt.HYPHEN_REMOVED,
        "组织机构代码删除连字符",
        "the hyphen of an organisation code is removed",
        "MA9YYYY0-9",
        "MA9YYYY09",
    ),
    DirtRule(
        Dirt.SENTINEL_DATE,
        "占位日期读作空",
        "a date that stands for none is null",
        "9999-12-31",
        "",
    ),
    DirtRule(
        Dirt.TIME_DROPPED,
        "日期列只留日期",
        "a date column keeps the day of a time",
        "2026-05-03 10:20:30",
        "2026-05-03",
    ),
    DirtRule(Dirt.TRAILING_ZERO, "整数删除末尾的 .0", "a whole number loses its .0", "3.0", "3"),
    DirtRule(
        Dirt.UNIT_CONVERTED,
        "按申报的单位换算",
        "money in the declared unit is converted exactly",
        "1.5",
        "15000.00",
    ),
    DirtRule(
        Dirt.CURRENCY_CONVERTED,
        "按申报的汇率换算为元, 四舍五入到分",
        "money in the declared currency is converted at the declared rate, half up to 0.01 元",
        "100",
        "512.00",
    ),
    DirtRule(
        Dirt.PSEUDONYMISED,
        "自然人证件号码改为假名",
        "a person's number becomes a pseudonym",
        "11010519491231002X",
        "np_…",
    ),
    DirtRule(Dirt.NAME_REDUCED, "自然人姓名只留首字", "a person's name keeps its first character", "张三丰", "张*"),
    DirtRule(
        "broken_time",
        "残缺的时间拒收",
        "a broken time is rejected",
        "2026-05-01 00:00;00",
        None,
        Reason.DATE_MALFORMED,
    ),
    DirtRule(
        "masked_number",
        "打码的号码拒收",
        "a masked number is rejected",
        "330226************",
        None,
        Reason.UNIFIED_CODE_MASKED,
    ),
    DirtRule(
        "registration_number",
        "统一代码栏的旧注册号拒收",
        "an old registration number in the code's place is rejected",
        "330183000123456",
        None,
        Reason.UNIFIED_CODE_REGISTRATION_NUMBER,
    ),
    DirtRule(
        "mojibake",
        "乱码拒收, 不猜原文",
        "a broken encoding is rejected, its text is never guessed",
        "锟斤拷公司",
        None,
        Reason.TEXT_MOJIBAKE,
    ),
    DirtRule(
        "control",
        "控制字符拒收 (制表符、换行除外)",
        "a control character other than tab and line end is rejected",
        "某\x00公司",
        None,
        Reason.TEXT_CONTROL,
    ),
    DirtRule(
        "scientific",
        "科学计数法拒收: 电子表格已丢失数位",
        "a number in scientific notation is rejected: the spreadsheet lost its digits",
        "9.13301E+17",
        None,
        Reason.TEXT_SCIENTIFIC,
    ),
)


def normalise_word(word: str) -> str:
    """A word of a YAML as ``cleaning.read_text`` would read it from a source."""
    word = restore(word)
    for wide, slim in _WIDE_SIGNS:
        word = word.replace(wide, slim)
    return re.sub(SPACES, " ", re.sub(INVISIBLE, "", word.translate(_TO_NARROW))).strip()
