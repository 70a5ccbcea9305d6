"""Snapshots: send all grades that stand published of a domain, for consumers that fell behind (semantics §7).

The parts are encoded into a temporary file first, for each says how many there are. A snapshot changes
nothing of the publication: it says again, under the last sequence, what the receipts vouch for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError
from exchange_formats.messages.envelope import OutgoingMessage
from exchange_formats.messages.snapshots import SNAPSHOT, SnapshotRun, encode_parts, encode_snapshot
from gateway.artefacts import fetch_artefact
from gateway.publication import OpenPublisher, Standing, read_standing
from scoring.artefacts import read_batches


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What was sent. ``messages``: parts, of persons too; ``rows``: grades in them."""

    domain: str
    run_id: str
    sequence: int
    messages: int
    rows: int


def send_snapshot(
    domain: str, *, lake: Lake, open_publisher: OpenPublisher, now: Callable[[], datetime], spool: Path
) -> SnapshotResult:
    """Send the grades that stand; persons apart from all others, under a key of their own.

    Raises:
        ConfigurationError: nothing of the domain was published.
        TransientError, FatalError: as the lake and the publisher; done again, the same parts have the same ids.
    """
    standing = read_standing(lake, domain)
    if standing is None:
        raise ConfigurationError(
            f"领域尚未发布 nothing of '{domain}' was published", hint=f"publish first: xinqiao publish {domain}"
        )
    grades = fetch_artefact(lake, standing.run, "grades")
    messages = rows = 0
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=spool, prefix="snapshot-") as file, open_publisher() as publisher:
        for person in (False, True):
            parts = _spool(_read(grades, person=person), file, person=person)
            # A domain of organisations has no snapshot of persons; an empty one of the others says that none stand.
            if person and not any(part.rows for part in parts):
                continue
            messages += publisher.publish(_encode(standing, parts, file, now(), person=person)).messages
            rows += sum(part.rows for part in parts)
    return SnapshotResult(domain, standing.run.run_id, standing.sequence, messages, rows)


@dataclass(frozen=True, slots=True)
class _Part:
    rows: int
    offset: int
    size: int


def _spool(batches: Iterator[pa.RecordBatch], file: BinaryIO, *, person: bool) -> list[_Part]:
    file.seek(0)
    file.truncate()
    parts: list[_Part] = []
    for rows, body in encode_parts(batches, person=person):
        parts.append(_Part(rows, file.tell(), len(body)))
        file.write(body)
    return parts


def _encode(
    standing: Standing, parts: list[_Part], file: BinaryIO, time: datetime, *, person: bool
) -> Iterator[OutgoingMessage]:
    said = standing.run
    run = SnapshotRun(
        said.domain, said.model, said.as_of, said.run_id, said.sha256, sequence=standing.sequence, person=person
    )
    for number, part in enumerate(parts, start=1):
        file.seek(part.offset)
        yield encode_snapshot(run, number, len(parts), part.rows, file.read(part.size), time)


def _read(paths: Iterable[Path], *, person: bool) -> Iterator[pa.RecordBatch]:
    """The grades of persons, or of all others, batch by batch."""
    for batch in read_batches(paths):
        shown = batch.select(SNAPSHOT.names)
        persons = pc.equal(shown["subject_type"], "natural_person")
        yield shown.filter(persons if person else pc.invert(persons)).replace_schema_metadata(SNAPSHOT.metadata)
