"""The tasks: each calls one use case of the gateway and returns a reference to what it did, never data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task
from airflow.sdk.types import DagRunProtocol

from exchange_formats.errors import ConfigurationError
from exchange_formats.periods import shanghai_date
from gateway.airflow.connections import resolve_connection
from gateway.airflow.failures import as_airflow_sees_it
from gateway.airflow.names import dataset_asset, department_alias

if TYPE_CHECKING:
    from gateway.evaluation import RunReference

log = logging.getLogger(__name__)

#: What passes between tasks: ids, digests, counts.
Reference = dict[str, Any]


def run_instant(dag_run: DagRunProtocol) -> datetime:
    """The run's own moment, the same for every task and every retry: the end of its data interval, else its due time.

    A run started by an asset or by hand has no logical date and no interval.
    """
    return dag_run.data_interval_end or dag_run.run_after


@task(task_id="collect", multiple_outputs=False)
def collect(department_id: str, dataset_id: str) -> Reference:
    """Pull one dataset up to the run's moment and land it."""
    from gateway.collection import collect_dataset
    from gateway.workplace import open_workplace

    until = run_instant(get_current_context()["dag_run"])
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        result = collect_dataset(
            workplace.departments[department_id],
            dataset_id,
            until=until,
            lake=workplace.lake,
            resolve=workplace.resolve,
            pseudonyms=workplace.pseudonyms,
            spool=workplace.spool,
        )
    for note in result.notes:
        log.warning(note)
    counts = result.counts.model_dump() if result.counts else {}
    log.info("%s/%s: %s %s", department_id, dataset_id, result.result, counts)
    return {
        "dataset": dataset_id,
        "result": result.result,
        "batch_id": result.batch_id,
        "manifest_sha256": result.manifest_sha256,
        **counts,
    }


@task(task_id="mark", trigger_rule="all_done")
def mark(department_id: str, collected: Sequence[Mapping[str, Any]]) -> None:
    """Mark the asset of each dataset that was collected, all at once: a domain is scored once, not once a dataset."""
    events = get_current_context()["outlet_events"][department_alias(department_id)]
    # As a slice it is one request; Airflow ends an iteration over it by asking for one too many.
    for reference in collected[:]:
        source = f"{department_id}/{reference['dataset']}"
        events.add(dataset_asset(source), extra=dict(reference))
        log.info("已更新 up to date: %s", source)


@task(task_id="tell", multiple_outputs=False, trigger_rule="all_done")
def tell(department_id: str) -> Reference:
    """Tell a department what became of each of its batches and which records changed, also when a dataset failed."""
    from gateway.correspondence import tell_participant
    from gateway.workplace import open_workplace

    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        told = tell_participant(
            department_id,
            tuple(workplace.departments[department_id].datasets),
            lake=workplace.lake,
            open_publisher=workplace.open_serving_publisher,
            now=lambda: datetime.now(UTC),
        )
    for dataset, count in told.batches.items():
        if count:
            log.info("%s/%s: 已反馈 told of %d 个批次 batches", department_id, dataset, count)
    for one in told.notices:
        if one.withdrawn or one.corrected:
            said = f"撤回 withdrawn {one.withdrawn}, 更正 corrected {one.corrected}"
            log.info("%s/%s: %s", department_id, one.dataset, said)
    if not told.messages:
        log.info("%s: 没有新的可告知 nothing new to tell", department_id)
    return {
        "batches": sum(told.batches.values()),
        "withdrawn": sum(one.withdrawn for one in told.notices),
        "corrected": sum(one.corrected for one in told.notices),
    }


@task(task_id="score", multiple_outputs=False)
def score(domain: str) -> Reference:
    """Score a domain on what the lake holds, for the day that the run's own moment says."""
    from gateway.evaluation import choose_day, evaluate_domain
    from gateway.workplace import open_workplace

    today = shanghai_date(run_instant(get_current_context()["dag_run"]))
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        run = evaluate_domain(
            domain,
            as_of=choose_day(domain, today, workplace.models),
            lake=workplace.lake,
            models=workplace.models,
            spool=workplace.spool,
            expected=workplace.sources,
        )
    return _describe(run)


