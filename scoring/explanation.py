"""Explanation: why this grade, in words a clerk can read aloud (architecture §1).

Said from the run's own rows and its own resolved model, so it explains what was
published, not what would be computed today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from exchange_formats.datasets import load_catalogue
from scoring.findings import EvidenceFinding, SubjectFindings
from scoring.model import ComplianceDimension, Indicator, PublicCreditDimension
from scoring.outlook import Outlook, Prospect, RecordChange
from scoring.quantities import show_plain
from scoring.resolution import ResolvedModel
from scoring.wording import WORDS, Language, Words


def explain(
    resolved: ResolvedModel,
    findings: SubjectFindings,
    as_of: date,
    language: Language = "zh",
    *,
    outlook: Outlook | None = None,
    documents: Mapping[str, str] | None = None,
) -> str:
    """The whole explanation of one subject's grade, as plain text.

    Args:
        resolved: the model of the run.
        findings: what the run said of the subject.
        as_of: the day of the run.
        language: Chinese or English.
        outlook: what would change the grade; left out where nobody asked.
        documents: record id → the number by which the subject knows the record; its id stands in for one without.
    """
    speaker = _Speaker(resolved, findings, as_of, language, documents or {})
    sections = [
        speaker.composition(),
        speaker.left_out(),
        speaker.overrides(),
        speaker.measures(),
        speaker.warnings(),
        speaker.outlook(outlook) if outlook else (),
        speaker.notes(),
    ]
    said = ["\n".join(lines) for section in sections if (lines := list(section))]
    numbered = [number + text for number, text in zip(speaker.words.headings, said, strict=False)]
    return "\n\n".join(["\n".join(speaker.head()), *numbered]) + "\n"


class _Speaker:
    """One explanation under way."""

    def __init__(
        self,
        resolved: ResolvedModel,
        findings: SubjectFindings,
        as_of: date,
        language: Language,
        documents: Mapping[str, str],
    ) -> None:
        self.resolved = resolved
        self.grade = findings.grade
        self.evidence = findings.evidence
        self.standing = findings.warnings
        self.as_of = as_of
        self.language = language
        self.documents = documents
        self.words: Words = WORDS[language]

    def head(self) -> Iterator[str]:
        words, grade = self.words, self.grade
        yield f"{self._say(self.resolved.model)} ({self.resolved.name}) · {words.as_of} {self.as_of}"
        name = f" {grade.subject_name}" if grade.subject_name else ""
        kind = f" · {words.individual_business}" if grade.individual_business else ""
        yield f"{words.subject} {grade.subject_ref}{name} · {self._city()}{kind}"
        score = self._score()
        computed = (
            f" ({words.computed.format(grade=grade.computed_grade)})" if grade.computed_grade != grade.grade else ""
        )
        native = f" · {self._scheme()}: {grade.native_grade}" if grade.native_grade else ""
        yield f"{grade.grade} {words.grades[grade.grade]}{computed}{native} · {score}"

    def _scheme(self) -> str:
        native = self.resolved.model.native
        return native.scheme_en if native and self.language == "en" else self.grade.native_scheme or ""

    def _score(self) -> str:
        if self.grade.origin == "reported":
            return self.words.reported
        return self.words.no_score if self.grade.score is None else f"{self.words.score} {self.grade.score} / 1000"

    def composition(self) -> Iterator[str]:
        if self.grade.score is None:
            return
        yield self.words.composition
        for name, dimension in self.resolved.model.dimensions.items():
            rows = [row for row in self.evidence if row.dimension == name]
            points = sum((row.points for row in rows), Decimal(0))
            full = self.words.full.format(full=show_plain(dimension.full))
            yield f"  {self._say(dimension)} ({full}): {_points(points)}"
            if isinstance(dimension, PublicCreditDimension):
                yield f"    {self._public(dimension)}"
                continue
            if dimension.base:
                yield f"    {self.words.base.format(points=_points(dimension.base))}"
            for indicator_id in dimension.indicators:
                yield from self._indicator(indicator_id, [row for row in rows if row.indicator == indicator_id])
            for row in rows:
                group = dimension.groups.get(row.indicator or "")
                if row.entry == "_cap" and group:
                    title = self._say(group)
                    yield f"    {_signed(row.points)} {self.words.group_cap.format(title=title)}"
                elif row.entry == "_clamp":
                    yield f"    {_signed(row.points)} {self.words.clamp}"
        yield from (
            f"  {_signed(row.points)} {self.words.rounding}" for row in self.evidence if row.entry == "_rounding"
        )
        yield f"  {self.words.total}: {self.grade.score}"

    def left_out(self) -> Iterator[str]:
        applied = {reason.partition(".")[0] for reason in self.grade.override_reasons}
        rows = [row for row in self.evidence if row.excluded and row.indicator not in applied]
        if not rows:
            return
        yield self.words.left_out
        for row in rows:
            name = f"{row.indicator} " if row.indicator else ""
            yield f"  {name}{self._record(row)}: {self.words.exclusions[row.excluded or '']}"

    def overrides(self) -> Iterator[str]:
        if not self.grade.override_reasons:
            return
        yield self.words.overrides
        for reason in self.grade.override_reasons:
            name, _, phase = reason.partition(".")
            override = self.resolved.model.overrides[name]
            effect = override.grade or f"≤ {override.at_most}"
            if phase and override.afterwards:
                effect = self.words.after.format(grade=override.afterwards.at_most)
            basis = f"{self._basis(override.basis)} {self._mark(override.status)}".rstrip()
            yield f"  {name} {self._say(override)} → {effect}; {basis}"
            wanted = "removed" if phase else None
            for row in self.evidence:
                if row.entry == "override" and row.indicator == name and row.excluded == wanted:
                    yield f"    {self.words.override_record} {self._record(row)}"

    def measures(self) -> Iterator[str]:
        table = self.resolved.measures
        row = next(row for letter, row in table.grades.items() if letter == self.grade.grade)
        yield f"{self.words.measures} {self._mark(table.status)}".rstrip()
        said = (row.at_most, row.items) if self.language == "zh" else (row.at_most_en, row.items_en)
        yield "  " + self.words.inspection.format(ratio=show_plain(row.ratio_percent), at_most=said[0], items=said[1])
        for code in self.grade.measures:
            measure = table.measures[code]
            basis = f"; {self._basis(measure.basis)}" if measure.basis else ""
            yield f"  {code} {self._say(measure)}{basis}"

    def warnings(self) -> Iterator[str]:
        if not self.standing:
            return
        yield self.words.warnings
        rules = {rule.id: rule for rule in self.resolved.warnings.rules}
        for warning in self.standing:
            rule = rules[warning.rule]
            level = self.resolved.warnings.levels[rule.level].title if self.language == "zh" else rule.level
            since = ""
            if warning.triggered_on:
                since = f" ({self.words.since.format(day=warning.triggered_on, n=warning.records)})"
            yield f"  {level}: {self._say(rule)}{since}"

    def outlook(self, outlook: Outlook) -> Iterator[str]:
        words = self.words
        yield words.outlook
        if outlook.missing:
            grade, points = outlook.missing
            yield "  " + words.missing.format(grade=grade, points=_points(points))
        yield "  " + words.standing_if
        first = (outlook.next_change,) if outlook.next_change and outlook.next_change not in outlook.grades else ()
        for prospect in (*first, *outlook.grades):
            yield "    " + words.then.format(day=prospect.day, grade=prospect.grade, score=_score(prospect))
            yield from (f"      {self._change(one)}" for one in prospect.records)
        if not outlook.grades:
            yield "    " + words.no_other_grade.format(day=outlook.searched_until)
        if outlook.repairs:
            yield "  " + words.repair_if
        for prospect in outlook.repairs:
            record = "; ".join(self._changed(one) for one in prospect.records)
            yield "    " + words.repaired_alone.format(record=record, grade=prospect.grade, score=_score(prospect))

    def notes(self) -> Iterator[str]:
        yield self.words.notes
        if self.grade.not_collected:
            yield "  " + self.words.not_collected.format(names=", ".join(self.grade.not_collected))
        yield "  " + self.words.assumptions.format(model=self.resolved.name)

    def _indicator(self, name: str, rows: Sequence[EvidenceFinding]) -> Iterator[str]:
        counted = [row for row in rows if row.entry == "record" and row.excluded is None]
        measured = [row for row in rows if row.entry == "_measure"]
        if not counted and not measured:
            return
        indicator: Indicator = self.resolved.model.indicators[name]
        total = sum((row.points for row in rows), Decimal(0))
        basis = f"{self._basis(indicator.basis)} {self._mark(indicator.status)}".rstrip()
        count = self.words.counted.format(n=len(counted)) if counted else self.words.compared
        yield f"    {_signed(total)} {name} {self._say(indicator)}: {count}; {basis}"
        for row in counted:
            worth = f"{_signed(row.points)} = {self._product(row)} · " if not measured else ""
            yield f"      {worth}{self._record(row)}"
        for row in measured:
            value = show_plain(row.value or Decimal(0))
            yield f"      {_signed(row.points)} · {self.words.measured.format(value=value)}"
        yield from (f"      {_signed(row.points)} {self.words.cap}" for row in rows if row.entry == "_cap")

    def _product(self, row: EvidenceFinding) -> str:
        factors = [show_plain(row.base_points or Decimal(0))]
        if row.repeat_factor not in {None, Decimal(1)}:
            factors.append(f"{self.words.repeat} {show_plain(row.repeat_factor or Decimal(1))}")
        if row.decay_factor not in {None, Decimal(1)}:
            factors.append(f"{self.words.decay} {show_plain(row.decay_factor or Decimal(1))}")
        dimension = self.resolved.model.dimensions[row.dimension]
        if isinstance(dimension, ComplianceDimension) and dimension.scale != 1:
            factors.append(f"{self.words.scale} {show_plain(dimension.scale)}")
        return " × ".join(factors)

    def _record(self, row: EvidenceFinding) -> str:
        objection = f" ({self.words.objection})" if row.under_objection else ""
        name = self._name(row.dataset or "", row.record_id or "", row.event_on)
        return f"{name} [{self.words.batch} {(row.batch_id or '')[:12]}]{objection}"

    def _name(self, source: str, record_id: str, event_on: date | None) -> str:
        dataset = load_catalogue().get(source.rpartition("/")[2])
        title = (dataset.title if self.language == "zh" else dataset.title_en) if dataset else source
        return f"{event_on} {title} {self.documents.get(record_id, record_id)}"

    def _change(self, change: RecordChange) -> str:
        record = self._changed(change)
        if change.excluded:
            return self.words.counts_no_longer.format(record=record, why=self.words.exclusions[change.excluded])
        if change.before == 0:
            return self.words.counts_from_then.format(record=record, points=_signed(change.after))
        return self.words.weighs.format(record=record, before=_signed(change.before), after=_signed(change.after))

    def _changed(self, change: RecordChange) -> str:
        return f"{change.indicator} {self._name(change.dataset, change.record_id, change.event_on)}"

    def _public(self, dimension: PublicCreditDimension) -> str:
        said = {"neutral": self.words.neutral, "own_model": self.words.own_public}
        return said.get(self.grade.public_credit_origin, self.words.public).format(
            score=self.grade.public_credit_score,
            weight=show_plain(dimension.full / 1000),
            day=self.grade.public_credit_evaluated_on,
        )

    def _say(self, part: object) -> str:
        return str(getattr(part, "title" if self.language == "zh" else "title_en"))

    def _basis(self, basis: Sequence[str]) -> str:
        return self.words.basis.format(basis=", ".join(basis))

    def _mark(self, status: str) -> str:
        return self.words.assumption if status == "assumption" else ""

    def _city(self) -> str:
        names = load_catalogue()["profile"].columns["city_code"].codes or {}
        code = self.grade.city_code
        return f"{names[code]} {code}" if self.language == "zh" and code in names else code


def _score(prospect: Prospect) -> str:
    return "–" if prospect.score is None else str(prospect.score)


def _points(value: Decimal) -> str:
    """Two decimals, more only where they say something."""
    text = f"{value:f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _signed(value: Decimal) -> str:
    return _points(value) if value < 0 else f"+{_points(value)}"
