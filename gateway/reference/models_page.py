"""``docs/models.md`` and its Chinese companion: every domain, what its numbers rest on, what nobody collects yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.department import Departments, load_departments
from exchange_formats.errors import ConfigurationError
from gateway.reference.markdown import MARKS, Tongue, code, link, row, table
from scoring.grammar import Counts, stands_for
from scoring.library import Models, load_models
from scoring.model import Deduct, Earn, Indicator, Model, Override
from scoring.quantities import show_plain
from scoring.tables import Publicity, Table

_CYCLES: Final[Mapping[str, tuple[str, str]]] = {
    "daily": ("每日", "daily"),
    "monthly": ("每月", "monthly"),
    "quarterly": ("每季度", "quarterly"),
    "yearly": ("每年", "yearly"),
}
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "enterprise": ("企业", "enterprises"),
    "natural_person": ("自然人", "natural persons"),
    "social_organization": ("社会组织", "social organisations"),
    "public_institution": ("事业单位", "public institutions"),
    "government_agency": ("政府机构", "government agencies"),
}
_HEAD: Final = "<!-- 由 YAML 生成 generated from the YAMLs: python -m gateway.reference -->"
_PROSE: Final = Path(__file__).parent / "prose"


def render_pages() -> Mapping[str, bytes]:
    """Both pages of the models in the package.

    Raises:
        ConfigurationError: a model or table is broken; the page would hide it.
    """
    models = load_models()
    if models.problems:
        raise ConfigurationError("模型有问题 the models have problems", models.problems, hint="xinqiao check")
    departments = load_departments()
    tongues = (Tongue("en"), Tongue("zh"))
    return {f"docs/models{one.suffix}.md": render_models(models, departments, one).encode() for one in tongues}


def render_models(models: Models, departments: Departments, tongue: Tongue) -> str:
    """The whole page in one language."""
    sources = {f"{one.id}/{dataset}" for one in departments.by_id.values() for dataset in one.datasets}
    titles = {one.id: tongue.say(one.title, one.title_en) for one in departments.by_id.values()}
    page = _Page(tongue, titles, frozenset(sources))
    newest = sorted(models.by_id.values(), key=lambda model: _order(departments, model))
    lines = [
        _HEAD,
        (_PROSE / f"models{tongue.suffix}.md.in").read_text(encoding="utf-8"),
        *page.overview(newest),
        "",
        *page.tables(models),
    ]
    for model in newest:
        for version in reversed(models.versions[model.id]):
            lines += page.model(version)
    return "\n".join(lines) + "\n"


def _order(departments: Departments, model: Model) -> tuple[int, str]:
    """Industries by their department's number, public credit first."""
    department = departments.by_id.get(model.department)
    return (department.no or 0 if department else 0, model.id)


