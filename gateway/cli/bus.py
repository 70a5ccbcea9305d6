"""``xinqiao bus``: the topology of the message bus, its depths, its dead letters."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from connectors.rabbit.dead_letters import DeadLetter, list_dead_letters
from connectors.rabbit.dead_letters import redrive as redrive_queue
from exchange_formats.received import read_event
from exchange_formats.topology import GATEWAY, UNROUTED, definitions, parking_queue
from gateway.bus import apply_topology, connection_id, read_passwords, read_status, require_topology
from gateway.cli.terminal import open_console
from gateway.subscription import explain_broken
from gateway.workplace import open_workplace

bus = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="消息总线:拓扑、积压、死信 / the message bus: topology, depths, dead letters",
)
_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
_OWNER = Annotated[str, typer.Argument(help="参与方, 或 gateway、unrouted / participant, or gateway, unrouted")]
_MAXIMUM = Annotated[int | None, typer.Option("--max", min=1, help="最多几条 / at most so many")]


@bus.command("definitions")
def show_definitions() -> None:
    """打印拓扑定义(口令只有散列) / print the definitions to import; passwords are hashed."""
    workplace = open_workplace()
    topology = require_topology(workplace.departments)
    typer.echo(definitions(topology, read_passwords(topology, workplace.resolve)), nl=False)


@bus.command("apply")
def apply(as_json: _JSON = False) -> None:
    """把拓扑应用到代理 / make the broker have the topology; removes bindings nobody subscribes to any more."""
    workplace = open_workplace()
    done = apply_topology(require_topology(workplace.departments), workplace.resolve)
    if as_json:
        typer.echo(json.dumps(asdict(done), ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"队列 queues {done.queues} · 用户 users {done.users}")
    for one in done.without_password:
        console.print(f"没有口令的用户 user without a password, not changed: {one}")
    for one in done.unbound:
        console.print(f"已解除绑定 unbound: {one}")
    for one in done.surplus_queues:
        console.print(f"多余的队列, 未动 surplus queue, left alone: {one}")


@bus.command("status")
def status(as_json: _JSON = False) -> None:
    """各队列积压;有告警则退出码为 1 / depths of all queues; exit 1 when there is an alarm."""
    workplace = open_workplace()
    found = read_status(require_topology(workplace.departments), workplace.resolve)
    if as_json:
        document = {"queues": [queue.model_dump() for queue in found.queues], "alarms": found.alarms}
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("队列 queue", "待取 ready", "未确认 unacked", "消费者 consumers", "状态 state"):
            table.add_column(heading, no_wrap=True)
        for queue in found.queues:
            counts = (queue.messages_ready, queue.messages_unacknowledged, queue.consumers)
            table.add_row(queue.name, *map(str, counts), queue.state)
        open_console().print(table)
        for alarm in found.alarms:
            Console(stderr=True, soft_wrap=True).print(f"[red]告警 alarm[/] {alarm}")
    if found.alarms:
        raise typer.Exit(1)


@bus.command("dead-letters")
def dead_letters(owner: _OWNER, maximum: _MAXIMUM = 20, as_json: _JSON = False) -> None:
    """看死信,不取走 / look at dead letters; they stay."""
    found = list_dead_letters(open_workplace().resolve(connection_id(GATEWAY)), _queue(owner), maximum or 1)
    rows = [(one, _diagnose(one)) for one in found]
    if as_json:
        shown = [{k: v for k, v in asdict(one).items() if k != "body"} | {"body_is": what} for one, what in rows]
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("消息 message id", "来自 queue", "路由键 routing key", "原因 reason", "内容 body", "重投 redriven"):
        table.add_column(heading, overflow="fold")
    for one, what in rows:
        table.add_row(one.message_id or "-", one.queue or "-", one.routing_key, one.reason, what, str(one.redriven))
    open_console().print(table)


@bus.command("redrive")
def redrive(owner: _OWNER, maximum: _MAXIMUM = None) -> None:
    """把死信放回原队列 / put dead letters back where they came from."""
    count = redrive_queue(open_workplace().resolve(connection_id(GATEWAY)), _queue(owner), maximum)
    typer.echo(f"已放回 put back: {count}")


def _queue(owner: str) -> str:
    return UNROUTED if owner == "unrouted" else parking_queue(owner)


def _diagnose(letter: DeadLetter) -> str:
    """What our own consumer would say of the message: the broker only knows that it was refused."""
    try:
        event, _ = read_event(letter.body)
    except ValidationError as error:
        return f"{len(letter.body)} B, {explain_broken(error)}"
    return event.type
