"""The survey: every manifest below some prefixes, read from the store itself and never from the cache.

It goes on where readers stop: what is wrong with one object is a finding, and the rest is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from connectors.lake import list_files
from connectors.object_store import ObjectMissingError, ObjectStore
from exchange_formats.digests import digest_bytes
from exchange_formats.keys import (
    batch_prefix,
    compacted_prefix,
    cycle_prefix,
    domain_prefix,
    landing_prefix,
    manifest_digest,
    manifest_name,
    purge_prefix,
    run_prefix,
    statistics_prefix,
    warned_prefix,
)
from exchange_formats.manifests import (
    BatchManifest,
    CompactManifest,
    Manifest,
    PurgedFile,
    PurgeManifest,
    RunManifest,
    StatisticsManifest,
    WarningManifest,
    decode_manifest,
)
from exchange_formats.periods import shanghai_date
from gateway.verification.findings import Finding, changed, missing, unreadable

#: (what is being done, how many are done, how many there are)
Progress = Callable[[str, int, int], None]


def ignore_progress(stage: str, done: int, total: int) -> None:
    """For callers that do not show it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A manifest and the key under which it lies."""

    key: str
    manifest: Manifest

    @property
    def folder(self) -> str:
        """Where the files lie that it names."""
        return self.key.rpartition("/")[0] + "/"


@dataclass
class Survey:
    """What was found. ``keys``: every object below the surveyed prefixes; ``manifests`` by chain, then digest."""

    store: ObjectStore
    prefixes: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    manifests: dict[str, dict[str, Placed]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    #: The digest that a manifest's name claims → keys of that name.
    names: dict[str, list[str]] = field(default_factory=dict)
    _closures: dict[tuple[str, tuple[str, ...]], frozenset[str]] = field(default_factory=dict)

    def runs(self, domain: str | None = None) -> tuple[RunManifest, ...]:
        """Every run, or those of a domain, in the order of (domain, sequence, digest)."""
        found = [one.manifest for one in self.placed() if isinstance(one.manifest, RunManifest)]
        wanted = [run for run in found if domain in {None, run.domain}]
        return tuple(sorted(wanted, key=lambda run: (run.domain, run.sequence, run.sha256)))

    def placed(self) -> Iterator[Placed]:
        """Every manifest that could be read."""
        for chain in self.manifests.values():
            yield from chain.values()

    def find(self, prefix: str, sha256: str) -> Placed | None:
        """One manifest of a chain."""
        return self.manifests.get(prefix, {}).get(sha256)

    def purged(self, prefix: str) -> Mapping[str, tuple[PurgedFile, PurgeManifest]]:
        """Key → what a purge of one dataset says of it."""
        found: dict[str, tuple[PurgedFile, PurgeManifest]] = {}
        for one in self.manifests.get(prefix, {}).values():
            if isinstance(one.manifest, PurgeManifest):
                found |= {file.key: (file, one.manifest) for file in one.manifest.files}
        return found

    def closure(self, prefix: str, heads: Iterable[str]) -> frozenset[str]:
        """Digests of everything that ``heads`` lead to, what is missing included."""
        known = (prefix, tuple(sorted(heads)))
        if known not in self._closures:
            chain = self.manifests.get(prefix, {})
            waiting, found = list(known[1]), set()
            while waiting:
                digest = waiting.pop()
                if digest not in found:
                    found.add(digest)
                    waiting += chain[digest].manifest.parents if digest in chain else ()
            self._closures[known] = frozenset(found)
        return self._closures[known]

    def dependents(self, prefix: str, sha256: str) -> tuple[str, ...]:
        """Ids of the runs whose inputs or ancestors include a manifest."""
        return tuple(run.run_id for run in self.runs() if sha256 in self._inputs(run, prefix))

    def _inputs(self, run: RunManifest, prefix: str) -> frozenset[str]:
        for source, heads in run.cut.items():
            if landing_prefix(*source.split("/")) == prefix:
                return self.closure(prefix, heads)
        if prefix == prefix_of(run):
            return self.closure(prefix, [run.sha256])
        if prefix == statistics_prefix(run.domain) and run.statistics is not None:
            return frozenset({run.statistics})
        return frozenset(sha for domain, sha in run.evaluations.items() if domain_prefix(domain) == prefix)


def survey_lake(store: ObjectStore, prefixes: Sequence[str], progress: Progress = ignore_progress) -> Survey:
    """Read every manifest below ``prefixes`` and check its name, its place and its links.

    What names others comes first among ``prefixes``: the lake goes on, and what is listed later is there by then.
    """
    keys = frozenset(key for prefix in dict.fromkeys(prefixes) for key in store.list_keys(prefix))
    survey = Survey(store, tuple(prefixes), keys)
    named = sorted((key, digest) for key in keys if (digest := manifest_digest(key)))
    for key, digest in named:
        survey.names.setdefault(digest, []).append(key)
    for number, (key, digest) in enumerate(named, start=1):
        _read(survey, key, digest)
        progress("清单 manifests", number, len(named))
    for prefix, chain in sorted(survey.manifests.items()):
        for one in chain.values():
            survey.findings += _check_links(survey, prefix, one)
    return survey


def place_of(manifest: Manifest, folder: str) -> str:
    """The folder that a manifest must lie in; ``folder`` is where it lies."""
    match manifest:
        case WarningManifest():
            entry = f"run={manifest.run_id}/" if manifest.run_id else "answer="
            prefix = warned_prefix(manifest.domain) + entry
            return folder if folder.startswith(prefix) else prefix
        case BatchManifest():
            day = shanghai_date(manifest.window.until)
            return batch_prefix(manifest.department, manifest.dataset, day, manifest.batch_id)
        case PurgeManifest():
            return purge_prefix(manifest.department, manifest.dataset, manifest.day)
        case CompactManifest():
            return compacted_prefix(manifest.department, manifest.dataset)
        case RunManifest():
            return run_prefix(manifest.domain, manifest.as_of, manifest.run_id)
        case StatisticsManifest():
            return cycle_prefix(manifest.domain, manifest.cycle, manifest.statistics_id)
    assert_never(manifest)


def prefix_of(manifest: Manifest) -> str:
    """The prefix of the chain that a manifest is a link of."""
    match manifest:
        case BatchManifest() | PurgeManifest():
            return landing_prefix(manifest.department, manifest.dataset)
        case CompactManifest():
            return compacted_prefix(manifest.department, manifest.dataset)
        case RunManifest():
            return domain_prefix(manifest.domain)
        case StatisticsManifest():
            return statistics_prefix(manifest.domain)
        case WarningManifest():
            return warned_prefix(manifest.domain)
    assert_never(manifest)


def files_of(placed: Placed) -> Iterator[tuple[str, str, int, int]]:
    """(key, digest, bytes, rows) of every Arrow file that a manifest names."""
    match placed.manifest:
        case BatchManifest() as manifest:
            yield from ((one.key, one.part.sha256, one.part.bytes, one.part.rows) for one in list_files(manifest))
        case CompactManifest() as manifest:
            for file in manifest.files:
                yield placed.folder + file.part.name, file.part.sha256, file.part.bytes, file.part.rows
        case RunManifest() | StatisticsManifest() | WarningManifest() as manifest:
            for artefact in manifest.artefacts:
                yield from ((placed.folder + one.name, one.sha256, one.bytes, one.rows) for one in artefact.files)
        case PurgeManifest() as manifest:
            for gone in manifest.files:
                if (left := gone.replacement) is not None:
                    yield f"{gone.key.rpartition('/')[0]}/{left.name}", left.sha256, left.bytes, left.rows


def _read(survey: Survey, key: str, digest: str) -> None:
    try:
        data = survey.store.get_bytes(key)
    except ObjectMissingError:
        survey.findings.append(missing(key, "listing"))
        return
    actual = digest_bytes(data)
    if actual != digest:
        survey.findings.append(changed(key, actual, digest))
        return
    try:
        manifest = decode_manifest(data, digest)
    except ValueError:
        survey.findings.append(unreadable(key))
        return
    wanted = place_of(manifest, key.rpartition("/")[0] + "/") + manifest_name(digest)
    if key != wanted:
        said = f"is the manifest of another place: {wanted}"
        survey.findings.append(Finding(key, "misplaced", f"属于别处: {wanted}", said))
    survey.manifests.setdefault(prefix_of(manifest), {})[digest] = Placed(wanted, manifest)


def _check_links(survey: Survey, prefix: str, one: Placed) -> Iterator[Finding]:
    """Parents are there, and the sequence follows theirs."""
    manifest = one.manifest
    compact = isinstance(manifest, CompactManifest)
    chain = landing_prefix(manifest.department, manifest.dataset) if isinstance(manifest, CompactManifest) else prefix
    parents = []
    for parent in manifest.parents:
        found = survey.find(chain, parent)
        if found is None:
            yield from find_missing(survey, chain, parent, one.key)
        else:
            parents.append(found.manifest.sequence)
    if not compact and len(parents) == len(manifest.parents):
        wanted = 1 + max(parents, default=0)
        if manifest.sequence != wanted:
            said = f"has sequence {manifest.sequence} behind parents that make it {wanted}"
            yield Finding(one.key, "unlinked", f"序号 {manifest.sequence} 与前项不符, 应为 {wanted}", said)


def find_missing(survey: Survey, prefix: str, digest: str, named_by: str) -> Iterator[Finding]:
    """A finding where the chain ``prefix`` has no manifest of this digest; one that is there and bad is one already."""
    if survey.find(prefix, digest) is not None or not prefix.startswith(survey.prefixes):
        return
    if any(key.startswith(prefix) for key in survey.names.get(digest, ())):
        return
    # The lake goes on while it is looked at: what was committed since the listing is there.
    if not any(manifest_digest(key) == digest for key in survey.store.list_keys(prefix)):
        yield missing(f"{prefix}…/{manifest_name(digest)}", named_by)
