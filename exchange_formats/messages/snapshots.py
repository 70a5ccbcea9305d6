"""Snapshots: all standing grades of a domain as Arrow IPC stream messages (architecture §5.2, semantics §7).

A snapshot brings back a consumer that fell behind. It is cut into parts of at most ``MAXIMUM_BYTES``;
each is a whole Arrow stream of :data:`SNAPSHOT` and a binary CloudEvent: its attributes travel as AMQP
headers ``cloudEvents:<name>``. Names of attributes follow CloudEvents (lower case, no separators).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError, model_validator

from exchange_formats.datasets import Identifier
from exchange_formats.digests import derive_uuid, digest_bytes
from exchange_formats.errors import FatalError
from exchange_formats.manifests import Sha256
from exchange_formats.messages.envelope import (
    ARROW_STREAM,
    BinaryEvent,
    OutgoingMessage,
    check_size,
    domain_source,
    schema_name,
)
from exchange_formats.messages.parties import route
from exchange_formats.messages.texts import MessageData, RunId, SequenceNumber
from exchange_formats.results import GRADES
from exchange_formats.subjects import check_resident_numbers

SNAPSHOT_TAKEN: Final = "cn.credit.snapshot.taken.v1"
#: Of one part: half of what the smallest broker of ours takes.
MAXIMUM_BYTES: Final = 512 * 1024
#: Rows one part may hold; a reader refuses more.
MAXIMUM_ROWS: Final = 100_000
#: Prefix of the attributes' header names (CloudEvents AMQP binding).
HEADER_PREFIX: Final = "cloudEvents:"
#: A grade as it stands in a run; ``subject_name`` is masked where it may be a person's.
SNAPSHOT: Final = GRADES.with_metadata({"dataschema": schema_name(SNAPSHOT_TAKEN)})

# CloudEvents integers have 32 bits.
_Integer = Annotated[int, Field(ge=1, le=2**31 - 1)]
_NUMBER_IN_TEXT = r"(^|[^0-9A-Za-z])[1-8][0-9]{16}[0-9Xx]($|[^0-9A-Za-z])"


class SnapshotAttributes(MessageData):
    """What the headers say of one part: extension attributes of CloudEvents.

    ``sequence``: the domain's last published one; a later message about a subject overrides the snapshot.
    ``snapshotid`` is the same for all parts of one snapshot.
    """

    snapshotid: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    domain: Identifier
    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}@[0-9A-Za-z.]{1,20}$")]
    asof: date
    runid: RunId
    manifestsha256: Sha256
    sequence: Annotated[SequenceNumber, Field(le=2**31 - 1)]
    part: _Integer
    parts: _Integer
    rows: Annotated[int, Field(ge=0, le=MAXIMUM_ROWS)]
    bodysha256: Sha256

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.part > self.parts:
            raise ValueError("there are fewer parts than this one's number")
        return self


@dataclass(frozen=True, slots=True)
class SnapshotRun:
    """What all parts of one snapshot say alike. ``person``: it holds natural persons, and nobody else."""

    domain: str
    model: str
    as_of: date
    run_id: str
    manifest_sha256: str
    sequence: int
    person: bool = False

    @property
    def id(self) -> str:
        """The same for the same state of the domain."""
        return str(derive_uuid(SNAPSHOT_TAKEN, self.run_id, str(self.sequence), str(self.person)))


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """One part as it was read and verified."""

    attributes: SnapshotAttributes
    table: pa.Table


def snapshot_key(domain: str, part: int, *, person: bool = False) -> str:
    """Routing key of one part."""
    return route(f"snapshot.{domain}.{part}", person=person)


def encode_parts(
    batches: Iterable[pa.RecordBatch], *, person: bool = False, maximum: int = MAXIMUM_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Cut grades (rows of ``SNAPSHOT``) into ``(rows, Arrow stream)`` of at most ``maximum`` bytes each.

    Holds one batch in memory. Nothing to send is one part without rows.

    Raises:
        FatalError: one row alone is larger; a row that no message may carry.
    """
    none = True
    for batch in batches:
        for piece in _cut(batch, maximum):
            none = False
            _check_privacy(piece, person=person)
            yield from _encode(piece, maximum)
    if none:
        yield 0, _write([])


def encode_snapshot(run: SnapshotRun, part: int, parts: int, rows: int, body: bytes, time: datetime) -> OutgoingMessage:
    """One part as a binary CloudEvent; FatalError when it is larger than a part may be."""
    check_size(SNAPSHOT_TAKEN, body, MAXIMUM_BYTES)
    attributes = SnapshotAttributes(
        snapshotid=run.id,
        domain=run.domain,
        model=run.model,
        asof=run.as_of,
        runid=run.run_id,
        manifestsha256=run.manifest_sha256,
        sequence=run.sequence,
        part=part,
        parts=parts,
        rows=rows,
        bodysha256=digest_bytes(body),
    )
    identity = str(derive_uuid(SNAPSHOT_TAKEN, run.id, str(part), attributes.bodysha256))
    head = BinaryEvent(
        specversion="1.0",
        id=identity,
        source=domain_source(run.domain),
        type=SNAPSHOT_TAKEN,
        time=time,
        subject=f"{run.domain}/{part}",
        dataschema=schema_name(SNAPSHOT_TAKEN),
        datacontenttype=ARROW_STREAM,
    )
    named = head.model_dump(mode="json", exclude={"datacontenttype"}) | attributes.model_dump(mode="json")
    return OutgoingMessage(
        snapshot_key(run.domain, part, person=run.person),
        identity,
        body,
        content_type=ARROW_STREAM,
        type=SNAPSHOT_TAKEN,
        headers={f"{HEADER_PREFIX}{name}": value for name, value in named.items()},
    )


