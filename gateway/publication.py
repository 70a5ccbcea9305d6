"""Publish a domain: drain its unpublished runs, in order, each exactly as planned (semantics §7).

Every run is published, also one that a newer run has overtaken: each grade that stood
can then be shown to have been sent. A run with an ``as_of`` older than what is published
is a backfill and is withheld unless a correction is asked for. A correction restates its
``as_of``: grades only (warnings speak of now), compared with what was last published for
that day, and it is never the baseline of a regular run.

Crash at any point: before the plan is stored, nothing was sent; after it, the same bytes
are sent again under the same ids, until the receipt is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from connectors.lake import Lake
from connectors.rabbit.publisher import Publisher
from exchange_formats.digests import digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.keys import domain_prefix, plan_key, published_prefix, receipt_key
from exchange_formats.manifests import RunManifest
from exchange_formats.messages import OutgoingMessage, RunData
from exchange_formats.messages.versions import ServedVersions
from exchange_formats.publications import Plan, Receipt, Totals
from gateway.locks import work_alone
from gateway.message_spool import MessageSpool
from gateway.rendering import describe_run, render_changes
from gateway.warning_log import read_log, record_warnings

_DOCUMENT = re.compile(r"/run=([0-9a-f]{32})/(plan|receipt)\.json$")

OpenPublisher = Callable[[], AbstractContextManager[Publisher]]
#: (run id, messages confirmed, messages planned)
ReportProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One run that this call brought to its receipt; ``resumed``: an earlier call had planned it."""

    run_id: str
    number: int
    correction: bool
    resumed: bool
    confirmed: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class PublicationResult:
    """What one drain did. ``withheld``: run ids of backfills that only a correction publishes."""

    domain: str
    runs: tuple[PublishedRun, ...]
    withheld: tuple[str, ...]

    @property
    def nothing_new(self) -> bool:
        """Whether every run was published before."""
        return not self.runs

    @property
    def messages(self) -> int:
        """Messages confirmed."""
        return sum(run.confirmed for run in self.runs)

    @property
    def results(self) -> int:
        """Grades sent."""
        return sum(run.totals.results for run in self.runs)

    @property
    def warnings(self) -> int:
        """Warnings raised."""
        return sum(run.totals.raised for run in self.runs)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the lake says was published of one domain; receipts by number."""

    receipts: tuple[Receipt, ...]
    plans: dict[str, Plan]

    @property
    def published(self) -> frozenset[str]:
        return frozenset(receipt.run_id for receipt in self.receipts)

    def baseline(self, run: RunManifest, *, correction: bool) -> Receipt | None:
        """The publication that ``run`` is compared with."""
        wanted = [
            receipt
            for receipt in self.receipts
            if (receipt.as_of == run.as_of if correction else not receipt.correction)
        ]
        return wanted[-1] if wanted else None

    def is_backfill(self, run: RunManifest) -> bool:
        return any(run.as_of < receipt.as_of for receipt in self.receipts if not receipt.correction)


def publish_domain(
    domain: str,
    *,
    lake: Lake,
    open_publisher: OpenPublisher,
    now: Callable[[], datetime],
    spool: Path,
    correction: bool = False,
    progress: ReportProgress | None = None,
    served: ServedVersions | None = None,
) -> PublicationResult:
    """Send every unpublished run of ``domain`` and store a receipt for each.

    ``served``: older message versions that participants stay on. A run that was planned is finished in the
    versions of its plan.

    Raises:
        TransientError: the broker or the store is away, a queue is full, another publication
            of the domain is at work here; what was confirmed before stays valid.
        FatalError: refused by the broker; an artefact or plan that is not what its digest says.
        ConfigurationError: the exchange does not exist.
    """
    with work_alone(f"publish-{domain}", spool):
        runs = _read_runs(lake, domain)
        ledger = _read_ledger(lake, domain)
        done: list[PublishedRun] = []
        withheld: list[str] = []
        for run in _in_order(runs, ledger):
            plan = ledger.plans.get(run.run_id)
            backfill = run.what_if or ledger.is_backfill(run)
            if plan is None and backfill and not correction:
                withheld.append(run.run_id)
                continue
            versions = served or ServedVersions()
            if plan is not None:
                versions = versions.only(plan.older)
            corrects = plan.correction if plan else backfill
            warned = plan.warned if plan else () if corrects else _find_untold(lake, run, ledger, spool)
            job = _Job(lake, run, ledger, now, versions, correction=corrects, warned=warned)
            with job.render(spool, runs) as spooled:
                receipt = job.send(spooled, plan, open_publisher, progress)
            ledger = _Ledger((*ledger.receipts, receipt), ledger.plans)
            done.append(_report(receipt, resumed=plan is not None))
    return PublicationResult(domain, tuple(done), tuple(withheld))


def _find_untold(lake: Lake, run: RunManifest, ledger: _Ledger, spool: Path) -> tuple[str, ...]:
    """The entries of the warning log to tell with ``run``: what it changed, and what was answered since the last."""
    record_warnings(lake, run, spool=spool)
    log = read_log(lake, run.domain)
    # A run that was overtaken before it was recorded has no entry, and told nothing.
    regular = (one.run_id for one in reversed(ledger.receipts) if not one.correction)
    return log.untold(run.run_id, next((one for one in regular if log.entry(one)), None))


def _report(receipt: Receipt, *, resumed: bool) -> PublishedRun:
    return PublishedRun(receipt.run_id, receipt.number, receipt.correction, resumed, receipt.confirmed, receipt.totals)


def _in_order(runs: dict[str, RunManifest], ledger: _Ledger) -> list[RunManifest]:
    """Unpublished runs: what was planned first, then in the order they were committed."""
    waiting = [run for run in runs.values() if run.run_id not in ledger.published]
    planned = [run for run in waiting if run.run_id in ledger.plans]
    planned.sort(key=lambda run: ledger.plans[run.run_id].number)
    return planned + [run for run in waiting if run.run_id not in ledger.plans]


@dataclass(frozen=True, slots=True)
class _Job:
    """The publication of one run."""

    lake: Lake
    run: RunManifest
    ledger: _Ledger
    now: Callable[[], datetime]
    served: ServedVersions
    correction: bool
    warned: tuple[str, ...]

    @property
    def _baseline(self) -> Receipt | None:
        return self.ledger.baseline(self.run, correction=self.correction)

    @contextmanager
    def render(self, spool: Path, runs: dict[str, RunManifest]) -> Iterator[MessageSpool]:
        """Compare with the baseline and encode what changed into a temporary file."""
        before = self._baseline
        if before is not None and before.run_id not in runs:
            raise FatalError(f"基线运行缺失 the baseline run is missing in the lake: {before.run_id}")
        baseline = runs[before.run_id] if before else None
        with render_changes(self.lake, self.run, baseline, spool, served=self.served, warned=self.warned) as spooled:
            yield spooled

    def send(
        self, spooled: MessageSpool, stored: Plan | None, open_publisher: OpenPublisher, progress: ReportProgress | None
    ) -> Receipt:
        """Store the plan (or check against the stored one), send, store the receipt."""
        plan = stored or self._plan(spooled)
        run = self._run_data(plan.first_sequence)
        if stored is None:
            self.lake.store.put_bytes(plan_key(plan.domain, plan.run_id), plan.encode())
        elif spooled.plan(run, plan.planned_at) != plan.messages:
            raise FatalError(
                f"运行 {plan.run_id} 的消息与其计划不符 the messages of this run are not those of its stored plan",
                hint="finish it with the version of xinqiao that planned it",
            )
        total = len(plan.messages)

        def report(count: int) -> None:
            if progress:
                progress(plan.run_id, count, total)

        confirmed = 0
        if total:
            with open_publisher() as publisher:
                messages = _as_planned(spooled.messages(run, plan.planned_at), plan)
                confirmed = publisher.publish(messages, on_confirm=report).messages
        return self._store_receipt(plan, confirmed)

    def _plan(self, spooled: MessageSpool) -> Plan:
        receipts = self.ledger.receipts
        first = max((receipt.last_sequence for receipt in receipts), default=0) + 1
        planned_at = self.now().astimezone(UTC)
        return Plan(
            domain=self.run.domain,
            number=max((receipt.number for receipt in receipts), default=0) + 1,
            run_id=self.run.run_id,
            manifest_sha256=self.run.sha256,
            as_of=self.run.as_of,
            correction=self.correction,
            previous_seal=receipts[-1].seal if receipts else None,
            first_sequence=first,
            last_sequence=first + len(spooled) - 1,
            totals=spooled.totals,
            baseline_run_id=self._baseline.run_id if self._baseline else None,
            baseline_sha256=self._baseline.manifest_sha256 if self._baseline else None,
            warned=self.warned,
            older={noun: tuple(sorted(versions)) for noun, versions in sorted(self.served.older.items())},
            planned_at=planned_at,
            messages=spooled.plan(self._run_data(first), planned_at),
        )

    def _store_receipt(self, plan: Plan, confirmed: int) -> Receipt:
        receipt = Receipt(
            domain=plan.domain,
            number=plan.number,
            run_id=plan.run_id,
            manifest_sha256=plan.manifest_sha256,
            as_of=plan.as_of,
            correction=plan.correction,
            first_sequence=plan.first_sequence,
            last_sequence=plan.last_sequence,
            totals=plan.totals,
            plan_sha256=plan.sha256,
            confirmed=confirmed,
            finished_at=self.now().astimezone(UTC),
        ).sealed()
        self.lake.store.put_bytes(receipt_key(plan.domain, plan.run_id), receipt.encode())
        return receipt

    def _run_data(self, sequence: int) -> RunData:
        return describe_run(self.run, sequence, correction=self.correction)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands published of a domain: the run of the newest regular publication, and the last sequence used."""

    run: RunManifest
    sequence: int


