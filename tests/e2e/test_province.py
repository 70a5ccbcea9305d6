"""Two rounds of the whole province through a real Airflow; the tests of this file build on each other's rounds."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow.compute as pc
import pytest

from connectors.department import load_departments
from connectors.rabbit.connection import open_channel
from exchange_formats.keys import domain_prefix, landing_prefix, statistics_prefix, warned_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.messages.checkpoints import CheckpointCommitted
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.feedback import FEEDBACK_REPORTED
from exchange_formats.periods import shanghai_date
from exchange_formats.topology import checkpoints_queue
from gateway.airflow.names import HOUSEKEEPING
from gateway.bus import connection_id
from gateway.figures import read_evaluations
from gateway.stack.airflow_client import DagRun
from gateway.stack.environment import read_environment
from tests.e2e.conftest import ADDED, BROKEN, BROKEN_LINE, Inbox, Province

pytestmark = pytest.mark.timeout(420)

PLATFORM = "provincial_platform"
ECOLOGY = "ecology_environment"
EMERGENCY = "emergency_management"
SIMULATED = (PLATFORM, "market_regulation", ECOLOGY, EMERGENCY)


@dataclass(frozen=True)
class Round:
    """One round: the departments' runs, the published run of each domain, what two participants took."""

    runs: Mapping[str, DagRun]
    published: Mapping[str, str]
    platform: Inbox
    ecology: Inbox


@pytest.fixture(scope="module")
def first(province: Province) -> Round:
    """Everything is collected for the first time."""
    runs = province.collect(*SIMULATED, ADDED, BROKEN)
    published = province.await_published()
    return Round(runs, published, province.consume(PLATFORM), province.consume(ECOLOGY))


@pytest.fixture(scope="module")
def feedback(province: Province, first: Round) -> list[Mapping[str, Any]]:
    """What the department of the file drop was told of its first batches."""
    events = [event for event in province.consume(EMERGENCY).latest if event["type"] == FEEDBACK_REPORTED]
    return [event["data"] for event in events]


@dataclass(frozen=True)
class Second:
    """The round after one subject came onto the severe list."""

    subject: str
    round: Round


@pytest.fixture(scope="module")
def second(province: Province, first: Round) -> Second:
    """One enterprise that only market regulation supervises is put on the list; its department is collected again."""
    others = read_active(province, ECOLOGY) | read_active(province, EMERGENCY)
    graded = [subject for (domain, subject), grade in sorted(first.platform.grades.items()) if grade == "A"]
    subject = next(one for one in graded if one not in others)
    source = read_environment(province.stack.home.environment_file)["XINQIAO_SIMULATOR_DATABASE"]
    with psycopg.connect(source) as connection:
        connection.execute(
            "INSERT INTO serious_violation (id, decwsh, entname, uscc, serillrea_cn, abntime, decorg_cn, cd_time) "
            "VALUES (900001, '严违列字〔2026〕900001号', '某公司', %s, '严重违法', current_date - 2, '省局', now())",
            (subject,),
        )
    runs = province.collect("market_regulation")
    published = province.await_published()
    return Second(subject, Round(runs, published, province.consume(PLATFORM), province.consume(ECOLOGY)))


def read_active(province: Province, department: str) -> set[str]:
    """The subjects of a department's profile that are in operation, straight from the lake."""
    table = province.workplace.lake.records(department, "profile").to_table(columns=["subject_ref", "status"])
    return set(table.filter(pc.field("status") == "active").column("subject_ref").to_pylist())


def test_every_dataset_is_collected_and_adds_up_when_the_departments_run(province: Province, first: Round) -> None:
    departments = load_departments()
    for identifier in SIMULATED:
        run = first.runs[identifier]
        assert run.state == "success"
        tasks = [task for task in province.airflow.tasks(run.dag_id, run.run_id) if task.task_id == "collect"]
        assert {task.label for task in tasks} == set(departments[identifier].datasets)
        for task in tasks:
            reference = province.airflow.xcom(run.dag_id, run.run_id, "collect", task.map_index)
            assert reference["read"] == reference["landed"] + reference["duplicates"] + reference["rejected"] > 0
            assert len(json.dumps(reference)) < 500
        marked = {f"{identifier}/{dataset}" for dataset in departments[identifier].datasets}
        assert set(province.airflow.marked(run.dag_id, run.run_id)) == marked


