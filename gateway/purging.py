"""Purge: what the law wants deleted leaves the lake, and the chain says what, when due, and by which article.

The manifest of a purge is committed first, then the files go; a purge that was killed between is finished by
the next one (semantics §6). Parts go whole when their month has passed. Where the latest version of a record
goes, its older versions go too, wherever they lie: else they would stand again. A record that must go early
is taken out of its files, and what may stay stands beside them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.lake import DatasetChain, Lake, StoredFile
from connectors.parts import cut_batches, write_part
from connectors.spool import Spool
from exchange_formats.contract_versions import choose_contract
from exchange_formats.datasets import NEWEST_FIRST
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import (
    compacted_prefix,
    landing_prefix,
    manifest_name,
    purge_prefix,
    redacted_name,
    rejected_prefix,
)
from exchange_formats.manifests import BatchManifest, Outcome, Part, PurgedFile, PurgeManifest, Window
from exchange_formats.periods import end_of_day
from gateway.locks import work_alone
from gateway.outcomes import write_outcome

#: Why rejects go (semantics §5; facts §9: ours).
REJECTS_ARTICLE: Final = "拒收记录保存180天 rejects are kept for 180 days"
_DATASET = re.compile(r"landing/department=([^/]+)/dataset=([^/]+)/.*/manifest-[0-9a-f]{64}\.json")


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What one purge took out of a dataset. ``manifest_sha256`` is None after a dry run."""

    department: str
    dataset: str
    article: str
    files: int
    #: Files in whose place another with fewer rows stands.
    redacted: int
    records: int
    rejects: int
    manifest_sha256: str | None


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """``finished``: objects of an earlier purge that was killed, deleted now."""

    purges: tuple[PurgeResult, ...]
    finished: int


@dataclass(frozen=True, slots=True)
class _Purger:
    """Where a purge works and for which day."""

    lake: Lake
    day: date
    now: Callable[[], datetime]
    dry_run: bool

    def take_out(
        self, department: str, dataset: str, article: str, changed: Mapping[StoredFile, Part | None], folder: Path
    ) -> PurgeResult:
        """Commit that the files of ``changed`` go, each for what stands in its place in ``folder``; then delete."""
        files = tuple(
            PurgedFile(key=one.key, sha256=one.part.sha256, rows=one.part.rows, replacement=left)
            for one, left in sorted(changed.items(), key=lambda item: item[0].key)
        )
        copies = self._find_copies(department, dataset, frozenset(one.sha256 for one in files))
        gone = {one: one.part.rows - (left.rows if left else 0) for one, left in changed.items()}
        records = sum(rows for one, rows in gone.items() if not one.rejects)
        rejects = sum(rows for one, rows in gone.items() if one.rejects)
        digest = None
        if not self.dry_run:
            for one, left in changed.items():
                if left is not None:
                    self.lake.store.put_file(f"{one.key.rpartition('/')[0]}/{left.name}", folder / left.name)
            manifest = self._commit(department, dataset, article, (*files, *copies), records, rejects)
            digest = manifest.sha256
            self.finish(manifest, frozenset(one.key for one in manifest.files))
        redacted = sum(left is not None for left in changed.values())
        return PurgeResult(department, dataset, article, len(files), redacted, records, rejects, digest)

    def finish(self, manifest: PurgeManifest, present: frozenset[str]) -> int:
        """Delete what ``manifest`` took out and is ``present`` still, and every copy of it; returns how many."""
        gone = [one for one in manifest.files if one.key in present]
        for one in gone:
            self.lake.store.delete(one.key)
        for one in manifest.files:
            self.lake.forget(one.sha256)
        keys = {one.key for one in manifest.files}
        prefix = compacted_prefix(manifest.department, manifest.dataset)
        for compact in self.lake.compactions(manifest.department, manifest.dataset):
            if any(prefix + file.part.name in keys for file in compact.files):
                self.lake.store.delete(prefix + manifest_name(compact.sha256))
        if gone:
            self._note(manifest)
        return len(gone)

    def _find_copies(self, department: str, dataset: str, sources: frozenset[str]) -> tuple[PurgedFile, ...]:
        """The files of every compaction that copies one of ``sources``: named too, so that every cache forgets them."""
        prefix = compacted_prefix(department, dataset)
        return tuple(
            PurgedFile(key=prefix + file.part.name, sha256=file.part.sha256, rows=file.part.rows)
            for compact in self.lake.compactions(department, dataset)
            if any(sources.intersection(file.sources) for file in compact.files)
            for file in compact.files
        )

    def _commit(
        self, department: str, dataset: str, article: str, files: tuple[PurgedFile, ...], records: int, rejects: int
    ) -> PurgeManifest:
        chain = landing_prefix(department, dataset)
        parents = [self.lake.manifest(chain, head) for head in self.lake.heads(chain)]
        marks = [one.watermark for one in parents if isinstance(one, BatchManifest | PurgeManifest) and one.watermark]
        manifest = PurgeManifest(
            parents=tuple(sorted(one.sha256 for one in parents)),
            sequence=1 + max(one.sequence for one in parents),
            department=department,
            dataset=dataset,
            day=self.day,
            article=article,
            watermark=max(marks, default=None),
            files=files,
            records=records,
            rejects=rejects,
        )
        self.lake.commit(purge_prefix(department, dataset, self.day), manifest)
        return manifest

    def _note(self, manifest: PurgeManifest) -> None:
        time = self.now()
        outcome = Outcome(
            department=manifest.department,
            dataset=manifest.dataset,
            window=Window(until=end_of_day(manifest.day)),
            result="purged",
            manifest_sha256=manifest.sha256,
            notes=(manifest.article,),
            started_at=time,
            finished_at=time,
            host=socket.gethostname(),
        )
        write_outcome(self.lake, outcome)


