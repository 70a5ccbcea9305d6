"""Identifiers: why a unified code, a resident number or an organisation code is none, one reason a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.check_digits import (
    LENGTH,
    ORGANISATION_LENGTH,
    add_organisation,
    add_resident,
    add_unified,
    check_resident,
    check_unified,
    is_born,
)
from exchange_formats.rejects import Reason
from exchange_formats.texts import Mask, Texts, mask_of

#: How long a business registration number of before 2015 is.
_REGISTRATION_LENGTHS = (13, 15)
Judgement: TypeAlias = list[tuple[Reason, Mask]]


def judge_unified_codes(codes: Texts) -> Judgement:
    """Why the codes that are not well formed are not: one reason each, the first that fits."""
    open_rows = codes.present & ~check_unified(codes)
    found: Judgement = []
    if not open_rows.any():
        return found
    places = np.flatnonzero(open_rows)
    wrong = Texts.of(codes.array.filter(pa.array(open_rows)))
    chosen, letters = wrong.take_fixed(LENGTH)
    sums = add_unified(letters)
    odd, organisation = np.zeros(len(wrong), np.bool_), np.zeros(len(wrong), np.bool_)
    odd[chosen], organisation[chosen] = sums.odd, ~sums.organisation
    digits = mask_of(pc.match_substring_regex(wrong.array, "^[0-9]+$"))
    return _first_of(
        len(codes),
        places,
        [
            (Reason.UNIFIED_CODE_MASKED, mask_of(pc.match_substring(wrong.array, "*"))),
            (Reason.UNIFIED_CODE_REGISTRATION_NUMBER, digits & np.isin(wrong.lengths, _REGISTRATION_LENGTHS)),
            (Reason.UNIFIED_CODE_LENGTH, _count_letters(wrong) != LENGTH),
            (Reason.UNIFIED_CODE_ALPHABET, odd | ~chosen),
            (Reason.UNIFIED_CODE_ORGANISATION, organisation),
            (Reason.UNIFIED_CODE_CHECK_DIGIT, np.ones(len(wrong), np.bool_)),
        ],
    )


def judge_resident_numbers(numbers: Texts) -> Judgement:
    """Why the numbers that are no resident numbers are not: one reason each, the first that fits."""
    open_rows = numbers.present & ~check_resident(numbers)
    if not open_rows.any():
        return []
    places = np.flatnonzero(open_rows)
    wrong = Texts.of(numbers.array.filter(pa.array(open_rows)))
    chosen, letters = wrong.take_fixed(LENGTH)
    odd, unborn = np.zeros(len(wrong), np.bool_), np.zeros(len(wrong), np.bool_)
    odd[chosen] = add_resident(letters).odd
    unborn[chosen] = ~is_born(letters)
    return _first_of(
        len(numbers),
        places,
        [
            (Reason.RESIDENT_NUMBER_MASKED, mask_of(pc.match_substring(wrong.array, "*"))),
            (Reason.RESIDENT_NUMBER_LENGTH, _count_letters(wrong) != LENGTH),
            (Reason.RESIDENT_NUMBER_ALPHABET, odd | ~chosen),
            (Reason.RESIDENT_NUMBER_BIRTH_DATE, unborn),
            (Reason.RESIDENT_NUMBER_CHECK_DIGIT, np.ones(len(wrong), np.bool_)),
        ],
    )


def judge_organisation_codes(codes: Texts) -> Judgement:
    """What is wrong with organisation codes (GB 11714: nine characters, without the hyphen)."""
    chosen, letters = codes.take_fixed(ORGANISATION_LENGTH)
    sums = add_organisation(letters)
    malformed, failed = codes.present & ~chosen, np.zeros(len(codes), np.bool_)
    malformed[chosen] = sums.odd
    failed[chosen] = ~sums.odd & ~sums.whole
    return [(Reason.ORGANISATION_CODE_MALFORMED, malformed), (Reason.ORGANISATION_CODE_CHECK_DIGIT, failed)]


def uppercase(texts: Texts) -> Texts:
    """ASCII letters in upper case."""
    small = np.flatnonzero(texts.data - np.uint8(ord("a")) < 26)  # what is below wraps around
    if not len(small):
        return texts
    data = texts.data.copy()
    data[small] -= 32
    return Texts(data, texts.offsets, texts.present)


def _count_letters(texts: Texts) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.utf8_length(texts.array), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _first_of(rows: int, places: npt.NDArray[np.int64], reasons: Sequence[tuple[Reason, Mask]]) -> Judgement:
    """Each of ``places`` under the first reason that fits it, as masks over ``rows``."""
    left = np.ones(len(places), np.bool_)
    found: Judgement = []
    for reason, fits in reasons:
        mask = np.zeros(rows, np.bool_)
        mask[places[left & fits]] = True
        left &= ~fits
        found.append((reason, mask))
    return found
