"""The reference page's section about legacy forms: how each field is read, and what either side cannot hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from exchange_formats.datasets import FieldSpec, load_catalogue
from exchange_formats.forms import Form, FormField, load_forms
from gateway.reference.dataset_sections import heading, mark
from gateway.reference.markdown import BREAK, Tongue, code, link, table

_FILLED: Final[Mapping[str, tuple[str, str]]] = {
    "always": ("必填", "always"),
    "organisation": ("组织必填", "by organisations"),
    "person": ("自然人必填", "by persons"),
    "conditional": ("视情况", "depends"),
    "never": ("", ""),
}
_DIRECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "in": ("只读入", "read only"),
    "both": ("读入和写出", "read and written"),
}


def render_forms(tongue: Tongue) -> Iterator[str]:
    """An overview, then one section a form."""
    head = tongue.say("表样 | 数据集 | 方向 | 依据", "form | dataset | direction | basis").split(" | ")
    forms = load_forms().values()
    yield from table(
        head,
        (
            (
                link(_heading(one, tongue), code(one.id)),
                link(heading(load_catalogue()[one.dataset], tongue), code(one.dataset)),
                tongue.say(*_DIRECTIONS[one.direction]),
                f"{one.standard} · {mark(one.status, tongue)}",
            )
            for one in forms
        ),
    )
    yield ""
    for form in forms:
        yield from _render_form(form, tongue)


def _heading(form: Form, tongue: Tongue) -> str:
    return f"{form.id} {tongue.say(form.title, form.title_en)}"


def _render_form(form: Form, tongue: Tongue) -> Iterator[str]:
    dataset = load_catalogue()[form.dataset]
    yield from (f"### {_heading(form, tongue)}", "", tongue.say(form.description, form.description_en), "")
    key = tongue.join(code(name) for name in (*form.key, form.party))
    yield from (f"- **{tongue.say('标识', 'Identity')}** {key}", "")
    head = tongue.say(
        "表样字段 | 目录字段 | 单位 | 长度 | 填写 | 取值和别名",
        "field of the form | column | unit | length | filled in | words and other names",
    ).split(" | ")
    rows = (_render_field(name, one, dataset.fields, tongue) for name, one in form.fields.items() if one.column)
    yield from (*table(head, rows), "")
    yield from (
        tongue.say(
            "目录不归集的表样字段(读入时略过,写出时留空):", "Not held by the catalogue (read past, written empty):"
        ),
        "",
    )
    head = tongue.say("表样字段 | 原因", "field of the form | why").split(" | ")
    dropped = form.dropped_fields.items()
    rows_dropped = ((_name(name, one, tongue), tongue.say(one.why, one.why_en)) for name, one in dropped)
    yield from (*table(head, rows_dropped), "")
    missing = tongue.join(
        f"{code(name)} {tongue.say(spec.title, spec.title_en)}" for name, spec in form.missing_columns(dataset).items()
    )
    said = tongue.say(
        "表样不能承载的目录字段(读入后为空,写出时丢失)", "Not held by the form (null when read, lost when written)"
    )
    yield from (f"{said}: {missing or '—'}", "")


def _render_field(
    name: str, one: FormField, columns: Mapping[str, FieldSpec], tongue: Tongue
) -> tuple[str, str, str, str, str, str]:
    words = [f"{text} = {code(key)}" for text, key in one.texts.items()]
    if one.person:
        words.append(tongue.say("自然人的号码", "a person's number"))
    if one.formats:
        words.append(tongue.join(code(pattern) for pattern in one.formats))
    if one.variants:
        words.append(f"{tongue.say('也写作', 'also')} {tongue.join(code(other) for other in one.variants)}")
    column = str(one.column)
    spec = columns[column]
    return (
        _name(name, one, tongue),
        f"{code(column)} {tongue.say(spec.title, spec.title_en)}",
        "" if one.unit is None else f"{one.unit}, {one.decimals} {tongue.say('位小数', 'decimals')}",
        "" if one.length is None else str(one.length),
        tongue.say(*_FILLED[one.filled]),
        BREAK.join(words),
    )


def _name(name: str, one: FormField, tongue: Tongue) -> str:
    return f"{code(name)}{BREAK}{one.title}" + (f" {one.title_en}" if tongue.language == "en" else "")
