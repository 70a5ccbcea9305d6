"""Evaluate a domain: cut, score, and commit the run (semantics §1, §6, §8).

A run is named by what it is a function of (domain, day, cut, resolved model, semantics), so the same work
twice is one run, and work that was killed is redone to the same bytes: artefacts first, the manifest last.
What a manifest may not hold (clock, host, why there is no run) is written down in an outcome record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.digests import derive_id
from exchange_formats.errors import SkippableError
from exchange_formats.keys import domain_prefix, landing_prefix, manifest_digest, run_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.periods import cycle_start
from exchange_formats.results import MODEL_FILE
from exchange_formats.shards import split_shards
from gateway.cuts import Cut, open_inputs, read_runs, resolve_cut
from gateway.evaluation_attempts import Attempt, WithheldError
from gateway.memory import read_memory_limit
from gateway.outcomes import was_tried
from gateway.reference_statistics import add_statistics
from gateway.warning_log import record_warnings
from scoring.engine import evaluate_shard
from scoring.evaluations import Evaluation, combine_shards
from scoring.library import Models
from scoring.model import PUBLIC_CREDIT_DOMAINS
from scoring.resolution import SEMANTICS, ResolvedModel, resolve


class Engine(Protocol):
    """What scores a cut: the same rows whichever it is."""

    def __call__(self, resolved: ResolvedModel, lake: Lake, cut: Cut, as_of: date, output: Path) -> Evaluation:
        """Score every subject; the artefacts' files are written into ``output``."""


@dataclass(frozen=True, slots=True)
class RunReference:
    """A run in the lake; ``new`` is False where an earlier call had committed it already.

    ``backfill``: a later day was evaluated before, so this one corrects what was said of its own day.
    ``what_if``: it was asked on a cut of the past. Neither is published unless as a correction.
    ``stale``: optional inputs that were left out because they are too old.
    """

    domain: str
    as_of: date
    run_id: str
    manifest_sha256: str
    model: str
    subjects: int
    subjects_by_grade: Mapping[str, int]
    warnings_by_level: Mapping[str, int]
    not_collected: tuple[str, ...]
    new: bool
    backfill: bool = False
    what_if: bool = False
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One run to be made: everything it is a function of, and its name."""

    resolved: ResolvedModel
    as_of: date
    cut: Cut
    what_if: bool = False
    backfill: bool = False

    @property
    def run_id(self) -> str:
        """The id of the run that is this function of its inputs."""
        return derive_id(
            self.resolved.model.id,
            self.as_of.isoformat(),
            self.cut.canonical.decode(),
            self.resolved.sha256,
            SEMANTICS,
        )

    @property
    def prefix(self) -> str:
        """Where its objects lie."""
        return run_prefix(self.resolved.model.id, self.as_of, self.run_id)


def evaluate_domain(
    domain: str,
    *,
    as_of: date,
    lake: Lake,
    models: Models,
    spool: Path | None = None,
    known_at: datetime | None = None,
    expected: Collection[str] = (),
    engine: Engine | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RunReference:
    """Score ``domain`` at the end of ``as_of`` (Asia/Shanghai), unless that very run is there.

    Args:
        domain: a model's id; the version in force on ``as_of`` is used.
        as_of: the day.
        lake: where records are read and the run is committed.
        models: every sound model, with the shared tables.
        spool: a folder for files on their way; beside the lake's cache by default.
        known_at: use what was known at this instant, not what is known now.
        expected: "department/dataset" of all configured departments: a domain's first run waits until each of them
            that its model names was tried once, so that it is not scored and published twice while everything starts.
        engine: what scores; DuckDB in this process by default.
        now: the clock of the outcome record.

    Raises:
        ConfigurationError: no sound model, or one of its tables is not in force on that day.
        WithheldError: a required dataset is missing or stale: the standing grades stay as they are.
        SkippableError: the first run waits for a dataset.
        TransientError, FatalError: the store, memory or disk.
    """
    root = spool or lake.cache.parent / "spool"
    with Attempt(lake, domain, as_of, now, question=known_at is not None) as attempt:
        task = prepare(domain, as_of=as_of, lake=lake, models=models, spool=root, known_at=known_at, expected=expected)
        found = find_committed(lake, task)
        manifest = found or _score(lake, task, root, engine or InProcess())
        attempt.commit(manifest, task.cut.lacking, new=found is None)
    if found is None:
        record_warnings(lake, manifest, spool=root)
    return refer(manifest, task, new=found is None)


def choose_day(domain: str, today: date, models: Models) -> date:
    """The day a domain is evaluated for by rule: today; public credit the last day of the cycle that ended last.

    So industry records enter the public evaluation of the next cycle, and there is no circle (semantics §3).
    """
    if domain not in PUBLIC_CREDIT_DOMAINS.values():
        return today
    return cycle_start(today, models.in_force(domain, today).cycle) - timedelta(days=1)


def prepare(
    domain: str,
    *,
    as_of: date,
    lake: Lake,
    models: Models,
    spool: Path,
    known_at: datetime | None = None,
    expected: Collection[str] = (),
) -> Task:
    """The run to be made; arguments and errors as ``evaluate_domain``."""
    resolved = resolve(models.in_force(domain, as_of), as_of, models.tables)
    runs = read_runs(lake, domain)
    if not runs and known_at is None:
        _await_inputs(lake, resolved, expected)
    cut = resolve_cut(lake, resolved, as_of, known_at=known_at)
    withheld = tuple(one for one in cut.lacking if one.required)
    if withheld:
        raise WithheldError(domain, withheld)
    what_if = known_at is not None and resolve_cut(lake, resolved, as_of).canonical != cut.canonical
    cut = add_statistics(lake, resolved, as_of, cut, spool=spool, what_if=what_if)
    return Task(resolved, as_of, cut, what_if=what_if, backfill=any(run.as_of > as_of for run in runs))


def _score(lake: Lake, task: Task, spool: Path, engine: Engine) -> RunManifest:
    with Spool(spool, f"score-{task.resolved.model.id}") as folder:
        evaluation = engine(task.resolved, lake, task.cut, task.as_of, folder)
        for artefact in evaluation.artefacts:
            for file in artefact.files:
                lake.store.put_file(task.prefix + file.name, evaluation.folder / file.name)
        return commit_run(lake, task, evaluation)


def commit_run(lake: Lake, task: Task, evaluation: Evaluation) -> RunManifest:
    """Put the model and, last, the manifest; the artefacts' files are there."""
    lake.store.put_bytes(task.prefix + MODEL_FILE, task.resolved.canonical)
    chain = domain_prefix(task.resolved.model.id)
    # The heads are read as late as may be: whoever committed meanwhile is a parent, not a fork.
    parents = lake.heads(chain)
    manifest = RunManifest(
        parents=parents,
        sequence=1 + max((lake.manifest(chain, parent).sequence for parent in parents), default=0),
        run_id=task.run_id,
        domain=task.resolved.model.id,
        as_of=task.as_of,
        model=task.resolved.name,
        model_sha256=task.resolved.sha256,
        semantics=SEMANTICS,
        cut=task.cut.heads,
        evaluations=task.cut.evaluations,
        statistics=task.cut.statistics,
        what_if=task.what_if,
        artefacts=evaluation.artefacts,
        subjects=evaluation.subjects,
        subjects_by_grade=evaluation.subjects_by_grade,
        warnings_by_level=evaluation.warnings_by_level,
        not_collected=evaluation.not_collected,
    )
    lake.commit(task.prefix, manifest)
    return manifest