def purge_expired(
    lake: Lake, *, day: date, now: Callable[[], datetime], spool: Path, dry_run: bool = False
) -> PurgeReport:
    """Delete every part and reject of the whole lake whose month passed before the month of ``day``.

    Raises:
        TransientError: another purge is at work here, or the store is away; done again, nothing is lost.
        FatalError: a chain that is broken.
    """
    purger = _Purger(lake, day, now, dry_run)
    with work_alone("purge", spool), Spool(spool, "purge") as folder:
        datasets = list_datasets(lake)
        finished = 0 if dry_run else sum(_finish_killed(purger, *one) for one in datasets)
        purges = [result for one in datasets for result in _purge_dataset(purger, *one, folder)]
    return PurgeReport(tuple(purges), finished)


def purge_record(
    lake: Lake,
    department: str,
    dataset: str,
    record_id: str,
    *,
    article: str,
    day: date,
    now: Callable[[], datetime],
    spool: Path,
    dry_run: bool = False,
) -> PurgeResult:
    """Delete every version of one record now, rejects that name it included; ``article``: the law that demands it.

    The department must have deleted it before: what a source still sends lands again.

    Raises:
        ConfigurationError: no article, or no file holds the record.
        TransientError, FatalError: as ``purge_expired``.
    """
    if not article.strip():
        raise ConfigurationError("缺少法律依据 / early deletion needs the article that demands it", hint="--article")
    purger = _Purger(lake, day, now, dry_run)
    with work_alone("purge", spool), Spool(spool, "purge") as folder:
        if not dry_run:
            _finish_killed(purger, department, dataset)
        files = lake.dataset_chain(department, dataset).files()
        changed = _redact_all(lake, files, frozenset({record_id}), folder)
        if not changed:
            raise ConfigurationError(
                f"没有该记录 / {department}/{dataset} holds no record '{record_id}'",
                hint="the id is shown by `xinqiao explain`",
            )
        return purger.take_out(department, dataset, article.strip(), changed, folder)


