"""Sanity as properties: sums, order, monotony, range. Each draw is a seed that scores many subjects in one run."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring_cases import AS_OF, ENVIRONMENT, score_all

_FEW = settings(max_examples=3, deadline=None)
_SUBJECTS = 150
_KINDS = ("penalty", "complaint", "incident", "inspection", "honour")


def _subjects(seed: int) -> list[dict[str, Any]]:
    random = Random(seed)
    return [_subject(random) for _ in range(_SUBJECTS)]


def _day(random: Random) -> date:
    return AS_OF - timedelta(days=random.choice((random.randint(-5, 400), random.randint(0, 2000))))


def _maybe(random: Random, chance: float) -> date | None:
    return _day(random) if random.random() < chance else None


def _penalty(random: Random) -> dict[str, Any]:
    kinds = ["fine", "fine", "warning", "licence_revocation", "confiscation", "detention"]
    return {
        "kind": random.choice(kinds),
        "fine_yuan": random.choice([None, Decimal(random.randint(0, 200_000_000)).scaleb(-2)]),
        "violation_code": random.choice(["1201", "1201", "1202", "1203", "1205", "1207", None]),
        "procedure": random.choice(["general", "general", "general", "simple", None]),
        "decided_on": _day(random),
        "final_on": _maybe(random, 0.7),
        "review_opened_on": _maybe(random, 0.2),
        "review_closed_on": _maybe(random, 0.5),
        "repaired_on": _maybe(random, 0.15),
        "objection_from": _maybe(random, 0.2),
    }


def _inspection(random: Random) -> dict[str, Any]:
    clean = random.random() < 0.5
    code = None if clean else random.choice([None, "1207", "1208"])
    return {
        "inspected_on": _day(random),
        "result": "clean" if clean else "rectify",
        "method": "special",
        "violation_code": code,
    }


def _complaint(random: Random) -> dict[str, Any]:
    return {"violation_code": "1210", "substantiated_on": _maybe(random, 0.9), "filed_on": date(2020, 1, 1)}


def _incident(random: Random) -> dict[str, Any]:
    return {"level": "general", "violation_code": "1209", "responsibility_on": _day(random), "occurred_on": AS_OF}


def _subject(random: Random) -> dict[str, Any]:
    return {
        "public_credit": random.choice([None, Decimal(random.randint(0, 100_000)).scaleb(-2)]),
        "penalty": [_penalty(random) for _ in range(random.choice([0, 0, 1, 2, 6]))],
        "complaint": [_complaint(random) for _ in range(random.choice([0, 0, 1, 9]))],
        "incident": [_incident(random) for _ in range(random.choice([0, 0, 0, 1, 3]))],
        "inspection": [_inspection(random) for _ in range(random.choice([0, 0, 1, 4]))],
        "honour": [{"kind": "green_factory", "awarded_on": _day(random)} for _ in range(random.choice([0, 0, 2]))],
    }


@_FEW
@given(st.integers(0, 10**9))
def test_evidence_adds_up_and_score_is_in_range_whatever_the_records(seed: int) -> None:
    outcomes = score_all(ENVIRONMENT, _subjects(seed))
    for found in outcomes:
        assert sum((row.points for row in found.findings.evidence), Decimal(0)) == (found.score or 0)
        assert found.score is None or 0 <= found.score <= 1000
        assert (found.score is None) == (found.grade.computed_grade == "N")
    assert {"A", "B", "E"} <= {found.grade.grade for found in outcomes}


@_FEW
@given(st.integers(0, 10**9), st.sampled_from(["penalty", "complaint", "incident"]), st.integers(0, 1800))
def test_score_never_rises_when_an_adverse_record_is_added(seed: int, kind: str, age: int) -> None:
    subjects = _subjects(seed)
    day = AS_OF - timedelta(days=age)
    record: dict[str, Any] = {
        "penalty": {"kind": "fine", "fine_yuan": 60_000, "violation_code": "1201", "decided_on": day, "final_on": day},
        "complaint": {"violation_code": "1210", "substantiated_on": day, "filed_on": day},
        "incident": {"level": "larger", "violation_code": "1209", "responsibility_on": day, "occurred_on": day},
    }[kind]
    more = [subject | {kind: [*subject[kind], record]} for subject in subjects]
    for old, new in zip(score_all(ENVIRONMENT, subjects), score_all(ENVIRONMENT, more), strict=True):
        assert new.score is not None
        assert old.score is None or new.score <= old.score


@_FEW
@given(st.integers(0, 10**9))
def test_score_never_falls_when_every_penalty_is_repaired(seed: int) -> None:
    subjects = _subjects(seed)
    repaired = [s | {"penalty": [p | {"repaired_on": AS_OF} for p in s["penalty"]]} for s in subjects]
    for old, new in zip(score_all(ENVIRONMENT, subjects), score_all(ENVIRONMENT, repaired), strict=True):
        assert old.score is None or (new.score is not None and new.score >= old.score)


@_FEW
@given(st.integers(0, 10**9))
def test_result_is_the_same_when_records_come_in_another_order(seed: int) -> None:
    named = [
        s | {kind: [record | {"record_id": f"{kind}-{i}"} for i, record in enumerate(s[kind])] for kind in _KINDS}
        for s in _subjects(seed)
    ]
    turned = [s | {kind: list(reversed(s[kind])) for kind in _KINDS} for s in named]
    for one, two in zip(score_all(ENVIRONMENT, named), score_all(ENVIRONMENT, turned), strict=True):
        assert one.findings == two.findings
