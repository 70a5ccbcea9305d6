"""``xinqiao explain``: why this grade."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from exchange_formats.manifests import LackingInput
from gateway.explaining import Explained, explain_subject
from gateway.figures import read_stale
from gateway.workplace import open_workplace

_PURGED = {
    "zh": "此次评价所依据的部分数据已依法清除, 不能推算等级会怎样变化",
    "en": "Some of what this run read was deleted by law: what would change the grade cannot be computed from it",
}


class ShownLanguage(StrEnum):
    """Languages of an explanation."""

    zh = "zh"
    en = "en"


def explain(
    domain: Annotated[str, typer.Argument(help="领域 / domain id")],
    subject: Annotated[str, typer.Argument(help="统一社会信用代码 / unified social credit code")],
    lang: Annotated[ShownLanguage, typer.Option("--lang", help="语言 / language")] = ShownLanguage.zh,
    outlook: Annotated[
        bool,
        typer.Option(
            "--outlook/--no-outlook",
            help="也说明怎样会变化、何时变化 (几秒钟) / also say what would change the grade, and when (some seconds)",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """说明一个主体的等级是怎样来的 / say why a subject has its grade.

    计入了哪些记录, 哪些没有计入及其原因, 随之采取的措施, 以及怎样会变化、何时变化。
    What counted, what did not and why, the measures that follow, and what would change the grade and when.

    例 / example: xinqiao explain enterprise_environment 91330100MA9YYYY09Q
    """
    workplace = open_workplace()
    found = explain_subject(domain, subject, lake=workplace.lake, spool=workplace.spool, with_outlook=outlook)
    stale = [one for outcome in read_stale(workplace.lake, [domain]) for one in outcome.lacking]
    typer.echo(_encode(found, stale) if as_json else found.say(lang.value), nl=as_json)
    if outlook and found.outlook is None and not as_json:
        typer.echo(_PURGED[lang])
    if stale and not as_json:
        lacking = ", ".join(f"{one.source} ({one.current_until or '–'})" for one in stale)
        typer.echo({"zh": f"此等级已陈旧, 缺少数据: {lacking}", "en": f"This grade is stale; lacking: {lacking}"}[lang])


def _encode(found: Explained, stale: Sequence[LackingInput]) -> str:
    run = {
        "domain": found.run.domain,
        "as_of": found.run.as_of,
        "run_id": found.run.run_id,
        "manifest_sha256": found.manifest_sha256,
        "model": found.run.model,
        "model_sha256": found.run.model_sha256,
    }
    outlook = asdict(found.outlook) if found.outlook else None
    lacking = [one.model_dump(mode="json") for one in stale]
    document = {"run": run, **asdict(found.findings), "outlook": outlook, "stale": lacking}
    return json.dumps(document, ensure_ascii=False, default=str)
