"""Messages on the bus: CloudEvents 1.0, structured JSON (architecture §5.2, semantics §7).

A message's ``id`` is derived from what it says and its run, so publishing again
repeats it. Nothing here may carry a natural person's number or full name
(semantics §5): the models refuse it, whoever fills them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import pyarrow as pa
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from exchange_formats.datasets import Identifier
from exchange_formats.digests import derive_uuid, digest_bytes
from exchange_formats.manifests import Count, Sha256
from exchange_formats.subjects import (
    check_resident_numbers,
    is_individual_business,
    mask_identity,
    mask_name,
    subject_type,
)

CONTENT_TYPE = "application/cloudevents+json"
EVALUATED: Final = "cn.credit.grade.evaluated.v1"
WITHDRAWN: Final = "cn.credit.grade.withdrawn.v1"
RAISED: Final = "cn.credit.warning.raised.v1"
CLEARED: Final = "cn.credit.warning.cleared.v1"
EventType = Literal[
    "cn.credit.grade.evaluated.v1",
    "cn.credit.grade.withdrawn.v1",
    "cn.credit.warning.raised.v1",
    "cn.credit.warning.cleared.v1",
]

MAXIMUM_RESULTS = 100
MAXIMUM_REASONS = 5
MAXIMUM_BYTES = 256 * 1024
#: Kept free in each message for the envelope and what is said of the run.
_ENVELOPE_BYTES = 4096
#: The routing key's city of a subject whose city nobody knows.
NO_CITY = "unknown"

_LONGEST_NAME = 200
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[1-8][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_PSEUDONYM = re.compile(r"np_[A-Za-z0-9_.-]{1,32}_[0-9a-f]{40}")
# The shape only: check digits were verified when the record landed.
_UNIFIED = re.compile(r"[1-9A-Y][0-9A-HJ-NPQRTUWXY]{17}")


def _refuse_numbers(text: str) -> str:
    for found in _NUMBER.findall(text):
        if _is_resident_number(found):
            raise ValueError(f"a resident number does not belong in a message: {mask_identity(found)}")
    return text


def _check_reference(reference: str) -> str:
    if _PSEUDONYM.fullmatch(reference):
        return reference
    if not _UNIFIED.fullmatch(reference):
        raise ValueError(f"neither a unified code nor a person's reference: {mask_identity(reference)}")
    # No resident number begins with 9, as all businesses do: an all-digit company code is never taken for a person's.
    if _NUMBER.fullmatch(reference) and _is_resident_number(reference):
        raise ValueError(f"a resident number is not a reference: {mask_identity(reference)}")
    return reference


def _is_resident_number(text: str) -> bool:
    return bool(check_resident_numbers(pa.array([text.upper()]))[0])


Text = Annotated[str, Field(max_length=500), AfterValidator(_refuse_numbers)]
Reference = Annotated[str, AfterValidator(_check_reference)]
CityCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Level = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
Grade = Literal["A", "B", "C", "D", "E", "N"]
#: Exact decimals travel as strings: a JSON number would become a double in most readers.
Score = Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{2}$")]
Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,8})?$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Frozen):
    """Whom a result is about; the name of a person, and of a 个体工商户, is masked (semantics §3)."""

    subject_ref: Reference
    subject_type: Literal[
        "enterprise", "natural_person", "social_organization", "public_institution", "government_agency"
    ]
    subject_name: Text | None = None
    individual_business: bool = False
    city_code: CityCode | None = None

    @model_validator(mode="after")
    def _check_privacy(self) -> Self:
        if self.subject_type != subject_type(self.subject_ref):
            raise ValueError("subject_type is not what the reference says")
        if self.individual_business != is_individual_business(self.subject_ref):
            raise ValueError("individual_business is not what the reference says")
        private = self.individual_business or self.subject_type == "natural_person"
        if private and self.subject_name and self.subject_name != mask_name(self.subject_name):
            raise ValueError("the name of a person or of an individual business must be masked")
        return self

    @property
    def city(self) -> str:
        """The city segment of the routing key."""
        return self.city_code or NO_CITY


def shown_name(name: str | None, reference: str) -> str | None:
    """The name as it may be published: masked where it may be a person's, a number typed into it too; clipped."""
    if not name:
        return None
    if is_individual_business(reference) or subject_type(reference) == "natural_person":
        return mask_name(name)
    return _NUMBER.sub(lambda found: mask_identity(found[0]), name)[:_LONGEST_NAME]


