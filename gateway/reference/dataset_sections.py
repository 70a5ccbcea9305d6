"""The reference page's sections about datasets: an overview, one section each, and the code lists."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from exchange_formats.code_lists import CodeList, load_code_lists
from exchange_formats.datasets import Dataset, FieldSpec, load_catalogue
from gateway.reference.examples import build_example
from gateway.reference.markdown import BREAK, MARKS, Tongue, code, fold, link, table
from gateway.reference.paths import arrow_schema_path, csv_template_path, dataset_schema_path, xlsx_template_path

_FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "inspection": ("监督检查", "inspection"),
    "enforcement": ("行政执法", "enforcement"),
    "complaint": ("投诉举报", "complaint"),
    "incident": ("安全质量事故", "incident"),
    "other": ("其他", "other"),
}
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "basic": ("基础信息", "basic"),
    "adverse": ("不良信息", "adverse"),
    "positive": ("守信信息", "positive"),
    "none": ("不入信用档案", "no part of the archive"),
}
SUBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "enterprise": ("企业", "enterprise"),
    "natural_person": ("自然人", "natural person"),
    "social_organization": ("社会组织", "social organisation"),
    "public_institution": ("事业单位", "public institution"),
    "government_agency": ("政府机构", "government agency"),
}
_RULES: Final[Mapping[str, tuple[str, str]]] = {
    "unified_code": ("统一社会信用代码,两位校验码正确 (GB 32100)", "unified code with right check digits (GB 32100)"),
    "organisation_code": (
        "组织机构代码,校验码正确 (GB 11714)",
        "organisation code with a right check digit (GB 11714)",
    ),
    "division": (
        "六位行政区划代码,在事件日期有效 (GB/T 2260)",
        "six-digit division code in force on the event date (GB/T 2260)",
    ),
    "industry": ("行业门类或大类 (GB/T 4754)", "section or division of industry (GB/T 4754)"),
}


def render_overview(tongue: Tongue) -> list[str]:
    """One row a dataset."""
    head = tongue.say(
        "数据集 | 名称 | 归集内容 | 信用档案 | 事件日期 | 字段 | 模式与模板",
        "dataset | title | family | archive part | event date | fields | schemas and templates",
    ).split(" | ")
    return table(
        head,
        (
            (
                link(heading(one, tongue), code(one.id)),
                tongue.say(one.title, f"{one.title_en} {one.title}"),
                tongue.say(*_FAMILIES[one.family]),
                tongue.say(*_PARTS[one.archive_part]),
                code(one.event_on),
                str(len(one.fields)),
                _links(one),
            )
            for one in load_catalogue().values()
        ),
    )


def heading(dataset: Dataset, tongue: Tongue) -> str:
    """The text of a dataset's heading."""
    return f"{dataset.id} {tongue.say(dataset.title, dataset.title_en)}"


def render_datasets(tongue: Tongue) -> Iterator[str]:
    """One section a dataset, the newest version."""
    for dataset in load_catalogue().values():
        yield from (f"### {heading(dataset, tongue)}", "")
        described = tongue.say(dataset.description, dataset.description_en)
        yield from (described, "") if described else ()
        yield from (*_render_facts(dataset, tongue), "")
        yield from (*_render_fields(dataset, tongue), "")
        if dataset.checks:
            yield from (*_render_checks(dataset, tongue), "")
        example = json.dumps(build_example(dataset), ensure_ascii=False, indent=1)
        shown = tongue.say("示例记录(JSON)", "example record (JSON)")
        yield from (*fold(shown, ["```json", example, "```"]), "")


def render_codes(tongue: Tongue) -> Iterator[str]:
    """One section a shared list."""
    for one in load_code_lists().values():
        yield from (f"#### {_list_heading(one, tongue)}", "")
        yield from (f"{one.standard} · {mark(one.status, tongue)}", "")
        titles = ((code(key), title, one.titles_en.get(key, "")) for key, title in one.codes.items())
        chinese = (tongue.say("代码", "code"), tongue.say("名称", "title"), "English")
        yield from (*table(chinese, titles), "")


def mark(status: str, tongue: Tongue) -> str:
    """How far a statement is backed; an assumption stands out."""
    zh, en, *_ = MARKS[status]
    shown = tongue.say(zh, en)
    return f"**{shown}**" if status == "assumption" else shown


def _list_heading(one: CodeList, tongue: Tongue) -> str:
    return f"{one.id} {tongue.say(one.title, one.title_en)}"


def _links(dataset: Dataset) -> str:
    shown = {
        "JSON": dataset_schema_path(dataset),
        "Arrow": arrow_schema_path(dataset),
        "CSV": csv_template_path(dataset),
        "XLSX": xlsx_template_path(dataset),
    }
    return " · ".join(f"[{name}]({path.removeprefix('docs/')})" for name, path in shown.items())


