"""Bad models and tables: every problem with file, line and column; none reaches the engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from exchange_formats.errors import ConfigurationError
from scoring.library import MODELS, Models, load_models
from scoring.resolution import resolve
from scoring.table_library import TABLES
from scoring.tables import Bands
from tests.scoring_cases import ENVIRONMENT, score_all, vary

NAME = "enterprise_environment@2026.1.yaml"
Spoil = Callable[..., Models]


@pytest.fixture
def spoil(tmp_path: Path) -> Spoil:
    """Load a copy of the models with ``old`` replaced by ``new`` in one file."""

    def load(old: str, new: str, *, table: str | None = None, name: str = NAME) -> Models:
        (tmp_path / "models").mkdir()
        for path in {MODELS / name, *MODELS.glob("work_safety@*.yaml")}:
            shutil.copy(path, tmp_path / "models")
        shutil.copytree(TABLES, tmp_path / "tables", dirs_exist_ok=True)
        path = tmp_path / "tables" / table if table else tmp_path / "models" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return load_models(tmp_path / "models", tmp_path / "tables")

    return load


@pytest.mark.semantics("2.19")
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("full: 600", "full: 650", "dimensions: the dimensions' full points do not add up; expected 1000; got 1050"),
        (
            "violation_code = '1201'",
            "violatoin_code = '1201'",
            "IND1201.counts.where: there is no column 'violatoin_code'",
        ),
        ("violation_code = '1201'", "violation_code = 1201", "compares string with number"),
        ("violation_code = '1201'", "1 / 0 = 1", "not a column or a literal"),
        ("violation_code = '1201'", "upper(violation_code) = 'A'", "not a column or a literal"),
        ("violation_code = '1201'", "true; drop table x", "one expression"),
        ("violation_code = '1201'", "violation_code in (select 1)", "IN takes a list"),
        ("basis: [环境保护法 59, 环境保护法 60]", "basis: []", "IND1201.basis"),
        ("basis: [环境保护法 59, 环境保护法 60]", 'basis: [" "]', "IND1201.basis"),
        ("dataset: penalty, where: \"violation_code = '1201'\"", "dataset: penaltys", "there is no such dataset"),
        ("deduct: {per: 80, cap: 240}", "deduct: {per: 80.001}", "decimal"),
        ("deduct: {per: 80, cap: 240}", "deduct: {per: 80, map: {a: 1}}", "exactly once"),
        (
            "deduct: {per: 80, cap: 240}",
            "earn: {per: 80, cap: 240}",
            "an indicator of a compliance dimension has deduct",
        ),
        ("deduct: {per: 80, cap: 240}", "deduct: {per: -80}", "greater than or equal to 0"),
        ("deduct: {per: 80, cap: 240}", "deduct: {per: 80, caps: 240}", "unknown key"),
        ("group: bonus", "group: bonuses", "there is no such group"),
        ("bands: default", "bands: defaults", "bands: there is no sound table of that name"),
        ("grade: E", "grade: C", "a veto gives grade E"),
        ("  IND1211:", "  IND1202:", "the id is used twice"),
        ("lookback: P60M", "lookback: P72M", "no adverse record counts after five years"),
        ("lookback: P60M", "lookback: 60 months", "not a period of months"),
        ("status = 'active'", "state = 'active'", "subjects.where: there is no column 'state'"),
        ("id: enterprise_environment", "id: enterprise_environments", "id@version is not the file's name"),
        ("as_of: 2026-06-30", "as_of: 2025-06-30", "the model is not in force on that day"),
        ("fine_yuan: 80000}", "fine: 80000}", "there is no such column"),
        ("state: listed", "state: counting", "state must be listed"),
        (
            "required: {profile: ",
            "required: {commitment: null, profile: ",
            "required.commitment: the model reads no such dataset; got commitment",
        ),
        (
            "required: {profile: ",
            "required: {permits: null, profile: ",
            "no such dataset in the catalogue; got permits",
        ),
        (
            "optional: {honour",
            "optional: {profile: P9D, honour",
            "optional.profile: the dataset is required already",
        ),
        ("optional: {honour: P60D", "optional: {honour: soon", "not a period of days"),
        ("from: profile", "from: penalty", "subjects.from: subjects come from profiles"),
        (
            "dataset: penalty, where: \"violation_code = '1201'\"",
            "dataset: '*/penalty', where: \"violation_code = '1201'\"",
            "IND1201.counts.where: column 'violation_code' does not stand in the public-credit catalogue",
        ),
        (
            "counts: {dataset: penalty}",
            "counts: {dataset: '*/penalty'}",
            "IND1202.counts: the dataset is counted of every",
        ),
        ("dataset: complaint,", "dataset: '*/repair',", "do not stand in the public-credit catalogue; got */repair"),
        ("dataset: complaint,", "dataset: '*',", "not of the right form"),
    ],
)
def test_model_is_refused_with_its_place_when_it_is_wrong(spoil: Spoil, old: str, new: str, complaint: str) -> None:
    models = spoil(old, new)
    shown = [str(problem) for problem in models.problems]
    assert any(complaint in text for text in shown), shown
    assert all(problem.file == NAME and problem.line > 0 and problem.column > 0 for problem in models.problems)
    assert "enterprise_environment" not in models.by_id
    assert "work_safety" in models.by_id


def test_problem_points_at_the_line_when_a_condition_is_wrong(spoil: Spoil) -> None:
    models = spoil("violation_code = '1205'", "nothing = '1205'")
    text = (MODELS / NAME).read_text(encoding="utf-8").splitlines()
    line = next(number for number, content in enumerate(text, 1) if "violation_code = '1205'" in content)
    assert [(problem.line, problem.key) for problem in models.problems] == [
        (line, "dimensions.compliance.indicators.IND1205.counts.where")
    ]


@pytest.mark.semantics("2.19")
@pytest.mark.parametrize(
    ("table", "old", "new", "complaint"),
    [
        ("bands/default@2026.1.yaml", "from: 800, below: 850", "from: 800, below: 851", "the bands overlap"),
        ("bands/default@2026.1.yaml", "from: 800, below: 850", "from: 800, below: 849", "the bands have a gap"),
        ("bands/default@2026.1.yaml", "from: 0, below: 700", "from: 1, below: 700", "must begin at 0"),
        ("bands/default@2026.1.yaml", "grade: B", "grade: A", "once each"),
        (
            "measures/default@2026.1.yaml",
            "limits_rights: true, basis: [政府采购法 22]",
            "limits_rights: true",
            "names its law",
        ),
        ("measures/default@2026.1.yaml", "[M01, M02", "[M99, M02", "there is no such measure"),
        ("measures/default@2026.1.yaml", "basis: [政府采购法 22]", 'basis: [" "]', "basis"),
        ("measures/default@2026.1.yaml", "limits_rights: true, ", "", "does not say so"),
        (
            "measures/default@2026.1.yaml",
            "list_kind = 'severe_dishonesty'",
            "list_kind = 'severe_dishonesty' or list_kind = 'abnormal_operation'",
            "entries of other lists would limit rights",
        ),
        (
            "measures/default@2026.1.yaml",
            "{dataset: market_regulation/listing, where: \"list_kind = 'severe_dishonesty'\"}",
            "{dataset: penalty}",
            "not a dataset of lists",
        ),
        (
            "measures/default@2026.1.yaml",
            "counts: {dataset: incident}",
            'counts: {dataset: "*/incident"}',
            "datasets that are named",
        ),
        ("severity/default@2026.1.yaml", "kind = 'detention'", "kinds = 'detention'", "there is no column 'kinds'"),
        (
            "severity/default@2026.1.yaml",
            '{when: "true", points: 10',
            '{when: "false", points: 10',
            "takes what is left",
        ),
        ("decay/default@2026.1.yaml", "factor: 0.6", "factor: 0.2", "never weigh more"),
        ("decay/default@2026.1.yaml", "months: P60M", "months: P72M", "after five years"),
        ("publicity/default@2026.1.yaml", "months: P36M", "months: P6Y", "after five years"),
        ("warnings/default@2026.1.yaml", "level: orange", "level: purple", "there is no such level"),
        ("warnings/default@2026.1.yaml", "due: rectify_by", "due: result", "not a date column"),
        ("warnings/default@2026.1.yaml", "id: failed_checks", "id: near_lower_band", "the id is used twice"),
    ],
)
def test_table_is_refused_with_its_place_when_it_is_wrong(
    spoil: Spoil, table: str, old: str, new: str, complaint: str
) -> None:
    models = spoil(old, new, table=table)
    mine = [problem for problem in models.problems if problem.file == f"tables/{table}"]
    assert any(complaint in str(problem) for problem in mine), [str(problem) for problem in models.problems]
    assert all(problem.line > 0 for problem in mine)
    assert "enterprise_environment" not in models.by_id


def test_severity_row_naming_an_unknown_tier_is_refused_when_a_model_uses_both(spoil: Spoil) -> None:
    models = spoil("points: 400, tier: severe", "points: 400, tier: grave", table="severity/default@2026.1.yaml")
    assert any("tier 'grave'" in str(problem) for problem in models.problems)
    assert "enterprise_environment" not in models.by_id


@pytest.mark.parametrize(
    ("effective", "complaint"),
    [("{from: 2026-06-01}", "overlaps version 2026.1"), ("{from: 2027-02-01}", "leaves a gap after version 2026.1")],
)
def test_versions_are_refused_when_they_overlap_or_leave_a_gap(tmp_path: Path, effective: str, complaint: str) -> None:
    text = (MODELS / NAME).read_text(encoding="utf-8")
    old = text.replace("effective: {from: 2026-01-01}", "effective: {from: 2026-01-01, to: 2026-12-31}")
    new = text.replace('version: "2026.1"', 'version: "2027.1"', 1).replace("{from: 2026-01-01}", effective)
    (tmp_path / NAME).write_text(old, encoding="utf-8")
    (tmp_path / "enterprise_environment@2027.1.yaml").write_text(new.partition("examples:")[0], encoding="utf-8")
    assert any(complaint in str(problem) for problem in load_models(tmp_path).problems)


@pytest.mark.semantics("1.14")
def test_version_in_force_is_chosen_when_a_domain_has_two(tmp_path: Path) -> None:
    text = (MODELS / NAME).read_text(encoding="utf-8")
    old = text.replace("effective: {from: 2026-01-01}", "effective: {from: 2026-01-01, to: 2026-12-31}")
    new = text.replace('version: "2026.1"', 'version: "2027.1"', 1).replace("{from: 2026-01-01}", "{from: 2027-01-01}")
    (tmp_path / NAME).write_text(old, encoding="utf-8")
    (tmp_path / "enterprise_environment@2027.1.yaml").write_text(new.partition("examples:")[0], encoding="utf-8")
    models = load_models(tmp_path)
    assert models.problems == ()
    assert models.in_force("enterprise_environment", date(2026, 12, 31)).version == "2026.1"
    assert models.in_force("enterprise_environment", date(2027, 1, 1)).version == "2027.1"
    assert models.by_id["enterprise_environment"].version == "2027.1"
    with pytest.raises(ConfigurationError, match="2025-12-31"):
        models.in_force("enterprise_environment", date(2025, 12, 31))


def test_unknown_domain_names_the_known_ones_when_it_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="work_safety"):
        load_models().in_force("no_such_domain", date(2026, 6, 30))


def _later(text: str, effective: str) -> str:
    """The table as its next version."""
    return text.replace('version: "2026.1"', 'version: "2027.1"', 1).replace("{from: 2026-01-01}", effective, 1)


@pytest.mark.parametrize(
    ("effective", "complaint"),
    [
        ("{from: 2026-06-01}", "overlaps version 2026.1"),
        ("{from: 2027-02-01}", "leaves a gap after version 2026.1"),
        ("{from: 2027-01-01, to: 2027-12-31}", "the table's last version ends before the model does"),
    ],
)
def test_table_versions_are_refused_when_they_overlap_leave_a_gap_or_end(
    tmp_path: Path, effective: str, complaint: str
) -> None:
    shutil.copytree(TABLES, tmp_path / "tables")
    path = tmp_path / "tables" / "bands" / "default@2026.1.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{from: 2026-01-01}", "{from: 2026-01-01, to: 2026-12-31}"), encoding="utf-8")
    path.with_name("default@2027.1.yaml").write_text(_later(text, effective), encoding="utf-8")
    problems = load_models(MODELS, tmp_path / "tables").problems
    mine = [problem for problem in problems if complaint in str(problem)]
    assert mine, [str(problem) for problem in problems]
    assert all(problem.line > 0 and problem.column > 0 for problem in mine)


@pytest.mark.semantics("1.14")
def test_table_version_in_force_on_the_day_is_used_when_a_past_date_is_scored(tmp_path: Path) -> None:
    shutil.copytree(TABLES, tmp_path / "tables")
    path = tmp_path / "tables" / "bands" / "default@2026.1.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{from: 2026-01-01}", "{from: 2026-01-01, to: 2026-12-31}"), encoding="utf-8")
    new = _later(text, "{from: 2027-01-01}").replace("from: 850", "from: 900").replace("below: 850", "below: 900")
    path.with_name("default@2027.1.yaml").write_text(new, encoding="utf-8")
    models = load_models(MODELS, tmp_path / "tables")
    assert models.problems == ()
    model = models.by_id["enterprise_environment"]
    edges = {
        day: resolve(model, day, models.tables).bands.bands[0].from_ for day in (date(2026, 12, 31), date(2027, 1, 1))
    }
    assert edges == {date(2026, 12, 31): 850, date(2027, 1, 1): 900}
    with pytest.raises(ConfigurationError, match="bands/default"):
        models.tables.in_force("bands", "default", Bands, date(2025, 12, 31))


BAD = {
    # file: (as it stands, as somebody spoilt it, what is said of it)
    NAME: [
        ("full: 600", "full: 650", "dimensions: the dimensions' full points do not add up"),
        (
            "violation_code = '1202'",
            "violation = 1",
            "IND1202.counts.where: 'violation = 1' compares string with number",
        ),
        ("violation_code = '1204'", "penalty_code = '1204'", "IND1204.counts.where: there is no column 'penalty_code'"),
        ("violation_code = '1205'", "fine_yuan / 0 > 1", "IND1205.counts.where: 'fine_yuan / 0' is not a column"),
        ("violation_code = '1206'", "read_csv('/etc/passwd') = '1'", "IND1206.counts.where: "),
        ("violation_code = '1203'", "true; DROP TABLE grades", "IND1203.counts.where: a condition is one expression"),
        ("basis: [环境影响评价法 32]", "basis: []", "overrides.IND1211.basis: too few entries"),
        (
            "basis: [环境保护法 47]\n        status: assumption\n",
            "status: assumption\n",
            "IND1209.basis: the key is missing",
        ),
        ("{from: 2026-01-01}", "{from: 2025-12-31}", "severity: the table's first version begins after the model does"),
    ],
    "tables/bands/default@2026.1.yaml": [
        ("from: 800, below: 850", "from: 800, below: 851", "bands[1].below: the bands overlap"),
        ("grade: A, from: 850, below: null", "grade: A, from: 850, below: 840", "bands[0].below: the bands have a gap"),
    ],
    "tables/measures/default@2026.1.yaml": [
        (
            "limits_rights: true, basis: [政府采购法 22]",
            "limits_rights: true",
            "a measure that limits rights names its law",
        ),
        ("[M01, M02", "[M99, M02", "there is no such measure"),
    ],
}


def test_every_fault_is_named_with_its_place_and_none_reaches_the_engine_when_there_are_many(tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path / "models")
    shutil.copytree(TABLES, tmp_path / "tables")
    for file, faults in BAD.items():
        path = tmp_path / file if file.startswith("tables/") else tmp_path / "models" / file
        text = path.read_text(encoding="utf-8")
        for old, new, _ in faults:
            assert old in text, old
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
    models = load_models(tmp_path / "models", tmp_path / "tables")
    for file, faults in BAD.items():
        mine = [problem for problem in models.problems if problem.file == file]
        assert all(problem.line > 0 and problem.column > 0 for problem in mine)
        for _, _, complaint in faults:
            assert any(complaint in str(problem) for problem in mine), (complaint, [str(problem) for problem in mine])
    assert "enterprise_environment" not in models.versions
    assert "work_safety" not in models.versions
    with pytest.raises(ConfigurationError, match="enterprise_environment"):
        models.in_force("enterprise_environment", date(2026, 6, 30))


@pytest.mark.semantics("3.18")
def test_public_credit_evaluation_is_refused_when_it_would_be_made_of_its_own_results(spoil: Spoil) -> None:
    name = "public_credit_enterprise@2026.1.yaml"
    dimension = (
        "dimensions:\n  circle: {kind: public_credit, title: 圈, title_en: circle, full: 1, "
        "dataset: public_credit, not_older_than: P1M, neutral: 800}\n"
    )
    models = spoil("dimensions:\n", dimension, name=name)
    assert any("cannot be made of its own results" in str(problem) for problem in models.problems)
    assert "public_credit_enterprise" not in models.versions


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("below: null}", "below: 100}", "native.bands[0].below: the bands overlap or leave a gap; expected null"),
        ("total: 100", "total: 50", "native.bands[0].from: the band is empty"),
        ("grade: 红", "grade: 黄", "native.bands: a grade stands twice"),
    ],
)
def test_native_bands_are_refused_when_they_are_not_whole(spoil: Spoil, old: str, new: str, complaint: str) -> None:
    models = spoil(old, new)
    assert any(complaint in str(problem) for problem in models.problems), [str(one) for one in models.problems]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("above: substantiated_rate", "above: no_such_rate", "IND2111.above: there is no such statistic"),
        ("day: filed_on", "day: outcome", "statistics.substantiated_rate.day: not a date column of the dataset"),
        ("kind: ratio", "kind: ratios", "statistics.substantiated_rate.measure.kind"),
        ("percentile: 90", "percentile: 100", "statistics.substantiated_rate.percentile"),
        ("deduct: {per: 40}\n      other", "deduct: {severity: true}\n      other", "'per' points, once"),
    ],
)
def test_statistic_is_refused_with_its_place_when_it_is_wrong(spoil: Spoil, old: str, new: str, complaint: str) -> None:
    models = spoil(old, new, name="enterprise_credit_risk@2026.1.yaml")
    assert any(complaint in str(problem) for problem in models.problems), [str(one) for one in models.problems]


@pytest.mark.parametrize(
    ("crosswalk", "complaint"),
    [("statistical_five", "no sound table of that name"), ("Statistical", "not of the right form")],
)
def test_reported_grades_are_refused_when_no_crosswalk_is_there(spoil: Spoil, crosswalk: str, complaint: str) -> None:
    models = spoil("statistical_four_level", crosswalk, name="statistical_credit@2026.1.yaml")
    assert any(complaint in str(problem) for problem in models.problems), [str(one) for one in models.problems]


@pytest.mark.parametrize(
    ("measure", "complaint"),
    [
        ("measure: {kind: sum}, deduct: {bins: [{from: 1, points: 5}]}", "sum and max measure a column"),
        ("measure: {kind: ratio}, deduct: {bins: [{from: 1, points: 5}]}", "a ratio says where"),
        ("measure: {kind: sum, column: kind}, deduct: {bins: [{from: 1, points: 5}]}", "not a number column"),
        (
            "measure: {kind: ratio, where: 1 / 0}, deduct: {bins: [{from: 1, points: 5}]}",
            "is not allowed in a condition",
        ),
        ("measure: {kind: count}, deduct: {bins: [{from: 2, points: 5}, {from: 1, points: 9}]}", "bins stand in order"),
        ("measure: {kind: count}, deduct: {per: 5}", "measure and bins belong together"),
        ("deduct: {bins: [{from: 1, points: 5}]}", "measure and bins belong together"),
    ],
)
def test_measure_is_refused_with_its_place_when_it_is_wrong(spoil: Spoil, measure: str, complaint: str) -> None:
    written = measure.replace("}, deduct", "}\n        deduct")
    models = spoil("deduct: {per: 80, cap: 240}", written)
    mine = [problem for problem in models.problems if complaint in str(problem)]
    assert mine, [str(problem) for problem in models.problems]
    assert all("IND1201" in problem.key and problem.line > 0 for problem in mine)


def test_alias_that_refers_to_itself_is_refused_when_a_model_is_read(spoil: Spoil) -> None:
    models = spoil("scope: [", "scope: &all [*all, ")
    assert any("anchors and aliases are not allowed" in str(problem) for problem in models.problems)


@pytest.mark.parametrize("text", ["绿'; DROP TABLE grades; --", "绿\\' OR 1=1", '绿"', "绿$1 {x} %s"])
def test_text_of_a_model_stays_a_text_when_it_looks_like_sql(tmp_path: Path, text: str) -> None:
    plain = {"scheme": text, "scheme_en": text, "basis": [text], "status": "assumption", "total": 100}
    model = vary(ENVIRONMENT, native=plain | {"bands": [{"grade": text, "from": 0, "below": None}]})
    found = score_all(model, [{"public_credit": 820}])[0].grade
    assert (found.native_grade, found.native_scheme, found.score) == (text, text, Decimal(846))


def test_domain_with_overlapping_versions_reaches_no_engine_when_its_models_are_loaded(tmp_path: Path) -> None:
    text = (MODELS / NAME).read_text(encoding="utf-8")
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    new = text.replace('version: "2026.1"', 'version: "2027.1"', 1).replace("{from: 2026-01-01}", "{from: 2026-06-01}")
    (tmp_path / "enterprise_environment@2027.1.yaml").write_text(new.partition("examples:")[0], encoding="utf-8")
    assert load_models(tmp_path).versions == {}
