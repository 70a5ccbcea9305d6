"""``xinqiao compare``: what another version of a model would have given."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from exchange_formats.periods import shanghai_date
from gateway.cli.instants import read_instant
from gateway.cli.terminal import open_console
from gateway.comparing import ModelComparison, compare_models, find_model
from gateway.workplace import open_workplace
from scoring.comparison import ATTRIBUTES, Attribute, Comparison, Mover

_ATTRIBUTES: dict[Attribute, str] = {
    "city": "地市 city",
    "size": "注册资本 registered capital",
    "age": "成立年限 age",
    "type": "主体类型 type",
}
_GRADES = ("A", "B", "C", "D", "E", "N")
_BAR_CELLS = 40


def compare(
    old: Annotated[str, typer.Argument(help="现行版本 / the version there is: enterprise_environment@2026.1")],
    new: Annotated[str, typer.Argument(help="新版本, 或模型文件 / the other version, or a model file")],
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="评价基准日, 缺省今天 / as of this day, today by default"),
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option("--known-at", help="只用此刻之前已入库的数据 / on what was known at this date or instant"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="写一个自包含的网页 / write one self-contained page with charts")
    ] = None,
    movers: Annotated[
        int, typer.Option("--movers", min=0, max=1000, help="列出变动最大的主体数 / how many movers to explain")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """比较同一领域的两个模型版本 / compare two versions of a domain's model on the same data.

    迁移矩阵、得分变化、变动最大的主体及原因、按地市、规模、年限、类型看是否公平。不提交, 不发布。
    The migration matrix, shifts of scores, the biggest movers with reasons, and fairness by city, size, age and
    type. Nothing is committed or published.

    例 / example: xinqiao compare work_safety@2026.1 work_safety@2026.2 --as-of 2026-06-30 --html compare.html
    """
    workplace = open_workplace()
    models = workplace.models
    result = compare_models(
        find_model(old, models),
        find_model(new, models),
        as_of=as_of.date() if as_of else shanghai_date(datetime.now(UTC)),
        lake=workplace.lake,
        models=models,
        spool=workplace.spool,
        known_at=read_instant(known_at, "--known-at"),
        movers=movers,
    )
    if html:
        from gateway.comparison_page import write_page

        html.write_text(write_page(result), encoding="utf-8")
    if as_json:
        head = {"old": result.old.name, "new": result.new.name, "as_of": result.as_of.isoformat()}
        typer.echo(json.dumps(head | asdict(result.found), ensure_ascii=False, default=str))
    else:
        _print(result, open_console())
        if html:
            typer.echo(f"网页 page: {html}")


def _print(result: ModelComparison, console: Console) -> None:
    found = result.found
    console.print(f"{result.old.name} → {result.new.name} · 截至 as of {result.as_of}")
    console.print(
        f"主体 subjects {found.subjects:,} · 等级变化 moved {found.moved:,} · 两级以上 two grades or more "
        f"{found.far_moved:,} · 只在旧 only in old {found.only_old:,} · 只在新 only in new {found.only_new:,}\n"
    )
    console.print(_matrix(found))
    _print_bars(found, console)
    if found.movers:
        console.print(_movers(found.movers))
    for attribute in ATTRIBUTES:
        console.print(_groups(found, attribute))


def _matrix(found: Comparison) -> Table:
    counts = {(move.old, move.new): move.subjects for move in found.moves}
    shown = [grade for grade in _GRADES if any(grade in pair for pair in counts)]
    table = Table(title="迁移矩阵 migration: 行=旧 rows old, 列=新 columns new")
    table.add_column("")
    for grade in shown:
        table.add_column(grade, justify="right")
    for old in shown:
        cells = [f"{counts.get((old, new), 0):,}" for new in shown]
        table.add_row(
            old, *(f"[bold]{cell}[/bold]" if new == old else cell for cell, new in zip(cells, shown, strict=True))
        )
    return table


def _print_bars(found: Comparison, console: Console) -> None:
    most = max((bar.subjects for bar in found.bars), default=0)
    console.print("得分变化 shift of scores (分 points)")
    for bar in found.bars:
        low = "-∞" if bar.low is None else str(bar.low)
        high = "+∞" if bar.high is None else str(bar.high)
        length = -(-bar.subjects * _BAR_CELLS // most) if most else 0
        console.print(f"  {low:>5} … {high:<5} {'█' * length} {bar.subjects:,}")
    console.print()


def _movers(movers: tuple[Mover, ...]) -> Table:
    table = Table(title="变动最大的主体 biggest movers")
    for name in ("主体 subject", "等级 grade", "得分 score", "原因 reasons"):
        table.add_column(name)
    for mover in movers:
        causes = [f"+{name}" for name in mover.overrides_gained] + [f"-{name}" for name in mover.overrides_lost]
        causes += [f"{one.name} {one.old:.2f}→{one.new:.2f}" for one in mover.contributions]
        score = f"{_show(mover.old_score)} → {_show(mover.new_score)}"
        name = f"{mover.subject_ref} {mover.subject_name or ''}".rstrip()
        table.add_row(name, f"{mover.old_grade} → {mover.new_grade}", score, "; ".join(causes))
    return table


def _groups(found: Comparison, attribute: Attribute) -> Table:
    singled = set(found.singled_out(attribute))
    table = Table(title=f"按{_ATTRIBUTES[attribute]}")
    for name in ("", "主体 subjects", "A+B 旧→新 old→new", "E 旧→新", "升 up", "降 down", "平均 mean", ""):
        table.add_column(name, justify="right" if name else "left")
    for group in found.of(attribute):
        table.add_row(
            group.value or "不详 unknown",
            f"{group.subjects:,}",
            f"{group.good_old:,}→{group.good_new:,} ({group.good_shift:+}%)",
            f"{group.worst_old:,}→{group.worst_new:,}",
            f"{group.up:,}",
            f"{group.down:,} ({group.down_share}%)",
            _show(group.mean_shift),
            "偏高 high" if group in singled else "",
        )
    return table


def _show(value: object) -> str:
    return "–" if value is None else str(value)
