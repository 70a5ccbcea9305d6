"""What is measured: values of a subject's records, bins, and statistics over the subjects (semantics §3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from scoring.grammar import Counts
from scoring.measurement import LARGEST, VALUE_UNITS, Bin, Measure, Statistic
from tests.oracle.conditions import holds
from tests.oracle.records import Day, Record

#: A value has six decimals and never exceeds what fits.
STEP: Final = Decimal("0.000001")
MOST: Final = Decimal(LARGEST) / VALUE_UNITS


def measure_value(measure: Measure, records: Sequence[Record], day: Day) -> Decimal:
    """The value of at least one record; what a column does not say adds nothing."""
    return min(_measure(measure, records, day), MOST).quantize(STEP)


def _measure(measure: Measure, records: Sequence[Record], day: Day) -> Decimal:
    if measure.kind == "exists":
        return Decimal(1)
    if measure.kind == "count":
        return Decimal(len(records))
    if measure.kind == "days_since":
        return Decimal((day.as_of - max(record.event for record in records)).days)
    if measure.kind == "ratio":
        held = sum(holds(str(measure.where), record.dataset, record.facts) for record in records)
        return (Decimal(held) / len(records)).quantize(STEP, ROUND_HALF_UP)
    amounts = [Decimal(record.row.get(str(measure.column)) or 0) for record in records]
    return sum(amounts, Decimal(0)) if measure.kind == "sum" else max(amounts)


def points_of(bins: Iterable[Bin], value: Decimal) -> Decimal:
    """The points of the last bin that begins at the value or below; nothing below the first."""
    worth = Decimal(0)
    for one in bins:
        if one.from_ <= value:
            worth = one.points
    return worth


def group_of(statistic: Statistic, profile: Mapping[str, Any], city: str) -> str:
    """The group whose percentile a subject is compared with."""
    if statistic.group_by == "city":
        return city
    if statistic.group_by == "industry":
        return str(profile.get("industry_code") or "").lstrip("ABCDEFGHIJKLMNOPQRST")[:2]
    return ""


def records_of(statistic: Statistic, records: Iterable[Record], department: str, day: Day) -> list[Record]:
    """A subject's records that a statistic is about: unrepaired, of the days before."""
    since = day.as_of - timedelta(days=statistic.within)
    found = []
    for record in records:
        on = record.row.get(statistic.day or record.dataset.event_on)
        if on is None or not since <= on <= day.as_of or day.passed(record.state("repaired")):
            continue
        if _is_of(statistic.counts, record, department):
            found.append(record)
    return found


def _is_of(counts: Counts, record: Record, department: str) -> bool:
    return counts.source(department) == record.source and holds(counts.where, record.dataset, record.facts)


def rank(statistic: Statistic, values: Mapping[str, Sequence[Decimal]]) -> list[dict[str, Any]]:
    """Group → its percentile by nearest rank, null where too few subjects have a value."""
    rows = []
    for group, unsorted in sorted(values.items()):
        ordered = sorted(unsorted)
        place = -(-statistic.percentile * len(ordered) // 100)
        enough = len(ordered) >= statistic.minimum_group
        rows.append({"group": group, "subjects": len(ordered), "value": ordered[place - 1] if enough else None})
    return rows


def grouped(values: Iterable[tuple[str, Decimal]]) -> Mapping[str, list[Decimal]]:
    """(group, value) pairs by group."""
    found: dict[str, list[Decimal]] = defaultdict(list)
    for group, value in values:
        found[group].append(value)
    return found
