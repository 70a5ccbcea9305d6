"""The institutional document: the seed's four blocks, from the model alone."""

from __future__ import annotations

from datetime import date

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.policy import write_policy
from scoring.library import load_models
from scoring.model import Model
from scoring.quantities import show_plain
from scoring.resolution import resolve

MODELS = load_models()
DAY = date(2026, 6, 30)


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_document_holds_the_four_blocks_when_any_model_is_rendered(model: Model) -> None:
    resolved = resolve(model, DAY, MODELS.tables)
    text = write_policy(resolved, {model.department: "示例厅"})
    for chapter in ("归集范围", "等级标准", "评价周期", "对应措施"):
        assert f"、{chapter}\n" in text
    for words in model.scope:
        assert f"- {words}" in text
    for name, indicator in model.indicators.items():
        assert f"| {name} | {indicator.title}" in text
    for band in resolved.bands.bands:
        assert f"| {band.grade} | " in text
        assert show_plain(band.from_ or band.below or band.from_) in text
    for name, override in model.overrides.items():
        assert f"| {name} | {override.title} |" in text
    for grade, row in resolved.measures.grades.items():
        assert f"| {grade} | {show_plain(row.ratio_percent)}% | {row.at_most} | {row.items} |" in text
    assert "非正式公文" in text


def test_numbers_follow_the_model_when_a_band_and_a_cap_are_others() -> None:
    resolved = resolve(MODELS.by_id["enterprise_environment"], DAY, MODELS.tables)
    before = write_policy(resolved)
    changed = resolved.model_dump(mode="json", by_alias=True)
    changed["bands"]["bands"][0]["from"] = "870"
    changed["bands"]["bands"][1]["below"] = "870"
    changed["model"]["dimensions"]["compliance"]["indicators"]["IND1201"]["deduct"]["cap"] = "235"
    after = write_policy(type(resolved).model_validate(changed))
    assert "| A | 优秀 | 850 分及以上 |" in before
    assert "| A | 优秀 | 870 分及以上 |" in after
    assert "最多 240 分" in before
    assert "最多 235 分" in after


def test_document_promises_no_grade_n_where_everyone_is_graded_when_the_model_is_of_public_credit() -> None:
    person, safety = (
        write_policy(resolve(MODELS.by_id[name], DAY, MODELS.tables))
        for name in ("public_credit_natural_person", "work_safety")
    )
    assert "不评级(N)" in safety
    assert "不评级(N)" not in person
    assert "即时重新评价" in safety
    assert "即时重新评价" not in person


def test_rule_read_in_copies_only_is_marked_so_when_the_document_is_rendered() -> None:
    text = write_policy(resolve(MODELS.by_id["work_safety"], DAY, MODELS.tables))
    assert "轻微 3 个月(假设);一般 12 个月(转载);严重 36 个月(转载)" in text


def test_command_prints_the_document_when_the_domain_is_known() -> None:
    result = CliRunner().invoke(app, ["policy", "work_safety", "--as-of", "2026-06-30"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("# ")
    assert "省应急管理厅" in result.output
