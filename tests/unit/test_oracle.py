"""The engine against a second implementation written from the specification: random subjects of every model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel

from scoring.measurement import Measure, Statistic
from scoring.model import Deduct, Earn, Indicator, Model, Override
from tests.oracle.agreement import Agreement, compare_all, contenders
from tests.scoring_cases import MODELS

#: What fits into a minute; ``python -m tests.oracle 200000`` scores as many as one likes.
SUBJECTS = 38_000
PROCESSES = 2


@cache
def agreements() -> dict[str, Agreement]:
    return dict(compare_all(SUBJECTS, jobs=PROCESSES))


@pytest.mark.timeout(600)
def test_oracle_and_engine_say_the_same_when_subjects_are_random() -> None:
    differences = [str(one) for found in agreements().values() for one in found.differences]
    assert differences[:20] == []
    compared = {name: found.subjects for name, found in agreements().items() if name in MODELS.by_id}
    assert compared.keys() == MODELS.by_id.keys()
    assert sum(compared.values()) >= SUBJECTS


def test_workshop_uses_what_the_grammar_has_when_it_is_compared() -> None:
    """Were something new in the grammar left out there, nothing would hold the engine to it."""
    models = [model for model in contenders().values() if model is not None]
    used = {name for model in models for name in _keys_of(model.model_dump(by_alias=True, exclude_defaults=True))}
    known = {
        alias for kind in (Model, Indicator, Deduct, Earn, Override, Measure, Statistic) for alias in _fields(kind)
    }
    assert known - used == {"examples"}


def _keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys_of(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _keys_of(inner)


def _fields(kind: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in kind.model_fields.items()}


@pytest.mark.timeout(600)
def test_every_band_is_reached_in_every_domain_when_subjects_are_random() -> None:
    reached = {domain: set(agreements()[domain].computed) for domain in MODELS.by_id}
    lacking = {domain: set("ABCDE") - grades for domain, grades in reached.items() if set("ABCDE") - grades}
    assert lacking == {}
    grades = sum((found.computed for found in agreements().values()), Counter[str]())
    assert grades["N"] > 0
