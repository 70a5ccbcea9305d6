"""The lake: manifests chained by digest, and the records they vouch for (semantics §6).

Readers trust only manifests. A manifest is named by the digest of its own bytes and
names its parents; everything fetched is verified against the digest that names it and
kept in a local cache under that digest, so nothing is fetched twice or trusted unseen.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from connectors.object_store import ObjectMissingError, ObjectStore
from connectors.parts import rename_columns
from exchange_formats.contract_versions import Contracts, Projection, choose_contract, project_columns
from exchange_formats.datasets import LINEAGE_FIELDS, SYSTEM_FIELDS, Dataset, load_contracts
from exchange_formats.digests import canonical_json, digest_bytes, digest_file
from exchange_formats.errors import FatalError
from exchange_formats.keys import (
    PURGE_FOLDER,
    batch_prefix,
    compacted_prefix,
    landing_prefix,
    manifest_digest,
    manifest_name,
    rejects_key,
)
from exchange_formats.manifests import (
    BatchManifest,
    CompactManifest,
    Manifest,
    Part,
    PurgedFile,
    PurgeManifest,
    decode_manifest,
)
from exchange_formats.periods import shanghai_date
from exchange_formats.rejects import REJECTS

_log = logging.getLogger(__name__)


class PurgedError(FatalError):
    """What is asked for was deleted by law: it cannot be read any more, and nothing is broken."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a batch as it stands after every purge: parts, and the rejects."""

    batch: BatchManifest = field(compare=False)
    key: str
    part: Part
    rejects: bool = False


@dataclass(frozen=True, slots=True)
class DatasetChain:
    """What the heads of one dataset lead to. A batch that two manifests commit counts once."""

    manifests: frozenset[str]
    batches: tuple[BatchManifest, ...]
    #: Key → what a purge that the heads lead to took out.
    purged: Mapping[str, PurgedFile]

    def files(self) -> tuple[StoredFile, ...]:
        """Every file that stands."""
        listed = (follow_purges(one, self.purged) for batch in self.batches for one in list_files(batch))
        return tuple(one for one in listed if one is not None)


def follow_purges(file: StoredFile, purged: Mapping[str, PurgedFile]) -> StoredFile | None:
    """What stands in the place of ``file`` after the purges of ``purged`` (by key); None where nothing does."""
    while (gone := purged.get(file.key)) is not None:
        if gone.replacement is None:
            return None
        key = f"{file.key.rpartition('/')[0]}/{gone.replacement.name}"
        file = replace(file, key=key, part=gone.replacement)
    return file


def list_files(batch: BatchManifest) -> tuple[StoredFile, ...]:
    """Every file a batch was committed with."""
    day = shanghai_date(batch.window.until)
    prefix = batch_prefix(batch.department, batch.dataset, day, batch.batch_id)
    parts = [StoredFile(batch, prefix + part.name, part) for part in batch.parts]
    if batch.rejects is not None:
        key = rejects_key(batch.department, batch.dataset, day, batch.batch_id)
        parts.append(StoredFile(batch, key, batch.rejects, rejects=True))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _File:
    """One local file; ``constants`` hold for all of its rows. Without a batch it has the lineage as columns."""

    batch: BatchManifest | None
    path: Path
    constants: Mapping[str, pa.Scalar] = field(default_factory=dict)


