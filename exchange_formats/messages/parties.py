"""Whom a message is about, how they are shown, and the routing that keeps persons apart (semantics §3, §5)."""

from __future__ import annotations

from typing import Final, Self

from pydantic import model_validator

from exchange_formats.datasets import SubjectType
from exchange_formats.messages.envelope import PERSON
from exchange_formats.messages.texts import LONGEST_NAME, CityCode, Frozen, Reference, Text, mask_long_numbers
from exchange_formats.subjects import is_individual_business, mask_name, subject_type

#: The routing key's city of a subject whose city nobody knows.
NO_CITY: Final = "unknown"


class Subject(Frozen):
    """Whom a result is about; the name of a person, and of a 个体工商户, is masked (semantics §3)."""

    subject_ref: Reference
    subject_type: SubjectType
    subject_name: Text | None = None
    individual_business: bool = False
    city_code: CityCode | None = None

    @model_validator(mode="after")
    def _check_privacy(self) -> Self:
        if self.subject_type != subject_type(self.subject_ref):
            raise ValueError("subject_type is not what the reference says")
        if self.individual_business != is_individual_business(self.subject_ref):
            raise ValueError("individual_business is not what the reference says")
        private = self.individual_business or self.is_person
        if private and self.subject_name and self.subject_name != mask_name(self.subject_name):
            raise ValueError("the name of a person or of an individual business must be masked")
        return self

    @property
    def is_person(self) -> bool:
        """Whether the message may go to queues granted persons only."""
        return self.subject_type == "natural_person"

    @property
    def city(self) -> str:
        """The city segment of the routing key."""
        return self.city_code or NO_CITY


def route(key: str, *, person: bool) -> str:
    """A routing key, with the last word ``person`` where the message is about natural persons."""
    return f"{key}.{PERSON}" if person else key


def shown_name(name: str | None, reference: str) -> str | None:
    """The name as it may be published: masked where it may be a person's, a number typed into it too; clipped."""
    if not name:
        return None
    if is_individual_business(reference) or subject_type(reference) == "natural_person":
        return mask_name(name)
    return mask_long_numbers(name)[:LONGEST_NAME]
