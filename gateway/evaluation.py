"""Evaluate a domain: cut, score, and commit the run (semantics §1, §6).

A run is named by what it is a function of (domain, day, cut, resolved model,
semantics), so the same work twice is one run, and work that was killed is redone to
the same bytes: artefacts first, the manifest last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow.dataset as pads

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.digests import canonical_json, derive_id, digest_file
from exchange_formats.errors import SkippableError
from exchange_formats.keys import domain_prefix, landing_prefix, manifest_digest, run_prefix
from exchange_formats.manifests import Artefact, RunManifest
from exchange_formats.results import MODEL_FILE
from scoring.artefacts import ArtefactFile
from scoring.engine import DEFAULT_MEMORY_LIMIT, Evaluation, evaluate
from scoring.library import Models
from scoring.resolution import SEMANTICS, ResolvedModel, resolve

#: How much memory scoring may take before it spills to disk, for example ``6GB``.
MEMORY_VARIABLE: Final = "XINQIAO_MEMORY_LIMIT"

Cut = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RunReference:
    """A run in the lake; ``new`` is False where an earlier call had committed it already."""

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


def evaluate_domain(
    domain: str,
    *,
    as_of: date,
    lake: Lake,
    models: Models,
    spool: Path | None = None,
    memory_limit: str | None = None,
) -> RunReference:
    """Score ``domain`` at the end of ``as_of`` (Asia/Shanghai) on the newest cut, unless that very run is there.

    Args:
        domain: a model's id; the version in force on ``as_of`` is used.
        as_of: the day.
        lake: where records are read and the run is committed.
        models: every sound model, with the shared tables.
        spool: a folder for files on their way; beside the lake's cache by default.
        memory_limit: DuckDB's, as ``2GB``; from XINQIAO_MEMORY_LIMIT by default.

    Raises:
        ConfigurationError: no sound model, or one of its tables is not in force on that day.
        SkippableError: a required dataset was never collected: the standing grades stay as they are.
        TransientError, FatalError: the store, memory or disk.
    """
    resolved = resolve(models.in_force(domain, as_of), as_of, models.tables)
    cut = read_cut(lake, resolved)
    missing = [source for source in resolved.required if source not in cut]
    if missing:
        raise SkippableError(
            f"领域 {domain} 缺少必需数据, 本次不评分 / {domain} is not scored: never collected: {', '.join(missing)}",
            hint="xinqiao collect " + " ; xinqiao collect ".join(sorted({one.partition("/")[0] for one in missing})),
        )
    run_id = name_run(resolved, as_of, cut)
    prefix = run_prefix(domain, as_of, run_id)
    committed = _find_run(lake, prefix)
    if committed is not None:
        return _refer(committed, new=False)
    inputs = {source: _open(lake, source, heads) for source, heads in cut.items()}
    root = spool or lake.cache.parent / "spool"
    with Spool(root, f"score-{domain}") as folder:
        limit = memory_limit or os.environ.get(MEMORY_VARIABLE) or DEFAULT_MEMORY_LIMIT
        evaluation = evaluate(resolved, inputs, as_of, folder, memory_limit=limit)
        # The heads are read as late as may be: whoever committed meanwhile is a parent, not a fork.
        manifest = _commit(lake, resolved, as_of, cut, evaluation, prefix, run_id)
    return _refer(manifest, new=True)


def read_cut(lake: Lake, resolved: ResolvedModel) -> Cut:
    """The newest heads of every dataset the model uses; what was never collected is left out."""
    found = {source: lake.heads(landing_prefix(*source.split("/"))) for source in resolved.inputs}
    return {source: heads for source, heads in found.items() if heads}


def name_run(resolved: ResolvedModel, as_of: date, cut: Cut) -> str:
    """The id of the run that is this function of its inputs."""
    known = canonical_json({source: list(heads) for source, heads in cut.items()}).decode()
    return derive_id(resolved.model.id, as_of.isoformat(), known, resolved.sha256, SEMANTICS)


def _open(lake: Lake, source: str, heads: tuple[str, ...]) -> pads.Dataset:
    department, _, dataset = source.partition("/")
    return lake.records(department, dataset, heads)


def _commit(
    lake: Lake, resolved: ResolvedModel, as_of: date, cut: Cut, evaluation: Evaluation, prefix: str, run_id: str
) -> RunManifest:
    for file in evaluation.artefacts:
        lake.store.put_file(prefix + file.path.name, file.path)
    lake.store.put_bytes(prefix + MODEL_FILE, resolved.canonical)
    chain = domain_prefix(resolved.model.id)
    parents = lake.heads(chain)
    manifest = RunManifest(
        parents=parents,
        sequence=1 + max((lake.manifest(chain, parent).sequence for parent in parents), default=0),
        run_id=run_id,
        domain=resolved.model.id,
        as_of=as_of,
        model=resolved.name,
        model_sha256=resolved.sha256,
        semantics=SEMANTICS,
        cut=cut,
        artefacts=tuple(_describe(file) for file in evaluation.artefacts),
        subjects=evaluation.subjects,
        subjects_by_grade=evaluation.subjects_by_grade,
        warnings_by_level=evaluation.warnings_by_level,
        not_collected=evaluation.not_collected,
    )
    lake.commit(prefix, manifest)
    return manifest


def _describe(file: ArtefactFile) -> Artefact:
    return Artefact(
        name=file.path.name,
        rows=file.rows,
        bytes=file.path.stat().st_size,
        sha256=digest_file(file.path),
        rows_sha256=file.rows_sha256,
    )


def _find_run(lake: Lake, prefix: str) -> RunManifest | None:
    """The run committed under ``prefix``: the first of them, should two processes have committed it at once."""
    digests = [digest for key in lake.store.list_keys(prefix) if (digest := manifest_digest(key))]
    runs = [lake.manifest(prefix, digest) for digest in digests]
    found = [run for run in runs if isinstance(run, RunManifest)]
    return min(found, key=lambda run: (run.sequence, run.sha256), default=None)


def _refer(manifest: RunManifest, *, new: bool) -> RunReference:
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
    )
