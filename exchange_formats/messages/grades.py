"""Grades: evaluated and withdrawn, in slices that fit (architecture §5.2, semantics §7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import Field

from exchange_formats.datasets import Identifier
from exchange_formats.manifests import Count, Sha256
from exchange_formats.messages.envelope import (
    ENVELOPE_BYTES,
    MAXIMUM_BYTES,
    OutgoingMessage,
    check_size,
    domain_source,
    encode_event,
)
from exchange_formats.messages.parties import Subject, route
from exchange_formats.messages.texts import Amount, Frozen, Grade, MessageData, RunId, Score, SequenceNumber, Text

EVALUATED: Final = "cn.credit.grade.evaluated.v1"
WITHDRAWN: Final = "cn.credit.grade.withdrawn.v1"

MAXIMUM_RESULTS: Final = 100
MAXIMUM_REASONS: Final = 5


class Reason(Frozen):
    """One indicator's part in the score; ``value``: how many records counted; negative ``points`` were taken."""

    indicator: Text
    title: Text
    value: Count
    points: Amount
    basis: tuple[Text, ...] = ()


class Override(Frozen):
    """A veto or cap that applied, also one that a stronger one hides."""

    id: Text
    title: Text
    basis: tuple[Text, ...] = ()


class Measure(Frozen):
    """What inspectors do differently because of a grade or warning."""

    code: Text
    title: Text
    basis: tuple[Text, ...] = ()


class PublicCredit(Frozen):
    """The public-credit part of a score and where it came from (semantics §3)."""

    origin: Text
    score: Score
    evaluated_on: date | None = None


class GradeResult(Subject):
    """One subject's grade."""

    score: Score | None = None
    grade: Grade
    #: What the points alone give, or what was reported; ``grade`` differs where an override applies.
    computed_grade: Grade
    #: ``computed``, and replayable; or ``reported``: the department's own finished grade, mapped.
    origin: Text
    native_grade: Text | None = None
    native_scheme: Text | None = None
    previous_grade: Grade | None = None
    flags: tuple[Text, ...] = ()
    #: Absent where the domain's model has no public-credit part.
    public_credit: PublicCredit | None = None
    override_reasons: tuple[Override, ...] = ()
    reasons: Annotated[tuple[Reason, ...], Field(max_length=MAXIMUM_REASONS)] = ()
    measures: tuple[Measure, ...] = ()
    not_collected: tuple[Text, ...] = ()


class WithdrawnGrade(Subject):
    """A subject that is no longer graded by the domain, and the grade it had."""

    previous_grade: Grade | None = None


class Slice(Frozen):
    """Which of the publication's grade messages this is, counted from 1."""

    number: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]


class RunData(MessageData):
    """What every message says of the run behind it.

    ``correction``: an earlier ``as_of`` is restated; it stands beside the current grade, not over it.
    """

    domain: Identifier
    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}@[0-9A-Za-z.]{1,20}$")]
    model_sha256: Sha256
    as_of: date
    run_id: RunId
    manifest_sha256: Sha256
    sequence: SequenceNumber
    correction: bool = False


class GradesEvaluated(RunData):
    """New or changed grades, at most 100."""

    slice: Slice
    results: Annotated[tuple[GradeResult, ...], Field(min_length=1, max_length=MAXIMUM_RESULTS)]


class GradesWithdrawn(RunData):
    """Subjects that left the domain, at most 100."""

    slice: Slice
    results: Annotated[tuple[WithdrawnGrade, ...], Field(min_length=1, max_length=MAXIMUM_RESULTS)]


def encode_item(item: Subject) -> bytes:
    """JSON of one result; what is null is left out."""
    return item.model_dump_json(exclude_none=True).encode()


def encode_grades(run: RunData, number: Slice, items: Sequence[bytes]) -> bytes:
    """``data`` of a grade message, joined from results that are encoded already."""
    head = run.model_dump_json(exclude_none=True)[:-1]
    return f'{head},"slice":{number.model_dump_json()},"results":['.encode() + b",".join(items) + b"]}"


def encode_message(
    run: RunData, kind: str, data: bytes, *, subject: str, time: datetime, routing_key: str, priority: int = 0
) -> OutgoingMessage:
    """Wrap what a run says; FatalError when the body would exceed 256 KiB."""
    return encode_event(
        kind,
        data,
        source=domain_source(run.domain),
        scope=run.run_id,
        subject=subject,
        time=time,
        routing_key=routing_key,
        priority=priority,
    )


def grade_key(domain: str, city: str, *, person: bool = False) -> str:
    """Routing key of grade messages."""
    return route(f"grade.{domain}.{city}", person=person)


@dataclass(frozen=True, slots=True)
class Area:
    """What results of one message share: their city, and whether they are about natural persons."""

    city: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of results for one message: all of one area."""

    area: Area
    items: tuple[bytes, ...]


def cut_slices(
    items: Iterable[tuple[Area, bytes]], *, count: int = MAXIMUM_RESULTS, size: int = MAXIMUM_BYTES - ENVELOPE_BYTES
) -> Iterator[Cut]:
    """Group ``(area, encoded result)`` in order into slices of at most ``count`` results and ``size`` bytes.

    Neighbours of the same area share a slice; sort by city first. Holds one slice in memory.

    Raises:
        FatalError: one result alone is larger than a message may be.
    """
    held: list[bytes] = []
    held_area, held_bytes = Area(""), 0
    for area, item in items:
        check_size("result", item, size)
        if held and (area != held_area or len(held) >= count or held_bytes + len(item) + 1 > size):
            yield Cut(held_area, tuple(held))
            held, held_bytes = [], 0
        held_area = area
        held.append(item)
        held_bytes += len(item) + 1
    if held:
        yield Cut(held_area, tuple(held))
