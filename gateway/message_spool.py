"""Messages of one publication, rendered once into a local file and read back in order.

Results are encoded while they are compared; how many slices there are, and so the
text around each, is known only afterwards. The spool keeps the encoded results, so
memory holds one slice, and the same messages can be produced again without comparing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from exchange_formats.digests import digest_bytes
from exchange_formats.messages import (
    EVALUATED,
    WITHDRAWN,
    Area,
    EventType,
    GradeResult,
    OutgoingMessage,
    RunData,
    Slice,
    Warning_,
    WithdrawnGrade,
    cut_slices,
    encode_grades,
    encode_item,
    encode_message,
    encode_warning,
    grade_key,
    warning_key,
)
from exchange_formats.messages.versions import ServedVersions
from exchange_formats.messages.warning_log import ESCALATED, UPDATED
from exchange_formats.publications import PlannedMessage, Totals
from gateway.changes import ChangedWarning, severity

_Also = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the encoded results of one message lie, and what its envelope needs."""

    type: EventType
    offset: int
    size: int
    count: int
    routing_key: str
    subject: str
    priority: int = 0
    #: Fields of the message's own beside its results.
    also: _Also = ()


class MessageSpool:
    """Add results, then read ``messages``; ``file`` is a temporary file of the caller's.

    ``served``: the older versions in which each message is said too, under the same sequence.
    """

    def __init__(self, domain: str, file: BinaryIO, served: ServedVersions | None = None) -> None:
        self._domain = domain
        self._file = file
        self._served = served or ServedVersions()
        self._entries: list[_Entry] = []
        self._end = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add_grades(self, kind: EventType, results: Iterable[GradeResult | WithdrawnGrade]) -> None:
        """Cut results, ordered by city, into slices.

        Raises:
            FatalError: one result alone does not fit into a message.
        """
        encoded = ((Area(one.city, one.is_person), encode_item(one)) for one in results)
        for cut in cut_slices(encoded):
            key = grade_key(self._domain, cut.area.city, person=cut.area.person)
            blob = b",".join(cut.items)
            about = f"{self._domain}/{cut.area.city}"
            self._add(_Entry(kind, self._end, len(blob), len(cut.items), key, about), blob)

    def add_warnings(self, kind: EventType, warnings: Iterable[Warning_]) -> None:
        """One message a warning."""
        for one in warnings:
            self._add_warning(kind, one)

    def add_escalations(self, changes: Iterable[ChangedWarning]) -> None:
        """One message a warning that became more severe."""
        for one in changes:
            also = (("previous_level", one.previous_level), ("cause", "new_trigger"))
            self._add_warning(ESCALATED, one.warning, also)

    def add_updates(self, changes: Iterable[ChangedWarning]) -> None:
        """One message a warning that changed otherwise."""
        for one in changes:
            also = (("previous_level", one.previous_level), ("previous_records", one.previous_records))
            self._add_warning(UPDATED, one.warning, also)

    def _add_warning(self, kind: EventType, one: Warning_, also: _Also = ()) -> None:
        key = warning_key(self._domain, one.city, one.level, person=one.is_person)
        blob = encode_item(one)
        self._add(_Entry(kind, self._end, len(blob), 1, key, one.subject_ref, severity(one.level), also), blob)

    def _add(self, entry: _Entry, blob: bytes) -> None:
        self._file.write(blob)
        self._entries.append(entry)
        self._end += entry.size

    @property
    def totals(self) -> Totals:
        """What was added, counted."""
        counts: Counter[str] = Counter()
        for entry in self._entries:
            counts[entry.type.split(".")[3]] += entry.count
        return Totals(
            messages=len(self._entries),
            results=counts["evaluated"],
            withdrawn=counts["withdrawn"],
            raised=counts["raised"],
            updated=counts["updated"],
            escalated=counts["escalated"],
            cleared=counts["cleared"],
        )

    def messages(self, run: RunData, time: datetime) -> Iterator[OutgoingMessage]:
        """All messages in order, each followed by its older versions. The same input, the same bytes.

        The first has ``run.sequence``, each next one more.
        """
        for _, message in self._say_all(run, time):
            yield message

    def _say_all(self, run: RunData, time: datetime) -> Iterator[tuple[_Entry, OutgoingMessage]]:
        for entry, newest in self._say_newest(run, time):
            yield entry, newest
            for older in self._served.convert(newest):
                yield entry, older

    def _say_newest(self, run: RunData, time: datetime) -> Iterator[tuple[_Entry, OutgoingMessage]]:
        self._file.flush()
        totals = {kind: sum(one.type == kind for one in self._entries) for kind in (EVALUATED, WITHDRAWN)}
        numbers = dict.fromkeys(totals, 0)
        for index, entry in enumerate(self._entries):
            self._file.seek(entry.offset)
            blob = self._file.read(entry.size)
            said = run.model_copy(update={"sequence": run.sequence + index})
            if entry.type in totals:
                numbers[entry.type] += 1
                data = encode_grades(said, Slice(number=numbers[entry.type], of=totals[entry.type]), (blob,))
            else:
                data = encode_warning(said, blob, **dict(entry.also))
            message = encode_message(
                said,
                entry.type,
                data,
                subject=entry.subject,
                time=time,
                routing_key=entry.routing_key,
                priority=entry.priority,
            )
            yield entry, message

    def plan(self, run: RunData, time: datetime) -> tuple[PlannedMessage, ...]:
        """What a plan says of each message."""
        return tuple(
            PlannedMessage(
                routing_key=message.routing_key,
                id=message.id,
                type=message.type,
                sha256=digest_bytes(message.body),
                results=entry.count,
                priority=message.priority,
            )
            for entry, message in self._say_all(run, time)
        )
