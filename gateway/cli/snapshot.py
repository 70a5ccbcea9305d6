"""``xinqiao snapshot``: send all standing grades of a domain."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from gateway.snapshots import send_snapshot
from gateway.workplace import open_workplace


def snapshot(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """以快照重发一个领域全部现行等级 / send all standing grades of a domain to who subscribes to snapshots."""
    workplace = open_workplace()
    result = send_snapshot(
        domain,
        lake=workplace.lake,
        open_publisher=workplace.open_publisher,
        now=lambda: datetime.now(UTC),
        spool=workplace.spool,
    )
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    Console(highlight=False, soft_wrap=True).print(
        f"{domain} {result.run_id[:12]}: 已发送 sent {result.messages} 片 parts · 等级 grades {result.rows}"
    )
