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
from gateway.simulators.practice import load_practices
from gateway.simulators.sanctions import SANCTIONS
from gateway.simulators.sharing_store import list_endpoints
from scoring.library import MODELS, load_models
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
        {"registration_no", "organisation_code", "public_institution_no", "social_organization_no", "published_on"},
    ),
    "incident": frozenset({"division_code"}),
    "honour": frozenset({"authority_code"}),
    "listing": frozenset({"authority_code"}),
}
#: The 33 departments of the province in their order (facts §0), each with the domain it scores.
PROVINCE = (
    ("cyberspace_administration", "省委网信办", "internet_information_service"),
    ("economy_information", "省经信厅", "civil_explosives"),
    ("education", "省教育厅", "off_campus_training"),
    ("science_technology", "省科技厅", "research_integrity"),
    ("ethnic_religious_affairs", "省民宗委", "religious_venues"),
    ("public_security", "省公安厅", "security_services"),
    ("civil_affairs", "省民政厅", "elderly_care"),
    ("justice", "省司法厅", "law_firms"),
    ("finance", "省财政厅", "accounting_agencies"),
    ("human_resources_social_security", "省人力社保厅", "labour_compliance"),
    ("natural_resources", "省自然资源厅", "surveying_qualification"),
    ("ecology_environment", "省生态环境厅", "enterprise_environment"),
    ("housing_construction", "省建设厅", "construction_enterprises"),
    ("transport", "省交通运输厅", "highway_waterway_construction"),
    ("water_resources", "省水利厅", "water_construction"),
    ("agriculture_rural_affairs", "省农业农村厅", "agricultural_products"),
    ("commerce", "省商务厅", "prepaid_cards"),
    ("culture_tourism", "省文化和旅游厅", "travel_agencies"),
    ("health", "省卫生健康委", "medical_institutions"),
    ("emergency_management", "省应急管理厅", "work_safety"),
    ("market_regulation", "省市场监管局", "enterprise_credit_risk"),
    ("local_financial_supervision", "省地方金融监管局", "microfinance"),
    ("sports", "省体育局", "high_risk_sports"),
    ("statistics", "省统计局", "statistical_credit"),
    ("grain_reserves", "省粮食物资局", "grain_enterprises"),
    ("medical_insurance", "省医保局", "designated_medical_providers"),
    ("civil_air_defence", "省人防办", "civil_air_defence_construction"),
    ("big_data", "省大数据局", "public_data_services"),
    ("cultural_heritage", "省文物局", "heritage_conservation"),
    ("drug_administration", "省药监局", "drug_enterprises"),
    ("fire_rescue", "省消防救援总队", "fire_services"),
    ("earthquake", "省地震局", "seismic_safety_evaluation"),
    ("meteorology", "省气象局", "lightning_protection_testing"),
)
SCORED = tuple(name for name, _, _ in PROVINCE)
#: Those whose mappings are written out in full, column by column.
PILOTS = ("market_regulation", "ecology_environment", "emergency_management")


@pytest.fixture(scope="module")
def shipped() -> Mapping[str, Department]:
    departments = load_departments()
    assert not departments.problems
    return departments.by_id


def classify(department: Department, dataset: str, records: Iterable[Mapping[str, str | bool]]) -> list[str | None]:
    """The code that the YAML's rules give each record; columns not named are null."""
    rules = department.datasets[dataset].columns["violation_code"].classify or ()
    kinds = {name: kind_of(spec.type) for name, spec in load_catalogue()[dataset].columns.items()}
    cases = " ".join(
        f"WHEN {parse_condition(rule.when, kinds).tree.sql('duckdb')} THEN '{rule.code}'" for rule in rules
    )
    rows = " UNION ALL ".join(
        "SELECT " + ", ".join([f"{n} AS n", *(f"{_literal(values.get(name))} AS {name}" for name in kinds)])
        for n, values in enumerate(records)
    )
    found = duckdb.execute(f"SELECT CASE {cases} END FROM ({rows}) ORDER BY n").fetchall()
    return [None if code is None else str(code) for (code,) in found]


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    return "'" + str(value).replace("（", "(").replace("）", ")") + "'"


def test_the_33_departments_are_there_with_their_numbers_titles_and_domains(
    shipped: Mapping[str, Department],
) -> None:
    departments = {one.no: (one.id, one.title, *one.domains) for one in shipped.values() if one.kind == "department"}
    assert departments == dict(enumerate(PROVINCE, 1))
    [platform] = [one for one in shipped.values() if one.kind == "platform"]
    assert (platform.id, platform.no, platform.subscribes.grades) == ("provincial_platform", None, "all")


def test_every_domain_is_a_departments_and_the_other_way_round(shipped: Mapping[str, Department]) -> None:
    models = load_models(MODELS).by_id
    owned = [(domain, one.id) for one in shipped.values() for domain in one.domains]
    assert sorted(owned) == sorted((domain, model.department) for domain, model in models.items())


