"""Warnings that need no history (facts §4). as_of is 2026-06-30."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exchange_formats.digests import derive_uuid
from exchange_formats.results import REFERENCE_STATISTICS, STATISTICS
from tests.scoring_cases import (
    ENVIRONMENT,
    MARKET,
    SAFETY,
    Cases,
    Outcome,
    incident,
    join_inputs,
    on,
    penalty,
    read_outcomes,
    reference,
    run,
    score_all,
)

CASES = Cases()
case = CASES.case


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


def _check(inspected_on: str, result: str = "rectify", **more: Any) -> dict[str, Any]:
    return {"inspected_on": on(inspected_on), "result": result, "method": "special", **more}


@case(model=MARKET, listing=[{"list_kind": "severe_dishonesty", "listed_on": on("2020-01-01")}])
def test_red_warning_stands_when_the_subject_is_on_the_severe_list(found: Outcome) -> None:
    assert [(w.rule, w.level, w.triggered_on) for w in found.findings.warnings] == [
        ("severe_list", "red", on("2020-01-01"))
    ]


@case(
    model=MARKET,
    listing=[{"list_kind": "severe_dishonesty", "listed_on": on("2020-01-01"), "removed_on": on("2026-06-30")}],
)
def test_severe_list_warning_is_gone_when_the_subject_left_it(found: Outcome) -> None:
    assert found.rules == []


@case(model=SAFETY, incident=[incident("2026-04-01", "2001", level="larger")])
def test_grave_incident_warns_for_90_days_when_as_of_is_the_last(found: Outcome) -> None:
    assert found.rules == ["grave_incident"]


@case(model=SAFETY, incident=[incident("2026-03-31", "2001", level="larger"), incident("2026-05-01", "2002")])
def test_grave_incident_does_not_warn_when_it_is_91_days_old_or_general(found: Outcome) -> None:
    assert found.rules == []


@case(penalty=[penalty("1207", day) for day in ("2026-04-15", "2026-05-15", "2026-06-15")])
def test_frequent_penalties_warn_when_three_fall_within_90_days(found: Outcome) -> None:
    warning = found.findings.warnings[0]
    assert (warning.rule, warning.level, warning.triggered_on, warning.records) == (
        "frequent_penalties", "orange", on("2026-06-15"), 3,
    )  # fmt: skip


@case(penalty=[penalty("1207", day) for day in ("2026-03-16", "2026-05-15", "2026-06-15")])
def test_frequent_penalties_do_not_warn_when_three_take_91_days(found: Outcome) -> None:
    assert found.rules == []


@case(penalty=[penalty("1207", day, procedure="simple") for day in ("2026-04-15", "2026-05-15", "2026-06-15")])
def test_frequent_penalties_do_not_warn_when_they_do_not_count(found: Outcome) -> None:
    assert found.rules == []


@case(penalty=[penalty("1207", "2026-02-01", day) for day in ("2026-05-01", "2026-05-02", "2026-06-30")])
def test_penalty_triggers_on_the_day_it_became_final_when_it_was_decided_earlier(found: Outcome) -> None:
    assert found.findings.warnings[0].triggered_on == on("2026-06-30")


@case(penalty=[penalty("1207", day) for day in ("2025-12-01", "2025-12-02", "2025-12-03", "2026-02-20", "2026-02-21")])
def test_frequent_penalties_are_over_when_90_days_brought_no_new_trigger(found: Outcome) -> None:
    assert found.rules == []


@case(
    penalty=[
        penalty("1207", day)
        for day in ("2026-01-01", "2026-01-02", "2026-01-03", "2026-02-20", "2026-05-10", "2026-05-11")
    ]
)
def test_first_trigger_stays_where_the_run_of_triggers_began_when_more_follow(found: Outcome) -> None:
    # 02-20 triggers, 05-11 triggers again within 90 days of it: one warning since 01-03.
    warning = found.findings.warnings[0]
    assert (warning.triggered_on, warning.records) == (on("2026-01-03"), 2)


@case(penalty=[penalty(None, "2026-05-01", kind="licence_revocation")])
def test_revocation_of_a_licence_warns_when_it_counts(found: Outcome) -> None:
    assert found.rules == ["stopped_or_revoked"]


@case(inspection=[_check("2026-01-10", rectify_by=on("2026-06-29"))])
def test_missed_deadline_warns_when_it_passed_before_as_of(found: Outcome) -> None:
    assert [(w.rule, w.triggered_on) for w in found.findings.warnings] == [("rectification_overdue", on("2026-06-29"))]


@case(inspection=[_check("2026-01-10", rectify_by=on("2026-06-30"))])
def test_deadline_does_not_warn_when_it_is_as_of(found: Outcome) -> None:
    assert found.rules == []


@case(inspection=[_check("2026-01-10", rectify_by=on("2026-02-10"), rectified_on=on("2026-06-30"))])
def test_deadline_does_not_warn_when_it_was_met_late(found: Outcome) -> None:
    assert found.rules == []


@case(inspection=[_check("2026-01-01"), _check("2026-06-30")])
def test_failed_checks_warn_when_two_fall_within_180_days(found: Outcome) -> None:
    assert found.rules == ["failed_checks"]


@case(inspection=[_check("2025-12-31"), _check("2026-06-30"), _check("2026-06-29", "clean")])
def test_failed_checks_do_not_warn_when_two_take_181_days(found: Outcome) -> None:
    assert found.rules == []


def test_blue_warning_stands_when_the_score_is_within_ten_points_of_the_lower_grade() -> None:
    publics = {834: True, 866: True, 867: False, 667: True, 700: True, 701: False, 300: False}
    outcomes = score_all(ENVIRONMENT, [{"public_credit": public} for public in publics])
    assert [o.rules == ["near_lower_band"] for o in outcomes] == list(publics.values())
    assert outcomes[0].findings.warnings[0].first_trigger == "band:A"


@case(public_credit=670, penalty=[penalty("1203", "2026-05-01")])
def test_blue_warning_is_not_given_when_an_override_decides_the_grade(found: Outcome) -> None:
    assert "near_lower_band" not in found.rules


@case(inspection=[_check("2026-01-10", rectify_by=on("2026-06-01"))])
def test_id_is_derived_from_domain_subject_rule_and_first_trigger(found: Outcome) -> None:
    warning = found.findings.warnings[0]
    parts = (ENVIRONMENT.id, found.grade.subject_ref, "rectification_overdue", warning.first_trigger)
    assert warning.id == str(derive_uuid(*parts))
    assert found.grade.subject_ref.startswith(reference(0)[:8])


def _licence(valid_until: str, **more: Any) -> dict[str, Any]:
    plain = {"document_no": "许1号", "decided_on": on("2023-07-01"), "state": "valid", "licence_name": "排污许可证"}
    return plain | {"valid_until": on(valid_until)} | more


@case(licence=[_licence("2026-07-30")])
def test_licence_warns_when_it_ends_in_30_days(found: Outcome) -> None:
    assert [(w.rule, w.level, w.triggered_on) for w in found.findings.warnings] == [
        ("licence_ending", "blue", on("2026-06-30"))
    ]


@case(licence=[_licence("2026-07-31"), _licence("2026-06-29", document_no="许2号", licence_name="危废许可证")])
def test_licence_does_not_warn_when_it_ends_in_31_days_or_has_ended(found: Outcome) -> None:
    assert found.rules == []


@case(licence=[_licence("2026-07-10"), _licence("2029-07-10", document_no="许2号")])
def test_licence_does_not_warn_when_a_later_one_follows_it(found: Outcome) -> None:
    assert found.rules == []


@case(licence=[_licence("2026-07-10"), _licence("2029-07-10", document_no="许2号", licence_name="危废许可证")])
def test_licence_warns_when_only_another_one_goes_on(found: Outcome) -> None:
    assert found.rules == ["licence_ending"]


@pytest.mark.parametrize(
    ("percentile", "rules"), [("2.000000", ["complaints_above_trade"]), ("3.000000", []), (None, [])]
)
def test_complaints_warn_when_they_are_above_the_trades_percentile(
    tmp_path: Path, percentile: str | None, rules: list[str]
) -> None:
    complaints = [{"filed_on": on(day), "outcome": "pending"} for day in ("2026-05-31", "2026-06-15", "2026-06-30")]
    early = {"filed_on": on("2026-05-30"), "outcome": "pending"}
    subject = {"complaint": [*complaints, early], "profile": {"industry_code": "C2614"}}
    inputs: dict[str, Any] = join_inputs(ENVIRONMENT, [subject])
    value = None if percentile is None else Decimal(percentile)
    row = {"statistic": "warnings.complaint_rate", "group": "26", "subjects": 40, "value": value}
    inputs[REFERENCE_STATISTICS] = pa.Table.from_pylist([row], schema=STATISTICS)
    (outcome,) = read_outcomes(run(ENVIRONMENT, inputs, tmp_path)).values()
    assert outcome.rules == rules
    assert [w.records for w in outcome.findings.warnings] == [3] * len(rules)


def test_complaints_do_not_warn_when_the_cycle_has_no_statistics(tmp_path: Path) -> None:
    subject = {"complaint": [{"filed_on": on("2026-06-15"), "outcome": "pending"}]}
    (outcome,) = read_outcomes(run(ENVIRONMENT, join_inputs(ENVIRONMENT, [subject]), tmp_path)).values()
    assert outcome.rules == []
