"""The lake: manifests chained by digest, and the records they vouch for (semantics §6).

Readers trust only manifests. A manifest is named by the digest of its own bytes and
names its parents; everything fetched is verified against the digest that names it and
kept in a local cache under that digest, so nothing is fetched twice or trusted unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from exchange_formats.keys import batch_prefix, landing_prefix, manifest_digest, manifest_name, rejects_key
from exchange_formats.manifests import BatchManifest, Part, RunManifest, decode_manifest
from exchange_formats.periods import shanghai_date
from exchange_formats.rejects import REJECTS

Manifest = BatchManifest | RunManifest


@dataclass(frozen=True, slots=True)
class _File:
    """One local file of a batch; ``constants`` hold for all of its rows."""

    batch: BatchManifest
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
        found = {digest: self._load(key, digest) for digest, key in self._keys(prefix).items()}
        named = {parent for manifest in found.values() for parent in manifest.parents}
        return tuple(sorted(found.keys() - named))

    def manifest(self, prefix: str, sha256: str) -> Manifest:
        """One manifest, verified. FatalError names the object that is missing or is not what its name says."""
        return self._find(prefix, sha256, self._keys(prefix))

    def chain(self, prefix: str, heads: Iterable[str] | None = None) -> tuple[Manifest, ...]:
        """Every manifest reachable from ``heads`` (default: all), verified, ordered by (sequence, digest)."""
        keys = self._keys(prefix)
        waiting = list(self.heads(prefix) if heads is None else heads)
        found: dict[str, Manifest] = {}
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found[digest] = self._find(prefix, digest, keys)
                waiting += found[digest].parents
        return tuple(sorted(found.values(), key=lambda manifest: (manifest.sequence, manifest.sha256)))

    def batches(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> tuple[BatchManifest, ...]:
        """The chain of one dataset of one department; a batch that two manifests commit counts once."""
        batches: dict[str, BatchManifest] = {}
        for manifest in self.chain(landing_prefix(department, dataset), heads):
            if isinstance(manifest, BatchManifest):
                batches.setdefault(manifest.batch_id, manifest)
        return tuple(batches.values())

    def records(
        self,
        department: str,
        dataset: str | Dataset,
        heads: Iterable[str] | None = None,
    ) -> pads.Dataset:
        """All landed versions: the dataset's columns, then ``batch_id`` and ``chain_sequence`` of the batch.

        Rows landed under an older contract are read as ``dataset``'s (a name: the newest one's): what they do not
        hold is null, also where the newer contract requires it. The lineage columns, and the constants of older
        rows, are partition columns, so a reader's filter on them skips whole files.

        Raises:
            ConfigurationError: rows were landed under a contract that ``dataset`` does not descend from.
        """
        spec = choose_contract(self.contracts, dataset) if isinstance(dataset, str) else dataset
        own = [pa.field(name, one.arrow_type) for name, one in spec.columns.items()]
        files: list[_File] = []
        for batch in self.batches(department, spec.id, heads):
            projection = None
            if batch.contract != spec.contract:
                projection = project_columns(self.contracts, batch.contract, spec)
            for part in batch.parts:
                path = self._project_part(batch, part, projection)
                files.append(_File(batch, path, projection.constants if projection else {}))
        return _open_dataset(pa.schema([*SYSTEM_FIELDS, *own, *LINEAGE_FIELDS]), files)

    def rejects(self, department: str, dataset: str, heads: Iterable[str] | None = None) -> pads.Dataset:
        """All rejects of one dataset, with the same lineage columns as ``records``."""
        batches = self.batches(department, dataset, heads)
        files = [_File(b, self.fetch_part(b, b.rejects)) for b in batches if b.rejects is not None]
        return _open_dataset(pa.schema([*REJECTS, *LINEAGE_FIELDS]), files)

    def fetch_part(self, batch: BatchManifest, part: Part) -> Path:
        """One file of a batch in the local cache, verified."""
        day = shanghai_date(batch.window.until)
        if batch.rejects is not None and part == batch.rejects:
            return self.fetch(rejects_key(batch.department, batch.dataset, day, batch.batch_id), part.sha256)
        return self.fetch(batch_prefix(batch.department, batch.dataset, day, batch.batch_id) + part.name, part.sha256)

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

    def _project_part(self, batch: BatchManifest, part: Part, projection: Projection | None) -> Path:
        """A part that can be read by the wanted version's names: itself, or a renamed copy made once in the cache."""
        path = self.fetch_part(batch, part)
        if projection is None or not projection.renames:
            return path
        columns = {name: name for name in SYSTEM_FIELDS.names} | dict(projection.sources)
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
        return self._manifests[sha256]

    def _keys(self, prefix: str) -> dict[str, str]:
        """Digest → key of every manifest below ``prefix``."""
        keys: dict[str, str] = {}
        for key in sorted(self.store.list_keys(prefix)):
            digest = manifest_digest(key)
            if digest is not None:
                keys.setdefault(digest, key)
        return keys


def _open_dataset(schema: pa.Schema, files: Sequence[_File]) -> pads.Dataset:
    """One dataset over ``files``; a column that a file lacks is null."""
    paths: list[str] = []
    partitions: list[pc.Expression] = []
    for file in files:
        sequence = pc.field("chain_sequence") == pa.scalar(file.batch.sequence, pa.int64())
        known = (pc.field("batch_id") == pa.scalar(file.batch.batch_id)) & sequence
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
