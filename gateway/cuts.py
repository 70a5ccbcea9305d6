"""The cut: what was known of everything a model uses, now or at an earlier instant (semantics §1, §6, §8).

A run is a function of (domain, as_of, cut, resolved model). The cut names every input by digest, so
``open_inputs`` gives whoever holds a run's manifest exactly what that run read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from connectors.lake import Lake
from exchange_formats.digests import canonical_json, digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.keys import STATISTICS_ROOT, cycle_prefix, domain_prefix, landing_prefix, statistics_prefix
from exchange_formats.manifests import BatchManifest, LackingInput, Manifest, Outcome, RunManifest, StatisticsManifest
from exchange_formats.periods import cycle_start, shanghai_date
from exchange_formats.results import (
    OWN_PUBLIC_CREDIT,
    OWN_PUBLIC_CREDIT_SCHEMA,
    REFERENCE_STATISTICS,
    STATISTICS,
)
from gateway.artefacts import fetch_artefact
from gateway.outcomes import PULLED, date_manifests, read_completeness, read_outcomes, read_run_outcomes
from gateway.runs import find_run
from scoring.grammar import EVERY
from scoring.model import PUBLIC_CREDIT_DOMAINS
from scoring.quantities import covered_since
from scoring.resolution import SEMANTICS, ResolvedModel

_SOURCE = re.compile(r"landing/department=([^/]+)/dataset=([^/]+)/")


@dataclass(frozen=True, slots=True)
class Cut:
    """What a run may read.

    ``heads``: "department/dataset" → chain heads (none: collected, and empty). ``evaluations``: domain → the run
    of our own public-credit evaluation. ``statistics``: the cycle's reference statistics. Both by manifest digest.
    ``lacking`` is no part of it: inputs that are missing or stale, which it therefore leaves out.
    """

    heads: Mapping[str, tuple[str, ...]]
    evaluations: Mapping[str, str] = field(default_factory=dict)
    statistics: str | None = None
    lacking: tuple[LackingInput, ...] = ()

    @classmethod
    def of(cls, run: RunManifest) -> Cut:
        """The cut of a run that was committed."""
        return cls(run.cut, run.evaluations, run.statistics)

    @property
    def sources(self) -> frozenset[str]:
        """The names of all inputs that ``open_inputs`` opens."""
        results = {OWN_PUBLIC_CREDIT: self.evaluations, REFERENCE_STATISTICS: self.statistics}
        return frozenset(self.heads) | {source for source, found in results.items() if found}

    @property
    def canonical(self) -> bytes:
        """Canonical JSON: equal cuts give equal bytes."""
        heads = {source: list(found) for source, found in self.heads.items()}
        return canonical_json({"heads": heads, "evaluations": self.evaluations, "statistics": self.statistics})


def resolve_cut(lake: Lake, resolved: ResolvedModel, as_of: date, *, known_at: datetime | None = None) -> Cut:
    """What the lake holds for a model that is used for ``as_of``, or what was known of it at ``known_at``.

    Where the cycle has no reference statistics yet, ``gateway.reference_statistics`` computes them.
    """
    heads: dict[str, tuple[str, ...]] = {}
    lacking = []
    for source in list_inputs(lake, resolved):
        required = source in resolved.required
        found, until = _read_input(lake, source, known_at)
        days = resolved.stale_after.get(source)
        if found is None or (days is not None and (until is None or until + timedelta(days) < as_of)):
            if required or found is not None:
                lacking.append(LackingInput(source=source, required=required, current_until=until))
        else:
            heads[source] = found
    return Cut(
        heads,
        find_evaluations(lake, resolved, as_of, known_at=known_at),
        find_statistics(lake, resolved, as_of, known_at=known_at),
        tuple(lacking),
    )


def list_inputs(lake: Lake, resolved: ResolvedModel) -> tuple[str, ...]:
    """Every ``department/dataset`` the model uses; a ``*`` stands for the departments the lake has records of."""
    named = {source for source in resolved.inputs if not source.startswith(EVERY)}
    if len(named) < len(resolved.inputs):
        named |= {f"{m[1]}/{m[2]}" for key in lake.store.list_keys("landing/") if (m := _SOURCE.match(key))}
    return resolved.used(named)


def find_evaluations(
    lake: Lake, resolved: ResolvedModel, as_of: date, *, known_at: datetime | None = None
) -> Mapping[str, str]:
    """Of each subject type the newest run of our own public-credit evaluation that is not older than its cycle."""
    if resolved.public_credit is None:
        return {}
    since = covered_since(as_of, resolved.public_credit[1].not_older_than)
    found = {}
    for domain in sorted(PUBLIC_CREDIT_DOMAINS[kind] for kind in resolved.model.subjects.type):
        runs = [run for run in read_runs(lake, domain, known_at) if since <= run.as_of <= as_of]
        if runs:
            found[domain] = max(runs, key=lambda run: (run.as_of, run.sequence, run.sha256)).sha256
    return found


def find_statistics(
    lake: Lake, resolved: ResolvedModel, as_of: date, *, known_at: datetime | None = None
) -> str | None:
    """The reference statistics of the cycle that holds ``as_of``, by the digest of their manifest: the first made.

    They were known when a run that used them was.
    """
    if not resolved.statistics:
        return None
    domain = resolved.model.id
    wanted = (cycle_start(as_of, resolved.model.cycle), define_statistics(resolved), SEMANTICS, False)
    made = [one for one in lake.chain(statistics_prefix(domain)) if isinstance(one, StatisticsManifest)]
    if known_at is not None:
        known = {run.statistics for run in read_runs(lake, domain, known_at)}
        made = [one for one in made if one.sha256 in known]
    found = (one for one in made if (one.cycle, one.definition_sha256, one.semantics, one.what_if) == wanted)
    return next((one.sha256 for one in found), None)


def define_statistics(resolved: ResolvedModel) -> str:
    """Digest of what a model's reference statistics are, whatever their inputs."""
    rules = {name: one.model_dump(mode="json") for name, one in resolved.statistics.items()}
    model = resolved.model
    subjects = model.subjects.model_dump(mode="json", by_alias=True)
    said = {"domain": model.id, "department": model.department, "subjects": subjects, "statistics": rules}
    return digest_bytes(canonical_json(said))


