"""A DAG in the place of one whose file is broken: same id, red, and it says why."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import DAG, CronTriggerTimetable

from gateway.airflow.guides import describe_quarantine
from gateway.airflow.names import GATEWAY_TEAM, STAGE_QUARANTINE, TIMEZONE
from gateway.airflow.tasks import report_problems

#: Seldom enough not to bury other news, often enough to be seen the day it happens.
_SCHEDULE = "0 */6 * * *"


def build_quarantine_dag(dag_id: str, file: str, problems: Sequence[str], tags: Sequence[str]) -> DAG:
    """A DAG with the id of the one that cannot be built; its only task fails with every problem of ``file``."""
    dag = DAG(
        dag_id=dag_id,
        dag_display_name=f"隔离 {dag_id}",
        description=f"{file} 有错误, 已隔离 is broken: {len(problems)} problem(s)",
        doc_md=describe_quarantine(file, problems),
        schedule=CronTriggerTimetable(_SCHEDULE, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": GATEWAY_TEAM, "retries": 0},
        tags=[STAGE_QUARANTINE, *tags],
    )
    with dag:
        report_problems(file, list(problems))
    return dag
