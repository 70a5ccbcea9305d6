"""``docs/templates``: for every dataset a CSV and an XLSX to fill in.

The header holds the catalogue's Chinese titles, so a filled-in template needs no mapping. There
is no example row in it: whoever forgot to delete it would report a record that never was.
The workbook's second sheet explains each column with an example; a hidden third one holds the
code lists behind the drop-downs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from unicodedata import east_asian_width

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from exchange_formats.datasets import Dataset, FieldSpec, load_catalogue
from gateway.reference.dataset_sections import say_bounds
from gateway.reference.examples import choose_examples
from gateway.reference.markdown import MARKS, Tongue
from gateway.reference.paths import csv_template_path, xlsx_template_path
from gateway.workbooks import encode_workbook

#: Drop-downs and cell formats reach to the last row that a sheet can have.
_LAST_ROW: Final = 1_048_576
#: So that Excel reads a CSV as UTF-8.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_EXPLANATION: Final = "填写说明"
_CODES: Final = "代码"
_REQUIRED: Final = PatternFill("solid", fgColor="F8CBAD")
_CONDITIONAL: Final = PatternFill("solid", fgColor="FFE699")
_OPTIONAL: Final = PatternFill("solid", fgColor="E7E6E6")
_BOOLEANS: Final = ("是", "否")
# Excel's own limits of what a cell shows when it is chosen.
_LONGEST_PROMPT_TITLE, _LONGEST_PROMPT = 32, 255
# Points; a row can be no taller.
_LINE, _TALLEST = 15, 409
_CHINESE: Final = Tongue("zh")
_INTRODUCTION: Final = (
    "第一张表填写数据,一行一条记录;表头不要改动,非必填的列可以删除。",
    "红色列必填,黄色列在所列条件成立时必填,灰色列选填。代码列从下拉选项中选择。",
    "上报前先检查:xinqiao validate <文件> --dataset {dataset}",
    "Fill in the first sheet, one row a record; leave the header as it is; optional columns may be deleted.",
    "Red: required; yellow: required under the condition given; grey: optional. Choose codes from the drop-downs.",
    "Check before you upload: xinqiao validate <file> --dataset {dataset}",
)
_HEAD: Final = (
    "列",
    "字段 field",
    "必填 required",
    "类型与单位 type, unit",
    "取值 values",
    "依据 basis",
    "示例 example",
)
_WIDTHS: Final = (24, 26, 30, 18, 46, 40, 30)


def render_templates() -> Mapping[str, bytes]:
    """Every template of the newest contracts."""
    found: dict[str, bytes] = {}
    for dataset in load_catalogue().values():
        found[csv_template_path(dataset)] = encode_header(dataset)
        found[xlsx_template_path(dataset)] = encode_workbook(build_workbook(dataset), packed=False)
    return found


def encode_header(dataset: Dataset) -> bytes:
    """A CSV that holds the header alone; no title needs a quote (a test sees to it)."""
    return _BYTE_ORDER_MARK + ",".join(spec.title for spec in dataset.fields.values()).encode() + b"\r\n"


def build_workbook(dataset: Dataset) -> Workbook:
    """The workbook: the sheet to fill in, the explanation, the hidden code lists."""
    workbook = Workbook()
    sheet = workbook.active
    sheet.title = dataset.title
    codes = workbook.create_sheet(_CODES)
    codes.sheet_state = "hidden"
    for place, name in enumerate(dataset.fields, start=1):
        _write_column(sheet, codes, place, name, dataset)
    sheet.freeze_panes = "A2"
    sheet.row_dimensions[1].height = 32
    _write_explanation(workbook.create_sheet(_EXPLANATION, 1), dataset)
    workbook.properties.creator = "Xinqiao"
    workbook.properties.title = dataset.contract
    return workbook


def _write_column(sheet: Worksheet, codes: Worksheet, place: int, name: str, dataset: Dataset) -> None:
    """Header, cell format and what may be chosen or typed, of one column."""
    spec = dataset.fields[name]
    header = sheet.cell(1, place, spec.title)
    header.font = Font(bold=name in dataset.needed)
    header.alignment = Alignment(wrap_text=True, vertical="center")
    header.fill = _fill(name, dataset)
    letter = get_column_letter(place)
    sheet.column_dimensions[letter].number_format = _number_format(spec)
    sheet.column_dimensions[letter].width = max(14, min(30, 2 * len(spec.title) + 4))
    validation = _validate(codes, place, name, spec)
    validation.showInputMessage, validation.promptTitle = True, spec.title[:_LONGEST_PROMPT_TITLE]
    validation.prompt = "\n".join(filter(None, (_say_required(name, dataset), *say_bounds(spec, dataset, _CHINESE))))[
        :_LONGEST_PROMPT
    ]
    validation.add(f"{letter}2:{letter}{_LAST_ROW}")
    sheet.add_data_validation(validation)


def _validate(codes: Worksheet, place: int, name: str, spec: FieldSpec) -> DataValidation:
    options = tuple(spec.codes.values()) if spec.codes else _BOOLEANS if spec.type == "boolean" else ()
    if options:
        letter = get_column_letter(place)
        for number, text in enumerate((name, *options), start=1):
            codes.cell(number, place, text)
        formula = f"'{_CODES}'!${letter}$2:${letter}${len(options) + 1}"
        validation = DataValidation("list", formula1=formula, allow_blank=True)
        return _explain_error(validation, "请从下拉选项中选择 choose one of the list")
    if spec.type == "date":
        # The serial number of 1900-01-01: a date is a number to a spreadsheet.
        validation = DataValidation("date", formula1="1", operator="greaterThanOrEqual", allow_blank=True)
        return _explain_error(validation, "请填写日期,如 2026-05-01 a date such as 2026-05-01")
    if spec.type == "integer" or spec.type.startswith("decimal"):
        kind = "whole" if spec.type == "integer" else "decimal"
        least = "-1E+15" if spec.minimum is None else f"{spec.minimum:f}"
        most = "1E+15" if spec.maximum is None else f"{spec.maximum:f}"
        validation = DataValidation(kind, formula1=least, formula2=most, operator="between", allow_blank=True)
        return _explain_error(validation, f"请填写数字{spec.unit or ''} a number")
    if spec.type == "subject" or spec.max_length is None:
        return DataValidation(allow_blank=True)
    most = str(spec.max_length)
    validation = DataValidation("textLength", formula1=most, operator="lessThanOrEqual", allow_blank=True)
    return _explain_error(validation, f"至多 {spec.max_length} 个字符 at most {spec.max_length} characters")


def _explain_error(validation: DataValidation, message: str) -> DataValidation:
    validation.showErrorMessage, validation.errorTitle, validation.error = True, "格式不符 not valid", message
    return validation


def _fill(name: str, dataset: Dataset) -> PatternFill:
    if name in dataset.needed:
        return _REQUIRED
    return _CONDITIONAL if dataset.fields[name].required else _OPTIONAL


def _number_format(spec: FieldSpec) -> str:
    """Codes and numbers of documents are text: a spreadsheet would cut an eighteen-digit number to fifteen."""
    if spec.type == "date":
        return "yyyy-mm-dd"
    if spec.type == "integer":
        return "0"
    if spec.type.startswith("decimal"):
        return "0." + "0" * int(spec.type.rpartition(",")[2].rstrip(")"))
    return "@"


def _say_required(name: str, dataset: Dataset) -> str:
    if name in dataset.needed:
        return "必填 required"
    required = dataset.fields[name].required
    return f"必填,当 required if: {required}" if required else ""


def _write_explanation(sheet: Worksheet, dataset: Dataset) -> None:
    sheet.append((f"{dataset.title} {dataset.title_en} ({dataset.contract})",))
    sheet["A1"].font = Font(bold=True, size=14)
    for text in _INTRODUCTION:
        sheet.append((text.format(dataset=dataset.id),))
    sheet.append(())
    sheet.append(_HEAD)
    for cell in sheet[sheet.max_row]:
        cell.font, cell.fill = Font(bold=True), _OPTIONAL
    examples = choose_examples(dataset)
    for name, spec in dataset.fields.items():
        sheet.append(
            (
                spec.title,
                name,
                _say_required(name, dataset),
                " ".join(filter(None, (spec.type, spec.unit))),
                "\n".join(_say_options(spec, dataset)),
                " · ".join(filter(None, (spec.standard, " ".join(MARKS[spec.status][:2])))),
                show_value(spec, examples.get(name, spec.example)),
            )
        )
        sheet.cell(sheet.max_row, 1).fill = _fill(name, dataset)
        for cell in sheet[sheet.max_row]:
            cell.alignment, cell.number_format = Alignment(wrap_text=True, vertical="top"), "@"
        lines = max(
            _count_lines(str(cell.value or ""), width)
            for cell, width in zip(sheet[sheet.max_row], _WIDTHS, strict=True)
        )
        sheet.row_dimensions[sheet.max_row].height = min(_LINE * lines, _TALLEST)
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    for place, width in enumerate(_WIDTHS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width


def show_value(spec: FieldSpec, text: str) -> str:
    """A value as a person chooses it: the title of a code, 是 or 否."""
    if spec.type == "boolean" and text:
        return _BOOLEANS[text != "true"]
    return (spec.codes or {}).get(text, text)


def _count_lines(text: str, width: int) -> int:
    """How many lines a cell needs; a Chinese character is as wide as two Latin ones."""
    wide = (sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line) for line in text.split("\n"))
    return sum(max(1, -(-units // (width - 1))) for units in wide)


def _say_options(spec: FieldSpec, dataset: Dataset) -> Sequence[str]:
    if spec.codes:
        return tuple(f"{title} ({key})" for key, title in spec.codes.items())
    return (" / ".join(_BOOLEANS),) if spec.type == "boolean" else tuple(say_bounds(spec, dataset, _CHINESE))
