"""Texts, references and exact numbers of messages: nothing here carries a person's number (semantics §5).

Every text of every message is checked for resident numbers of 18 characters with a right check
digit (GB 11643-1999), whoever filled it. Numbers of 15 digits are *not* looked for inside texts: they
have no check digit, first-generation cards ended on 2013-01-01 (居民身份证法 2011 amendment), and
old registration and instrument numbers look the same. A *reference* never has 15 digits.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Final, Literal

import pyarrow as pa
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from exchange_formats.subjects import check_resident_numbers, mask_identity

#: Characters of one text at most.
LONGEST_TEXT: Final = 500
LONGEST_NAME: Final = 200

_NUMBER = re.compile(r"(?<![0-9A-Za-z])[1-8][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_PSEUDONYM = r"np_[A-Za-z0-9_.-]{1,32}_[0-9a-f]{40}"
_REFERENCE_IN_TEXT = re.compile(_PSEUDONYM)
# The shape only: check digits were verified when the record landed.
_UNIFIED = r"[1-9A-Y][0-9A-HJ-NPQRTUWXY]{17}"
_REFERENCE = re.compile(f"{_PSEUDONYM}|{_UNIFIED}")
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LINE_ENDS = frozenset("\n\t")


def mask_numbers(text: str) -> str:
    """``text`` with every resident number in it masked, clipped to what a message may carry."""
    return _NUMBER.sub(lambda found: _mask_number(found[0]), text)[:LONGEST_TEXT]


def mask_references(text: str) -> str:
    """``text`` without persons' pseudonyms: only messages under a key of persons may carry one."""
    return _REFERENCE_IN_TEXT.sub("np_*", text)


def mask_long_numbers(text: str) -> str:
    """As ``mask_numbers``, and also what only has the shape of a resident number."""
    return _NUMBER.sub(lambda found: mask_identity(found[0]), text)


def _mask_number(found: str) -> str:
    return mask_identity(found) if _is_resident_number(found) else found


def refuse_numbers(text: str) -> str:
    """``text`` as it is; ValueError, with the number masked, when it holds a resident number."""
    for found in _NUMBER.findall(text):
        if _is_resident_number(found):
            raise ValueError(f"a resident number does not belong in a message: {mask_identity(found)}")
    return text


def refuse_controls(text: str) -> str:
    """``text`` as it is; ValueError when it holds a control character other than a line end or a tab."""
    if any(unicodedata.category(letter) == "Cc" and letter not in _LINE_ENDS for letter in text):
        raise ValueError("a control character does not belong in a text")
    return text


def _read_as(kind: type[date], pattern: str, form: str) -> BeforeValidator:
    """A date or time of this form only: a number, also in a text, would be read as seconds since 1970."""

    def read(value: object) -> object:
        if isinstance(value, date):
            return value
        if isinstance(value, str) and re.fullmatch(pattern, value):
            # Python would quote what it cannot read.
            with suppress(ValueError):
                return kind.fromisoformat(value.upper())
        raise ValueError(f"no day or time of the form {form}")

    return BeforeValidator(read)


def _check_reference(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        # Not shown, not even in part: it may be anything, a name too.
        raise ValueError("neither a unified code nor a person's reference")
    # No resident number begins with 9, as all businesses do: an all-digit company code is never taken for a person's.
    if _NUMBER.fullmatch(reference) and _is_resident_number(reference):
        raise ValueError(f"a resident number is not a reference: {mask_identity(reference)}")
    return reference


def _is_resident_number(text: str) -> bool:
    return bool(check_resident_numbers(pa.array([text.upper()]))[0])


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(refuse_numbers)]
#: What a participant writes: no control characters either.
InboundText = Annotated[
    str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(refuse_numbers), AfterValidator(refuse_controls)
]
#: A day, and an instant with its zone, as participants write them (RFC 3339).
InboundDate = Annotated[date, _read_as(date, _DAY, "YYYY-MM-DD")]
InboundTime = Annotated[AwareDatetime, _read_as(datetime, rf"{_DAY}[Tt ].+", "YYYY-MM-DDThh:mm:ssZ")]
Reference = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^({_PSEUDONYM}|{_UNIFIED})$"}),
    AfterValidator(_check_reference),
]
CityCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Level = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
Grade = Literal["A", "B", "C", "D", "E", "N"]
#: Exact decimals travel as strings: a JSON number would become a double in most readers.
Score = Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{2}$")]
Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,8})?$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
#: A dataset and the version of its contract: ``penalty@1``.
Contract = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}@[1-9][0-9]{0,3}$")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
#: ``sequence`` grows by one a message and domain: a consumer ignores a lower one for a subject.
SequenceNumber = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Part of a message: never changed, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageData(Frozen):
    """The ``data`` of one message type; which type it is, the registry says."""
