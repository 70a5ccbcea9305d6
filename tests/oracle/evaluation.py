"""Semantics §3, subject by subject: points, evidence, public credit, overrides, the grade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from exchange_formats.periods import covers
from exchange_formats.results import OWN_PUBLIC_CREDIT
from exchange_formats.subjects import is_individual_business, mask_name, subject_type
from scoring.grammar import Counts, full_name
from scoring.model import ComplianceDimension, EarnedDimension, Indicator, Override, PublicCreditDimension
from tests.oracle.conditions import holds
from tests.oracle.records import (
    Day,
    Inputs,
    Record,
    Row,
    decay_factor,
    exclusion,
    is_newer,
    not_in_force,
    repeat_factor,
    severity,
    standing,
)

#: Who is worse.
ORDER: Final = "ABCDE"
CENT: Final = Decimal("0.01")
ZERO: Final = Decimal(0)
CITIES: Final = frozenset(f"33{number:02}00" for number in range(1, 12))


@dataclass
class Sheet:
    """What is written down of one subject while it is judged."""

    evidence: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[tuple[str, int, Decimal]] = field(default_factory=list)
    objected: bool = False

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


@dataclass(frozen=True)
class PublicCredit:
    """The public-credit result that stands at as_of."""

    score: Decimal | None
    origin: str
    evaluated_on: date | None = None
    source: str | None = None


class Oracle:
    """One model on one day over the records of a province."""

    def __init__(self, day: Day, inputs: Inputs) -> None:
        self.day = day
        self.model = day.resolved.model
        self.sources = frozenset(inputs)
        self.records: dict[str, list[Record]] = defaultdict(list)
        self.own: dict[str, list[Row]] = defaultdict(list)
        for source, rows in inputs.items():
            if source == OWN_PUBLIC_CREDIT:
                for row in rows:
                    self.own[row["subject_ref"]].append(row)
            elif source not in self.model.subjects_sources:
                for record in standing(source, rows, day):
                    self.records[record.subject].append(record)
        self.profiles = self._read_profiles(inputs)

    def subjects(self) -> list[str]:
        """Everyone who is judged, in order."""
        return sorted(self.profiles)

    def judge(self, subject: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row of GRADES and the rows of EVIDENCE of one subject."""
        records = self.records.get(subject, [])
        sheet = Sheet()
        applied = self._apply_overrides(records, sheet)
        credit = self._find_public_credit(subject)
        rated = (
            self.model.minimum_records == 0
            or credit.origin in {"platform", "own_model"}
            or any(self._is_evidence(record) for record in records)
        )
        score = self._score(records, credit, sheet, rated=rated)
        computed = self._band(score) if score is not None else "N"
        grade = _decide(computed, applied.values())
        row = {
            "subject_ref": subject,
            **self._describe(subject),
            "score": score,
            "grade": grade,
            "computed_grade": computed,
            "override_reasons": list(applied),
            "flags": self._flags(credit, sheet),
            "public_credit_score": credit.score,
            "public_credit_origin": credit.origin,
            "public_credit_evaluated_on": credit.evaluated_on,
            "reasons": self._strongest(sheet.reasons) if rated else [],
            "measures": self._match_measures(grade, records),
            "not_collected": self._not_collected(),
        }
        return row, sheet.evidence

    def _read_profiles(self, inputs: Inputs) -> dict[str, Record]:
        """Who each subject is: of several registers that know it the first, there the newest row."""
        chosen: dict[str, Record] = {}
        for source in self.model.subjects_sources:
            newest: dict[str, Record] = {}
            for record in standing(source, inputs[source], self.day):
                held = newest.get(record.subject)
                if held is None or is_newer(record.row, held.row):
                    newest[record.subject] = record
            chosen = newest | chosen
        where = self.model.subjects.where
        return {
            subject: record
            for subject, record in chosen.items()
            if subject_type(subject) in self.model.subjects.type and holds(where, record.dataset, record.facts)
        }

    def _describe(self, subject: str) -> dict[str, Any]:
        profile = self.profiles[subject].row
        personal = is_individual_business(subject) or subject.startswith("np_")
        name = profile.get("subject_name")
        code = profile.get("city_code") or subject[2:6] + "00"
        return {
            "subject_type": subject_type(subject),
            "subject_name": mask_name(name) if personal and name else name,
            "individual_business": is_individual_business(subject),
            "city_code": code if code in CITIES else "330000",
        }

    # records and what claims them

    def _claims(self, part: Indicator | Override, record: Record) -> Counts | None:
        for counts in part.counts:
            if self._means(counts, record) and holds(counts.where, record.dataset, record.facts):
                return counts
        return None

    def _claimed(self, part: Indicator | Override, records: list[Record], *, adverse: bool) -> list[Claim]:
        """What ``part`` claims, by event day and record id."""
        found = []
        for record in sorted(records, key=lambda one: (one.event, one.id)):
            if counts := self._claims(part, record):
                found.append(Claim(record, counts, exclusion(record, counts, self.day, adverse=adverse)))
        return found

    def _means(self, counts: Counts, record: Record) -> bool:
        """Whether the record is of the dataset counted: a department's, or with ``*`` of any department's."""
        department, _, dataset = counts.source(self.model.department).partition("/")
        return dataset == record.dataset.id and (department == "*" or record.source == f"{department}/{dataset}")

    def _is_evidence(self, record: Record) -> bool:
        """A record within lookback in any dataset of the model, of its warnings too: enough not to be N."""
        measured = [counts for counts in self.day.resolved.counts() if self._means(counts, record)]
        longest = max([self.model.lookback, *(counts.lookback or 0 for counts in measured)])
        return bool(measured) and covers(record.event, longest, self.day.as_of)

    def _note_record(self, sheet: Sheet, where: tuple[str, str, str], claim: Claim, **amounts: Any) -> None:
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

    # dimensions

    def _score(self, records: list[Record], credit: PublicCredit, sheet: Sheet, *, rated: bool) -> Decimal | None:
        vetoed = {r.id for r in records if any(self._claims(o, r) for o in self.model.overrides.values())}
        free = [record for record in records if record.id not in vetoed]
        spent: set[str] = set()
        total = ZERO
        written = Sheet() if not rated else sheet
        for name, dimension in self.model.dimensions.items():
            if isinstance(dimension, PublicCreditDimension):
                assert credit.score is not None
                points = credit.score * dimension.full / 1000
                written.evidence.append(self._credit_row(name, credit, points))
                total += points
            else:
                total += self._judge_dimension(name, dimension, free, spent, written)
        if not rated:
            sheet.evidence += [row for row in written.evidence if row.get("record_id")]
            return None
        score = total.quantize(CENT, ROUND_HALF_UP)
        sheet.note("_total", "_rounding", score - total)
        return score

    def _judge_dimension(
        self,
        name: str,
        dimension: ComplianceDimension | EarnedDimension,
        records: list[Record],
        spent: set[str],
        sheet: Sheet,
    ) -> Decimal:
        earned = isinstance(dimension, EarnedDimension)
        sign = Decimal(1) if isinstance(dimension, EarnedDimension) else -dimension.scale
        sheet.note(name, "_base", dimension.base)
        groups: dict[str, Decimal] = defaultdict(lambda: ZERO)
        total = ZERO
        for indicator_id, indicator in dimension.indicators.items():
            free = records if earned else [record for record in records if record.id not in spent]
            claims = self._claimed(indicator, free, adverse=not earned)
            if not earned:
                spent |= {claim.record.id for claim in claims}
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
            self._note_record(sheet, (dimension, name, "record"), claim, points=sign * worth, **amounts)
        limits = [worth.cap for worth in (indicator.deduct, indicator.earn) if worth and worth.cap is not None]
        if indicator.earn and indicator.earn.exists is not None:  # once, however many there are
            limits.append(indicator.earn.exists)
        capped = min(raw, *limits) if limits else raw
        sheet.note(dimension, "_cap", sign * (capped - raw), name)
        if count:
            sheet.reasons.append((name, count, sign * capped))
        return capped

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

    # public credit, overrides, grade

    def _find_public_credit(self, subject: str) -> PublicCredit:
        """The platform's latest result that is not too old, else our own evaluation's, else the neutral value."""
        found = self.day.resolved.public_credit
        if found is None:
            return PublicCredit(None, "none")
        dimension = found[1]
        source = full_name(dimension.dataset, self.model.department)
        results = [record for record in self.records.get(subject, []) if record.source == source]
        valid = [one for one in results if covers(one.event, dimension.not_older_than, self.day.as_of)]
        if valid:
            best = max(valid, key=lambda one: one.event)
            return PublicCredit(best.row["score"], "platform", best.event, source)
        for row in self.own.get(subject, ()):
            if row["score"] is not None and covers(row["evaluated_on"], dimension.not_older_than, self.day.as_of):
                return PublicCredit(row["score"], "own_model", row["evaluated_on"], OWN_PUBLIC_CREDIT)
        return PublicCredit(dimension.neutral, "neutral")

    def _credit_row(self, dimension: str, credit: PublicCredit, points: Decimal) -> dict[str, Any]:
        return {
            "dimension": dimension,
            "entry": "public_credit",
            "points": points,
            "dataset": credit.source,
            "event_on": credit.evaluated_on,
        }

    def _apply_overrides(self, records: list[Record], sheet: Sheet) -> dict[str, tuple[str, str]]:
        """Reason → what it says: ("is", "E") or ("at_most", letter)."""
        applied: dict[str, tuple[str, str]] = {}
        for name, override in self.model.overrides.items():
            listed = override.state == "listed"
            claims = [
                Claim(c.record, c.counts, not_in_force(c.record, self.day) if listed else c.why)
                for c in self._claimed(override, records, adverse=True)
            ]
            for claim in claims:
                self._note_record(sheet, ("_override", name, "override"), claim, base_points=ZERO)
            if any(claim.why is None for claim in claims):
                applied[name] = ("is", override.grade) if override.grade else ("at_most", str(override.at_most))
            after = override.afterwards
            if after and any(
                claim.why == "removed" and self.day.as_of <= removed + timedelta(days=after.within)
                for claim in claims
                if (removed := claim.record.state("removed"))
            ):
                applied[f"{name}.afterwards"] = ("at_most", after.at_most)
        return applied

    def _band(self, score: Decimal) -> str:
        return next(band.grade for band in self.day.resolved.bands.bands if score >= band.from_)

    def _flags(self, credit: PublicCredit, sheet: Sheet) -> list[str]:
        flags = {"PUBLIC_CREDIT_MISSING": credit.origin == "neutral", "UNDER_OBJECTION": sheet.objected}
        return [name for name, is_set in flags.items() if is_set]

    def _match_measures(self, grade: str, records: list[Record]) -> list[str]:
        table = self.day.resolved.measures
        severe = any(
            self._means(table.severe_list, record)
            and holds(table.severe_list.where, record.dataset, record.facts)
            and not_in_force(record, self.day) is None
            for record in records
            if table.severe_list
        )
        codes: Mapping[str, Any] = table.measures
        return [
            code
            for code in table.grades[grade].measures  # type: ignore[index]
            if not codes[code].limits_rights or (severe and codes[code].basis)
        ]

    def _strongest(self, reasons: list[tuple[str, int, Decimal]]) -> list[dict[str, Any]]:
        """The five that weigh most; of equal ones first what the model names first."""
        places = {name: place for place, name in enumerate(self.model.indicators)}
        ordered = sorted(reasons, key=lambda one: (-abs(one[2]), places[one[0]]))[:5]
        return [{"indicator": name, "records": count, "points": points} for name, count, points in ordered]

    def _not_collected(self) -> list[str]:
        parts = {**self.model.indicators, **self.model.overrides}
        return [
            name
            for name, part in parts.items()
            if (isinstance(part, Indicator) and part.needs) or not all(self._is_there(counts) for counts in part.counts)
        ]

    def _is_there(self, counts: Counts) -> bool:
        department, _, dataset = counts.source(self.model.department).partition("/")
        if department == "*":
            return any(source.endswith(f"/{dataset}") for source in self.sources)
        return f"{department}/{dataset}" in self.sources


def _decide(computed: str, applied: Any) -> str:
    """E > at most D > computed > N (semantics §3)."""
    says = list(applied)
    if any(kind == "is" for kind, _ in says):
        return "E"
    limits = [letter for _, letter in says]
    letters = [*limits, *([computed] if computed != "N" else [])]
    return max(letters, key=ORDER.index) if letters else "N"
