"""Field rules: what a value must keep beyond its type, and what the values of one row must keep together.

Each rule answers with reasons (``exchange_formats.rejects``) and the rows they are found in.
A rule between columns is never broken by a value that is not there or could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.cells import Cells
from exchange_formats.condition_evaluation import Batch, Evaluator
from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset, FieldRule, FieldSpec
from exchange_formats.dirt import Dirt
from exchange_formats.divisions import check_divisions
from exchange_formats.identifiers import judge_organisation_codes, judge_unified_codes, uppercase
from exchange_formats.industries import check_industries
from exchange_formats.rejects import Reason
from exchange_formats.subjects import classify_subjects
from exchange_formats.texts import Mask, Texts, mask_of

_Rule: TypeAlias = Callable[[Texts, pa.Array | None], Cells[Texts]]


@dataclass(frozen=True, eq=False)
class Broken:
    """Some rows that break a rule of ``column`` for ``reason``."""

    reason: str
    column: str
    rows: Mask


def check_text(texts: Texts, spec: FieldSpec, days: pa.Array | None) -> Cells[Texts]:
    """Text against its column's length and rule; ``days`` (date32) are those of ``spec.valid_on``, if it names one."""
    cells = Cells(texts) if spec.rule is None else _RULES[spec.rule](texts, days)
    if spec.max_length is not None:
        cells.add_problem(Reason.TEXT_TOO_LONG, _find_longer(cells.values, spec.max_length))
    return cells


class RowRules:
    """The rules of a dataset that read several columns, compiled once."""

    def __init__(self, dataset: Dataset) -> None:
        columns = dataset.condition_columns
        self._types = frozenset(dataset.subject_types)
        self._needed = {
            name: Evaluator(parse_condition(spec.required, columns))
            for name, spec in dataset.columns.items()
            if isinstance(spec.required, str)
        }
        self._required = tuple(name for name, spec in dataset.columns.items() if spec.required is True)
        self._checks = [(check, Evaluator(parse_condition(check.holds, columns))) for check in dataset.checks]

    def find_missing(self, batch: Batch, broken: Mapping[str, Mask]) -> Iterator[Broken]:
        """Required values that are null; ``broken`` are the rows of each column in which something else is wrong."""
        for name in self._required:
            yield from _report(Reason.REQUIRED_MISSING, name, _find_absent(batch, name, broken))
        for name, evaluator in self._needed.items():
            absent = _find_absent(batch, name, broken)
            if absent.any():
                yield from _report(Reason.REQUIRED_CONDITION, name, absent & evaluator.holds(batch))

    def find_contradictions(self, batch: Batch) -> Iterator[Broken]:
        """Rows that break a check of the dataset, under the check's id."""
        for check, evaluator in self._checks:
            yield from _report(check.id, check.column, evaluator.fails(batch))

    def find_other_types(self, batch: Batch) -> Iterator[Broken]:
        """Subjects of a type that the dataset does not take."""
        if not self._types:
            return
        kinds = batch.columns["subject_type"]
        taken = pc.is_in(kinds.dictionary, value_set=pa.array(sorted(self._types))).take(kinds.indices)
        yield from _report(Reason.SUBJECT_TYPE, "subject_id", mask_of(pc.invert(taken)))


def describe_subjects(references: pa.Array) -> dict[str, pa.Array]:
    """``datasets.SUBJECT_COLUMNS`` of a batch's references; null where there is none."""
    kinds = classify_subjects(references)
    return {"subject_type": kinds.types, "individual_business": kinds.individual_business}


def _report(reason: str, column: str, rows: Mask) -> Iterator[Broken]:
    if rows.any():
        yield Broken(reason, column, rows)


def _find_absent(batch: Batch, name: str, broken: Mapping[str, Mask]) -> Mask:
    column = batch.columns[name]
    if not column.null_count:
        return np.zeros(batch.rows, np.bool_)
    absent = mask_of(pc.is_null(column))
    return absent & ~broken[name] if name in broken else absent


def _find_longer(texts: Texts, limit: int) -> Mask:
    longer = texts.present & (texts.lengths > limit)
    if longer.any():
        longer[longer] = mask_of(pc.greater(pc.utf8_length(texts.array.filter(pa.array(longer))), limit))
    return longer


def _check_unified_codes(texts: Texts, _days: pa.Array | None) -> Cells[Texts]:
    cells = _fold_case(texts)
    _add_problems(cells, judge_unified_codes(cells.values))
    return cells


def _check_organisation_codes(texts: Texts, _days: pa.Array | None) -> Cells[Texts]:
    cells = _fold_case(texts)
    hyphens = cells.values.rows_at(np.flatnonzero(cells.values.data == ord("-")))
    if hyphens.any():
        cells.add_normalised(Dirt.HYPHEN_REMOVED, hyphens)
        bare = pc.replace_substring_regex(cells.values.array, pattern="^([0-9A-Z]{8})-([0-9A-Z])$", replacement=r"\1\2")
        cells.values = Texts.of(bare)
    _add_problems(cells, judge_organisation_codes(cells.values))
    return cells


def _check_divisions(texts: Texts, days: pa.Array | None) -> Cells[Texts]:
    cells = Cells(texts)
    found = check_divisions(texts.array, days)
    cells.add_problem(Reason.DIVISION_UNKNOWN, found.unknown)
    cells.add_problem(Reason.DIVISION_NOT_VALID, found.not_in_force)
    return cells


def _check_industries(texts: Texts, _days: pa.Array | None) -> Cells[Texts]:
    cells = _fold_case(texts)
    classes = cells.values.array.dictionary_encode()
    good = pa.array(check_industries(classes.dictionary)).take(classes.indices)
    cells.add_problem(Reason.INDUSTRY_UNKNOWN, mask_of(pc.invert(good)))
    return cells


_RULES: Final[Mapping[FieldRule, _Rule]] = {
    "unified_code": _check_unified_codes,
    "organisation_code": _check_organisation_codes,
    "division": _check_divisions,
    "industry": _check_industries,
}


def _fold_case(texts: Texts) -> Cells[Texts]:
    upper = uppercase(texts)
    cells = Cells(upper)
    if upper is not texts:
        cells.add_normalised(Dirt.CASE_FOLDED, texts.rows_at(np.flatnonzero(upper.data != texts.data)))
    return cells


def _add_problems(cells: Cells[Texts], judgement: Sequence[tuple[Reason, Mask]]) -> None:
    for reason, rows in judgement:
        cells.add_problem(reason, rows)
