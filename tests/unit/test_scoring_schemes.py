"""Native and uniform grades, and grades a department reports (semantics §3, facts §1.6)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scoring.model import Model
from scoring.table_library import load_tables
from scoring.tables import Crosswalk
from tests.scoring_cases import AS_OF, ENVIRONMENT, Outcome, on, penalty, score_all, vary

COLOURS = {
    "scheme": "企业环境信用评价 (国家2013)",
    "scheme_en": "enterprise environmental credit (national, 2013)",
    "basis": ["企业环境信用评价办法(试行) 2013"],
    "status": "assumption",
    "total": 100,
    "bands": [
        {"grade": "绿", "from": 84, "below": None},
        {"grade": "蓝", "from": 80, "below": 84},
        {"grade": "黄", "from": 60, "below": 80},
        {"grade": "红", "from": 0, "below": 60},
    ],
}
NATIVE = vary(ENVIRONMENT, native=COLOURS)
REPORTING = vary(ENVIRONMENT, reported={"crosswalk": "four_level", "not_older_than": "P12M"})
LISTED = {"list_kind": "severe_dishonesty", "decision_no": "1", "listed_on": on("2026-01-01")}


def _reported(native: str, day: str, **more: Any) -> dict[str, Any]:
    plain = {
        "domain": "enterprise_environment",
        "native_scheme": "环境信用",
        "native_grade": native,
        "grade": "N",
        "evaluated_on": on(day),
        "record_id": day,
    }
    return plain | more


def _score(model: Model, **given: Any) -> Outcome:
    return score_all(model, [{"public_credit": 820} | given])[0]


def _with_reports(*reports: dict[str, Any], **given: Any) -> Outcome:
    return _score(REPORTING, reported_grade=list(reports), **given)


@pytest.mark.semantics("3.36")
@pytest.mark.parametrize(
    ("public", "native"),
    # 0.3 × public + 600, a tenth of it on the native scale, half up to hundredths: 83.9952 is 84.00, 83.9949 is 83.99.
    [("820", "绿"), ("799.84", "绿"), ("799.83", "蓝"), ("666.66", "蓝"), ("666.46", "黄")],
)
def test_native_grade_stands_beside_the_uniform_one_when_a_method_has_another_total(public: str, native: str) -> None:
    found = _score(NATIVE, public_credit=Decimal(public)).grade
    assert (found.native_grade, found.native_scheme, found.origin) == (native, COLOURS["scheme"], "computed")


@pytest.mark.semantics("3.36")
def test_native_grade_is_the_last_one_when_a_veto_decides() -> None:
    found = _score(NATIVE, penalty=[penalty("1203", "2026-05-01")]).grade
    assert (found.grade, found.computed_grade, found.native_grade) == ("E", "B", "红")


def test_native_grade_is_missing_when_a_subject_is_not_scored() -> None:
    found = _score(NATIVE, public_credit=None).grade
    assert (found.grade, found.native_grade, found.native_scheme) == ("N", None, None)


@pytest.mark.semantics("3.34", "3.35")
def test_reported_grade_takes_the_place_of_the_computed_one_and_no_score_is_claimed() -> None:
    found = _with_reports(_reported("A", "2026-01-31"), penalty=[penalty("1201", "2026-05-01")])
    assert (found.grade.origin, found.grade.grade, found.grade.computed_grade) == ("reported", "A", "A")
    assert (found.grade.native_grade, found.grade.native_scheme) == ("A", "环境信用")
    assert (found.score, found.grade.reasons, found.grade.flags) == (None, (), ())
    assert [(row.entry, row.excluded) for row in found.findings.evidence] == [
        ("record", "grade_reported"),
        ("reported", None),
    ]
    assert sum(row.points for row in found.findings.evidence) == 0


@pytest.mark.semantics("3.34")
def test_newest_report_in_force_is_used_when_a_department_reported_several() -> None:
    reports = [_reported("A", "2026-01-31"), _reported("C", "2026-03-31"), _reported("D", "2026-07-01")]
    assert _with_reports(*reports).grade.grade == "C"


@pytest.mark.parametrize(
    "gone",
    [
        {"evaluated_on": on("2025-06-29")},
        {"valid_until": on("2026-06-29")},
        {"revoked_on": on("2026-02-01")},
        {"domain": "work_safety"},
    ],
)
def test_grade_is_computed_when_a_report_is_too_old_over_revoked_or_another_domain_s(gone: dict[str, Any]) -> None:
    found = _with_reports(_reported("A", "2026-01-31", **gone))
    assert (found.grade.origin, found.grade.grade, found.score) == ("computed", "B", Decimal(846))


@pytest.mark.parametrize("kept", [{"evaluated_on": on("2025-06-30")}, {"valid_until": AS_OF}])
def test_report_counts_on_its_last_day(kept: dict[str, Any]) -> None:
    assert _with_reports(_reported("D", "2026-01-31", **kept)).grade.grade == "D"


def test_grade_is_computed_and_the_report_excluded_when_no_crosswalk_knows_it() -> None:
    found = _with_reports(_reported("A", "2026-01-31"), _reported("优", "2026-02-28"))
    assert (found.grade.origin, found.score) == ("computed", Decimal(846))
    assert [row.excluded for row in found.findings.evidence if row.entry == "reported"] == ["grade_unknown"]


@pytest.mark.semantics("3.24", "3.34")
def test_veto_decides_over_a_reported_grade() -> None:
    found = _with_reports(_reported("A", "2026-01-31"), penalty=[penalty("1203", "2026-05-01")]).grade
    assert (found.grade, found.computed_grade, found.origin) == ("E", "A", "reported")


def test_lowest_of_four_levels_becomes_e_only_when_a_veto_applies() -> None:
    assert _with_reports(_reported("D", "2026-01-31")).grade.grade == "D"
    listed = _with_reports(_reported("D", "2026-01-31"), market_regulation__listing=[LISTED])
    assert listed.grade.grade == "E"


def test_subject_with_a_report_is_not_n_when_it_has_neither_a_public_score_nor_a_record() -> None:
    assert _with_reports(_reported("B", "2026-01-31"), public_credit=None).grade.grade == "B"


@pytest.mark.semantics("3.34")
def test_crosswalks_are_those_of_the_table_of_facts() -> None:
    tables = load_tables()

    def read(name: str, natives: str) -> str:
        crosswalk = tables.in_force("crosswalk", name, Crosswalk, AS_OF)
        return "".join(crosswalk.grades[native] for native in natives)

    assert read("five_level", "ABCDE") == "ABCDE"
    assert read("four_level", "ABCD") == "ABCD"
    assert read("three_level", "ABC") == "ACE"
    assert read("stars", "54321") == "ABCDE"


def test_points_of_a_reported_subject_s_neighbour_are_untouched(tmp_path: Path) -> None:
    fined = {"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")]}
    reporting, computed = score_all(
        REPORTING, [fined | {"reported_grade": [_reported("A", "2026-01-31")]}, fined | {"reported_grade": []}]
    )
    assert (reporting.grade.grade, computed.score) == ("A", Decimal(798))


@pytest.mark.semantics("2.21")
def test_grade_is_flagged_when_the_report_it_rests_on_is_under_objection() -> None:
    found = _with_reports(_reported("A", "2026-01-31", objection_from=on("2026-06-30")))
    assert found.grade.flags == ("UNDER_OBJECTION",)
    assert [row.under_objection for row in found.findings.evidence] == [True]
    over = _with_reports(_reported("A", "2026-01-31", objection_from=on("2026-06-01"), objection_to=AS_OF))
    assert over.grade.flags == ()


def test_native_grade_is_the_last_one_when_a_veto_meets_a_computed_e() -> None:
    low = {"public_credit": 0, "penalty": [penalty("1203", "2026-05-01"), penalty("1205", "2026-05-01")]}
    found = score_all(vary(NATIVE, native=COLOURS | {"total": 1000, "bands": [
        {"grade": "上", "from": 100, "below": None}, {"grade": "下", "from": 0, "below": 100},
    ]}), [low])[0].grade  # fmt: skip
    assert (found.computed_grade, found.grade, found.native_grade) == ("E", "E", "下")
