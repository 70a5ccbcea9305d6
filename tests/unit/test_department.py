"""Department YAMLs: the shipped ones, what they make of the sources' words, and one more department."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from connectors.connection import Connection, read_connection
from connectors.department import DEPARTMENTS, Department, load_departments
from connectors.sources import open_source
from exchange_formats.conditions import kind_of, parse_condition
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import ConfigurationError, FatalError
from gateway.checking import check_all
from gateway.simulators import sanctions, violations
from gateway.simulators.sanctions import Sanction
from scoring.library import MODELS
from tests.source_samples import WINDOW, now, read

#: What none of the three sources, or not each of them, holds.
ABSENT = {
    "profile": frozenset(
        {
            *("revoked_on", "cancelled_on", "organisation_code", "division_code", "industry_code"),
            *("supervising_authority_code", "sponsor_code", "administrative_level", "occupation"),
        }
    ),
    "penalty": frozenset(
        {"registration_no", "organisation_code", "public_institution_no", "social_organization_no"},
    ),
    "incident": frozenset({"division_code"}),
    "honour": frozenset({"authority_code"}),
    "listing": frozenset({"authority_code"}),
}
SCORED = ("market_regulation", "ecology_environment", "emergency_management")
OFFENCES = {
    "market_regulation": violations.MARKET_OFFENCES,
    "ecology_environment": violations.ECOLOGY_OFFENCES,
    "emergency_management": violations.EMERGENCY_OFFENCES,
}
FINDINGS = {
    "market_regulation": violations.MARKET_FINDINGS,
    "ecology_environment": violations.ECOLOGY_FINDINGS,
    "emergency_management": violations.EMERGENCY_FINDINGS,
}


@pytest.fixture(scope="module")
def shipped() -> Mapping[str, Department]:
    departments = load_departments()
    assert not departments.problems
    return departments.by_id


def classify(department: Department, dataset: str, **values: str | bool) -> str | None:
    """The code that the YAML's rules give a record; columns not named are null."""
    rules = department.datasets[dataset].columns["violation_code"].classify or ()
    kinds = {name: kind_of(spec.type) for name, spec in load_catalogue()[dataset].columns.items()}
    columns = ", ".join(f"{_literal(values.get(name))} AS {name}" for name in kinds)
    cases = " ".join(
        f"WHEN {parse_condition(rule.when, kinds).tree.sql('duckdb')} THEN '{rule.code}'" for rule in rules
    )
    [(found,)] = duckdb.execute(f"SELECT CASE {cases} END FROM (SELECT {columns})").fetchall()
    return str(found) if found is not None else None


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    return "'" + str(value).replace("（", "(").replace("）", ")") + "'"


def test_the_four_participants_are_there_with_their_numbers(shipped: Mapping[str, Department]) -> None:
    assert {one.id: one.no for one in shipped.values()} == {
        "market_regulation": 21,
        "ecology_environment": 12,
        "emergency_management": 20,
        "provincial_platform": None,
    }
    assert shipped["provincial_platform"].subscribes.grades == "all"


@pytest.mark.parametrize(
    ("department", "conduct", "basis", "code"),
    [
        (department, offence.conduct, offence.basis, offence.code)
        for department, offences in OFFENCES.items()
        for offence in offences
    ],
)
def test_a_penalty_feeds_the_indicator_of_its_offence(
    shipped: Mapping[str, Department], department: str, conduct: str, basis: str, code: str | None
) -> None:
    assert classify(shipped[department], "penalty", violation=conduct, legal_basis=basis) == code


@pytest.mark.parametrize(
    ("department", "problem", "code"),
    [(department, one.problem, one.code) for department, found in FINDINGS.items() for one in found],
)
def test_an_inspection_feeds_the_indicator_of_its_finding(
    shipped: Mapping[str, Department], department: str, problem: str, code: str | None
) -> None:
    values = {"finding": problem} if problem else {}
    assert classify(shipped[department], "inspection", **values) == code


def test_a_listing_feeds_the_indicator_of_its_cause(shipped: Mapping[str, Department]) -> None:
    market = shipped["market_regulation"]
    causes = [("abnormal_operation", *one) for one in violations.ABNORMAL_CAUSES]
    causes += [("severe_dishonesty", *one) for one in violations.SERIOUS_CAUSES]
    for kind, code, reason, _ in causes:
        assert classify(market, "listing", list_kind=kind, reason=reason) == code


@pytest.mark.parametrize(
    ("department", "values", "code"),
    [
        ("market_regulation", {"category": "特种设备事故", "is_responsible": True, "level": "general"}, "2109"),
        ("market_regulation", {"category": "特种设备事故", "is_responsible": False, "level": "general"}, None),
        ("ecology_environment", {"category": "突发环境事件", "is_responsible": True, "level": "larger"}, "1209"),
        ("emergency_management", {"is_responsible": True, "level": "larger", "is_concealed": False}, "2001"),
        ("emergency_management", {"is_responsible": True, "level": "general", "is_concealed": False}, "2002"),
        ("emergency_management", {"is_responsible": True, "level": "general", "is_concealed": True}, "2003"),
        ("emergency_management", {"is_responsible": False, "level": "major"}, None),
    ],
)
def test_an_incident_feeds_the_indicator_of_its_grade(
    shipped: Mapping[str, Department], department: str, values: dict[str, str | bool], code: str | None
) -> None:
    assert classify(shipped[department], "incident", **values) == code


