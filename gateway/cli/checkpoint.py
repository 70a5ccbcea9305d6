"""``xinqiao checkpoint``: write down the heads of every chain and send them to the witness."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from exchange_formats.periods import shanghai_date
from gateway.checkpoints import commit_checkpoint
from gateway.workplace import open_workplace


def checkpoint(as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False) -> None:
    """记录并发送今日全部清单链的链头 / write down today's heads of every chain and send them to the platform."""
    workplace = open_workplace()
    now = datetime.now(UTC)
    result = commit_checkpoint(
        shanghai_date(now),
        lake=workplace.lake,
        open_publisher=workplace.open_serving_publisher,
        now=lambda: now,
        spool=workplace.spool,
    )
    said = result.checkpoint
    if as_json:
        document = {"day": said.day.isoformat(), "sha256": said.sha256, "chains": len(said.chains)}
        typer.echo(json.dumps(document | {"new": result.new, "sent": result.sent}))
        return
    what = "新存证 new" if result.new else "链头未变 the heads are the same"
    Console(highlight=False, soft_wrap=True).print(
        f"{said.day} {said.sha256}: {what} · 链 chains {len(said.chains)} · 已发送 sent {result.sent}"
    )
