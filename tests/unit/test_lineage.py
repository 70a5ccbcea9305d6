"""Lineage: every field of every message has an origin, every origin exists, and the way back is what the files say."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from connectors.department import DEPARTMENTS, load_departments
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import ConfigurationError
from exchange_formats.forms import FORMS
from exchange_formats.lineage import FILES, LineageTable, find_key, find_origin, list_leaves, load_lineage
from exchange_formats.manifests import BatchManifest, RunManifest
from exchange_formats.messages.registry import MESSAGES
from gateway.cli import app
from gateway.lineage import Atlas, Step
from scoring import records
from scoring.library import load_models
from scoring.model import Indicator, Override
from scoring.plan import Plan
from scoring.reading import list_readings
from scoring.tables import Measure
from scoring.warning_tables import WarningRule

ON = date(2026, 6, 30)
DOMAINS = ("enterprise_credit_risk", "enterprise_environment", "work_safety")
MODEL_PARTS: dict[str, type[BaseModel]] = {
    "indicator": Indicator,
    "override": Override,
    "measure": Measure,
    "warning": WarningRule,
}
MANIFESTS: dict[str, type[BaseModel]] = {"run": RunManifest, "batch": BatchManifest}


def open_atlas(folder: Path = DEPARTMENTS) -> Atlas:
    departments = load_departments(folder)
    assert departments.problems == {}
    return Atlas(load_catalogue(), departments.by_id, load_models(), load_lineage(), ON)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return open_atlas()


def sources(step: Step) -> set[str]:
    return {one.name for one in step.walk() if one.kind == "source"}


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_field_of_a_message_has_an_origin_when_listed(kind: str) -> None:
    lineage = load_lineage()
    leaves = list_leaves(MESSAGES[kind], lineage)
    assert leaves
    for leaf in leaves:
        origin = find_origin(leaf, lineage)
        if origin.artefact:
            assert origin.artefact in lineage.artefacts, leaf.path


def test_no_entry_is_left_over_when_all_messages_are_listed() -> None:
    lineage = load_lineage()
    leaves = [leaf for message in MESSAGES.values() for leaf in list_leaves(message, lineage)]
    used = {find_key(leaf, lineage) for leaf in leaves if leaf.column is None}
    assert sorted(set(lineage.messages) - used) == []
    reached = {find_origin(leaf, lineage).artefact for leaf in leaves}
    assert sorted(set(lineage.artefacts) - reached) == []
    assert set(lineage.bodies) <= {message.name for message in MESSAGES.values()}


def test_field_without_an_entry_is_named_when_one_is_taken_away() -> None:
    lineage = load_lineage()
    fewer = {key: origin for key, origin in lineage.messages.items() if key != "GradeResult.score"}
    broken = LineageTable(messages=fewer, bodies=lineage.bodies, artefacts=lineage.artefacts)
    message = MESSAGES["cn.credit.grade.evaluated.v1"]
    with pytest.raises(KeyError, match=r"results\[\]\.score"):
        [find_origin(leaf, broken) for leaf in list_leaves(message, broken)]


def test_every_origin_exists_when_looked_up() -> None:
    lineage, catalogue = load_lineage(), load_catalogue()
    for key, origin in {**lineage.messages, **lineage.artefacts}.items():
        if origin.artefact:
            file, _, column = origin.artefact.partition(".")
            assert column in FILES[file].names, key
        if origin.manifest:
            owner, *path = origin.manifest.split(".")
            model: object = MANIFESTS[owner]
            for name in path:
                assert isinstance(model, type)
                assert issubclass(model, BaseModel), key
                model = model.model_fields[name].annotation
        if origin.model:
            part, _, field = origin.model.partition(".")
            assert field in MODEL_PARTS[part].model_fields, key
        for name in origin.columns:
            source, _, column = name.partition(".")
            known = [catalogue["profile"]] if source == "subjects" else list(catalogue.values())
            assert column == "*" or any(column in dataset.fields for dataset in known), key


def test_withdrawal_comes_from_the_column_of_revocation_when_any_dataset_is_asked() -> None:
    columns = {dataset.states.revoked for dataset in load_catalogue().values()} - {None}
    assert [f"*.{name}" for name in columns] == list(load_lineage().messages["RecordWithdrawn.decided_on"].columns)


@pytest.mark.parametrize("domain", [None, *DOMAINS])
def test_every_way_back_ends_at_something_written_when_followed(atlas: Atlas, domain: str | None) -> None:
    forms = "".join(path.read_text(encoding="utf-8") for path in FORMS.glob("*.yaml"))
    forms += forms.lower()  # as databases write names
    texts = {path.stem: path.read_text(encoding="utf-8") + forms for path in DEPARTMENTS.glob("*.yaml")}
    for message in MESSAGES.values():
        for trace in atlas.trace_message(message.name, "", domain):
            for name in sources(trace.step):
                place, _, column = name.partition(".")
                assert all(part in texts[place.partition("/")[0]] for part in column.split(" | ")), name


def test_name_comes_from_the_departments_column_when_traced(atlas: Atlas) -> None:
    (trace,) = atlas.trace_message("grade.evaluated", "results.subject_name", "enterprise_environment")
    assert [step.name for step in trace.step.walk()] == [
        "grades.subject_name",
        "subjects.subject_name",
        "profile.subject_name",
        "ecology_environment/profile.QYMC",
    ]


def test_score_comes_from_indicators_and_their_columns_when_a_domain_is_given(atlas: Atlas) -> None:
    (trace,) = atlas.trace_message("grade.evaluated", "results[].score", "enterprise_environment")
    parts = {step.name: step for step in trace.step.walk() if step.kind == "part"}
    assert parts["IND1201"].condition == "violation_code = '1201'"
    assert "ecology_environment/penalty.CF_NR_FK" in sources(parts["IND1201"])
    # The code is classified from texts: the way back goes on to them.
    assert "ecology_environment/penalty.CF_YJ" in sources(parts["IND1201"])
    assert "provincial_platform/public_credit.zhxyf" in sources(parts["public_credit"])
    assert not any(
        step.kind == "part" and step.origins
        for step in atlas.trace_message("grade.evaluated", "results.score")[0].step.walk()
    )


def test_way_back_changes_when_the_mapping_changes(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DEPARTMENTS, tmp_path / "departments"))
    file = folder / "ecology_environment.yaml"
    file.write_text(file.read_text().replace("subject_name: QYMC", "subject_name: NEW_NAME"))
    (trace,) = open_atlas(folder).trace_message("grade.evaluated", "results.subject_name", "enterprise_environment")
    assert sources(trace.step) == {"ecology_environment/profile.NEW_NAME"}


def test_column_says_who_sends_and_what_uses_it_when_traced(atlas: Atlas) -> None:
    trace = atlas.trace_column("penalty", "fine_yuan")
    notes = {step.name: step.en for step in trace.step.origins}
    assert notes["ecology_environment/penalty.CF_NR_FK"] == "万元 → 元"
    assert {use.model.partition("@")[0] for use in trace.uses} == set(load_models().by_id)
    assert ("grade.evaluated", "results[].score") in trace.shown
    assert ("grade.evaluated", "results[].subject_name") not in trace.shown


def test_column_nobody_sends_says_so_when_traced(atlas: Atlas) -> None:
    sent = {name for one in atlas.departments.values() for name in one.datasets}
    unsent = next(name for name in atlas.catalogue if name not in sent)
    (step,) = atlas.trace_column(unsent, "subject_id").step.origins
    assert step.kind == "none"


@pytest.mark.parametrize("domain", DOMAINS)
def test_readings_name_every_column_that_the_plan_reads_when_compared(atlas: Atlas, domain: str) -> None:
    resolved = atlas.resolved[domain]
    plan = Plan.of(resolved, ON, resolved.inputs)
    for source in plan.sources:
        dataset = atlas.catalogue[source.partition("/")[2]]
        needed = {name for name in records._needed(plan, source) if name in dataset.columns} | {dataset.event_on}
        named = {name for one in list_readings(resolved) if one.source == source for name in one.columns}
        assert needed <= named, source


@pytest.mark.parametrize(
    ("name", "field", "domain", "hint"),
    [
        ("grade.given", "score", None, "grade.evaluated"),
        ("grade.evaluated", "results.points", None, "results.score"),
        ("grade.evaluated", "results.score", "water", "work_safety"),
    ],
)
def test_what_there_is_is_named_when_asked_for_what_there_is_not(
    atlas: Atlas, name: str, field: str, domain: str | None, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        atlas.trace_message(name, field, domain)
    assert hint in raised.value.hint


def test_column_there_is_not_is_refused_when_asked_for(atlas: Atlas) -> None:
    with pytest.raises(ConfigurationError, match="no column 'fine_dollars'"):
        atlas.trace_column("penalty", "fine_dollars")
    with pytest.raises(ConfigurationError, match="no dataset 'tax'"):
        atlas.trace_column("tax", "fine_yuan")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["describe", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_command_prints_what_a_script_can_read_when_asked_for_json() -> None:
    (found,) = json.loads(run("grade.evaluated", "results.grade", "--json"))["fields"]
    assert found["path"] == "results[].grade"
    assert found["origin"]["name"] == "grades.grade"
    column = json.loads(run("penalty.fine_yuan", "--json"))
    assert column["field"]["unit"] == "元"
    assert {"message": "grade.evaluated", "path": "results[].score"} in column["shown_in"]
    listed = json.loads(run("--json"))
    assert set(listed["datasets"]) == set(load_catalogue())
    assert json.loads(run("penalty", "--json"))["id"] == "penalty"


def test_command_prints_both_languages_when_read_by_a_person() -> None:
    assert "省生态环境厅 万元 → 元" in run("penalty.fine_yuan") == run("penalty", "fine_yuan")
    assert "等级区间" in run("grade.evaluated", "results.computed_grade")
    shown = run("grade.evaluated", "results.score", "--domain", "work_safety")
    assert shown.count("emergency_management/penalty.处罚类别") == 1
    assert "见上 as above" in shown
    assert "results[].measures[].title" in run("grade.evaluated")
    assert "罚款金额 fine" in run("penalty")
    assert "checkpoint.committed" in run()
