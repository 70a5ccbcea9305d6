"""Lateness: a department whose data is not there ``late_after`` its run was queued."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

# The stub of airflow.sdk forgets these three.
from airflow.sdk import (  # type: ignore[attr-defined]
    DAG,
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)

log = logging.getLogger(__name__)


async def report_lateness(*, context: Mapping[str, Any], title: str, contact: str, late_after: str) -> str:
    """Say in the triggerer's log that a run is late; Airflow asks for it also when the run failed before its deadline.

    ``context`` is not a task's: it holds the run as the REST API shows it.
    """
    run_id = context["dag_run"]["dag_run_id"]
    said = f"{title}: 数据迟到或采集失败 data late or collection failed ({run_id}, > {late_after}); 联系 {contact}"
    log.warning(said)
    return said


def attach_deadline(dag: DAG, late_after: timedelta, *, title: str, contact: str) -> None:
    """Have ``report_lateness`` called when a run is not done ``late_after`` it was queued.

    Beside the DAG, not within its making: ``dag.test()`` of Airflow 3.3 cannot run a DAG that has a deadline.
    """
    said = {"title": title, "contact": contact, "late_after": str(late_after)}
    dag.deadline = [
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=late_after,
            callback=AsyncCallback(f"{__name__}.{report_lateness.__name__}", kwargs=said),
        )
    ]
