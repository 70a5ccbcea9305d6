"""Subjects and their identifiers: unified codes, resident numbers, references, masks.

Unified social credit code: GB 32100-2015 (18 characters; the 17th checks the
organisation code, GB 11714; the 18th checks the whole). Resident number: GB 11643-1999.
All batch functions are vectorised over Arrow string arrays.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_UNIFIED_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28], dtype=np.int32)
_ORGANISATION_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int32)
_RESIDENT_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int32)
_RESIDENT_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_LENGTH = 18

#: byte → value in the code's 31-letter alphabet, -1 outside it.
_UNIFIED_VALUES = np.full(256, -1, dtype=np.int32)
_UNIFIED_VALUES[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))
#: GB 11714 counts letters from A=10 through Z=35, over the whole Latin alphabet.
_ORGANISATION_VALUES = np.full(256, -1, dtype=np.int32)
_ORGANISATION_VALUES[ord("0") : ord("9") + 1] = np.arange(10)
_ORGANISATION_VALUES[ord("A") : ord("Z") + 1] = np.arange(10, 36)

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


def check_unified_codes(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which normalised codes are well formed: length, alphabet and both check digits (null → False)."""
    letters, right = _letters(values)
    digits = _UNIFIED_VALUES[letters]
    well = right & (digits >= 0).all(axis=1)
    check = (31 - (digits[:, :17] @ _UNIFIED_WEIGHTS) % 31) % 31
    well &= check == digits[:, 17]
    organisation = _ORGANISATION_VALUES[letters[:, 8:17]]
    remainder = 11 - (organisation[:, :8] @ _ORGANISATION_WEIGHTS) % 11
    # 10 is written X (value 33), 11 is written 0.
    expected = np.where(remainder == 10, 33, np.where(remainder == 11, 0, remainder))
    return np.asarray(well & (expected == organisation[:, 8]), dtype=np.bool_)


def check_resident_numbers(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which normalised values are 18-digit resident numbers with a right check digit and a real birth month/day."""
    letters, right = _letters(values)
    digits = letters[:, :17].astype(np.int32) - ord("0")
    numeric = right & ((digits >= 0) & (digits <= 9)).all(axis=1)
    check = _RESIDENT_CHECKS[(np.where(numeric[:, None], digits, 0) @ _RESIDENT_WEIGHTS) % 11]
    month = digits[:, 10] * 10 + digits[:, 11]
    day = digits[:, 12] * 10 + digits[:, 13]
    century = digits[:, 6] * 10 + digits[:, 7]
    plausible = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (century >= 18) & (century <= 20)
    return np.asarray(numeric & plausible & (check == letters[:, 17]), dtype=np.bool_)


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
    """The subject type a reference's prefix says (facts §6.1, GB 32100 positions 1–2)."""
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


def is_individual_business(reference: str) -> bool:
    """个体工商户: an enterprise to the model, but its name may be a person's (semantics §3)."""
    return reference.startswith("92")


def mask_identity(value: str) -> str:
    """First six characters, the rest starred: what logs, errors and rejects may show of an identity."""
    return value[:6] + "*" * (len(value) - 6) if len(value) > 6 else "*" * len(value)


def mask_name(value: str) -> str:
    """First character and a star: what may be shown of a person's name."""
    return value[:1] + "*" if value else value


def _contiguous(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _letters(values: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """(n × 18 bytes, which rows are exactly 18 ASCII bytes); other rows read as zeros."""
    array = _contiguous(values)
    right = pc.fill_null(pc.equal(pc.binary_length(array), _LENGTH), fill_value=False)
    chosen = array.filter(right)
    mask = np.asarray(right.to_numpy(zero_copy_only=False), dtype=np.bool_)
    letters = np.zeros((len(array), _LENGTH), dtype=np.uint8)
    if len(chosen):
        buffer = np.frombuffer(chosen.buffers()[2], dtype=np.uint8)
        start = int(np.frombuffer(chosen.buffers()[1], dtype=np.int32)[chosen.offset])
        letters[mask] = buffer[start : start + len(chosen) * _LENGTH].reshape(-1, _LENGTH)
    return letters, mask
