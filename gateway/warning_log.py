"""The warning log of a domain in the lake: one entry a run, one an answer, each naming those before it (semantics §4).

What a run changes is a function of the run, the log's heads before it, and the runs that the run
itself descends from, so that it can be recomputed. Backfills and what-ifs change nothing: warnings
speak of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as pads

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.digests import derive_id, derive_uuid
from exchange_formats.keys import domain_prefix, warned_answer_prefix, warned_prefix, warned_run_prefix
from exchange_formats.manifests import IndustryWarning, RunManifest, WarningManifest
from exchange_formats.periods import Cycle, cycle_start
from exchange_formats.shards import WHOLE
from exchange_formats.warning_events import EVENTS, STANDING
from gateway.artefacts import open_artefact
from gateway.locks import work_alone
from gateway.memory import read_memory_limit
from gateway.runs import find_run, read_model
from scoring.artefacts import join_files, write_shard_file
from scoring.resolution import ResolvedModel
from scoring.warning_log import EarlierGrades, LogInputs, fold_events, record_events, window_start
from scoring.warning_tables import WarningTable

_SCHEMAS: Final = {"events": EVENTS, "standing": STANDING}


@dataclass(frozen=True)
class WarningLog:
    """The entries that are reachable from ``heads``, in order: runs before answers of the same sequence."""

    domain: str
    heads: tuple[str, ...]
    entries: tuple[WarningManifest, ...]

    def entry(self, run_id: str) -> WarningManifest | None:
        """The entry of a run: the first, should two processes have recorded it at once."""
        return next((entry for entry in self.entries if entry.run_id == run_id), None)

    @property
    def next_sequence(self) -> int:
        """The sequence of whatever follows the heads."""
        return 1 + max((entry.sequence for entry in self.entries), default=0)

    @property
    def newest(self) -> WarningManifest | None:
        """The last entry of a run."""
        return next((entry for entry in reversed(self.entries) if entry.run_id is not None), None)

    @property
    def settled(self) -> WarningManifest | None:
        """The last entry of a run that every head descends from: what it left standing holds for all of them."""
        common: set[str] | None = None
        for head in self.heads:
            reached = self.ancestors((head,)) | {head}
            common = reached if common is None else common & reached
        runs = [one for one in self.entries if one.run_id is not None and one.sha256 in (common or ())]
        return runs[-1] if runs else None

    def ancestors(self, heads: Iterable[str]) -> set[str]:
        """Digests of everything that ``heads`` descend from, themselves left out."""
        parents = {entry.sha256: entry.parents for entry in self.entries}
        waiting = [parent for head in heads for parent in parents.get(head, ())]
        found: set[str] = set()
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found.add(digest)
                waiting += parents[digest]
        return found

    def before(self, entry: WarningManifest) -> IndustryWarning | None:
        """The industry-wide warning that was in force before an entry of a run."""
        known = self.ancestors((entry.sha256,))
        runs = [one for one in self.entries if one.sha256 in known and one.run_id is not None]
        return runs[-1].industry if runs else None

    def untold(self, run_id: str, told: str | None) -> tuple[str, ...]:
        """Digests of the entries to tell with a run: its own and those before it that the run ``told`` came without."""
        entry, earlier = self.entry(run_id), self.entry(told) if told else None
        if entry is None:
            return ()
        known = self.ancestors((earlier.sha256,)) | {earlier.sha256} if earlier else set()
        wanted = (self.ancestors((entry.sha256,)) | {entry.sha256}) - known
        return tuple(one.sha256 for one in self._first_of_each_run() if one.sha256 in wanted)

    def _first_of_each_run(self) -> tuple[WarningManifest, ...]:
        """The entries, without the second where two processes recorded the same run at once."""
        seen: set[str] = set()
        found = []
        for entry in self.entries:
            name = entry.run_id or entry.sha256
            if name not in seen:
                found.append(entry)
            seen.add(name)
        return tuple(found)

    def since(self, settled: WarningManifest | None) -> tuple[WarningManifest, ...]:
        """The entries that ``settled`` does not descend from, in order; one a run."""
        known = self.ancestors((settled.sha256,)) | {settled.sha256} if settled else set()
        return tuple(entry for entry in self._first_of_each_run() if entry.sha256 not in known)


def read_log(lake: Lake, domain: str, heads: Iterable[str] | None = None) -> WarningLog:
    """The log of ``domain``, up to ``heads`` where they are given; FatalError where an entry is missing or changed."""
    prefix = warned_prefix(domain)
    chosen = lake.heads(prefix) if heads is None else tuple(sorted(heads))
    entries = [entry for entry in lake.chain(prefix, chosen) if isinstance(entry, WarningManifest)]
    entries.sort(key=lambda entry: (entry.sequence, entry.run_id is None, entry.sha256))
    return WarningLog(domain, chosen, tuple(entries))


def read_standing(lake: Lake, log: WarningLog, folder: Path) -> pads.Dataset | pa.Table:
    """STANDING as the log has it; ``folder`` takes what memory cannot hold."""
    settled = log.settled
    standing = open_entry(lake, settled, "standing") if settled else None
    tail = [open_entry(lake, entry, "events") for entry in log.since(settled)]
    if not tail:
        return STANDING.empty_table() if standing is None else standing
    return fold_events(standing, tail, folder, memory_limit=read_memory_limit())


def open_entry(lake: Lake, entry: WarningManifest, name: str) -> pads.Dataset:
    """``events`` or ``standing`` of one entry, verified."""
    artefact = next(one for one in entry.artefacts if one.name == name)
    prefix = _prefix(entry)
    paths = [str(lake.fetch(prefix + file.name, file.sha256)) for file in artefact.files]
    return pads.dataset(paths, schema=_SCHEMAS[name], format="ipc")


def record_warnings(lake: Lake, run: RunManifest, *, spool: Path) -> WarningManifest | None:
    """Record what ``run`` changes, unless that is done; None for a backfill, a what-if, or a run that was overtaken.

    Raises:
        ConfigurationError: a day to sign by falls into a year whose holidays nobody entered.
        TransientError: another process records this domain here.
        FatalError: an artefact is missing or changed; memory or disk do not suffice.
    """
    with work_alone(f"warnings-{run.domain}", spool):
        log = read_log(lake, run.domain)
        found = log.entry(run.run_id)
        if found is not None or run.what_if or _is_overtaken(lake, run, log):
            return found
        with Spool(spool, f"warnings-{run.domain}") as folder:
            entry = _compute(lake, run, log, folder)
            _store(lake, entry, folder)
    return entry


def _is_overtaken(lake: Lake, run: RunManifest, log: WarningLog) -> bool:
    """Whether the log speaks of a later day, or of a later run of the same day, already: it never goes back."""
    newest = log.newest
    if newest is None or newest.run_sha256 is None:
        return False
    recorded = find_run(lake, run.domain, newest.run_sha256)
    return (run.as_of, run.sequence) < (recorded.as_of, recorded.sequence)


def recompute_entry(lake: Lake, entry: WarningManifest, folder: Path) -> WarningManifest:
    """The entry of a run again, from the run and the entry's parents: equal where the log is what it says.

    Raises:
        ValueError: the entry is an answer; nothing computes those.
        FatalError: the run, an artefact or an earlier entry is missing or changed.
    """
    if entry.run_sha256 is None:
        raise ValueError("an answer of a department is not computed")
    log = read_log(lake, entry.domain, entry.parents)
    return _compute(lake, find_run(lake, entry.domain, entry.run_sha256), log, folder)


def append_answer(lake: Lake, log: WarningLog, event: Mapping[str, object], spool: Path) -> WarningManifest:
    """Commit one answer of a department (a row of EVENTS) after the heads of ``log``."""
    table = pa.Table.from_pylist([dict(event)], schema=EVENTS)
    with Spool(spool, f"answer-{log.domain}") as folder:
        events = join_files("events", [write_shard_file(folder, WHOLE, "events", table.to_batches(), EVENTS)])
        entry = WarningManifest(
            parents=log.heads,
            sequence=log.next_sequence,
            domain=log.domain,
            as_of=table["occurred_on"][0].as_py(),
            artefacts=(events,),
            events_by_kind={table["kind"][0].as_py(): 1},
        )
        _store(lake, entry, folder)
    return entry


def _store(lake: Lake, entry: WarningManifest, folder: Path) -> None:
    prefix = _prefix(entry)
    for artefact in entry.artefacts:
        for file in artefact.files:
            lake.store.put_file(prefix + file.name, folder / file.name)
    lake.commit(prefix, entry)


def _compute(lake: Lake, run: RunManifest, log: WarningLog, folder: Path) -> WarningManifest:
    resolved = read_model(lake, run)
    newest = log.newest
    standing = read_standing(lake, log, folder)
    numbers = newest.numbers if newest is not None and newest.as_of == run.as_of else {}
    earlier = _earlier_runs(lake, run)

    def open_grades(runs: Iterable[RunManifest]) -> list[EarlierGrades]:
        return [EarlierGrades(one.as_of, open_artefact(lake, one, "grades")) for one in runs]

    inputs = LogInputs(
        warnings=open_artefact(lake, run, "warnings"),
        grades=open_artefact(lake, run, "grades"),
        standing=standing,
        earlier=open_grades(_falls(resolved, run, earlier)),
        cycles=open_grades(_cycles(resolved, run, earlier)),
        numbers=numbers,
    )
    recorded = record_events(resolved, inputs, run.as_of, folder, memory_limit=read_memory_limit())
    return WarningManifest(
        parents=log.heads,
        sequence=log.next_sequence,
        domain=run.domain,
        as_of=run.as_of,
        run_id=run.run_id,
        run_sha256=run.sha256,
        artefacts=(recorded.events, recorded.standing),
        events_by_kind=recorded.events_by_kind,
        open_by_level=recorded.open_by_level,
        numbers=recorded.numbers,
        industry=_judge_burst(
            resolved.warnings, run, recorded.burst_subjects, newest.industry if newest is not None else None
        ),
    )


def _earlier_runs(lake: Lake, run: RunManifest) -> list[RunManifest]:
    """The runs that ``run`` descends from, of days before its own: of each day the newest, corrections included."""
    days: dict[date, RunManifest] = {}
    for one in lake.chain(domain_prefix(run.domain), run.parents):
        if isinstance(one, RunManifest) and not one.what_if and one.as_of < run.as_of:
            days[one.as_of] = one
    return [days[day] for day in sorted(days)]


def _falls(resolved: ResolvedModel, run: RunManifest, earlier: list[RunManifest]) -> Iterator[RunManifest]:
    """The earlier runs that a fall may be told from: of the same model, for another one judges otherwise."""
    windows = [rule.fall.within or 0 for rule in resolved.warnings.rules if rule.fall]
    comparable = [one for one in earlier if one.model == run.model]
    if windows and comparable:
        since = window_start(run.as_of, max(windows), [one.as_of for one in comparable])
        yield from (one for one in comparable if one.as_of >= since)


def _cycles(resolved: ResolvedModel, run: RunManifest, earlier: list[RunManifest]) -> list[RunManifest]:
    """The newest run of each evaluation cycle before this run's, newest first, as many as a rule asks for."""
    wanted = max((rule.clears.runs for rule in resolved.warnings.rules if rule.clears and rule.clears.grade), default=1)
    cycle: Cycle = resolved.model.cycle
    newest: dict[date, RunManifest] = {}
    for one in earlier:
        start = cycle_start(one.as_of, cycle)
        if start < cycle_start(run.as_of, cycle):
            newest[start] = one
    return [newest[start] for start in sorted(newest, reverse=True)][: wanted - 1]


def _judge_burst(
    table: WarningTable, run: RunManifest, subjects: int, standing: IndustryWarning | None
) -> IndustryWarning | None:
    """The industry-wide warning after the run: it is declared above the share of subjects, and lifted below."""
    burst = table.burst
    if burst is None or subjects * 10_000 <= run.subjects * int(burst.above_percent * 100):
        return None
    if standing is not None:
        return standing
    return IndustryWarning(
        id=str(derive_uuid(run.domain, "", "burst", run.as_of.isoformat())),
        raised_on=run.as_of,
        level=burst.level,
        subjects=subjects,
        of=run.subjects,
    )


def _prefix(entry: WarningManifest) -> str:
    if entry.run_id is not None:
        return warned_run_prefix(entry.domain, entry.run_id, derive_id(*entry.parents)[:16])
    digest = entry.artefacts[0].files[0].sha256
    return warned_answer_prefix(entry.domain, derive_id(digest, *entry.parents))
