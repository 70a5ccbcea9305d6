"""Identity: who a row is about, and which record it is (semantics §2, §5).

A subject is its unified code, or, where the party is a person, a pseudonym made with
a key; a resident number ends here and never reaches an id, a key or a reject. Foreign
data may name its subjects by another registry's numbers: such a reference is never published.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.check_digits import LENGTH, check_resident, check_unified
from exchange_formats.dirt import Dirt
from exchange_formats.identifiers import judge_resident_numbers, judge_unified_codes, uppercase
from exchange_formats.rejects import Reason
from exchange_formats.subjects import FOREIGN, PseudonymKey, normalise_identifiers
from exchange_formats.texts import Bytes, Mask, Places, Texts, mask_of, repeats_itself

_REGISTRY_NUMBER = r"^[0-9A-Za-z-]{1,40}$"
_NUMBER = r"[0-9]{6}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
_NUMBER_IN_TEXT = re.compile(rf"(?<![0-9A-Za-z]){_NUMBER}(?![0-9A-Za-z])")
#: The same without looking around, which Arrow's expressions cannot.
_HOLDS_NUMBER = rf"(?:^|[^0-9A-Za-z]){_NUMBER}(?:$|[^0-9A-Za-z])"
#: Bytes looked at as one number; the upper half of a digit is 3.
_STEP = 8
_HIGH_HALVES, _DIGIT_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)
_SIXES = np.uint64(0x0606060606060606)
#: Where more than one row in so many holds digits, it pays to see whether the column repeats itself.
_DENSE = 4


@dataclass
class Subjects:
    """References of a batch (null where there is none), which are persons, and what was found by reason and by rule."""

    references: pa.Array
    persons: Mask
    problems: list[tuple[str, Mask]] = field(default_factory=list)
    normalised: list[tuple[str, Mask]] = field(default_factory=list)


def resolve_subjects(
    codes: Texts, numbers: Texts | None, natural: Mask, may_be_person: Mask, key: PseudonymKey
) -> Subjects:
    """Unified codes verified, persons pseudonymised, everything else a problem.

    ``codes`` is the column of the unified code, ``numbers`` the one of the person's number, if
    the source has one. ``natural`` rows say that the party is a person; only rows that
    ``may_be_person`` are taken for one, so an organisation's broken code never becomes its representative.
    """
    identifiers = normalise_codes(codes)
    organisations = check_unified(identifiers)
    persons = np.zeros(len(codes), np.bool_)
    found = Subjects(identifiers.blank(~organisations).array, persons)
    if not organisations.all():
        left = ~organisations
        mine, others = _take(identifiers, left), _take(numbers, left) if numbers is not None else None
        _resolve_persons(found, left, mine, others, natural[left], may_be_person[left], key)
    found.normalised.append((Dirt.CODE_NORMALISED, organisations & _find_changed(codes, identifiers)))
    found.normalised.append((Dirt.PSEUDONYMISED, persons))
    return found


def resolve_registry(numbers: Texts, registry: str) -> Subjects:
    """References ``xr_<registry>_<number>`` of another registry's numbers."""
    written = mask_of(pc.match_substring_regex(numbers.array, _REGISTRY_NUMBER))
    made = pc.binary_join_element_wise(f"{FOREIGN}{registry}_", numbers.blank(~written).array, "")
    found = Subjects(made, np.zeros(len(numbers), np.bool_))
    found.problems = [
        (Reason.SUBJECT_MISSING, ~numbers.present),
        (Reason.REGISTRY_NUMBER_MALFORMED, numbers.present & ~written),
    ]
    return found


def normalise_codes(texts: Texts) -> Texts:
    """Identifiers in upper case and narrow."""
    if texts.is_ascii:
        return uppercase(texts)
    return Texts.of(normalise_identifiers(texts.array))


def find_resident_numbers(texts: Texts) -> Mask:
    """Rows of clean ``texts`` that are a resident number, in either case, or in which one stands by itself."""
    places = _find_digits(texts)
    if len(places) > len(texts) // _DENSE and repeats_itself(texts.array):
        encoded = texts.array.dictionary_encode()
        distinct = find_resident_numbers(Texts.of(encoded.dictionary))
        return mask_of(pa.array(distinct).take(encoded.indices))
    rows = _find_long_runs(texts, places)
    if not rows.any():
        return rows
    alone, longer = rows & (texts.lengths == LENGTH), rows & (texts.lengths > LENGTH)
    rows[:] = False
    if alone.any():
        rows[alone] = check_resident(uppercase(_take(texts, alone)))
    if longer.any():
        longer[longer] = mask_of(pc.match_substring_regex(_take(texts, longer).array, _HOLDS_NUMBER))
    if longer.any():
        held = texts.array.filter(pa.array(longer)).to_pylist()
        numbers = _choose_resident(number for text in held for number in _NUMBER_IN_TEXT.findall(text))
        rows[longer] = [not numbers.isdisjoint(_NUMBER_IN_TEXT.findall(text)) for text in held]
    return rows


def protect(values: pa.Array, key: PseudonymKey) -> pa.Array:
    """``values`` (clean text) with every resident number among them, or inside them, replaced by its pseudonym."""
    rows = find_resident_numbers(Texts.of(values))
    if not rows.any():
        return values
    flags = pa.array(rows)
    held = values.filter(flags).to_pylist()
    numbers = _choose_resident(number for text in held for number in _NUMBER_IN_TEXT.findall(text))

    def hide(match: re.Match[str]) -> str:
        return key.reference(match[0].upper()) if match[0] in numbers else match[0]

    return pc.replace_with_mask(values, flags, pa.array([_NUMBER_IN_TEXT.sub(hide, text) for text in held]))


