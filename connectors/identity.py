"""Identity: who a row is about, and which record it is (semantics §2, §5).

A subject is its unified code, or, where the party is a person, a pseudonym made with
a key; a resident number ends here and never reaches an id, a key or a reject.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.cells import Mask, mask_of
from exchange_formats.rejects import Reason
from exchange_formats.subjects import (
    PseudonymKey,
    check_resident_numbers,
    check_unified_codes,
    normalise_identifiers,
)


@dataclass
class Subjects:
    """References of a batch (null where there is none), the rows without one by reason, and which are persons."""

    references: pa.Array
    persons: Mask
    problems: list[tuple[Reason, Mask]] = field(default_factory=list)
    normalised: Counter[str] = field(default_factory=Counter)


def resolve_subjects(codes: pa.Array, numbers: pa.Array | None, may_be_person: Mask, key: PseudonymKey) -> Subjects:
    """Unified codes verified, persons pseudonymised, everything else a problem.

    ``codes`` is the column of the unified code (clean text), ``numbers`` the one of the
    person's number, if the source has one. Only rows that ``may_be_person`` are taken for
    a person, so an organisation's broken code never becomes its representative.
    """
    identifiers = normalise_identifiers(codes)
    organisations = check_unified_codes(identifiers)
    candidates = pc.if_else(pa.array(check_resident_numbers(identifiers)), identifiers, pa.scalar(None, pa.string()))
    given = pc.is_valid(identifiers)
    if numbers is not None:
        others = normalise_identifiers(numbers)
        given = pc.or_(given, pc.and_(pc.is_valid(others), pa.array(may_be_person)))
        candidates = pc.coalesce(candidates, others)
    persons = may_be_person & ~organisations & check_resident_numbers(candidates)
    references = pc.if_else(pa.array(organisations), identifiers, pa.scalar(None, pa.string()))
    if persons.any():
        flags = pa.array(persons)
        made = [key.reference(number) for number in candidates.filter(flags).to_pylist()]
        references = pc.replace_with_mask(references, flags, pa.array(made, pa.string()))
    missing = ~mask_of(given)
    found = Subjects(references, persons)
    found.problems = [
        (Reason.SUBJECT_MISSING, missing),
        (Reason.SUBJECT_MALFORMED, ~missing & ~organisations & ~persons),
    ]
    found.normalised["code_normalised"] += int((organisations & mask_of(pc.not_equal(identifiers, codes))).sum())
    found.normalised["pseudonymised"] += int(persons.sum())
    return found


def protect(values: pa.Array, key: PseudonymKey) -> pa.Array:
    """``values`` with every resident number among them replaced by its pseudonym."""
    identifiers = normalise_identifiers(values)
    numbers = check_resident_numbers(identifiers)
    if not numbers.any():
        return values
    flags = pa.array(numbers)
    made = [key.reference(number) for number in identifiers.filter(flags).to_pylist()]
    return pc.replace_with_mask(values, flags, pa.array(made, pa.string()))


def derive_ids(prefix: Sequence[str], columns: Sequence[pa.Array]) -> pa.Array:
    """``digests.derive_id(*prefix, *row)`` of every row, null where one of its values is null."""
    pieces = [piece for column in columns for piece in (pc.cast(pc.binary_length(column), pa.string()), ":", column)]
    texts = pc.binary_join_element_wise(*pieces, "", null_handling="emit_null")
    start = hashlib.sha256()
    for part in prefix:
        start.update(f"{len(part.encode())}:{part}".encode())
    present = mask_of(pc.is_valid(texts))
    made = []
    for text in texts.drop_null().to_pylist():
        digest = start.copy()
        digest.update(text.encode())
        made.append(digest.hexdigest()[:32])
    ids = np.full(len(texts), None, dtype=object)
    ids[present] = made
    return pa.array(ids, pa.string())
