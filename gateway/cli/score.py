"""``xinqiao score`` and ``xinqiao sql``."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from exchange_formats.periods import shanghai_date
from gateway.evaluation import RunReference, evaluate_domain
from gateway.workplace import open_workplace
from scoring.compiler import compile_model
from scoring.resolution import resolve

_DAY = "%Y-%m-%d"


class SqlDialect(StrEnum):
    """Engines the compiled model can be printed for."""

    duckdb = "duckdb"
    spark = "spark"


def score(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of", formats=[_DAY], help="评价基准日, 缺省今天 / as of the end of this day, today by default"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """评价一个领域的全部主体 / score every subject of a domain and commit the run to the lake."""
    workplace = open_workplace()
    day = as_of.date() if as_of else shanghai_date(datetime.now(UTC))
    run = evaluate_domain(domain, as_of=day, lake=workplace.lake, models=workplace.models, spool=workplace.spool)
    if as_json:
        typer.echo(json.dumps(asdict(run) | {"as_of": day.isoformat()}, ensure_ascii=False))
    else:
        _print(run)


def sql(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=[_DAY], help="评价基准日 / as of the end of this day")
    ] = None,
    dialect: Annotated[SqlDialect, typer.Option(help="SQL 方言 / dialect")] = SqlDialect.duckdb,
) -> None:
    """打印模型编译出的 SQL / print the SQL a model compiles to, every input there."""
    models = open_workplace().models
    day = as_of.date() if as_of else shanghai_date(datetime.now(UTC))
    resolved = resolve(models.in_force(domain, day), day, models.tables)
    typer.echo(compile_model(resolved, day, resolved.inputs).text(dialect.value))


def _print(run: RunReference) -> None:
    console = Console(highlight=False)
    state = "新运行 new run" if run.new else "没有变化, 沿用已有运行 nothing new, the run was there"
    grades = " ".join(f"{grade}{count:,}" for grade, count in sorted(run.subjects_by_grade.items()))
    levels = " ".join(f"{level} {count:,}" for level, count in sorted(run.warnings_by_level.items())) or "–"
    console.print(f"{run.domain} {run.as_of} {run.run_id[:12]}: {state}", soft_wrap=True)
    console.print(f"  模型 model {run.model} · 主体 subjects {run.subjects:,} · {grades}", soft_wrap=True)
    console.print(f"  预警 warnings {levels}", soft_wrap=True)
    if run.not_collected:
        console.print(f"  尚未归集 not collected: {', '.join(run.not_collected)}", soft_wrap=True)