class Lake:
    """What is committed in an object store, read through a local cache named by digest.

    ``contracts``: every version of every dataset, by default the catalogue's.
    """

    def __init__(self, store: ObjectStore, cache: Path, contracts: Contracts | None = None) -> None:
        self.store = store
        self.cache = cache
        self.contracts = load_contracts() if contracts is None else contracts
        self._manifests: dict[str, Manifest] = {}
        self._verified: set[str] = set()

    def heads(self, prefix: str) -> tuple[str, ...]:
        """Digests of the manifests under ``prefix`` that no other one names as a parent, sorted."""
        return self._heads(self._keys(prefix))

    def manifest(self, prefix: str, sha256: str) -> Manifest:
        """One manifest, verified. FatalError names the object that is missing or is not what its name says."""
        return self._find(prefix, sha256, self._keys(prefix))

    def chain(self, prefix: str, heads: Iterable[str] | None = None) -> tuple[Manifest, ...]:
        """Every manifest reachable from ``heads`` (default: all), verified, ordered by (sequence, digest)."""
        return self._walk(prefix, heads, self._keys(prefix))

    def _heads(self, keys: Mapping[str, str]) -> tuple[str, ...]:
        found = {digest: self._load(key, digest) for digest, key in keys.items()}
        named = {parent for manifest in found.values() for parent in manifest.parents}
        return tuple(sorted(found.keys() - named))

    def _walk(self, prefix: str, heads: Iterable[str] | None, keys: Mapping[str, str]) -> tuple[Manifest, ...]:
        waiting = list(self._heads(keys) if heads is None else heads)
        found: dict[str, Manifest] = {}
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found[digest] = self._find(prefix, digest, keys)
                waiting += found[digest].parents
        return tuple(sorted(found.values(), key=lambda manifest: (manifest.sequence, manifest.sha256)))

    def batches(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> tuple[BatchManifest, ...]:
        """The chain of one dataset of one department; a batch that two manifests commit counts once."""
        return self.dataset_chain(department, dataset, heads).batches

    def dataset_chain(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> DatasetChain:
        """Batches and purges that ``heads`` (default: all) lead to."""
        prefix = landing_prefix(department, dataset)
        return self._follow(prefix, heads, self._keys(prefix))

    def _follow(self, prefix: str, heads: Iterable[str] | None, keys: Mapping[str, str]) -> DatasetChain:
        batches: dict[str, BatchManifest] = {}
        purged: dict[str, PurgedFile] = {}
        manifests = self._walk(prefix, heads, keys)
        for manifest in manifests:
            if isinstance(manifest, BatchManifest):
                batches.setdefault(manifest.batch_id, manifest)
            elif isinstance(manifest, PurgeManifest):
                purged |= {file.key: file for file in manifest.files}
        return DatasetChain(frozenset(one.sha256 for one in manifests), tuple(batches.values()), purged)

    def purges(self, department: str, dataset: str) -> tuple[PurgeManifest, ...]:
        """Every purge of one dataset there is, whatever leads to it; in the order they were made."""
        return self._purges(self._keys(landing_prefix(department, dataset)))

    def _purges(self, keys: Mapping[str, str]) -> tuple[PurgeManifest, ...]:
        found = [self._load(key, digest) for digest, key in keys.items() if PURGE_FOLDER in key]
        ordered = sorted(found, key=lambda one: (one.sequence, one.sha256))
        return tuple(one for one in ordered if isinstance(one, PurgeManifest))

    def records(
        self,
        department: str,
        dataset: str | Dataset,
        heads: Iterable[str] | None = None,
        *,
        as_purged: bool = False,
    ) -> pads.Dataset:
        """All landed versions: the dataset's columns, then ``batch_id`` and ``chain_sequence`` of the batch.

        Rows landed under an older contract are read as ``dataset``'s (a name: the newest one's): what they do not
        hold is null, also where the newer contract requires it. The lineage columns, and the constants of older
        rows, are partition columns, so a reader's filter on them skips whole files.
        ``as_purged``: leave out what was purged since ``heads``, for whoever compares with today.

        Raises:
            ConfigurationError: rows were landed under a contract that ``dataset`` does not descend from.
            PurgedError: rows that ``heads`` lead to were deleted by law since.
        """
        spec = choose_contract(self.contracts, dataset) if isinstance(dataset, str) else dataset
        standing, chain = self._standing(department, spec.id, heads, as_purged=as_purged)
        parts = [one for one in standing if not one.rejects]
        files: list[_File] = []
        copied: set[str] = set()
        for compact in self.compactions(department, spec.id):
            sources = _copied_parts(compact, chain, parts)
            if sources is not None and not sources & copied and (found := self._open_compacted(compact, spec)):
                files += found
                copied |= sources
        files += self._open_parts(spec, [one for one in parts if one.part.sha256 not in copied])
        return _open_dataset(_records_schema(spec), files)

    def parts(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> tuple[StoredFile, ...]:
        """The parts that hold what ``records`` gives; nothing is fetched yet.

        Raises:
            PurgedError: rows that ``heads`` lead to were deleted by law since.
        """
        standing, _ = self._standing(department, dataset, heads, as_purged=False)
        return tuple(one for one in standing if not one.rejects)

    def open_parts(self, dataset: str, parts: Iterable[StoredFile]) -> pads.Dataset:
        """The rows of some of a dataset's ``parts``, as ``records`` gives them."""
        spec = choose_contract(self.contracts, dataset)
        return _open_dataset(_records_schema(spec), self._open_parts(spec, parts))

    def rejects(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> pads.Dataset:
        """All rejects of one dataset that are kept still, with the same lineage columns as ``records``."""
        standing, _ = self._standing(department, dataset, heads, as_purged=True)
        files = [_File(one.batch, self.fetch(one.key, one.part.sha256)) for one in standing if one.rejects]
        return _open_dataset(pa.schema([*REJECTS, *LINEAGE_FIELDS]), files)

    def versions(self, files: Iterable[StoredFile]) -> pads.Dataset:
        """The system and lineage columns of parts, of whatever contract."""
        opened = [_File(one.batch, self.fetch(one.key, one.part.sha256)) for one in files]
        return _open_dataset(pa.schema([*SYSTEM_FIELDS, *LINEAGE_FIELDS]), opened)

    def compactions(self, department: str, dataset: str) -> tuple[CompactManifest, ...]:
        """The compacted copies of a dataset's batches, in a fixed order."""
        keys = self._keys(compacted_prefix(department, dataset))
        found = [self._load(key, digest) for digest, key in sorted(keys.items())]
        return tuple(one for one in found if isinstance(one, CompactManifest))

    def fetch_rejects(self, batch: BatchManifest) -> Path | None:
        """The rejects of a batch in the local cache, verified; None where it has none, or none any more."""
        purged = {file.key: file for one in self.purges(batch.department, batch.dataset) for file in one.files}
        wanted = next((one for one in list_files(batch) if one.rejects), None)
        standing = follow_purges(wanted, purged) if wanted else None
        return self.fetch(standing.key, standing.part.sha256) if standing else None

    def fetch(self, key: str, sha256: str) -> Path:
        """The object ``key`` in the local cache, verified once a process; FatalError names a wrong or missing one."""
        path = self.cache / sha256[:2] / f"{sha256}{Path(key).suffix}"
        if path.exists():
            if sha256 in self._verified or digest_file(path) == sha256:
                self._verified.add(sha256)
                return path
            path.unlink(missing_ok=True)  # the cache is never the only copy
        path.parent.mkdir(parents=True, exist_ok=True)
        arriving = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            self.store.get_file(key, arriving)
            actual = digest_file(arriving)
            if actual != sha256:
                raise FatalError(
                    f"摘要不符 / not what its manifest says: {key} has {actual[:12]}…, not {sha256[:12]}…",
                    hint="it was changed in the store; restore it from a backup",
                )
            arriving.replace(path)
        except ObjectMissingError as error:
            raise FatalError(f"对象缺失 / an object is missing: {key}", hint="restore it from a backup") from error
        finally:
            arriving.unlink(missing_ok=True)
        self._verified.add(sha256)
        return path

    def commit(self, prefix_of_object: str, manifest: Manifest) -> str:
        """Put the manifest, one request, after everything it names; returns its key."""
        data = manifest.encode()
        digest = digest_bytes(data)
        key = prefix_of_object + manifest_name(digest)
        self.store.put_bytes(key, data)
        self._manifests[digest] = manifest
        return key

    def forget(self, sha256: str) -> None:
        """Remove every local copy of an object; copies made from it have its digest in their names."""
        self._verified.discard(sha256)
        for path in (self.cache / sha256[:2]).glob(f"*{sha256}*"):
            path.unlink(missing_ok=True)

    def _standing(
        self, department: str, dataset: str, heads: Iterable[str] | None, *, as_purged: bool
    ) -> tuple[tuple[StoredFile, ...], DatasetChain]:
        """The files that stand at ``heads``, and the chain; see ``records``."""
        prefix = landing_prefix(department, dataset)
        keys = self._keys(prefix)
        chain = self._follow(prefix, heads, keys)
        later = {file.key: one for one in self._purges(keys) for file in one.files}
        later = {key: purge for key, purge in later.items() if key not in chain.purged}
        if not later:
            return chain.files(), chain
        if as_purged:
            newer = {file.key: file for purge in later.values() for file in purge.files}
            chain = replace(chain, purged={**chain.purged, **newer})
            return chain.files(), chain
        files = chain.files()
        gone = next((one for one in files if not one.rejects and one.key in later), None)
        if gone is not None:
            purge = later[gone.key]
            raise PurgedError(
                f"依法已清除 / deleted by law: {gone.key} ({purge.article}, {purge.day})",
                hint="it can be read as it stands today, not as it stood before",
            )
        return files, chain

    def _open_parts(self, spec: Dataset, parts: Iterable[StoredFile]) -> list[_File]:
        files = []
        for one in parts:
            path, constants = self._read_as(spec, one.batch.contract, one.key, one.part)
            files.append(_File(one.batch, path, constants))
        return files

    def _open_compacted(self, compact: CompactManifest, spec: Dataset) -> list[_File]:
        """The files of a compaction; none of them where one cannot be had, for the batches hold the same rows."""
        prefix = compacted_prefix(compact.department, compact.dataset)
        files = []
        for one in compact.files:
            try:
                path, constants = self._read_as(spec, one.contract, prefix + one.part.name, one.part)
            except FatalError as error:
                _log.warning("%s", error)
                return []
            files.append(_File(None, path, constants))
        return files

    def _read_as(self, spec: Dataset, contract: str, key: str, part: Part) -> tuple[Path, Mapping[str, pa.Scalar]]:
        """A local file of rows of ``contract`` to be read as ``spec``, and what is constant in it."""
        if contract == spec.contract:
            return self.fetch(key, part.sha256), {}
        projection = project_columns(self.contracts, contract, spec)
        return self._project_part(key, part, projection), projection.constants

    def _project_part(self, key: str, part: Part, projection: Projection) -> Path:
        """A part that can be read by the wanted version's names: itself, or a renamed copy made once in the cache."""
        path = self.fetch(key, part.sha256)
        if not projection.renames:
            return path
        columns = {name: name for name in [*SYSTEM_FIELDS.names, *LINEAGE_FIELDS.names]} | dict(projection.sources)
        reading = digest_bytes(canonical_json(columns))[:16]
        # The copy's own digest ends its name: a damaged one is made again.
        for copy in path.parent.glob(f"{part.sha256}.{reading}.*.arrow"):
            digest = copy.name.split(".")[2]
            if digest in self._verified or digest_file(copy) == digest:
                self._verified.add(digest)
                return copy
            copy.unlink(missing_ok=True)
        arriving = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            rename_columns(path, arriving, columns)
            digest = digest_file(arriving)
            copy = path.with_name(f"{part.sha256}.{reading}.{digest}.arrow")
            arriving.replace(copy)
        finally:
            arriving.unlink(missing_ok=True)
        self._verified.add(digest)
        return copy

    def _find(self, prefix: str, sha256: str, keys: Mapping[str, str]) -> Manifest:
        if sha256 not in keys:
            raise FatalError(
                f"清单缺失 / a manifest is missing: {prefix}…/{manifest_name(sha256)}",
                hint="an object was removed from the store; restore it from a backup",
            )
        return self._load(keys[sha256], sha256)

    def _load(self, key: str, sha256: str) -> Manifest:
        if sha256 not in self._manifests:
            try:
                self._manifests[sha256] = decode_manifest(self.fetch(key, sha256).read_bytes(), sha256)
            except ValueError as error:
                raise FatalError(f"清单不可读 / the manifest cannot be read: {key}") from error
            if isinstance(purge := self._manifests[sha256], PurgeManifest):
                for file in purge.files:
                    self.forget(file.sha256)
        return self._manifests[sha256]

    def _keys(self, prefix: str) -> dict[str, str]:
        """Digest → key of every manifest below ``prefix``."""
        keys: dict[str, str] = {}
        for key in sorted(self.store.list_keys(prefix)):
            digest = manifest_digest(key)
            if digest is not None:
                keys.setdefault(digest, key)
        return keys


def _copied_parts(compact: CompactManifest, chain: DatasetChain, parts: Sequence[StoredFile]) -> set[str] | None:
    """Digests of the parts that ``compact`` may stand for; None where it holds more or less than stands."""
    if not chain.manifests.issuperset(compact.parents):
        return None
    batches = {one.batch_id for one in chain.batches if one.sha256 in set(compact.parents)}
    standing = {one.part.sha256 for one in parts if one.batch.batch_id in batches}
    return standing if standing == {source for file in compact.files for source in file.sources} else None


def _records_schema(spec: Dataset) -> pa.Schema:
    own = [pa.field(name, one.arrow_type) for name, one in spec.columns.items()]
    return pa.schema([*SYSTEM_FIELDS, *own, *LINEAGE_FIELDS])


def _open_dataset(schema: pa.Schema, files: Sequence[_File]) -> pads.Dataset:
    """One dataset over ``files``; a column that a file lacks is null."""
    paths: list[str] = []
    partitions: list[pc.Expression] = []
    for file in files:
        known = pc.scalar(True)  # noqa: FBT003 - an expression that always holds
        if file.batch is not None:
            known &= pc.field("batch_id") == pa.scalar(file.batch.batch_id)
            known &= pc.field("chain_sequence") == pa.scalar(file.batch.sequence, pa.int64())
        for name, value in file.constants.items():
            known &= pc.field(name) == value
        paths.append(str(file.path))
        partitions.append(known)
    if not paths:
        return pads.dataset(schema.empty_table())
    return pads.FileSystemDataset.from_paths(
        paths,
        schema=schema,
        format=pads.IpcFileFormat(),
        filesystem=pafs.LocalFileSystem(),
        partitions=partitions,
    )
