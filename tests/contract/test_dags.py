from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.serialization.serialized_objects import DagSerialization

from connectors.department import DEPARTMENTS, load_departments
from exchange_formats.errors import ConfigurationError
from gateway.airflow.generation import _build_domain as build_domain
from gateway.airflow.generation import (
    generate_department_dags,
    generate_domain_dags,
    generate_housekeeping_dags,
    generate_public_credit_dags,
)
from gateway.airflow.names import TAGS
from scoring.library import MODELS, load_models
from scoring.model import PUBLIC_CREDIT_DOMAINS
from scoring.resolution import resolve
from scoring.table_library import TABLES

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("0", "1", "4242")
PROVINCE = 33
PUBLIC = sorted(PUBLIC_CREDIT_DOMAINS.values())
#: The issue's limit, beyond Airflow's own import; our own imports are within it.
PARSE_SECONDS = 1.0
#: All that may be imported of Airflow (reference: the task SDK is the authoring interface).
ALLOWED = re.compile(
    r"airflow\.sdk(\..+)?|airflow\.providers\.standard\.operators\.empty|airflow\.executors\.local_executor"
)


@dataclass(frozen=True)
class Files:
    """A copy of the departments and models that a test may spoil."""

    departments: Path
    models: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"XINQIAO_DEPARTMENTS": str(self.departments), "XINQIAO_MODELS": str(self.models)}

    def spoil(self, path: Path, pattern: str, replacement: str) -> None:
        text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    shutil.copytree(DEPARTMENTS, tmp_path / "departments")
    shutil.copytree(MODELS, tmp_path / "models")
    return Files(tmp_path / "departments", tmp_path / "models")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The DAG folder parsed on the province's files and a broken one, once a hash seed."""
    folder = tmp_path_factory.mktemp("province")
    shutil.copytree(DEPARTMENTS, folder / "departments")
    shutil.copytree(MODELS, folder / "models")
    (folder / "departments" / "broken_one.yaml").write_text("id: broken_one\nno: many\n", encoding="utf-8")
    command = [sys.executable, "-m", "tests.contract.dag_folder", str(folder / "departments"), str(folder / "models")]
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
    }
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **settings, "PYTHONHASHSEED": seed, "AIRFLOW_HOME": str(folder / seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in SEEDS
    ]
    answers = [process.communicate(timeout=90)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(SEEDS)
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


@pytest.mark.timeout(180)
def test_serialised_dags_are_the_same_when_the_hash_seed_differs(parsed: list[dict[str, Any]]) -> None:
    kinds = Counter(dag_id.partition("__")[0] for dag_id in parsed[0]["digests"])
    # The platform is collected too, and the broken department has its quarantine.
    assert kinds == {"department": PROVINCE + 2, "domain": PROVINCE, "public_credit": 1, "housekeeping": 1}
    assert all(one["digests"] == parsed[0]["digests"] for one in parsed)


def test_parse_takes_under_a_second_when_the_province_is_whole(parsed: list[dict[str, Any]]) -> None:
    fastest = {name: min(one["seconds"][name] for one in parsed) for name in parsed[0]["seconds"]}
    assert fastest["departments"] < PARSE_SECONDS
    assert fastest["domains"] < PARSE_SECONDS
    assert fastest["public_credit"] < PARSE_SECONDS
    assert fastest["housekeeping"] < PARSE_SECONDS


def test_airflow_finds_every_dag_when_it_reads_the_folder(parsed: list[dict[str, Any]]) -> None:
    for one in parsed:
        assert one["import_errors"] == {}
        assert one["warnings"] == []
        assert one["bag"] == sorted(one["digests"])
        assert "department__broken_one" in one["bag"]


def test_parse_loads_no_engine_and_no_client_when_dags_are_built(parsed: list[dict[str, Any]]) -> None:
    assert [one["heavy"] for one in parsed] == [[]] * len(SEEDS)


def test_department_dag_says_what_a_person_asks_when_opened() -> None:
    dags = generate_department_dags({})
    departments = load_departments().by_id
    assert set(dags) == {f"department__{identifier}" for identifier in departments}
    for identifier, department in departments.items():
        dag = dags[f"department__{identifier}"]
        assert department.title in dag.dag_display_name
        assert set(dag.tags) - {identifier} <= set(TAGS)
        assert identifier in dag.tags
        assert dag.owner == department.owner.team
        assert isinstance(dag.schedule, CronTriggerTimetable)
        assert (dag.schedule.expression, dag.schedule.timezone) == (department.schedule, "Asia/Shanghai")
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        for said in (*department.datasets, department.source.connection, department.owner.contact, "Clear"):
            assert said in (dag.doc_md or "")


@pytest.mark.semantics("8.1")
def test_department_dag_is_mapped_over_its_datasets_when_serialised() -> None:
    for identifier, department in load_departments().by_id.items():
        tasks = serialise(generate_department_dags({})[f"department__{identifier}"])
        collect = tasks["collect"]
        assert collect["_is_mapped"]
        assert collect["op_kwargs_expand_input"]["value"]["__var"]["dataset_id"] == list(department.datasets)
        assert "dataset_id" in collect["partial_kwargs"]["map_index_template"]
        assert collect["partial_kwargs"]["has_retry_policy"]
        assert collect["partial_kwargs"]["execution_timeout"]["__var"] > 0
        assert tasks["mark"]["trigger_rule"] == "all_done"
        assert [one["__var"]["name"] for one in tasks["mark"]["outlets"]] == [f"{identifier}/collected"]
        # Otherwise a run with a failed dataset would end as a success.
        assert set(collect["downstream_task_ids"]) == {"complete", "mark", "tell"}
        assert tasks["complete"]["trigger_rule"] == "none_failed"


def test_department_is_told_beside_the_marking_of_assets_when_some_datasets_failed() -> None:
    for dag in generate_department_dags({}).values():
        tasks = serialise(dag)
        assert tasks["tell"]["trigger_rule"] == "all_done"
        assert tasks["tell"]["has_retry_policy"]
        assert tasks["tell"]["downstream_task_ids"] == ["complete"]
        assert tasks["mark"]["downstream_task_ids"] == ["complete"]


@pytest.mark.semantics("6.18")
def test_heads_are_witnessed_once_a_day_when_the_gateway_keeps_house() -> None:
    (dag,) = generate_housekeeping_dags().values()
    assert dag.dag_id == "housekeeping"
    assert isinstance(dag.schedule, CronTriggerTimetable)
    assert dag.schedule.timezone == "Asia/Shanghai"
    assert re.fullmatch(r"[0-5]?\d 23 \* \* \*", dag.schedule.expression), "a checkpoint is of the end of its day"
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.owner
    assert set(dag.tags) <= set(TAGS)
    for said in (dag.schedule.expression, "xinqiao checkpoint", "Clear"):
        assert said in (dag.doc_md or "")
    tasks = serialise(dag)
    assert set(tasks) == {"purge", "compact", "checkpoint", "remind"}
    assert all(task["has_retry_policy"] for task in tasks.values())


def test_checkpoint_is_written_behind_the_purge_even_when_that_failed() -> None:
    (dag,) = generate_housekeeping_dags().values()
    tasks = serialise(dag)
    assert [tasks[name]["downstream_task_ids"] for name in ("purge", "compact")] == [["compact"], ["checkpoint"]]
    assert [tasks[name]["trigger_rule"] for name in ("compact", "checkpoint")] == ["all_done", "all_done"]
    for said in ("xinqiao purge", "xinqiao verify --all"):
        assert said in (dag.doc_md or "")


def test_api_is_asked_by_one_process_when_it_has_a_rate_limit() -> None:
    for department in load_departments().by_id.values():
        collect = serialise(generate_department_dags({})[f"department__{department.id}"])["collect"]
        at_once = collect["partial_kwargs"]["max_active_tis_per_dagrun"]
        assert (at_once == 1) == (department.source.kind == "http")


@pytest.mark.semantics("8.2")
def test_domain_dag_waits_for_its_models_datasets_when_scheduled() -> None:
    dags = generate_domain_dags({})
    library = load_models()
    models = {name: model for name, model in library.by_id.items() if name not in PUBLIC}
    assert set(dags) == {f"domain__{identifier}" for identifier in models}
    for identifier, model in models.items():
        dag = dags[f"domain__{identifier}"]
        schedule = dag.schedule
        assert isinstance(schedule, AssetOrTimeSchedule)
        assert isinstance(schedule.asset_condition, AssetAny)
        names = {one.name for one in schedule.asset_condition.objects if isinstance(one, Asset)}
        assert {
            f"{model.department}/profile",
            f"{model.department}/penalty",
            "provincial_platform/public_credit",
        } <= names
        day = max(model.effective.from_, date(2026, 6, 30))
        assert names >= {one for one in resolve(model, day, library.tables).inputs if "*" not in one}
        assert isinstance(schedule.timetable, CronTriggerTimetable)
        assert re.fullmatch(r"\d+-59/15 \* \* \* \*", schedule.timetable.expression)
        assert dag.max_active_runs == 1
        assert model.title in dag.dag_display_name
        assert set(dag.tags) - {model.department} <= set(TAGS)
        tasks = serialise(dag)
        assert tasks["publish"]["trigger_rule"] == "all_done"
        assert set(tasks["score"]["downstream_task_ids"]) == {"complete", "publish"}
        assert tasks["complete"]["trigger_rule"] == "none_failed"


def test_domain_is_scored_in_mapped_shards_when_the_environment_says_so() -> None:
    tasks = serialise(generate_domain_dags({"XINQIAO_SHARDS": "8"})["domain__work_safety"])
    assert set(tasks) == {"begin", "shard", "score", "publish", "complete"}
    assert tasks["shard"]["_is_mapped"]
    # One that was withheld is skipped, and what was not sent is sent all the same.
    assert tasks["score"]["trigger_rule"] == "none_failed_min_one_success"
    assert set(tasks["begin"]["downstream_task_ids"]) == {"shard", "score"}
    assert tasks["shard"]["downstream_task_ids"] == ["score"]
    assert set(tasks["score"]["downstream_task_ids"]) == {"complete", "publish"}


@pytest.mark.parametrize("count", ["3", "0", "128", "many"])
def test_number_of_shards_is_refused_when_subjects_cannot_be_dealt_so(count: str) -> None:
    with pytest.raises(ConfigurationError, match="XINQIAO_SHARDS"):
        generate_domain_dags({"XINQIAO_SHARDS": count})


def test_public_credit_is_mapped_over_the_five_subject_types_when_serialised() -> None:
    (dag,) = generate_public_credit_dags({}).values()
    assert dag.dag_id == "public_credit"
    assert isinstance(dag.schedule, CronTriggerTimetable)
    # On the first of a month, for the month before: industry records enter the next cycle.
    assert (dag.schedule.expression, dag.schedule.timezone) == ("0 8 1 * *", "Asia/Shanghai")
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.owner == load_departments()["provincial_platform"].owner.team
    assert set(dag.tags) <= set(TAGS)
    for said in (*PUBLIC, dag.schedule.expression, "xinqiao score public_credit_enterprise", "Clear"):
        assert said in (dag.doc_md or "")
    group = dag.task_group.children["evaluation"]
    assert group._expand_input.value == {"domain": PUBLIC}  # type: ignore[attr-defined]
    tasks = serialise(dag)
    assert tasks["evaluation.score"]["downstream_task_ids"] == ["evaluation.publish"]
    # By keyword, or the name of each mapped task could not be rendered.
    assert all("domain" in task["op_kwargs"] and not task["op_args"] for task in tasks.values())
    assert tasks["evaluation.publish"]["trigger_rule"] == "all_done"
    assert all(task["has_retry_policy"] for task in tasks.values())


def test_other_subject_types_are_evaluated_when_one_public_model_is_broken(files: Files) -> None:
    (model,) = files.models.glob("public_credit_enterprise@*.yaml")
    files.spoil(model, r"^bands: .*$", "bands: unheard_of")
    (dag,) = generate_public_credit_dags(files.environ).values()
    assert "stage/score" in dag.tags
    assert dag.task_group.children["evaluation"]._expand_input.value == {  # type: ignore[attr-defined]
        "domain": [domain for domain in PUBLIC if domain != "public_credit_enterprise"]
    }
    _, problems = serialise(dag)["problems_public_credit_enterprise"]["op_args"]
    assert "unheard_of" in "\n".join(problems)


def test_no_public_credit_dag_is_made_when_there_is_no_such_model(files: Files) -> None:
    for model in files.models.glob("public_credit_*.yaml"):
        model.unlink()
    assert generate_public_credit_dags(files.environ) == {}


def test_domain_waits_for_every_department_when_its_model_counts_all_of_them(files: Files) -> None:
    (model,) = files.models.glob("work_safety@*.yaml")
    files.spoil(
        model, r"counts: \{dataset: honour, where: .*, valid_until", 'counts: {dataset: "*/honour", valid_until'
    )
    files.spoil(model, r"^optional: .*$", "optional: {market_regulation/annual_report: P60D}")
    dag = generate_domain_dags(files.environ)["domain__work_safety"]
    assert isinstance(dag.schedule, AssetOrTimeSchedule)
    assert isinstance(dag.schedule.asset_condition, AssetAny)
    names = {one.name for one in dag.schedule.asset_condition.objects if isinstance(one, Asset)}
    holders = {one.id for one in load_departments().by_id.values() if "honour" in one.datasets}
    assert len(holders) > 1
    assert {f"{holder}/honour" for holder in holders} <= names
    assert not any("*" in name for name in names)


def test_thirty_fourth_department_has_its_dag_when_a_file_is_added(files: Files) -> None:
    added = files.departments / "natural_resources.yaml"
    shutil.copy(files.departments / "ecology_environment.yaml", added)
    files.spoil(added, "^id: .*$", "id: natural_resources")
    dags = generate_department_dags(files.environ)
    assert set(dags) == {*generate_department_dags({}), "department__natural_resources"}


def test_broken_department_is_quarantined_and_the_others_live_when_its_file_is_wrong(files: Files) -> None:
    broken = files.departments / "ecology_environment.yaml"
    files.spoil(broken, "^late_after:", "late_aftr:")
    files.spoil(broken, "^title:.*$", "title: 省生态环境厅\nunheard_of: 1")
    line = next(n for n, text in enumerate(broken.read_text(encoding="utf-8").splitlines(), 1) if "late_aftr" in text)
    dags = generate_department_dags(files.environ)
    assert set(dags) == set(generate_department_dags({}))
    check_quarantine(
        dags["department__ecology_environment"],
        f"ecology_environment.yaml:{line}:1 late_aftr",
        "unheard_of",
        "late_after",
    )
    healthy = [dag for dag_id, dag in dags.items() if dag_id != "department__ecology_environment"]
    assert all("stage/collect" in dag.tags for dag in healthy)


@pytest.mark.parametrize("content", [b"", b"id: [", b"\xff\xfe", b"id: x\nid: y\n", b"- 1\n"])
def test_department_is_quarantined_when_its_file_is_no_document(files: Files, content: bytes) -> None:
    (files.departments / "market_regulation.yaml").write_bytes(content)
    dags = generate_department_dags(files.environ)
    check_quarantine(dags["department__market_regulation"], "market_regulation.yaml:")
    assert "stage/collect" in dags["department__ecology_environment"].tags


def test_department_is_quarantined_when_airflow_refuses_its_schedule(files: Files) -> None:
    files.spoil(files.departments / "market_regulation.yaml", "^schedule: .*$", 'schedule: "99 2 * * *"')
    dag = generate_department_dags(files.environ)["department__market_regulation"]
    check_quarantine(dag, "market_regulation.yaml:", "99 2 * * *")


def test_quarantine_has_a_name_airflow_takes_when_the_file_has_none(files: Files) -> None:
    (files.departments / "环保 局.yaml").write_text("id: x\n", encoding="utf-8")
    assert "department__" + "_" * len("环保 局") in generate_department_dags(files.environ)


def test_domain_is_quarantined_and_the_others_live_when_its_model_is_wrong(files: Files) -> None:
    (model,) = files.models.glob("work_safety@*.yaml")
    files.spoil(model, r"^bands: .*$", "bands: unheard_of")
    dags = generate_domain_dags(files.environ)
    assert set(dags) == set(generate_domain_dags({}))
    check_quarantine(dags["domain__work_safety"], f"{model.name}:", "bands", "unheard_of")
    assert "stage/score" in dags["domain__enterprise_environment"].tags


def test_domain_is_quarantined_when_only_its_newest_version_is_wrong(files: Files) -> None:
    (files.models / "work_safety@2027.1.yaml").write_text("id: work_safety\n", encoding="utf-8")
    check_quarantine(generate_domain_dags(files.environ)["domain__work_safety"], "work_safety@2027.1.yaml:")


def test_domain_names_the_table_that_is_wrong_when_it_shares_it(tmp_path: Path) -> None:
    shutil.copytree(TABLES, tmp_path / "tables")
    (tmp_path / "tables" / "bands" / "default@2026.1.yaml").write_text("id: default\n", encoding="utf-8")
    models = load_models(MODELS, tmp_path / "tables")
    with pytest.raises(ConfigurationError) as raised:
        build_domain(models, load_departments(), "work_safety")
    files = {problem.file for problem in raised.value.problems}
    assert "tables/bands/default@2026.1.yaml" in files
    assert {file for file in files if not file.startswith("tables/")} == {next(MODELS.glob("work_safety@*.yaml")).name}


def test_only_the_wanted_dag_is_built_when_a_task_is_about_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "department__market_regulation")
    assert set(generate_department_dags({})) == {"department__market_regulation"}
    assert generate_domain_dags({}) == {}
    assert generate_public_credit_dags({}) == {}
    assert generate_housekeeping_dags() == {}


