"""Public-credit results that the provincial platform sends: five kinds of subjects, 1000 points (facts §1)."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from exchange_formats.datasets import SubjectType
from exchange_formats.messages.texts import Frozen, InboundDate, InboundText, MessageData, Reference, Score
from exchange_formats.subjects import subject_type

PUBLIC_CREDIT_EVALUATED: Final = "cn.credit.public_credit.evaluated.v1"
MAXIMUM_RESULTS: Final = 100


class PublicResult(Frozen):
    """One subject's public-credit result; a person is named by the reference that the gateway gave."""

    subject_ref: Reference
    score: Score
    #: The platform's own level, as it calls it.
    level: Annotated[InboundText, Field(max_length=20)] | None = None
    evaluated_on: InboundDate
    valid_until: InboundDate | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.evaluated_on:
            raise ValueError("valid_until lies before evaluated_on")
        return self


class PublicCreditEvaluated(MessageData):
    """Results of one kind of subject, at most 100."""

    subject_type: SubjectType
    results: Annotated[tuple[PublicResult, ...], Field(min_length=1, max_length=MAXIMUM_RESULTS)]

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        if any(subject_type(one.subject_ref) != self.subject_type for one in self.results):
            raise ValueError("a subject is not of the message's subject_type")
        return self
