"""``xinqiao validate``: check one file as the gateway would, before it is sent."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from connectors.department import Department, load_department, load_departments
from exchange_formats.dirt import RULES
from exchange_formats.periods import end_of_day
from exchange_formats.rejects import Reason, describe_reason
from exchange_formats.subjects import PseudonymKey
from gateway.cli.terminal import open_console
from gateway.folders import departments_folder
from gateway.reject_reports import open_reject_report
from gateway.validation import Progress, Submission, Validation, prepare, validate_file

_SHOWN = 20


class Encoding(StrEnum):
    """Encodings of text files."""

    utf8 = "utf-8"
    gb18030 = "gb18030"


_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="CSV(.gz) | XLSX | XML | JSON(.gz) | Arrow")]
_DATASET = Annotated[
    str, typer.Option("--dataset", "-d", help="数据集, 如 penalty / dataset id, such as penalty", show_default=False)
]
_DEPARTMENT = Annotated[
    str | None, typer.Option("--department", metavar="ID", help="按该部门的映射读 / by this department's mapping")
]
_MAPPING = Annotated[
    Path | None,
    typer.Option("--mapping", metavar="FILE.yaml", help="按这个部门配置文件的映射读 / by a department YAML"),
]
_FORM = Annotated[
    str | None, typer.Option("--form", metavar="ID", help="按旧表样读, 如双公示 / by a legacy form, such as 双公示's")
]
_SHEET = Annotated[str | None, typer.Option("--sheet", help="XLSX 工作表, 默认第一张 / worksheet; default the first")]
_ENCODING = Annotated[
    Encoding | None, typer.Option("--encoding", help="CSV 编码, 默认 utf-8 / of a CSV; default utf-8")
]
_REJECTS = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="OUT", help="写出全部不合格行 / write all rejects: .csv .xlsx .jsonl .arrow"),
]
_LIMIT = Annotated[int, typer.Option("--limit", min=0, help="列出多少个问题 / how many problems to list")]
_AS_OF = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="之后的日期算未来, 默认今天 / later is future; default today"),
]
_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


def validate(
    file: _FILE,
    dataset: _DATASET,
    department: _DEPARTMENT = None,
    mapping: _MAPPING = None,
    form: _FORM = None,
    sheet: _SHEET = None,
    encoding: _ENCODING = None,
    rejects: _REJECTS = None,
    limit: _LIMIT = _SHOWN,
    as_of: _AS_OF = None,
    as_json: _JSON = False,
) -> None:
    """报送之前, 按网关的规则检查一个文件 / check a file as the gateway would, before it is sent.

    不需要任何环境和密钥, 什么也不发送. 不给映射时, 表头用目录的列名或中文名 (报送模板的表头), 金额单位按目录.
    Needs no stack and no secret, sends nothing. Without a mapping the header holds the catalogue's
    column names or Chinese titles (as the upload templates do), in the catalogue's units.

    例 examples:
      xinqiao validate penalties.xlsx -d penalty                           # 模板 a filled-in template
      xinqiao validate penalties.csv -d penalty --encoding gb18030 --rejects bad.xlsx
      xinqiao validate 双公示.csv -d penalty --form shuanggongshi_penalty_2018
      xinqiao validate export.csv.gz -d penalty --department ecology_environment
      xinqiao validate export.csv -d profile --mapping my_department.yaml  # 接入前 not added yet

    退出码 exit codes: 0 全部合格 clean; 1 有不合格行 rejects; 2 用法 usage;
      3 配置错误 a YAML or a name is wrong; 4 文件不能用 the file cannot be used
    """
    until = _read_until(as_of)
    submission = prepare(
        file,
        dataset,
        department=_find_department(department, mapping, form),
        form=form,
        encoding=encoding.value if encoding else None,
        sheet=sheet,
    )
    if rejects is not None and rejects.resolve() == file.resolve():
        raise typer.BadParameter("不能覆盖输入 / it is the input", param_hint="--rejects")
    with open_reject_report(rejects) as report, _show_progress(as_json=as_json) as progress:
        found = validate_file(
            submission,
            until=until,
            pseudonyms=PseudonymKey("local", secrets.token_bytes(32)),
            shown=limit,
            keep=report.add if report else None,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_plain(submission, found), ensure_ascii=False, default=str))
    else:
        _print(submission, found, rejects)
    if found.rejected:
        raise typer.Exit(1)


def _read_until(as_of: str | None) -> datetime:
    if as_of is None:
        return datetime.now(UTC)
    try:
        return end_of_day(date.fromisoformat(as_of))
    except ValueError as error:
        raise typer.BadParameter("2026-06-30", param_hint="--as-of") from error


def _find_department(department: str | None, mapping: Path | None, form: str | None) -> Department | None:
    if sum(given is not None for given in (department, mapping, form)) > 1:
        raise typer.BadParameter(
            "三者只能选一 / choose one of --department, --mapping, --form", param_hint="--department"
        )
    if mapping is not None:
        return load_department(mapping)
    return None if department is None else load_departments(departments_folder(os.environ))[department]


@contextmanager
def _show_progress(*, as_json: bool) -> Iterator[Progress]:
    """Rows read so far, on a terminal only."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("检查 checking: {task.completed:,.0f} 行 rows"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _plain(submission: Submission, found: Validation) -> dict[str, object]:
    reasons = []
    for code, rows in found.rejected_by_reason.items():
        title = describe_reason(code)
        reasons.append({"code": code, "title": title.zh, "title_en": title.en, "basis": title.basis, "rows": rows})
    header = {"file": str(submission.path), "contract": submission.dataset.contract}
    return header | asdict(found) | {"rejected_by_reason": reasons}