def test_deadline_is_counted_from_queueing_when_a_department_is_late() -> None:
    dag = generate_department_dags({})["department__market_regulation"]
    (deadline,) = DagSerialization.to_dict(dag)["dag"]["deadline"]
    assert deadline["reference"]["reference_type"] == "DagRunQueuedAtDeadline"
    assert deadline["callback"]["__data__"]["path"] == "gateway.airflow.lateness.report_lateness"


def test_only_the_task_sdk_is_imported_when_dags_are_written() -> None:
    for path in airflow_sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong = [name for name in names if name.split(".")[0] == "airflow" and not ALLOWED.fullmatch(name)]
            assert wrong == [], path


def test_no_task_depends_on_the_logical_date_when_a_run_may_have_none() -> None:
    for path in airflow_sources():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""logical_date|execution_date|["'{ ]ds["'} ]|data_interval_start""", text), path


def airflow_sources() -> list[Path]:
    found = [*(ROOT / "dags").rglob("*.py"), *(ROOT / "gateway" / "airflow").rglob("*.py")]
    assert len(found) > 5
    return found


def serialise(dag: DAG) -> dict[str, Any]:
    return {task["__var"].get("task_id"): task["__var"] for task in DagSerialization.to_dict(dag)["dag"]["tasks"]}


def check_quarantine(dag: DAG, *expected: str) -> None:
    assert "stage/quarantine" in dag.tags
    assert set(dag.tags) <= {*TAGS, *load_departments().by_id}
    (task,) = serialise(dag).values()
    assert task.get("retries", 0) == 0
    _, problems = task["op_args"]
    for text in expected:
        assert text in "\n".join(problems)
        assert text in (dag.doc_md or "")
