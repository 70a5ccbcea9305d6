"""Check digits: unified codes and resident numbers added up a whole batch at a time.

Unified social credit code: GB 32100-2015 (18 characters; the 17th checks the
organisation code, GB 11714; the 18th checks the whole). Resident number: GB 11643-1999.

Weighted sums are read from tables, two characters at a time: each entry holds a pair's
share of both checks and counts the characters outside the alphabets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from exchange_formats.texts import Bytes, Mask, Texts

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LENGTH: Final = 18
_UNIFIED_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2, 1)
_ORGANISATION_PLACE = 8
ORGANISATION_LENGTH: Final = len(_ORGANISATION_WEIGHTS)
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
_DIGITS = "0123456789"
#: GB 11714 counts letters from A=10 through Z=35.
_ORGANISATION_ALPHABET = _DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: The check character of GB 11714 and GB 11643 is a remainder of 11: X stands for ten.
_ELEVEN = _DIGITS + "X"
# An entry's bits: 0-9 the sum of 31, 10-19 the sum of 11, 20-24 and 25-29 how many characters are in neither alphabet.
_SUM, _SECOND, _ODD, _SECOND_ODD, _FEW = 0x3FF, 10, 20, 25, 0x1F

Numbers: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sums:
    """Of each row: ``odd`` where a character is outside the alphabet, and which checks hold."""

    odd: Mask
    whole: Mask
    organisation: Mask

    @property
    def good(self) -> Mask:
        """Nothing is wrong."""
        return ~self.odd & self.whole & self.organisation


def add_unified(letters: Bytes) -> Sums:
    """Codes of 18 bytes, one after the other."""
    total = _add_up(letters, _unified_pairs())
    eleven = ((total >> _SECOND) & _SUM) % 11 == 0
    return Sums((total >> _ODD) & _FEW != 0, (total & _SUM) % 31 == 0, eleven & (total >> _SECOND_ODD == 0))


def add_resident(letters: Bytes) -> Sums:
    """Numbers of 18 bytes, one after the other; there is no organisation in them."""
    total = _add_up(letters, _resident_pairs())
    odd = (total >> _ODD) & _FEW != 0
    # The check character completes the sum to one more than a multiple of 11 (ISO 7064, MOD 11-2).
    return Sums(odd, ((total >> _SECOND) & _SUM) % 11 == 1, np.ones(len(total), np.bool_))


def add_organisation(letters: Bytes) -> Sums:
    """Organisation codes of 9 bytes, one after the other."""
    rows = letters.reshape(-1, ORGANISATION_LENGTH)
    total, odd = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.bool_)
    for place, weight in enumerate(_ORGANISATION_WEIGHTS):
        values = _values(_ORGANISATION_ALPHABET if place < ORGANISATION_LENGTH - 1 else _ELEVEN)[rows[:, place]]
        odd |= values < 0
        total += values * weight
    return Sums(odd, total % 11 == 0, np.ones(len(rows), np.bool_))


def is_born(letters: Bytes) -> Mask:
    """Whether the day of birth in resident numbers (places 7 to 14) can be one: century 18 to 20, month and day."""
    digits = letters.reshape(-1, LENGTH)[:, 6:14].astype(np.int32) - ord("0")
    century, month, day = (digits[:, place] * 10 + digits[:, place + 1] for place in (0, 4, 6))
    real = (century >= 18) & (century <= 20) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    return np.asarray(real, dtype=np.bool_)


def check_unified(codes: Texts) -> Mask:
    """Which normalised codes are well formed: length, alphabet and both check digits (not present → False)."""
    chosen, letters = codes.take_fixed(LENGTH)
    good = np.zeros(len(codes), np.bool_)
    good[chosen] = add_unified(letters).good
    return good


def check_resident(numbers: Texts) -> Mask:
    """Which normalised values are 18-digit resident numbers with a right check digit and a real birth month and day."""
    chosen, letters = numbers.take_fixed(LENGTH)
    good = np.zeros(len(numbers), np.bool_)
    good[chosen] = add_resident(letters).good & is_born(letters)
    return good


def _add_up(letters: Bytes, tables: Sequence[Numbers]) -> Numbers:
    pairs = np.ascontiguousarray(letters).view("<u2").reshape(-1, LENGTH // 2)
    total = np.zeros(len(pairs), np.int32)
    for place, table in enumerate(tables):
        total += table.take(pairs[:, place])
    return total


@cache
def _unified_pairs() -> tuple[Numbers, ...]:
    """Sum of 31 over all letters; sum of 11 over the organisation code's."""
    places = []
    for place in range(LENGTH):
        entries = _spread(ALPHABET, _UNIFIED_WEIGHTS[place], 31, 0, _ODD)
        inner = place - _ORGANISATION_PLACE
        if 0 <= inner < len(_ORGANISATION_WEIGHTS):
            last = inner == len(_ORGANISATION_WEIGHTS) - 1
            alphabet = _ELEVEN if last else _ORGANISATION_ALPHABET
            entries = entries + _spread(alphabet, _ORGANISATION_WEIGHTS[inner], 11, _SECOND, _SECOND_ODD)
        places.append(entries)
    return _pair_up(places)


@cache
def _resident_pairs() -> tuple[Numbers, ...]:
    """Sum of 11 over all letters; nothing is asked of the sum of 31."""
    places = [
        _spread(_DIGITS if place < LENGTH - 1 else _ELEVEN, weight, 11, _SECOND, _ODD)
        for place, weight in enumerate(_RESIDENT_WEIGHTS)
    ]
    return _pair_up(places)


def _spread(alphabet: str, weight: int, modulus: int, shift: int, odd: int) -> Numbers:
    """For each byte its weighted value at ``shift``; outside the alphabet one at ``odd``."""
    values = _values(alphabet)
    return np.where(values >= 0, (values * weight % modulus) << shift, np.int32(1 << odd)).astype(np.int32)


@cache
def _values(alphabet: str) -> Numbers:
    values = np.full(256, -1, np.int32)
    values[np.frombuffer(alphabet.encode(), np.uint8)] = np.arange(len(alphabet))
    return values


def _pair_up(places: Sequence[Numbers]) -> tuple[Numbers, ...]:
    # The first of two letters is the low byte of a little-endian pair.
    return tuple(
        (second[:, None] + first[None, :]).reshape(-1) for first, second in zip(places[::2], places[1::2], strict=True)
    )
