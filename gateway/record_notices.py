"""Withdrawals and corrections: what changed between two states of a dataset's chain (行政处罚法 48).

Two cuts of the chain are compared by record: one whose newest version is revoked is withdrawn, one whose
content differs is corrected. A cut that was told of is written down behind the last confirm; the next
comparison begins there. The first cut of a dataset is only written down: nothing was told before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, Final

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.lake import Lake
from exchange_formats.contract_versions import choose_contract
from exchange_formats.datasets import NEWEST_FIRST, Dataset, FieldSpec
from exchange_formats.digests import canonical_json
from exchange_formats.errors import FatalError
from exchange_formats.keys import landing_prefix, notices_prefix, notices_sent_key
from exchange_formats.manifests import BatchManifest, Count, Sha256
from exchange_formats.messages.envelope import GATEWAY_SOURCE, OutgoingMessage, encode_event
from exchange_formats.messages.parties import Subject, shown_name
from exchange_formats.messages.records import (
    MAXIMUM_CHANGES,
    RECORD_CORRECTED,
    RECORD_WITHDRAWN,
    RecordCorrected,
    RecordNotice,
    RecordWithdrawn,
    ValueChange,
    record_key,
    withdrawal_deadline,
)
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.texts import LONGEST_TEXT, mask_numbers, mask_references
from exchange_formats.subjects import FOREIGN, is_individual_business, mask_identity, mask_name, subject_type
from gateway.publication import OpenPublisher

MEMORY_LIMIT: Final = "512MB"
_ROWS = 1_000
#: Later wins (semantics §2).
_NUMBERED = re.compile(r"/([0-9]{8})\.json$")


class Told(BaseModel):
    """Up to which heads withdrawals and corrections of a dataset were told, and how many messages it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)]
    heads: tuple[Sha256, ...]
    messages: Count


@dataclass(frozen=True, slots=True)
class NoticesResult:
    """What was told of one dataset. ``first``: it was only written down where it stands."""

    dataset: str
    withdrawn: int
    corrected: int
    first: bool = False


def send_notices(
    department: str, dataset: str, *, lake: Lake, open_publisher: OpenPublisher, now: Callable[[], datetime]
) -> NoticesResult:
    """Tell what was withdrawn and corrected since the last time.

    Raises:
        TransientError, FatalError, ConfigurationError: as the lake and the publisher; done again, the same
            messages have the same ids.
    """
    heads = lake.heads(landing_prefix(department, dataset))
    told = _read_told(lake, department, dataset)
    if not heads or (told is not None and told.heads == heads):
        return NoticesResult(dataset, 0, 0)
    counts: Counter[str] = Counter()
    if told is not None:
        messages = _encode_all(find_notices(lake, department, dataset, told.heads, heads), now(), counts)
        first = next(messages, None)
        if first is not None:
            with open_publisher() as publisher:
                publisher.publish(chain((first,), messages))
    number = told.number + 1 if told else 1
    mark = Told(number=number, heads=heads, messages=counts.total())
    lake.store.put_bytes(notices_sent_key(department, dataset, number), canonical_json(mark))
    return NoticesResult(dataset, counts[RECORD_WITHDRAWN], counts[RECORD_CORRECTED], first=told is None)


def find_notices(
    lake: Lake, department: str, dataset: str, before: Sequence[str], after: Sequence[str]
) -> Iterator[RecordNotice]:
    """Withdrawals first, then corrections, of what was there at the heads ``before``; each by record id.

    A dataset whose records cannot be revoked has none, nor has a subject of another registry: it is never
    published. Records are streamed.
    """
    spec = choose_contract(lake.contracts, dataset)
    if spec.states.revoked is None:
        return
    batches = {batch.batch_id: batch for batch in lake.batches(department, dataset, after)}
    known = [batch.batch_id for batch in lake.batches(department, dataset, before)]
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("old_batches", pa.table({"batch_id": pa.array(known, pa.string())}))
        # What the law took away in between is no withdrawal.
        connection.register("old_versions", lake.records(department, spec, before, as_purged=True))
        connection.register("new_versions", lake.records(department, spec, after))
        reader: pa.RecordBatchReader = connection.sql(_compare(spec)).to_arrow_reader(_ROWS)
        for batch in reader:
            for pair in batch.to_pylist():
                yield _describe(spec, batches[pair["new"]["batch_id"]], pair["old"], pair["new"])


def encode_notice(notice: RecordNotice, time: datetime) -> OutgoingMessage:
    """The message of a withdrawal or correction."""
    withdrawn = isinstance(notice, RecordWithdrawn)
    kind = RECORD_WITHDRAWN if withdrawn else RECORD_CORRECTED
    person = notice.subject.is_person
    return encode_event(
        kind,
        notice.model_dump_json(exclude_none=True).encode(),
        source=GATEWAY_SOURCE,
        scope=notice.batch_id,
        subject=notice.record_id,
        time=time,
        routing_key=record_key(
            notice.department, notice.dataset, "withdrawn" if withdrawn else "corrected", person=person
        ),
        priority=MESSAGES[kind].priority,
    )


