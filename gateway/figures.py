"""Figures of what was done, read back from the lake: what a summary may show, and nothing it remembers.

A run of the demo, an operator's morning look and an assessment read the same records:
outcomes of collection, manifests of runs, receipts of publications.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from connectors.department import Department
from connectors.lake import Lake
from exchange_formats.errors import SkippableError
from exchange_formats.keys import receipt_key
from exchange_formats.manifests import Counts, Outcome, RunManifest, RunOutcome
from exchange_formats.publications import Receipt
from gateway.outcomes import read_outcomes, read_standing_outcome
from gateway.runs import newest_run
from scoring.model import Model


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """What one participant's newest collection of every dataset read, summed; ``failed``: dataset → error."""

    department: str
    title: str
    counts: Counts
    rejected_by_reason: Mapping[str, int]
    datasets: int
    failed: Mapping[str, str]
    #: Records that stand in the lake after all collections so far, all versions.
    in_lake: int


@dataclass(frozen=True, slots=True)
class EvaluationFigures:
    """The newest run of one domain and, once it is published, its receipt."""

    domain: str
    title: str
    run: RunManifest
    receipt: Receipt | None


def read_collections(lake: Lake, departments: Iterable[Department], *, since: datetime) -> list[CollectionFigures]:
    """One entry a participant, from the newest outcome of each dataset that finished after ``since``."""
    return [_read_collection(lake, department, since) for department in departments]


def read_evaluations(lake: Lake, models: Iterable[Model]) -> list[EvaluationFigures]:
    """One entry a domain that has a run."""
    found = []
    for model in models:
        with suppress(SkippableError):
            newest = newest_run(lake, model.id)
            key = receipt_key(model.id, newest.run_id)
            receipt = Receipt.model_validate_json(lake.store.get_bytes(key)) if lake.store.exists(key) else None
            found.append(EvaluationFigures(model.id, model.title, newest, receipt))
    return found


def read_stale(lake: Lake, domains: Iterable[str]) -> list[RunOutcome]:
    """The domains whose standing grades are stale, for a required input is missing or stale (semantics §8)."""
    standing = (read_standing_outcome(lake, domain) for domain in domains)
    return [outcome for outcome in standing if outcome is not None and outcome.result == "withheld"]


def _read_collection(lake: Lake, department: Department, since: datetime) -> CollectionFigures:
    newest = _newest_outcomes(lake, department, since)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for outcome in newest.values():
        if outcome.counts:
            counts.update(outcome.counts.model_dump())
        reasons.update(outcome.rejected_by_reason)
    in_lake = sum(
        part.rows for dataset in department.datasets for b in lake.batches(department.id, dataset) for part in b.parts
    )
    return CollectionFigures(
        department=department.id,
        title=department.title,
        counts=Counts(**{name: counts[name] for name in Counts.model_fields}),
        rejected_by_reason=dict(reasons.most_common()),
        datasets=len(newest),
        failed={dataset: outcome.error for dataset, outcome in newest.items() if outcome.result == "failed"},
        in_lake=in_lake,
    )


def _newest_outcomes(lake: Lake, department: Department, since: datetime) -> dict[str, Outcome]:
    newest: dict[str, Outcome] = {}
    for dataset in department.datasets:
        finished = [one for one in read_outcomes(lake, department.id, dataset) if one.finished_at >= since]
        if finished:
            newest[dataset] = max(finished, key=lambda one: one.finished_at)
    return newest
