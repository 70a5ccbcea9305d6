"""``xinqiao describe``: where a field comes from and where it goes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from connectors.department import load_departments
from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.lineage import load_lineage
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.periods import shanghai_date
from gateway.cli.terminal import open_console
from gateway.folders import departments_folder, models_folder
from gateway.lineage import Atlas, ColumnTrace, FieldTrace, Kind, Step
from scoring.library import load_models

#: What stands before a step, in Chinese and English.
_KINDS: Mapping[Kind, str] = {
    "file": "产物 file",
    "manifest": "清单 manifest",
    "column": "目录字段 column",
    "source": "源字段 source",
    "constant": "常量 constant",
    "rule": "规则 rule",
    "model": "模型 model",
    "table": "共用表 table",
    "part": "模型 model",
    "sent": "报送 sent",
    "derived": "导出 derived",
    "none": "—",
}
_MOST_SHOWN = 12


def describe(
    name: Annotated[
        str | None, typer.Argument(help="消息或数据集.字段 / a message, or DATASET.FIELD", show_default=False)
    ] = None,
    field: Annotated[str | None, typer.Argument(help="其中的字段 / a field of it", show_default=False)] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", help="展开该领域模型的指标 / show what this domain's model reads")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """说明一个字段从哪里来、到哪里去 / say where a field comes from and where it goes.

    \b
    xinqiao describe                      # 可以说明什么 what there is
    xinqiao describe penalty              # 数据集的字段 fields of a dataset
    xinqiao describe penalty.fine_yuan    # 谁报送、谁使用 who sends and uses it
    xinqiao describe grade.evaluated      # 消息的字段 fields of a message
    xinqiao describe grade.evaluated results.score --domain work_safety
    """  # noqa: D301  (the backspace keeps the examples' lines apart)
    atlas = _open_atlas()
    if field is not None and name in load_catalogue():
        name, field = f"{name}.{field}", None
    if name is None:
        _print(_list_all(), as_json, _show_all)
    elif name in {one.name for one in MESSAGES.values()} or field is not None:
        traces = atlas.trace_message(name, field or "", domain)
        shown = _show_traces if field else _show_fields
        _print({"fields": [_encode_trace(trace) for trace in traces]}, as_json, lambda console: shown(console, traces))
    elif "." in name:
        dataset, _, column = name.partition(".")
        trace = atlas.trace_column(dataset, column)
        _print(_encode_column(trace), as_json, lambda console: _show_column(console, trace))
    else:
        found = atlas.find_dataset(name)
        _print(found.model_dump(mode="json", exclude_none=True), as_json, lambda console: _show_dataset(console, found))


def _open_atlas() -> Atlas:
    """From the folders that the environment names, with the models in force today."""
    departments = load_departments(departments_folder(os.environ)).by_id
    models = load_models(models_folder(os.environ))
    return Atlas(load_catalogue(), departments, models, load_lineage(), shanghai_date(datetime.now(UTC)))


def _print(found: Mapping[str, Any], as_json: bool, show: Callable[[Console], None]) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, default=str))
    else:
        show(open_console())


def _list_all() -> Mapping[str, Any]:
    messages = {one.name: {"title": one.title, "title_en": one.title_en} for one in MESSAGES.values()}
    datasets = {one.id: {"title": one.title, "title_en": one.title_en} for one in load_catalogue().values()}
    return {"messages": messages, "datasets": datasets}


def _show_all(console: Console) -> None:
    table = Table("消息 message", "", "")
    for message in MESSAGES.values():
        table.add_row(message.name, message.title, message.title_en)
    console.print(table)
    table = Table("数据集 dataset", "", "")
    for dataset in load_catalogue().values():
        table.add_row(dataset.id, dataset.title, dataset.title_en)
    console.print(table)
    console.print("xinqiao describe penalty.fine_yuan", "xinqiao describe grade.evaluated results.score", sep="\n")


def _show_dataset(console: Console, dataset: Dataset) -> None:
    console.print(Text(f"{dataset.title} {dataset.title_en} ({dataset.contract})"))
    table = Table("字段 field", "", "类型 type", "必填 required")
    for name, spec in dataset.fields.items():
        kind = " ".join(filter(None, (spec.type, spec.unit)))
        table.add_row(name, f"{spec.title} {spec.title_en}", Text(kind), Text(_say_required(spec.required)))
    console.print(table)


def _say_required(required: bool | str) -> str:
    if isinstance(required, str):
        return f"当 if {required}"
    return "是 yes" if required else ""


def _show_fields(console: Console, traces: tuple[FieldTrace, ...]) -> None:
    """The fields of a message in one line each."""
    table = Table("字段 field", "含义 meaning", "来自 comes from")
    for trace in traces:
        table.add_row(Text(trace.path), f"{trace.title.zh} {trace.title.en}", _label(trace.step))
    console.print(table)


def _show_traces(console: Console, traces: tuple[FieldTrace, ...]) -> None:
    for trace in traces:
        tree = Tree(Text(f"{trace.message} {trace.path}  {trace.title.zh} {trace.title.en}", style="bold"))
        _grow(tree, (trace.step,), set())
        console.print(tree)


def _grow(tree: Tree, steps: Sequence[Step], seen: set[Step]) -> None:
    """Each step with what is behind it; what was shown above is only named."""
    known = [step for step in steps if step in seen and step.origins]
    for step in (step for step in steps if step not in known):
        seen.add(step)
        _grow(tree.add(_label(step)), step.origins, seen)
    if known:
        tree.add(Text(f"← 见上 as above  {', '.join(step.name for step in known)}"))


def _label(step: Step) -> Text:
    note = step.zh if step.en in {"", step.zh} or step.en in step.zh else f"{step.zh} {step.en}"
    condition = f"[{step.condition}]" if step.condition else ""
    return Text("  ".join(filter(None, (f"← {_KINDS[step.kind]}", step.name, note, condition))))


def _show_column(console: Console, trace: ColumnTrace) -> None:
    spec = trace.dataset.fields[trace.column]
    facts = {
        "类型 type": " ".join(filter(None, (spec.type, spec.unit))),
        "必填 required": _say_required(spec.required),
        "代码 codes": ", ".join(f"{key} {title}" for key, title in (spec.codes or {}).items()),
        "规则 rule": spec.rule or "",
        "个人信息 personal data": "" if spec.sensitivity == "public" else spec.sensitivity,
        "依据 basis": f"{spec.standard} ({spec.status})",
        "规则 checks": "; ".join(one.holds for one in trace.dataset.checks if one.column == trace.column),
        "示例 example": spec.example,
    }
    console.print(Text(f"{trace.dataset.contract} {trace.column}  {spec.title} {spec.title_en}", style="bold"))
    for label, said in facts.items():
        if said:
            console.print(Text(f"  {label}: {said}"))
    tree = Tree("谁报送 who sends it")
    _grow(tree, trace.step.origins, set())
    console.print(tree)
    _show_uses(console, trace)


def _show_uses(console: Console, trace: ColumnTrace) -> None:
    tree = Tree("谁使用 what uses it")
    for use in trace.uses[:_MOST_SHOWN]:
        tree.add(Text(f"{use.model} {use.reading.id}  {use.reading.title} {use.reading.title_en}"))
    if len(trace.uses) > _MOST_SHOWN:
        tree.add(f"… 另有 and {len(trace.uses) - _MOST_SHOWN} more (--json)")
    for message in dict.fromkeys(message for message, _ in trace.shown):
        paths = ", ".join(path for name, path in trace.shown if name == message)
        tree.add(Text(f"{message}  {paths}"))
    if not tree.children:
        tree.add("—")
    console.print(tree)


def _encode_trace(trace: FieldTrace) -> Mapping[str, Any]:
    return {
        "message": trace.message,
        "path": trace.path,
        "title": trace.title.zh,
        "title_en": trace.title.en,
        "origin": asdict(trace.step),
    }


def _encode_column(trace: ColumnTrace) -> Mapping[str, Any]:
    return {
        "contract": trace.dataset.contract,
        "column": trace.column,
        "field": trace.dataset.fields[trace.column].model_dump(mode="json", exclude_none=True),
        "sent_by": [asdict(step) for step in trace.step.origins],
        "used_by": [{"model": use.model, **asdict(use.reading)} for use in trace.uses],
        "shown_in": [{"message": message, "path": path} for message, path in trace.shown],
    }