def test_the_nights_pulls_are_spread(shipped: Mapping[str, Department]) -> None:
    assert len({one.schedule for one in shipped.values()}) == len(shipped)


def test_what_is_shipped_is_what_is_simulated(shipped: Mapping[str, Department]) -> None:
    """Every dataset that a department's YAML asks for is served, and the other way round."""
    practices = load_practices()
    kinds = {"database": "sql", "sharing": "http", "files": "files"}
    assert {name: (one.number, kinds[one.channel], set(one.datasets)) for name, one in practices.items()} == {
        one.id: (one.no, one.source.kind, set(one.datasets)) for one in shipped.values() if one.kind == "department"
    }


def test_every_address_that_is_asked_for_is_served(shipped: Mapping[str, Department]) -> None:
    asked = {
        (one.id, name): mapping.request.path
        for one in shipped.values()
        for name, mapping in one.datasets.items()
        if mapping.request
    }
    assert asked == {(one.participant, one.dataset): one.path for one in list_endpoints()}


@pytest.mark.parametrize("department", SCORED)
def test_a_penalty_feeds_the_indicator_of_its_offence(shipped: Mapping[str, Department], department: str) -> None:
    offences = load_practices()[department].offences
    records = [{"violation": one.conduct, "legal_basis": one.basis} for one in offences]
    found = classify(shipped[department], "penalty", records)
    assert dict(zip([one.conduct for one in offences], found, strict=True)) == {
        one.conduct: one.code for one in offences
    }


@pytest.mark.parametrize("department", SCORED)
def test_an_inspection_feeds_the_indicator_of_its_finding(shipped: Mapping[str, Department], department: str) -> None:
    findings = load_practices()[department].findings
    found = classify(
        shipped[department], "inspection", [{"finding": one.problem} if one.problem else {} for one in findings]
    )
    assert list(zip([one.problem for one in findings], found, strict=True)) == [
        (one.problem, one.code) for one in findings
    ]


@pytest.mark.parametrize("department", [name for name, one in load_practices().items() if one.listings])
def test_a_listing_feeds_the_indicator_of_its_cause(shipped: Mapping[str, Department], department: str) -> None:
    listings = load_practices()[department].listings
    words = shipped[department].datasets["listing"].columns["list_kind"].codes or {}
    records = [{"list_kind": words[one.list], "reason": one.cause} for one in listings]
    assert classify(shipped[department], "listing", records) == [one.code for one in listings]


@pytest.mark.parametrize("department", SCORED)
def test_no_simulated_text_says_the_code_itself(department: str) -> None:
    """What is classified is what sources write: conduct, basis, finding, cause."""
    practice = load_practices()[department]
    texts = [text for one in practice.offences for text in (one.conduct, one.basis, one.facts)]
    texts += [text for one in practice.findings for text in (one.category, one.matter, one.problem, one.description)]
    texts += [text for one in practice.listings for text in (one.list, one.cause)]
    assert [text for text in texts if re.search(rf"\b{practice.number:02d}\d\d\b", text)] == []


@pytest.mark.parametrize("department", SCORED)
def test_rules_reach_every_indicator_of_the_departments_model(
    shipped: Mapping[str, Department], department: str
) -> None:
    """Each violation code that the model counts in a dataset of its own is given by some rule of that dataset."""
    one = shipped[department]
    [domain] = one.domains
    model = load_models(MODELS).by_id[domain]
    wanted: set[tuple[str, str]] = set()
    for indicator in model.indicators.values():
        for counts in indicator.counts:
            codes = re.findall(r"violation_code\s*=\s*'(\d{4})'", counts.where or "")
            wanted |= {(counts.dataset, code) for code in codes}
    given = {
        (name, rule.code)
        for name, mapping in one.datasets.items()
        for rule in (mapping.columns["violation_code"].classify or () if "violation_code" in mapping.columns else ())
    }
    assert wanted
    assert wanted - given == set()


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
        ("economy_information", {"is_responsible": True, "level": "major"}, "0209"),
        ("economy_information", {"is_responsible": True, "level": "general"}, "0208"),
        ("education", {"is_responsible": True, "level": "larger"}, None),
        ("education", {"is_responsible": True, "level": "major"}, "0311"),
        ("housing_construction", {"category": "生产安全事故", "is_responsible": True, "level": "larger"}, "1304"),
        ("housing_construction", {"category": "工程质量事故", "is_responsible": True, "level": "larger"}, "1305"),
        ("human_resources_social_security", {"category": "群体性事件", "is_responsible": True}, "1008"),
    ],
)
def test_an_incident_feeds_the_indicator_of_its_grade(
    shipped: Mapping[str, Department], department: str, values: dict[str, str | bool], code: str | None
) -> None:
    assert classify(shipped[department], "incident", [values]) == [code]


