"""``xinqiao score`` and ``xinqiao sql``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exchange_formats.periods import shanghai_date
from exchange_formats.results import OWN_PUBLIC_CREDIT, REFERENCE_STATISTICS
from exchange_formats.row_digests import BUCKETS
from gateway.cli.instants import read_instant
from gateway.evaluation import InProcess, RunReference, choose_day, evaluate_domain
from gateway.spark_engine import DEFAULT_MASTER, OnSpark
from gateway.workplace import open_workplace
from scoring.compiler import compile_model
from scoring.resolution import resolve

_DAY = "%Y-%m-%d"
_SHARDS = tuple(count for count in range(1, BUCKETS + 1) if BUCKETS % count == 0)


class SqlDialect(StrEnum):
    """Engines the compiled model can be printed for."""

    duckdb = "duckdb"
    spark = "spark"


class EngineName(StrEnum):
    """What computes."""

    duckdb = "duckdb"
    spark = "spark"


_AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=[_DAY],
        help="评价基准日 (上海当日终), 缺省今天, 公共信用缺省上一周期末 / as of the end of this day; "
        "default today, for public credit the end of the last cycle",
    ),
]
_KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        help="只用此刻之前已入库的数据: 日期或时刻 / use what was known at this date (its first moment) or instant",
    ),
]
_Shards = Annotated[
    int,
    typer.Option(
        help="分多少片依次评价, 越多越省内存 / parts scored one after the other: 1, 2, 4 … 64, for less memory"
    ),
]
_Engine = Annotated[EngineName, typer.Option(help="计算引擎, 结果相同 / what computes: the same rows either way")]
_Master = Annotated[
    str, typer.Option(help="Spark 集群地址, 仅 --engine spark / the Spark master: local[*], spark://host:7077, yarn")
]


def score(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_of: _AsOf = None,
    known_at: _KnownAt = None,
    shards: _Shards = 1,
    engine: _Engine = EngineName.duckdb,
    master: _Master = DEFAULT_MASTER,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """评价一个领域的全部主体 / score every subject of a domain and commit the run to the lake.

    同样的输入就是同一次运行, 不会重复。早于已评价日期的基准日是更正, --known-at 是提问:
    两者都不会自动发布, 只有 publish --correction 才发布。

    The same inputs are the same run, and nothing is done twice. A day before one that was evaluated is a
    correction, and what --known-at asks is a question: neither is published but by publish --correction.

    例 examples: xinqiao score work_safety · xinqiao score work_safety --as-of 2026-06-30 --known-at 2026-07-01T08:00
    """
    if shards not in _SHARDS:
        raise typer.BadParameter(f"one of {', '.join(map(str, _SHARDS))}", param_hint="--shards")
    now = datetime.now(UTC)
    instant = read_instant(known_at, "--known-at")
    if instant is not None and instant > now:
        raise typer.BadParameter("此刻在将来 / the instant is in the future", param_hint="--known-at")
    if as_of is not None and as_of.date() > shanghai_date(now):
        # It would stand until that day comes, and every run before it would be a backfill.
        raise typer.BadParameter("此日在将来 / the day is in the future", param_hint="--as-of")
    workplace = open_workplace()
    day = as_of.date() if as_of else choose_day(domain, shanghai_date(now), workplace.models)
    with _show_progress(domain, as_json=as_json) as report:
        run = evaluate_domain(
            domain,
            as_of=day,
            lake=workplace.lake,
            models=workplace.models,
            spool=workplace.spool,
            known_at=instant,
            engine=(
                InProcess(shards, progress=report)
                if engine is EngineName.duckdb
                else OnSpark(workplace.lake_opener(), master, shards)
            ),
        )
    if as_json:
        typer.echo(json.dumps(asdict(run) | {"as_of": run.as_of.isoformat()}, ensure_ascii=False))
    else:
        _print(run)


@contextmanager
def _show_progress(domain: str, *, as_json: bool) -> Iterator[Callable[[int, int], None]]:
    """A spinner with the time, and from two shards on how many are done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task(f"评价 score {domain}")

        def report(done: int, total: int) -> None:
            bar.update(task, description=f"评价 score {domain}: {done}/{total}")

        yield report


def sql(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=[_DAY], help="评价基准日 / as of the end of this day")
    ] = None,
    dialect: Annotated[SqlDialect, typer.Option(help="SQL 方言 / dialect")] = SqlDialect.duckdb,
) -> None:
    """打印模型编译出的 SQL / print the SQL a model compiles to, with every input that participants are to deliver.

    所印即所跑: 先把各输入注册成开头注释中的名字 / what is printed is what runs, once the inputs have the names
    that the comments at the top say.
    """
    workplace = open_workplace()
    models = workplace.models
    day = as_of.date() if as_of else shanghai_date(datetime.now(UTC))
    resolved = resolve(models.in_force(domain, day), day, models.tables)
    inputs = {*resolved.used(workplace.sources), *resolved.model.subjects_sources}
    inputs |= {OWN_PUBLIC_CREDIT, REFERENCE_STATISTICS}
    typer.echo(compile_model(resolved, day, inputs).text(dialect.value), nl=False)


def _print(run: RunReference) -> None:
    console = Console(highlight=False)
    state = "新运行 new run" if run.new else "没有变化, 沿用已有运行 nothing new, the run was there"
    grades = " ".join(f"{grade}{count:,}" for grade, count in sorted(run.subjects_by_grade.items()))
    levels = " ".join(f"{level} {count:,}" for level, count in sorted(run.warnings_by_level.items())) or "–"
    console.print(f"{run.domain} {run.as_of} {run.run_id[:12]}: {state}", soft_wrap=True)
    if run.what_if:
        console.print(
            "  当时所知 what was known then: 不是现行结果, 只作更正发布 does not stand, published as a correction",
            soft_wrap=True,
        )
    elif run.backfill:
        console.print(
            "  回溯评价 backfill: 用今天所知更正当日结果, 只作更正发布 corrects that day by what is known now, "
            f"published by xinqiao publish {run.domain} --correction only",
            soft_wrap=True,
        )
    console.print(f"  模型 model {run.model} · 主体 subjects {run.subjects:,} · {grades}", soft_wrap=True)
    console.print(f"  预警 warnings {levels}", soft_wrap=True)
    if run.stale:
        console.print(f"  陈旧, 未计入 stale, left out: {', '.join(run.stale)}", soft_wrap=True)
    if run.not_collected:
        console.print(f"  尚未归集 not collected: {', '.join(run.not_collected)}", soft_wrap=True)
