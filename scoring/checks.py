"""Checks that models and tables share: conditions, what is counted, and versions that follow each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, Protocol

from exchange_formats.conditions import ConditionError, Kind, parse_condition
from exchange_formats.datasets import load_catalogue
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.grammar import Counts, dataset_columns
from scoring.tables import Effective


class Versioned(Protocol):
    """A model or table: one of several versions of the same thing."""

    @property
    def id(self) -> str:
        """What it is a version of."""

    @property
    def version(self) -> str:
        """Which version."""

    @property
    def effective(self) -> Effective:
        """When it is in force."""


def check_counts(document: Document[Any], counts: Counts, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """The dataset is in the catalogue and every column the condition reads is one of its own."""
    columns = dataset_columns(counts.dataset)
    if not columns:
        yield document.problem((*path, "dataset"), "there is no such dataset in the catalogue", got=counts.dataset)
        return
    if counts.wild:
        yield from _check_wild(document, counts, path)
    yield from check_condition(document, counts.where, columns, (*path, "where"))
    if counts.valid_until and columns.get(counts.valid_until) != "date":
        yield document.problem((*path, "valid_until"), "not a date column of the dataset", got=counts.valid_until)


def _check_wild(document: Document[Any], counts: Counts, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Records of every department are counted only by what may stand in the public-credit catalogue (目录)."""
    dataset = load_catalogue()[counts.dataset.rpartition("/")[2]]
    hint = "浙江省公共信用信息管理条例 12: only what the catalogue lists is public-credit information"
    if not dataset.fields[dataset.event_on].in_catalogue:
        what = "records of this dataset do not stand in the public-credit catalogue"
        yield document.problem((*path, "dataset"), what, got=counts.dataset, hint=hint)
    try:
        read = parse_condition(counts.where, dataset_columns(counts.dataset)).columns
    except ConditionError:
        return  # check_condition says why
    for name in sorted(read | ({counts.valid_until} if counts.valid_until else set())):
        if name in dataset.fields and not dataset.fields[name].in_catalogue:
            what = f"column '{name}' does not stand in the public-credit catalogue"
            yield document.problem((*path, "where"), what, got=counts.where, hint=hint)


def check_condition(
    document: Document[Any], text: str, columns: Mapping[str, Kind], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """The text is a condition that may run."""
    try:
        parse_condition(text, columns)
    except ConditionError as error:
        yield document.problem(path, str(error))


def check_succession(read: Iterable[tuple[Document[Any], Versioned]]) -> tuple[frozenset[str], list[Problem]]:
    """Versions of one thing follow each other without a gap or an overlap: the ids of those that do not, and why."""
    torn: dict[str, list[Problem]] = {}
    ordered = sorted(read, key=lambda pair: (pair[1].id, pair[1].effective.from_))
    for name, versions in groupby(ordered, key=lambda pair: pair[1].id):
        for (_, before), (document, after) in pairwise(versions):
            end, start = before.effective.to, after.effective.from_
            if end is None or start <= end:
                what, expected = f"overlaps version {before.version}", f"after {end or 'its end'}"
            elif (start - end).days > 1:
                what, expected = f"leaves a gap after version {before.version}, which ends on {end}", ""
            else:
                continue
            torn.setdefault(name, []).append(document.problem(("effective", "from"), what, expected=expected))
    return frozenset(torn), [problem for found in torn.values() for problem in found]
