"""``xinqiao check``: the wording of every problem, cross-checks between files, and the schema for editors.

``cases/broken/*.yaml`` are kept broken on purpose; beside each lies what is said about it.
After a wanted change of wording: ``XINQIAO_UPDATE_CASES=1 pytest tests/unit/test_checking.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gateway.cli
from connectors.department import DEPARTMENTS, load_departments
from gateway.checking import check_all
from scoring.library import MODELS

CASES = Path(__file__).parent / "cases" / "broken"


@pytest.fixture
def departments(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEPARTMENTS, tmp_path / "departments"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS, tmp_path / "models"))


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def found(departments: Path, models: Path) -> list[str]:
    return [str(problem) for problem in check_all(departments, models)]


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_file_is_explained_in_the_kept_words(case: Path, tmp_path: Path) -> None:
    shutil.copy(case, tmp_path)
    said = "".join(f"{problem}\n" for problem in load_departments(tmp_path).problems[case.stem])
    kept = case.with_suffix(".txt")
    if os.environ.get("XINQIAO_UPDATE_CASES"):
        kept.write_text(said)
    assert said == kept.read_text()


def test_all_is_well_when_nothing_was_changed() -> None:
    assert check_all() == []


def test_every_broken_file_is_reported_when_several_are_broken(departments: Path, models: Path) -> None:
    for case in CASES.glob("*.yaml"):
        shutil.copy(case, departments)
    edit(models, "work_safety@2026.1", "department:", "departement:")
    files = {line.partition(":")[0] for line in found(departments, models)}
    assert files == {path.name for path in CASES.glob("*.yaml")} | {"work_safety@2026.1.yaml"}


def test_a_domain_is_a_problem_when_no_model_scores_it(departments: Path, models: Path) -> None:
    edit(
        departments, "market_regulation", "domains: [enterprise_credit_risk]", "domains: [enterprise_credit_risk, tea]"
    )
    [problem] = found(departments, models)
    known = ", ".join(sorted({path.stem.partition("@")[0] for path in MODELS.glob("*.yaml")}))
    assert problem.endswith(
        f"domains[1]: no model scores this domain; expected one of {known}; "
        "got tea; hint write its model first, or correct the name"
    )
    assert problem.startswith("market_regulation.yaml:2")


def test_a_domain_is_a_problem_when_it_belongs_to_another_department(departments: Path, models: Path) -> None:
    edit(departments, "market_regulation", "domains: [enterprise_credit_risk]", "domains: [work_safety]")
    said = found(departments, models)
    assert any("belongs to another department; expected emergency_management" in line for line in said)
    assert any("domains: the domain 'enterprise_credit_risk' is not listed" in line for line in said)


def test_a_subscription_is_a_problem_when_there_is_no_such_domain(departments: Path, models: Path) -> None:
    edit(departments, "market_regulation", "warnings: [enterprise_credit_risk", "warnings: [enterprise_credit")
    [problem] = found(departments, models)
    assert "subscribes.warnings[0]: there is no such domain; expected one of" in problem
    assert "got enterprise_credit" in problem


@pytest.mark.parametrize(
    ("subscribed", "what"),
    [
        ("snapshots: [tea]", "subscribes.snapshots[0]: there is no such domain"),
        ("persons: [tea]", "subscribes.persons[0]: there is no such domain"),
        ("records: [tea_houses]", "subscribes.records[0]: there is no such department"),
        ("records: all, person_records: [tea_houses]", "subscribes.person_records[0]: there is no such department"),
        ("persons: [enterprise_environment]", "not subscribed to in grades or warnings or snapshots"),
        ("person_records: [ecology_environment]", "not subscribed to in records; got ecology_environment"),
    ],
)
def test_a_subscription_is_a_problem_when_it_can_bring_nothing(
    departments: Path, models: Path, subscribed: str, what: str
) -> None:
    before = "subscribes: {grades: [enterprise_credit_risk, work_safety]"
    edit(departments, "market_regulation", before, f"{before}, {subscribed}")
    said = found(departments, models)
    assert any(what in line for line in said), said


def test_persons_are_granted_when_they_are_named_beside_a_subscription(departments: Path, models: Path) -> None:
    before = "subscribes: {grades: [enterprise_credit_risk, work_safety]"
    grants = "persons: [work_safety], records: all, person_records: [ecology_environment]"
    edit(departments, "market_regulation", before, f"{before}, {grants}")
    assert found(departments, models) == []


def test_a_number_is_a_problem_when_two_departments_have_it(departments: Path, models: Path) -> None:
    edit(departments, "market_regulation", "no: 21", "no: 12")
    [problem] = found(departments, models)
    assert (
        "market_regulation.yaml:7:1 no: the number is taken; got 12; hint it is the number of 'ecology_environment'"
        in (problem)
    )


def test_a_model_is_a_problem_when_its_department_is_not_there(departments: Path, models: Path) -> None:
    (departments / "emergency_management.yaml").unlink()
    [problem] = found(departments, models)
    assert problem.startswith("work_safety@2026.1.yaml:0:0 department: there is no such department; expected one of")


def test_a_model_is_a_problem_when_its_subjects_are_not_collected(departments: Path, models: Path) -> None:
    edit(departments, "emergency_management", "\n  profile:\n", "\n  annual_report:\n")
    text = "\n".join(found(departments, models))
    assert "emergency_management.yaml" in text, "the mapping does not fit that dataset"
    (departments / "emergency_management.yaml").write_text(
        "id: emergency_management\ntitle: t\ntitle_en: t\nowner: {team: t, contact: c}\nschedule: '0 2 * * *'\n"
        "late_after: PT6H\nsource: {kind: files, connection: dept_emergency_management}\ndatasets: {}\n"
        "domains: [work_safety]\n"
    )
    [problem] = found(departments, models)
    assert "subjects.from: the subjects come from 'emergency_management/profile', which is not collected" in problem


def test_what_follows_from_a_broken_file_is_not_reported_again(departments: Path, models: Path) -> None:
    edit(departments, "emergency_management", "late_after: PT12H", "late_after: soon")
    assert len(found(departments, models)) == 1


def test_an_empty_folder_is_a_problem(tmp_path: Path, models: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert any("the folder holds no department" in problem for problem in found(empty, models))


def test_the_command_lists_every_problem_and_exits_1(departments: Path, models: Path) -> None:
    folders = ["--departments", str(departments), "--models", str(models)]
    run = CliRunner().invoke(gateway.cli.app, ["check", *folders])
    files = sum(1 for folder in (departments, models) for _ in folder.glob("*.yaml"))
    assert files >= 34 + 38
    assert (run.exit_code, run.output) == (0, f"{files} 个文件 file(s): 没有问题 no problem\n")

    edit(departments, "market_regulation", 'schedule: "10 2 * * *"', 'schedule: "99 2 * * *"')
    edit(departments, "provincial_platform", "late_after: PT12H", "late_after: soon")
    run = CliRunner().invoke(gateway.cli.app, ["check", *folders])
    assert run.exit_code == 1
    assert "market_regulation.yaml:11:1 schedule: not a cron expression" in run.output
    assert "provincial_platform.yaml:11:1 late_after: not a duration" in run.output
    assert run.output.endswith(f"{files} 个文件 file(s): 2 个问题 problem(s)\n")

    run = CliRunner().invoke(gateway.cli.app, ["check", "--json", *folders])
    assert run.exit_code == 1
    assert [(one["file"], one["line"], one["key"]) for one in json.loads(run.output)["problems"]] == [
        ("market_regulation.yaml", 11, "schedule"),
        ("provincial_platform.yaml", 11, "late_after"),
    ]


def test_every_department_yaml_names_its_schema() -> None:
    for path in DEPARTMENTS.glob("*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../../docs/schema/department.schema.json"
        assert (path.parent / first.partition("=")[2]).exists()
