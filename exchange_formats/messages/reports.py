"""What departments report back: measures, objections, repairs, and answers to warnings.

The time limits named here are the law's (浙江省公共信用信息管理条例 30–32, 信用修复管理办法); whether they
were kept is judged elsewhere, from these dates.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from exchange_formats.datasets import Identifier
from exchange_formats.messages.records import RecordId
from exchange_formats.messages.texts import (
    Frozen,
    Grade,
    InboundDate,
    InboundText,
    InboundTime,
    MessageData,
    Reference,
    RunId,
    Uuid,
)

MEASURES_APPLIED: Final = "cn.credit.measure.applied.v1"
OBJECTION_FILED: Final = "cn.credit.objection.filed.v1"
REPAIR_DECIDED: Final = "cn.credit.repair.decided.v1"
WARNING_ACKNOWLEDGED: Final = "cn.credit.warning.acknowledged.v1"
WARNING_DISPOSED: Final = "cn.credit.warning.disposed.v1"
MAXIMUM_ITEMS: Final = 100


class AppliedMeasure(Frozen):
    """One measure on one subject, and the grade it followed from (its run): 分级分类监管 by the grade."""

    subject_ref: Reference
    domain: Identifier
    grade: Grade
    run_id: RunId
    #: The measure's code, as it came with the grade.
    code: Annotated[InboundText, Field(max_length=20)]
    applied_on: InboundDate
    #: The inspection in which it was applied, by the department's own number.
    inspection_no: InboundText | None = None
    outcome: InboundText | None = None


class MeasuresApplied(MessageData):
    """Measures that a department applied because of grades or warnings."""

    department: Identifier
    items: Annotated[tuple[AppliedMeasure, ...], Field(min_length=1, max_length=MAXIMUM_ITEMS)]


class RecordPointer(Frozen):
    """A record of the department's own, by the gateway's ``record_id`` or by the instrument's number."""

    kind: Literal["record"] = "record"
    dataset: Identifier
    record_id: RecordId | None = None
    document_no: InboundText | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.record_id is None) == (self.document_no is None):
            raise ValueError("a record is named by exactly one of: record_id, document_no")
        return self


class GradePointer(Frozen):
    """A grade, by the run that gave it."""

    kind: Literal["grade"] = "grade"
    domain: Identifier
    run_id: RunId


class WarningPointer(Frozen):
    """A warning, by its id."""

    kind: Literal["warning"] = "warning"
    domain: Identifier
    warning_id: Uuid


class ObjectionFiled(MessageData):
    """An objection that the department accepted: the record counts and is flagged until it is decided (条例 30, 31)."""

    department: Identifier
    objection_no: InboundText
    subject_ref: Reference
    about: Annotated[RecordPointer | GradePointer | WarningPointer, Field(discriminator="kind")]
    filed_on: InboundDate
    accepted_on: InboundDate
    grounds: InboundText

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.accepted_on < self.filed_on:
            raise ValueError("accepted_on lies before filed_on")
        return self


class RepairDecided(MessageData):
    """A repair that the department decided on: 谁认定谁修复. It acts from ``repaired_on``."""

    department: Identifier
    repair_no: InboundText
    subject_ref: Reference
    records: Annotated[tuple[RecordPointer, ...], Field(min_length=1, max_length=MAXIMUM_ITEMS)]
    decision: Literal["granted", "refused"]
    decided_on: InboundDate
    repaired_on: InboundDate | None = None
    #: The instrument of the decision.
    instrument: InboundText
    explanation: InboundText | None = None

    @model_validator(mode="after")
    def _check_effect(self) -> Self:
        if (self.decision == "granted") != (self.repaired_on is not None):
            raise ValueError("repaired_on belongs to a granted repair, and to no other")
        return self


class WarningAcknowledged(MessageData):
    """The department takes a warning over (签收). ``office``: who, as an office and not as a person."""

    department: Identifier
    domain: Identifier
    warning_id: Uuid
    acknowledged_at: InboundTime
    office: InboundText


class WarningDisposed(MessageData):
    """What the department did about a warning (处置反馈)."""

    department: Identifier
    domain: Identifier
    warning_id: Uuid
    disposed_at: InboundTime
    office: InboundText
    result: Literal["rectified", "under_way", "referred", "unfounded"]
    summary: InboundText
    instrument: InboundText | None = None
