"""Landing: one pull becomes one immutable batch in the lake, or nothing at all (semantics §2, §6).

Spool, count, map, reconcile; then name the batch by what it holds; then one PUT a
part, the rejects, and the manifest last. Readers trust only manifests, so a pull that
is killed anywhere lands nothing; the same pull done again writes the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from connectors.changes import DELETIONS, complete_deletions
from connectors.department import DatasetMapping
from connectors.lake import Lake
from connectors.mapping import Mapper
from connectors.parts import BATCH_ROWS, PART_ROWS, cut_batches, write_part
from connectors.reconciliation import Reconciliation
from connectors.reject_rows import describe_input
from connectors.sources import RejectedInput, SourcePage, SourceReader
from connectors.spool import Spool, SpoolFile, name_full_disk
from exchange_formats.datasets import Dataset
from exchange_formats.digests import canonical_json, derive_id, digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.keys import batch_prefix, landing_prefix, part_name, rejects_key
from exchange_formats.manifests import BatchManifest, Counts, Part, PurgeManifest, Window
from exchange_formats.periods import shanghai_date
from exchange_formats.rejects import REJECTS, RETENTION_DAYS, describe_reason
from exchange_formats.subjects import PseudonymKey

#: Version of what landing computes; part of every batch's configuration digest.
LANDING_VERSION = "2"
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Landed:
    """What one pull brought. ``manifest`` is None when it brought nothing new.

    ``notes`` are for people (Chinese / English): columns that were not expected, keys
    that were not revoked. ``committed`` is False after a dry run.
    """

    manifest: BatchManifest | None
    committed: bool
    counts: Counts
    rejected_by_reason: Mapping[str, int]
    normalised_by_rule: Mapping[str, int]
    notes: tuple[str, ...] = ()


class LandingStoppedError(FatalError):
    """The pull broke its dataset's contract and nothing was landed; carries what was counted until then."""

    def __init__(self, message: str, counts: Counts, rejected_by_reason: Mapping[str, int], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.counts = counts
        self.rejected_by_reason = rejected_by_reason


@dataclass(frozen=True)
class Target:
    """Whose pull it is and how it is read."""

    department: str
    dataset: Dataset
    mapping: DatasetMapping
    window: Window

    @property
    def prefix(self) -> str:
        """Where the batches of this dataset lie."""
        return landing_prefix(self.department, self.dataset.id)


@dataclass
class _Pull:
    """A pull being read: what was counted, and its spool files (``completed``: records of bare deletions)."""

    records: SpoolFile
    rejects: SpoolFile
    deletions: SpoolFile
    completed: SpoolFile
    read: int = 0
    rejected: int = 0
    watermark: datetime | None = None
    by_reason: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    unknown: tuple[str, ...] = ()

    @property
    def seen(self) -> Counts:
        """What a pull that stops has seen; nobody decided what its good rows are, so this does not balance."""
        return Counts(read=self.read, landed=0, duplicates=0, rejected=self.rejected)

    def counts(self, landed: int = 0, revoked: int = 0) -> Counts:
        """The balance; what is neither landed nor rejected is a duplicate."""
        duplicates = self.records.rows + self.completed.rows - landed
        return Counts(read=self.read, landed=landed, duplicates=duplicates, rejected=self.rejected, revoked=revoked)


def land(
    reader: SourceReader,
    target: Target,
    *,
    lake: Lake,
    pseudonyms: PseudonymKey,
    spool: Path,
    commit: bool = True,
    progress: Progress | None = None,
) -> Landed:
    """Land one pull. ``spool`` is a local folder with room for it; ``progress`` hears the rows read so far.

    Raises:
        LandingStoppedError: the dataset's ``on_contract_break`` or ``max_reject_ratio`` says stop.
        FatalError: the source's own count differs, the chain is broken, a disk is full.
        TransientError: the store or the source is away.
    """
    heads = lake.heads(target.prefix)
    with Spool(spool, f"{target.department}-{target.dataset.id}") as folder, name_full_disk(folder):
        with closing(Mapper(target.department, target.dataset, target.mapping, target.window, pseudonyms)) as mapper:
            known = lake.records(target.department, target.dataset, heads)
            pull = _read(reader, target, mapper, folder, pseudonyms, progress, known)
        _check_source_count(reader, pull)
        _check_reject_ratio(target, pull)
        known_rejects = lake.rejects(target.department, target.dataset.id, heads)
        records = (pull.records.path, pull.completed.path)
        with closing(Reconciliation(target.dataset, records, pull.rejects.path, known, known_rejects)) as new:
            return _land_new(target, pull, new, lake, heads, folder, commit=commit, key_id=pseudonyms.id)


def _read(
    reader: SourceReader,
    target: Target,
    mapper: Mapper,
    folder: Path,
    pseudonyms: PseudonymKey,
    progress: Progress | None,
    known: pads.Dataset,
) -> _Pull:
    """Read and map everything into the spool."""
    with (
        SpoolFile(folder / "rejects.arrow", REJECTS) as rejects,
        SpoolFile(folder / "completed.arrow", mapper.schema) as completed,
    ):
        with (
            SpoolFile(folder / "records.arrow", mapper.schema) as records,
            SpoolFile(folder / "deletions.arrow", DELETIONS) as deletions,
        ):
            pull = _Pull(records, rejects, deletions, completed)
            for item in reader:
                if isinstance(item, RejectedInput):
                    position = pull.read + 1
                    pull.read += item.rows
                    _keep_rejects(target, pull, describe_input(item, position, pseudonyms))
                else:
                    for start in range(0, item.batch.num_rows, BATCH_ROWS):
                        _map_page(target, mapper, pull, item.slice(start, BATCH_ROWS))
                if progress is not None:
                    progress(pull.read)
        pull.unknown = reader.unknown_columns
        _complete_deletions(target, pull, known)
    return pull


def _map_page(target: Target, mapper: Mapper, pull: _Pull, page: SourcePage) -> None:
    mapped = mapper.map(
        page.batch, origin=page.origin, first_row=page.first_row, numbers=page.numbers, position=pull.read + 1
    )
    pull.read += page.batch.num_rows
    pull.records.write(mapped.records)
    pull.deletions.write(mapped.deletions)
    pull.by_rule.update(mapped.normalised)
    for rows in (mapped.records, mapped.deletions):
        latest = pc.max(rows.column("source_updated_at")).as_py()
        if latest is not None and (pull.watermark is None or latest > pull.watermark):
            pull.watermark = latest
    _keep_rejects(target, pull, mapped.rejects)


def _complete_deletions(target: Target, pull: _Pull, known: pads.Dataset) -> None:
    """Find the records of deletions that carry none; every record must have been read."""
    changes = target.mapping.changes
    if changes is not None and pull.deletions.rows:
        paths = (pull.deletions.path, pull.records.path)
        left = complete_deletions(target.dataset, changes.field, *paths, known, pull.completed)
        _keep_rejects(target, pull, left)


def _keep_rejects(target: Target, pull: _Pull, rejects: pa.RecordBatch) -> None:
    pull.rejects.write(rejects)
    for entry in rejects.select(["reason", "rows"]).to_pylist():
        pull.by_reason[entry["reason"]] += entry["rows"]
        pull.rejected += entry["rows"]
    if rejects.num_rows and target.mapping.on_contract_break == "stop":
        first = rejects.slice(0, 1).to_pylist()[0]
        place = f"{first['origin']} row {first['origin_row']}, {first['source_column'] or first['column'] or 'row'}"
        raise LandingStoppedError(
            f"数据契约被破坏 / the contract is broken: {_shown(first['reason'])} at {place}; nothing was landed",
            pull.seen,
            dict(pull.by_reason),
            hint="on_contract_break is stop: correct the source, or set it to reject_rows",
        )


def _check_source_count(reader: SourceReader, pull: _Pull) -> None:
    expected = reader.expected_rows
    if expected is not None and expected != pull.read:
        raise FatalError(
            f"行数不符 / the source says {expected} rows, {pull.read} were read; nothing was landed",
            hint="run again; if it stays, the source or its driver loses rows",
        )


def count_allowed_rejects(mapping: DatasetMapping, read: int) -> int:
    """How many of ``read`` rows may be bad: rounded up, so that one bad row does not stop a pull of a few."""
    return int((mapping.max_reject_ratio * read).to_integral_value(ROUND_CEILING))


def _check_reject_ratio(target: Target, pull: _Pull) -> None:
    allowed = count_allowed_rejects(target.mapping, pull.read)
    if pull.rejected > allowed:
        reasons = ", ".join(f"{_shown(code)} {rows}" for code, rows in pull.by_reason.most_common(3))
        raise LandingStoppedError(
            f"不合格数据过多 / too many rejects: {pull.rejected} of {pull.read} rows, {allowed} allowed "
            f"({reasons}); nothing was landed",
            pull.seen,
            dict(pull.by_reason),
            hint="correct the source or its mapping; raise max_reject_ratio only if these rows are known to be bad",
        )


def _land_new(
    target: Target,
    pull: _Pull,
    new: Reconciliation,
    lake: Lake,
    heads: tuple[str, ...],
    folder: Path,
    *,
    commit: bool,
    key_id: str,
) -> Landed:
    day = shanghai_date(target.window.until)
    notes = [f"未登记的列 / unexpected column: {name}" for name in pull.unknown]
    landed = new.find_new()
    revoked = new.revoke_superseded(pull.read + 1, day)
    if target.mapping.snapshot is not None:
        held = new.revoke_unheld(pull.read + 1, day, target.mapping.snapshot.min_ratio)
        revoked += held.revoked
        if held.withheld:
            notes.append(
                f"{held.withheld} 条未撤销 / not revoked: some rejects do not tell which record they are "
                f"({held.withheld} keys are no longer held)"
            )
    counts = pull.counts(landed, revoked)
    if not counts.balance():
        raise FatalError(f"账目不平 / the rows do not add up: {counts}; nothing was landed")
    if not landed and not revoked and not new.count_unseen_rejects():
        return _describe(pull, counts, notes)
    batch = _Batch(target, pull, new, folder, _digest_configuration(target, key_id))
    chain = lake.chain(target.prefix, heads)
    parents = tuple(one for one in chain if one.sha256 in heads and isinstance(one, BatchManifest | PurgeManifest))
    manifest = batch.describe(counts, parents)
    if commit:
        batch.put(lake, manifest)
    return _describe(pull, counts, notes, manifest, committed=commit)


def _describe(
    pull: _Pull, counts: Counts, notes: list[str], manifest: BatchManifest | None = None, *, committed: bool = False
) -> Landed:
    rules = {rule: rows for rule, rows in sorted(pull.by_rule.items()) if rows}
    return Landed(manifest, committed, counts, dict(pull.by_reason.most_common()), rules, tuple(notes))


class _Batch:
    """The batch of a pull: named by its content, written to the spool, then put."""

    def __init__(self, target: Target, pull: _Pull, new: Reconciliation, folder: Path, configuration: str) -> None:
        self._target = target
        self._pull = pull
        self._new = new
        self._folder = folder
        self._day = shanghai_date(target.window.until)
        self._configuration = configuration
        self._content = new.digest_content()
        window = canonical_json(target.window).decode()
        self.id = derive_id(
            target.department, target.dataset.id, window, configuration, self._content, new.digest_rejects()
        )

    def describe(self, counts: Counts, parents: tuple[BatchManifest | PurgeManifest, ...]) -> BatchManifest:
        """Write the files to the spool and make the manifest that names them."""
        target = self._target
        return BatchManifest(
            parents=tuple(sorted(parent.sha256 for parent in parents)),
            sequence=1 + max((parent.sequence for parent in parents), default=0),
            batch_id=self.id,
            department=target.department,
            dataset=target.dataset.id,
            contract=target.dataset.contract,
            window=target.window,
            configuration_sha256=self._configuration,
            content_sha256=self._content,
            watermark=_advance(target.window, self._pull.watermark, [parent.watermark for parent in parents]),
            parts=tuple(self._write_parts()),
            rejects=self._write_rejects(),
            counts=counts,
            rejected_by_reason=dict(self._pull.by_reason),
            normalised_by_rule={rule: rows for rule, rows in self._pull.by_rule.items() if rows},
        )

    def put(self, lake: Lake, manifest: BatchManifest) -> None:
        """Parts, rejects, and the manifest last."""
        prefix = batch_prefix(manifest.department, manifest.dataset, self._day, self.id)
        for part in manifest.parts:
            lake.store.put_file(prefix + part.name, self._folder / part.name)
        if manifest.rejects is not None:
            key = rejects_key(manifest.department, manifest.dataset, self._day, self.id)
            lake.store.put_file(key, self._folder / "put" / manifest.rejects.name)
        lake.commit(prefix, manifest)

    def _labels(self) -> dict[str, str]:
        dataset = self._target.dataset
        return {
            "batch_id": self.id,
            "contract": dataset.contract,
            "dataset": dataset.id,
            "department": self._target.department,
        }

    def _write_parts(self) -> Iterator[Part]:
        """One or more parts a deletion month; rows stay in the order of the pull."""
        numbers = iter(range(1 << 30))
        for month, batches in _group_by_month(iter(self._new.read_landed(BATCH_ROWS))):
            pieces = cut_batches(batches, self._target.dataset.schema)
            while piece := list(islice(pieces, PART_ROWS // BATCH_ROWS)):
                rows = sum(batch.num_rows for batch in piece)
                path = self._folder / part_name(next(numbers))
                part = write_part(path, self._target.dataset.schema, iter(piece), rows, self._labels())
                yield part.model_copy(update={"delete_month": month})

    def _write_rejects(self) -> Part | None:
        if not self._pull.rejects.rows:
            return None
        (self._folder / "put").mkdir()
        batches = cut_batches(iter(self._new.read_rejects(BATCH_ROWS)), REJECTS)
        path = self._folder / "put" / "rejects.arrow"
        part = write_part(path, REJECTS, batches, self._pull.rejects.rows, self._labels())
        month = (self._day + timedelta(days=RETENTION_DAYS)).strftime("%Y-%m")
        return part.model_copy(update={"delete_month": month})


def _group_by_month(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str | None, Iterator[pa.RecordBatch]]]:
    """Split batches that are sorted by ``delete_month`` where it changes."""

    def split() -> Iterator[tuple[str | None, pa.RecordBatch]]:
        for batch in batches:
            runs = pc.run_end_encode(batch.column("delete_month"))
            start = 0
            for month, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                yield month, batch.slice(start, end - start)
                start = end

    for month, pieces in groupby(split(), key=lambda piece: piece[0]):
        yield month, (batch for _, batch in pieces)


def _advance(window: Window, seen: datetime | None, parents: list[datetime | None]) -> datetime | None:
    """Everything up to here was pulled.

    A window that does not begin where the chain ends says nothing about the gap between,
    so it leaves the watermark where it was; the next pull then reads the gap.
    """
    known = max(filter(None, parents), default=None)
    if window.since is not None and (known is None or window.since > known):
        return known
    return max(filter(None, [known, seen]), default=None)


def _digest_configuration(target: Target, key_id: str) -> str:
    settings = {
        "landing": LANDING_VERSION,
        "mapping": target.mapping.model_dump(mode="json"),
        "dataset": target.dataset.model_dump(mode="json"),
        "pseudonym_key": key_id,
    }
    return digest_bytes(canonical_json(settings))


def _shown(code: str) -> str:
    title = describe_reason(code)
    return f"{title.zh} {title.en} [{code}]" if title.zh != code else code
