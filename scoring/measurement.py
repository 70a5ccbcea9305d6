"""Grammar of what is measured: values of a subject's records, bins that turn them into points, reference statistics.

A value is a fixed-point number of six decimals: a count, a sum or maximum of a column,
a share rounded half up, or days. A *reference statistic* is a percentile of a value over
the subjects of a domain, per group, computed once a cycle (semantics §3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exchange_formats.datasets import ColumnName
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.checks import check_condition, check_counts
from scoring.grammar import Counts, Text, dataset_columns
from scoring.quantities import Days, Frozen, Points
from scoring.tables import Status

#: Fixed-point units in one of whatever is measured.
VALUE_UNITS: Final = 10**6
#: What a value never exceeds: it fits into DECIMAL(18,6).
LARGEST: Final = 10**18 - 1

Value = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]


class Measure(Frozen):
    """What is measured over a subject's counting records.

    ``count``: how many; ``exists``: 1; ``sum``, ``max``: of a number column; ``ratio``: the share of
    them for which ``where`` holds; ``days_since``: days from the newest to as_of.
    """

    kind: Literal["count", "exists", "sum", "max", "ratio", "days_since"]
    column: ColumnName | None = None
    where: str | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if (self.column is not None) != (self.kind in {"sum", "max"}):
            raise ValueError("sum and max measure a column, nothing else does")
        if (self.where is not None) != (self.kind == "ratio"):
            raise ValueError("a ratio says where, nothing else does")
        return self


class Bin(Frozen):
    """Values from ``from`` on, up to the next bin's, are worth ``points``."""

    from_: Annotated[Value, Field(alias="from")]
    points: Points


def _check_order(bins: tuple[Bin, ...]) -> tuple[Bin, ...]:
    if any(after.from_ <= before.from_ for before, after in pairwise(bins)):
        raise ValueError("bins stand in order, the lowest first, each beginning above the one before")
    return bins


#: A value below the first bin is worth nothing.
Bins = Annotated[tuple[Bin, ...], Field(min_length=1), AfterValidator(_check_order)]


class Statistic(Frozen):
    """A percentile (nearest rank) of a value over the scored subjects that have one, per group.

    Records: the latest versions that are neither revoked nor repaired, whose ``day`` (by default
    the dataset's event date) lies within so many days before the day it is computed for. A group
    with fewer than ``minimum_group`` such subjects has no statistic.
    """

    title: Text
    title_en: Text
    status: Status
    counts: Counts
    measure: Measure
    day: ColumnName | None = None
    within: Days
    #: The industry division (大类, GB/T 4754) or the city of the subject's profile, or all subjects together.
    group_by: Literal["industry", "city", "all"] = "industry"
    percentile: Annotated[int, Field(ge=1, le=99)]
    minimum_group: Annotated[int, Field(ge=1)]


def check_measure(
    document: Document[Any], measure: Measure, dataset: str, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """The column is a number of the dataset, the condition may run."""
    columns = dataset_columns(dataset)
    if measure.column and columns and columns.get(measure.column) != "number":
        yield document.problem((*path, "column"), "not a number column of the dataset", got=measure.column)
    if measure.where and columns:
        yield from check_condition(document, measure.where, columns, (*path, "where"))


def check_statistics(
    document: Document[Any], statistics: Mapping[str, Statistic], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """Every statistic reads a dataset of one department, and columns it has."""
    for name, statistic in statistics.items():
        here = (*path, name)
        yield from check_counts(document, statistic.counts, (*here, "counts"))
        yield from check_measure(document, statistic.measure, statistic.counts.dataset, (*here, "measure"))
        if statistic.counts.wild:
            yield document.problem((*here, "counts", "dataset"), "a statistic reads one department's dataset")
        if statistic.counts.lookback or statistic.counts.valid_until:
            yield document.problem((*here, "counts"), "a statistic's window is its own 'within'")
        columns = dataset_columns(statistic.counts.dataset)
        if statistic.day and columns and columns.get(statistic.day) != "date":
            yield document.problem((*here, "day"), "not a date column of the dataset", got=statistic.day)
