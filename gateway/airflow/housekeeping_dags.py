"""``housekeeping``: at the end of each day purge, compact, and tell the witness every chain's heads (semantics §6)."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable

from gateway.airflow.department_dags import default_arguments
from gateway.airflow.guides import describe_housekeeping
from gateway.airflow.housekeeping_tasks import compact, purge, remind
from gateway.airflow.names import GATEWAY_TEAM, HOUSEKEEPING, KIND_GATEWAY, STAGE_PURGE, STAGE_WITNESS, TIMEZONE
from gateway.airflow.tasks import commit_heads

#: A checkpoint says how the chains stand at the end of its day; departments are collected in the small hours.
_SCHEDULE = "50 23 * * *"


def build_housekeeping_dag() -> DAG:
    """The DAG of the gateway itself; it reads no file."""
    dag = DAG(
        dag_id=HOUSEKEEPING,
        dag_display_name="日终清除与存证",
        description="到期数据清除, 小批次合并, 链头存证 purge, compact, and the heads of every chain to the platform",
        doc_md=describe_housekeeping(_SCHEDULE),
        schedule=CronTriggerTimetable(_SCHEDULE, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(GATEWAY_TEAM),
        tags=[KIND_GATEWAY, STAGE_PURGE, STAGE_WITNESS],
    )
    with dag:
        # A purge is a link of its chain: the checkpoint behind it tells the witness of it the same day.
        remind()
        purge() >> compact() >> commit_heads.override(trigger_rule="all_done")()
    return dag
