"""An inspection plan as a workbook: the list for the inspectors, how it was drawn, and what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from exchange_formats.datasets import load_catalogue
from exchange_formats.formulas import neutralise
from gateway.inspection_planning import InspectionPlan
from gateway.workbooks import encode_workbook
from scoring.inspection_plan import Chosen
from scoring.quantities import show_plain
from scoring.resolution import ResolvedModel

_HEAD: Final = PatternFill("solid", fgColor="DDEBF7")
_LIST: Final = (
    ("序号 no.", 8),
    ("主体代码 subject", 24),
    ("名称 name", 34),
    ("地市 city", 14),
    ("等级 grade", 10),
    ("检查事项 items", 34),
    ("缘由 because", 34),
    ("检查人员 inspectors", 34),
)
_GRADES: Final = (
    ("等级 grade", 12),
    ("主体 subjects", 14),
    ("比例 ratio %", 14),
    ("应抽 wanted", 14),
    ("已达频次 capped", 18),
    ("抽中 drawn", 14),
    ("必查 demanded", 16),
)
_DRAWN: Final = "随机抽取 drawn"


def write_sheets(plan: InspectionPlan, resolved: ResolvedModel, names: Mapping[str, str], key: str) -> bytes:
    """The workbook; equal plans give equal bytes.

    Args:
        plan: what was drawn.
        resolved: the model of its run: items and rules in words.
        names: inspector number → name, as the roster's file gave them; never stored in the lake.
        key: where the log lies.
    """
    workbook = Workbook()
    workbook.remove(workbook.worksheets[0])
    _fill(workbook.create_sheet("检查名单 list"), _LIST, _rows(plan, resolved, names))
    _fill(workbook.create_sheet("抽取情况 draw"), _GRADES, _figures(plan))
    _fill(workbook.create_sheet("留痕 proof"), (("项目 item", 26), ("内容 content", 90)), _proof(plan, key))
    return encode_workbook(workbook)


def _rows(plan: InspectionPlan, resolved: ResolvedModel, names: Mapping[str, str]) -> Iterable[Sequence[object]]:
    cities = load_catalogue()["profile"].columns["city_code"].codes or {}
    for number, chosen in enumerate(plan.outcome.chosen, start=1):
        items = next(row.items for grade, row in resolved.measures.grades.items() if grade == chosen.grade)
        team = "、".join(f"{one} {names.get(one, '')}".strip() for one in chosen.inspectors)
        yield (
            number,
            chosen.subject_ref,
            chosen.subject_name or "",
            cities.get(chosen.city_code, chosen.city_code),
            chosen.grade,
            items,
            "、".join(_say(chosen, resolved)),
            team or "待派 to be assigned",
        )


def _say(chosen: Chosen, resolved: ResolvedModel) -> Iterable[str]:
    rules = resolved.measures.never_skip
    return [_DRAWN if reason == "drawn" else rules[reason].title for reason in chosen.because]


def _figures(plan: InspectionPlan) -> Iterable[Sequence[object]]:
    for grade, row in plan.outcome.grades.items():
        yield grade, row.subjects, show_plain(row.ratio_percent), row.wanted, row.capped, row.drawn, row.demanded


def _proof(plan: InspectionPlan, key: str) -> Iterable[Sequence[object]]:
    yield "领域 domain", plan.domain
    yield "任务 task", plan.task
    yield "种子 seed", plan.seed
    yield "方法 method", plan.method
    yield "基准日 day", plan.day.isoformat()
    yield "评价运行 run", plan.run_id
    yield "运行清单 run manifest", plan.run_sha256
    yield "日志 log", key
    yield "复核 check", f"xinqiao plan-inspections {plan.domain} --task {plan.task} --replay"


def _fill(sheet: Worksheet, columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[object]]) -> None:
    sheet.append([title for title, _ in columns])
    for place, (_, width) in enumerate(columns, start=1):
        head = sheet.cell(row=1, column=place)
        head.font, head.fill = Font(bold=True), _HEAD
        head.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[get_column_letter(place)].width = width
    for row in rows:
        sheet.append([neutralise(cell) if isinstance(cell, str) else cell for cell in row])
    sheet.freeze_panes = "A2"
