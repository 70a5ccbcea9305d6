"""Sentences of the semantics (§3) about points and grades, where no other test says them whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp

from exchange_formats.results import OWN_PUBLIC_CREDIT, REFERENCE_STATISTICS
from scoring.compiler import compile_model
from scoring.examples import build_records
from scoring.explanation import explain
from scoring.model import Model
from scoring.resolution import resolve
from scoring.wording import Language
from tests.scoring_cases import (
    AS_OF,
    ENVIRONMENT,
    MODELS,
    Cases,
    Outcome,
    incident,
    on,
    penalty,
    read_outcomes,
    reference,
    run,
    vary,
)

CASES = Cases()
case = CASES.case


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


@pytest.mark.semantics("3.2")
@case(incident=[incident("2023-08-01"), incident("2024-06-01")])
def test_record_is_worth_points_times_repeat_times_decay(found: Outcome) -> None:
    worth = [(r.base_points, r.repeat_factor, r.decay_factor, r.points) for r in found.findings.evidence if r.record_id]
    # 150 x 1 x 0.6 x 0.6, and 150 x 1.5 x 0.6 x 0.6.
    assert worth == [
        (Decimal(150), Decimal(1), Decimal("0.6"), Decimal(-54)),
        (Decimal(150), Decimal("1.5"), Decimal("0.6"), Decimal(-81)),
    ]


def _only(kind: str, base: int, indicators: dict[str, dict[str, Any]]) -> Model:
    """A model of one dimension, without public credit; nobody is N."""
    said = {"title": "一项", "title_en": "one", "basis": ["本模型设定 (H06)"], "status": "assumption"}
    dimension = {
        "kind": kind,
        "title": "唯一",
        "title_en": "only",
        "full": 1000,
        "base": base,
        "groups": {"bonus": {"title": "合计", "title_en": "together", "cap": 50}} if kind == "earned" else {},
        "indicators": {name: said | indicator for name, indicator in indicators.items()},
    }
    plain = {"overrides": {}, "required": ["profile"], "optional": {}, "minimum_records": 0, "native": None}
    return vary(ENVIRONMENT, dimensions={"only": dimension}, **plain)


HONOURS = _only(
    "earned",
    0,
    {
        kind: {
            "counts": {"dataset": "honour", "where": f"kind = '{kind}'"},
            "group": "bonus",
            "earn": {"per": 30, "cap": 40},
        }
        for kind in ("green_factory", "clean_production")
    },
)
FINES = _only("compliance", 900, {"fines": {"counts": {"dataset": "*/penalty"}, "deduct": {"per": 80}}})


def _honour(kind: str, day: str = "2025-01-01") -> dict[str, object]:
    return {"kind": kind, "awarded_on": on(day)}


@pytest.mark.semantics("3.4", "3.5", "3.6")
@case(model=HONOURS, public_credit=None, honour=[
    _honour("green_factory"), _honour("green_factory", "2025-02-01"), _honour("clean_production"),
])  # fmt: skip
def test_group_is_capped_when_its_indicators_are(found: Outcome) -> None:
    # 2 x 30, capped at 40; 30; together capped at 50.
    assert found.score == 50
    assert sorted(r.points for r in found.findings.evidence if r.entry == "_cap") == [Decimal(-20), Decimal(-20)]


TWICE = _only(
    "earned",
    0,
    {
        name: {"counts": {"dataset": "honour", "where": where}, "earn": {"per": 30}}
        for name, where in (("any_honour", "true"), ("green", "kind = 'green_factory'"))
    },
)


@pytest.mark.semantics("2.23")
@case(model=TWICE, public_credit=None, honour=[_honour("green_factory")])
def test_record_earns_twice_when_two_indicators_count_it(found: Outcome) -> None:
    assert (found.points("any_honour"), found.points("green")) == (Decimal(30), Decimal(30))
    assert found.score == 60


@pytest.mark.semantics("3.13")
@case(penalty=[
    penalty("1201", "2026-05-01", record_id="counts"),
    penalty("1201", "2026-05-01", repaired_on=on("2026-06-01"), record_id="repaired"),
    penalty("1201", "2026-05-01", revoked_on=on("2026-06-01"), record_id="revoked"),
    penalty("1203", "2026-05-01", record_id="veto"),
])  # fmt: skip
def test_evidence_names_record_and_batch_of_what_was_judged_and_nothing_else(found: Outcome) -> None:
    rows = [row for row in found.findings.evidence if row.record_id]
    assert {(str(row.record_id).partition("-")[2], row.entry, row.excluded) for row in rows} == {
        ("counts", "record", None),
        ("repaired", "record", "repaired"),
        ("veto", "override", None),
    }
    assert all(row.batch_id and row.dataset == "ecology_environment/penalty" for row in rows)
    others = [(row.entry, row.record_id) for row in found.findings.evidence if not row.record_id]
    assert others == [("public_credit", None), ("_base", None)], "nothing about indicators that have no record"


@pytest.mark.semantics("3.1")
def test_records_of_one_day_and_id_are_ordered_by_their_department(tmp_path: Path) -> None:
    """Both departments call their record ``r``: the second in the order of names is the repetition."""
    fine = penalty(None, "2026-05-01") | {"subject_ref": reference(1), "record_id": "r"}
    profile = {"status": "active", "subject_ref": reference(1), "subject_name": "示例企业"}
    given = {"transport/penalty": fine, "ecology_environment/penalty": fine, "ecology_environment/profile": profile}
    inputs = {source: build_records(source, [row]) for source, row in given.items()}
    (found,) = read_outcomes(run(FINES, inputs, tmp_path)).values()
    assert [(row.dataset, row.repeat_factor) for row in found.findings.evidence if row.record_id] == [
        ("ecology_environment/penalty", Decimal(1)),
        ("transport/penalty", Decimal("1.5")),
    ]


@pytest.mark.semantics("3.31")
@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_no_model_divides_or_averages_when_it_is_compiled(model: Model) -> None:
    resolved = resolve(model, AS_OF, MODELS.tables)
    everywhere = [source.replace("*", model.department) for source in resolved.inputs]
    program = compile_model(resolved, AS_OF, [*everywhere, OWN_PUBLIC_CREDIT, REFERENCE_STATISTICS])
    for step in (*program.steps, *program.outputs):
        assert not list(step.query.find_all(exp.Div, exp.Avg, exp.Median, exp.PercentileCont)), step.name
        kinds = {kind.this for kind in step.query.find_all(exp.DataType)}
        assert not kinds & {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}, step.name


REPORTING = vary(ENVIRONMENT, reported={"crosswalk": "four_level", "not_older_than": "P12M"})


@pytest.mark.semantics("3.35")
@case(model=REPORTING, reported_grade=[{
    "domain": "enterprise_environment", "native_scheme": "环境信用", "native_grade": "B", "grade": "N",
    "evaluated_on": on("2026-01-31"),
}])  # fmt: skip
def test_reported_grade_is_said_to_be_the_department_s_and_never_a_score_of_ours(found: Outcome) -> None:
    assert (found.grade.origin, found.grade.grade, found.score) == ("reported", "B", None)
    resolved = resolve(REPORTING, AS_OF, MODELS.tables)
    told: Mapping[Language, str] = {"zh": "得分不在本系统计算", "en": "its score is not computed here"}
    for language, said in told.items():
        text = explain(resolved, found.findings, AS_OF, language)
        assert said in text
        assert not re.search(r"(得分|score) \d", text)
