"""Objects: every file that a manifest names, fetched from the store and compared with its digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as pads

from connectors.object_store import ObjectMissingError, ObjectStore
from exchange_formats.digests import digest_file
from exchange_formats.keys import PURGE_FOLDER, landing_prefix, manifest_digest
from exchange_formats.manifests import (
    BatchManifest,
    CompactManifest,
    PurgedFile,
    PurgeManifest,
    RunManifest,
    decode_manifest,
)
from exchange_formats.results import MODEL_FILE
from gateway.verification.dependents import DATASET_KEY
from gateway.verification.findings import Finding, Purged, Report, changed, inconsistent, missing, unreadable
from gateway.verification.survey import Placed, Progress, Survey, files_of

#: Sizes and row counts of what is no Arrow file.
_UNCOUNTED: Final = -1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One object: what it must be, and which manifest says so."""

    key: str
    sha256: str
    bytes: int
    rows: int
    named_by: str


def check_objects(survey: Survey, scope: Collection[Placed], report: Report, folder: Path, progress: Progress) -> None:
    """Check every file of the manifests in ``scope``, and what each manifest says of itself."""
    wanted: dict[str, _Wanted] = {}
    for one in scope:
        report.add(tuple(_check_counts(one)))
        for file in _list_wanted(one):
            wanted.setdefault(file.key, file)
    gone = {
        key: found
        for one in scope
        if isinstance(one.manifest, BatchManifest | PurgeManifest | CompactManifest)
        for key, found in survey.purged(landing_prefix(one.manifest.department, one.manifest.dataset)).items()
    }
    for number, file in enumerate(sorted(wanted.values(), key=lambda one: one.key), start=1):
        taken = gone.get(file.key)
        if taken is None:
            size, found = _check(survey.store, file, folder)
            taken = _find_purge(survey, file.key) if any(one.kind == "missing" for one in found) else None
            report.add(found if taken is None else ())
            report.objects += 1
            report.bytes += size
        elif file.key in survey.keys:
            report.notes.append(f"清除未完成, 再执行一次 xinqiao purge / the purge is not finished: {file.key}")
        if taken is not None:
            purged, manifest = taken
            redacted = purged.replacement is not None
            report.purged.append(Purged(file.key, manifest.article, manifest.day, redacted, manifest.sha256))
        progress("对象 objects", number, len(wanted))


def _find_purge(survey: Survey, key: str) -> tuple[PurgedFile, PurgeManifest] | None:
    """The purge that took a file while the lake was looked at; None where nothing says so."""
    match = DATASET_KEY.match(key)
    names = survey.store.list_keys(landing_prefix(*match.groups())) if match else ()
    for name in sorted(one for one in names if PURGE_FOLDER in one and one not in survey.keys):
        try:
            manifest = decode_manifest(survey.store.get_bytes(name), manifest_digest(name) or "")
        except ValueError:
            continue
        if isinstance(manifest, PurgeManifest):
            for file in manifest.files:
                if file.key == key:
                    return file, manifest
    return None


def find_unnamed(survey: Survey) -> tuple[str, ...]:
    """Files below the chains that no manifest names: left by work that was killed, read by nobody."""
    named = {file.key for one in survey.placed() for file in _list_wanted(one)} | {one.key for one in survey.placed()}
    files = (key for key in survey.keys if key.endswith((".arrow", MODEL_FILE)))
    return tuple(sorted(key for key in files if key not in named and key.startswith(_FILES)))


_FILES: Final = ("landing/", "rejected/", "scored/", "statistics/", "warned/", "compacted/")


def _list_wanted(one: Placed) -> Iterator[_Wanted]:
    for key, sha256, size, rows in files_of(one):
        yield _Wanted(key, sha256, size, rows, one.key)
    if isinstance(one.manifest, RunManifest):
        key = one.folder + MODEL_FILE
        yield _Wanted(key, one.manifest.model_sha256, _UNCOUNTED, _UNCOUNTED, one.key)


def _check(store: ObjectStore, file: _Wanted, folder: Path) -> tuple[int, list[Finding]]:
    path = folder / "object"
    try:
        store.get_file(file.key, path)
        actual = digest_file(path)
        size = path.stat().st_size
        if actual != file.sha256:
            return size, [changed(file.key, actual, file.sha256)]
        return size, list(_check_file(file, path, size))
    except ObjectMissingError:
        return 0, [missing(file.key, file.named_by)]
    finally:
        path.unlink(missing_ok=True)


def _check_file(file: _Wanted, path: Path, size: int) -> Iterator[Finding]:
    """Size and rows as the manifest counts them."""
    if file.rows == _UNCOUNTED:
        return
    try:
        rows = pads.dataset(str(path), format="ipc").count_rows()
    except pa.ArrowInvalid:
        yield unreadable(file.key)
        return
    if (rows, size) != (file.rows, file.bytes):
        yield inconsistent(
            file.named_by,
            f"{file.key} 有 {rows} 行 {size} 字节, 清单为 {file.rows} 行 {file.bytes} 字节",
            f"{file.key} has {rows} rows and {size} bytes; the manifest says {file.rows} and {file.bytes}",
        )


def _check_counts(one: Placed) -> Iterator[Finding]:
    """A manifest's figures agree with each other."""
    match one.manifest:
        case BatchManifest() as batch:
            counts, rows = batch.counts, sum(part.rows for part in batch.parts)
            if not counts.balance() or counts.landed + counts.revoked != rows:
                yield inconsistent(one.key, "批次账目不平", f"the counts do not add up: {counts}, {rows} rows in parts")
            if sum(batch.rejected_by_reason.values()) != counts.rejected:
                yield inconsistent(one.key, "不合格数与原因合计不符", "rejects do not add up to their reasons")
        case RunManifest() as run:
            if sum(run.subjects_by_grade.values()) != run.subjects:
                yield inconsistent(one.key, "主体数与等级合计不符", "subjects do not add up to their grades")
            for artefact in run.artefacts:
                if sum(file.rows for file in artefact.files) != artefact.rows:
                    yield inconsistent(one.key, f"{artefact.name} 行数不符", f"rows of {artefact.name} do not add up")
        case CompactManifest() | PurgeManifest() | _:
            return