def list_datasets(lake: Lake) -> tuple[tuple[str, str], ...]:
    """(department, dataset) of everything that was ever landed, also of what is configured no longer; sorted."""
    found = {match.groups() for key in lake.store.list_keys("landing/") if (match := _DATASET.fullmatch(key))}
    return tuple(sorted((department, dataset) for department, dataset in found))


def _finish_killed(purger: _Purger, department: str, dataset: str) -> int:
    purges = purger.lake.purges(department, dataset)
    if not purges:
        return 0
    prefixes = (
        landing_prefix(department, dataset),
        rejected_prefix(department, dataset),
        compacted_prefix(department, dataset),
    )
    present = frozenset(key for prefix in prefixes for key in purger.lake.store.list_keys(prefix))
    return sum(purger.finish(one, present) for one in purges)


def _purge_dataset(purger: _Purger, department: str, dataset: str, folder: Path) -> Iterator[PurgeResult]:
    chain = purger.lake.dataset_chain(department, dataset)
    due = [one for one in chain.files() if (one.part.delete_month or "9999") < f"{purger.day:%Y-%m}"]
    changed: dict[StoredFile, Part | None] = {one: None for one in due if not one.rejects}
    if changed:
        changed |= _redact_older_versions(purger.lake, chain, frozenset(changed), folder)
        rule = choose_contract(purger.lake.contracts, dataset).deletion
        yield purger.take_out(department, dataset, rule.basis if rule else "delete_month", changed, folder)
    if rejects := {one: None for one in due if one.rejects}:
        yield purger.take_out(department, dataset, REJECTS_ARTICLE, rejects, folder)


def _redact_older_versions(
    lake: Lake, chain: DatasetChain, going: frozenset[StoredFile], folder: Path
) -> Mapping[StoredFile, Part | None]:
    """The files that stay and hold versions of records whose latest version goes, without those."""
    staying = [one for one in chain.files() if one not in going and not one.rejects]
    with duckdb.connect(config={"memory_limit": "512MB", "temp_directory": str(folder / "duckdb")}) as connection:
        connection.register("going", lake.versions(sorted(going, key=lambda one: one.key)))
        connection.register("staying", lake.versions(staying))
        last = connection.sql(
            "SELECT record_id FROM (SELECT *, true AS goes FROM going UNION ALL SELECT *, false FROM staying "
            "WHERE record_id IN (SELECT record_id FROM going)) "
            f"QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1 AND goes "
            "AND count(*) FILTER (WHERE NOT goes) OVER (PARTITION BY record_id) > 0"
        ).fetchall()
    return _redact_all(lake, staying, frozenset(name for (name,) in last), folder) if last else {}


def _redact_all(
    lake: Lake, files: Sequence[StoredFile], record_ids: frozenset[str], folder: Path
) -> Mapping[StoredFile, Part | None]:
    """File → what is left of it in ``folder`` (None: nothing), for each that holds one of the records."""
    return {one: left for one in files for left in _redact(lake, one, record_ids, folder)}


def _redact(lake: Lake, file: StoredFile, record_ids: frozenset[str], folder: Path) -> Iterator[Part | None]:
    """Nothing where the file holds none of the records; else what is left of it."""
    wanted = pa.array(sorted(record_ids), pa.string())
    with pa.OSFile(str(lake.fetch(file.key, file.part.sha256))) as source, pa.ipc.open_file(source) as reader:
        schema = reader.schema

        def keep() -> Iterator[pa.RecordBatch]:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                yield batch.filter(pc.invert(pc.is_in(batch.column("record_id"), wanted)))

        rows = sum(batch.num_rows for batch in keep())
        if rows == file.part.rows:
            return
        if not rows:
            yield None
            return
        labels = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        plain = schema.remove_metadata()
        path = folder / "redacted.arrow"
        part = write_part(path, plain, cut_batches(keep(), plain), rows, labels)
        name = redacted_name(file.part.name, part.sha256)
        path.rename(folder / name)
        yield part.model_copy(update={"name": name, "delete_month": file.part.delete_month})
