"""What happened to subjects, before a department writes it down its own way. Money is in 元, instants have a zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from gateway.simulators.subjects import Subject


@dataclass(frozen=True, slots=True)
class Authority:
    """The office that acted: name and unified code."""

    name: str
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A natural person as party of a decision; the number is synthetic."""

    name: str
    number: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Dates that change whether a record counts (semantics §1); ``None`` = it has not happened."""

    repaired_on: date | None = None
    objection_from: date | None = None
    objection_to: date | None = None
    revoked_on: date | None = None

    @property
    def latest(self) -> date | None:
        """The last day something changed."""
        days = [d for d in (self.repaired_on, self.objection_from, self.objection_to, self.revoked_on) if d]
        return max(days, default=None)


@dataclass(frozen=True, slots=True)
class Penalty:
    """One decision against one party; a decision naming several parties gives several of these, same ``number``."""

    id: int
    number: str
    party: Subject | Person
    code: str | None
    conduct: str
    basis: str
    facts: str
    kind: str
    fine: Decimal | None
    confiscated: Decimal | None
    licence: str | None
    simple_procedure: bool
    decided_on: date
    publish_until: date
    final_on: date | None
    review_opened_on: date | None
    review_closed_on: date | None
    standing: Standing
    authority: Authority
    first_sent_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Inspection:
    """One inspection; ``problem`` is ``None`` when nothing was found."""

    id: int
    task: str
    subject: Subject
    code: str | None
    category: str
    matter: str
    method: str
    inspected_on: date
    result: str
    problem: str | None
    description: str | None
    measured: Decimal | None
    rectify_by: date | None
    rectified_on: date | None
    standing: Standing
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """One accident and one subject's part in it; ``found_on`` is the day responsibility was established."""

    id: int
    number: str
    subject: Subject
    category: str
    description: str
    occurred_on: date
    found_on: date | None
    level: str
    deaths: int
    injuries: int
    loss: Decimal
    is_responsible: bool | None
    is_concealed: bool
    standing: Standing
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint; ``outcome`` is ``None`` while it is open."""

    id: int
    number: str
    subject: Subject
    category: str
    filed_on: date
    outcome: str | None
    substantiated_on: date | None
    closed_on: date | None
    handling: str | None
    phone: str
    standing: Standing
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Honour:
    """One award or rating."""

    id: int
    number: str
    subject: Subject
    kind: str
    title: str
    level: str
    awarded_on: date
    valid_until: date
    revoked_on: date | None
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """One entry of a list; ``is_severe``: it is one of severe dishonesty (严重失信)."""

    id: int
    list: str
    is_severe: bool
    decision: str
    subject: Subject
    code: str
    cause: str
    listed_on: date
    removed_on: date | None
    removal_cause: str | None
    standing: Standing
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AnnualReport:
    """One subject's report duty of one year; ``filed_on`` later than ``due_on`` is late, ``None`` is missing."""

    id: int
    subject: Subject
    year: int
    due_on: date
    filed_on: date | None
    standing: Standing
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise; ``ended_on`` is the day it was kept, or found broken, by its ``outcome``."""

    id: int
    number: str
    subject: Subject
    kind: str
    matter: str
    content: str
    made_on: date
    due_on: date
    outcome: str
    ended_on: date | None
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence of one subject."""

    id: int
    number: str
    subject: Subject
    document: str
    kind: str
    content: str
    decided_on: date
    valid_until: date
    revoked_on: date | None
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ReportedGrade:
    """One grade that the department gave itself: native and uniform."""

    id: int
    subject: Subject
    scheme: str
    method: str
    native: str
    grade: str
    cycle: str
    evaluated_on: date
    authority: Authority
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DepartmentRecords:
    """All records of one department, each list in id order; ``supervised`` is who its profile holds."""

    supervised: tuple[Subject, ...]
    penalties: tuple[Penalty, ...] = ()
    inspections: tuple[Inspection, ...] = ()
    incidents: tuple[Incident, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    honours: tuple[Honour, ...] = ()
    listings: tuple[Listing, ...] = ()
    annual_reports: tuple[AnnualReport, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    licences: tuple[Licence, ...] = ()
    reported_grades: tuple[ReportedGrade, ...] = ()
