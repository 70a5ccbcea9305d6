"""Semantics §3, subject by subject: the score, public credit, other schemes, overrides, the grade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from exchange_formats.periods import covers
from exchange_formats.results import OWN_PUBLIC_CREDIT
from scoring.grammar import full_name
from scoring.model import Indicator, Override, PublicCreditDimension
from tests.oracle.conditions import holds
from tests.oracle.indicators import ZERO, Claim, Scorer, Sheet
from tests.oracle.population import Population
from tests.oracle.records import Day, Inputs, Record, not_in_force
from tests.oracle.standing_warnings import Watch

#: Who is worse.
ORDER: Final = "ABCDE"
CENT: Final = Decimal("0.01")
#: A record that has no part in a score has no weight to show.
UNWEIGHED: Final = {"repeat_factor": None, "decay_factor": None}


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
        self.population = Population(day, inputs)
        self.scorer = Scorer(self.population)
        self.watch = Watch(self.population)

    def warn(self, grade: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of WARNINGS of the subject of a row of GRADES."""
        return list(self.watch.warn(grade, self.population.happened(grade["subject_ref"])))

    def subjects(self) -> list[str]:
        """Everyone who is judged, in order."""
        return self.population.subjects()

    def judge(self, subject: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row of GRADES and the rows of EVIDENCE of one subject."""
        records = self.population.happened(subject)
        sheet = Sheet()
        applied = self._apply_overrides(records, sheet)
        credit = self._find_public_credit(subject)
        told = self._find_reported(records, sheet)
        rated = (
            self.model.minimum_records == 0
            or credit.origin in {"platform", "own_model"}
            or any(self.population.is_evidence(record) for record in records)
        )
        score = self._score(subject, records, credit, sheet, rated=rated, told=told is not None)
        computed = told[2] if told else self._band(score) if score is not None else "N"
        grade = _decide(computed, applied.values())
        native = told or self._find_native(score, vetoed=any(kind == "is" for kind, _ in applied.values()))
        row = {
            "subject_ref": subject,
            **self.population.describe(subject),
            "score": score,
            "grade": grade,
            "computed_grade": computed,
            "origin": "reported" if told else "computed",
            "native_scheme": native and native[0],
            "native_grade": native and native[1],
            "override_reasons": list(applied),
            "flags": self._flags(credit, sheet, told=told is not None),
            "public_credit_score": credit.score,
            "public_credit_origin": credit.origin,
            "public_credit_evaluated_on": credit.evaluated_on,
            "reasons": self._strongest(sheet.reasons) if score is not None else [],
            "measures": self._match_measures(grade, records),
            "not_collected": self._not_collected(),
        }
        return row, sheet.evidence

    def _score(
        self, subject: str, records: list[Record], credit: PublicCredit, sheet: Sheet, *, rated: bool, told: bool
    ) -> Decimal | None:
        vetoed = {r.id for r in records if any(self.scorer.claims(o, r) for o in self.model.overrides.values())}
        free = [record for record in records if record.id not in vetoed]
        written = sheet if rated and not told else Sheet()
        total = ZERO
        for name, dimension in self.model.dimensions.items():
            if isinstance(dimension, PublicCreditDimension):
                assert credit.score is not None
                points = credit.score * dimension.full / 1000
                written.evidence.append(self._credit_row(name, credit, points))
                total += points
            else:
                total += self.scorer.judge_dimension(name, dimension, subject, free, written)
        if written is not sheet:  # without a score nothing counts; what was excluded is told all the same
            for row in written.evidence:
                if row["entry"] == "record" and (told or row["excluded"]):
                    why = row["excluded"] or "grade_reported"
                    sheet.evidence.append(row | UNWEIGHED | {"points": ZERO, "excluded": why})
            return None
        score = total.quantize(CENT, ROUND_HALF_UP)
        sheet.note("_total", "_rounding", score - total)
        return score

    def _find_public_credit(self, subject: str) -> PublicCredit:
        """The platform's latest result that is not too old, else our own evaluation's, else the neutral value."""
        found = self.day.resolved.public_credit
        if found is None:
            return PublicCredit(None, "none")
        dimension = found[1]
        source = full_name(dimension.dataset, self.model.department)
        results = [record for record in self.population.happened(subject) if record.source == source]
        valid = [one for one in results if covers(one.event, dimension.not_older_than, self.day.as_of)]
        if valid:
            best = max(valid, key=lambda one: one.event)
            return PublicCredit(best.row["score"], "platform", best.event, source)
        for row in self.population.own.get(subject, ()):
            if row["score"] is not None and covers(row["evaluated_on"], dimension.not_older_than, self.day.as_of):
                return PublicCredit(row["score"], "own_model", row["evaluated_on"], OWN_PUBLIC_CREDIT)
        return PublicCredit(dimension.neutral, "neutral")

    def _find_reported(self, records: list[Record], sheet: Sheet) -> tuple[str, str, str] | None:
        """(native scheme, native grade, uniform grade) that the department finished itself."""
        rule, crosswalk = self.model.reported, self.day.resolved.crosswalk
        if rule is None or crosswalk is None:
            return None
        source = full_name(rule.dataset, self.model.department)
        valid = [
            record
            for record in records
            if record.source == source
            and record.row["domain"] == self.model.id
            and covers(record.event, rule.not_older_than, self.day.as_of)
            and (record.row["valid_until"] is None or record.row["valid_until"] >= self.day.as_of)
        ]
        if not valid:
            return None
        newest = max(valid, key=lambda record: record.event)
        scheme, native = newest.row["native_scheme"], newest.row["native_grade"]
        known = native in crosswalk.grades
        objected = newest.under_objection(self.day)
        sheet.objected |= objected and known
        sheet.evidence.append(
            {
                "dimension": "_reported",
                "entry": "reported",
                "points": ZERO,
                "dataset": source,
                "record_id": newest.id,
                "batch_id": newest.row["batch_id"],
                "event_on": newest.event,
                "excluded": None if known else "grade_unknown",
                "under_objection": objected,
            }
        )
        return (scheme, native, crosswalk.grades[native]) if known else None

    def _find_native(self, score: Decimal | None, *, vetoed: bool) -> tuple[str, str] | None:
        """(scheme, grade) by the national method's own total; a veto gives its last grade."""
        native = self.model.native
        if native is None or (score is None and not vetoed):
            return None
        if vetoed or score is None:
            return native.scheme, native.bands[-1].grade
        points = (score * native.total / 1000).quantize(CENT, ROUND_HALF_UP)
        return native.scheme, next(band.grade for band in native.bands if points >= band.from_)

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
                for c in self.scorer.claimed(override, records, adverse=True)
            ]
            for claim in claims:
                self.scorer.note_record(sheet, ("_override", name, "override"), claim, base_points=ZERO)
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

    def _flags(self, credit: PublicCredit, sheet: Sheet, *, told: bool) -> list[str]:
        """A neutral value stands in for nothing where the department finished the grade itself."""
        flags = {"PUBLIC_CREDIT_MISSING": credit.origin == "neutral" and not told, "UNDER_OBJECTION": sheet.objected}
        return [name for name, is_set in flags.items() if is_set]

    def _match_measures(self, grade: str, records: list[Record]) -> list[str]:
        table = self.day.resolved.measures
        severe = any(
            self.population.means(table.severe_list, record)
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
        parts: dict[str, Indicator | Override] = {**self.model.indicators, **self.model.overrides}
        return [name for name, part in parts.items() if not self.population.is_collected(part)]


def _decide(computed: str, applied: Any) -> str:
    """E > at most D > computed > N (semantics §3)."""
    says = list(applied)
    if any(kind == "is" for kind, _ in says):
        return "E"
    limits = [letter for _, letter in says]
    letters = [*limits, *([computed] if computed != "N" else [])]
    return max(letters, key=ORDER.index) if letters else "N"