def read_standing(lake: Lake, domain: str) -> Standing | None:
    """What consumers of a domain hold when they have taken everything; None where nothing was published.

    Raises:
        FatalError: a plan or receipt that cannot be read, or whose run is missing.
    """
    receipts = _read_ledger(lake, domain).receipts
    regular = [receipt for receipt in receipts if not receipt.correction]
    if not regular:
        return None
    runs = _read_runs(lake, domain)
    if regular[-1].run_id not in runs:
        raise FatalError(f"已发布的运行缺失 a published run is missing in the lake: {regular[-1].run_id}")
    return Standing(runs[regular[-1].run_id], max(1, *(receipt.last_sequence for receipt in receipts)))


def _as_planned(messages: Iterator[OutgoingMessage], plan: Plan) -> Iterator[OutgoingMessage]:
    """Nothing leaves that the plan does not name: the spool file could have been damaged since."""
    for message, planned in zip(messages, plan.messages, strict=True):
        if digest_bytes(message.body) != planned.sha256:
            raise FatalError(f"消息与计划不符 message {planned.id} is not what the plan says")
        yield message


def _read_runs(lake: Lake, domain: str) -> dict[str, RunManifest]:
    """Runs in the order they were committed; one that two manifests commit counts once, the first that stands."""
    runs: dict[str, RunManifest] = {}
    for manifest in lake.chain(domain_prefix(domain)):
        if isinstance(manifest, RunManifest):
            held = runs.setdefault(manifest.run_id, manifest)
            if held.what_if and not manifest.what_if:
                runs[manifest.run_id] = manifest
    return runs


def _read_ledger(lake: Lake, domain: str) -> _Ledger:
    kinds: dict[str, set[str]] = {}
    for key in lake.store.list_keys(published_prefix(domain)):
        if match := _DOCUMENT.search(key):
            kinds.setdefault(match[1], set()).add(match[2])
    receipts, plans = [], {}
    for run_id, found in sorted(kinds.items()):
        try:
            if "receipt" in found:
                receipts.append(Receipt.model_validate_json(lake.store.get_bytes(receipt_key(domain, run_id))))
            else:
                plans[run_id] = Plan.model_validate_json(lake.store.get_bytes(plan_key(domain, run_id)))
        except ValidationError as error:
            raise FatalError(f"发布记录不可读 a plan or receipt cannot be read: {domain} run {run_id}") from error
    return _Ledger(tuple(sorted(receipts, key=lambda receipt: receipt.number)), plans)