def _render_facts(dataset: Dataset, tongue: Tongue) -> Iterator[str]:
    """What holds for the whole record."""
    yield f"- **{tongue.say('契约', 'Contract')}** {code(dataset.contract)} · {_links(dataset)}"
    if dataset.standard:
        yield f"- **{tongue.say('依据', 'Basis')}** {dataset.standard} · {mark(dataset.status, tongue)}"
    if dataset.subject_types:
        kinds = tongue.join(tongue.say(*SUBJECTS[kind]) for kind in dataset.subject_types)
        yield f"- **{tongue.say('主体', 'Subjects')}** {kinds}"
    if dataset.identity:
        same = tongue.say("与部门一起确定一条记录", "with the department, they tell one record from another")
        yield f"- **{tongue.say('标识', 'Identity')}** {_names(dataset.identity, tongue)} ({same})"
    yield f"- **{tongue.say('事件日期', 'Event date')}** {code(dataset.event_on)}"
    if states := list(_say_states(dataset, tongue)):
        yield f"- **{tongue.say('状态日期', 'Dated states')}** {tongue.join(states)}"
    if dataset.deletion:
        rule = dataset.deletion
        when = tongue.say(
            f"{code(rule.after)} 起 {rule.months} 个月届满删除", f"{rule.months} months after {code(rule.after)}"
        )
        yield f"- **{tongue.say('删除', 'Deleted')}** {when} ({rule.basis})"
    if dataset.retention:
        yield f"- **{tongue.say('保存期限', 'Kept')}** {_say_retention(dataset.retention, tongue)}"


def _say_states(dataset: Dataset, tongue: Tongue) -> Iterator[str]:
    states = dataset.states
    named = (
        (states.final, "终局", "final"),
        (states.repaired, "修复", "repaired"),
        (states.revoked, "撤销", "revoked"),
        (states.removed, "移出", "removed"),
    )
    yield from (f"{tongue.say(zh, en)} {code(column)}" for column, zh, en in named if column)
    if states.objected:
        opened, closed = states.objected
        yield f"{tongue.say('异议', 'under objection')} {code(opened)} – {code(closed)}"


def _say_retention(key: str, tongue: Tongue) -> str:
    classes = load_code_lists().get("retention")
    if classes is None or key not in classes.codes:
        return key
    return tongue.say(classes.codes[key], classes.titles_en.get(key, ""))


def _names(columns: tuple[str, ...], tongue: Tongue) -> str:
    return tongue.join(code(column) for column in columns)


def _render_fields(dataset: Dataset, tongue: Tongue) -> list[str]:
    head = tongue.say(
        "字段 | 类型 | 必填 | 取值 | 个人信息 | 依据 | 目录 | 示例",
        "field | type | required | values | personal data | basis | catalogue | example",
    ).split(" | ")
    return table(head, (_render_field(name, spec, dataset, tongue) for name, spec in dataset.fields.items()))


def _render_field(name: str, spec: FieldSpec, dataset: Dataset, tongue: Tongue) -> tuple[str, ...]:
    title = spec.title if tongue.language == "zh" else f"{spec.title_en} {spec.title}".strip()
    required = tongue.say("是", "yes") if name in dataset.needed else ""
    if isinstance(spec.required, str):
        required = f"{tongue.say('当', 'if')} {code(spec.required)}"
    return (
        f"{code(name)}{BREAK}{title}",
        spec.type + (f" {spec.unit}" if spec.unit else ""),
        required,
        BREAK.join(_say_values(spec, dataset, tongue)),
        "" if spec.sensitivity == "public" else spec.sensitivity,
        " · ".join(filter(None, (spec.standard, mark(spec.status, tongue)))),
        "✓" if spec.in_catalogue else "",
        code(spec.example) if spec.example else "",
    )


def _say_values(spec: FieldSpec, dataset: Dataset, tongue: Tongue) -> Iterator[str]:
    if spec.code_list:
        yield link(_list_heading(load_code_lists()[spec.code_list], tongue), spec.code_list)
    elif spec.codes:
        yield from (f"{code(key)} {title}" for key, title in spec.codes.items())
    yield from say_bounds(spec, dataset, tongue)
    if spec.retention and spec.retention != dataset.retention:
        yield _say_retention(spec.retention, tongue)


def say_bounds(spec: FieldSpec, dataset: Dataset, tongue: Tongue) -> Iterator[str]:
    """What a value must be besides its type and code list, in plain text."""
    if spec.type == "subject":
        yield tongue.say("统一社会信用代码,两位校验码正确", "unified code with right check digits")
        if "natural_person" in dataset.subject_types:
            yield tongue.say("或自然人的居民身份证号", "or a natural person's resident number")
    if spec.rule:
        yield tongue.say(*_RULES[spec.rule])
    if spec.valid_on:
        yield tongue.say(f"{spec.valid_on} 当日有效", f"in force on the day of {spec.valid_on}")
    if spec.minimum is not None:
        yield f"≥ {spec.minimum:f}"
    if spec.maximum is not None:
        yield f"≤ {spec.maximum:f}"
    if spec.max_length and not spec.codes and not spec.rule and spec.type != "subject":
        yield tongue.say(f"至多 {spec.max_length} 个字符", f"at most {spec.max_length} characters")
    if spec.may_be_future:
        yield tongue.say("可在未来", "may lie in the future")


def _render_checks(dataset: Dataset, tongue: Tongue) -> list[str]:
    head = tongue.say(
        "字段之间的规则(原因代码) | 含义 | 条件 | 依据",
        "rule between fields (reason code) | meaning | condition | basis",
    ).split(" | ")
    return table(
        head,
        (
            (
                code(check.id),
                tongue.say(check.title, check.title_en),
                code(check.holds),
                f"{check.basis} · {mark(check.status, tongue)}",
            )
            for check in dataset.checks
        ),
    )
