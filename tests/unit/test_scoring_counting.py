"""Semantics §1 and §2: which record counts at as_of, and for which indicator. as_of is 2026-06-30."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from exchange_formats.errors import ConfigurationError
from scoring.resolution import resolve
from tests.scoring_cases import (
    ENVIRONMENT,
    MARKET,
    MODELS,
    Cases,
    Outcome,
    complaint,
    incident,
    join_inputs,
    on,
    penalty,
    read_outcomes,
    run,
    score_all,
    vary,
)

CASES = Cases()
case = CASES.case
NOTHING = Decimal("846.00")


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


# §1: a revocation is retroactive once known, a repair acts from its day


@pytest.mark.semantics("1.11")
@case(penalty=[penalty("1201", "2026-05-01", revoked_on=on("2026-07-15"))])
def test_record_never_happened_when_it_was_revoked_even_later(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, [])


@pytest.mark.semantics("1.12", "2.14")
@case(penalty=[penalty("1201", "2026-05-01", repaired_on=on("2026-06-30"))])
def test_record_stops_when_it_is_repaired_on_as_of(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["repaired"])


@pytest.mark.semantics("1.10", "1.12", "2.14")
@case(penalty=[penalty("1201", "2026-05-01", repaired_on=on("2026-07-01"))])
def test_record_counts_when_its_repair_comes_after_as_of(found: Outcome) -> None:
    assert found.records("IND1201") == [found.findings.evidence[2].record_id]


@pytest.mark.semantics("2.8")
@case(incident=[incident("2026-07-01")])
def test_record_does_not_count_when_its_event_lies_after_as_of(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, [])


@pytest.mark.semantics("1.13")
@case(complaint=[{"filed_on": on("2026-01-01"), "violation_code": "1210"}])
def test_complaint_does_not_count_when_it_was_not_found_true(found: Outcome) -> None:
    assert (found.score, found.records("IND1210")) == (NOTHING, [])


# §2: the latest version stands


def _version(amount: int, updated: datetime | None, sequence: int, row: int, batch: str) -> dict[str, object]:
    return penalty(None, "2026-05-01", fine_yuan=amount, record_id="one", source_updated_at=updated) | {
        "chain_sequence": sequence, "row": row, "batch_id": batch,
    }  # fmt: skip


JUNE, MAY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.semantics("2.4")
@case(penalty=[_version(6_000, JUNE, 1, 1, "a"), _version(300_000, MAY, 9, 9, "z")])
def test_version_with_the_latest_source_time_stands_when_versions_differ(found: Outcome) -> None:
    assert found.points("other") == Decimal(-24)


@pytest.mark.semantics("2.4")
@case(penalty=[_version(6_000, MAY, 1, 1, "a"), _version(300_000, None, 9, 9, "z")])
def test_version_without_a_source_time_loses_when_another_has_one(found: Outcome) -> None:
    assert found.points("other") == Decimal(-24)


@pytest.mark.semantics("2.4")
@case(penalty=[_version(300_000, JUNE, 1, 9, "z"), _version(6_000, JUNE, 2, 1, "a")])
def test_later_manifest_wins_when_source_times_are_equal(found: Outcome) -> None:
    assert found.points("other") == Decimal(-24)


@pytest.mark.semantics("2.4")
@case(penalty=[_version(300_000, JUNE, 1, 1, "z"), _version(6_000, JUNE, 1, 2, "a")])
def test_later_row_wins_when_manifests_are_equal(found: Outcome) -> None:
    assert found.points("other") == Decimal(-24)


@case(penalty=[_version(300_000, JUNE, 1, 1, "b"), _version(6_000, JUNE, 1, 1, "a")])
def test_batch_id_decides_when_all_else_is_equal(found: Outcome) -> None:
    assert found.points("other") == Decimal(-24)


# §2: final, not simple


@pytest.mark.semantics("2.10")
@case(penalty=[penalty("1201", "2026-05-01", "2026-06-30")])
def test_penalty_counts_when_it_became_final_on_as_of(found: Outcome) -> None:
    assert found.points("IND1201") == Decimal(-48)


@pytest.mark.semantics("1.10", "2.10")
@case(penalty=[penalty("1201", "2026-05-01", "2026-07-01")])
def test_penalty_does_not_count_when_it_becomes_final_later(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["not_final"])


@pytest.mark.semantics("2.11")
@case(penalty=[penalty("1201", "2026-05-01", None)])
def test_penalty_counts_when_it_was_decided_60_days_ago_and_finality_is_unstated(found: Outcome) -> None:
    assert found.points("IND1201") == Decimal(-48)


@pytest.mark.semantics("2.11")
@case(penalty=[penalty("1201", "2026-05-02", None)])
def test_penalty_does_not_count_when_it_was_decided_59_days_ago_and_finality_is_unstated(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["not_final"])


@pytest.mark.semantics("2.12")
@case(penalty=[penalty("1201", "2026-01-05", review_opened_on=on("2026-06-30"))])
def test_penalty_does_not_count_when_a_review_is_open(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["review_open"])


@pytest.mark.semantics("2.12")
@case(penalty=[penalty("1201", "2026-01-05", review_opened_on=on("2026-02-01"), review_closed_on=on("2026-07-01"))])
def test_penalty_does_not_count_when_its_review_closes_after_as_of(found: Outcome) -> None:
    assert found.excluded == ["review_open"]


@pytest.mark.semantics("2.12")
@case(penalty=[penalty("1201", "2026-01-05", review_opened_on=on("2026-02-01"), review_closed_on=on("2026-06-30"))])
def test_penalty_counts_when_its_review_closed_on_as_of(found: Outcome) -> None:
    assert found.points("IND1201") == Decimal(-48)


@pytest.mark.semantics("1.10", "2.12")
@case(penalty=[penalty("1201", "2026-01-05", review_opened_on=on("2026-07-01"))])
def test_penalty_counts_when_its_review_opens_after_as_of(found: Outcome) -> None:
    assert found.points("IND1201") == Decimal(-48)


@pytest.mark.semantics("2.13")
@case(penalty=[penalty("1201", "2026-05-01", procedure="simple")])
def test_penalty_never_counts_when_its_procedure_was_simple(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["simple_procedure"])


# §2: publicity tiers of decree 36, from the instrument date


@pytest.mark.semantics("1.9", "2.15")
@case(penalty=[penalty(None, "2026-03-30", kind="warning"), penalty(None, "2026-03-29", kind="warning")])
def test_minor_penalty_counts_for_three_months_when_its_last_day_is_as_of(found: Outcome) -> None:
    assert (found.points("other"), found.excluded) == (Decimal(-6), ["publicity_ended"])


@pytest.mark.semantics("1.9", "2.15")
@case(penalty=[penalty("1201", "2025-06-30"), penalty("1201", "2025-06-29")])
def test_general_penalty_counts_for_a_year_when_its_last_day_is_as_of(found: Outcome) -> None:
    assert (found.points("IND1201"), found.excluded) == (Decimal(-48), ["publicity_ended"])


@pytest.mark.semantics("2.15")
@case(penalty=[penalty(None, "2023-06-30", kind="detention"), penalty(None, "2023-06-29", kind="detention")])
def test_severe_penalty_counts_for_three_years_when_its_last_day_is_as_of(found: Outcome) -> None:
    assert (found.points("other"), found.excluded) == (Decimal(-72), ["publicity_ended"])


@pytest.mark.semantics("2.9", "2.19", "2.20")
@case(incident=[incident("2021-06-30"), incident("2021-06-29")])
def test_record_without_a_tier_counts_for_five_years_when_only_lookback_speaks(found: Outcome) -> None:
    assert (found.points("IND1209"), found.excluded) == (Decimal(-27), ["lookback_ended"])


@pytest.mark.semantics("2.18")
def test_day_before_the_decree_is_refused_when_the_repealed_table_is_not_entered() -> None:
    with pytest.raises(ConfigurationError, match="2026-03-31"):
        resolve(ENVIRONMENT, date(2026, 3, 31), MODELS.tables)


@pytest.mark.semantics("2.18")
def test_first_day_of_the_decree_is_accepted_when_a_model_is_resolved_for_it() -> None:
    assert resolve(ENVIRONMENT, date(2026, 4, 1), MODELS.tables).decree.id == "国家发展改革委令第36号"


@pytest.mark.semantics("1.9", "2.9")
@case(
    inspection=[
        {"result": "clean", "method": "routine", "inspected_on": on(day)} for day in ("2024-06-30", "2024-06-29")
    ]
)
def test_lookback_includes_its_last_day_when_an_indicator_has_its_own(found: Outcome) -> None:
    assert (found.points("clean_inspection"), found.excluded) == (Decimal(20), ["lookback_ended"])


@case(honour=[{"kind": "green_factory", "awarded_on": on("2020-01-01"), "valid_until": on("2026-06-30")}])
def test_honour_is_too_old_when_it_lies_outside_lookback(found: Outcome) -> None:
    assert found.excluded == ["lookback_ended"]


@case(honour=[{"kind": "green_factory", "awarded_on": on("2024-01-01"), "valid_until": on("2026-06-30")}])
def test_honour_earns_when_it_is_valid_on_as_of(found: Outcome) -> None:
    assert found.points("IND1212") == Decimal(20)


@case(honour=[{"kind": "green_factory", "awarded_on": on("2024-01-01"), "valid_until": on("2026-06-29")}])
def test_honour_earns_nothing_when_it_ran_out(found: Outcome) -> None:
    assert (found.score, found.excluded) == (NOTHING, ["validity_ended"])


# §2: objection


@pytest.mark.semantics("2.21")
@case(penalty=[penalty("1201", "2026-05-01", objection_from=on("2026-06-01"))])
def test_record_counts_and_is_flagged_when_it_is_under_objection(found: Outcome) -> None:
    assert (found.points("IND1201"), found.grade.flags) == (Decimal(-48), ("UNDER_OBJECTION",))


@pytest.mark.semantics("2.21")
@case(penalty=[penalty("1201", "2026-05-01", objection_from=on("2026-06-01"), objection_to=on("2026-06-30"))])
def test_record_is_not_flagged_when_the_objection_is_settled(found: Outcome) -> None:
    assert (found.points("IND1201"), found.grade.flags) == (Decimal(-48), ())


# §2: which indicator


@pytest.mark.semantics("2.23", "2.24")
@case(penalty=[penalty("1201", "2026-05-01"), penalty("9999", "2026-05-01"), penalty(None, "2026-05-02")])
def test_record_feeds_one_indicator_when_other_would_take_it_too(found: Outcome) -> None:
    # 80 for IND1201; 80 and the repeated 80 x 1.5 for what no indicator claims.
    assert (found.points("IND1201"), found.points("other")) == (Decimal(-48), Decimal(-120))


@pytest.mark.semantics("2.23")
@case(model=MARKET, listing=[
    {"list_kind": "abnormal_operation", "violation_code": "2104", "listed_on": on("2026-05-01")},
    {"list_kind": "abnormal_operation", "listed_on": on("2026-05-01")},
])  # fmt: skip
def test_listing_goes_to_the_first_indicator_whose_condition_holds(found: Outcome) -> None:
    assert (found.points("IND2102"), found.points("IND2104")) == (Decimal(-48), Decimal(-48))


@pytest.mark.semantics("2.24")
@pytest.mark.parametrize(
    ("kind", "amount", "points"),
    [
        ("warning", None, 10),
        ("fine", None, 15),
        ("fine", "4999.99", 15),
        ("fine", "5000", 40),
        ("fine", "49999.99", 40),
        ("fine", "50000", 80),
        ("fine", "199999.99", 80),
        ("fine", "200000", 150),
        ("fine", "1000000", 150),
        ("fine", "1000000.01", 250),
        ("confiscation", None, 40),
        ("licence_suspension", None, 150),
        ("business_restriction", None, 200),
        ("licence_revocation", None, 400),
        ("detention", None, 200),
    ],
)
def test_unclaimed_penalty_takes_the_points_of_its_severity_row(kind: str, amount: str | None, points: int) -> None:
    assert _severities()[kind, amount] == Decimal(points) * Decimal("-0.6")


def _severities() -> dict[tuple[str, str | None], Decimal]:
    if not _SEVERITIES:
        marks = test_unclaimed_penalty_takes_the_points_of_its_severity_row.pytestmark  # type: ignore[attr-defined]
        keys = [(kind, amount) for kind, amount, _ in marks[0].args[1]]
        subjects = [
            {"penalty": [penalty(None, "2026-05-01", kind=kind, fine_yuan=Decimal(amount) if amount else None)]}
            for kind, amount in keys
        ]
        _SEVERITIES.update(zip(keys, (o.points("other") for o in score_all(ENVIRONMENT, subjects)), strict=True))
    return _SEVERITIES


_SEVERITIES: dict[tuple[str, str | None], Decimal] = {}


@pytest.mark.semantics("2.25")
def test_indicator_is_named_on_the_grade_when_nobody_collects_its_data(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, [{"complaint": [complaint("2026-05-01")]}])
    del inputs["ecology_environment/complaint"], inputs["ecology_environment/inspection"]
    outcome = next(iter(read_outcomes(run(ENVIRONMENT, inputs, tmp_path)).values()))
    assert outcome.grade.not_collected == ("IND1207", "IND1208", "IND1210", "clean_inspection")


@case(model=MARKET)
def test_indicator_is_not_collected_when_it_needs_reference_statistics(found: Outcome) -> None:
    assert found.grade.not_collected == ("IND2111",)


# publicity by a rule of its own

OWN_RULE = vary(ENVIRONMENT, publicity_of={"penalty": "market_regulation"})


@pytest.mark.semantics("2.17")
@case(model=OWN_RULE, penalty=[penalty("1201", "2023-05-01", published_on=on("2023-06-30"))])
def test_penalty_counts_three_years_from_its_publication_when_its_dataset_names_that_rule(found: Outcome) -> None:
    assert (len(found.records("IND1201")), found.excluded) == (1, [])


@case(model=OWN_RULE, penalty=[penalty("1201", "2023-05-01", published_on=on("2023-06-29"))])
def test_penalty_stops_counting_when_three_years_of_publication_are_over(found: Outcome) -> None:
    assert (found.records("IND1201"), found.excluded) == ([], ["publicity_ended"])


@case(model=OWN_RULE, penalty=[penalty("1201", "2023-06-29"), penalty("1201", "2023-06-30")])
def test_publication_is_counted_from_the_instrument_date_when_nobody_says_when_it_began(found: Outcome) -> None:
    assert (len(found.records("IND1201")), found.excluded) == (1, ["publicity_ended"])


@pytest.mark.semantics("2.15", "2.17")
@case(penalty=[penalty("1201", "2025-06-29", published_on=on("2025-06-30"))])
def test_penalty_is_counted_from_its_instrument_date_when_its_dataset_names_no_rule(found: Outcome) -> None:
    assert found.excluded == ["publicity_ended"]
