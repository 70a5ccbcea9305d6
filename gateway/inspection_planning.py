"""Plan the inspections of a domain: who is inspected and by whom, drawn from the standing grades, logged in the lake.

A task is drawn once. Its log (``inspections/domain=<id>/task=<task>/plan-<sha256>.json``) holds everything the
draw depended on, so that an auditor can draw it again; whoever wants another outcome needs another task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.datasets import NEWEST_FIRST
from exchange_formats.digests import canonical_json, digest_bytes
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.keys import inspection_plan_key, inspection_task_prefix, landing_prefix
from exchange_formats.manifests import RunManifest, Sha256
from gateway.artefacts import open_artefact
from gateway.locks import work_alone
from gateway.runs import find_run, newest_run, read_model
from scoring.grammar import Counts
from scoring.inspection_plan import Allowance, Candidate, InspectionList, Inspector, Pool, plan_inspections
from scoring.plan import condition, dataset_of, relation
from scoring.quantities import covered_since, days_before
from scoring.resolution import ResolvedModel
from scoring.tables import NeverSkipped

#: Characters of an inspector's number at most.
LONGEST_NUMBER: Final = 40
_ROWS: Final = 8_192
_TASK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
#: Inspections that the frequency cap counts: those that are planned, not those that something demanded.
_ROUTINE: Final = "method IN ('double_random', 'routine') OR method IS NULL"


class RosterEntry(BaseModel):
    """One inspector as the log keeps them: by number, never by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[str, Field(min_length=1, max_length=LONGEST_NUMBER)]
    cities: tuple[str, ...] = ()
    avoids: tuple[str, ...] = ()


