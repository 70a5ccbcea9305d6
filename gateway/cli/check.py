"""``xinqiao check``: every YAML, every problem at once."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.checking import check_all
from gateway.folders import departments_folder, models_folder

_FOLDER = {"exists": True, "file_okay": False, "readable": True}
_DEPARTMENTS = Annotated[
    Path | None, typer.Option("--departments", help="部门配置目录 / folder of the department YAMLs", **_FOLDER)
]
_MODELS = Annotated[Path | None, typer.Option("--models", help="评价模型目录 / folder of the model YAMLs", **_FOLDER)]
_JSON = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


def check(departments: _DEPARTMENTS = None, models: _MODELS = None, as_json: _JSON = False) -> None:
    """检查全部配置,一次列出全部问题;有问题则退出码为 1 / check every YAML, list every problem; exit 1 if any."""
    chosen = departments or departments_folder(os.environ), models or models_folder(os.environ)
    problems = check_all(*chosen)
    if as_json:
        typer.echo(json.dumps({"problems": [asdict(problem) for problem in problems]}, ensure_ascii=False))
    else:
        for problem in problems:
            typer.echo(str(problem))
        files = sum(1 for folder in chosen for _ in folder.glob("*.yaml"))
        verdict = f"{len(problems)} 个问题 problem(s)" if problems else "没有问题 no problem"
        typer.echo(f"{files} 个文件 file(s): {verdict}")
    if problems:
        raise typer.Exit(1)
