"""The dataset catalogue: every record family of the policy, every field complete, every example and check true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from connectors.department import Files
from connectors.mapping import Mapper
from connectors.templates import map_template
from exchange_formats.code_lists import find_codes, load_code_lists
from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.rejects import Reason
from tests.pulls import CODES, KEY, RESIDENT

CATALOGUE = load_catalogue()
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
#: Columns that belong to another type of subject than the example's enterprise.
OTHERS: Mapping[str, frozenset[str]] = {
    "profile": frozenset({"sponsor_code", "administrative_level", "occupation"}),
}
#: Valid codes of each subject type (facts §6.1: both check digits right, nobody's).
AGENCY, INSTITUTION, SOCIAL = "11330000000000000C", "1233000040000000XG", "51330000500000007N"
#: Units of what can be nothing but not less.
_COUNTED = frozenset({"元", "人", "%"})


def fill(dataset: str, **changes: str | None) -> dict[str, str | None]:
    """One row of all examples; ``changes`` replace some."""
    fields = CATALOGUE[dataset].fields
    return {n: spec.example for n, spec in fields.items() if n not in OTHERS.get(dataset, ())} | changes


def judge(dataset: str, *rows: Mapping[str, str | None]) -> list[str]:
    """Reason and column of each reject when ``rows`` come in under the catalogue's own names."""
    spec = CATALOGUE[dataset]
    names = list(dict.fromkeys(name for row in rows for name in row))
    batch = pa.RecordBatch.from_pydict({n: pa.array([row.get(n) for row in rows], pa.string()) for n in names})
    mapping = map_template(spec, names, Files(pattern="x.csv", format="csv"))
    mapper = Mapper("ecology_environment", spec, mapping, Window(until=UNTIL), KEY)
    page = mapper.map(batch, origin="x.csv", first_row=1, position=1)
    return [f"{reject['reason']} {reject['column']}" for reject in page.rejects.to_pylist()]


FAMILIES = {
    *("profile", "licence", "penalty", "inspection", "complaint", "incident", "listing", "honour", "commitment"),
    *("annual_report", "enforcement", "repair", "objection", "public_credit", "reported_grade", "applied_measure"),
    "grade_use",
}


def test_every_record_family_of_the_policy_is_there() -> None:
    assert set(CATALOGUE) == FAMILIES
    assert {one.family for one in CATALOGUE.values()} == {
        *("inspection", "enforcement", "complaint", "incident", "other")
    }, "the work plan names four kinds and the others (facts §0.3)"


@pytest.mark.parametrize("dataset", CATALOGUE.values(), ids=lambda one: one.id)
def test_a_dataset_says_everything_about_itself(dataset: Dataset) -> None:
    assert dataset.title_en
    assert dataset.description
    assert dataset.description_en
    assert dataset.subject_types
    assert dataset.identity
    assert dataset.standard
    assert dataset.retention in find_codes("retention")
    assert {"repaired_on", "revoked_on", "removed_on", "objection_from"} & set(dataset.fields) <= set(
        dataset.states.columns
    ) | ({"repaired_on"} if dataset.id == "repair" else set()), "a dated state the catalogue does not name"


@pytest.mark.parametrize(
    ("dataset", "name"),
    [(one, name) for one in CATALOGUE.values() for name in one.fields],
    ids=lambda one: str(one)[:40],
)
def test_a_field_says_everything_about_itself(dataset: Dataset, name: str) -> None:
    spec = dataset.fields[name]
    assert spec.title_en
    assert spec.example
    assert spec.standard
    assert spec.unit == "元" if name.endswith("_yuan") else spec.unit != "元"
    assert spec.sensitivity == "name" if name == "subject_name" else True
    assert spec.sensitivity == "identity" if spec.type == "subject" else spec.sensitivity != "identity"
    assert (spec.rule == "unified_code") == (name.endswith("_code") and "unified code" in spec.title_en)
    if spec.type == "string" and spec.codes is None:
        assert spec.max_length, "a text without a limit"
    if spec.codes is not None:
        assert spec.code_list, "codes are lists, so that they have English titles"
        assert set(load_code_lists()[spec.code_list].titles_en) == set(spec.codes)
        assert spec.example in spec.codes
    if spec.retention:
        assert spec.retention in find_codes("retention")


@pytest.mark.parametrize("dataset", sorted(CATALOGUE))
def test_the_examples_are_a_good_row_when_they_come_in(dataset: str) -> None:
    assert judge(dataset, fill(dataset)) == []


def test_adverse_records_are_deleted_after_five_years_when_the_law_says_so() -> None:
    """浙江省公共信用信息管理条例 16."""
    kept = {one.id for one in CATALOGUE.values() if one.deletion}
    assert kept == {"penalty", "inspection", "complaint", "incident", "listing", "enforcement"}
    assert {one.deletion.months for one in CATALOGUE.values() if one.deletion} == {60}
    assert {one.id for one in CATALOGUE.values() if one.adverse} <= kept


