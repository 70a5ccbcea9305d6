"""``public_credit``: our own evaluation of the five subject types, each month for the month that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow.sdk import DAG, CronTriggerTimetable, task_group

from exchange_formats.errors import Problem
from gateway.airflow.department_dags import default_arguments
from gateway.airflow.guides import describe_public_credit
from gateway.airflow.names import (
    KIND_DOMAIN,
    PUBLIC_CREDIT,
    STAGE_PUBLISH,
    STAGE_SCORE,
    TIMEZONE,
)
from gateway.airflow.tasks import publish, report_problems, score
from scoring.model import Model

#: By then the night's collection has brought what departments decided on the last day of the month.
_SCHEDULE = "0 8 1 * *"
_DOMAIN = "{{ task.op_kwargs['domain'] }}"


def build_public_credit_dag(models: Sequence[Model], broken: Mapping[str, Sequence[Problem]], team: str) -> DAG:
    """The DAG of all sound public-credit models, and of those that are ``broken`` a task each that says why."""
    dag = DAG(
        dag_id=PUBLIC_CREDIT,
        dag_display_name="评价 五类主体公共信用",
        description="评价已结束的周期并发布 score the cycle that has ended of all five subject types, and publish",
        doc_md=describe_public_credit(models, _SCHEDULE),
        schedule=CronTriggerTimetable(_SCHEDULE, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(team),
        tags=[KIND_DOMAIN, STAGE_SCORE, STAGE_PUBLISH],
    )
    with dag:

        @task_group(group_id="evaluation")
        def evaluate(domain: str) -> None:
            """One subject type; none waits for another."""
            scored = score.override(map_index_template=_DOMAIN)(domain=domain)
            scored >> publish.override(map_index_template=_DOMAIN)(domain=domain)

        evaluate.expand(domain=[model.id for model in models])
        for domain, problems in broken.items():
            report = report_problems.override(task_id=f"problems_{domain}", retries=0)
            report(f"{domain}@….yaml", [str(problem) for problem in problems])
    return dag
