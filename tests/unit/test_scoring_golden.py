"""The golden cases of facts §2.3, through the real engine: public 820 → 246 + 600 = 846."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.scoring_cases import ENVIRONMENT, MARKET, SAFETY, Cases, Outcome, incident, on, penalty, score_all

CASES = Cases()
case = CASES.case


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


def fine(amount: int) -> dict[str, object]:
    return penalty(None, "2026-05-01", fine_yuan=amount)


@case()
def test_score_is_846_b_when_there_is_nothing(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("846.00"), "B")


@pytest.mark.semantics("3.8")
@case(inspection=[{"result": "clean", "method": "double_random", "inspected_on": on("2026-03-01")}])
def test_score_is_866_a_when_one_inspection_was_clean(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("866.00"), "A")


@case(penalty=[fine(6_000)])
def test_score_is_822_b_when_one_record_takes_40(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("822.00"), "B")


@case(penalty=[penalty("1201", "2026-05-01")])
def test_score_is_798_c_when_one_record_takes_80(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("798.00"), "C")


@pytest.mark.semantics("3.5")
@case(model=SAFETY, penalty=[penalty("2005", "2026-05-01"), penalty("2005", "2026-05-02")])
def test_cap_holds_when_the_repeat_exceeds_it(found: Outcome) -> None:
    assert (found.score, found.points("IND2005", "_cap")) == (Decimal("774.00"), Decimal(18))


@case(penalty=[fine(300_000)])
def test_score_is_756_c_when_one_record_takes_150(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("756.00"), "C")


@pytest.mark.semantics("3.4")
@case(incident=[incident("2025-04-30")])
def test_score_is_792_c_when_the_record_of_150_is_14_months_old(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("792.00"), "C")


@case(penalty=[penalty("1202", "2026-05-01")])
def test_score_is_726_d_when_one_record_takes_200(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("726.00"), "D")


@case(penalty=[penalty("1205", "2026-05-01")])
def test_score_is_696_e_when_one_record_takes_250(found: Outcome) -> None:
    assert (found.score, found.grade.grade) == (Decimal("696.00"), "E")


@case(penalty=[penalty(None, "2026-05-01", kind="licence_revocation", repaired_on=on("2026-06-30"))])
def test_score_is_846_b_when_the_record_of_400_is_repaired(found: Outcome) -> None:
    assert (found.score, found.grade.grade, found.excluded) == (Decimal("846.00"), "B", ["repaired"])


@pytest.mark.semantics("3.22", "3.25")
@case(penalty=[penalty("1203", "2026-05-01")])
def test_grade_is_e_when_a_veto_counts(found: Outcome) -> None:
    assert (found.grade.grade, found.score, found.grade.computed_grade) == ("E", Decimal("846.00"), "B")


@pytest.mark.semantics("3.5", "3.10")
def test_two_fresh_80s_are_capped_at_160_when_the_cap_says_so() -> None:
    days = ("2026-05-01", "2026-05-20")
    listed = [{"list_kind": "abnormal_operation", "violation_code": "2102", "listed_on": on(day)} for day in days]
    found = score_all(MARKET, [{"public_credit": 820, "listing": listed}])[0]
    assert (found.score, found.grade.grade) == (Decimal("750.00"), "C")
    assert (found.points("IND2102"), found.points("IND2102", "_cap")) == (Decimal(-120), Decimal(24))


@pytest.mark.semantics("3.10")
def test_grade_is_decided_on_centipoints_when_the_score_is_near_an_edge() -> None:
    """600 + 0.3 x public: 833 gives 849.90, which whole numbers would call an A."""
    edges = {1000: "A", 834: "A", 833: "B", 667: "B", 666: "C", 500: "C", 499: "D", 334: "D", 333: "E", 0: "E"}
    outcomes = score_all(ENVIRONMENT, [{"public_credit": public} for public in edges])
    assert [found.grade.grade for found in outcomes] == list(edges.values())
