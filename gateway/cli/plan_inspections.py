"""``xinqiao plan-inspections``: the double-random inspection list of a domain."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Container
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from exchange_formats.errors import ConfigurationError, Problem
from exchange_formats.messages.texts import mask_numbers
from exchange_formats.periods import shanghai_date
from gateway.cli.terminal import open_console
from gateway.inspection_planning import (
    LONGEST_NUMBER,
    PlannedInspections,
    RosterEntry,
    draw_inspections,
    replay_inspections,
)
from gateway.workplace import open_workplace
from scoring.quantities import show_plain

_COLUMNS = ("number", "name", "cities", "avoids")
_SEED_BYTES = 16


def plan_inspections(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    task: Annotated[str, typer.Option("--task", help="检查任务编号, 一个任务只抽取一次 / task number; drawn once")],
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed", help="随机种子, 应在抽取前公布; 缺省现取 / publish it before the draw; random by default"
        ),
    ] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="基准日, 缺省今天 / today by default")
    ] = None,
    inspectors: Annotated[
        Path | None,
        typer.Option(
            "--inspectors",
            help="检查人员名录 CSV: number,name,cities,avoids (多个用空格隔开) / roster; several codes apart by blanks",
        ),
    ] = None,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="写成工作簿 / write a workbook")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="按日志重新抽取并核对 / draw again from the log and compare")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """按信用等级抽取“双随机”检查名单 / draw the double-random inspection list by grade.

    各等级按比例抽取, 达到频次上限的不抽; 投诉、事故和法定检查不受限制。随机派两名检查人员。
    A share of each grade is drawn, without those whose cap is reached; what a complaint, an accident or the law
    demands is always in it. Two inspectors are drawn for each. The same task and seed give the same list.

    例 / example: xinqiao plan-inspections work_safety --task 2026Q3-01 --inspectors roster.csv --xlsx list.xlsx
    """
    workplace = open_workplace()
    lake = workplace.lake
    names: dict[str, str] = {}
    if replay:
        planned = replay_inspections(domain, task, lake=lake, spool=workplace.spool)
    else:
        roster, names = _read_roster(inspectors) if inspectors else ((), {})
        planned = draw_inspections(
            domain,
            task,
            seed=seed or secrets.token_hex(_SEED_BYTES),
            day=day.date() if day else shanghai_date(datetime.now(UTC)),
            inspectors=roster,
            lake=lake,
            spool=workplace.spool,
        )
    if xlsx:
        from gateway.inspection_sheets import write_sheets

        xlsx.write_bytes(write_sheets(planned.plan, planned.resolved, names, planned.key))
    if as_json:
        typer.echo(planned.plan.model_dump_json())
    else:
        _print(planned, open_console(), replayed=replay)
        if xlsx:
            typer.echo(f"工作簿 workbook: {xlsx}")


def _read_roster(path: Path) -> tuple[tuple[RosterEntry, ...], dict[str, str]]:
    """Inspectors, and their names, which stay out of the log.

    Raises:
        ConfigurationError: naming each wrong line.
    """
    roster: list[RosterEntry] = []
    names: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"名录不是 UTF-8 编码 / the roster is not UTF-8: {path.name}", hint="save it as CSV UTF-8"
        ) from None
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        unknown = [name for name in reader.fieldnames or [] if name not in _COLUMNS]
        if unknown or "number" not in (reader.fieldnames or []):
            raise ConfigurationError(
                f"名录的列不对 / the roster's columns are wrong: {path.name}", hint=f"columns: {', '.join(_COLUMNS)}"
            )
        for row in reader:
            number = (row["number"] or "").strip()
            if wrong := _check_number(number, names):
                problems.append(Problem(path.name, reader.line_num, 1, "number", wrong))
                continue
            names[number] = (row.get("name") or "").strip()
            cities, avoids = ((row.get(key) or "").split() for key in ("cities", "avoids"))
            roster.append(RosterEntry(number=number, cities=tuple(cities), avoids=tuple(avoids)))
    if problems:
        raise ConfigurationError(f"名录有错误 / the roster has problems: {path.name}", problems)
    return tuple(roster), names


def _check_number(number: str, known: Container[str]) -> str | None:
    """What is wrong with an inspector's number, which the log keeps."""
    if not number:
        return "检查人员没有编号 / an inspector has no number"
    if number in known:
        return "检查人员重复 / an inspector stands twice"
    if len(number) > LONGEST_NUMBER:
        return f"编号太长 / the number has at most {LONGEST_NUMBER} characters"
    if mask_numbers(number) != number:
        return "不可用身份证号码 / an identity number may not stand in the log: use the work number"
    return None


def _print(planned: PlannedInspections, console: Console, *, replayed: bool) -> None:
    plan, outcome = planned.plan, planned.plan.outcome
    state = (
        "复核一致 drawn again, the same"
        if replayed
        else "已抽取 drawn"
        if planned.new
        else "此前已抽取, 结果相同 drawn before, the same"
    )
    console.print(f"{plan.domain} {plan.task} · 基准日 day {plan.day}: {state}")
    console.print(f"  种子 seed {plan.seed} · 运行 run {plan.run_id[:12]} · 日志 log {planned.key}", soft_wrap=True)
    table = Table()
    for name in (
        "等级 grade",
        "主体 subjects",
        "比例 ratio",
        "应抽 wanted",
        "达频次 capped",
        "抽中 drawn",
        "必查 demanded",
    ):
        table.add_column(name, justify="right")
    for grade, row in outcome.grades.items():
        ratio = f"{show_plain(row.ratio_percent)}%"
        figures = (row.wanted, row.capped, row.drawn, row.demanded)
        table.add_row(grade, f"{row.subjects:,}", ratio, *(f"{figure:,}" for figure in figures))
    console.print(table)
    console.print(f"  名单 list: {len(outcome.chosen):,}")
    if outcome.understaffed:
        console.print(f"  检查人员不足两名 fewer than two inspectors: {len(outcome.understaffed):,}")
