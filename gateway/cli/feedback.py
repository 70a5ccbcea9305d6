"""``xinqiao feedback``, ``notices`` and ``remind``: what the gateway tells of what departments sent, or did not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from gateway.collection import require_dataset
from gateway.feedback import report_batches
from gateway.record_notices import send_notices
from gateway.reminders import remind_owners
from gateway.workplace import Workplace, open_workplace

_DEPARTMENT = Annotated[str, typer.Argument(help="部门或平台 / participant id")]
_DATASETS = Annotated[
    list[str] | None, typer.Option("--dataset", help="只限这些数据集, 可重复 / only these (repeatable)")
]
_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


def feedback(department: _DEPARTMENT, dataset: _DATASETS = None, as_json: _JSON = False) -> None:
    """把每个批次的接收与不合格情况告知报送部门 / tell a sender what became of each of its batches, once."""
    workplace = open_workplace()
    datasets = _choose(workplace, department, dataset)
    result = report_batches(department, datasets, lake=workplace.lake, open_publisher=workplace.open_serving_publisher)
    if as_json:
        typer.echo(json.dumps(asdict(result) | {"messages": result.messages}, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, count in result.batches.items():
        console.print(f"{department}/{name}: 已反馈 told of {count} 个批次 batches")


def notices(department: _DEPARTMENT, dataset: _DATASETS = None, as_json: _JSON = False) -> None:
    """告知上次以来被撤销和更正的记录(行政处罚法 48) / tell of records withdrawn and corrected since the last time."""
    workplace = open_workplace()
    results = [
        send_notices(
            department,
            name,
            lake=workplace.lake,
            open_publisher=workplace.open_serving_publisher,
            now=lambda: datetime.now(UTC),
        )
        for name in _choose(workplace, department, dataset)
    ]
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for one in results:
        first = "  首次, 只记录现状 first time: only written down where it stands" if one.first else ""
        console.print(
            f"{department}/{one.dataset}: 撤回 withdrawn {one.withdrawn} · 更正 corrected {one.corrected}{first}"
        )


def remind(as_json: _JSON = False) -> None:
    """告知数据归属部门哪些目录项逾期未更新, 每次逾期一次 / tell owners of datasets that are overdue, once a silence."""
    workplace = open_workplace()
    result = remind_owners(
        lake=workplace.lake,
        departments=workplace.departments,
        models=workplace.models,
        open_publisher=workplace.open_serving_publisher,
        now=lambda: datetime.now(UTC),
    )
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for source in result.overdue:
        console.print(f"{source}: 逾期未更新 overdue")
    console.print(f"逾期 overdue {len(result.overdue)} · 本次告知 told now {result.told}")


def _choose(workplace: Workplace, department: str, wanted: Sequence[str] | None) -> tuple[str, ...]:
    chosen = workplace.departments[department]
    for name in wanted or ():
        require_dataset(chosen, name)
    return tuple(wanted or chosen.datasets)
