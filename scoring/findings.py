"""Findings: the rows of a run's artefacts about one subject, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One indicator's part in the score."""

    indicator: str
    records: int
    points: Decimal


@dataclass(frozen=True, slots=True)
class GradeFinding:
    """One row of GRADES."""

    subject_ref: str
    subject_type: str
    subject_name: str | None
    individual_business: bool
    city_code: str
    score: Decimal | None
    grade: str
    computed_grade: str
    origin: str
    native_grade: str | None
    native_scheme: str | None
    override_reasons: tuple[str, ...]
    flags: tuple[str, ...]
    public_credit_score: Decimal | None
    public_credit_origin: str
    public_credit_evaluated_on: date | None
    reasons: tuple[Reason, ...]
    measures: tuple[str, ...]
    not_collected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceFinding:
    """One row of EVIDENCE."""

    subject_ref: str
    dimension: str
    indicator: str | None
    entry: str
    points: Decimal
    dataset: str | None
    record_id: str | None
    batch_id: str | None
    event_on: date | None
    excluded: str | None
    base_points: Decimal | None
    repeat_factor: Decimal | None
    decay_factor: Decimal | None
    tier: str | None
    under_objection: bool | None
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class WarningFinding:
    """One row of WARNINGS, without what it repeats of the subject."""

    id: str
    rule: str
    level: str
    triggered_on: date | None
    first_trigger: str
    records: int
    dataset: str | None


@dataclass(frozen=True, slots=True)
class SubjectFindings:
    """Everything one run says of one subject; ``evidence`` in its own order."""

    grade: GradeFinding
    evidence: tuple[EvidenceFinding, ...]
    warnings: tuple[WarningFinding, ...]


def read_grade(row: Mapping[str, Any]) -> GradeFinding:
    """A row of GRADES as Arrow gives it."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    plain["reasons"] = tuple(Reason(**reason) for reason in row["reasons"])
    return GradeFinding(**plain)


def read_evidence(rows: Iterable[Mapping[str, Any]]) -> tuple[EvidenceFinding, ...]:
    """Rows of EVIDENCE as Arrow gives them."""
    return tuple(EvidenceFinding(**row) for row in rows)


def read_warnings(rows: Iterable[Mapping[str, Any]]) -> tuple[WarningFinding, ...]:
    """Rows of WARNINGS as Arrow gives them."""
    names = [field.name for field in fields(WarningFinding)]
    return tuple(WarningFinding(**{name: row[name] for name in names}) for row in rows)
