"""Show what ``up`` and ``down`` are doing: a live table on a terminal, one line a step elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gateway.stack.model import Component, Progress, Report, State

_WORDS = {
    State.PREPARING: "准备 preparing",
    State.STARTING: "启动 starting",
    State.READY: "就绪 ready",
    State.FAILED: "失败 failed",
    State.STOPPED: "停止 stopped",
}
_STYLES = {State.READY: "green", State.FAILED: "red", State.STOPPED: "dim"}


@contextmanager
def show_progress(console: Console | None = None) -> Iterator[Report]:
    """A report that prints to standard error, so that standard output stays for the result."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: console.print(_sentence(progress), soft_wrap=True, markup=False, highlight=False)
        return
    latest: dict[Component | None, Progress] = {}
    with Live(console=console, refresh_per_second=8, transient=True) as live:

        def show(progress: Progress) -> None:
            latest[progress.component] = progress
            live.update(_table(latest))

        yield show


def _sentence(progress: Progress) -> str:
    name = progress.component or "stack"
    return f"{progress.seconds:6.1f}s  {name:<10}  {_WORDS.get(progress.state, progress.state)}  {progress.detail}"


def _table(latest: dict[Component | None, Progress]) -> Table:
    table = Table.grid(padding=(0, 2))
    for component, progress in latest.items():
        style = _STYLES.get(progress.state, "yellow")
        busy = progress.state in {State.PREPARING, State.STARTING}
        mark = Spinner("dots", style=style) if busy else Text("●", style=style)
        word = Text(_WORDS.get(progress.state, progress.state), style=style)
        table.add_row(mark, component or "", word, Text(progress.detail), Text(f"{progress.seconds:.1f}s", style="dim"))
    return table
