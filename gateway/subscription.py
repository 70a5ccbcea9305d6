"""Consume a participant's queues into a file, each message once.

The broker delivers at least once. A message is written and synchronised to disk before
it is acknowledged; one whose id is in the file already is acknowledged and not written
again. Of a subject, a result with a lower ``sequence`` than one already in the file is
left out (semantics §7), so the last line about a subject is its standing result; a
*correction* restates an earlier ``as_of`` and is ordered among corrections of that day only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pydantic import ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event, wait_exponential

from connectors.connection import Resolve
from connectors.json_lines import JsonLinesFile, open_json_lines
from connectors.rabbit.connection import DEFAULT_PATIENCE, Patience
from connectors.rabbit.consumer import Delivery, PoisonMessageError, Progress, Stop, consume_queues
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.messages import CONTENT_TYPE, EVALUATED, RAISED, WITHDRAWN
from exchange_formats.messages.feedback import FEEDBACK_REPORTED
from exchange_formats.messages.records import RECORD_CORRECTED, RECORD_WITHDRAWN
from exchange_formats.messages.warning_log import ESCALATED, OVER
from exchange_formats.received import ReceivedData, ReceivedEvent, read_event
from exchange_formats.topology import feedback_queue, grades_queue, records_queue, warnings_queue
from gateway.bus import connection_id

#: Failed connections in a row, without a message between them, until consuming gives up.
ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class ConsumptionResult:
    """What one consumption did. ``results_by_grade`` counts results written, by grade.

    ``feedback``: messages about what the participant sent; ``changed_records``: records withdrawn or corrected.
    """

    participant: str
    written: int
    duplicates: int
    outdated_results: int
    rejected: int
    results_by_grade: Mapping[str, int]
    withdrawn: int
    warnings_by_level: Mapping[str, int]
    cleared: int
    feedback: int
    changed_records: int
    rejected_by_reason: Mapping[str, int]
    reconnections: int

    @property
    def results(self) -> int:
        """Grades written."""
        return sum(self.results_by_grade.values())


class EventFile:
    """A sink that writes each CloudEvent once, as one line: the bytes that were published."""

    def __init__(self, file: JsonLinesFile) -> None:
        self._file = file
        self._ids: set[bytes] = set()
        self._newest: dict[bytes, int] = {}
        self.counts: Counter[str] = Counter()
        self.grades: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        for number, line in enumerate(file.lines(), start=1):
            try:
                self._remember(*read_event(line))
            except ValidationError as error:
                raise FatalError(
                    f"{file.path}:{number}: 不是本程序写的行 not a line of ours: {explain_broken(error)}",
                    hint="换一个文件 use another file",
                ) from error

    def take(self, delivery: Delivery) -> None:
        """Write one message unless it, or a newer word on all its subjects, is there already."""
        try:
            event, data = _read(delivery)
        except PoisonMessageError as error:
            self.reasons[str(error)] += 1
            raise
        if _event_key(event) in self._ids:
            self.counts["duplicates"] += 1
            return
        line = self._current_line(delivery.body, data)
        self._remember(event, data)
        if line is not None:
            self._file.append(line)
            self.counts["written"] += 1

    def flush(self) -> None:
        """Put everything taken on the disk."""
        self._file.flush()

    def _current_line(self, body: bytes, data: ReceivedData | None) -> bytes | None:
        """The line to write: the body itself, less what a newer message has said; None if nothing is left."""
        if data is None:
            return _one_line(body)
        if data.warning is not None:
            if self._newest.get(_warning_key(data), 0) > data.sequence:
                self.counts["outdated"] += 1
                return None
            return _one_line(body)
        current = [self._newest.get(_subject_key(data, one.subject_ref), 0) <= data.sequence for one in data.results]
        self.counts["outdated"] += current.count(False)
        if all(current):
            return _one_line(body)
        if not any(current):
            return None
        document = json.loads(body)
        document["data"]["results"] = [
            row for row, keep in zip(document["data"]["results"], current, strict=True) if keep
        ]
        return _dump(document)

    def _remember(self, event: ReceivedEvent, data: ReceivedData | None) -> None:
        self._ids.add(_event_key(event))
        if data is None:
            self.counts["feedback"] += event.type == FEEDBACK_REPORTED
            self.counts["changed_records"] += event.type in {RECORD_WITHDRAWN, RECORD_CORRECTED}
            return
        if data.warning is not None:
            self._advance(_warning_key(data), data.sequence)
            self.levels[data.warning.level] += event.type in {RAISED, ESCALATED}
            self.counts["cleared"] += event.type in OVER
        for one in data.results:
            if self._advance(_subject_key(data, one.subject_ref), data.sequence):
                self.grades[one.grade] += event.type == EVALUATED
                self.counts["withdrawn"] += event.type == WITHDRAWN

    def _advance(self, key: bytes, sequence: int) -> bool:
        if self._newest.get(key, 0) > sequence:
            return False
        self._newest[key] = sequence
        return True

    def reset_counts(self) -> None:
        """Forget what was counted while the file was read: a summary is about this run."""
        for counter in (self.counts, self.grades, self.levels, self.reasons):
            counter.clear()


def consume(
    participant: str,
    target: Path,
    *,
    resolve: Resolve,
    stop: Stop,
    patience: Patience = DEFAULT_PATIENCE,
    attempts: int = ATTEMPTS,
    on_progress: Callable[[Progress], None] | None = None,
) -> ConsumptionResult:
    """Write everything in the participant's queues to ``target`` (JSON lines) until ``stop``.

    A lost connection is opened again, with growing pauses, until ``attempts`` in a row
    brought nothing.

    Raises:
        TransientError: the broker stayed away.
        FatalError: login refused; the file cannot be written or is in use.
        ConfigurationError: the participant has no queues (apply the topology).
    """
    connection = resolve(connection_id(participant))
    queues = tuple(queue(participant) for queue in (grades_queue, warnings_queue, records_queue, feedback_queue))
    progress = Progress()
    with open_json_lines(target) as file:
        sink = EventFile(file)
        sink.reset_counts()
        patient = _Patience(progress, attempts)
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_exponential(multiplier=0.25, max=10),
            stop=lambda state: stop.asked.is_set() or patient.exhausted(state),
            sleep=sleep_using_event(stop.asked),
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                consume_queues(connection, queues, sink, stop, progress, patience=patience, on_progress=on_progress)
    return _summarise(participant, sink, progress, patient.failures)


class _Patience:
    """Counts failures in a row; a message in between starts the count anew."""

    def __init__(self, progress: Progress, attempts: int) -> None:
        self._progress = progress
        self._attempts = attempts
        self._seen = 0
        self._in_a_row = 0
        self.failures = 0

    def exhausted(self, _state: RetryCallState) -> bool:
        self.failures += 1
        self._in_a_row = 1 if self._progress.settled > self._seen else self._in_a_row + 1
        self._seen = self._progress.settled
        return self._in_a_row >= self._attempts


def _summarise(participant: str, sink: EventFile, progress: Progress, failures: int) -> ConsumptionResult:
    return ConsumptionResult(
        participant=participant,
        written=sink.counts["written"],
        duplicates=sink.counts["duplicates"],
        outdated_results=sink.counts["outdated"],
        rejected=progress.rejected,
        results_by_grade={grade: n for grade, n in sorted(sink.grades.items()) if n},
        withdrawn=sink.counts["withdrawn"],
        warnings_by_level={level: n for level, n in sorted(sink.levels.items()) if n},
        cleared=sink.counts["cleared"],
        feedback=sink.counts["feedback"],
        changed_records=sink.counts["changed_records"],
        rejected_by_reason=dict(sink.reasons),
        reconnections=failures,
    )


def _event_key(event: ReceivedEvent) -> bytes:
    return _digest(event.source, event.id)


def _subject_key(data: ReceivedData, reference: str) -> bytes:
    return _digest(data.domain, reference, str(data.as_of) if data.correction else "")


def _warning_key(data: ReceivedData) -> bytes:
    return _digest(data.domain, "warning", data.warning.id if data.warning else "")


def _digest(*parts: str) -> bytes:
    """16 bytes for a text of any length: a province's subjects must fit in memory."""
    return blake2b("\n".join(parts).encode(), digest_size=16).digest()


def _one_line(body: bytes) -> bytes:
    return _dump(json.loads(body)) if b"\n" in body or b"\r" in body else body


def _dump(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _read(delivery: Delivery) -> tuple[ReceivedEvent, ReceivedData | None]:
    if delivery.content_type != CONTENT_TYPE:
        raise PoisonMessageError(f"content type is not {CONTENT_TYPE}")
    try:
        return read_event(delivery.body)
    except ValidationError as error:
        raise PoisonMessageError(explain_broken(error)) from error


def explain_broken(error: ValidationError) -> str:
    """The first thing wrong with a message, without the value: it may be an identity."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['type']}"
