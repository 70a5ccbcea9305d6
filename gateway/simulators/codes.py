"""Compose identifiers with right check digits: unified codes (GB 32100, GB 11714) and resident numbers (GB 11643)."""

from __future__ import annotations

from datetime import date

from exchange_formats.check_digits import ALPHABET

_UNIFIED_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


def compose_unified_code(prefix: str, division: str, body: str) -> str:
    """18 characters from authority and type (2), division (6, GB/T 2260) and organisation body (8)."""
    total = sum(int(letter, 36) * weight for letter, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    organisation = "0123456789X0"[11 - total % 11]
    first = f"{prefix}{division}{body}{organisation}"
    value = sum(_VALUES[letter] * weight for letter, weight in zip(first, _UNIFIED_WEIGHTS, strict=True))
    return first + ALPHABET[(31 - value % 31) % 31]


def compose_resident_number(division: str, born: date, sequence: int) -> str:
    """18 characters from division, birth and a three-digit sequence (000 is never issued)."""
    first = f"{division}{born:%Y%m%d}{sequence:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(first, _RESIDENT_WEIGHTS, strict=True))
    return first + _RESIDENT_CHECKS[total % 11]
