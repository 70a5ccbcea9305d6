"""``xinqiao publish``: send a domain's unpublished results."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from exchange_formats.errors import ConfigurationError
from gateway.publication import PublicationResult, publish_domain
from gateway.workplace import open_workplace


def publish(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    correction: Annotated[
        bool, typer.Option("--correction", help="也发布回溯评价(更正) / publish withheld backfills as corrections")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """发布一个领域尚未发布的评价结果 / send a domain's unpublished results, with confirms."""
    workplace = open_workplace()
    known = sorted(workplace.models.versions)
    if domain not in known:
        raise ConfigurationError(f"没有领域 there is no domain '{domain}'", hint=f"known: {', '.join(known)}")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"发布 publish {domain}", total=None)

        def report(run_id: str, count: int, total: int) -> None:
            bar.update(task, description=f"发布 publish {domain} {run_id[:8]}", completed=count, total=total)

        result = publish_domain(
            domain,
            lake=workplace.lake,
            open_publisher=workplace.open_publisher,
            now=lambda: datetime.now(UTC),
            spool=workplace.spool,
            served=workplace.served,
            correction=correction,
            progress=report,
        )
    if as_json:
        totals = {"messages": result.messages, "results": result.results, "warnings": result.warnings}
        document = asdict(result) | totals | {"nothing_new": result.nothing_new}
        typer.echo(json.dumps(document, ensure_ascii=False, default=lambda model: model.model_dump()))
    else:
        _print(result)


def _print(result: PublicationResult) -> None:
    console = Console(highlight=False)
    if result.nothing_new:
        console.print(f"{result.domain}: 没有新的运行 nothing new")
    for run in result.runs:
        said = run.totals
        marks = "".join(("  更正 correction" if run.correction else "", "  续发 resumed" if run.resumed else ""))
        console.print(
            f"{result.domain} #{run.number} {run.run_id[:12]}{marks}: "
            f"确认 confirmed {run.confirmed} 条消息 messages · 等级 grades {said.results} · "
            f"退出 withdrawn {said.withdrawn} · 预警 warnings +{said.raised} -{said.cleared} "
            f"升级 escalated {said.escalated} 更新 updated {said.updated}",
            soft_wrap=True,
        )
    if result.withheld:
        console.print(
            f"未发布的回溯或提问 backfills and what-ifs withheld: {len(result.withheld)} "
            "(--correction 才发布 publishes them)"
        )