class Reason(_Frozen):
    """One indicator's part in the score; ``value``: how many records counted; negative ``points`` were taken."""

    indicator: Text
    title: Text
    value: Count
    points: Amount
    basis: tuple[Text, ...] = ()


class Override(_Frozen):
    """A veto or cap that applied, also one that a stronger one hides."""

    id: Text
    title: Text
    basis: tuple[Text, ...] = ()


class Measure(_Frozen):
    """What inspectors do differently because of a grade or warning."""

    code: Text
    title: Text
    basis: tuple[Text, ...] = ()


class PublicCredit(_Frozen):
    """The public-credit part of a score and where it came from (semantics §3)."""

    origin: Text
    score: Score
    evaluated_on: date | None = None


class GradeResult(Subject):
    """One subject's grade."""

    score: Score | None = None
    grade: Grade
    #: What the points alone give; ``grade`` differs where an override applies.
    computed_grade: Grade
    previous_grade: Grade | None = None
    flags: tuple[Text, ...] = ()
    public_credit: PublicCredit
    override_reasons: tuple[Override, ...] = ()
    reasons: Annotated[tuple[Reason, ...], Field(max_length=MAXIMUM_REASONS)] = ()
    measures: tuple[Measure, ...] = ()
    not_collected: tuple[Text, ...] = ()


class WithdrawnGrade(Subject):
    """A subject that is no longer graded by the domain, and the grade it had."""

    previous_grade: Grade | None = None


class Slice(_Frozen):
    """Which of the publication's grade messages this is, counted from 1."""

    number: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]


class RunData(_Frozen):
    """What every message says of the run behind it.

    ``sequence`` grows by one a message and domain: a consumer ignores a lower one for a subject.
    ``correction``: an earlier ``as_of`` is restated; it stands beside the current grade, not over it.
    """

    domain: Identifier
    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}@[0-9A-Za-z.]{1,20}$")]
    model_sha256: Sha256
    as_of: date
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    manifest_sha256: Sha256
    sequence: Annotated[int, Field(ge=1)]
    correction: bool = False


class GradesEvaluated(RunData):
    """New or changed grades, at most 100."""

    type: ClassVar[EventType] = EVALUATED
    slice: Slice
    results: Annotated[tuple[GradeResult, ...], Field(min_length=1, max_length=MAXIMUM_RESULTS)]


class GradesWithdrawn(RunData):
    """Subjects that left the domain, at most 100."""

    type: ClassVar[EventType] = WITHDRAWN
    slice: Slice
    results: Annotated[tuple[WithdrawnGrade, ...], Field(min_length=1, max_length=MAXIMUM_RESULTS)]


class Warning_(Subject):  # noqa: N801 — Warning is a builtin
    """One warning; ``id`` stays the same from raised to cleared (semantics §4)."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    rule: Text
    level: Level
    title: Text
    #: The first trigger's day; absent where the score itself is the trigger.
    triggered_on: date | None = None
    trigger: Text
    records: Count
    basis: tuple[Text, ...] = ()


class WarningRaised(RunData):
    """A warning that was not there before."""

    type: ClassVar[EventType] = RAISED
    warning: Warning_


class WarningCleared(RunData):
    """A warning whose cause is gone."""

    type: ClassVar[EventType] = CLEARED
    warning: Warning_


EventData = GradesEvaluated | GradesWithdrawn | WarningRaised | WarningCleared
_DATA: dict[str, type[EventData]] = {
    EVALUATED: GradesEvaluated,
    WITHDRAWN: GradesWithdrawn,
    RAISED: WarningRaised,
    CLEARED: WarningCleared,
}


class _Head(_Frozen):
    """The context attributes of CloudEvents 1.0."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    source: Annotated[str, Field(pattern=r"^/credit/domains/[a-z][a-z0-9_]{2,39}$")]
    type: EventType
    time: AwareDatetime
    subject: str
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(pattern=r"^urn:xinqiao:schema:")]


