"""The reference page's sections about rules: how values are written, dirt, reasons, limits, what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from connectors.sources.limits import LIMITS, Limit
from exchange_formats.cells import DATE_FORMATS
from exchange_formats.deny_list import load_deny_list
from exchange_formats.dirt import RULES
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.rejects import Reason, describe_reason
from gateway.reference.markdown import MARKS, Tongue, code, table

#: type → how it is written in CSV and XLSX (Chinese, English), in JSON and on the bus, in Arrow.
_TYPES: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    (
        "subject",
        "18 位文本;XLSX 中设为文本格式",
        "18 characters as text; in XLSX a text cell",
        '"91330100MA9YYYY09Q"',
        "utf8",
    ),
    ("string", "文本", "text", '"…"', "utf8"),
    ("date", "`2026-05-01`", "`2026-05-01`", '"2026-05-01"', "date32"),
    (
        "boolean",
        "是 / 否(也可 true / false、1 / 0、yes / no)",
        "是 / 否 (also true / false, 1 / 0, yes / no)",
        "true, false",
        "bool",
    ),
    ("integer", "整数", "a whole number", "3", "int64"),
    (
        "decimal(p,s)",
        "至多 p 位数字、其中 s 位小数,按该字段的单位,不写千分位",
        "at most p digits, s of them decimals, in the field's unit, no thousands separators",
        '"20000.00"',
        "decimal128(p, s)",
    ),
)
_FORMAT_NAMES: Final = ("csv", "xlsx", "json", "xml", "arrow")
_UNITS: Final = {
    "characters": "个字符",
    "columns": "列",
    "cells": "个单元格",
    "levels": "层",
    "members": "个",
    "times": "倍",
    "tags": "个标签",
}


def render_types(tongue: Tongue) -> Iterator[str]:
    """How a value of each type is written in each kind of file."""
    head = tongue.say("类型 | CSV、XLSX、XML | JSON、总线 | Arrow", "type | CSV, XLSX, XML | JSON, bus | Arrow").split(
        " | "
    )
    rows = [(code(name), tongue.say(zh, en), code(json), code(arrow)) for name, zh, en, json, arrow in _TYPES]
    empty = tongue.say("空单元格", "an empty cell"), tongue.say("省略,或 null", "left out, or null")
    rows.append((tongue.say("没有值", "no value"), *empty, "null"))
    yield from table(head, rows)
    formats = tongue.join(code(pattern) for pattern in DATE_FORMATS)
    yield ""
    yield tongue.say(
        f"文本中的日期读作 {formats}(先到者先试);其他写法由部门的 YAML 写明 `formats`。"
        "时间以北京时间为准。金额与分数在 JSON 中是字符串:JSON 的数会被多数程序读成浮点数。",
        f"A date in a text is read as {formats}, the first that fits; another way of writing it is declared in the "
        "department's YAML (`formats`). Times are Asia/Shanghai. Money and scores are strings in JSON: most readers "
        "turn a JSON number into a double.",
    )


def render_marks(tongue: Tongue) -> Iterator[str]:
    """What the marks behind a basis mean."""
    for zh, en, meaning_zh, meaning_en in MARKS.values():
        yield f"  - *{tongue.say(zh, en)}*: {tongue.say(meaning_zh, meaning_en)}"


def render_denied(tongue: Tongue) -> Iterator[str]:
    """The deny-list: kinds of information no column may carry."""
    denied = load_deny_list()

    def name(*, unless_consented: bool) -> str:
        chosen = (one for one in denied.categories if one.unless_consented == unless_consented)
        return tongue.join(tongue.say(one.title, one.title_en) for one in chosen)

    yield tongue.say(
        f"{name(unless_consented=False)}({denied.basis})。自然人的{name(unless_consented=True)}须经本人书面同意,"
        "数据集写明该同意方可归集。带有这些内容的字段不能声明,映射到它们的源字段会被拒绝。",
        f"{name(unless_consented=False)} ({denied.basis}). Of a natural person only with written consent, which the "
        f"dataset must name: {name(unless_consented=True)}. A column that carries it cannot be declared, nor a source "
        "column be mapped to it.",
    )


def render_dirt(tongue: Tongue) -> Iterator[str]:
    """Every rule that changes or refuses what real files hold."""
    head = tongue.say("规则 | 做什么 | 收到 | 读作", "rule | what it does | received | read as").split(" | ")
    rejected = tongue.say("拒收", "rejected")
    nothing = tongue.say("空", "null")
    yield from table(
        head,
        (
            (
                code(str(rule.id)),
                tongue.say(rule.zh, rule.en),
                code(show_invisible(rule.example)),
                f"{rejected} {code(str(rule.reason))}"
                if rule.after is None
                else code(rule.after)
                if rule.after
                else nothing,
            )
            for rule in RULES
        ),
    )


def render_reasons(tongue: Tongue) -> Iterator[str]:
    """Every reason code a row may be rejected with; those of a dataset's own rules stand in its section."""
    head = tongue.say("代码 | 含义 | 依据", "code | meaning | basis").split(" | ")
    titles = ((reason, describe_reason(reason)) for reason in Reason)
    yield from table(head, ((code(reason), tongue.say(title.zh, title.en), title.basis) for reason, title in titles))
    yield ""
    yield tongue.say(
        "此外,各数据集字段之间的规则以其编号为原因代码,见各数据集。",
        "Besides, each rule between the fields of a dataset is a reason code of its own: see the dataset.",
    )


def render_limits(tongue: Tongue) -> Iterator[str]:
    """The largest of everything that is read or sent."""
    yield tongue.say("文件(均为本系统设定):", "Files (all set by this system):")
    yield ""
    head = tongue.say("限额 | 格式 | 至多 | 超出时", "limit | formats | at most | beyond it").split(" | ")
    yield from table(
        head,
        (
            (
                tongue.say(limit.title.zh, limit.title.en),
                tongue.join(limit.formats or _FORMAT_NAMES),
                _say_most(limit, tongue),
                f"{tongue.say(limit.consequence.zh, limit.consequence.en)}, {code(limit.reason)}",
            )
            for limit in LIMITS
        ),
    )
    yield ""
    yield tongue.say("消息:", "Messages:")
    yield ""
    usual = Counter(message.maximum_bytes for message in MESSAGES.values()).most_common(1)[0][0]
    rows = [(tongue.say("每种消息", "every message"), f"{usual // 1024:,} KiB")]
    rows += [
        (tongue.say(f"但 {code(one.type)}", f"except {code(one.type)}"), f"{one.maximum_bytes // 1024:,} KiB")
        for one in MESSAGES.values()
        if one.maximum_bytes != usual
    ]
    yield from table(tongue.say("消息 | 至多", "message | at most").split(" | "), rows)


def show_invisible(text: str) -> str:
    r"""``text`` with what cannot be seen written as an escape (``\u200b``)."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _say_most(limit: Limit, tongue: Tongue) -> str:
    if limit.unit == "bytes" or tongue.language == "en":
        return str(limit)
    return f"{limit.most:,} {_UNITS[limit.unit]}"
