"""Upload templates: filled in with the catalogue's examples they are good, and the workbook helps to fill them in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from exchange_formats.datasets import Dataset, FieldSpec, load_catalogue
from exchange_formats.subjects import PseudonymKey
from gateway.reference.documents import ROOT
from gateway.reference.examples import choose_examples
from gateway.reference.paths import csv_template_path, xlsx_template_path
from gateway.reference.templates import show_value
from gateway.validation import Validation, prepare, validate_file

UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
KEY = PseudonymKey("k1", b"a key for tests, of no worth elsewhere")
DATASETS = load_catalogue()


def validate(path: Path, dataset: Dataset) -> Validation:
    return validate_file(prepare(path, dataset.id), until=UNTIL, pseudonyms=KEY, shown=10)


def template(dataset: Dataset) -> tuple[Worksheet, Mapping[str, DataValidation]]:
    """The sheet to fill in, and its validations by the column's letter."""
    sheet = load_workbook(ROOT / xlsx_template_path(dataset)).worksheets[0]
    return sheet, {
        str(one.sqref).rstrip("0123456789:").rpartition(":")[2]: one for one in sheet.data_validations.dataValidation
    }


def type_in(spec: FieldSpec, text: str) -> object:
    """A value as a spreadsheet holds what a person typed or chose."""
    if spec.type == "date":
        return date.fromisoformat(text)
    if spec.type == "integer" or spec.type.startswith("decimal"):
        return Decimal(text)
    return show_value(spec, text)


@pytest.mark.parametrize("name", DATASETS)
def test_titles_tell_columns_apart_when_they_are_the_header(name: str) -> None:
    titles = [spec.title for spec in DATASETS[name].fields.values()]
    assert len(titles) == len(set(titles))
    assert not [title for title in titles if set(title) & set(',"\r\n')]
    assert not set(titles) & set(DATASETS[name].fields)
    assert len(DATASETS[name].title) <= 31, "a sheet's name has at most 31 characters"


@pytest.mark.parametrize("name", DATASETS)
def test_csv_opens_as_a_header_of_titles_when_a_spreadsheet_reads_it(name: str) -> None:
    content = (ROOT / csv_template_path(DATASETS[name])).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf"), "Excel takes it for GBK without the mark"
    (header,) = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert header == [spec.title for spec in DATASETS[name].fields.values()]


@pytest.mark.parametrize("name", DATASETS)
def test_workbook_is_good_when_filled_in_with_the_examples(name: str, tmp_path: Path) -> None:
    dataset = DATASETS[name]
    workbook = load_workbook(ROOT / xlsx_template_path(dataset))
    sheet = workbook.worksheets[0]
    examples = choose_examples(dataset)
    for place, (field, spec) in enumerate(dataset.fields.items(), start=1):
        assert sheet.cell(1, place).value == spec.title
        if field in examples:
            sheet.cell(2, place, type_in(spec, examples[field]))
    path = tmp_path / f"{name}.xlsx"
    workbook.save(path)
    found = validate(path, dataset)
    assert (found.read, found.good, found.rejected, found.unknown_columns) == (1, 1, 0, ()), found.problems


@pytest.mark.parametrize("name", DATASETS)
def test_workbook_offers_every_code_when_a_cell_is_chosen(name: str) -> None:
    sheet, validations = template(DATASETS[name])
    codes = sheet.parent["代码"]
    assert codes.sheet_state == "hidden"
    for place, spec in enumerate(DATASETS[name].fields.values(), start=1):
        letter = sheet.cell(1, place).column_letter
        validation = validations[letter]
        assert str(validation.sqref) == f"{letter}2:{letter}1048576"
        assert validation.promptTitle == spec.title[:32]
        if spec.codes or spec.type == "boolean":
            assert validation.type == "list"
            place_of_codes = validation.formula1.partition("!")[2].replace("$", "")
            offered = [cell.value for (cell,) in codes[place_of_codes]]
            assert offered == (list(spec.codes.values()) if spec.codes else ["是", "否"])
        else:
            expected = {"date": "date", "integer": "whole"}.get(spec.type)
            assert (
                validation.type == expected
                or (spec.type.startswith("decimal") and validation.type == "decimal")
                or (spec.type in {"string", "subject"} and validation.type in {"textLength", None})
            )


@pytest.mark.parametrize("name", DATASETS)
def test_workbook_keeps_long_numbers_as_text_when_they_are_typed(name: str) -> None:
    sheet, _ = template(DATASETS[name])
    for place, spec in enumerate(DATASETS[name].fields.values(), start=1):
        style = sheet.column_dimensions[sheet.cell(1, place).column_letter].number_format
        if spec.type in {"string", "subject"}:
            assert style == "@"
        elif spec.type == "date":
            assert style == "yyyy-mm-dd"


@pytest.mark.parametrize("name", DATASETS)
def test_workbook_explains_every_column_when_the_second_sheet_is_read(name: str) -> None:
    sheet = load_workbook(ROOT / xlsx_template_path(DATASETS[name]))["填写说明"]
    needed = DATASETS[name].needed
    rows = {row[1]: row for row in sheet.iter_rows(values_only=True)}
    for field, spec in DATASETS[name].fields.items():
        assert rows[field][0] == spec.title
        assert (rows[field][2] or "").startswith("必填") == (spec.required is not False or field in needed)
        assert all(title in (rows[field][4] or "") for title in (spec.codes or {}).values())


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_template_is_no_error_when_nothing_is_filled_in(suffix: str) -> None:
    dataset = DATASETS["penalty"]
    path = ROOT / (csv_template_path(dataset) if suffix == "csv" else xlsx_template_path(dataset))
    found = validate(path, dataset)
    assert (found.read, found.rejected) == (0, 0)
