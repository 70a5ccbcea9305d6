"""The engine against a second implementation written from the specification: random subjects of every model."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.oracle.agreement import Agreement, compare_all
from tests.scoring_cases import MODELS

#: What fits into a minute; ``python -m tests.oracle 200000`` scores as many as one likes.
SUBJECTS = 24_000
PROCESSES = 2


@cache
def agreements() -> dict[str, Agreement]:
    return dict(compare_all(SUBJECTS, jobs=PROCESSES))


@pytest.mark.timeout(600)
def test_oracle_and_engine_say_the_same_when_subjects_are_random() -> None:
    differences = [str(one) for found in agreements().values() for one in found.differences]
    assert differences[:20] == []
    assert agreements().keys() == MODELS.by_id.keys()
    assert sum(found.subjects for found in agreements().values()) >= SUBJECTS


@pytest.mark.timeout(600)
def test_every_band_is_reached_in_every_domain_when_subjects_are_random() -> None:
    reached = {domain: set(found.computed) for domain, found in agreements().items()}
    lacking = {domain: set("ABCDE") - grades for domain, grades in reached.items() if set("ABCDE") - grades}
    assert lacking == {}
    grades = sum((found.computed for found in agreements().values()), Counter[str]())
    assert grades["N"] > 0