def test_other_datasets_go_on_when_one_fails(province: Province, first: Round) -> None:
    run = first.runs[ADDED]
    assert run.state == "failed"
    tasks = province.airflow.tasks(run.dag_id, run.run_id)
    states = {task.label: task.state for task in tasks if task.task_id == "collect"}
    assert {label for label, state in states.items() if state == "failed"} == {"honour"}
    assert {state for label, state in states.items() if label != "honour"} == {"success"}
    marked = province.airflow.marked(run.dag_id, run.run_id)
    assert set(marked) == {f"{ADDED}/{dataset}" for dataset in states if dataset != "honour"}


def test_fatal_error_is_not_retried_when_a_table_is_missing(province: Province, first: Round) -> None:
    run = first.runs[ADDED]
    (failed,) = (one for one in province.airflow.tasks(run.dag_id, run.run_id) if one.state == "failed")
    assert failed.attempt == 1
    assert "there_is_no_such_table" in province.airflow.log(run.dag_id, run.run_id, failed)


def test_lateness_is_reported_when_a_run_takes_longer_than_allowed(province: Province, first: Round) -> None:
    log = province.stack.home.logs / "airflow-triggerer.log"
    province.airflow.await_result(
        lambda: ("数据迟到" in (text := log.read_text(encoding="utf-8")) and first.runs[ADDED].run_id in text) or None,
        what="lateness in the triggerer's log",
        seconds=30,
    )


def test_quarantine_names_file_line_and_column_when_a_yaml_is_broken(province: Province, first: Round) -> None:
    run = first.runs[BROKEN]
    assert run.state == "failed"
    (task,) = province.airflow.tasks(run.dag_id, run.run_id)
    assert task.attempt == 1
    log = province.airflow.log(run.dag_id, run.run_id, task)
    assert f"{BROKEN}.yaml:{BROKEN_LINE}:1 late_aftr: unknown key" in log
    assert "the key is missing" in log


def test_domains_run_on_assets_when_departments_were_collected(province: Province, first: Round) -> None:
    for domain in first.published:
        kinds = {run.kind for run in province.airflow.runs(f"domain__{domain}")}
        assert "asset_triggered" in kinds
        assert kinds <= {"asset_triggered", "scheduled"}


def test_every_active_subject_has_a_grade_in_the_queue_when_published(province: Province, first: Round) -> None:
    models = province.workplace.models.by_id
    for domain, run_id in first.published.items():
        received = {subject for known, subject in first.platform.grades if known == domain}
        active = read_active(province, models[domain].department)
        manifest = read_run(province, domain, run_id)
        assert len(received) == manifest.subjects == sum(manifest.subjects_by_grade.values())
        assert received == {subject for subject in active if is_evaluated(subject)}


def test_participant_gets_only_what_it_subscribed_to_when_it_consumes(first: Round) -> None:
    domains = {domain for domain, _ in first.ecology.grades}
    assert domains == {"enterprise_environment", "work_safety"}
    assert first.ecology.grades == {key: grade for key, grade in first.platform.grades.items() if key[0] in domains}


def test_sender_is_told_of_every_batch_when_it_was_collected(
    province: Province, feedback: list[Mapping[str, Any]]
) -> None:
    lake = province.workplace.lake
    datasets = load_departments()[EMERGENCY].datasets
    landed = {batch.batch_id: batch.counts for name in datasets for batch in lake.batches(EMERGENCY, name)}
    assert len(landed) == len(datasets)
    assert {said["about"]["batch_id"]: said["counts"] for said in feedback} == {
        batch: counts.model_dump() for batch, counts in landed.items()
    }
    assert {said["participant"] for said in feedback} == {EMERGENCY}


def test_sender_finds_its_rejected_rows_when_it_reads_its_feedback(
    province: Province, feedback: list[Mapping[str, Any]]
) -> None:
    """Each row that was told of is looked up in the department's own file; stars stand for what is masked."""
    told = [row for said in feedback for row in said["rows"] if row["origin"].endswith(".csv") and row.get("value")]
    cells = [read_cell(province, row["origin"], row["row"], row["source_column"]) for row in told]
    for row, cell in zip(told, cells, strict=True):
        pattern = ".+".join(map(re.escape, re.split(r"\*+", row["value"])))
        assert re.fullmatch(pattern, cell), f"{row['origin']} {row['row']} {row['source_column']}"
    assert 0 < sum(row["value"] == cell for row, cell in zip(told, cells, strict=True)) < len(told)
    text = json.dumps(feedback, ensure_ascii=False)
    planted = province.planted
    secret = [cell for cell in cells if cell in planted.names or cell in planted.numbers]
    assert secret
    assert [cell for cell in secret if cell in text] == []


