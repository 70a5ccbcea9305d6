"""``domain__<id>``: score a domain when its datasets were updated and every quarter of an hour, publish what is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from zlib import crc32

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable, XComArg

from connectors.department import Departments
from gateway.airflow.department_dags import default_arguments
from gateway.airflow.guides import describe_domain
from gateway.airflow.names import (
    DOMAIN_PREFIX,
    KIND_DOMAIN,
    STAGE_PUBLISH,
    STAGE_SCORE,
    TIMEZONE,
    dataset_asset,
    name_dag,
)
from gateway.airflow.tasks import Reference, begin, finish, publish, score, score_part
from scoring.grammar import EVERY, Counts, stands_for
from scoring.library import Models
from scoring.model import Indicator, Model, Override, PublicCreditDimension
from scoring.tables import Measures
from scoring.warning_tables import WarningTable

_SWEEP_MINUTES = 15


def model_inputs(model: Model, models: Models) -> tuple[str, ...]:
    """Every ``department/dataset`` the model reads, its shared tables included; sorted."""
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    counted = [counts for part in parts for counts in part.counts]
    counted += [
        Counts(dataset=dimension.dataset)
        for dimension in model.dimensions.values()
        if isinstance(dimension, PublicCreditDimension)
    ]
    counted += [Counts(dataset=name) for name in model.required]
    counted += [statistic.counts for statistic in model.statistics.values()]
    counted += [Counts(dataset=model.reported.dataset)] if model.reported else []
    for warnings in models.tables.every("warnings", model.warnings, WarningTable):
        counted += warnings.counts()
    for measures in models.tables.every("measures", model.measures, Measures):
        counted += [measures.severe_list] if measures.severe_list else []
    return tuple(sorted({*model.subjects_sources, *(counts.source(model.department) for counts in counted)}))


def sweep_schedule(domain: str) -> str:
    """A cron expression: every quarter of an hour, each domain at its own minute."""
    return f"{crc32(domain.encode()) % _SWEEP_MINUTES}-59/{_SWEEP_MINUTES} * * * *"


def build_domain_dag(model: Model, models: Models, departments: Departments, team: str, shards: int = 1) -> DAG:
    """The DAG of a domain with sound models; ``model`` is the newest version, ``team`` who answers for it.

    ``shards``: how many tasks score it side by side, each some of the subjects; the result is the same.
    """
    named = {source for version in models.versions[model.id] for source in model_inputs(version, models)}
    known = {f"{one.id}/{dataset}" for one in departments.by_id.values() for dataset in one.datasets}
    inputs = sorted({one for source in named for one in stands_for(source, named | known) if EVERY not in one})
    schedule = AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(sweep_schedule(model.id), timezone=TIMEZONE),
        assets=AssetAny(*(dataset_asset(source) for source in inputs)),
    )
    dag = DAG(
        dag_id=name_dag(DOMAIN_PREFIX, model.id),
        dag_display_name=f"评价 {model.title}",
        description=f"{model.title}: 评价并发布 score and publish {model.title_en}",
        doc_md=describe_domain(model, inputs, sweep_schedule(model.id)),
        schedule=schedule,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(team),
        tags=[KIND_DOMAIN, STAGE_SCORE, STAGE_PUBLISH, model.department],
    )
    with dag:
        scored = score(model.id) if shards == 1 else _score_in_shards(model.id, shards)
        published = publish(model.id)
        scored >> published
        [scored, published] >> EmptyOperator(task_id="complete", trigger_rule="none_failed")
    return dag


def _score_in_shards(domain: str, count: int) -> XComArg:
    begun = begin(domain, count)
    parts = score_part.override(map_index_template="{{ task.op_kwargs['part']['index'] }}")
    scored = finish(domain, cast("Sequence[Reference]", begun))
    parts.partial(domain=domain).expand(part=begun) >> scored
    return scored