@dataclass(frozen=True)
class _Page:
    """One language's page: what departments are called, and which ``department/dataset`` somebody collects."""

    tongue: Tongue
    departments: Mapping[str, str]
    sources: frozenset[str]

    def overview(self, models: Iterable[Model]) -> Iterator[str]:
        """One line a domain."""
        say = self.tongue.say
        head = (
            say("领域", "domain"),
            say("部门", "department"),
            say("主体", "subjects"),
            say("周期", "cycle"),
            say("指标", "indicators"),
            say("未归集", "not collected"),
        )
        yield f"## {say('领域', 'Domains')}\n"
        yield from table(head, [self._line(model) for model in models])

    def tables(self, models: Models) -> Iterator[str]:
        """The shared tables and the marks of what they hold."""
        say = self.tongue.say
        rows: list[tuple[str, ...]] = []
        for (kind, _), versions in sorted(models.tables.versions.items()):
            for one in versions:
                rows.append(
                    (code(f"{kind}/{one.name}"), say(one.title, one.title_en), one.source, self._mark(one.status))
                )
                rows += self._tiers(one)
        yield f"## {say('共用表', 'Shared tables')}\n"
        yield from table((say("表", "table"), "", say("来源", "source"), say("性质", "mark")), rows)
        yield ""

    def model(self, model: Model) -> Iterator[str]:
        """One model: who it is about, what it counts, and what each number rests on."""
        say = self.tongue.say
        yield f"## {_heading(self.tongue, model)}\n"
        yield f"{code(model.name)} · {self.departments.get(model.department, model.department)} · {self._who(model)}\n"
        yield f"{say('范围', 'Scope')}: {'; '.join(model.scope)}. {say('依据', 'Basis')}: {'; '.join(model.basis)}.\n"
        yield from self._schemes(model)
        yield row(
            "",
            say("指标", "indicator"),
            say("分值", "points"),
            say("数据", "data"),
            say("依据", "basis"),
            say("性质", "mark"),
        )
        yield f"|{'---|' * 6}"
        for name, indicator in model.indicators.items():
            worth = indicator.deduct or indicator.earn
            yield self._row(model, name, indicator, self._points(worth) if worth else "")
        for name, override in model.overrides.items():
            yield self._row(model, name, override, f"= {override.grade}" if override.grade else f"≤ {override.at_most}")
        yield ""

    def _schemes(self, model: Model) -> Iterator[str]:
        """Grades of another scheme beside or in place of the computed one."""
        say = self.tongue.say
        if model.native:
            bands = "; ".join(f"{band.grade} ≥ {show_plain(band.from_)}" for band in model.native.bands)
            scheme = say(model.native.scheme, model.native.scheme_en)
            total = f"{say('满分', 'out of')} {show_plain(model.native.total)}"
            mark = self._mark(model.native.status)
            yield f"{say('原生等级', 'Native grade')}: {scheme}, {total}: {bands} ({mark}).\n"
        if model.reported:
            zh = "部门自行评价并报送等级 ({}), 按 {} 换算; 未报送的由本模型评价"
            en = "The department reports finished grades ({}); {} gives the uniform one. The rest is computed"
            dataset, crosswalk = code(model.reported.dataset), code(f"crosswalk/{model.reported.crosswalk}")
            yield f"{say(zh, en).format(dataset, crosswalk)}.\n"

    def _line(self, model: Model) -> tuple[str, ...]:
        parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
        lacking = len([part for part in parts if self._lacks(model, part)])
        who = self.tongue.join(self.tongue.say(*_TYPES[kind]) for kind in model.subjects.type)
        cycle = self.tongue.say(*_CYCLES[model.cycle])
        department = self.departments.get(model.department, model.department)
        heading = link(_heading(self.tongue, model))
        return (heading, department, who, cycle, str(len(parts)), str(lacking) if lacking else "—")

    def _row(self, model: Model, name: str, part: Indicator | Override, points: str) -> str:
        shown = self.tongue.say(part.title, part.title_en)
        return row(name, shown, points, self._data(model, part), "; ".join(part.basis), self._mark(part.status))

    def _data(self, model: Model, part: Indicator | Override) -> str:
        lacking = self.tongue.say("未归集", "not collected")
        if isinstance(part, Indicator) and part.needs:
            return f"**{lacking}**: {part.needs}"
        read = [
            code(counts.dataset) if self._known(model, counts) else f"{code(counts.dataset)} (**{lacking}**)"
            for counts in _counted(model, part)
        ]
        above = self._above(model, part)
        return ", ".join([above, *read] if above else read)

    def _above(self, model: Model, part: Indicator | Override) -> str:
        """The reference statistic that a subject's own value must exceed."""
        if not isinstance(part, Indicator) or part.above is None:
            return ""
        statistic = model.statistics[part.above]
        return self.tongue.say(f"高于 {statistic.title}", f"above: {statistic.title_en}")

    def _lacks(self, model: Model, part: Indicator | Override) -> bool:
        return not any(self._known(model, counts) for counts in _counted(model, part))

    def _known(self, model: Model, counts: Counts) -> bool:
        return bool(stands_for(counts.source(model.department), self.sources))

    def _who(self, model: Model) -> str:
        say = self.tongue.say
        who = self.tongue.join(say(*_TYPES[kind]) for kind in model.subjects.type)
        sources = self.tongue.join(code(source) for source in model.subjects_sources)
        return f"{who} {say('来自', 'from')} {sources} · {say(*_CYCLES[model.cycle])}"

    def _points(self, worth: Deduct | Earn) -> str:
        sign = "−" if isinstance(worth, Deduct) else "+"
        if worth.map:
            said = ", ".join(f"{name} {sign}{show_plain(points)}" for name, points in worth.map.items())
        else:
            each = worth.exists if isinstance(worth, Earn) and worth.exists is not None else worth.per
            said = self.tongue.say("按严重程度表", "by severity") if each is None else f"{sign}{show_plain(each)}"
        return said if worth.cap is None else f"{said}, ≤ {show_plain(worth.cap)}"

    def _tiers(self, one: Table) -> list[tuple[str, ...]]:
        if not isinstance(one, Publicity):
            return []
        say = self.tongue.say
        return [
            (
                "",
                f"{say(tier.title, tier.title_en)}: {tier.months} {say('个月', 'months')}",
                decree.id,
                self._mark(tier.status),
            )
            for decree in one.decrees
            for tier in decree.tiers.values()
        ]

    def _mark(self, status: str) -> str:
        said = self.tongue.say(*MARKS[status][:2])
        return f"**{said}**" if status == "assumption" else said


def _counted(model: Model, part: Indicator | Override) -> tuple[Counts, ...]:
    """What it counts, the records of the statistic it compares with included."""
    if isinstance(part, Indicator) and part.above:
        return (model.statistics[part.above].counts,)
    return part.counts


def _heading(tongue: Tongue, model: Model) -> str:
    return tongue.say(model.title, model.title_en)
