"""What each part of a resolved model reads of which dataset: the way back from a result to columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset, load_catalogue
from scoring.grammar import Counts
from scoring.measuring import columns_of
from scoring.model import Indicator, Override
from scoring.resolution import ResolvedModel
from scoring.warning_tables import WarningRule, name_statistic

Part = Literal["public_credit", "reported", "indicators", "overrides", "warnings", "measures", "subjects"]
#: What the platform's result is read for.
_PUBLIC_CREDIT: Final = ("score", "evaluated_on")
#: What the department's own finished grade is read for.
_REPORTED: Final = (
    "domain",
    "native_scheme",
    "native_grade",
    "evaluated_on",
    "valid_until",
    "revoked_on",
    "objection_from",
    "objection_to",
)
#: The dataset whose records have a severity and a publicity tier.
_TIERED: Final = "penalty"


@dataclass(frozen=True)
class Reading:
    """One part reads ``columns`` of ``source`` (``department/dataset``) where ``where`` holds, in catalogue order.

    A part that reads no dataset (``needs`` of what nobody collects, the score itself) has no source.
    """

    part: Part
    id: str
    title: str
    title_en: str
    basis: tuple[str, ...] = ()
    source: str = ""
    where: str = ""
    columns: tuple[str, ...] = ()


def list_readings(resolved: ResolvedModel) -> tuple[Reading, ...]:
    """Everything the model reads, in the order of its file."""
    return (
        *_read_subjects(resolved),
        *_read_public_credit(resolved),
        *_read_reported(resolved),
        *(reading for name, one in resolved.model.indicators.items() for reading in _read_part(resolved, name, one)),
        *(reading for name, one in resolved.model.overrides.items() for reading in _read_part(resolved, name, one)),
        *(reading for rule in resolved.warnings.rules for reading in _read_rule(resolved, rule)),
        *_read_severe_list(resolved),
    )


def _read_subjects(resolved: ResolvedModel) -> Iterator[Reading]:
    subjects = resolved.model.subjects
    for name in subjects.from_:
        counts = Counts(dataset=name, where=subjects.where)
        yield _build(resolved, counts, "subjects", "subjects", "评价对象", "subjects", (), states=False)


def _read_public_credit(resolved: ResolvedModel) -> Iterator[Reading]:
    if resolved.public_credit:
        name, one = resolved.public_credit
        yield Reading(
            "public_credit",
            name,
            one.title,
            one.title_en,
            source=Counts(dataset=one.dataset).source(resolved.model.department),
            columns=_PUBLIC_CREDIT,
        )


def _read_reported(resolved: ResolvedModel) -> Iterator[Reading]:
    if resolved.reported_source:
        yield Reading(
            "reported",
            "reported",
            "部门自行评价的等级",
            "the department's own finished grade",
            source=resolved.reported_source,
            columns=_REPORTED,
        )


def _read_part(resolved: ResolvedModel, name: str, one: Indicator | Override) -> Iterator[Reading]:
    part: Part = "indicators" if isinstance(one, Indicator) else "overrides"
    worth = (one.deduct or one.earn) if isinstance(one, Indicator) else None
    also: tuple[str, ...] = (worth.column,) if worth and worth.column else ()
    if isinstance(one, Indicator) and one.measure:
        also = (*also, *columns_of(resolved.source(one.counts[0]), one.measure))
    for counts in one.counts:
        yield _build(resolved, counts, part, name, one.title, one.title_en, one.basis, also)
    if isinstance(one, Indicator) and one.above:
        statistic = resolved.statistics[one.above]
        also = (*columns_of(resolved.source(statistic.counts), statistic.measure), *filter(None, [statistic.day]))
        yield _build(resolved, statistic.counts, part, name, one.title, one.title_en, one.basis, also)
    elif not one.counts:
        yield Reading(part, name, one.title, one.title_en, one.basis)


def _read_rule(resolved: ResolvedModel, rule: WarningRule) -> Iterator[Reading]:
    if rule.above:
        statistic = resolved.statistics[name_statistic(rule.above)]
        also = (*columns_of(resolved.source(statistic.counts), statistic.measure), *filter(None, [statistic.day]))
        yield _build(resolved, statistic.counts, "warnings", rule.id, rule.title, rule.title_en, (), also)
    elif rule.counted:
        yield _build(resolved, rule.counted, "warnings", rule.id, rule.title, rule.title_en, (), rule.columns)
    else:
        yield Reading("warnings", rule.id, rule.title, rule.title_en)


def _read_severe_list(resolved: ResolvedModel) -> Iterator[Reading]:
    counts = resolved.measures.severe_list
    if counts:
        yield _build(resolved, counts, "measures", "severe_list", "严重失信名单", "list of severe dishonesty", ())


def _build(
    resolved: ResolvedModel,
    counts: Counts,
    part: Part,
    name: str,
    title: str,
    title_en: str,
    basis: tuple[str, ...],
    also: Iterable[str] = (),
    *,
    states: bool = True,
) -> Reading:
    source = resolved.source(counts)
    dataset = load_catalogue()[source.rpartition("/")[2]]
    named = {*_columns_of(dataset, counts.where), *also, *filter(None, [counts.valid_until])}
    if states:
        named |= {dataset.event_on, *dataset.states.columns, *_review_columns(dataset)}
        if dataset.id == _TIERED:
            decree = resolved.decrees.get(source, resolved.decree)
            named |= set(filter(None, [decree.counted_from]))
            named |= {column for row in resolved.severity.rows for column in _columns_of(dataset, row.when)}
    return Reading(
        part, name, title, title_en, basis, source, counts.where, tuple(one for one in dataset.columns if one in named)
    )


def _columns_of(dataset: Dataset, condition: str) -> frozenset[str]:
    return parse_condition(condition, dataset.condition_columns).columns & dataset.columns.keys()


def _review_columns(dataset: Dataset) -> Iterator[str]:
    """What decides besides the states whether a penalty counts: its procedure, and an open review or lawsuit."""
    yield from (name for name in ("procedure", "review_opened_on", "review_closed_on") if name in dataset.columns)