class InspectionPlan(BaseModel):
    """The log of one draw: what it depended on, and its outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: Literal["inspection_plan"] = "inspection_plan"
    domain: str
    task: str
    seed: str
    method: Literal["SM3(seed, task, subject); SM3(seed, task, subject, inspector)"] = (
        "SM3(seed, task, subject); SM3(seed, task, subject, inspector)"
    )
    #: Inspections are counted, and demanded, as of the end of this day.
    day: date
    run_id: str
    run_sha256: Sha256
    #: "department/dataset" → heads of what was read besides the run.
    cut: Mapping[str, tuple[Sha256, ...]]
    inspectors: tuple[RosterEntry, ...]
    outcome: InspectionList

    def encode(self) -> bytes:
        """The canonical bytes that are stored."""
        return canonical_json(self)


@dataclass(frozen=True, slots=True)
class PlannedInspections:
    """A plan, the key it is stored under, and whether this call drew it."""

    plan: InspectionPlan
    resolved: ResolvedModel
    key: str
    new: bool


def draw_inspections(
    domain: str, task: str, *, seed: str, day: date, inspectors: Sequence[RosterEntry], lake: Lake, spool: Path
) -> PlannedInspections:
    """Draw the inspections of ``task`` from the domain's newest run, or say again what was drawn.

    Raises:
        ConfigurationError: the task's number cannot stand in a key, or it was drawn with other inputs.
        SkippableError: the domain has no run.
        TransientError: another process draws for the domain here.
    """
    if not _TASK.fullmatch(task):
        raise ConfigurationError(
            f"任务编号无效 / not a task number: {task!r}", hint="2 to 64 letters, digits, dots, hyphens: 2026Q3-01"
        )
    run = newest_run(lake, domain)
    resolved = read_model(lake, run)
    # Two draws at once could both find the task undrawn, and leave a choice between two lists.
    with work_alone(f"inspections-{domain}", spool):
        sources = _sources(resolved)
        cut = {one: heads for one in sources if (heads := lake.heads(landing_prefix(*one.split("/"))))}
        plan = _draw(lake, run, resolved, cut, task=task, seed=seed, day=day, inspectors=tuple(inspectors), spool=spool)
        key = inspection_plan_key(domain, task, digest_bytes(plan.encode()))
        stored = sorted(lake.store.list_keys(inspection_task_prefix(domain, task)))
        if stored and key not in stored:
            raise ConfigurationError(
                f"任务 {task} 已经抽取过 / task {task} was drawn already: {stored[0]}",
                hint="a task is drawn once; use another task number, or --replay to see and prove what was drawn",
            )
        if not stored:
            lake.store.put_bytes(key, plan.encode())
    return PlannedInspections(plan, resolved, key, new=not stored)


def replay_inspections(domain: str, task: str, *, lake: Lake, spool: Path) -> PlannedInspections:
    """Draw a stored plan again from what its log names, and compare.

    Raises:
        ConfigurationError: the task was never drawn.
        FatalError: the log is not what its name says, or what it names gives another list.
    """
    keys = sorted(lake.store.list_keys(inspection_task_prefix(domain, task)))
    if not keys:
        raise ConfigurationError(f"任务 {task} 没有抽取过 / task {task} of {domain} was never drawn")
    stored = _read(lake, keys[0])
    run = find_run(lake, domain, stored.run_sha256)
    resolved = read_model(lake, run)
    again = _draw(
        lake,
        run,
        resolved,
        stored.cut,
        task=stored.task,
        seed=stored.seed,
        day=stored.day,
        inspectors=stored.inspectors,
        spool=spool,
    )
    if again != stored:
        raise FatalError(
            f"重新抽取的结果不同 / drawing {keys[0]} again gives another list",
            hint="the log, the run or the inspections it names were changed; run: xinqiao verify --all",
        )
    return PlannedInspections(stored, resolved, keys[0], new=False)


def _read(lake: Lake, key: str) -> InspectionPlan:
    data = lake.store.get_bytes(key)
    if not key.endswith(f"plan-{digest_bytes(data)}.json"):
        raise FatalError(f"摘要不符 / not what its name says: {key}", hint="it was changed in the store")
    try:
        return InspectionPlan.model_validate_json(data)
    except ValidationError as error:
        raise FatalError(f"检查计划不可读 / the inspection plan cannot be read: {key}") from error


def _draw(
    lake: Lake,
    run: RunManifest,
    resolved: ResolvedModel,
    cut: Mapping[str, tuple[str, ...]],
    *,
    task: str,
    seed: str,
    day: date,
    inspectors: tuple[RosterEntry, ...],
    spool: Path,
) -> InspectionPlan:
    staff = [Inspector(one.number, frozenset(one.cities), frozenset(one.avoids)) for one in inspectors]
    with Spool(spool, f"inspections-{run.domain}") as folder, closing(_connect(folder)) as connection:
        connection.register("grades", open_artefact(lake, run, "grades"))
        for source, heads in cut.items():
            department, _, dataset = source.partition("/")
            connection.register(relation("landed", source), lake.records(department, dataset, heads))
            names = {"newest": relation("newest", source), "landed": relation("landed", source)}
            connection.execute(_NEWEST.format(**names, newest_first=NEWEST_FIRST))
        _demand(connection, resolved, cut, day)
        own = f"{resolved.model.department}/inspection"
        inspections = relation("newest", own) if own in cut else None
        pools = [
            Pool(
                grade,
                Allowance(row.ratio_percent, row.frequency.times),
                run.subjects_by_grade.get(grade, 0),
                _read_candidates(connection, grade, inspections, covered_since(day, row.frequency.per), day),
            )
            for grade, row in resolved.measures.grades.items()
            if run.subjects_by_grade.get(grade, 0)
        ]
        outcome = plan_inspections(pools, staff, seed=seed, task=task)
    return InspectionPlan(
        domain=run.domain,
        task=task,
        seed=seed,
        day=day,
        run_id=run.run_id,
        run_sha256=run.sha256,
        cut=cut,
        inspectors=inspectors,
        outcome=outcome,
    )


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(folder / "duckdb")})


#: The newest version of every record that was not revoked.
_NEWEST: Final = (
    'CREATE TEMP TABLE "{newest}" AS SELECT * FROM (SELECT * FROM "{landed}" '
    "QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {newest_first}) = 1) AS newest WHERE revoked_on IS NULL"
)


def _demand(
    connection: duckdb.DuckDBPyConnection, resolved: ResolvedModel, cut: Mapping[str, object], day: date
) -> None:
    """The table ``demanded``: subject and rule of every check that no ratio and no cap holds back."""
    connection.execute("CREATE TEMP TABLE demanded (subject_ref VARCHAR, rule VARCHAR, place INTEGER)")
    for place, (name, rule) in enumerate(resolved.measures.never_skip.items()):
        source = rule.counts.source(resolved.model.department)
        if source not in cut:
            continue
        dataset = dataset_of(source)
        holds = condition(source, rule.counts.where).sql(dialect="duckdb", identify=True)
        connection.execute(
            f'INSERT INTO demanded SELECT DISTINCT subject_ref, $name, $place FROM "{relation("newest", source)}" '
            f'WHERE {holds} AND "{dataset.event_on}" BETWEEN $since AND $day{_still_valid(rule)}',
            {"name": name, "place": place, "since": days_before(day, rule.within), "day": day},
        )


def _still_valid(rule: NeverSkipped) -> str:
    column = rule.counts.valid_until
    return f' AND ("{column}" IS NULL OR "{column}" >= $day)' if column else ""


def _read_candidates(
    connection: duckdb.DuckDBPyConnection, grade: str, inspections: str | None, since: date, day: date
) -> Iterator[Candidate]:
    """The subjects of a grade, with their routine inspections since then; None: no inspections were collected."""
    inspected = (
        f'SELECT subject_ref, count(*) AS times FROM "{inspections}" WHERE ({_ROUTINE}) '
        "AND inspected_on BETWEEN $since AND $day GROUP BY subject_ref"
        if inspections
        else "SELECT NULL::VARCHAR AS subject_ref, 0 AS times WHERE $since IS NOT NULL AND $day IS NOT NULL"
    )
    query = (
        "SELECT g.subject_ref, g.subject_name, g.city_code, coalesce(i.times, 0) AS times, "
        "(SELECT list(rule ORDER BY place) FROM demanded AS d WHERE d.subject_ref = g.subject_ref) AS rules "
        f"FROM grades AS g LEFT JOIN ({inspected}) AS i ON i.subject_ref = g.subject_ref "
        "WHERE g.grade = $grade ORDER BY g.subject_ref"
    )
    # One pool is read after the other, so the connection streams one query at a time.
    found = connection.sql(query, params={"grade": grade, "since": since, "day": day})
    reader: pa.RecordBatchReader = found.to_arrow_reader(_ROWS)
    for batch in reader:
        for row in batch.to_pylist():
            yield Candidate(
                row["subject_ref"],
                row["subject_name"],
                row["city_code"],
                grade,
                row["times"],
                tuple(row["rules"] or ()),
            )


def _sources(resolved: ResolvedModel) -> tuple[str, ...]:
    """What a plan reads besides the run: the department's inspections, and what may demand a check."""
    department = resolved.model.department
    demanded = [rule.counts.source(department) for rule in resolved.measures.never_skip.values()]
    return tuple(sorted({Counts(dataset="inspection").source(department), *demanded}))