def read_snapshot(headers: Mapping[str, Any], body: bytes) -> SnapshotPart:
    """Read one part leniently (attributes nobody knows are ignored) and verify it against what its headers say.

    Raises:
        ValueError: not a part of a snapshot, or not the one its headers name; says where, never what.
    """
    named = _attributes(headers)
    known = {name: named[name] for name in SnapshotAttributes.model_fields if name in named}
    try:
        attributes = SnapshotAttributes.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise ValueError(f"{HEADER_PREFIX}{'.'.join(map(str, first['loc']))}: {first['type']}") from None
    if named.get("specversion") != "1.0" or named.get("type") != SNAPSHOT_TAKEN:
        raise ValueError("not a part of a snapshot")
    if len(body) > MAXIMUM_BYTES or digest_bytes(body) != attributes.bodysha256:
        raise ValueError("the body is not the one its headers name")
    return SnapshotPart(attributes, _read(body, attributes.rows))


def join_parts(parts: Sequence[SnapshotPart]) -> pa.Table:
    """All grades of one snapshot, in order of its parts; ValueError when a part is missing or of another one."""
    if len({part.attributes.snapshotid for part in parts}) != 1:
        raise ValueError("these are not the parts of one snapshot")
    found = {part.attributes.part: part for part in parts}
    expected = range(1, parts[0].attributes.parts + 1)
    missing = [number for number in expected if number not in found]
    if missing:
        raise ValueError(f"{len(missing)} of {len(expected)} parts are missing, the first is {missing[0]}")
    return pa.concat_tables(found[number].table for number in expected)


def _attributes(headers: Mapping[str, Any]) -> dict[str, Any]:
    """CloudEvents attributes by name; the binding allows ``_`` for ``:`` too."""
    prefixes = (HEADER_PREFIX, "cloudEvents_")
    return {name[len(HEADER_PREFIX) :]: value for name, value in headers.items() if name.startswith(prefixes)}


def _cut(batch: pa.RecordBatch, maximum: int) -> Iterator[pa.RecordBatch]:
    if not batch.num_rows:
        return
    rows = max(1, min(MAXIMUM_ROWS, batch.num_rows * maximum * 3 // 4 // max(1, batch.nbytes)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _encode(batch: pa.RecordBatch, maximum: int) -> Iterator[tuple[int, bytes]]:
    body = _write([batch])
    if len(body) <= maximum:
        yield batch.num_rows, body
        return
    if batch.num_rows == 1:
        check_size(SNAPSHOT_TAKEN, body, maximum)
    half = batch.num_rows // 2
    yield from _encode(batch.slice(0, half), maximum)
    yield from _encode(batch.slice(half), maximum)


def _write(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Not compressed: some readers of Arrow cannot undo it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SNAPSHOT) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _read(body: bytes, rows: int) -> pa.Table:
    try:
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            if not reader.schema.equals(SNAPSHOT):
                raise ValueError("the body has another schema")
            batches: list[pa.RecordBatch] = []
            for batch in reader:
                batch.validate(full=True)
                batches.append(batch)
                if sum(one.num_rows for one in batches) > rows:
                    break
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the body is no Arrow stream: {type(error).__name__}") from None
    table = pa.Table.from_batches(batches, SNAPSHOT)
    if table.num_rows != rows:
        raise ValueError("the body has another number of rows than its headers say")
    return table


def _check_privacy(batch: pa.RecordBatch, *, person: bool) -> None:
    """No resident number, no full name of a person, and persons apart from all others (semantics §5)."""
    persons = pc.equal(batch["subject_type"], "natural_person")
    mixed = persons if not person else pc.invert(persons)
    names = pc.fill_null(batch["subject_name"], "")
    private = pc.or_(persons, batch["individual_business"])
    # As ``mask_name`` leaves them: one character and a star, or nothing.
    unmasked = pc.and_(private, pc.invert(pc.match_substring_regex(names, r"^(.\*)?$")))
    numbered = pc.match_substring_regex(names, _NUMBER_IN_TEXT)
    references = batch["subject_ref"]
    resident = np.asarray(pc.match_substring_regex(references, "^[1-8]")) & check_resident_numbers(references)
    for found, what in (
        (pc.any(mixed).as_py(), "persons travel apart from all others"),
        (pc.any(unmasked).as_py(), "the name of a person or of an individual business must be masked"),
        (pc.any(numbered).as_py() or resident.any(), "a resident number does not belong in a message"),
    ):
        if found:
            raise FatalError(f"快照无法发布 a snapshot cannot be published: {what}")