def test_nobody_but_the_sender_is_told_of_its_batches_when_others_consume(first: Round) -> None:
    told = {
        inbox: {event["data"]["participant"] for event in events if event["type"] == FEEDBACK_REPORTED}
        for inbox, events in ((PLATFORM, first.platform.latest), (ECOLOGY, first.ecology.latest))
    }
    assert told == {PLATFORM: {PLATFORM}, ECOLOGY: {ECOLOGY}}


def test_what_landed_is_told_all_the_same_when_another_dataset_failed(province: Province, first: Round) -> None:
    run = first.runs[ADDED]
    tasks = {task.task_id: task.state for task in province.airflow.tasks(run.dag_id, run.run_id)}
    assert tasks["tell"] == "success"
    told = province.airflow.xcom(run.dag_id, run.run_id, "tell")
    assert told == {
        "batches": len(load_departments()["market_regulation"].datasets) - 1,
        "withdrawn": 0,
        "corrected": 0,
    }


def test_platform_holds_the_heads_of_the_lake_when_the_gateway_keeps_house(province: Province, first: Round) -> None:
    workplace = province.workplace
    (run,) = province.airflow.wait([province.airflow.trigger(HOUSEKEEPING)], seconds=60)
    assert run.state == "success"
    # Around midnight the schedule keeps house, too.
    *_, checkpoint = take_checkpoints(province)
    roots = {"scored": domain_prefix, "statistics": statistics_prefix, "warned": warned_prefix}
    chains = {(root, domain): prefix(domain) for domain in first.published for root, prefix in roots.items()}
    found = {f"{root}/{domain}": workplace.lake.heads(prefix) for (root, domain), prefix in chains.items()}
    expected = {name: heads for name, heads in found.items() if heads}
    for department in workplace.departments.by_id.values():
        for dataset in department.datasets:
            heads = workplace.lake.heads(landing_prefix(department.id, dataset))
            expected |= {f"landing/{department.id}/{dataset}": heads} if heads else {}
    for row in read_evaluations(workplace.lake, workplace.models.by_id.values()):
        assert row.receipt is not None
        expected[f"published/{row.domain}"] = (row.receipt.seal or "",)
    assert {chain.name: chain.heads for chain in checkpoint.chains} == expected
    assert checkpoint.day == shanghai_date(datetime.now(UTC))

    (again,) = province.airflow.wait([province.airflow.trigger(HOUSEKEEPING)], seconds=60)
    said = province.airflow.xcom(again.dag_id, again.run_id, "checkpoint")
    assert (said["sha256"], said["new"], said["sent"]) == (checkpoint.sha256, False, 0)


def test_only_what_changed_is_published_when_one_record_came(second: Second) -> None:
    key = ("enterprise_credit_risk", second.subject)
    assert second.round.platform.latest_grades == {key: "E"}
    assert second.round.platform.latest_warnings == {key: "red"}
    assert second.round.ecology.latest == ()


def test_no_row_lands_twice_when_collected_again(province: Province, second: Second) -> None:
    run = second.round.runs["market_regulation"]
    tasks = [task for task in province.airflow.tasks(run.dag_id, run.run_id) if task.task_id == "collect"]
    landed = {
        task.label: province.airflow.xcom(run.dag_id, run.run_id, "collect", task.map_index)["landed"] for task in tasks
    }
    assert landed == {label: int(label == "listing") for label in landed}


def take_checkpoints(province: Province) -> list[CheckpointCommitted]:
    """What the platform takes from its queue of checkpoints with its own login."""
    taken = []
    with open_channel(province.workplace.resolve(connection_id(PLATFORM)), purpose="witness") as channel:
        while (got := channel.basic_get(checkpoints_queue(PLATFORM), auto_ack=True))[0] is not None:
            data = decode_event(bytes(got[2])).data
            assert isinstance(data, CheckpointCommitted)
            taken.append(data)
    return taken


def read_cell(province: Province, origin: str, row: int, column: str) -> str:
    """One cell of a CSV file in the drop folder; rows are counted as a person does, the header is the first."""
    path = province.stack.home.drop(EMERGENCY) / origin
    with path.open(encoding="gb18030", errors="replace", newline="") as file:
        lines = list(csv.reader(file))
    return lines[row - 1][lines[0].index(column)].strip()


def read_run(province: Province, domain: str, run_id: str) -> RunManifest:
    lake = province.workplace.lake
    prefix = domain_prefix(domain)
    found = [one for one in lake.chain(prefix) if isinstance(one, RunManifest) and one.run_id == run_id]
    return found[0]


def is_evaluated(subject: str) -> bool:
    """Codes that begin with 9 are enterprises; the models of this test evaluate them, and 5 social organisations."""
    return subject[0] in "95"
