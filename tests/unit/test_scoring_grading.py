"""Semantics §3: factors, caps, clamps, rounding, public credit, N, overrides, measures. as_of is 2026-06-30."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.scoring_cases import (
    ENVIRONMENT,
    MARKET,
    SAFETY,
    SPORTS,
    Cases,
    Outcome,
    complaint,
    incident,
    on,
    penalty,
    score_all,
    vary,
)

CASES = Cases()
case = CASES.case
NOTHING = Decimal("846.00")


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


def _severe(listed_on: str, removed_on: str | None = None, **more: object) -> dict[str, object]:
    removed = on(removed_on) if removed_on else None
    return {"list_kind": "severe_dishonesty", "listed_on": on(listed_on), "removed_on": removed, **more}


# repeat and decay


@pytest.mark.semantics("1.9", "3.3")
@case(incident=[incident("2024-04-30"), incident("2026-04-30")])
def test_repeat_weighs_more_when_the_previous_record_lies_exactly_24_months_before(found: Outcome) -> None:
    # 150 x 0.6 + 150 x 1.5, times 0.6
    assert found.points("IND1209") == Decimal(-189)


@pytest.mark.semantics("3.3")
@case(incident=[incident("2024-04-29"), incident("2026-04-30")])
def test_repeat_does_not_weigh_more_when_the_previous_record_lies_further_back(found: Outcome) -> None:
    assert found.points("IND1209") == Decimal(-144)


@pytest.mark.semantics("1.8", "3.3")
@case(incident=[incident("2024-02-29"), incident("2026-02-28")])
def test_period_clamps_to_the_end_of_the_month_when_the_day_does_not_exist(found: Outcome) -> None:
    assert found.points("IND1209") == Decimal(-189)


@pytest.mark.semantics("3.3")
@case(incident=[incident("2026-04-01", repaired_on=on("2026-05-01")), incident("2026-04-30")])
def test_repeat_looks_at_the_previous_counting_record_when_one_between_does_not_count(found: Outcome) -> None:
    assert found.points("IND1209") == Decimal(-90)


@pytest.mark.semantics("3.3")
@case(incident=[incident("2026-04-30")], complaint=[complaint("2026-05-30")])
def test_repeat_is_about_one_indicator_when_records_of_another_precede(found: Outcome) -> None:
    assert (found.points("IND1209"), found.points("IND1210")) == (Decimal(-90), Decimal(-6))


@pytest.mark.semantics("3.1")
@case(incident=[incident("2026-04-30", record_id="b"), incident("2026-04-30", record_id="a")])
def test_records_of_one_day_are_ordered_by_id_when_one_of_them_repeats(found: Outcome) -> None:
    rows = sorted((str(r.record_id), r.repeat_factor) for r in found.findings.evidence if r.indicator == "IND1209")
    assert [factor for _, factor in rows] == [Decimal(1), Decimal("1.5")]


@pytest.mark.semantics("1.9", "3.4")
@pytest.mark.parametrize(
    ("day", "points"),
    [("2025-06-30", -90), ("2025-06-29", -54), ("2023-06-30", -54), ("2023-06-29", -27), ("2021-06-30", -27)],
)
def test_weight_falls_with_age_when_a_step_is_passed(day: str, points: int) -> None:
    assert _aged()[day] == Decimal(points)


def _aged() -> dict[str, Decimal]:
    if not _AGED:
        days = ("2025-06-30", "2025-06-29", "2023-06-30", "2023-06-29", "2021-06-30")
        outcomes = score_all(ENVIRONMENT, [{"incident": [incident(day)]} for day in days])
        _AGED.update({day: o.points("IND1209") for day, o in zip(days, outcomes, strict=True)})
    return _AGED


_AGED: dict[str, Decimal] = {}


# caps, clamps, rounding


@pytest.mark.semantics("3.5", "3.7", "3.12")
@case(complaint=[complaint(f"2026-0{month}-01") for month in range(1, 7)])
def test_cap_is_in_raw_points_when_the_scale_follows(found: Outcome) -> None:
    # 10 + 5 x 15 = 85 raw, capped at 60, times 0.6
    assert (found.points("IND1210"), found.points("IND1210", "_cap")) == (Decimal(-51), Decimal(15))
    assert found.score == NOTHING - 36


@pytest.mark.semantics("3.8", "3.12")
@case(penalty=[penalty("1205", f"2026-0{month}-01") for month in range(1, 6)])
def test_dimension_stops_at_zero_when_more_is_deducted(found: Outcome) -> None:
    # 250 + 4 x 375 = 1750 raw, 1050 scaled, from a base of 600
    assert (found.entries("_clamp"), found.score) == (Decimal(450), Decimal("246.00"))


@pytest.mark.semantics("3.9", "3.12")
@case(public_credit=Decimal("820.35"))
def test_score_is_rounded_half_up_when_a_thousandth_is_five(found: Outcome) -> None:
    assert (found.score, found.entries("_rounding")) == (Decimal("846.11"), Decimal("0.005"))


@pytest.mark.semantics("3.9", "3.12")
@case(public_credit=Decimal("820.17"))
def test_score_is_rounded_down_when_a_thousandth_is_one(found: Outcome) -> None:
    assert (found.score, found.entries("_rounding")) == (Decimal("846.05"), Decimal("-0.001"))


@pytest.mark.semantics("3.5")
@case(model=MARKET, honour=[{"kind": "quality_award", "awarded_on": on(day)} for day in ("2025-01-01", "2025-02-01")])
def test_honours_stop_at_their_cap_when_there_are_several(found: Outcome) -> None:
    assert found.score == NOTHING + 30


# public credit


@pytest.mark.semantics("3.16", "3.17")
@case(public_credit=None)
def test_neutral_value_stands_in_when_there_is_no_public_result(found: Outcome) -> None:
    assert found.grade.flags == ("PUBLIC_CREDIT_MISSING",)
    assert (found.grade.public_credit_origin, found.grade.public_credit_score) == ("neutral", Decimal(800))


@pytest.mark.semantics("1.9", "3.14")
@case(public_credit=None, provincial_platform__public_credit=[{"score": 900, "evaluated_on": on("2026-05-30")}])
def test_public_result_counts_when_it_is_exactly_a_month_old(found: Outcome) -> None:
    assert (found.score, found.grade.public_credit_evaluated_on) == (Decimal("870.00"), on("2026-05-30"))


@pytest.mark.semantics("3.14", "3.16")
@case(public_credit=None, complaint=[complaint("2026-05-01")],
      provincial_platform__public_credit=[{"score": 900, "evaluated_on": on("2026-05-29")}])  # fmt: skip
def test_public_result_is_missing_when_it_is_older_than_its_cycle(found: Outcome) -> None:
    assert (found.score, found.grade.flags) == (Decimal("834.00"), ("PUBLIC_CREDIT_MISSING",))


@pytest.mark.semantics("3.14", "3.17")
@case(public_credit=None, provincial_platform__public_credit=[
    {"score": 700, "evaluated_on": on("2026-06-01")}, {"score": 820, "evaluated_on": on("2026-06-20")},
    {"score": 400, "evaluated_on": on("2026-07-01")},
])  # fmt: skip
def test_latest_public_result_counts_when_there_are_several(found: Outcome) -> None:
    assert (found.score, found.grade.public_credit_origin) == (NOTHING, "platform")


# N


@pytest.mark.semantics("3.19", "3.20")
@case(public_credit=None, profile={"registered_on": on("2020-01-01")})
def test_subject_is_not_evaluated_when_only_its_profile_is_known(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.computed_grade, found.score) == ("N", "N", None)


@pytest.mark.semantics("3.20")
@case(public_credit=None, licence=[{"decided_on": on("2026-01-01"), "valid_until": on("2026-07-15")}])
def test_subject_is_not_evaluated_when_only_what_warnings_read_is_known(found: Outcome) -> None:
    assert (found.grade.grade, found.score) == ("N", None)


@pytest.mark.semantics("3.19")
@case(public_credit=None, complaint=[complaint("2021-06-29")])
def test_subject_is_not_evaluated_when_its_record_lies_outside_lookback(found: Outcome) -> None:
    assert (found.grade.grade, found.entries("record")) == ("N", Decimal(0))


@pytest.mark.semantics("1.11", "3.19")
@case(public_credit=None, complaint=[complaint("2026-05-01", revoked_on=on("2026-06-01"))])
def test_subject_is_not_evaluated_when_its_only_record_was_revoked(found: Outcome) -> None:
    assert found.grade.grade == "N"


@pytest.mark.semantics("3.19")
@case(public_credit=None, penalty=[penalty("1201", "2026-05-01", procedure="simple")])
def test_subject_is_evaluated_when_it_has_a_record_that_does_not_count(found: Outcome) -> None:
    assert (found.grade.grade, found.score) == ("B", Decimal("840.00"))


# overrides


@pytest.mark.semantics("3.22")
@case(penalty=[penalty("1203", "2025-07-01"), penalty("1203", "2026-05-01", repaired_on=on("2026-06-01"))])
def test_veto_does_not_decay_when_it_is_old_but_counts(found: Outcome) -> None:
    assert (found.grade.grade, found.score, found.grade.override_reasons) == ("E", NOTHING, ("IND1203",))


@pytest.mark.semantics("3.22")
@case(penalty=[penalty("1203", "2026-05-01", repaired_on=on("2026-06-01"))])
def test_veto_ends_when_its_record_no_longer_counts(found: Outcome) -> None:
    assert (found.grade.grade, found.score, found.grade.override_reasons) == ("B", NOTHING, ())


@pytest.mark.semantics("3.23")
@case(model=SAFETY, incident=[incident("2026-01-01", "2003")], penalty=[penalty("2003", "2026-05-01")])
def test_points_of_a_veto_never_enter_the_score_when_other_would_claim_its_record(found: Outcome) -> None:
    assert (found.grade.grade, found.score, found.points("other")) == ("E", NOTHING, Decimal(0))


@pytest.mark.semantics("3.24", "3.26")
@case(model=MARKET, public_credit=None, listing=[_severe("2019-01-01")])
def test_severe_list_gives_e_when_the_subject_would_not_be_evaluated(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.computed_grade, found.score) == ("E", "N", None)


@pytest.mark.semantics("1.10")
@case(model=MARKET, listing=[_severe("2019-01-01", "2026-07-01")])
def test_severe_list_gives_e_when_it_is_left_after_as_of(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons) == ("E", ("IND2101",))


@pytest.mark.semantics("3.24", "3.27")
@case(model=MARKET, listing=[_severe("2024-01-01", "2026-04-01")])
def test_grade_is_at_most_d_when_the_list_was_left_90_days_ago(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons) == ("D", ("IND2101.afterwards",))


@pytest.mark.semantics("3.27")
@case(model=MARKET, listing=[_severe("2024-01-01", "2026-03-31")])
def test_grade_is_computed_when_the_list_was_left_91_days_ago(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons) == ("B", ())


@pytest.mark.semantics("3.24")
@case(model=MARKET, public_credit=0, listing=[_severe("2024-01-01", "2026-06-01")])
def test_computed_e_stands_when_at_most_d_applies_too(found: Outcome) -> None:
    assert (found.grade.grade, found.score) == ("E", Decimal("600.00"))


@pytest.mark.semantics("3.24")
@case(model=MARKET, public_credit=None, listing=[_severe("2019-01-01", "2026-06-01")])
def test_grade_is_d_when_at_most_d_meets_n(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.computed_grade) == ("D", "N")


@pytest.mark.semantics("3.24", "3.25")
@case(model=MARKET, listing=[_severe("2024-01-01", "2026-06-01"), _severe("2026-06-10")])
def test_every_reason_is_kept_when_e_hides_at_most_d(found: Outcome) -> None:
    assert found.grade.grade == "E"
    assert found.grade.override_reasons == ("IND2101", "IND2101.afterwards")


@case(model=MARKET, listing=[_severe("2024-01-01", repaired_on=on("2026-06-01"))])
def test_severe_list_does_not_apply_when_the_entry_is_repaired(found: Outcome) -> None:
    assert (found.grade.grade, found.excluded) == ("B", ["repaired"])


@pytest.mark.semantics("3.27")
@case(model=MARKET, listing=[_severe("2024-01-01", "2026-06-01", repaired_on=on("2026-06-01"))])
def test_grade_is_at_most_d_when_the_list_was_left_by_repair(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons) == ("D", ("IND2101.afterwards",))
    assert found.excluded == ["removed"]


@pytest.mark.semantics("3.26")
@case(market_regulation__listing=[_severe("2024-01-01")])
def test_severe_list_decides_another_department_s_grade_when_the_subject_is_on_it(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons) == ("E", ("severe_list",))


# measures


@case(model=MARKET, listing=[_severe("2024-01-01")])
def test_measure_limiting_rights_follows_when_the_subject_is_on_the_severe_list(found: Outcome) -> None:
    assert found.grade.measures == ("M12", "M13", "M15")


@case(penalty=[penalty("1203", "2026-05-01")])
def test_measure_limiting_rights_is_left_out_when_the_subject_is_not_on_the_severe_list(found: Outcome) -> None:
    assert found.grade.measures == ("M12", "M15")


@case()
def test_regular_sampling_follows_when_the_grade_is_b(found: Outcome) -> None:
    assert found.grade.measures == ("M05",)


# subjects


@pytest.mark.semantics("3.38")
@case(ref="92330200MA2A00001X", profile={"subject_name": "王小二面馆"})
def test_name_is_masked_when_the_subject_is_an_individual_business(found: Outcome) -> None:
    assert (found.grade.individual_business, found.grade.subject_name, found.grade.city_code) == (True, "王*", "330200")


@case(profile={"city_code": "331100"})
def test_city_is_the_profile_s_when_the_code_says_another(found: Outcome) -> None:
    assert found.grade.city_code == "331100"


@case(ref="91330000MA2A00002X")
def test_city_is_the_province_when_the_code_names_no_city(found: Outcome) -> None:
    assert found.grade.city_code == "330000"


@case(ref="91110000MA2A00003X")
def test_city_is_the_province_when_the_code_is_of_another_province(found: Outcome) -> None:
    assert found.grade.city_code == "330000"


@pytest.mark.semantics("3.37")
@case(model=MARKET, ref="51330300MJ0000001X")
def test_subject_type_comes_from_the_code_when_the_model_takes_several(found: Outcome) -> None:
    assert (found.grade.subject_type, found.grade.city_code) == ("social_organization", "330300")


# evidence


@pytest.mark.semantics("3.12")
@case(
    public_credit=Decimal("777.77"),
    penalty=[penalty("1201", "2026-05-01"), penalty("1201", "2026-05-09"), penalty("1205", "2026-05-01", "2027-01-01")],
    complaint=[complaint(f"2025-{month:02}-11") for month in range(1, 13)],
    honour=[{"kind": kind, "awarded_on": on("2025-01-01")} for kind in ("green_factory", "clean_production")],
)
def test_evidence_adds_up_to_the_score_exactly_when_everything_happens_at_once(found: Outcome) -> None:
    assert sum(row.points for row in found.findings.evidence) == found.score
    assert {row.entry for row in found.findings.evidence} == {"public_credit", "_base", "record", "_cap", "_rounding"}


@case(penalty=[penalty("1205", "2026-05-01")], complaint=[complaint("2026-05-01"), complaint("2026-05-02")])
def test_reasons_are_ordered_by_their_weight_when_there_are_several(found: Outcome) -> None:
    reasons = [(r.indicator, r.records, r.points) for r in found.grade.reasons]
    assert reasons == [("IND1205", 1, Decimal(-150)), ("IND1210", 2, Decimal(-15))]


# what an override claims never enters the computed score


@pytest.mark.semantics("3.23")
@case(model=SPORTS, inspection=[
    {"result": "clean", "method": "double_random", "inspected_on": on("2026-05-01"), "violation_code": "2307"},
    {"result": "clean", "method": "double_random", "inspected_on": on("2026-05-02")},
])  # fmt: skip
def test_record_that_decides_earns_nothing_when_it_meets_what_earns_too(found: Outcome) -> None:
    assert (found.grade.grade, found.score) == ("E", NOTHING + 20)


@pytest.mark.semantics("2.21")
@case(penalty=[penalty("1203", "2026-05-01", objection_from=on("2026-06-01"))])
def test_grade_is_flagged_when_the_record_that_decides_it_is_under_objection(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.flags) == ("E", ("UNDER_OBJECTION",))


FRAUD = {"title": "造假", "title_en": "fraud", "basis": ["环境保护法 63"], "status": "assumption"}
LAYERED = vary(
    ENVIRONMENT,
    overrides={
        "any_fine": FRAUD | {"counts": {"dataset": "penalty", "where": "kind = 'fine'"}, "at_most": "C"},
        "pipes": FRAUD | {"counts": {"dataset": "penalty", "where": "violation_code in ('1203')"}, "grade": "E"},
        "false_report": FRAUD | {"counts": {"dataset": "penalty", "where": "violation_code = '1211'"}, "grade": "E"},
    },
)


@pytest.mark.semantics("3.23", "3.25")
@case(model=LAYERED, penalty=[penalty("1203", "2026-05-01")])
def test_every_override_applies_when_one_record_fulfils_several(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons, found.score) == ("E", ("any_fine", "pipes"), NOTHING)
    assert [(row.indicator, row.points) for row in found.findings.evidence if row.entry == "override"] == [
        ("any_fine", Decimal(0)),
        ("pipes", Decimal(0)),
    ]


@pytest.mark.semantics("3.23")
@case(model=LAYERED, penalty=[penalty("1201", "2026-05-01")])
def test_deduction_gets_no_record_that_an_override_claims(found: Outcome) -> None:
    assert (found.grade.grade, found.grade.override_reasons, found.score) == ("C", ("any_fine",), NOTHING)
