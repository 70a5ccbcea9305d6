"""``xinqiao policy``: a domain's institutional document."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exchange_formats.periods import shanghai_date
from gateway.policy import write_policy
from gateway.workplace import open_workplace
from scoring.resolution import resolve


def policy(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d"],
            help="按这一天有效的模型, 缺省今天 / by the model in force on this day, today by default",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="写入文件, 缺省打印 / write to a file instead of printing")
    ] = None,
) -> None:
    """生成领域的制度文件 (Markdown) / write a domain's institutional document as Markdown.

    归集范围、等级标准、评价周期、对应措施全部取自评价模型, 所写即所算。
    What is collected, the grades' standard, the cycle and the measures come from the model alone.

    例 / example: xinqiao policy enterprise_environment -o enterprise_environment.md
    """
    workplace = open_workplace()
    day = as_of.date() if as_of else shanghai_date(datetime.now(UTC))
    models = workplace.models
    resolved = resolve(models.in_force(domain, day), day, models.tables)
    titles = {name: found.title for name, found in workplace.departments.by_id.items()}
    text = write_policy(resolved, titles)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"{output}: {resolved.name} · {day}")