@pytest.mark.parametrize(
    ("deaths", "injuries", "loss", "least"),
    [
        ("0", "0", "9999999.99", "general"),
        ("2", "9", "0", "general"),
        ("3", "0", "0", "larger"),
        ("0", "10", "0", "larger"),
        ("0", "0", "10000000", "larger"),
        ("9", "49", "49999999.99", "larger"),
        ("10", "0", "0", "major"),
        ("0", "50", "0", "major"),
        ("0", "0", "50000000", "major"),
        ("29", "99", "99999999.99", "major"),
        ("30", "0", "0", "extraordinary"),
        (None, "100", None, "extraordinary"),
        ("0", None, "100000000", "extraordinary"),
        (None, None, None, "general"),
    ],
)
def test_the_grade_of_an_accident_is_not_below_the_law(
    deaths: str | None, injuries: str | None, loss: str | None, least: str
) -> None:
    """生产安全事故报告和调查处理条例 3; a trade's own rules may grade higher."""
    levels = list(find_codes("incident_level"))
    assert levels == ["general", "larger", "major", "extraordinary"]
    for level in levels:
        found = judge("incident", fill("incident", deaths=deaths, injuries=injuries, loss_yuan=loss, level=level))
        assert bool(found) == (levels.index(level) < levels.index(least)), (level, found)
        assert all(reason.startswith("incident.level_") for reason in found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fine_yuan": None}, "required.condition fine_yuan"),
        ({"fine_yuan": None, "decided_on": "2018-12-31"}, None),
        ({"kind": "confiscation", "confiscated_yuan": None}, "required.condition confiscated_yuan"),
        ({"kind": "licence_suspension", "licence_affected": None}, "required.condition licence_affected"),
        ({"kind": "licence_revocation", "licence_affected": None}, "required.condition licence_affected"),
        ({"kind": "warning", "fine_yuan": None, "confiscated_yuan": None, "licence_affected": None}, None),
        ({"procedure": "simple", "fine_yuan": "3000"}, None),
        ({"procedure": "simple", "fine_yuan": "3000.01"}, "penalty.simple_fine_organisation fine_yuan"),
        ({"procedure": "simple", "kind": "confiscation"}, "penalty.simple_kind kind"),
        ({"procedure": None, "kind": "confiscation"}, None),
        ({"final_on": "2026-04-30"}, "penalty.final_order final_on"),
        ({"final_on": "2026-05-01"}, None),
        ({"repaired_on": "2026-05-02"}, None),  # repaired before it was final
        ({"repaired_on": "2026-04-30"}, "penalty.repair_order repaired_on"),
        ({"objection_from": "2026-06-06"}, "penalty.objection_order objection_to"),
        ({"party_kind": "natural_person"}, "penalty.party party_kind"),
        ({"party_kind": "individual_business"}, "penalty.party party_kind"),
        ({"party_kind": "individual_business", "subject_id": CODES[1]}, None),
        ({"authority_code": "11330000000000000D"}, None),
    ],
)
def test_a_penalty_keeps_the_law_when_it_comes_in(changes: dict[str, str | None], reason: str | None) -> None:
    found = judge("penalty", fill("penalty", **changes))
    if "authority_code" in changes:
        assert len(found) == 1
        assert found[0].endswith(" authority_code")
    else:
        assert found == ([reason] if reason else [])


OVER = "penalty.simple_fine_person fine_yuan"