@pytest.mark.parametrize("department", SCORED)
def test_only_a_complaint_found_true_feeds_an_indicator(shipped: Mapping[str, Department], department: str) -> None:
    found = [
        classify(shipped[department], "complaint", outcome=one) for one in ("substantiated", "partly", "unfounded")
    ]
    assert found[0] == found[1] is not None
    assert found[2] is None
    assert classify(shipped[department], "complaint") is None


@pytest.mark.parametrize("department", SCORED)
def test_codes_are_the_departments_own(shipped: Mapping[str, Department], department: str) -> None:
    one = shipped[department]
    rules = [
        rule
        for mapping in one.datasets.values()
        for column in mapping.columns.values()
        for rule in column.classify or ()
    ]
    assert rules
    assert {rule.code[:2] for rule in rules} == {f"{one.no:02d}"}


@pytest.mark.parametrize("department", SCORED)
def test_every_kind_of_penalty_has_a_code(shipped: Mapping[str, Department], department: str) -> None:
    kinds = {one.kind for one in vars(sanctions).values() if isinstance(one, Sanction)}
    assert kinds <= set(shipped[department].datasets["penalty"].columns["kind"].codes or ())


def test_every_city_has_a_code_where_the_source_writes_its_name(shipped: Mapping[str, Department]) -> None:
    cities = set(load_catalogue()["profile"].fields["city_code"].codes or ())
    written = shipped["emergency_management"].datasets["profile"].columns["city_code"].codes or {}
    assert set(written.values()) == cities
    registered = shipped["market_regulation"].datasets["profile"].columns["city_code"].codes or {}
    assert set(registered.values()) == cities - {"330000"}, "a register knows no subject without a city"


@pytest.mark.parametrize("department", SCORED)
def test_every_column_of_the_catalogue_is_mapped_or_known_to_be_absent(
    shipped: Mapping[str, Department], department: str
) -> None:
    catalogue = load_catalogue()
    for dataset, mapping in shipped[department].datasets.items():
        assert set(catalogue[dataset].fields) - set(mapping.columns) <= ABSENT.get(dataset, frozenset()), dataset


def test_durations_and_rates_are_read(shipped: Mapping[str, Department]) -> None:
    ecology = shipped["ecology_environment"]
    assert ecology.late_after == timedelta(hours=6)
    assert ecology.source.kind == "http"
    assert (ecology.source.rate_limit, ecology.source.timeout) == (20, timedelta(seconds=30))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("late_after: PT6H", "late_after: 6h", "late_after: not a duration"),
        ("late_after: PT6H", "late_after: P", "late_after: not a duration"),
        ("rate_limit: 20/s", "rate_limit: 20", "rate_limit: not a rate"),
        ("rate_limit: 20/s", "rate_limit: 0/s", "rate_limit: not a rate"),
        ('schedule: "30 2 * * *"', "schedule: nightly", "schedule: not a cron expression"),
        ('schedule: "30 2 * * *"', 'schedule: "@daily"', "schedule: not a cron expression"),
        ('schedule: "30 2 * * *"', 'schedule: "0 30 2 * * *"', "schedule: not a cron expression"),
        ("{from: ZJJJSS, unit: 万元}", "ZJJJSS", "loss_yuan: the unit is not declared"),
        ("{from: ZJJJSS, unit: 万元}", "{from: ZJJJSS, currency: CAD}", "both currency and yuan"),
        ("{from: ZJJJSS, unit: 万元}", '{from: ZJJJSS, currency: CAD, yuan: "0"}', "yuan: "),
        ("category: SGLB", 'category: {from: SGLB, currency: CAD, yuan: "5"}', "only money has a currency"),
        ("category: SGLB", "category: {from: SGLB, registry: city}", "only the subject is named by a registry"),
        ("category: SGLB", "category: {from: SGLB, person: SGLB, registry: city}", "without a person's"),
    ],
)
def test_nonsense_is_a_problem_of_that_key(tmp_path: Path, old: str, new: str, what: str) -> None:
    text = (DEPARTMENTS / "ecology_environment.yaml").read_text()
    assert old in text
    (tmp_path / "ecology_environment.yaml").write_text(text.replace(old, new))
    [problem] = load_departments(tmp_path).problems["ecology_environment"]
    assert what in str(problem)


def test_the_problem_of_one_file_is_told_when_it_is_asked_for_and_hides_no_other(tmp_path: Path) -> None:
    copy(tmp_path, ["market_regulation"])
    (tmp_path / "broken_office.yaml").write_text("id: broken_office\n")
    departments = load_departments(tmp_path)
    assert departments["market_regulation"].no == 21
    with pytest.raises(ConfigurationError, match=r"broken_office\.yaml:1:1 title: the key is missing"):
        departments["broken_office"]
    with pytest.raises(ConfigurationError, match="there is no department 'nobody'"):
        departments["nobody"]