def find_committed(lake: Lake, task: Task) -> RunManifest | None:
    """The run committed as ``task``: the first of them, should two processes have committed it at once.

    What answered a question (``what_if``) does not stand: the same work is committed again as what does.
    """
    digests = [digest for key in lake.store.list_keys(task.prefix) if (digest := manifest_digest(key))]
    runs = [lake.manifest(task.prefix, digest) for digest in digests]
    found = [run for run in runs if isinstance(run, RunManifest) and (task.what_if or not run.what_if)]
    return min(found, key=lambda run: (run.what_if, run.sequence, run.sha256), default=None)


def refer(manifest: RunManifest, task: Task, *, new: bool) -> RunReference:
    """What a caller is told of a run."""
    return RunReference(
        domain=manifest.domain,
        as_of=manifest.as_of,
        run_id=manifest.run_id,
        manifest_sha256=manifest.sha256,
        model=manifest.model,
        subjects=manifest.subjects,
        subjects_by_grade=manifest.subjects_by_grade,
        warnings_by_level=manifest.warnings_by_level,
        not_collected=manifest.not_collected,
        new=new,
        backfill=task.backfill,
        what_if=manifest.what_if,
        stale=tuple(one.source for one in task.cut.lacking),
    )


@dataclass(frozen=True)
class InProcess:
    """DuckDB in this process, in ``shards`` parts one after the other; ``progress`` hears how many are done."""

    shards: int = 1
    memory_limit: str | None = None
    progress: Callable[[int, int], None] | None = None

    def __call__(self, resolved: ResolvedModel, lake: Lake, cut: Cut, as_of: date, output: Path) -> Evaluation:
        """Score every subject; see ``scoring.engine.evaluate``."""
        limit = self.memory_limit or read_memory_limit()
        inputs = open_inputs(lake, cut)
        results = []
        for shard in split_shards(self.shards):
            results.append(evaluate_shard(resolved, inputs, as_of, output, shard, memory_limit=limit))
            if self.progress:
                self.progress(len(results), self.shards)
        return combine_shards(resolved, inputs.keys(), as_of, output, results)


def _await_inputs(lake: Lake, resolved: ResolvedModel, expected: Collection[str]) -> None:
    named = sorted(set(resolved.inputs) & set(expected))
    waiting = [
        source
        for source in named
        if not was_tried(lake, *source.split("/")) and not lake.heads(landing_prefix(*source.split("/")))
    ]
    if waiting:
        domain = resolved.model.id
        raise SkippableError(
            f"领域 {domain} 首次评价等待数据首次采集 / the first run of {domain} waits until these were tried once: "
            f"{', '.join(waiting)}",
            hint="xinqiao collect " + " ; xinqiao collect ".join(sorted({one.partition("/")[0] for one in waiting})),
        )
