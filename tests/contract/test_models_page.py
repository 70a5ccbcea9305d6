"""The page of the models: every domain and indicator is there, and what nobody collects is said."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from connectors.department import load_departments
from gateway.reference.markdown import Tongue, anchor
from gateway.reference.models_page import render_models
from scoring.library import load_models

MODELS, DEPARTMENTS = load_models(), load_departments()
TONGUES = pytest.mark.parametrize("tongue", [Tongue("en"), Tongue("zh")], ids=lambda tongue: tongue.language)


def section(page: str, name: str) -> str:
    """The part of the page about the model ``name``."""
    return next(part for part in re.split(r"^## ", page, flags=re.MULTILINE) if f"`{name}`" in part)


@TONGUES
def test_every_indicator_has_its_row_when_the_page_is_rendered(tongue: Tongue) -> None:
    page = render_models(MODELS, DEPARTMENTS, tongue)
    for model in MODELS.by_id.values():
        rows = {line.split(" | ")[0].lstrip("| ") for line in section(page, model.name).splitlines() if line[:1] == "|"}
        assert {*model.indicators, *model.overrides} <= rows


@TONGUES
def test_every_link_leads_to_a_heading_when_the_page_is_rendered(tongue: Tongue) -> None:
    page = render_models(MODELS, DEPARTMENTS, tongue)
    headings = {anchor(heading) for heading in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    links = set(re.findall(r"\(#(.+?)\)", page))
    assert len(links) == len(MODELS.by_id)
    assert links <= headings


@pytest.mark.semantics("2.25")
def test_needed_data_is_not_collected_when_a_model_waits_for_it() -> None:
    rows = section(render_models(MODELS, DEPARTMENTS, Tongue("en")), "public_credit_enterprise@2026.1")
    (row,) = [line for line in rows.splitlines() if line.startswith("| abnormal_tax ")]
    assert "**not collected**" in row
    assert "republished" in row


@pytest.mark.semantics("2.25")
def test_a_dataset_is_not_collected_when_its_department_does_not_send_it() -> None:
    ecology = DEPARTMENTS.by_id["ecology_environment"]
    silent = ecology.model_copy(update={"datasets": {k: v for k, v in ecology.datasets.items() if k != "complaint"}})
    without = replace(DEPARTMENTS, by_id={**DEPARTMENTS.by_id, silent.id: silent})
    before, after = (render_models(MODELS, known, Tongue("en")) for known in (DEPARTMENTS, without))
    (row,) = [line for line in after.splitlines() if line.startswith("| IND1210 ")]
    assert "`complaint` (**not collected**)" in row
    assert row not in before


def test_other_schemes_are_told_when_a_model_has_them() -> None:
    page = render_models(MODELS, DEPARTMENTS, Tongue("zh"))
    assert "绿 ≥ 100; 蓝 ≥ 80; 黄 ≥ 60; 红 ≥ 0" in section(page, "enterprise_environment@2026.1")
    assert "按 `crosswalk/statistical_four_level` 换算" in section(page, "statistical_credit@2026.1")


def test_a_compared_indicator_names_its_statistic_when_the_page_is_rendered() -> None:
    rows = section(render_models(MODELS, DEPARTMENTS, Tongue("zh")), "enterprise_credit_risk@2026.1")
    (row,) = [line for line in rows.splitlines() if line.startswith("| IND2111 ")]
    assert "高于 12315投诉查实率" in row
    assert "`complaint`" in row
