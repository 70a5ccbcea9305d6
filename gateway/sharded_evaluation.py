"""Evaluate a domain in several processes, a shard of the subjects each: begin, score every shard, finish.

What is to be done and what each shard came to lie in the lake until the run is committed, so no process
has to remember anything and a shard that was killed is done again to the same bytes. The run is the one
that ``evaluate_domain`` makes: the same name, the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.digests import canonical_json
from exchange_formats.errors import FatalError
from exchange_formats.keys import work_prefix
from exchange_formats.manifests import LackingInput, RunManifest
from exchange_formats.shards import Shard, ShardResult, split_shards
from gateway.cuts import Cut, open_inputs
from gateway.evaluation import (
    RunReference,
    Task,
    commit_run,
    find_committed,
    prepare,
    refer,
)
from gateway.evaluation_attempts import Attempt
from gateway.memory import read_memory_limit
from gateway.warning_log import record_warnings
from scoring.engine import evaluate_shard
from scoring.evaluations import combine_shards
from scoring.library import Models
from scoring.resolution import ResolvedModel

_TASK: Final = "task.json"
T = TypeVar("T", bound=BaseModel)


class _StoredTask(BaseModel):
    """A run to be made, as its shards read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolved: ResolvedModel
    as_of: date
    heads: dict[str, tuple[str, ...]]
    evaluations: dict[str, str]
    statistics: str | None
    lacking: tuple[LackingInput, ...]
    backfill: bool


def begin_run(
    domain: str,
    *,
    as_of: date,
    lake: Lake,
    models: Models,
    spool: Path,
    expected: Collection[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str | None:
    """Write down the run to be made; its id, or None where that very run is there. Errors as ``evaluate_domain``."""
    with Attempt(lake, domain, as_of, now) as attempt:
        task = prepare(domain, as_of=as_of, lake=lake, models=models, spool=spool, expected=expected)
        found = find_committed(lake, task)
        if found is not None:
            attempt.commit(found, task.cut.lacking, new=False)
            return None
        stored = _StoredTask(
            resolved=task.resolved,
            as_of=as_of,
            heads=dict(task.cut.heads),
            evaluations=dict(task.cut.evaluations),
            statistics=task.cut.statistics,
            lacking=task.cut.lacking,
            backfill=task.backfill,
        )
        lake.store.put_bytes(work_prefix(domain, task.run_id) + _TASK, stored.model_dump_json(by_alias=True).encode())
    return task.run_id


def score_shard(domain: str, run_id: str, shard: Shard, *, lake: Lake, spool: Path) -> None:
    """Score one shard of a run that was begun, unless it is done.

    Raises:
        TransientError, FatalError: the store, memory or disk; done again, it gives the same bytes.
    """
    done = _result_key(domain, run_id, shard)
    if lake.store.exists(done):
        return
    task = _read_task(lake, domain, run_id)
    limit = read_memory_limit()
    with Spool(spool, f"score-{domain}-{shard.index}") as folder:
        inputs = open_inputs(lake, task.cut)
        result = evaluate_shard(task.resolved, inputs, task.as_of, folder, shard, memory_limit=limit)
        for file in result.files:
            lake.store.put_file(task.prefix + file.name, folder / file.name)
    lake.store.put_bytes(done, canonical_json(result))


def finish_run(
    domain: str,
    run_id: str,
    count: int,
    *,
    lake: Lake,
    spool: Path,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RunReference:
    """Commit a run of which all ``count`` shards are scored.

    Raises:
        FatalError: a shard is missing.
        TransientError: the store is away.
    """
    task = _read_task(lake, domain, run_id)
    with Attempt(lake, domain, task.as_of, now) as attempt:
        found = find_committed(lake, task)
        manifest = found or _combine(lake, task, count, spool)
        attempt.commit(manifest, task.cut.lacking, new=found is None)
    if found is None:
        record_warnings(lake, manifest, spool=spool)
    # The task goes last: until then a process that was killed here can be done again.
    notes = sorted(lake.store.list_keys(work_prefix(domain, run_id)), key=lambda key: key.endswith(_TASK))
    for key in notes:
        lake.store.delete(key)
    return refer(manifest, task, new=found is None)


def _combine(lake: Lake, task: Task, count: int, spool: Path) -> RunManifest:
    domain = task.resolved.model.id
    results = [_read_result(lake, domain, task.run_id, shard) for shard in split_shards(count)]
    with Spool(spool, f"score-{domain}") as folder:
        evaluation = combine_shards(task.resolved, task.cut.sources, task.as_of, folder, results)
        kept = {file.name for artefact in evaluation.artefacts for file in artefact.files}
        for path in (folder / name for name in sorted(kept)):
            if path.exists():  # what spans the shards
                lake.store.put_file(task.prefix + path.name, path)
    for name in (file.name for result in results for file in result.files if file.name not in kept):
        lake.store.delete(task.prefix + name)  # nothing is in it
    return commit_run(lake, task, evaluation)


def _read_task(lake: Lake, domain: str, run_id: str) -> Task:
    stored = _read(lake, work_prefix(domain, run_id) + _TASK, _StoredTask)
    cut = Cut(stored.heads, stored.evaluations, stored.statistics, stored.lacking)
    task = Task(stored.resolved, stored.as_of, cut, backfill=stored.backfill)
    if task.run_id != run_id:
        raise FatalError(
            f"任务与运行不符 / the stored task is not that of run {run_id}: another version of xinqiao wrote it",
            hint="clear the whole DAG run: it begins anew",
        )
    return task


def _read_result(lake: Lake, domain: str, run_id: str, shard: Shard) -> ShardResult:
    return _read(lake, _result_key(domain, run_id, shard), ShardResult)


def _read(lake: Lake, key: str, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(lake.store.get_bytes(key))
    except ValidationError as error:
        raise FatalError(f"不可读 / cannot be read: {key}", hint="clear the whole DAG run: it begins anew") from error


def _result_key(domain: str, run_id: str, shard: Shard) -> str:
    return f"{work_prefix(domain, run_id)}shard-{shard.index}-of-{shard.count}.json"
