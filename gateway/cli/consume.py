"""``xinqiao consume``: take a participant's messages into a file."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from connectors.rabbit.consumer import Progress, Stop
from gateway.subscription import ConsumptionResult
from gateway.subscription import consume as consume_messages
from gateway.workplace import open_workplace

_KIND = "jsonl:"


def consume(
    participant: Annotated[str, typer.Argument(help="参与方 / participant id")],
    to: Annotated[str, typer.Option("--to", metavar="jsonl:FILE", help="写到哪里 / where to")],
    until_idle: Annotated[
        float | None, typer.Option("--until-idle", min=0.0, help="空闲几秒后结束 / end after so many idle seconds")
    ] = None,
    maximum: Annotated[
        int | None, typer.Option("--max", min=1, help="最多几条消息 / end after so many messages")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """接收一个参与方的等级、预警、变更记录和反馈,每条只写一次 / take what waits for a participant, each once."""
    if not to.startswith(_KIND) or not to.removeprefix(_KIND):
        raise typer.BadParameter("jsonl:FILE", param_hint="--to")
    workplace = open_workplace()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        Bar(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar,
        _stop_on_signal() as asked,
    ):
        task = bar.add_task(f"接收 consume {participant}")

        def report(progress: Progress) -> None:
            bar.update(task, description=f"接收 consume {participant}: {progress.settled} 条消息 messages")

        result = consume_messages(
            participant,
            Path(to.removeprefix(_KIND)),
            resolve=workplace.resolve,
            stop=Stop(until_idle, maximum, asked),
            on_progress=report,
        )
    if as_json:
        typer.echo(json.dumps(asdict(result) | {"results": result.results}, ensure_ascii=False))
    else:
        _print(result)


@contextmanager
def _stop_on_signal() -> Iterator[Event]:
    """SIGTERM and Ctrl-C end the consumption in order: what was taken is written and acknowledged."""
    asked = Event()
    before = {one: signal.signal(one, lambda *_: asked.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _print(result: ConsumptionResult) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{result.participant}: 写入 written {result.written} 条消息 messages · 重复 duplicates {result.duplicates} · "
        f"过时结果 outdated results {result.outdated_results} · 死信 rejected {result.rejected}"
    )
    grades = "  ".join(f"{grade} {count}" for grade, count in result.results_by_grade.items())
    levels = "  ".join(f"{level} {count}" for level, count in result.warnings_by_level.items())
    console.print(f"等级 grades {result.results}: {grades or '-'} · 退出 withdrawn {result.withdrawn}")
    console.print(f"预警 warnings: {levels or '-'} · 解除 cleared {result.cleared}")
    console.print(f"反馈 feedback {result.feedback} · 变更的记录 changed records {result.changed_records}")
    for reason, count in result.rejected_by_reason.items():
        console.print(f"死信原因 rejected because: {reason} ({count})")
