"""``docs/assumptions.md``: which numbers of the models are law and which are assumptions, rendered from the YAMLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exchange_formats.errors import ConfigurationError
from scoring.library import Models, load_models
from scoring.model import Indicator, Model, Override
from scoring.tables import Publicity, Table

PAGE = "docs/assumptions.md"

_STATUS = {"official": "官方 official", "assumption": "**假设 assumption**"}
_HEAD = """\
<!-- 由 YAML 生成 generated from the YAMLs: python -m gateway.reference -->
# 法律与假设 Law and assumptions

每个数字的来源写在 [`scoring/models`](../scoring/models) 和 [`scoring/tables`](../scoring/tables) 中。
*官方*:条文写明了这个数字;*假设*:条文可能支持这项评价,但数字是本系统设定的,不得称为官方办法。

Where each number comes from is said in the models and tables. *official*: a text of law or policy names the number;
*assumption*: the law may support the judgement, but the number was set here and must not be called an official method.
"""


def render_page() -> Mapping[str, bytes]:
    """The page of the models in the package.

    Raises:
        ConfigurationError: a model or table is broken; the page would hide it.
    """
    models = load_models()
    if models.problems:
        raise ConfigurationError("模型有问题 the models have problems", models.problems, hint="xinqiao check")
    return {PAGE: render_assumptions(models).encode()}


def render_assumptions(models: Models) -> str:
    """The whole page."""
    lines = [_HEAD, *_render_tables(models)]
    for versions in models.versions.values():
        for model in versions:
            lines += _render_model(model)
    return "\n".join(lines) + "\n"


def _render_tables(models: Models) -> Iterator[str]:
    yield "## 共用表 Shared tables\n"
    yield "| 表 table | | 来源 source | |"
    yield "|---|---|---|---|"
    for (kind, _), versions in sorted(models.tables.versions.items()):
        for table in versions:
            yield _row(f"`{kind}/{table.name}`", f"{table.title} {table.title_en}", table.source, _STATUS[table.status])
            yield from _render_tiers(table)
    yield ""


def _render_tiers(table: Table) -> Iterator[str]:
    if isinstance(table, Publicity):
        for decree in table.decrees:
            for tier in decree.tiers.values():
                yield _row(
                    "", f"{tier.title} {tier.title_en}: {tier.months} 个月 months", decree.id, _STATUS[tier.status]
                )


def _render_model(model: Model) -> Iterator[str]:
    yield f"## {model.title} {model.title_en}\n"
    yield f"`{model.name}` · {_STATUS[model.status]} · {'; '.join(model.basis)}\n"
    yield "| | 指标 indicator | 分值 points | 依据 basis | |"
    yield "|---|---|---|---|---|"
    for name, indicator in model.indicators.items():
        shown = f"{indicator.title} {indicator.title_en}"
        yield _row(name, shown, _say_points(indicator), "; ".join(indicator.basis), _STATUS[indicator.status])
    for name, override in model.overrides.items():
        shown = f"{override.title} {override.title_en}"
        yield _row(name, shown, _say_effect(override), "; ".join(override.basis), _STATUS[override.status])
    yield ""


def _say_points(indicator: Indicator) -> str:
    if indicator.deduct:
        sign, per, by_code, cap = "−", indicator.deduct.per, indicator.deduct.map, indicator.deduct.cap
    elif indicator.earn:
        earn = indicator.earn
        sign, per, by_code, cap = "+", earn.per if earn.exists is None else earn.exists, earn.map, earn.cap
    else:
        return ""
    if by_code:
        said = ", ".join(f"{code} {sign}{points}" for code, points in by_code.items())
    else:
        said = "按严重程度表 by the severity table" if per is None else f"{sign}{per}"
    return said if cap is None else f"{said}, ≤ {cap}"


def _say_effect(override: Override) -> str:
    return f"= {override.grade}" if override.grade else f"≤ {override.at_most}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
