"""The models as files: sound, equal to the table of indicators, and right in their own examples."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from scoring.examples import run_example
from scoring.library import load_models
from scoring.model import Example, Indicator, Model, Override

MODELS = load_models()
DATA = Path(__file__).parents[1] / "data" / "indicators_of_three_departments.csv"
PREFIXES = {"enterprise_environment": "IND12", "work_safety": "IND20", "enterprise_credit_risk": "IND21"}


def _rows(prefix: str) -> dict[str, dict[str, str]]:
    with DATA.open(encoding="utf-8") as file:
        return {row["ind_code"]: row for row in csv.DictReader(file) if row["ind_code"].startswith(prefix)}


def _points(indicator: Indicator) -> tuple[Decimal | None, Decimal | None]:
    if indicator.deduct:
        return indicator.deduct.per, indicator.deduct.cap
    assert indicator.earn
    return indicator.earn.per, indicator.earn.cap


def test_every_model_and_table_is_sound_when_the_package_is_loaded() -> None:
    assert [str(problem) for problem in MODELS.problems] == []
    assert set(MODELS.by_id) == set(PREFIXES)


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_indicators_equal_the_table_when_codes_points_and_caps_are_compared(model: Model) -> None:
    expected = {
        code: (row["kind"], Decimal(row["points"]), Decimal(row["cap"]) if row["cap"] else None)
        for code, row in _rows(PREFIXES[model.id]).items()
        if row["kind"] != "veto"
    }
    found = {
        code: ("deduct" if indicator.deduct else "bonus", *_points(indicator))
        for code, indicator in model.indicators.items()
        if code.startswith("IND")
    }
    assert found == expected


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_overrides_equal_the_table_when_vetoes_are_compared(model: Model) -> None:
    expected = {code for code, row in _rows(PREFIXES[model.id]).items() if row["kind"] == "veto"}
    found: dict[str, Override] = {code: o for code, o in model.overrides.items() if code.startswith("IND")}
    assert found.keys() == expected
    assert {override.grade for override in found.values()} == {"E"}


@pytest.mark.parametrize(
    ("model", "example"),
    [(model, example) for model in MODELS.by_id.values() for example in model.examples],
    ids=lambda part: part.id if isinstance(part, Model) else part.title.rpartition("/")[2].strip(),
)
def test_example_holds_when_it_is_scored(model: Model, example: Example, tmp_path: Path) -> None:
    assert run_example(model, example, tmp_path) == ()


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_honours_together_are_at_most_50_and_earned_points_100_when_a_model_is_read(model: Model) -> None:
    earned = model.dimensions["earned"]
    assert earned.kind == "earned"
    assert earned.groups["bonus"].cap == 50
    clean = earned.indicators["clean_inspection"].earn
    assert clean is not None
    assert clean.cap == 40
    assert earned.full == 100


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_nothing_assumed_is_called_official_when_points_are_marked(model: Model) -> None:
    assert {indicator.status for indicator in model.indicators.values()} == {"assumption"}
    assert {table.status for table in MODELS.tables.versions["bands", model.bands]} == {"assumption"}
