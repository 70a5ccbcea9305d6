"""``xinqiao demo``: the main job, end to end, on this machine, and all of it shown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from connectors.department import Department
from exchange_formats.keys import BUCKET, run_prefix
from exchange_formats.periods import shanghai_date
from gateway.artefacts import open_artefact
from gateway.cli.summary import (
    show_collections,
    show_consumptions,
    show_grade_table,
    show_grades,
    show_publications,
)
from gateway.cli.terminal import open_console
from gateway.demonstration import (
    Report,
    Step,
    await_evaluations,
    choose_scope,
    collect_departments,
    consume_all,
    evaluate_province,
    prepare_dags,
    start_stack,
)
from gateway.figures import EvaluationFigures, read_collections
from gateway.stack import Component, Seed, StackReport, load_environment
from gateway.stack.airflow_client import AirflowClient
from gateway.stack.progress import show_progress
from gateway.subscription import ConsumptionResult
from gateway.workplace import Workplace, open_workplace

#: A domain's grades are bars, those of many are a table.
_MOST_BARS = 6
_WORDS = {
    "queued": ("等待 waiting", "yellow"),
    "running": ("进行 running", "yellow"),
    "success": ("完成 done", "green"),
    "failed": ("失败 failed", "red"),
}


def demo(
    register: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="真实名录 CSV(.gz) / a real register to pull and score"),
    ] = None,
    subjects: Annotated[int, typer.Option(min=100, help="没有名录时生成多少主体 / how many subjects to draw")] = 10_000,
    province: Annotated[
        bool, typer.Option("--province", help="全部33个部门、38个领域 / all 33 departments and 38 domains")
    ] = False,
) -> None:
    """演示主流程:启动、采集、评价、发布、消费 / the main job: start, collect, score, publish, consume."""
    started = time.monotonic()
    console = open_console()
    console.print(Rule("[bold]信桥 Xinqiao[/]  浙江省行业信用监管网关  industry-credit supervision gateway"))
    with show_progress() as progress:
        stack = start_stack(Seed(register, subjects), progress, console.print)
    load_environment()
    workplace = open_workplace()
    scope = choose_scope(workplace, whole=province)
    began = datetime.now(UTC)
    with AirflowClient.of_stack() as client, _show_steps(console) as report:
        prepare_dags(client, scope)
        collect_departments(client, scope.departments, report)
        if scope.whole:
            evaluations = evaluate_province(client, workplace, scope, report)
        else:
            evaluations = await_evaluations(client, workplace, scope.models, shanghai_date(began), report)
    received = consume_all(workplace, scope.departments, workplace.home / "received")

    show_summary(console, workplace, scope.departments, evaluations, received, began)
    _show_places(console, workplace, stack, evaluations)
    console.print(f"\n用时 took {time.monotonic() - started:.0f} s.")
    console.print("环境仍在运行 the stack is running; 停止 stop it: [bold]make down[/]")


def show_summary(
    console: Console,
    workplace: Workplace,
    departments: Sequence[Department],
    evaluations: Sequence[EvaluationFigures],
    received: Sequence[tuple[str, ConsumptionResult]],
    began: datetime,
) -> None:
    """Everything that was done since ``began``, read back from the lake, and one subject explained."""
    _head(console, "采集 collected: read = landed + duplicates + rejected")
    console.print(show_collections(read_collections(workplace.lake, departments, since=began)))
    if len(evaluations) > _MOST_BARS:
        _head(console, "各领域的等级 subjects by grade")
        console.print(show_grade_table(evaluations))
    else:
        for row in evaluations:
            _head(console, f"{row.title}: {row.run.subjects:,} 个主体的等级 subjects by grade, as of {row.run.as_of}")
            console.print(show_grades(row))
    _head(console, "发布 published to the exchange credit.results")
    console.print(show_publications(evaluations))
    _head(console, "接收 consumed by each participant from its own queues")
    console.print(show_consumptions(received))
    if not any(row.written for _, row in received):
        console.print("  自上次发布以来没有变化 nothing has changed since the last publication", style="dim")
    _head(console, "一个主体的解释 one subject explained")
    _explain_one(console, workplace, evaluations)


@contextmanager
def _show_steps(console: Console) -> Iterator[Report]:
    """Live lines on a terminal; elsewhere one line each change."""
    latest: dict[str, Step] = {}
    if not console.is_terminal:

        def say(step: Step) -> None:
            if latest.get(step.name) != step:
                latest[step.name] = step
                console.print(f"  {step.name}  {_state(step).plain}")

        yield say
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:

        def show(step: Step) -> None:
            latest[step.name] = step
            table = Table.grid(padding=(0, 2))
            for one in latest.values():
                table.add_row("  " + one.name, _state(one))
            live.update(table)

        yield show


def _state(step: Step) -> Text:
    word, style = _WORDS.get(step.state, (step.state, "yellow"))
    return Text(f"{word} {step.done}/{step.total}" if step.total else word, style=style)


def _head(console: Console, title: str) -> None:
    console.print()
    console.print(f"[bold]{title}[/]")


def _explain_one(console: Console, workplace: Workplace, evaluations: Sequence[EvaluationFigures]) -> None:
    """The subject whose computed grade has the most to explain, in the first domain that has one."""
    from gateway.explaining import explain_subject

    for row in evaluations:
        reference = _choose_subject(workplace, row)
        if reference is not None:
            explained = explain_subject(row.domain, reference, lake=workplace.lake)
            console.print(explained.say(), markup=False)
            console.print(f"  再看一次 again: xinqiao explain {row.domain} {reference} [--lang en]", style="dim")
            return


def _choose_subject(workplace: Workplace, row: EvaluationFigures) -> str | None:
    table = open_artefact(workplace.lake, row.run, "grades").to_table(
        columns=["subject_ref", "reasons"],
        filter=pc.field("grade").isin(["C", "D"]) & ~pc.field("individual_business"),
    )
    ranked = sorted(table.to_pylist(), key=lambda one: (-len(one["reasons"]), one["subject_ref"]))
    return str(ranked[0]["subject_ref"]) if ranked else None


def _show_places(
    console: Console, workplace: Workplace, stack: StackReport, evaluations: Sequence[EvaluationFigures]
) -> None:
    _head(console, "在哪里 where things are")
    folder = stack.home / "s3" / BUCKET
    files = sum(1 for _ in folder.rglob("*.arrow"))
    lines = [f"Arrow     {files} 个文件 files in s3://{BUCKET}, on disk {_shorten(folder)}/landing/… scored/…"]
    newest = evaluations[0]
    grades = next(one for one in newest.run.artefacts if one.name == "grades").files[0]
    lines.append(f"          {run_prefix(newest.domain, newest.run.as_of, newest.run.run_id)}{grades.name}")
    lines.append(
        f"JSONL     每个参与方收到的消息 what each participant received: {_shorten(workplace.home / 'received')}/"
    )
    lines += [
        f"{login.component.value:<9} {login.url}  {login.login} / {login.password}"
        for login in stack.credentials
        if login.component in {Component.AIRFLOW, Component.RABBITMQ}
    ]
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _shorten(path: Path) -> str:
    """Relative to where the person stands, where that is shorter."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
