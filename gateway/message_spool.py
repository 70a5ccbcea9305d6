"""Messages of one publication, rendered once into a local file and read back in order.

Results are encoded while they are compared; how many slices there are, and so the
text around each, is known only afterwards. The spool keeps the encoded results, so
memory holds one slice, and the same messages can be produced again without comparing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final

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
from exchange_formats.messages.warning_log import (
    DECLARED,
    LIFTED,
    PROVINCE,
    IndustryAlert,
    encode_answer,
    encode_industry,
)
from exchange_formats.publications import PlannedMessage, Totals
from gateway.warning_messages import ToldWarning

_Also = tuple[tuple[str, str | int], ...]
#: Of a level that the run's table no longer has.
_PRIORITY: Final = 2


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
    #: Who answered a warning.
    department: str = ""


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

    def add_warnings(self, told: Iterable[ToldWarning], priorities: Mapping[str, int]) -> None:
        """One message an event of the warning log; ``priorities``: level → AMQP priority."""
        for one in told:
            self._add_warning(one, priorities.get(one.warning.level, _PRIORITY))

    def _add_warning(self, told: ToldWarning, priority: int) -> None:
        warning = told.warning
        if isinstance(warning, IndustryAlert):
            city, about, person = PROVINCE, self._domain, False
        else:
            city, about, person = warning.city, warning.subject_ref, warning.is_person
        key = warning_key(self._domain, city, warning.level, person=person)
        blob = warning.model_dump_json(exclude_none=True).encode()
        entry = _Entry(told.type, self._end, len(blob), 1, key, about, priority, told.also, told.department)
        self._add(entry, blob)

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
        counts["messages"] = len(self._entries)
        counts["results"] = counts.pop("evaluated", 0)
        return Totals(**counts)

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
            elif entry.department:
                data = encode_answer(said, blob, entry.department, **dict(entry.also))
            elif entry.type in {DECLARED, LIFTED}:
                data = encode_industry(said, blob)
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