def read_runs(lake: Lake, domain: str, known_at: datetime | None = None) -> tuple[RunManifest, ...]:
    """The runs of a domain that stand (none that answers ``--known-at``), as known at an instant, in chain order."""
    prefix = domain_prefix(domain)
    chain = lake.chain(prefix)
    if known_at is not None:
        chain = select_known(chain, date_manifests(read_run_outcomes(lake, domain)), known_at)
    return tuple(run for run in chain if isinstance(run, RunManifest) and not run.what_if)


def select_known(
    chain: Iterable[Manifest], commits: Mapping[str, datetime], known_at: datetime
) -> tuple[Manifest, ...]:
    """The manifests of a chain (in its order) that were committed by ``known_at``, by the digests' commit times.

    One whose commit nobody wrote down (the process was killed right after it) is as old as its first known child.
    """
    known: list[Manifest] = []
    named: set[str] = set()
    for manifest in reversed(tuple(chain)):
        digest = manifest.sha256
        if digest in named or (digest in commits and commits[digest] <= known_at):
            known.append(manifest)
            named |= set(manifest.parents)
    return tuple(reversed(known))


def open_inputs(lake: Lake, cut: Cut) -> Mapping[str, pads.Dataset]:
    """What ``scoring.engine.evaluate`` reads: all landed versions of every dataset of the cut, and what else it names.

    Raises:
        FatalError: an object is missing or is not what its manifest says.
        PurgedError: the law took some of it since.
    """
    records = {
        source: lake.records(source.partition("/")[0], source.partition("/")[2], heads)
        for source, heads in cut.heads.items()
    }
    return records | open_derived(lake, cut)


