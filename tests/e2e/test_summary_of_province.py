"""What ``make demo`` awaits and shows, on the running province (after ``test_province`` has filled it)."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from exchange_formats.periods import shanghai_date
from gateway.cli.demo import show_summary
from gateway.demonstration import (
    Step,
    await_evaluations,
    choose_scope,
    collect_departments,
    consume_all,
    prepare_dags,
)
from tests.e2e.conftest import Province
from tests.e2e.test_province import SIMULATED


def test_demo_awaits_and_shows_the_province_when_everything_runs(province: Province) -> None:
    workplace = province.workplace
    scope = choose_scope(workplace, whole=False)
    assert {one.id for one in scope.departments} == set(SIMULATED)
    steps: list[Step] = []
    began = datetime.now(UTC)
    departments = scope.departments
    prepare_dags(province.airflow, scope)
    collect_departments(province.airflow, departments, steps.append)
    evaluations = await_evaluations(province.airflow, workplace, scope.models, shanghai_date(began), steps.append)
    assert {step.name for step in steps if step.state == "success"} >= {one.title for one in departments}
    assert [step for step in steps if step.total and step.done == step.total]
    received = consume_all(workplace, departments, province.inboxes / "demo")
    assert len(received) == len(departments)

    console = Console(width=160, record=True, file=StringIO())
    show_summary(console, workplace, departments, evaluations, received, began)
    shown = console.export_text()
    for department in departments:
        assert department.title in shown
    for row in evaluations:
        assert f"{row.title}: {row.run.subjects:,} 个主体" in shown
        assert row.receipt is not None
        assert row.run.subjects == sum(row.run.subjects_by_grade.values()) > 0
    assert "合计: " in shown, "one subject is explained"