def _encode_all(notices: Iterable[RecordNotice], time: datetime, counts: Counter[str]) -> Iterator[OutgoingMessage]:
    for notice in notices:
        message = encode_notice(notice, time)
        counts[message.type] += 1
        yield message


def _compare(spec: Dataset) -> str:
    """Pairs of newest versions that differ, of records that stood before or stand again; only what a new batch touches.

    One that stands again is corrected: whoever took it down has to be told.
    """
    revoked = spec.states.revoked
    differs = " OR ".join(f'old."{name}" IS DISTINCT FROM new."{name}"' for name in ("subject_ref", *spec.columns))
    newest = (
        "SELECT * FROM {} SEMI JOIN touched USING (record_id) "
        f"QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
    )
    return (
        "WITH touched AS (SELECT DISTINCT record_id FROM new_versions ANTI JOIN old_batches USING (batch_id)), "
        f"old AS ({newest.format('old_versions')}), new AS ({newest.format('new_versions')}) "
        "SELECT old, new FROM old JOIN new USING (record_id) "
        f'WHERE (old."{revoked}" IS NULL OR new."{revoked}" IS NULL) AND ({differs}) '
        f"AND NOT starts_with(old.subject_ref, '{FOREIGN}') AND NOT starts_with(new.subject_ref, '{FOREIGN}') "
        f'ORDER BY new."{revoked}" IS NULL, record_id'
    )


def _describe(spec: Dataset, batch: BatchManifest, old: dict[str, Any], new: dict[str, Any]) -> RecordNotice:
    """One pair as a message's data; FatalError, without a value, where no message may carry it."""
    decided_on: date | None = new[spec.states.revoked or ""]
    said = {
        "department": batch.department,
        "dataset": spec.id,
        "contract": spec.contract,
        "record_id": new["record_id"],
        "document_no": _clean(new.get("document_no")),
        "batch_id": batch.batch_id,
        "manifest_sha256": batch.sha256,
        "sequence": batch.sequence,
    }
    try:
        said["subject"] = _subject(new)
        if decided_on is not None:
            deadline = withdrawal_deadline(decided_on)
            return RecordWithdrawn(**said, reason="revoked", decided_on=decided_on, withdraw_by=deadline)
        return RecordCorrected(**said, changes=_changes(spec, old, new))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise FatalError(f"记录变更无法告知 a record cannot be told of: {where}: {first['type']}") from None


def _changes(spec: Dataset, old: dict[str, Any], new: dict[str, Any]) -> tuple[ValueChange, ...]:
    found = []
    if old["subject_ref"] != new["subject_ref"]:
        was, now = mask_references(old["subject_ref"]), mask_references(new["subject_ref"])
        found.append(ValueChange(column="subject_id", before=was, after=now))
    for name, field in spec.columns.items():
        if old[name] != new[name]:
            before, after = (_show(row, name, field) for row in (old, new))
            found.append(ValueChange(column=name, before=before, after=after))
    return tuple(found[:MAXIMUM_CHANGES])


def _show(row: dict[str, Any], name: str, field: FieldSpec) -> str | None:
    """A value as it may be told: names and identities masked, decimals and dates exact."""
    value = row[name]
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else f"{value:f}" if isinstance(value, Decimal) else str(value)
    if name == "subject_name":
        return shown_name(text, row["subject_ref"])
    if field.sensitivity == "name":
        return mask_name(text)
    if field.sensitivity == "identity":
        return mask_identity(text)[:LONGEST_TEXT]
    return _clean(text)


def _clean(text: str | None) -> str | None:
    return mask_numbers(mask_references(text)) if text else None


def _subject(row: dict[str, Any]) -> Subject:
    reference = row["subject_ref"]
    return Subject.model_validate(
        {
            "subject_ref": reference,
            "subject_type": subject_type(reference),
            "subject_name": shown_name(row.get("subject_name"), reference),
            "individual_business": is_individual_business(reference),
        }
    )


def _read_told(lake: Lake, department: str, dataset: str) -> Told | None:
    keys = [key for key in lake.store.list_keys(notices_prefix(department, dataset)) if _NUMBERED.search(key)]
    if not keys:
        return None
    newest = max(keys)
    try:
        return Told.model_validate_json(lake.store.get_bytes(newest))
    except ValidationError as error:
        raise FatalError(f"告知记录不可读 cannot be read: {newest}", hint="restore it from a backup") from error
