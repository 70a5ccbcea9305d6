"""Records that no longer say what they said: withdrawn and corrected (行政处罚法 48).

A published penalty that is changed, revoked, found unlawful or void must leave publicity within three
days, with the reason told. The three days are working days (行政处罚法 85); ``withdraw_by`` counts
calendar days, which is never later. Whoever holds a copy takes it down by then.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exchange_formats.datasets import ColumnName, Identifier
from exchange_formats.manifests import Sha256
from exchange_formats.messages.parties import Subject, route
from exchange_formats.messages.texts import Contract, Frozen, MessageData, SequenceNumber, Text, refuse_numbers

RECORD_WITHDRAWN: Final = "cn.credit.record.withdrawn.v1"
RECORD_CORRECTED: Final = "cn.credit.record.corrected.v1"
#: Days of 行政处罚法 48, counted so that no calendar of holidays is needed.
WITHDRAWAL_DAYS: Final = 3
WITHDRAWAL_BASIS: Final = "行政处罚法 48"
MAXIMUM_CHANGES: Final = 50

RecordId = Annotated[str, Field(pattern=r"^[0-9a-zA-Z_.-]{1,64}$"), AfterValidator(refuse_numbers)]


class RecordNotice(MessageData):
    """Which record, of whom, and which landed batch says so.

    ``sequence`` is the batch's in the dataset's chain: a consumer ignores a lower one for a ``record_id``.
    """

    department: Identifier
    dataset: Identifier
    contract: Contract
    record_id: RecordId
    subject: Subject
    #: The instrument that the record is about: a penalty's 决定书文号.
    document_no: Text | None = None
    batch_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    manifest_sha256: Sha256
    sequence: SequenceNumber

    @model_validator(mode="after")
    def _check_contract(self) -> Self:
        if not self.contract.startswith(f"{self.dataset}@"):
            raise ValueError("the contract is not one of this dataset")
        return self


class RecordWithdrawn(RecordNotice):
    """A record that never happened, legally: take it out of publicity by ``withdraw_by`` and stop using it."""

    reason: Literal["changed", "revoked", "unlawful", "void"]
    #: The instrument that changed or revoked it, and why, where the department says so.
    instrument: Text | None = None
    explanation: Text | None = None
    decided_on: date
    withdraw_by: date
    basis: tuple[Text, ...] = (WITHDRAWAL_BASIS,)

    @model_validator(mode="after")
    def _check_deadline(self) -> Self:
        if self.withdraw_by != withdrawal_deadline(self.decided_on):
            raise ValueError("withdraw_by is not three days after decided_on")
        return self


class ValueChange(Frozen):
    """One column before and after; names and identities are masked, absent means empty."""

    column: ColumnName
    before: Text | None = None
    after: Text | None = None


class RecordCorrected(RecordNotice):
    """A record whose content changed and that still stands: replace what you hold."""

    changes: Annotated[tuple[ValueChange, ...], Field(min_length=1, max_length=MAXIMUM_CHANGES)]


def withdrawal_deadline(decided_on: date) -> date:
    """The last day on which a withdrawn record may still be shown."""
    return decided_on + timedelta(days=WITHDRAWAL_DAYS)


def record_key(department: str, dataset: str, event: Literal["withdrawn", "corrected"], *, person: bool = False) -> str:
    """Routing key of a record's withdrawal or correction."""
    return route(f"record.{department}.{dataset}.{event}", person=person)