def _print(submission: Submission, found: Validation, rejects: Path | None) -> None:
    console = open_console()
    dataset = submission.dataset
    console.print(f"{submission.path.name} · {dataset.title} {dataset.contract} · {submission.manner}", markup=False)
    tables = [_show_counts(found)]
    if found.rejected:
        tables.append(_show_reasons(found))
    if found.problems:
        tables.append(_show_problems(submission, found))
    if found.normalised_by_rule:
        tables.append(_show_rules(found))
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for note in (*_list_codes(submission, found), *_list_notes(found)):
        console.print(note, markup=False, soft_wrap=True)
    if rejects is not None:
        console.print(f"不合格行已写到 rejects are in: {rejects}", markup=False, soft_wrap=True)


def _show_counts(found: Validation) -> Table:
    table = _table(
        "读取 read", "合格 good", "不合格 rejected", "文件内重复 repeated", "同键不同内容 versions", numeric=5
    )
    repeats = found.repeats
    figures = (found.read, found.good, found.rejected, repeats.identical, repeats.differing)
    table.add_row(*(f"{n:,}" for n in figures))
    return table


def _show_reasons(found: Validation) -> Table:
    table = _table("行数 rows", "原因 reason", "依据 basis", "代码 code", numeric=1)
    for code, rows in found.rejected_by_reason.items():
        title = describe_reason(code)
        table.add_row(f"{rows:,}", f"{title.zh} {title.en}", title.basis, code)
    return table


def _show_problems(submission: Submission, found: Validation) -> Table:
    table = _table("行 row", "列 column", "原因 reason", "值(已脱敏) masked", "同行还有 also", numeric=1)
    fields, mapped = submission.dataset.fields, submission.mapping.columns

    def name(column: str) -> str:
        """A column as the file calls it, or by its title."""
        source = mapped[column].source if column in mapped else None
        return source or (fields[column].title if column in fields else column)

    for row in found.problems:
        place = "" if row.row is None else f"{row.row:,}"
        column = row.source_column or name(row.column or "")
        also = row.detail or "; ".join(f"{name(other)} {describe_reason(code).zh}".strip() for code, other in row.also)
        table.add_row(*map(Text, (place, column, describe_reason(row.reason).zh, row.value or "", also)))
    rest = found.rejected - len(found.problems)
    if rest > 0:
        table.caption = f"还有 {rest:,} 行 more (--limit, --rejects)"
        table.caption_justify = "left"
    return table


def _show_rules(found: Validation) -> Table:
    words = {rule.id: f"{rule.zh} {rule.en}" for rule in RULES}
    table = _table("个数 cells", "已规范化 normalised", "规则 rule", numeric=1)
    for rule, cells in found.normalised_by_rule.items():
        table.add_row(f"{cells:,}", words.get(rule, ""), rule)
    return table


def _list_codes(submission: Submission, found: Validation) -> Iterator[str]:
    """What may be written in the columns that hold something else."""
    wrong = {(problem.reason, problem.column) for problem in found.problems}
    wrong |= {other for problem in found.problems for other in problem.also}
    for column, spec in submission.dataset.fields.items():
        mapped = submission.mapping.columns.get(column)
        if (Reason.CODE_UNKNOWN, column) in wrong and mapped is not None:
            words = list(mapped.codes or (spec.codes or {}).values())
            more = f" … ({len(words)})" if len(words) > _SHOWN else ""
            yield f"{mapped.source or spec.title} 可填 / may hold: {' | '.join(words[:_SHOWN])}{more}"


def _list_notes(found: Validation) -> Iterator[str]:
    if not found.read:
        yield "文件没有数据行 / the file has no rows"
    if found.deletions:
        yield f"只写明要撤销哪条记录的行 / rows that only say which record to revoke: {found.deletions:,}"
    if found.unknown_columns:
        yield f"目录里没有、不读取的列 / columns that are not read: {', '.join(found.unknown_columns)}"
    if found.rejected_by_reason.get(Reason.ROW_UNDECODABLE):
        yield "编码可能不对 / the encoding may be another one: --encoding gb18030 | utf-8"
    if found.refused:
        yield "不合格太多, 网关会拒收整个文件 / too many rejects: the gateway would land nothing of this file"


def _table(*headings: str, numeric: int) -> Table:
    """A table whose first ``numeric`` columns are figures."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place < numeric else "left", overflow="fold")
    return table
