"""Outcome records: what became of each attempt to collect a dataset or to evaluate a domain.

They hold what a manifest may not: clock, host, error. They are notes and no evidence; what only
they know (when a manifest was committed, that a pull found nothing new) is asked of them here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import TypeVar

from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import (
    ConfigurationError,
    FatalError,
    SkippableError,
    TransientError,
    XinqiaoError,
)
from exchange_formats.keys import outcome_key, outcomes_prefix, run_outcome_key, run_outcomes_prefix
from exchange_formats.manifests import Outcome, RunOutcome
from exchange_formats.periods import shanghai_date

T = TypeVar("T", Outcome, RunOutcome)
#: What a pull that came to its end says; a purge pulls nothing.
PULLED = frozenset({"landed", "nothing_new"})
_KINDS = (ConfigurationError, TransientError, FatalError, SkippableError)


def write_outcome(lake: Lake, outcome: Outcome | RunOutcome) -> None:
    """Put one record under a name of its own."""
    attempt = f"{outcome.started_at:%Y%m%dT%H%M%S%f}-{os.urandom(4).hex()}"
    if isinstance(outcome, Outcome):
        key = outcome_key(outcome.department, outcome.dataset, shanghai_date(outcome.window.until), attempt)
    else:
        key = run_outcome_key(outcome.domain, outcome.as_of, attempt)
    lake.store.put_bytes(key, outcome.model_dump_json().encode())


def read_outcomes(lake: Lake, department: str, dataset: str) -> Iterator[Outcome]:
    """The attempts to collect a dataset: the latest end of a window first, of those the latest attempt."""
    for key in sorted(lake.store.list_keys(outcomes_prefix(department, dataset)), reverse=True):
        yield _read(lake, key, Outcome)


def read_run_outcomes(lake: Lake, domain: str) -> Iterator[RunOutcome]:
    """The attempts to evaluate a domain: the latest day first, of those the latest attempt."""
    for key in sorted(lake.store.list_keys(run_outcomes_prefix(domain)), reverse=True):
        yield _read(lake, key, RunOutcome)


def was_tried(lake: Lake, department: str, dataset: str) -> bool:
    """Whether anybody has ever tried to collect a dataset, whatever became of it."""
    return next(iter(lake.store.list_keys(outcomes_prefix(department, dataset))), None) is not None


def read_standing_outcome(lake: Lake, domain: str) -> RunOutcome | None:
    """How the evaluation of a domain stands: the newest attempt that was no question (``--known-at``)."""
    return next((outcome for outcome in read_run_outcomes(lake, domain) if not outcome.what_if), None)


def read_completeness(lake: Lake, department: str, dataset: str, known_at: datetime | None = None) -> date | None:
    """Up to which day pulls that succeeded (by ``known_at``) asked a dataset's source; None where none did."""
    for outcome in read_outcomes(lake, department, dataset):
        if outcome.result in PULLED and (known_at is None or outcome.finished_at <= known_at):
            return shanghai_date(outcome.window.until)
    return None


def date_manifests(outcomes: Iterable[Outcome | RunOutcome]) -> dict[str, datetime]:
    """When each manifest that ``outcomes`` name was known to be committed, by its digest."""
    commits: dict[str, datetime] = {}
    for outcome in outcomes:
        digest, at = outcome.manifest_sha256, outcome.finished_at
        if digest is not None:
            commits[digest] = min(at, commits.get(digest, at))
    return commits


def explain_error(error: Exception) -> str:
    """The message of an error raised on purpose; of any other only its class, for its text may hold a value."""
    return str(error) if isinstance(error, XinqiaoError) else f"内部错误 / internal error: {type(error).__name__}"


def classify_error(error: Exception) -> str:
    """Name of the class that says what happens next; an error nobody raised on purpose has its own name."""
    return next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), type(error).__name__)


def _read(lake: Lake, key: str, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(lake.store.get_bytes(key))
    except ValidationError as error:
        raise FatalError(f"结果记录不可读 / the outcome record cannot be read: {key}") from error
