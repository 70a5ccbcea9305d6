"""The models as files: sound, equal to the table of indicators, and right in their own examples."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from connectors.department import load_departments
from scoring.examples import run_examples
from scoring.library import load_models
from scoring.model import Deduct, Indicator, Model, Override

MODELS = load_models()
DATA = Path(__file__).parents[1] / "data" / "indicators.csv"
PUBLIC = {name: model for name, model in MODELS.by_id.items() if name.startswith("public_credit_")}
INDUSTRY = {name: model for name, model in MODELS.by_id.items() if name not in PUBLIC}
#: First-level points of each kind of subject, as far as they are known or assumed (facts 1.3-1.5).
FULL_POINTS = {
    "public_credit_enterprise": [80, 195, 90, 500, 135],
    "public_credit_natural_person": [100, 250, 350, 150, 150],
    "public_credit_social_organization": [100, 200, 200, 350, 150],
    "public_credit_public_institution": [100, 150, 200, 400, 150],
    "public_credit_government_agency": [300, 200, 250, 150, 100],
}
#: What was republished of the enterprise table of 2020: dimension, points of its indicators in order.
REPUBLISHED = {"basic": [20, 20, 20, 20], "finance_tax": [50, 60, 15, 10, 30, 30], "governance": [30, 30, 30]}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with DATA.open(encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def _rows_of(model: Model) -> dict[str, dict[str, str]]:
    """The table's rows of the model's department."""
    number = str(load_departments().by_id[model.department].no)
    return {row["ind_code"]: row for row in _rows() if row["dept_no"] == number}


def _points(indicator: Indicator) -> tuple[Decimal | None, Decimal | None]:
    worth = indicator.deduct or indicator.earn
    assert worth
    return worth.per, worth.cap


def _all(models: Mapping[str, Model]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("model", models.values(), ids=models.keys())


def test_every_model_and_table_is_sound_when_the_package_is_loaded() -> None:
    assert [str(problem) for problem in MODELS.problems] == []


def test_the_province_has_33_industry_models_and_5_of_public_credit_when_the_package_is_loaded() -> None:
    departments = load_departments().by_id
    assert sorted(departments[model.department].no or 0 for model in INDUSTRY.values()) == list(range(1, 34))
    assert PUBLIC.keys() == FULL_POINTS.keys()


def test_no_row_is_left_out_when_the_table_is_compared() -> None:
    named = {code for model in INDUSTRY.values() for code in (*model.indicators, *model.overrides)}
    assert {row["ind_code"] for row in _rows()} - named == set()
    assert len(_rows()) == 372


@_all(INDUSTRY)
def test_indicators_equal_the_table_when_codes_points_and_caps_are_compared(model: Model) -> None:
    expected = {
        code: (row["kind"], Decimal(row["points"]), Decimal(row["cap"]) if row["cap"] else None)
        for code, row in _rows_of(model).items()
        if row["kind"] != "veto"
    }
    found = {
        code: ("deduct" if indicator.deduct else "bonus", *_points(indicator))
        for code, indicator in model.indicators.items()
        if code.startswith("IND")
    }
    assert found == expected


@_all(INDUSTRY)
def test_overrides_equal_the_table_when_vetoes_are_compared(model: Model) -> None:
    expected = {code for code, row in _rows_of(model).items() if row["kind"] == "veto"}
    found: dict[str, Override] = {code: o for code, o in model.overrides.items() if code.startswith("IND")}
    assert found.keys() == expected
    assert {override.grade for override in model.overrides.values()} == {"E"}


@_all(MODELS.by_id)
def test_model_says_what_it_is_and_rests_on_when_it_is_read(model: Model) -> None:
    assert model.title_en.isascii()
    assert model.basis
    assert model.scope
    assert len(model.examples) >= 3
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    titles = [part.title_en for part in parts]
    assert all(title.isascii() for title in titles)


@_all(MODELS.by_id)
def test_examples_hold_when_they_are_scored(model: Model, tmp_path: Path) -> None:
    titles = [example.title for example in model.examples]
    assert dict(zip(titles, run_examples(model, tmp_path), strict=True)) == dict.fromkeys(titles, ())


@_all(INDUSTRY)
def test_honours_together_are_at_most_50_and_earned_points_100_when_a_model_is_read(model: Model) -> None:
    earned = model.dimensions["earned"]
    assert earned.kind == "earned"
    assert {group.cap for group in earned.groups.values()} <= {Decimal(50)}
    assert all(i.group == "bonus" for code, i in earned.indicators.items() if code.startswith("IND"))
    clean = earned.indicators["clean_inspection"].earn
    assert clean is not None
    assert clean.cap == 40
    assert earned.full == 100


@_all(INDUSTRY)
def test_nothing_assumed_is_called_official_when_points_are_marked(model: Model) -> None:
    assert {indicator.status for indicator in model.indicators.values()} == {"assumption"}
    assert MODELS.tables.versions["bands", model.bands][0].status == "assumption"


@_all(PUBLIC)
def test_dimensions_equal_the_known_points_when_public_models_are_compared(model: Model) -> None:
    assert [dimension.full for dimension in model.dimensions.values()] == FULL_POINTS[model.id]


@_all(PUBLIC)
def test_caps_of_a_dimension_are_its_full_points_when_a_public_model_is_read(model: Model) -> None:
    for dimension in model.dimensions.values():
        assert dimension.kind != "public_credit"
        assert sum(_points(indicator)[1] or 0 for indicator in dimension.indicators.values()) == dimension.full


@_all(PUBLIC)
def test_a_subject_without_records_has_800_when_the_bases_are_added(model: Model) -> None:
    assert sum(getattr(dimension, "base", 0) for dimension in model.dimensions.values()) == 800
    assert model.minimum_records == 0


@_all(PUBLIC)
def test_only_what_was_republished_is_marked_so_and_nothing_official_when_public_models_are_marked(
    model: Model,
) -> None:
    republished: dict[str, list[Decimal | None]] = {}
    for name, dimension in model.dimensions.items():
        assert dimension.kind != "public_credit"
        for indicator in dimension.indicators.values():
            assert indicator.status != "official", "no table of points was read at its source (facts §1.3)"
            if indicator.status == "republished":
                republished.setdefault(name, []).append(_points(indicator)[1])
                assert isinstance(indicator.deduct, Deduct)
                assert any("(转载)" in basis for basis in indicator.basis)
    assert republished == (REPUBLISHED if model.id == "public_credit_enterprise" else {})
