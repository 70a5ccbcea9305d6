"""Collect: pull one dataset of one participant over a window and land it.

Every attempt leaves an outcome record in the lake, also one that failed. The watermark
lives in the chain itself, so nothing has to be remembered between two pulls.
"""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from connectors.connection import Connection, Resolve
from connectors.department import DatasetMapping, Department
from connectors.lake import Lake
from connectors.landing import Landed, LandingStoppedError, Progress, Target, land
from connectors.sources import SourceReader, open_source
from exchange_formats.contract_versions import choose_contract
from exchange_formats.errors import ConfigurationError, XinqiaoError
from exchange_formats.keys import landing_prefix
from exchange_formats.manifests import BatchManifest, Counts, Outcome, PurgeManifest, Window
from exchange_formats.subjects import PseudonymKey
from gateway.outcomes import classify_error, explain_error, write_outcome

_log = logging.getLogger(__name__)
Result = Literal["landed", "nothing_new", "dry_run", "failed"]


class OpenReader(Protocol):
    """How a source is opened; ``connectors.sources.open_source`` unless a test brings its own."""

    def __call__(
        self,
        department: Department,
        dataset_id: str,
        connection: Connection,
        window: Window,
        *,
        now: Callable[[], datetime],
    ) -> SourceReader:
        """A reader of one dataset over ``window``."""


@dataclass(frozen=True, slots=True)
class CollectionResult:
    """One attempt to collect one dataset; ``error`` and its kind (a class name) where it failed."""

    department: str
    dataset: str
    window: Window
    result: Result
    seconds: float
    counts: Counts | None = None
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    normalised_by_rule: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    batch_id: str | None = None
    manifest_sha256: str | None = None
    error: str = ""
    error_kind: str = ""


@dataclass(frozen=True)
class Collector:
    """What collecting needs besides the department: the lake, connections, the pseudonym key, a clock."""

    lake: Lake
    resolve: Resolve
    pseudonyms: PseudonymKey
    spool: Path
    now: Callable[[], datetime]
    open_reader: OpenReader


def collect_dataset(
    department: Department,
    dataset_id: str,
    *,
    until: datetime,
    since: datetime | None = None,
    full: bool = False,
    dry_run: bool = False,
    lake: Lake,
    resolve: Resolve,
    pseudonyms: PseudonymKey,
    spool: Path | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    open_reader: OpenReader = open_source,
) -> CollectionResult:
    """Pull what changed up to ``until`` and land it; a dry run does everything but write to the lake.

    Without ``since`` the window begins where the chain ends, less the mapping's overlap;
    ``full`` reads everything. ``spool`` defaults to a folder beside the lake's cache.

    Raises:
        XinqiaoError: typed by what happens next; the outcome record has been written.
    """
    collector = Collector(lake, resolve, pseudonyms, spool or lake.cache.with_name("spool"), now, open_reader)
    started = now()
    window = Window(until=until)
    try:
        window = choose_window(department, dataset_id, lake, until=until, since=since, full=full)
        landed = _pull(collector, department, dataset_id, window, commit=not dry_run, progress=progress)
    except Exception as error:
        if not dry_run:
            _note_failure(lake, _describe_failure(department.id, dataset_id, window, error, started, now()), error)
        raise
    outcome = _describe_success(department.id, dataset_id, window, landed, started, now())
    if not dry_run:
        write_outcome(lake, outcome)
    return _summarise(outcome, landed, "dry_run" if dry_run else _name_result(landed))