@pytest.mark.parametrize(
    ("department", "values", "code"),
    [
        ("cyberspace_administration", {"violation": "制作、传播违法信息", "kind": "licence_revocation"}, "0109"),
        ("cyberspace_administration", {"violation": "制作、传播违法信息", "kind": "fine"}, None),
        ("cultural_heritage", {"violation": "擅自变更施工方案", "kind": "fine"}, None),
        ("cultural_heritage", {"violation": "未经批准擅自更改施工方案", "kind": "fine"}, "2903"),
        ("meteorology", {"violation": "安排无资质人员现场检测", "kind": "fine"}, None),
    ],
)
def test_a_penalty_decides_the_grade_only_for_the_conduct_the_veto_names(
    shipped: Mapping[str, Department], department: str, values: dict[str, str | bool], code: str | None
) -> None:
    assert classify(shipped[department], "penalty", [values]) == [code]


def test_only_a_complaint_found_true_feeds_an_indicator(shipped: Mapping[str, Department]) -> None:
    classifying = [
        one for one in shipped.values() if "violation_code" in getattr(one.datasets.get("complaint"), "columns", ())
    ]
    assert len(classifying) == 18, "indicators of the other departments count no complaints"
    for one in classifying:
        outcomes = [{"outcome": word} for word in ("substantiated", "partly", "unfounded")]
        true, partly, unfounded, unsaid = classify(one, "complaint", [*outcomes, {}])
        assert true == partly is not None
        assert unfounded is unsaid is None


def test_a_complaint_of_abuse_found_true_decides_the_grade_of_a_home(shipped: Mapping[str, Department]) -> None:
    records = [{"category": "欺老虐老举报", "outcome": word} for word in ("substantiated", "unfounded")]
    assert classify(shipped["civil_affairs"], "complaint", records) == ["0701", None]


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
    kinds = {one.kind for one in SANCTIONS.values()}
    assert kinds <= set(shipped[department].datasets["penalty"].columns["kind"].codes or ())


def test_every_city_has_a_code_where_the_source_writes_its_name(shipped: Mapping[str, Department]) -> None:
    cities = set(load_catalogue()["profile"].fields["city_code"].codes or ())
    written = shipped["emergency_management"].datasets["profile"].columns["city_code"].codes or {}
    assert set(written.values()) == cities
    registered = shipped["market_regulation"].datasets["profile"].columns["city_code"].codes or {}
    assert set(registered.values()) == cities - {"330000"}, "a register knows no subject without a city"


@pytest.mark.parametrize("department", PILOTS)
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
id: tobacco_monopoly
no: 34
title: 省烟草专卖局
title_en: Zhejiang Tobacco Monopoly Administration
owner: {team: 信用监管处, contact: tobacco-duty@example.invalid}
schedule: "15 5 * * *"
late_after: PT6H
source: {kind: files, connection: dept_tobacco_monopoly}
datasets:
  complaint:
    files: {pattern: "*.csv", format: csv}
    key: [编号]
    columns: {complaint_no: 编号, subject_id: 代码, filed_on: 日期}
subscribes: {grades: [work_safety]}
"""


def test_a_34th_department_is_one_file_and_no_code(tmp_path: Path) -> None:
    copy(tmp_path, [path.stem for path in DEPARTMENTS.glob("*.yaml")])
    (tmp_path / "tobacco_monopoly.yaml").write_text(NEW)

    began = time.perf_counter()
    departments = load_departments(tmp_path)
    took = time.perf_counter() - began

    assert len(departments.by_id) == 35
    assert [str(problem) for problem in check_all(tmp_path, MODELS)] == []
    assert took < 2, "35 files load in a fraction of a second; the limit leaves room for a busy machine"

    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text("编号,代码,日期\n1,A,2026-01-01\n")
    environ = {"AIRFLOW_CONN_DEPT_TOBACCO_MONOPOLY": f'{{"conn_type": "fs", "extra": {{"path": "{drop}"}}}}'}
    newcomer = departments["tobacco_monopoly"]
    connection = read_connection(newcomer.source.connection, environ)
    rows, _ = read(open_source(newcomer, "complaint", connection, WINDOW, now=now))
    assert [row["编号"] for row in rows] == ["1"]


def test_a_dataset_that_is_not_there_is_named_with_those_that_are() -> None:
    department = load_departments()["provincial_platform"]
    with pytest.raises(ConfigurationError, match=r"has no dataset 'penalty'.*one of profile, public_credit"):
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
    path = tmp_path / "tobacco_monopoly.yaml"
    path.write_text(NEW.replace('{pattern: "*.csv", format: csv}', files))
    problems = load_departments(tmp_path).problems["tobacco_monopoly"]
    assert any(why in str(problem) for problem in problems), problems