@task(task_id="begin")
def begin(domain: str, count: int) -> list[Reference]:
    """Write down the run to be made: its ``count`` shards, or nothing where that very run is there."""
    from gateway.evaluation import choose_day
    from gateway.sharded_evaluation import begin_run
    from gateway.workplace import open_workplace

    today = shanghai_date(run_instant(get_current_context()["dag_run"]))
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        run_id = begin_run(
            domain,
            as_of=choose_day(domain, today, workplace.models),
            lake=workplace.lake,
            models=workplace.models,
            spool=workplace.spool,
            expected=workplace.sources,
        )
    log.info("%s: %s", domain, run_id or "没有变化 nothing changed")
    return [{"run_id": run_id, "index": index, "count": count} for index in range(count)] if run_id else []


@task(task_id="shard", multiple_outputs=False)
def score_part(domain: str, part: Reference) -> None:
    """Score one shard of the subjects."""
    from exchange_formats.shards import Shard
    from gateway.sharded_evaluation import score_shard
    from gateway.workplace import open_workplace

    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        shard = Shard(index=part["index"], count=part["count"])
        score_shard(domain, part["run_id"], shard, lake=workplace.lake, spool=workplace.spool)


@task(task_id="score", multiple_outputs=False, trigger_rule="none_failed_min_one_success")
def finish(domain: str, parts: Sequence[Reference]) -> Reference:
    """Commit the run whose shards are scored."""
    from gateway.sharded_evaluation import finish_run
    from gateway.workplace import open_workplace

    if not parts:
        return {"new": False}
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        run = finish_run(domain, parts[0]["run_id"], len(parts), lake=workplace.lake, spool=workplace.spool)
    return _describe(run)


def _describe(run: RunReference) -> Reference:
    if run.stale:
        log.warning("陈旧, 未计入 stale, left out: %s", ", ".join(run.stale))
    if run.backfill:
        log.warning("回溯评价, 只作更正发布 a backfill: published as a correction only")
    log.info("%s %s: %s", run.model, "新的运行 new run" if run.new else "没有变化 nothing changed", run.run_id)
    return {
        "as_of": run.as_of.isoformat(),
        "run_id": run.run_id,
        "manifest_sha256": run.manifest_sha256,
        "subjects": run.subjects,
        "new": run.new,
    }


@task(task_id="publish", multiple_outputs=False, trigger_rule="all_done")
def publish(domain: str) -> Reference:
    """Send every run of a domain that the lake holds and nobody has sent, also when there is none or scoring failed."""
    from gateway.publication import publish_domain
    from gateway.workplace import open_workplace

    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        result = publish_domain(
            domain,
            lake=workplace.lake,
            open_publisher=workplace.open_publisher,
            now=lambda: datetime.now(UTC),
            spool=workplace.spool,
            served=workplace.served,
        )
    return {
        "runs": [run.run_id for run in result.runs],
        "withheld": list(result.withheld),
        "messages": result.messages,
        "results": result.results,
        "warnings": result.warnings,
    }


@task(task_id="checkpoint", multiple_outputs=False)
def commit_heads() -> Reference:
    """Write down the heads of every chain under the day of the run, and send them to the witness."""
    from gateway.checkpoints import commit_checkpoint
    from gateway.workplace import open_workplace

    day = shanghai_date(run_instant(get_current_context()["dag_run"]))
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        result = commit_checkpoint(
            day,
            lake=workplace.lake,
            open_publisher=workplace.open_serving_publisher,
            now=lambda: datetime.now(UTC),
            spool=workplace.spool,
        )
    said = result.checkpoint
    what = "新存证 new" if result.new else "链头未变 the heads are the same"
    log.info("%s %s: %s, 链 chains %d, 已发送 sent %d", said.day, said.sha256, what, len(said.chains), result.sent)
    return {
        "day": said.day.isoformat(),
        "sha256": said.sha256,
        "chains": len(said.chains),
        "new": result.new,
        "sent": result.sent,
    }


@task(task_id="problems")
def report_problems(file: str, problems: list[str]) -> None:
    """Fail with every problem of a file."""
    raise ConfigurationError(f"配置有错误 {file} has {len(problems)} problem(s):\n" + "\n".join(problems))
