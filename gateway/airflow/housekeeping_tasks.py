"""The tasks that keep house: delete what the law wants gone, copy small batches together, ask for overdue data."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.sdk import get_current_context, task

from exchange_formats.periods import shanghai_date
from gateway.airflow.connections import resolve_connection
from gateway.airflow.failures import as_airflow_sees_it
from gateway.airflow.tasks import Reference, run_instant

log = logging.getLogger(__name__)


@task(task_id="purge", multiple_outputs=False)
def purge() -> Reference:
    """Delete every part and reject that may be kept no longer on the day of the run."""
    from gateway.purging import purge_expired
    from gateway.workplace import open_workplace

    day = shanghai_date(run_instant(get_current_context()["dag_run"]))
    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        report = purge_expired(workplace.lake, day=day, now=lambda: datetime.now(UTC), spool=workplace.spool)
    if report.finished:
        log.info("补完上次中断的清除 finished an interrupted purge: %d", report.finished)
    for one in report.purges:
        said = f"记录 records {one.records}, 不合格 rejects {one.rejects}, 文件 files {one.files}"
        log.info("%s/%s: 已清除 deleted: %s (%s)", one.department, one.dataset, said, one.article)
    if not report.purges:
        log.info("没有到期的数据 nothing is due")
    return {
        "day": day.isoformat(),
        "records": sum(one.records for one in report.purges),
        "rejects": sum(one.rejects for one in report.purges),
        "manifests": [one.manifest_sha256 for one in report.purges],
        "finished": report.finished,
    }


@task(task_id="remind", multiple_outputs=False)
def remind() -> Reference:
    """Tell the owners of datasets that brought nothing for several of their cycles."""
    from gateway.reminders import remind_owners
    from gateway.workplace import open_workplace

    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        done = remind_owners(
            lake=workplace.lake,
            departments=workplace.departments,
            models=workplace.models,
            open_publisher=workplace.open_serving_publisher,
            now=lambda: datetime.now(UTC),
        )
    for source in done.overdue:
        log.warning("%s: 逾期未更新 overdue", source)
    return {"overdue": list(done.overdue), "told": done.told}


@task(task_id="compact", multiple_outputs=False, trigger_rule="all_done")
def compact() -> Reference:
    """Copy the small batches of each dataset that has many into few files."""
    from gateway.compaction import compact_lake
    from gateway.workplace import open_workplace

    with as_airflow_sees_it():
        workplace = open_workplace(resolve_connection)
        done = compact_lake(workplace.lake, spool=workplace.spool)
    for one in done:
        said = f"{one.batches} 个批次 batches, {one.parts} → {one.files} 个文件 files, {one.rows} 行 rows"
        log.info("%s/%s: %s", one.department, one.dataset, said)
    return {"datasets": len(done), "batches": sum(one.batches for one in done), "files": sum(one.files for one in done)}