@pytest.mark.parametrize(
    ("fine", "basis", "reason"),
    [
        ("200", "《道路交通安全法》第九十条", None),
        ("200.01", "《道路交通安全法》第九十条", OVER),
        ("500", "《治安管理处罚法》第五十条", None),
        ("500.01", "《治安管理处罚法》第五十条", OVER),
        ("500", None, None),  # nobody says by which law: not for us to refuse
        ("501", None, OVER),
    ],
)
def test_a_person_is_fined_on_the_spot_as_the_law_allows(fine: str, basis: str | None, reason: str | None) -> None:
    """行政处罚法 51: 200 元, unless another law says otherwise."""
    person = {"subject_id": RESIDENT, "party_kind": "natural_person", "procedure": "simple"}
    row = fill("penalty", **person, fine_yuan=fine, legal_basis=basis)
    assert judge("penalty", row) == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("dataset", "changes", "reason"),
    [
        ("listing", {"list_kind": "severe_dishonesty", "decision_no": None}, "required.condition decision_no"),
        ("listing", {"decision_no": None}, None),
        ("listing", {"removed_on": "2026-07-05"}, "listing.removal_order removed_on"),
        ("incident", {"responsibility_on": None}, "required.condition responsibility_on"),
        ("incident", {"responsibility_on": None, "is_responsible": "false"}, None),
        ("incident", {"division_code": "330103"}, "division.not_valid division_code"),
        ("incident", {"division_code": "330103", "occurred_on": "2019-04-03"}, None),
        ("complaint", {"substantiated_on": None}, "required.condition substantiated_on"),
        ("complaint", {"substantiated_on": None, "outcome": "unfounded"}, None),
        ("complaint", {"closed_on": "2026-05-05"}, "complaint.close_order closed_on"),
        ("inspection", {"rectify_by": "2026-05-11"}, "inspection.deadline_order rectify_by"),
        ("applied_measure", {"measure": "M13", "legal_basis": None}, "required.condition legal_basis"),
        ("applied_measure", {"measure": "M14", "list_decision_no": None}, "required.condition list_decision_no"),
        ("applied_measure", {"legal_basis": None, "list_decision_no": None}, None),
        ("objection", {"outcome": "removed_from_list"}, "objection.list_outcome outcome"),
        ("objection", {"outcome": "removed_from_list", "about": "listing"}, None),
        ("objection", {"outcome": None}, "required.condition outcome"),
        ("objection", {"is_upheld": "false"}, "objection.outcome_of_upheld outcome"),
        ("objection", {"working_days": "21"}, "number.range working_days"),
        ("repair", {"outcome": "refused"}, "repair.repaired_if_approved repaired_on"),
        ("repair", {"repaired_on": None}, "required.condition repaired_on"),
        ("repair", {"repaired_on": "2020-01-01"}, "repair.effect_order repaired_on"),
        ("repair", {"revoked_on": "2020-01-01"}, "repair.revocation_order revoked_on"),
        ("objection", {"revoked_on": "2020-01-01"}, "objection.revocation_order revoked_on"),
        ("objection", {"accepted_on": "2026-10-30", "revoked_on": None}, "objection.handling_order closed_on"),
        ("profile", {"revoked_on": "1990-01-01"}, "profile.revocation_order revoked_on"),
        ("commitment", {"outcome": "breached", "breached_on": None}, "required.condition breached_on"),
        ("grade_use", {"sampling_ratio": None}, "required.condition sampling_ratio"),
        ("grade_use", {"sampling_ratio": "100.01"}, "number.range sampling_ratio"),
        ("public_credit", {"score": "1000.01"}, "number.range score"),
        ("annual_report", {"subject_id": AGENCY}, "subject.type subject_id"),
        ("profile", {"division_code": "330113", "registered_on": "1999-01-01"}, None),  # where it sits today
        ("profile", {"division_code": "330199"}, "division.unknown division_code"),
        ("profile", {"industry_code": "A26"}, "industry.unknown industry_code"),
    ],
)
def test_a_record_keeps_its_contract_when_it_comes_in(
    dataset: str, changes: dict[str, str | None], reason: str | None
) -> None:
    assert judge(dataset, fill(dataset, **changes)) == ([reason] if reason else [])


PLAIN = ("subject_id", "subject_name", "status")


@pytest.mark.parametrize(
    ("subject", "column", "value"),
    [
        (INSTITUTION, "sponsor_code", AGENCY),
        (AGENCY, "administrative_level", "city"),
    ],
)
def test_a_profile_has_the_columns_of_its_subject_type_when_it_comes_in(subject: str, column: str, value: str) -> None:
    row = {name: fill("profile")[name] for name in PLAIN} | {"subject_id": subject}
    assert judge("profile", {**row, column: value}) == []
    assert judge("profile", {**row, column: None}) == [f"required.condition {column}"]
    [found] = judge("profile", {**row, "subject_id": SOCIAL, column: value})
    assert found.startswith("profile.")
    assert found.endswith(f" {column}")


@pytest.mark.parametrize(
    ("dataset", "column"),
    [(name, column) for name, one in CATALOGUE.items() for column, spec in one.fields.items() if spec.unit in _COUNTED],
)
def test_an_amount_is_refused_when_it_is_below_zero(dataset: str, column: str) -> None:
    assert judge(dataset, fill(dataset, **{column: "-1"})) == [f"number.range {column}"]


def test_every_reason_that_the_catalogue_gives_is_told_apart() -> None:
    checks = [check.id for one in CATALOGUE.values() for check in one.checks]
    assert len(checks) == len(set(checks))
    assert not set(checks) & {str(reason) for reason in Reason}
    assert all(check.startswith(f"{one.id}.") for one in CATALOGUE.values() for check in (c.id for c in one.checks))


def test_nothing_is_held_that_the_minimum_does_not_need() -> None:
    """个人信息保护法 6, 28: no legal representative, address, telephone, birth, or certificate of a person."""
    words = ("法定代表人", "法人代表", "电话", "手机", "住址", "地址", "出生", "身份证", "邮箱")
    held = [
        f"{one.id}.{name}"
        for one in CATALOGUE.values()
        for name, spec in one.fields.items()
        if any(word in spec.title for word in words)
    ]
    assert held == []
