"""One whole record of a dataset, put together from the catalogue's examples.

Not every example can stand beside every other (a profile has a person's columns or an
organisation's), so a record takes what is required and then, in the catalogue's order, each
column that breaks no rule beside what is there already. An example is in force: it was neither
revoked nor removed, repaired or objected to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from exchange_formats.condition_evaluation import Batch
from exchange_formats.datasets import Dataset
from exchange_formats.field_rules import RowRules, describe_subjects
from exchange_formats.json_schemas import render_value


def build_example(dataset: Dataset) -> Mapping[str, Any]:
    """The record as JSON values, in the catalogue's order; it is valid if the catalogue's examples are."""
    texts = choose_examples(dataset)
    return {name: render_value(dataset.fields[name], text) for name, text in texts.items()}


def choose_examples(dataset: Dataset) -> Mapping[str, str]:
    """Column → example, as the catalogue writes it."""
    rules = RowRules(dataset)
    ended = set(dataset.states.columns) - {dataset.states.final}
    written = {name: spec.example for name, spec in dataset.fields.items() if spec.example and name not in ended}
    chosen = {name: text for name, text in written.items() if name in dataset.needed}
    for name in sorted(written, key=lambda name: dataset.fields[name].required is False):
        widened = {**chosen, name: written[name]}
        if name not in chosen and not any(rules.find_contradictions(_build_batch(dataset, widened))):
            chosen = widened
    return {name: text for name, text in written.items() if name in chosen}


def _build_batch(dataset: Dataset, texts: Mapping[str, str]) -> Batch:
    """One row of these values, and what conditions may read of its subject."""
    columns = {
        name: pa.array([texts.get(name)], pa.string()).cast(spec.arrow_type) for name, spec in dataset.columns.items()
    }
    return Batch(columns | describe_subjects(pa.array([texts["subject_id"]], pa.string())), 1)