def copy(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / f"{name}.yaml").write_text((DEPARTMENTS / f"{name}.yaml").read_text())


NEW = """
id: water_resources
no: 15
title: 省水利厅
title_en: Zhejiang Department of Water Resources
owner: {team: 信用监管处, contact: water-duty@example.invalid}
schedule: "15 3 * * *"
late_after: PT6H
source: {kind: files, connection: dept_water_resources}
datasets:
  complaint:
    files: {pattern: "*.csv", format: csv}
    key: [编号]
    columns: {complaint_no: 编号, subject_id: 代码, filed_on: 日期}
subscribes: {grades: [work_safety]}
"""


def test_a_34th_department_is_one_file_and_no_code(tmp_path: Path) -> None:
    names = sorted(path.stem for path in DEPARTMENTS.glob("*.yaml"))
    copy(tmp_path, names)
    scored = [DEPARTMENTS / f"{name}.yaml" for name in SCORED]
    for number in range(33 - len(names)):
        source = scored[number % len(scored)]
        name = f"copied_office_{number}"
        text = source.read_text().replace(f"dept_{source.stem}", f"dept_{name}")
        text = re.sub(r"(?m)^id: \w+", f"id: {name}", text)
        text = re.sub(r"(?m)^no: \d+", f"no: {60 + number}", text)
        (tmp_path / f"{name}.yaml").write_text(re.sub(r"(?m)^domains: .*\n", "", text))
    (tmp_path / "water_resources.yaml").write_text(NEW)

    began = time.perf_counter()
    departments = load_departments(tmp_path)
    took = time.perf_counter() - began

    assert len(departments.by_id) == 34
    assert [str(problem) for problem in check_all(tmp_path, MODELS)] == []
    assert took < 2, "34 files load in a fraction of a second; the limit leaves room for a busy machine"

    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text("编号,代码,日期\n1,A,2026-01-01\n")
    environ = {"AIRFLOW_CONN_DEPT_WATER_RESOURCES": f'{{"conn_type": "fs", "extra": {{"path": "{drop}"}}}}'}
    newcomer = departments["water_resources"]
    connection = read_connection(newcomer.source.connection, environ)
    rows, _ = read(open_source(newcomer, "complaint", connection, WINDOW, now=now))
    assert [row["编号"] for row in rows] == ["1"]


def test_a_dataset_that_is_not_there_is_named_with_those_that_are() -> None:
    department = load_departments()["provincial_platform"]
    with pytest.raises(ConfigurationError, match=r"has no dataset 'penalty'.*one of public_credit"):
        open_source(department, "penalty", Connection("c", "http"), WINDOW, now=now)


def test_a_connection_is_read_and_never_shows_its_secrets() -> None:
    environ = {"AIRFLOW_CONN_DEPT_X": '{"conn_type":"http","host":"h","port":"80","login":"l","password":"hush"}'}
    connection = read_connection("dept_x", environ)
    assert (connection.host, connection.port, connection.password) == ("h", 80, "hush")
    assert "hush" not in repr(connection)


@pytest.mark.parametrize("value", ["postgresql://u:hush@h/d", "[]", '{"port": "hush"}', '{"extra": "hush"}'])
def test_a_connection_is_fatal_and_not_shown_when_it_is_malformed(value: str) -> None:
    with pytest.raises(FatalError, match="AIRFLOW_CONN_DEPT_X") as caught:
        read_connection("dept_x", {"AIRFLOW_CONN_DEPT_X": value})
    assert "hush" not in str(caught.value)


def test_a_missing_connection_is_fatal_and_names_its_variable() -> None:
    with pytest.raises(FatalError, match="the variable AIRFLOW_CONN_DEPT_X is not set"):
        read_connection("dept_x", {})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ("{pattern: a.xlsx, format: xlsx, encoding: gb18030}", "'encoding' means nothing for xlsx"),
        ("{pattern: a.json, format: json, delimiter: ;}", "'delimiter' means nothing for json"),
        ("{pattern: a.csv, format: csv, sheet: 名单}", "'sheet' means nothing for csv"),
        ("{pattern: a.csv, format: csv, records: data}", "'records' means nothing for csv"),
        ("{pattern: a.xml.gz, format: xml}", "only csv and json are unpacked"),
        ("{pattern: ../a.csv, format: csv}", "'..' is not allowed"),
        ("{pattern: a.csv, format: csv, delimiter: '\"'}", "delimiter"),
        ("{pattern: a.csv, format: csv, delimiter: '，'}", "delimiter"),
        ("{pattern: a.csv, format: tar}", "format"),
    ],
)
def test_a_setting_is_a_problem_when_the_file_format_has_no_use_for_it(tmp_path: Path, files: str, why: str) -> None:
    path = tmp_path / "water_resources.yaml"
    path.write_text(NEW.replace('{pattern: "*.csv", format: csv}', files))
    problems = load_departments(tmp_path).problems["water_resources"]
    assert any(why in str(problem) for problem in problems), problems