def collect_department(
    department: Department,
    dataset_ids: Iterable[str] | None = None,
    *,
    collect: Callable[[str], CollectionResult],
    until: datetime,
) -> tuple[CollectionResult, ...]:
    """Collect several datasets (default: all), one after the other; one that fails never stops the others."""
    results = []
    for dataset_id in dataset_ids or department.datasets:
        try:
            results.append(collect(dataset_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other datasets go on
            if not isinstance(error, XinqiaoError):
                # Where, not what: the text of a library's error may hold a value.
                places = "".join(traceback.format_tb(error.__traceback__))
                _log.error("collecting %s/%s: %s\n%s", department.id, dataset_id, type(error).__name__, places)
            results.append(
                CollectionResult(
                    department=department.id,
                    dataset=dataset_id,
                    window=Window(until=until),
                    result="failed",
                    seconds=0.0,
                    counts=error.counts if isinstance(error, LandingStoppedError) else None,
                    rejected_by_reason=error.rejected_by_reason if isinstance(error, LandingStoppedError) else {},
                    error=explain_error(error),
                    error_kind=classify_error(error),
                )
            )
    return tuple(results)


def choose_window(
    department: Department,
    dataset_id: str,
    lake: Lake,
    *,
    until: datetime,
    since: datetime | None = None,
    full: bool = False,
) -> Window:
    """What a pull asks for: from ``since``, or everything, or from the chain's watermark less the overlap."""
    mapping = require_dataset(department, dataset_id)
    if since is not None and (full or mapping.snapshot is not None):
        raise ConfigurationError(
            f"{department.id}/{dataset_id}: 全量采集没有起点 / a full pull has no beginning",
            hint="leave --since out",
        )
    if since is not None and since >= until:
        raise ConfigurationError(f"{department.id}/{dataset_id}: 窗口为空 / the window is empty: {since} to {until}")
    if since is None and mapping.watermark is not None and not full:
        watermark = read_watermark(lake, department.id, dataset_id)
        since = watermark - mapping.watermark.overlap if watermark is not None else None
        if since is not None and since >= until:  # an old run done again: all of it was pulled already
            since = until - (mapping.watermark.overlap or timedelta(seconds=1))
    return Window(since=since, until=until)


def require_dataset(department: Department, dataset_id: str) -> DatasetMapping:
    """The mapping of a dataset; ConfigurationError where the department has none."""
    if dataset_id not in department.datasets:
        raise ConfigurationError(
            f"{department.id} 没有数据集 / has no dataset '{dataset_id}'",
            hint=f"one of {', '.join(department.datasets) or 'none'}",
        )
    return department.datasets[dataset_id]


def read_watermark(lake: Lake, department: str, dataset: str) -> datetime | None:
    """Up to when the chain's heads say everything was pulled; None before the first pull."""
    prefix = landing_prefix(department, dataset)
    heads = [lake.manifest(prefix, head) for head in lake.heads(prefix)]
    marks = [one.watermark for one in heads if isinstance(one, BatchManifest | PurgeManifest) and one.watermark]
    return max(marks, default=None)


def _pull(
    collector: Collector,
    department: Department,
    dataset_id: str,
    window: Window,
    *,
    commit: bool,
    progress: Progress | None,
) -> Landed:
    mapping = department.datasets[dataset_id]
    dataset = choose_contract(collector.lake.contracts, dataset_id, mapping.contract)
    target = Target(department.id, dataset, mapping, window)
    connection = collector.resolve(department.source.connection)
    with collector.open_reader(department, dataset_id, connection, window, now=collector.now) as reader:
        return land(
            reader,
            target,
            lake=collector.lake,
            pseudonyms=collector.pseudonyms,
            spool=collector.spool,
            commit=commit,
            progress=progress,
        )


def _describe_success(
    department: str, dataset: str, window: Window, landed: Landed, started: datetime, finished: datetime
) -> Outcome:
    return Outcome(
        department=department,
        dataset=dataset,
        window=window,
        result=_name_result(landed),
        batch_id=landed.manifest.batch_id if landed.manifest else None,
        manifest_sha256=landed.manifest.sha256 if landed.manifest else None,
        counts=landed.counts,
        rejected_by_reason=landed.rejected_by_reason,
        notes=landed.notes,
        started_at=started,
        finished_at=finished,
        host=socket.gethostname(),
    )


def _describe_failure(
    department: str, dataset: str, window: Window, error: Exception, started: datetime, finished: datetime
) -> Outcome:
    stopped = error if isinstance(error, LandingStoppedError) else None
    return Outcome(
        department=department,
        dataset=dataset,
        window=window,
        result="failed",
        counts=stopped.counts if stopped else None,
        rejected_by_reason=stopped.rejected_by_reason if stopped else {},
        error=explain_error(error),
        error_kind=classify_error(error),
        started_at=started,
        finished_at=finished,
        host=socket.gethostname(),
    )


def _note_failure(lake: Lake, outcome: Outcome, error: Exception) -> None:
    try:
        write_outcome(lake, outcome)
    except XinqiaoError as second:  # the store itself is away: the first error is the one that counts
        _log.warning("the outcome of %s/%s was not written: %s", outcome.department, outcome.dataset, second)
        error.add_note("the outcome record could not be written")


def _name_result(landed: Landed) -> Literal["landed", "nothing_new"]:
    return "landed" if landed.manifest is not None else "nothing_new"


def _summarise(outcome: Outcome, landed: Landed, result: Result) -> CollectionResult:
    return CollectionResult(
        department=outcome.department,
        dataset=outcome.dataset,
        window=outcome.window,
        result=result,
        seconds=(outcome.finished_at - outcome.started_at).total_seconds(),
        counts=outcome.counts,
        rejected_by_reason=landed.rejected_by_reason,
        normalised_by_rule=landed.normalised_by_rule,
        notes=landed.notes,
        batch_id=outcome.batch_id,
        manifest_sha256=outcome.manifest_sha256,
    )