def open_derived(lake: Lake, cut: Cut) -> dict[str, pads.Dataset]:
    """What a cut names besides records: results of our own, by the names ``evaluate`` knows them by."""
    inputs = {}
    if cut.evaluations:
        inputs[OWN_PUBLIC_CREDIT] = _open_evaluations(lake, cut.evaluations)
    if cut.statistics:
        inputs[REFERENCE_STATISTICS] = _open_statistics(lake, cut.statistics)
    return inputs


def _open_statistics(lake: Lake, sha256: str) -> pads.Dataset:
    found = lake.manifest(STATISTICS_ROOT, sha256)
    if not isinstance(found, StatisticsManifest):
        raise FatalError(f"不是参照统计 / not the manifest of reference statistics: {sha256[:12]}…")
    prefix = cycle_prefix(found.domain, found.cycle, found.statistics_id)
    paths = [str(lake.fetch(prefix + file.name, file.sha256)) for one in found.artefacts for file in one.files]
    return pads.dataset(paths, schema=STATISTICS, format="ipc")


def _open_evaluations(lake: Lake, evaluations: Mapping[str, str]) -> pads.Dataset:
    """The results of our own public-credit runs as one relation, each row with the day of its run."""
    paths: list[str] = []
    days: list[pc.Expression] = []
    for domain, sha256 in evaluations.items():
        run = find_run(lake, domain, sha256)
        for path in fetch_artefact(lake, run, "grades"):
            paths.append(str(path))
            days.append(pc.field("evaluated_on") == pa.scalar(run.as_of, pa.date32()))
    return pads.FileSystemDataset.from_paths(
        paths,
        schema=OWN_PUBLIC_CREDIT_SCHEMA,
        format=pads.IpcFileFormat(),
        filesystem=pafs.LocalFileSystem(),
        partitions=days,
    )


def _read_input(lake: Lake, source: str, known_at: datetime | None) -> tuple[tuple[str, ...] | None, date | None]:
    """Heads (None: never collected; none: collected, and empty), and the last day they are known to be complete."""
    department, _, dataset = source.partition("/")
    prefix = landing_prefix(department, dataset)
    heads = lake.heads(prefix)
    if known_at is not None:
        chain = lake.chain(prefix, heads)
        commits = _date_commits(chain, tuple(read_outcomes(lake, department, dataset)))
        heads = find_heads(select_known(chain, commits, known_at))
    days = [read_completeness(lake, department, dataset, known_at)]
    for head in heads:
        manifest = lake.manifest(prefix, head)
        if isinstance(manifest, BatchManifest):
            days.append(shanghai_date(manifest.window.until))
    until = max(filter(None, days), default=None)
    return (heads if heads or until else None), until


def _date_commits(chain: Iterable[Manifest], outcomes: Sequence[Outcome]) -> Mapping[str, datetime]:
    """When each manifest of a dataset was known to be committed, by its digest.

    A batch whose own outcome is missing (the process was killed right after the commit) is as old as the next pull
    that came to its end over a window that ends no earlier.
    """
    commits = date_manifests(outcomes)
    for manifest in chain:
        if manifest.sha256 not in commits and isinstance(manifest, BatchManifest):
            end = manifest.window.until
            after = max((commits[parent] for parent in manifest.parents if parent in commits), default=end)
            pulls = [one.finished_at for one in outcomes if one.result in PULLED and one.window.until >= end]
            if later := [at for at in pulls if at > after]:
                commits[manifest.sha256] = min(later)
    return commits


def find_heads(chain: Iterable[Manifest]) -> tuple[str, ...]:
    """Digests of the manifests that none of the others names as a parent, sorted."""
    manifests = tuple(chain)
    named = {parent for manifest in manifests for parent in manifest.parents}
    return tuple(sorted({manifest.sha256 for manifest in manifests} - named))
