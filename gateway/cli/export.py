"""``xinqiao export``: landed records as a file in a legacy form."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from exchange_formats.form_rows import describe_omission
from gateway.cli.terminal import open_console
from gateway.form_export import Export, export_form
from gateway.workplace import open_workplace


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="写到 / write to: .csv .xlsx .xml")],
    form: Annotated[
        str,
        typer.Option("--form", help="表样, 如 shuanggongshi_penalty_2018 / form, such as shuanggongshi_penalty_2018"),
    ],
    department: Annotated[str, typer.Option("--department", help="哪个部门的记录 / whose records")],
    own: Annotated[
        bool,
        typer.Option(
            "--own", help="接收方就是该部门: 个体工商户名称不遮蔽 / for that department itself: names are not masked"
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """把已入库的记录写成旧表样, 如双公示 / write landed records in a legacy form, such as 双公示's.

    每条记录取最新版本. 表样载不下的记录 (自然人, 已撤销, 超长等) 不写, 逐条列在 FILE.omitted.csv.
    The newest version of every record. What the form cannot hold (persons, revoked records, texts too long …)
    is left out and listed in FILE.omitted.csv.

    例 example:
      xinqiao export penalties.xlsx --form shuanggongshi_penalty_2018 --department market_regulation
    """
    workplace = open_workplace()
    chosen = workplace.departments[department]
    found = export_form(workplace.lake, chosen, form, file, written_at=datetime.now(UTC), whole_names=own)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, default=str))
    else:
        _print(file, found)


def _print(file: Path, found: Export) -> None:
    console = open_console()
    console.print(f"写出 written {found.written:,} → {file}")
    if found.names_masked:
        console.print(f"个体工商户名称已遮蔽 names of individual businesses masked {found.names_masked:,}")
    if found.list_path is not None:
        console.print(f"未写出 left out {sum(found.omitted.values()):,} → {found.list_path}")
        table = Table(box=box.SIMPLE)
        table.add_column("条数 records", justify="right")
        table.add_column("原因 reason")
        for reason, records in found.omitted.items():
            title = describe_omission(reason)
            table.add_row(f"{records:,}", f"{title.zh} {title.en}")
        console.print(table)
