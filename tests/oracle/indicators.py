"""Semantics §3 within a dimension: what each indicator's records are worth, capped, clamped, written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from scoring.grammar import Counts
from scoring.model import ComplianceDimension, EarnedDimension, Indicator, Override
from tests.oracle.conditions import holds
from tests.oracle.measurement import measure_value, points_of
from tests.oracle.population import Population
from tests.oracle.records import Record, decay_factor, exclusion, repeat_factor, severity

ZERO: Final = Decimal(0)


@dataclass
class Sheet:
    """What is written down of one subject while it is judged."""

    evidence: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[tuple[str, int, Decimal]] = field(default_factory=list)
    objected: bool = False
    #: Records that a deduct indicator has claimed: no other one claims them.
    spent: set[str] = field(default_factory=set)

    def note(self, dimension: str, entry: str, points: Decimal, indicator: str | None = None) -> None:
        """An amount no single record explains; amounts of nothing are left out."""
        if points:
            self.evidence.append(
                {"dimension": dimension, "entry": entry, "points": points, "indicator": indicator, "excluded": None}
            )


@dataclass(frozen=True)
class Claim:
    """One record, claimed by an indicator or override; ``why`` it does not count."""

    record: Record
    counts: Counts
    why: str | None


class Scorer:
    """What the indicators of a model say of the records of a population."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.day = population.day

    def claims(self, part: Indicator | Override, record: Record) -> Counts | None:
        for counts in part.counts:
            if self.population.means(counts, record) and holds(counts.where, record.dataset, record.facts):
                return counts
        return None

    def claimed(self, part: Indicator | Override, records: list[Record], *, adverse: bool) -> list[Claim]:
        """What ``part`` claims, by event day and record id."""
        found = []
        for record in sorted(records, key=lambda one: (one.event, one.id, one.source)):
            if counts := self.claims(part, record):
                found.append(Claim(record, counts, exclusion(record, counts, self.day, adverse=adverse)))
        return found

    def note_record(self, sheet: Sheet, where: tuple[str, str, str], claim: Claim, **amounts: Any) -> None:
        record = claim.record
        objected = record.under_objection(self.day)
        sheet.objected |= objected and claim.why is None
        sheet.evidence.append(
            {
                "dimension": where[0],
                "indicator": where[1],
                "entry": where[2],
                "points": ZERO,
                "dataset": record.source,
                "record_id": record.id,
                "batch_id": record.row["batch_id"],
                "event_on": record.event,
                "excluded": claim.why,
                "tier": severity(record, self.day).tier if record.is_penalty() else None,
                "under_objection": objected,
            }
            | amounts
        )

    def judge_dimension(
        self,
        name: str,
        dimension: ComplianceDimension | EarnedDimension,
        subject: str,
        records: list[Record],
        sheet: Sheet,
    ) -> Decimal:
        earned = isinstance(dimension, EarnedDimension)
        sign = Decimal(1) if isinstance(dimension, EarnedDimension) else -dimension.scale
        sheet.note(name, "_base", dimension.base)
        groups: dict[str, Decimal] = defaultdict(lambda: ZERO)
        total = ZERO
        for indicator_id, indicator in dimension.indicators.items():
            free = records if earned else [record for record in records if record.id not in sheet.spent]
            claims = self.claimed(indicator, free, adverse=not earned)
            if not earned:
                sheet.spent |= {claim.record.id for claim in claims}
            if indicator.above or indicator.measure:
                raw = self._measure((name, indicator_id), indicator, subject, claims, sign, sheet)
            else:
                raw = self._sum(name, indicator_id, indicator, claims, sign, sheet)
            if indicator.group:
                groups[indicator.group] += raw
            total += raw
        for group_id, raw in groups.items():
            excess = max(ZERO, raw - dimension.groups[group_id].cap)
            sheet.note(name, "_cap", -sign * excess, group_id)
            total -= excess
        points = dimension.base + sign * total
        clamped = min(max(points, ZERO), dimension.full)
        sheet.note(name, "_clamp", clamped - points)
        return clamped

    def _sum(
        self, dimension: str, name: str, indicator: Indicator, claims: list[Claim], sign: Decimal, sheet: Sheet
    ) -> Decimal:
        """Raw points of one indicator after its own cap."""
        raw = ZERO
        count = 0
        for claim, amounts in self._weigh(indicator, claims):
            worth = amounts.pop("worth")
            raw += worth
            count += claim.why is None
            self.note_record(sheet, (dimension, name, "record"), claim, points=sign * worth, **amounts)
        return self._cap((dimension, name), indicator, raw, count, sign, sheet)

    def _cap(
        self, where: tuple[str, str], indicator: Indicator, raw: Decimal, records: int, sign: Decimal, sheet: Sheet
    ) -> Decimal:
        """The raw points left by the indicator's own cap; what it took, and the reason, are written down."""
        limits = [worth.cap for worth in (indicator.deduct, indicator.earn) if worth and worth.cap is not None]
        if indicator.earn and indicator.earn.exists is not None:  # once, however many there are
            limits.append(indicator.earn.exists)
        capped = min(raw, *limits) if limits else raw
        sheet.note(where[0], "_cap", sign * (capped - raw), where[1])
        if records and capped:
            sheet.reasons.append((where[1], records, sign * capped))
        return capped

    def _measure(
        self,
        where: tuple[str, str],
        indicator: Indicator,
        subject: str,
        claims: list[Claim],
        sign: Decimal,
        sheet: Sheet,
    ) -> Decimal:
        """What the indicator's records together are worth, or being above a statistic."""
        for claim in claims:
            weight = {} if claim.why else {"repeat_factor": Decimal(1), "decay_factor": Decimal(1)}
            self.note_record(sheet, (*where, "record"), claim, base_points=ZERO, **weight)
        counting = [claim.record for claim in claims if claim.why is None]
        worth = indicator.deduct or indicator.earn
        assert worth is not None
        if indicator.above:
            statistic = self.day.resolved.statistics[indicator.above]
            counting = self.population.own_records(statistic, subject)
            standard = self.population.reference.get((indicator.above, self.population.group(statistic, subject)))
            value = measure_value(statistic.measure, counting, self.day) if counting else ZERO
            if standard is None or not counting or value <= standard:
                return ZERO
            raw = worth.per or ZERO
        elif counting:
            assert indicator.measure is not None
            value = measure_value(indicator.measure, counting, self.day)
            raw = points_of(worth.bins or (), value)
        else:
            return ZERO
        sheet.evidence.append(
            {
                "dimension": where[0],
                "indicator": where[1],
                "entry": "_measure",
                "points": sign * raw,
                "value": value,
            }
        )
        return self._cap(where, indicator, raw, len(counting), sign, sheet)

    def _weigh(self, indicator: Indicator, claims: list[Claim]) -> Iterator[tuple[Claim, dict[str, Any]]]:
        """Each claimed record with its raw points and the factors they came from."""
        previous: date | None = None
        for claim in claims:
            if claim.why is not None:
                yield claim, {"worth": ZERO, "base_points": self._base_points(indicator, claim.record)}
                continue
            base = self._base_points(indicator, claim.record)
            repeat = decay = Decimal(1)
            event = claim.record.event
            if indicator.deduct and indicator.deduct.repeat:
                repeat = repeat_factor(previous, event, self.day)
            if indicator.deduct and indicator.deduct.decay:
                decay = decay_factor(event, self.day)
            previous = event
            yield (
                claim,
                {
                    "worth": base * repeat * decay,
                    "base_points": base,
                    "repeat_factor": repeat,
                    "decay_factor": decay,
                },
            )

    def _base_points(self, indicator: Indicator, record: Record) -> Decimal:
        worth = indicator.deduct or indicator.earn
        assert worth is not None
        if worth.per is not None:
            return worth.per
        if worth.column is not None and worth.map is not None:
            return worth.map.get(record.row.get(worth.column) or "", ZERO)
        if indicator.earn is not None:
            return indicator.earn.exists or ZERO
        return severity(record, self.day).points
