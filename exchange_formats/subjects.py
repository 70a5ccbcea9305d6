"""Subjects and their identifiers: unified codes, resident numbers, references, masks.

All batch functions are vectorised over Arrow string arrays.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.check_digits import ALPHABET, check_resident, check_unified
from exchange_formats.texts import Mask, Texts

_SUBJECT_TYPES = ("enterprise", "natural_person", "social_organization", "public_institution", "government_agency")
#: How references to another registry's subjects begin; they are never published.
FOREIGN: Final = "xr_"
_FULL_WIDTH = str.maketrans({chr(0xFF01 + i): chr(0x21 + i) for i in range(94)} | {"\u3000": " "})


def normalise_identifiers(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Trim, upper-case and narrow full-width characters; an empty identifier becomes null."""
    array = pc.utf8_upper(pc.utf8_trim_whitespace(narrow(values)))
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def narrow(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Full-width ASCII (！ to ～) and the full-width space become narrow; only rows that are not ASCII are touched."""
    array = _contiguous(values)
    wide = pc.invert(pc.fill_null(pc.string_is_ascii(array), fill_value=True))
    if not pc.any(wide, min_count=0).as_py():
        return array
    narrowed = [value.translate(_FULL_WIDTH) for value in array.filter(wide).to_pylist()]
    return pc.replace_with_mask(array, wide, pa.array(narrowed, pa.string()))


def check_unified_codes(values: pa.Array | pa.ChunkedArray) -> Mask:
    """Which normalised codes are well formed: length, alphabet and both check digits (null → False)."""
    return check_unified(Texts.of(_contiguous(values)))


def check_resident_numbers(values: pa.Array | pa.ChunkedArray) -> Mask:
    """Which normalised values are 18-digit resident numbers with a right check digit and a real birth month/day."""
    return check_resident(Texts.of(_contiguous(values)))


@dataclass(frozen=True, slots=True, repr=False)
class PseudonymKey:
    """The secret that turns a person's number into a reference; ``id`` names it in every reference."""

    id: str
    secret: bytes

    def reference(self, number: str) -> str:
        """``np_<key id>_<HMAC-SHA-256, 40 hex>`` of one resident number (semantics §5)."""
        digest = hmac.new(self.secret, number.encode(), hashlib.sha256).hexdigest()
        return f"np_{self.id}_{digest[:40]}"

    def __repr__(self) -> str:
        return f"PseudonymKey(id={self.id!r})"


def subject_type(reference: str) -> str:
    """The subject type a reference's prefix says (facts §6.1, GB 32100 positions 1–2).

    Another registry's subject (``FOREIGN``) is taken for an enterprise (assumption).
    """
    if reference.startswith("np_"):
        return "natural_person"
    prefix = reference[:2]
    if prefix in {"51", "52", "53", "71"}:
        return "social_organization"
    if prefix == "12":
        return "public_institution"
    if prefix in {"11", "13"}:
        return "government_agency"
    return "enterprise"


@dataclass(frozen=True, eq=False)
class SubjectKinds:
    """Of a batch of references: ``types`` (dictionary array of subject types) and ``individual_business`` (boolean)."""

    types: pa.DictionaryArray
    individual_business: pa.Array


def classify_subjects(references: pa.Array) -> SubjectKinds:
    """``subject_type`` and ``is_individual_business`` of every reference; null where it is."""
    texts = Texts.of(references)
    # Two letters decide; the table has an entry for every pair of bytes.
    ends = len(texts.data) - 1
    pairs = np.zeros(len(texts), np.uint16)
    if ends > 0:
        begins = np.minimum(texts.offsets[:-1], ends - 1)
        pairs = texts.data[begins].astype(np.uint16) | (texts.data[begins + 1].astype(np.uint16) << 8)
    absent = None if texts.present.all() else ~texts.present
    places = pa.array(_kinds_of_pairs().take(pairs), pa.int8(), mask=absent)
    business = pa.array(pairs == _pair("92"), pa.bool_(), mask=absent)
    return SubjectKinds(pa.DictionaryArray.from_arrays(places, pa.array(_SUBJECT_TYPES)), business)


def is_individual_business(reference: str) -> bool:
    """个体工商户: an enterprise to the model, but its name may be a person's (semantics §3)."""
    return reference.startswith("92")


def mask_identity(value: str) -> str:
    """First six characters, the rest starred: what logs, errors and rejects may show of an identity."""
    return value[:6] + "*" * (len(value) - 6) if len(value) > 6 else "*" * len(value)


def mask_name(value: str) -> str:
    """First character and a star: what may be shown of a person's name."""
    return value[:1] + "*" if value else value


def _pair(prefix: str) -> int:
    return int.from_bytes(prefix.encode(), "little")


@cache
def _kinds_of_pairs() -> npt.NDArray[np.int8]:
    """Two leading bytes, as a little-endian number → place in ``_SUBJECT_TYPES``."""
    table = np.full(1 << 16, _SUBJECT_TYPES.index("enterprise"), np.int8)
    for first in ALPHABET:
        for second in ALPHABET:
            table[_pair(first + second)] = _SUBJECT_TYPES.index(subject_type(first + second))
    table[_pair("np")] = _SUBJECT_TYPES.index("natural_person")
    return table


def _contiguous(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array if pa.types.is_string(array.type) else array.cast(pa.string())
