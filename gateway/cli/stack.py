"""``xinqiao up | down | status``: the local stack from a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from exchange_formats.manifests import RunOutcome
from gateway.cli.terminal import open_console
from gateway.stack.environment import load_environment
from gateway.stack.lifecycle import Stack
from gateway.stack.model import Component, StackReport, State
from gateway.stack.progress import show_progress
from gateway.stack.settings import Seed

_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
_WITHOUT = Annotated[
    list[Component] | None, typer.Option("--without", help="不启动的组件, 可重复 / leave out (repeatable)")
]
_REGISTER = Annotated[
    Path | None, typer.Option("--register", help="用真实名录填充模拟系统 / fill the simulators with a real register")
]
_SUBJECTS = Annotated[int | None, typer.Option("--subjects", min=1, help="模拟主体数 / subjects to draw")]
_STYLES = {State.READY: "green", State.FAILED: "red", State.STOPPED: "dim"}


def up(
    without: _WITHOUT = None,
    register: _REGISTER = None,
    subjects: _SUBJECTS = None,
    as_json: _JSON = False,
) -> None:
    """启动本地环境并等到就绪 / start the local stack and wait until it is ready."""
    left_out = set(without or ())
    seed = Seed(register, subjects or Seed().subjects) if register or subjects else None
    stack = Stack()
    with show_progress() as report:
        outcome = stack.up([one for one in Component if one not in left_out], report, seed=seed)
    _print(outcome, as_json=as_json)
    if not as_json:
        open_console().print(f"环境变量 environment: {stack.home.environment_file}", soft_wrap=True)
        open_console().print("停止 stop: [bold]make down[/]  (xinqiao down)")


def down() -> None:
    """停止本地环境,不留进程 / stop the local stack and leave no process."""
    with show_progress() as report:
        Stack().down(report)


def status(as_json: _JSON = False) -> None:
    """本地环境的状态;有组件未就绪则退出码为 1 / how the local stack is; exit 1 unless all that runs is ready.

    陈旧: 领域缺少必需数据, 没有新的评价 / stale: a domain lacks required data, so there is no new evaluation.
    """
    outcome = Stack().status()
    stale = _read_stale(outcome)
    if as_json:
        document = asdict(outcome) | {"stale": [one.model_dump(mode="json") for one in stale]}
        typer.echo(json.dumps(document, default=str, ensure_ascii=False))
    else:
        _print(outcome, as_json=False)
        for one in stale:
            lacking = ", ".join(f"{entry.source} ({entry.current_until or '–'})" for entry in one.lacking)
            open_console().print(
                f"[yellow]陈旧 stale[/]  {one.domain}  自 since {one.as_of}: {lacking}", soft_wrap=True
            )
    if not outcome.ready:
        raise typer.Exit(1)


def _read_stale(outcome: StackReport) -> list[RunOutcome]:
    """Nothing where the store does not run: then nobody can tell."""
    from gateway.figures import read_stale
    from gateway.workplace import open_workplace

    if not any(row.component is Component.S3 and row.state is State.READY for row in outcome.components):
        return []
    load_environment()
    workplace = open_workplace()
    return read_stale(workplace.lake, sorted(workplace.models.by_id))


def _print(outcome: StackReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(outcome), default=str, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("组件 component", "状态 state", "pid", "地址 URL", "用户 login", "口令 password"):
        table.add_column(heading, overflow="fold")
    logins = {one.component: one for one in outcome.credentials}
    for row in outcome.components:
        login = logins.get(row.component)
        state = f"[{_STYLES.get(row.state, 'yellow')}]{row.state}[/]"
        shown = (login.login, login.password) if login else ("", "")
        table.add_row(row.component, state, str(row.pid or ""), row.url or row.detail, *shown)
    open_console().print(table)
