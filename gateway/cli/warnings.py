"""``xinqiao warnings``: what stands in a domain, and a department's answers to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from typer._click.core import Command, Context
from typer.core import TyperGroup

from exchange_formats.errors import ConfigurationError
from exchange_formats.periods import shanghai_date
from gateway.cli.terminal import open_console
from gateway.warning_answers import Answer, ListedWarning, WarningList, answer_warning, list_warnings
from gateway.workplace import Workplace, open_workplace

#: Rows of a table, where nobody says how many.
_SHOWN = 50
_STATES = {"open": "待签收 open", "signed": "已签收 signed", "handled": "已处置 handled"}
_DOMAIN = Annotated[str, typer.Argument(help="领域 / domain id")]
_NAME = Annotated[
    str, typer.Argument(help="预警编号 YJ… 或标识 (至少 8 位) / number YJ…, or id (8 characters or more)")
]
_OFFICE = Annotated[str, typer.Option("--office", help="处室 / which office answers, not a person's name")]
_DEPARTMENT = Annotated[
    str | None,
    typer.Option("--department", help="部门, 缺省为领域的主管部门 / department, by default the domain's own"),
]
_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


class _Listing(TyperGroup):
    """A word that is no command is a domain: ``warnings DOMAIN`` lists it."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            args = ["list", *args]
        return super().resolve_command(ctx, args)


warnings = typer.Typer(
    cls=_Listing,
    no_args_is_help=True,
    add_completion=False,
    help="一个领域的预警: 列出、签收、处置反馈 / the warnings of a domain: listed, signed for, handled.\n\n"
    "例 example: xinqiao warnings enterprise_environment --level red",
)


class HandlingResult(StrEnum):
    """What became of a warning."""

    rectified = "rectified"
    under_way = "under_way"
    referred = "referred"
    unfounded = "unfounded"


@warnings.command("list")
def list_(
    domain: _DOMAIN,
    only_open: Annotated[bool, typer.Option("--open", help="只列待签收的 / only those nobody has signed for")] = False,
    level: Annotated[str | None, typer.Option("--level", help="只列一个级别 / only one level, as red")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="最多列出几条, 缺省 50, JSON 全部 / at most; default 50, of JSON all"),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """列出现存的预警, 严重的在前 / what stands, the most severe first."""
    workplace = open_workplace()
    found = list_warnings(
        domain,
        lake=workplace.lake,
        department_no=_find_department(workplace, domain)[1],
        today=shanghai_date(datetime.now(UTC)),
        spool=workplace.spool,
        level=level,
        only_open=only_open,
        limit=limit if limit or as_json else _SHOWN,
    )
    if as_json:
        document = asdict(found) | {"industry": found.industry.model_dump(mode="json") if found.industry else None}
        typer.echo(json.dumps(document, ensure_ascii=False, default=str))
    else:
        _print(found)


@warnings.command()
def sign(
    domain: _DOMAIN, warning: _NAME, office: _OFFICE, department: _DEPARTMENT = None, as_json: _JSON = False
) -> None:
    """签收一个预警 / sign for a warning: a department takes it over."""
    _answer(domain, warning, "signed", office, department, as_json=as_json)


@warnings.command()
def handle(
    domain: _DOMAIN,
    warning: _NAME,
    office: _OFFICE,
    result: Annotated[HandlingResult, typer.Option("--result", help="处置结果 / what became of it")],
    summary: Annotated[str, typer.Option("--summary", help="处置情况 / what was done, without names of persons")],
    department: _DEPARTMENT = None,
    as_json: _JSON = False,
) -> None:
    """反馈一个预警的处置情况 / say what was done about a warning."""
    _answer(domain, warning, "handled", office, department, result=result, summary=summary, as_json=as_json)


def _answer(
    domain: str,
    name: str,
    kind: str,
    office: str,
    department: str | None,
    *,
    result: HandlingResult | None = None,
    summary: str | None = None,
    as_json: bool,
) -> None:
    workplace = open_workplace()
    own, number = _find_department(workplace, domain)
    if department is not None and department not in workplace.departments.by_id:
        known = ", ".join(sorted(workplace.departments.by_id))
        raise ConfigurationError(f"没有部门 there is no department '{department}'", hint=f"known: {known}")
    answer = Answer(
        kind="signed" if kind == "signed" else "handled",
        department=department or own,
        office=office,
        result=result.value if result else None,
        summary=summary,
    )
    found, entry = answer_warning(
        domain,
        name,
        answer,
        lake=workplace.lake,
        department_no=number,
        now=datetime.now(UTC),
        spool=workplace.spool,
    )
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"manifest_sha256": entry.sha256}, ensure_ascii=False, default=str))
    else:
        said = f"{found.number} {found.level_title} {_STATES[found.state]} · 清单 manifest {entry.sha256[:12]}"
        open_console().print(f"{said}\n下次发布时告知各方 told to all with the next publication", soft_wrap=True)


def _find_department(workplace: Workplace, domain: str) -> tuple[str, int]:
    """Id and number of the department that a domain belongs to."""
    versions = workplace.models.versions
    if domain not in versions:
        raise ConfigurationError(
            f"没有领域 there is no domain '{domain}'", hint=f"known: {', '.join(sorted(versions))}"
        )
    owner = versions[domain][-1].department
    found = workplace.departments.by_id.get(owner)
    return owner, (found.no or 0) if found else 0


def _print(found: WarningList) -> None:
    console = open_console()
    if found.industry:
        burst = found.industry
        console.print(
            f"[bold]行业性预警 industry-wide warning[/] 自 since {burst.raised_on}: "
            f"{burst.subjects:,} / {burst.of:,} 主体 subjects",
            soft_wrap=True,
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (
        "编号 number",
        "级别 level",
        "主体 subject",
        "触发条件 rule",
        "记录 rec.",
        "状态 state",
        "剩余工作日 left",
    ):
        table.add_column(heading, overflow="fold")
    for one in found.shown:
        table.add_row(
            Text(one.number),
            Text(one.level_title, style=one.colour),
            Text(f"{one.subject_name or ''} {one.subject_ref}".strip()),
            Text(one.title),
            f"{one.records:,}",
            _STATES[one.state],
            _say_days(one),
        )
    console.print(table)
    shown = len(found.shown)
    more = f", 列出 shown {shown:,} (--limit)" if shown < found.total else ""
    console.print(f"{found.domain} {found.as_of}: 现存预警 standing {found.total:,}{more}", soft_wrap=True)


def _say_days(one: ListedWarning) -> Text:
    if one.days_left is None:
        return Text("–")
    if one.days_left < 0:
        return Text(f"逾期 late {-one.days_left} (≤ {one.sign_by})", style="red")
    return Text(f"{one.days_left} (≤ {one.sign_by})")