def _find_digits(texts: Texts) -> Places:
    """Where eight digits stand that are looked at as one number; every run of 15 digits covers such a place."""
    if int(texts.lengths.max(initial=0)) < LENGTH:
        return np.zeros(0, np.int64)
    eights = texts.data[: len(texts.data) // _STEP * _STEP].view(np.uint64)
    places: Places = np.flatnonzero((eights & _HIGH_HALVES) == _DIGIT_HALVES)
    # Six more, and the signs behind 9 have another upper half.
    places = places[(eights[places] + _SIXES & _HIGH_HALVES) == _DIGIT_HALVES]
    return places * _STEP


def _find_long_runs(texts: Texts, places: Places) -> Mask:
    """Rows that hold a run of 17 digits or more around one of ``places``."""
    rows = np.searchsorted(texts.offsets, places, side="right") - 1
    low, high = texts.offsets[rows], texts.offsets[rows + 1]
    begins = places.copy()
    for _ in range(_STEP - 1):
        begins -= (begins > low) & _are_digits(texts.data[begins - 1])
    inside = begins + LENGTH - 1 <= high
    begins, rows = begins[inside], rows[inside]
    for step in reversed(range(_STEP, LENGTH - 1)):  # most runs are shorter: the far end tells first
        run = _are_digits(texts.data[begins + step])
        begins, rows = begins[run], rows[run]
    found = np.zeros(len(texts), np.bool_)
    found[rows] = True
    return found & texts.present


def _are_digits(data: Bytes) -> Mask:
    return data - np.uint8(ord("0")) < 10  # what is below wraps around


def _choose_resident(numbers: Iterable[str]) -> frozenset[str]:
    """Those of ``numbers`` that are right, as they are written."""
    written = sorted(set(numbers))
    good = check_resident(uppercase(Texts.of(pa.array(written, pa.string()))))
    return frozenset(number for number, right in zip(written, good.tolist(), strict=True) if right)


def derive_ids(prefix: Sequence[str], columns: Sequence[pa.Array]) -> pa.Array:
    """``digests.derive_id(*prefix, *row)`` of every row, null where one of its values is null."""
    start = "".join(f"{len(part.encode())}:{part}" for part in prefix)
    pieces = [piece for column in columns for piece in (pc.cast(pc.binary_length(column), pa.string()), ":", column)]
    texts = pc.binary_join_element_wise(start, *pieces, "", null_handling="emit_null")
    sha256 = hashlib.sha256
    made = [sha256(text).hexdigest()[:32] for text in texts.cast(pa.binary()).drop_null().to_pylist()]
    if not texts.null_count:
        return pa.array(made, pa.string())
    ids = np.full(len(texts), None, dtype=object)
    ids[mask_of(texts.is_valid())] = made
    return pa.array(ids, pa.string())


def _resolve_persons(
    found: Subjects,
    left: Mask,
    identifiers: Texts,
    numbers: Texts | None,
    natural: Mask,
    may_be_person: Mask,
    key: PseudonymKey,
) -> None:
    """Decide the rows ``left`` without a good unified code; the other arguments hold those rows alone."""
    own = check_resident(identifiers)
    candidates, given = identifiers.blank(~own), identifiers.present.copy()
    if numbers is not None:
        others = normalise_codes(numbers)
        given |= others.present & may_be_person
        candidates = Texts.of(pc.coalesce(candidates.array, others.array))
    real = check_resident(candidates)
    persons = may_be_person & real
    places = np.flatnonzero(left)
    if persons.any():
        found.persons[places[persons]] = True
        made = _pseudonymise(candidates.array.filter(pa.array(persons)), key)
        found.references = pc.replace_with_mask(found.references, pa.array(found.persons), made)

    def report(reason: str, rows: Mask) -> None:
        if rows.any():
            whole = np.zeros(len(left), np.bool_)
            whole[places[rows]] = True
            found.problems.append((reason, whole))

    report(Reason.SUBJECT_MISSING, ~given)
    broken = given & ~persons
    report(Reason.SUBJECT_PERSON_NUMBER, broken & own)
    broken &= ~own
    as_person = broken & may_be_person & (natural | ~identifiers.present)
    for reason, rows in judge_resident_numbers(Texts.of(pc.coalesce(candidates.array, identifiers.array))):
        report(reason, rows & as_person)
    for reason, rows in judge_unified_codes(identifiers):
        report(reason, rows & broken & ~as_person)


def _take(texts: Texts, rows: Mask) -> Texts:
    return Texts.of(texts.array.filter(pa.array(rows)))


def _find_changed(before: Texts, after: Texts) -> Mask:
    if before is after:
        return np.zeros(len(before), np.bool_)
    if before.offsets is after.offsets:
        return before.rows_at(np.flatnonzero(before.data != after.data))
    return mask_of(pc.not_equal(before.array, after.array))


def _pseudonymise(numbers: pa.Array, key: PseudonymKey) -> pa.Array:
    return pa.array([key.reference(number) for number in numbers.to_pylist()], pa.string())
