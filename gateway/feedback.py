"""Feedback: tell a sender what became of each of its batches, once (architecture §2, reject).

Counts and reasons come from the batch's manifest, the rows from its rejects, which are masked already.
Of each reason some rows are shown before more of any other, within the size of one message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.lake import Lake
from exchange_formats.keys import feedback_prefix, feedback_sent_key
from exchange_formats.manifests import BatchManifest, Counts
from exchange_formats.messages.decoding import BrokenMessageError, Incoming, describe_fault
from exchange_formats.messages.envelope import GATEWAY_SOURCE, MAXIMUM_BYTES, OutgoingMessage, encode_event
from exchange_formats.messages.feedback import (
    FEEDBACK_REPORTED,
    MAXIMUM_ROWS,
    ROWS_PER_REASON,
    BatchPointer,
    FeedbackReported,
    MessagePointer,
    ReasonCount,
    RejectedRow,
    feedback_key,
)
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.texts import mask_numbers
from exchange_formats.rejects import describe_reason
from gateway.outbox import Letter, send_once
from gateway.publication import OpenPublisher

#: Kept for everything beside the rows: a reason has about 300 bytes, and there are some fifty of them.
_ROWS_BYTES = MAXIMUM_BYTES - 32 * 1024
_COLUMNS = ("origin", "origin_row", "reason", "column", "source_column", "value", "key", "detail", "rows")


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What was told to one participant: batches by dataset."""

    participant: str
    batches: dict[str, int]

    @property
    def messages(self) -> int:
        """Messages confirmed."""
        return sum(self.batches.values())


def report_batches(
    participant: str, datasets: Iterable[str], *, lake: Lake, open_publisher: OpenPublisher
) -> FeedbackResult:
    """Tell ``participant`` of every batch of its ``datasets`` that it was not told of yet.

    Raises:
        TransientError, FatalError, ConfigurationError: as the lake and the publisher; done again, nothing repeats.
    """
    sent: dict[str, int] = {}
    for dataset in datasets:
        sent[dataset] = send_once(_find_letters(lake, participant, dataset), lake.store, open_publisher)
    return FeedbackResult(participant, sent)


def build_feedback(manifest: BatchManifest, rejects: Iterable[pa.RecordBatch]) -> FeedbackReported:
    """What is said of one batch; ``rejects`` are its own (``exchange_formats.rejects.REJECTS``), streamed."""
    shown = _fit(_sample(rejects))
    told: Counter[str] = Counter()
    for row, stands_for in shown:
        told[row.reason] += stands_for
    reasons = []
    for reason, count in sorted(manifest.rejected_by_reason.items()):
        title = describe_reason(reason)
        reasons.append(ReasonCount(reason=reason, title=title.zh, title_en=title.en, count=count, shown=told[reason]))
    return FeedbackReported(
        participant=manifest.department,
        about=BatchPointer(
            dataset=manifest.dataset,
            contract=manifest.contract,
            batch_id=manifest.batch_id,
            manifest_sha256=manifest.sha256,
            until=manifest.window.until,
        ),
        counts=manifest.counts,
        reasons=tuple(reasons),
        rows=tuple(row for row, _ in shown),
        omitted=manifest.counts.rejected - told.total(),
    )


def build_refusal(message: Incoming, error: BrokenMessageError) -> FeedbackReported:
    """What is said of a message that was refused as a whole; nothing of its content is shown but where it breaks."""
    title = describe_fault(error.fault)
    key = mask_numbers(message.routing_key)[:255]
    detail = mask_numbers(f"{error.place} {error.detail}".strip()) or None
    return FeedbackReported(
        participant=message.user_id,
        about=MessagePointer(id=mask_numbers(message.message_id)[:100], routing_key=key),
        counts=Counts(read=1, landed=0, duplicates=0, rejected=1),
        reasons=(ReasonCount(reason=error.fault, title=title.zh, title_en=title.en, count=1, shown=1),),
        rows=(RejectedRow(origin=key, reason=error.fault, detail=detail),),
    )


def encode_refusal(feedback: FeedbackReported, time: datetime) -> OutgoingMessage:
    """The message of a refusal; ``time`` is when it was refused."""
    return _encode(feedback, scope=feedback.about.model_dump_json(), name="message", time=time)


def encode_feedback(manifest: BatchManifest, feedback: FeedbackReported) -> OutgoingMessage:
    """The message; its ``time`` is the end of the batch's window, so that the same batch gives the same bytes."""
    return _encode(feedback, scope=manifest.batch_id, name=manifest.batch_id, time=manifest.window.until)


def _encode(feedback: FeedbackReported, *, scope: str, name: str, time: datetime) -> OutgoingMessage:
    return encode_event(
        FEEDBACK_REPORTED,
        feedback.model_dump_json(exclude_none=True).encode(),
        source=GATEWAY_SOURCE,
        scope=scope,
        subject=f"{feedback.participant}/{name}",
        time=time,
        routing_key=feedback_key(feedback.participant),
        priority=MESSAGES[FEEDBACK_REPORTED].priority,
    )


def _find_letters(lake: Lake, participant: str, dataset: str) -> Iterator[Letter]:
    # One listing, not one question a batch: this is asked after every collection, of all batches there ever were.
    told = frozenset(lake.store.list_keys(feedback_prefix(participant, dataset)))
    for manifest in lake.batches(participant, dataset):
        mark = feedback_sent_key(participant, dataset, manifest.batch_id)
        if mark not in told:
            feedback = build_feedback(manifest, _open_rejects(lake, manifest))
            yield Letter(encode_feedback(manifest, feedback), mark)


def _open_rejects(lake: Lake, manifest: BatchManifest) -> Iterator[pa.RecordBatch]:
    path = lake.fetch_rejects(manifest)
    if path is None:
        return
    with pa.ipc.open_file(pa.memory_map(str(path))) as file:
        for index in range(file.num_record_batches):
            yield file.get_batch(index)


def _sample(rejects: Iterable[pa.RecordBatch]) -> list[tuple[RejectedRow, int]]:
    """The first rows of each reason, the first of every reason before the second of any."""
    found: dict[str, list[tuple[RejectedRow, int]]] = {}
    for batch in rejects:
        for reason in pc.unique(batch["reason"]).to_pylist():
            held = found.setdefault(reason, [])
            places = pc.indices_nonzero(pc.equal(batch["reason"], reason))[: ROWS_PER_REASON - len(held)]
            rows = batch.select(_COLUMNS).take(places).to_pylist()
            held += [(_describe(row), row["rows"]) for row in rows]
    ranked = sorted((rank, reason) for reason, rows in found.items() for rank in range(len(rows)))
    return [found[reason][rank] for rank, reason in ranked[:MAXIMUM_ROWS]]


def _fit(rows: list[tuple[RejectedRow, int]]) -> list[tuple[RejectedRow, int]]:
    """As many as one message holds, from the front."""
    kept, size = [], 0
    for row, stands_for in rows:
        size += len(row.model_dump_json(exclude_none=True).encode()) + 1
        if size > _ROWS_BYTES:
            break
        kept.append((row, stands_for))
    return kept


def _describe(row: dict[str, Any]) -> RejectedRow:
    texts = {name: row[name] and mask_numbers(row[name]) for name in _COLUMNS if name not in {"origin_row", "rows"}}
    return RejectedRow(**texts, row=row["origin_row"] or None)
