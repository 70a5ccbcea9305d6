"""``xinqiao collect``: pull a participant's datasets and land them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.department import Department
from exchange_formats.rejects import describe_reason
from gateway.cli import EXIT_CODES
from gateway.cli.instants import read_instant
from gateway.cli.terminal import open_console
from gateway.collection import CollectionResult, collect_dataset, collect_department, require_dataset
from gateway.workplace import Workplace, open_workplace

_SHOWN_REASONS = 5
_RESULTS = {
    "landed": "[green]已入库 landed[/]",
    "nothing_new": "无新数据 nothing new",
    "dry_run": "试运行 dry run",
    "failed": "[bold red]失败 failed[/]",
}


def collect(
    department: Annotated[str, typer.Argument(help="部门或平台 / participant id")],
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="只采集这些数据集, 可重复 / only these (repeatable)")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="起点: 日期或时刻, 默认上次的水位 / from: a date or an instant")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="终点, 默认现在 / up to; default now")] = None,
    full: Annotated[bool, typer.Option("--full", help="全量重采, 不重复入库 / read everything again")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只试不写 / do everything but write")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """采集一个部门的数据入湖 / pull a participant's datasets and land them.

    日期按上海时间; 一个数据集失败不影响其他 / dates are Shanghai's; one dataset that fails stops no other.
    """
    workplace = open_workplace()
    chosen = workplace.departments[department]
    for name in dataset or ():
        require_dataset(chosen, name)
    end = read_instant(until, "--until") or datetime.now(UTC)
    with _show_progress(as_json=as_json) as bar:
        one = partial(
            _collect_one,
            workplace=workplace,
            department=chosen,
            since=read_instant(since, "--since"),
            until=end,
            full=full,
            dry_run=dry_run,
            bar=bar,
        )
        results = collect_department(chosen, dataset, collect=one, until=end)
    if as_json:
        typer.echo(json.dumps([_plain(result) for result in results], ensure_ascii=False))
    else:
        _print(chosen, results)
    _exit(results)


def _exit(results: Sequence[CollectionResult]) -> None:
    """What a person must do decides before what a retry may mend; an error of our own comes first."""
    failed = {result.error_kind for result in results if result.result == "failed"}
    codes = {kind.__name__: code for kind, code in EXIT_CODES.items()}
    if failed:
        raise typer.Exit(min(codes.get(kind, 1) for kind in failed))


def _collect_one(
    dataset_id: str,
    *,
    workplace: Workplace,
    department: Department,
    since: datetime | None,
    until: datetime,
    full: bool,
    dry_run: bool,
    bar: Bar,
) -> CollectionResult:
    title = f"{department.id}/{dataset_id}"
    task = bar.add_task(f"采集 collect {title}")
    try:
        return collect_dataset(
            department,
            dataset_id,
            since=since,
            until=until,
            full=full,
            dry_run=dry_run,
            lake=workplace.lake,
            resolve=workplace.resolve,
            pseudonyms=workplace.pseudonyms,
            spool=workplace.spool,
            progress=lambda rows: bar.update(task, description=f"采集 collect {title}: {rows:,} 行 rows"),
        )
    finally:
        bar.remove_task(task)


@contextmanager
def _show_progress(*, as_json: bool) -> Iterator[Bar]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        yield bar


def _plain(result: CollectionResult) -> dict[str, object]:
    return asdict(result) | {
        "window": result.window.model_dump(mode="json"),
        "counts": result.counts.model_dump() if result.counts else None,
    }


def _print(department: Department, results: Sequence[CollectionResult]) -> None:
    console = open_console()
    table = Table(title=f"{department.title} {department.id}", title_justify="left", box=box.SIMPLE)
    table.add_column("数据集\ndataset", no_wrap=True)
    for heading in ("读取\nread", "入库\nlanded", "重复\nduplicate", "不合格\nrejected", "撤销\nrevoked", "秒\ns"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("结果\nresult")
    for result in results:
        counts = result.counts
        numbers = (
            [f"{n:,}" for n in (counts.read, counts.landed, counts.duplicates, counts.rejected, counts.revoked)]
            if counts
            else ["-"] * 5
        )
        table.add_row(result.dataset, *numbers, f"{result.seconds:.1f}", _RESULTS[result.result])
    console.print(table)
    for result in results:
        top = sorted(result.rejected_by_reason.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_REASONS]
        for code, rows in top:
            title = describe_reason(code)
            console.print(
                f"  {result.dataset}: {rows:,} × {title.zh} / {title.en} ({code})",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        for note in result.notes:
            console.print(f"  {result.dataset}: {note}", highlight=False, markup=False, soft_wrap=True)
        if result.error:
            console.print(
                f"  {result.dataset}: {result.error_kind}: {result.error}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
