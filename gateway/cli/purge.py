"""``xinqiao purge``: delete what the law wants gone."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from exchange_formats.errors import ConfigurationError
from exchange_formats.periods import shanghai_date
from gateway.cli.terminal import open_console
from gateway.purging import PurgeReport, purge_expired, purge_record
from gateway.workplace import open_workplace


def purge(
    record_id: Annotated[
        str | None, typer.Argument(help="记录编号, 与 --record 同用 / id of a record, with --record")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            "--record",
            metavar="DEPT/DATASET",
            help="提前清除该数据集的一条记录 / delete one record of this dataset early",
        ),
    ] = None,
    article: Annotated[
        str, typer.Option("--article", help="要求提前清除的法律条款 / the article that demands early deletion")
    ] = "",
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="清除日, 缺省今天 / the day, today by default"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出, 不清除 / say what would go")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """清除保存期限已满的记录和不合格数据 / delete records and rejects that may be kept no longer.

    清单先行提交, 写明条款和条数; 中断后再次执行即可完成。A manifest with the article and the counts is committed
    first; a purge that was interrupted is finished by the next one. `xinqiao verify` then says "purged by law".

    提前清除一条记录 one record early (its department must have deleted it before, or it lands again):

    xinqiao purge --record ecology_environment/penalty RECORD_ID --article "个人信息保护法 47"
    """
    workplace = open_workplace()
    now = datetime.now(UTC)
    day = as_of.date() if as_of else shanghai_date(now)
    if record is None:
        if record_id is not None or article:
            raise ConfigurationError("缺少 --record / which dataset is the record of?", hint="--record DEPT/DATASET")
        report = purge_expired(
            workplace.lake, day=day, now=lambda: datetime.now(UTC), spool=workplace.spool, dry_run=dry_run
        )
    else:
        department, _, dataset = record.partition("/")
        if not dataset or record_id is None:
            raise ConfigurationError("缺少记录 / which record?", hint="--record DEPT/DATASET RECORD_ID")
        result = purge_record(
            workplace.lake,
            department,
            dataset,
            record_id,
            article=article,
            day=day,
            now=lambda: datetime.now(UTC),
            spool=workplace.spool,
            dry_run=dry_run,
        )
        report = PurgeReport((result,), 0)
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"day": day.isoformat(), "dry_run": dry_run}, ensure_ascii=False))
    else:
        _print(report, dry_run=dry_run)


def _print(report: PurgeReport, *, dry_run: bool) -> None:
    console = open_console()
    if report.finished:
        console.print(f"补完上次中断的清除 finished an interrupted purge: {report.finished} 个对象 objects")
    if not report.purges:
        console.print("没有到期的数据 nothing is due")
    done = "将清除 would go" if dry_run else "已清除 deleted"
    for one in report.purges:
        console.print(
            f"{one.department}/{one.dataset}: {done} 记录 records {one.records:,} · 不合格 rejects {one.rejects:,} · "
            f"文件 files {one.files} (改写 redacted {one.redacted}) · {one.article}"
        )
