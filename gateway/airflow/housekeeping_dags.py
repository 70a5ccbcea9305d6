"""``housekeeping``: at the end of each day, tell the witness the heads of every chain (semantics §6)."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable

from gateway.airflow.department_dags import default_arguments
from gateway.airflow.guides import describe_housekeeping
from gateway.airflow.names import GATEWAY_TEAM, HOUSEKEEPING, KIND_GATEWAY, STAGE_WITNESS, TIMEZONE
from gateway.airflow.tasks import commit_heads

#: A checkpoint says how the chains stand at the end of its day; departments are collected in the small hours.
_SCHEDULE = "50 23 * * *"


def build_housekeeping_dag() -> DAG:
    """The DAG of the gateway itself; it reads no file."""
    dag = DAG(
        dag_id=HOUSEKEEPING,
        dag_display_name="日终存证",
        description="全部清单链的链头报省平台存证 the heads of every chain, to the provincial platform",
        doc_md=describe_housekeeping(_SCHEDULE),
        schedule=CronTriggerTimetable(_SCHEDULE, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(GATEWAY_TEAM),
        tags=[KIND_GATEWAY, STAGE_WITNESS],
    )
    with dag:
        commit_heads()
    return dag