class CloudEvent(_Head):
    """A whole message: the context attributes, then the data."""

    data: EventData

    @model_validator(mode="before")
    @classmethod
    def _choose_data(cls, value: Any) -> Any:
        """Read ``data`` as what ``type`` says, so that an error names its field and not a union."""
        if isinstance(value, dict) and isinstance(value.get("data"), dict) and value.get("type") in _DATA:
            # Through JSON mode: dates and tuples are strings and lists there.
            return value | {"data": _DATA[value["type"]].model_validate(value["data"])}
        return value


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message as it is sent. ``priority`` 0–9: a strict broker (4.3) lets a red warning overtake grades."""

    routing_key: str
    id: str
    body: bytes
    content_type: str = CONTENT_TYPE
    priority: int = 0
    type: str = ""


def encode_item(item: GradeResult | WithdrawnGrade | Warning_) -> bytes:
    """JSON of one result; what is null is left out."""
    return item.model_dump_json(exclude_none=True).encode()


def encode_grades(run: RunData, number: Slice, items: Sequence[bytes]) -> bytes:
    """``data`` of a grade message, joined from results that are encoded already."""
    head = run.model_dump_json(exclude_none=True)[:-1]
    return f'{head},"slice":{number.model_dump_json()},"results":['.encode() + b",".join(items) + b"]}"


def encode_warning(run: RunData, item: bytes) -> bytes:
    """``data`` of a warning message, from a warning that is encoded already."""
    return run.model_dump_json(exclude_none=True)[:-1].encode() + b',"warning":' + item + b"}"


def encode_message(
    run: RunData, kind: EventType, data: bytes, *, subject: str, time: datetime, routing_key: str, priority: int = 0
) -> OutgoingMessage:
    """Wrap ``data``; the id is derived from type, data and run, so the same statement has the same id.

    ``time`` is not part of the id. Raises ValueError when the body would exceed 256 KiB.
    """
    identity = str(derive_uuid(kind, digest_bytes(data), run.run_id))
    head = _Head(
        id=identity,
        source=f"/credit/domains/{run.domain}",
        type=kind,
        time=time,
        subject=subject,
        dataschema=f"urn:xinqiao:schema:{kind}",
    ).model_dump_json()[:-1]
    body = head.encode() + b',"data":' + data + b"}"
    if len(body) > MAXIMUM_BYTES:
        raise ValueError(f"message {identity} has {len(body)} bytes, more than {MAXIMUM_BYTES}")
    return OutgoingMessage(routing_key, identity, body, priority=priority, type=kind)


def decode_event(body: bytes) -> CloudEvent:
    """Read a message strictly; ValueError (pydantic) says where it breaks the format."""
    return CloudEvent.model_validate_json(body)


def grade_key(domain: str, city: str) -> str:
    """Routing key of grade messages."""
    return f"grade.{domain}.{city}"


def warning_key(domain: str, city: str, level: str) -> str:
    """Routing key of a warning."""
    return f"warning.{domain}.{city}.{level}"


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of results for one message: all of one city."""

    city: str
    items: tuple[bytes, ...]


def cut_slices(
    items: Iterable[tuple[str, bytes]], *, count: int = MAXIMUM_RESULTS, size: int = MAXIMUM_BYTES - _ENVELOPE_BYTES
) -> Iterator[Cut]:
    """Group ``(city, encoded result)`` in order into slices of at most ``count`` results and ``size`` bytes.

    Neighbours of the same city share a slice; sort by city first. Holds one slice in memory.

    Raises:
        ValueError: one result alone is larger than a message may be.
    """
    held: list[bytes] = []
    held_city, held_bytes = "", 0
    for city, item in items:
        if len(item) > size:
            raise ValueError(f"one result has {len(item)} bytes, more than a message may have ({size})")
        if held and (city != held_city or len(held) >= count or held_bytes + len(item) + 1 > size):
            yield Cut(held_city, tuple(held))
            held, held_bytes = [], 0
        held_city = city
        held.append(item)
        held_bytes += len(item) + 1
    if held:
        yield Cut(held_city, tuple(held))
