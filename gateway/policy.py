"""The institutional document of a domain, from its model alone (浙发改信用〔2019〕313号 二(三)3).

The seed asks of every domain a document that fixes what is collected (归集范围), how
grades are told apart (等级标准), how often it is evaluated (评价周期) and which measures
follow from a grade (对应措施). All four are in the model, so the document is rendered
from it and cannot say anything else than what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from exchange_formats.datasets import load_catalogue
from gateway.reference.markdown import table
from scoring.model import PUBLIC_CREDIT_DOMAINS, Deduct, Earn, Indicator, PublicCreditDimension
from scoring.quantities import show_plain
from scoring.resolution import ResolvedModel
from scoring.tables import GradeMeasures
from scoring.wording import WORDS

_CYCLES: Final[Mapping[str, str]] = {
    "daily": "每日评价",
    "monthly": "每月评价",
    "quarterly": "每季度评价",
    "yearly": "每年评价",
}
_TYPES: Final[Mapping[str, str]] = {
    "enterprise": "企业",
    "natural_person": "自然人",
    "social_organization": "社会组织",
    "public_institution": "事业单位",
    "government_agency": "政府机构",
}
_ASSUMPTION: Final = "(假设)"
_REPUBLISHED: Final = "(转载)"


def write_policy(resolved: ResolvedModel, departments: Mapping[str, str] | None = None) -> str:
    """The document as Markdown, in Chinese; every number that is not law is marked as an assumption.

    Args:
        resolved: the model in force on the day the document is for.
        departments: department id → its official name; the id stands in for one that is missing.
    """
    writer = _Writer(resolved, departments or {})
    chapters: Sequence[tuple[str, Iterable[str]]] = (
        ("总则", writer.general()),
        ("归集范围", writer.scope()),
        ("评价指标", writer.indicators()),
        ("等级标准", writer.bands()),
        ("直接判定", writer.overrides()),
        ("评价周期", writer.cycle()),
        ("对应措施", writer.measures()),
        ("信用预警", writer.warnings()),
        ("异议与修复", writer.repair()),
    )
    model = resolved.model
    lines = [
        f"# {writer.department(model.department)}{model.title}与分级分类监管制度",
        "",
        f"> 由评价模型 `{model.name}` 自动生成,样例,非正式公文。",
        f"> 标“{_ASSUMPTION}”的内容没有公开的官方依据,是本系统的设定,须由主管部门确认。",
        f"> 标“{_REPUBLISHED}”的内容只见于第三方转载,须与原文核对。",
    ]
    numerals = "一二三四五六七八九十"
    for numeral, (title, body) in zip(numerals, chapters, strict=False):
        lines += ["", f"## {numeral}、{title}", "", *body]
    return "\n".join(lines) + "\n"


class _Writer:
    """One document under way."""

    def __init__(self, resolved: ResolvedModel, departments: Mapping[str, str]) -> None:
        self.resolved = resolved
        self.model = resolved.model
        self._departments = departments

    def department(self, name: str) -> str:
        return self._departments.get(name, name)

    def general(self) -> Iterator[str]:
        model = self.model
        yield f"- 主管部门:{self.department(model.department)}"
        yield f"- 依据:{'、'.join(model.basis)}{_mark(model.status)}"
        yield f"- 评价对象:{'、'.join(_TYPES[kind] for kind in model.subjects.type)}"
        end = f"至 {model.effective.to}" if model.effective.to else "起"
        yield f"- 施行:{model.effective.from_} {end}"

    def scope(self) -> Iterator[str]:
        yield from (f"- {text}" for text in self.model.scope)
        yield ""
        yield from table(("信用信息目录项", "来源部门", "要求"), self._sources())

    def _sources(self) -> Iterator[tuple[str, ...]]:
        catalogue = load_catalogue()
        for source in self.resolved.inputs:
            department, _, dataset = source.partition("/")
            title = catalogue[dataset].title if dataset in catalogue else dataset
            owner = "各部门" if department == "*" else self.department(department)
            yield title, owner, "必需" if source in self.resolved.required else "可缺"

    def indicators(self) -> Iterator[str]:
        yield f"满分 1000 分,由 {len(self.model.dimensions)} 个部分组成。"
        for dimension in self.model.dimensions.values():
            yield ""
            yield f"### {dimension.title}({show_plain(dimension.full)} 分)"
            yield ""
            if isinstance(dimension, PublicCreditDimension):
                yield (
                    f"公共信用评价得分 × {show_plain(dimension.full / 1000)};"
                    f"没有有效的公共信用评价结果时按 {show_plain(dimension.neutral)} 分计并注明{_ASSUMPTION}。"
                )
                continue
            scale = getattr(dimension, "scale", Decimal(1))
            scaled = f",扣分乘以 {show_plain(scale)}" if scale != 1 else ""
            full = show_plain(dimension.full)
            yield f"基础分 {show_plain(dimension.base)} 分{scaled},不低于 0 分、不高于 {full} 分。"
            yield ""
            rows = (self._indicator(name, found) for name, found in dimension.indicators.items())
            yield from table(("编号", "指标", "计分", "依据"), rows)
            for group in dimension.groups.values():
                yield ""
                yield f"{group.title}不超过 {show_plain(group.cap)} 分。"
        yield ""
        yield from self._decay()

    def _indicator(self, name: str, indicator: Indicator) -> tuple[str, ...]:
        missing = f"(数据尚未归集:{indicator.needs})" if indicator.needs else ""
        basis = "、".join(indicator.basis)
        # What was republished often says so itself.
        mark = "" if indicator.status == "republished" and _REPUBLISHED in basis else _mark(indicator.status)
        return name, indicator.title + missing, _worth(indicator), basis + mark

    def _decay(self) -> Iterator[str]:
        decay, repeat = self.resolved.decay, self.resolved.decay.repeat
        steps, since = [], 0
        for step in decay.steps:
            steps.append(f"{since}–{step.months} 个月乘以 {show_plain(step.factor)}")
            since = step.months
        yield (
            f"扣分按记录的时间递减:{';'.join(steps)};{since} 个月以后不再计分。"
            f"{repeat.within} 个月内同一指标再次发生的,乘以 {show_plain(repeat.factor)}{_mark(decay.status)}。"
        )

    def bands(self) -> Iterator[str]:
        rows = (
            (band.grade, WORDS["zh"].grades[band.grade], _range(band.from_, band.below))
            for band in self.resolved.bands.bands
        )
        yield from table(("等级", "含义", "分数"), rows)
        yield ""
        unrated = (
            "没有公共信用评价结果、回溯期内也没有任何记录的,不评级(N)。"
            if self.model.minimum_records
            else "没有任何记录的,按各部分的基础分评级。"
        )
        yield f"等级名称依浙发改信用〔2019〕313号;分数线{_mark(self.resolved.bands.status) or '依本制度'}。{unrated}"
        yield from self._native()
        yield from self._reported()

    def _native(self) -> Iterator[str]:
        if native := self.model.native:
            yield ""
            basis = f"({'、'.join(native.basis)}){_mark(native.status)}"
            yield f"同时保留{native.scheme}{basis},满分 {show_plain(native.total)} 分:"
            yield ""
            rows = ((band.grade, _range(band.from_, band.below)) for band in native.bands)
            yield from table(("等级", "分数"), rows)

    def _reported(self) -> Iterator[str]:
        if reported := self.model.reported:
            yield ""
            yield (
                f"主管部门自行评定并报送等级的({reported.not_older_than} 个月内有效),"
                "以报送的等级为准,按下表对应,不重算得分:"
            )
            yield ""
            rows = self.resolved.crosswalk.grades.items() if self.resolved.crosswalk else ()
            yield from table(("部门等级", "统一等级"), rows)

    def overrides(self) -> Iterator[str]:
        if not self.model.overrides:
            yield "本领域没有直接判定等级的情形。"
            return
        rows = []
        for name, override in self.model.overrides.items():
            effect = f"直接评为 {override.grade}" if override.grade else f"最高评为 {override.at_most}"
            if override.afterwards:
                effect += f";移出后 {override.afterwards.within} 日内最高评为 {override.afterwards.at_most}"
            rows.append((name, override.title, effect, "、".join(override.basis) + _mark(override.status)))
        yield from table(("编号", "情形", "等级", "依据"), rows)

    def cycle(self) -> Iterator[str]:
        # The public evaluation is made once a cycle, so that industry records enter its next one (semantics §3).
        whole = self.model.id in PUBLIC_CREDIT_DOMAINS.values()
        between = "以每期最后一日为准,期间的变化计入当期评价" if whole else "记录有变化时即时重新评价"
        yield f"{_CYCLES[self.model.cycle]};{between}。评价回溯期为 {self.model.lookback} 个月。"

    def measures(self) -> Iterator[str]:
        measures = self.resolved.measures
        yield from table(
            ("等级", "抽查比例", "频次", "检查事项", "措施"),
            ((grade, *self._measure(row)) for grade, row in measures.grades.items()),
        )
        yield ""
        yield f"抽查比例和频次{_mark(measures.status) or '依本制度'}。"
        limiting = [found for found in measures.measures.values() if found.limits_rights]
        if limiting:
            named = ";".join(f"{found.title}({'、'.join(found.basis)})" for found in limiting)
            yield ""
            yield f"限制权利的措施只适用于列入严重失信名单的主体(浙江省公共信用信息管理条例第二十六条):{named}。"

    def _measure(self, row: GradeMeasures) -> tuple[str, ...]:
        titles = [self.resolved.measures.measures[code].title for code in row.measures]
        return f"{show_plain(row.ratio_percent)}%", row.at_most, row.items, "、".join(titles)

    def warnings(self) -> Iterator[str]:
        warnings = self.resolved.warnings
        yield from table(
            ("等级", "触发条件"), ((warnings.levels[rule.level].title, rule.title) for rule in warnings.rules)
        )
        yield ""
        yield f"预警等级和触发条件{_mark(warnings.status) or '依本制度'}。"

    def repair(self) -> Iterator[str]:
        publicity, decree = self.resolved.publicity, self.resolved.decree
        tiers = ";".join(f"{tier.title} {tier.months} 个月{_mark(tier.status)}" for tier in decree.tiers.values())
        yield f"- 行政处罚的公示与计分期限({decree.id}):{tiers}。"
        yield f"- 没有注明终局日期的,自决定之日起 {publicity.final_after} 日后计分{_mark(publicity.status)}。"
        yield "- 适用简易程序的行政处罚不计分(浙江省公共信用信息管理条例第十一条)。"
        yield "- 自信用修复决定之日起,被修复的记录不再计分;被撤销的记录视为自始不存在。"
        yield "- 异议处理期间记录照常计分并注明(浙江省公共信用信息管理条例第三十条)。"
        yield "- 不良信息自认定之日起满五年不再计分(浙江省公共信用信息管理条例第十六条)。"


def _worth(indicator: Indicator) -> str:
    worth = indicator.deduct or indicator.earn
    if worth is None:
        return ""
    sign = "扣" if isinstance(worth, Deduct) else "加"
    cap = f",最多 {show_plain(worth.cap)} 分" if worth.cap is not None else ""
    if worth.per is not None:
        return f"每条{sign} {show_plain(worth.per)} 分{cap}"
    if isinstance(worth, Earn) and worth.exists is not None:
        return f"有即加 {show_plain(worth.exists)} 分"
    if isinstance(worth, Deduct) and worth.severity:
        return f"按处罚种类和金额扣分{cap}"
    if worth.map:
        return "、".join(f"{code} {sign} {show_plain(points)} 分" for code, points in worth.map.items()) + cap
    bins = ";".join(f"达到 {show_plain(one.from_)} {sign} {show_plain(one.points)} 分" for one in worth.bins or ())
    return bins + cap


def _range(low: Decimal, high: Decimal | None) -> str:
    if high is None:
        return f"{show_plain(low)} 分及以上"
    return f"{show_plain(high)} 分以下" if low == 0 else f"{show_plain(low)} 分及以上、{show_plain(high)} 分以下"


def _mark(status: str) -> str:
    return {"assumption": _ASSUMPTION, "republished": _REPUBLISHED}.get(status, "")
