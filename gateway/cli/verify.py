"""``xinqiao verify``: walk the chains, compare every digest, recompute, and say what is wrong and where."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from exchange_formats.errors import ConfigurationError
from gateway.cli.terminal import open_console
from gateway.verification.findings import Purged, Report
from gateway.verification.proofs import Prover
from gateway.workplace import open_workplace
from scoring.resolution import SEMANTICS

_VERDICTS = {
    "intact": "[bold green]完好 intact[/]",
    "purged": "[bold yellow]依法清除 purged by law[/]",
    "broken": "[bold red]已损坏 broken[/]",
}
_SHOWN = 20


def verify(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|BATCH|MESSAGE",
            help="运行或批次编号(前8位即可)、消息编号或消息文件 / id of a run or batch (8 characters will do), "
            "id of a message, or a file with messages (JSON, or one a line)",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="核验整个数据湖 / verify the whole lake")] = False,
    domain: Annotated[
        str | None,
        typer.Option("--domain", help="与 --all 同用: 只核验一个领域 / with --all: one domain and its inputs"),
    ] = None,
    digests_only: Annotated[
        bool, typer.Option("--digests-only", help="只比对摘要, 不重算 / compare digests, recompute nothing")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """核验: 逐环检查清单链和每个对象的摘要, 按当时已知的数据和模型重算并逐行比对 / replay and prove.

    结论为完好、依法清除或损坏; 损坏时指出对象、问题和受影响的运行, 退出码为1。The verdict is intact, purged by law, or
    broken; what is broken is named with the runs that depend on it, and the exit code is 1.

    xinqiao verify 3f9c2a71             一次运行 one run

    xinqiao verify message.json         收到的消息 a message somebody received

    xinqiao verify --all --domain work_safety
    """
    if (target is None) != everything:
        raise ConfigurationError("核验什么? / verify what?", hint="give RUN, BATCH or MESSAGE, or --all")
    workplace = open_workplace()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("核验 verify", total=None)

        def report_progress(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        prover = Prover(workplace.lake, workplace.spool, report_progress, recompute=not digests_only)
        report = prover.prove(target, domain) if target is not None else prover.prove_everything(domain)
    if as_json:
        typer.echo(json.dumps({"verdict": report.verdict} | asdict(report), ensure_ascii=False, default=str))
    else:
        _print(report)
    if report.verdict == "broken":
        raise typer.Exit(1)


def _print(report: Report) -> None:
    console = open_console()
    console.print(f"{report.target}: {_VERDICTS[report.verdict]}", soft_wrap=True)
    for one in report.findings:
        console.print(f"  [red]✗[/] {escape(str(one))}", soft_wrap=True)
        if one.runs:
            more = f" … ({len(one.runs)})" if len(one.runs) > _SHOWN else ""
            runs = ", ".join(run[:12] for run in one.runs[:_SHOWN])
            console.print(f"    受影响的运行 runs that depend on it: {runs}{more}", soft_wrap=True)
    for gone in report.purged:
        console.print(f"  [yellow]–[/] {escape(_say_purged(gone))}", soft_wrap=True)
    recomputed = [one for one in report.replays if not (one.purged or one.skipped or one.semantics)]
    rows = sum(one.rows for one in recomputed)
    console.print(
        f"  清单 manifests {report.manifests:,} · 对象 objects {report.objects:,} ({report.bytes:,} B) · "
        f"重算的运行 runs recomputed {len(recomputed):,} ({rows:,} 行 rows) · "
        f"重新生成的消息 messages rendered again {report.messages:,}",
        soft_wrap=True,
    )
    for replay in report.replays:
        name = f"{replay.domain} {replay.as_of} {replay.run_id[:12]}"
        if replay.semantics:
            console.print(
                f"  {name}: 按语义 {replay.semantics} 版生成, 本程序为 {SEMANTICS} 版: 逐行核对摘要, 未重算 / "
                f"made under semantics {replay.semantics}, this program computes {SEMANTICS}: "
                "rows verified by digest, not recomputed",
                soft_wrap=True,
            )
        elif replay.purged or replay.skipped:
            console.print(f"  {name}: 未重算 not recomputed: {escape(replay.purged or replay.skipped)}", soft_wrap=True)
    for note in report.notes:
        console.print(f"  {escape(note)}", soft_wrap=True)
    if report.witnessed is None:
        console.print("  尚无见证: 没有已送出的存证 no witness yet: no checkpoint was sent", soft_wrap=True)
    else:
        seen = report.witnessed
        console.print(
            f"  最近见证 last witnessed: {seen.day} {seen.sha256[:12]} · 链 chains {seen.chains}", soft_wrap=True
        )


def _say_purged(gone: Purged) -> str:
    how = "改写 redacted" if gone.redacted else "清除 deleted"
    runs = ", ".join(run[:12] for run in gone.runs[:_SHOWN]) or "–"
    return f"{gone.key}: {gone.day} {how}, {gone.article} · 不能再重算的运行 runs it was read by: {runs}"
