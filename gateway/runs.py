"""Runs of the lake: find one, and read the resolved model that it stored beside its artefacts."""

from __future__ import annotations

from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import FatalError, SkippableError
from exchange_formats.keys import domain_prefix, run_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.results import MODEL_FILE
from scoring.resolution import ResolvedModel, read_resolved


def newest_run(lake: Lake, domain: str) -> RunManifest:
    """The newest run of ``domain``: of the latest day, and of that the last in the chain; a what-if never stands.

    Raises:
        SkippableError: the domain has no run.
    """
    runs = [run for run in lake.chain(domain_prefix(domain)) if isinstance(run, RunManifest) and not run.what_if]
    if not runs:
        raise SkippableError(
            f"领域 {domain} 还没有评价结果 / domain {domain} has no run yet", hint=f"xinqiao score {domain}"
        )
    return max(runs, key=lambda run: (run.as_of, run.sequence, run.sha256))


def find_run(lake: Lake, domain: str, sha256: str) -> RunManifest:
    """The run whose manifest has this digest; FatalError where it is missing, changed, or no run."""
    found = lake.manifest(domain_prefix(domain), sha256)
    if not isinstance(found, RunManifest):
        raise FatalError(f"不是评价运行 / not the manifest of a run: {sha256[:12]}…")
    return found


def read_model(lake: Lake, run: RunManifest) -> ResolvedModel:
    """The resolved model of ``run``; FatalError where it is missing, unreadable, or not what the manifest says."""
    path = lake.fetch(run_prefix(run.domain, run.as_of, run.run_id) + MODEL_FILE, run.model_sha256)
    try:
        return read_resolved(path.read_bytes())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise FatalError(f"模型不可读 / the model of run {run.run_id} cannot be read: {where}") from error
