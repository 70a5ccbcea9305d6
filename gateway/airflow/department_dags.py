"""``department__<id>``: collect every dataset of a department, mark what was collected and tell what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronTriggerTimetable

from connectors.department import Department
from gateway.airflow.failures import RETRIES, SHORT_DELAY, ErrorClassPolicy
from gateway.airflow.guides import describe_department
from gateway.airflow.names import (
    DEPARTMENT_PREFIX,
    KIND_DEPARTMENT,
    KIND_PLATFORM,
    STAGE_COLLECT,
    STAGE_TELL,
    TIMEZONE,
    department_alias,
    name_dag,
)
from gateway.airflow.tasks import Reference, collect, mark, tell

#: A source kind → how many of a department's datasets are pulled at once. An API's rate limit holds for one process.
_AT_ONCE = {"http": 1, "sql": 4, "files": 4}
_LONGEST_TASK = timedelta(hours=2)


def default_arguments(team: str) -> dict[str, Any]:
    """What every task of ours has: its owner, an end, and retries by error class."""
    return {
        "owner": team,
        "retries": RETRIES,
        "retry_delay": SHORT_DELAY,
        "retry_policy": ErrorClassPolicy(),
        "execution_timeout": _LONGEST_TASK,
    }


def build_department_dag(department: Department) -> DAG:
    """The DAG of a sound department.

    ``mark`` waits for all datasets and takes those that came; ``tell`` goes beside it, so that
    no domain waits for messages; ``complete`` makes the run fail when any of them did.
    """
    dag = DAG(
        dag_id=name_dag(DEPARTMENT_PREFIX, department.id),
        dag_display_name=f"采集 {department.title}",
        description=f"{department.title}: 采集信用信息 collect from {department.title_en}",
        doc_md=describe_department(department),
        schedule=CronTriggerTimetable(department.schedule, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(department.owner.team),
        tags=[
            KIND_PLATFORM if department.kind == "platform" else KIND_DEPARTMENT,
            STAGE_COLLECT,
            STAGE_TELL,
            department.id,
        ],
    )
    with dag:
        collected = (
            collect.override(
                map_index_template="{{ task.op_kwargs['dataset_id'] }}",
                max_active_tis_per_dagrun=_AT_ONCE[department.source.kind],
            )
            .partial(department_id=department.id)
            .expand(dataset_id=list(department.datasets))
        )
        marked = mark.override(outlets=[department_alias(department.id)])(
            department.id, cast("Sequence[Reference]", collected)
        )
        told = tell(department.id)
        collected >> told
        [collected, marked, told] >> EmptyOperator(task_id="complete", trigger_rule="none_failed")
    dag.timetable.validate()
    return dag
