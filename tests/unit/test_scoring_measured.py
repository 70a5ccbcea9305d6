"""Indicators that measure a subject's records together, and reference statistics (semantics §3, architecture §5.4)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exchange_formats.results import REFERENCE_STATISTICS, STATISTICS
from scoring.engine import evaluate
from scoring.examples import build_inputs, build_records
from scoring.model import Model
from scoring.resolution import resolve
from scoring.statistics import compute_statistics
from tests.scoring_cases import AS_OF, MARKET, MODELS, Outcome, on, read_outcomes, reference, run, vary


def _indicator(counts: dict[str, Any], measure: dict[str, Any], bins: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        "title": "量",
        "title_en": "measured",
        "basis": ["本模型设定 (H05)"],
        "status": "assumption",
        "counts": counts,
        "measure": measure,
        "deduct": {"bins": [{"from": Decimal(edge), "points": points} for edge, points in bins], "cap": 150},
    }


def _model(*, statistics: dict[str, Any] | None = None, **indicators: dict[str, Any]) -> Model:
    """A model of compliance alone, so that a score is 1000 less what is measured."""
    compliance = {"kind": "compliance", "title": "守法", "title_en": "law", "full": 1000, "base": 1000}
    return vary(
        MARKET,
        dimensions={"compliance": compliance | {"indicators": indicators}},
        overrides={},
        required=["profile"],
        minimum_records=0,
        statistics=statistics or {},
    )


def _score(folder: Path, model: Model, *records: dict[str, Any], dataset: str = "incident") -> Outcome:
    rows = [{"record_id": f"r{place}", "subject_ref": reference(0)} | row for place, row in enumerate(records)]
    source = f"{model.department}/{dataset}"
    inputs = build_inputs(model, {}, AS_OF) | {
        f"{model.department}/profile": build_records(
            f"{model.department}/profile", [{"status": "active", "subject_ref": reference(0)}]
        ),
        source: build_records(source, rows),
    }
    return read_outcomes(run(model, inputs, folder))[reference(0)]


def _incident(day: str, **more: Any) -> dict[str, Any]:
    return {"responsibility_on": on(day), "occurred_on": on(day), "level": "general", "is_responsible": True} | more


@pytest.mark.semantics("3.32", "3.33")
@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ({"kind": "count"}, "3"),
        ({"kind": "exists"}, "1"),
        ({"kind": "sum", "column": "deaths"}, "7"),
        ({"kind": "max", "column": "deaths"}, "5"),
        ({"kind": "sum", "column": "loss_yuan"}, "1000.55"),
        ({"kind": "days_since"}, "30"),
        # 2 of 3 is 0.6666666…, half up to six decimals.
        ({"kind": "ratio", "where": "deaths > 0"}, "0.666667"),
        ({"kind": "ratio", "where": "deaths > 4"}, "0.333333"),
    ],
)
def test_value_of_the_counting_records_is_measured(tmp_path: Path, measure: dict[str, Any], value: str) -> None:
    model = _model(mine=_indicator({"dataset": "incident"}, measure, [("0", 0), (value, 40)]))
    found = _score(
        tmp_path,
        model,
        _incident("2026-05-31", deaths=2, loss_yuan=Decimal("1000.50")),
        _incident("2026-05-01", deaths=5, loss_yuan=Decimal("0.05")),
        _incident("2025-01-01", deaths=0),
        _incident("2026-05-02", deaths=9, repaired_on=on("2026-06-01")),
    )
    rows = [row for row in found.findings.evidence if row.entry == "_measure"]
    assert [(row.value, row.points) for row in rows] == [(Decimal(value), Decimal(-40))]
    assert found.score == 960


def _unused() -> dict[str, Any]:
    return {
        "title": "无",
        "title_en": "none",
        "basis": ["本模型设定 (H05)"],
        "status": "assumption",
        "needs": "无 nothing",
        "deduct": {"per": 10},
    }


@pytest.mark.semantics("3.33")
@pytest.mark.parametrize(("deaths", "score"), [(0, 1000), (1, 980), (2, 980), (3, 900), (9, 850)])
def test_bin_the_value_lies_in_decides_the_points_lower_bound_included_and_capped(
    tmp_path: Path, deaths: int, score: int
) -> None:
    measure = {"kind": "sum", "column": "deaths"}
    model = _model(mine=_indicator({"dataset": "incident"}, measure, [("1", 20), ("3", 100), ("9", 200)]))
    assert _score(tmp_path, model, _incident("2026-05-31", deaths=deaths)).score == score


@pytest.mark.semantics("3.33")
def test_measured_records_neither_fade_nor_repeat_and_are_all_in_evidence(tmp_path: Path) -> None:
    model = _model(mine=_indicator({"dataset": "incident"}, {"kind": "count"}, [("2", 50)]))
    found = _score(tmp_path, model, _incident("2022-01-01"), _incident("2022-02-01"))
    assert found.score == 950
    assert found.records("mine") == ["r0", "r1"]
    assert [(reason.indicator, reason.records, reason.points) for reason in found.grade.reasons] == [
        ("mine", 2, Decimal(-50))
    ]


def test_subject_without_a_counting_record_is_not_measured(tmp_path: Path) -> None:
    model = _model(mine=_indicator({"dataset": "incident"}, {"kind": "count"}, [("0", 50)]))
    assert _score(tmp_path, model).score == 1000


# reference statistics

RATE = {
    "title": "投诉查实率",
    "title_en": "share of complaints found true",
    "status": "assumption",
    "counts": {"dataset": "complaint", "where": "outcome IS NOT NULL"},
    "measure": {"kind": "ratio", "where": "outcome IN ('substantiated', 'partly')"},
    "day": "filed_on",
    "within": "P365D",
    "percentile": 90,
    "minimum_group": 3,
}
ABOVE = _unused() | {"needs": None, "above": "rate", "deduct": {"per": 40}}


def _complaints(number: int, true: int, false: int, day: str = "2026-05-01") -> list[dict[str, Any]]:
    outcomes = ["substantiated"] * true + ["unfounded"] * false
    return [
        {
            "subject_ref": reference(number),
            "record_id": f"{number:03d}-{place:03d}",
            "outcome": outcome,
            "filed_on": on(day),
            "substantiated_on": on(day) if outcome == "substantiated" else None,
        }
        for place, outcome in enumerate(outcomes)
    ]


def _province(complaints: list[dict[str, Any]], industry: str = "H62") -> dict[str, Any]:
    profiles = [
        {"status": "active", "subject_ref": reference(number), "industry_code": industry, "record_id": f"p{number}"}
        for number in range(12)
    ]
    return {
        "market_regulation/profile": build_records("market_regulation/profile", profiles),
        "market_regulation/complaint": build_records("market_regulation/complaint", complaints),
    }


def _statistics(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:
    table = compute_statistics(resolve(model, AS_OF, MODELS.tables), inputs, AS_OF)
    assert table.schema == STATISTICS
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


COMPARING = _model(statistics={"rate": RATE}, mine=ABOVE)


@pytest.mark.semantics("3.29")
def test_percentile_is_the_nearest_rank_per_industry_division(tmp_path: Path) -> None:
    complaints = [row for number in range(10) for row in _complaints(number, number, 10 - number)]
    # 0.0, 0.1 … 0.9: rank ⌈0.9 × 10⌉ = 9 is 0.8.
    assert _statistics(COMPARING, _province(complaints)) == [
        {"statistic": "rate", "group": "62", "subjects": 10, "value": Decimal("0.800000")}
    ]


@pytest.mark.semantics("3.29")
def test_group_smaller_than_its_minimum_has_no_statistic() -> None:
    complaints = [*_complaints(0, 1, 1), *_complaints(1, 1, 1)]
    assert _statistics(COMPARING, _province(complaints)) == [
        {"statistic": "rate", "group": "62", "subjects": 2, "value": None}
    ]


@pytest.mark.parametrize(("industry", "group"), [("62", "62"), ("6210", "62"), ("H6210", "62"), (None, "")])
def test_industry_division_is_two_digits_however_the_class_is_written(industry: str, group: str) -> None:
    complaints = [row for number in range(3) for row in _complaints(number, 1, 1)]
    assert [row["group"] for row in _statistics(COMPARING, _province(complaints, industry))] == [group]


def test_records_outside_the_window_repaired_or_revoked_are_in_no_statistic() -> None:
    complaints = [
        *_complaints(0, 1, 0, "2025-06-29"),
        *(row | {"repaired_on": AS_OF} for row in _complaints(1, 1, 0)),
        *(row | {"revoked_on": AS_OF} for row in _complaints(2, 1, 0)),
        *_complaints(3, 1, 0, "2025-06-30"),
    ]
    assert [row["subjects"] for row in _statistics(COMPARING, _province(complaints))] == [1]


def _compare(folder: Path, complaints: list[dict[str, Any]], *, shards: int = 1) -> dict[str, Outcome]:
    inputs = _province(complaints)
    inputs[REFERENCE_STATISTICS] = pa.Table.from_pylist(_statistics(COMPARING, inputs), schema=STATISTICS)
    return read_outcomes(evaluate(resolve(COMPARING, AS_OF, MODELS.tables), inputs, AS_OF, folder, shards=shards))


@pytest.mark.semantics("3.29")
def test_indicator_holds_once_only_where_the_own_value_is_above_the_group_s(tmp_path: Path) -> None:
    found = _compare(tmp_path, [row for number in range(10) for row in _complaints(number, number, 10 - number)])
    assert {ref: outcome.score for ref, outcome in found.items() if outcome.score != 1000} == {reference(9): 960}
    rows = [row for row in found[reference(9)].findings.evidence if row.entry == "_measure"]
    assert [(row.indicator, row.value, row.points) for row in rows] == [("mine", Decimal("0.9"), Decimal(-40))]
    assert found[reference(9)].grade.not_collected == ()


def test_nothing_is_taken_for_being_above_when_the_subject_is_not_evaluated(tmp_path: Path) -> None:
    # The statistic counts from the day a complaint was filed; found true on no day, it is no evidence yet.
    complaints = [row for number in range(10) for row in _complaints(number, number, 10 - number)]
    inputs = _province([row | {"substantiated_on": None} for row in complaints])
    inputs[REFERENCE_STATISTICS] = pa.Table.from_pylist(_statistics(COMPARING, inputs), schema=STATISTICS)
    strict = COMPARING.model_copy(update={"minimum_records": 1})
    found = read_outcomes(run(strict, inputs, tmp_path))[reference(9)]
    assert (found.grade.grade, found.score, found.grade.reasons, found.findings.evidence) == ("N", None, (), ())


@pytest.mark.semantics("3.30")
def test_shards_agree_with_the_whole_when_a_model_compares_with_statistics(tmp_path: Path) -> None:
    complaints = [row for number in range(10) for row in _complaints(number, number, 10 - number)]
    assert _compare(tmp_path, complaints, shards=2)[reference(9)].score == 960


@pytest.mark.semantics("2.25")
def test_indicator_is_not_collected_when_there_are_no_reference_statistics(tmp_path: Path) -> None:
    found = read_outcomes(run(COMPARING, _province(_complaints(0, 5, 0)), tmp_path))[reference(0)]
    assert (found.score, found.grade.not_collected) == (Decimal(1000), ("mine",))
