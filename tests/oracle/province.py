"""Random provinces: subjects and records that lie on every edge of a model, from a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any, Final

from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.periods import add_months
from exchange_formats.results import OWN_PUBLIC_CREDIT
from exchange_formats.subjects import is_individual_business, subject_type
from scoring.grammar import EVERY, full_name
from scoring.model import Indicator, Override
from scoring.resolution import ResolvedModel
from tests.oracle.conditions import fails, holds, literals

#: Days a province may be scored on: ends of short and long months, leap days and the days beside them.
DAYS: Final = (
    date(2026, 6, 30),
    date(2028, 2, 29),
    date(2026, 4, 1),
    date(2027, 2, 28),
    date(2026, 4, 30),
    date(2028, 3, 1),
    date(2026, 5, 31),
    date(2026, 12, 31),
    date(2029, 2, 28),
    date(2027, 3, 31),
)
_PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "enterprise": ("91", "91", "92", "93", "31"),
    "natural_person": ("np_k1_",),
    "social_organization": ("51", "52", "53", "71"),
    "public_institution": ("12",),
    "government_agency": ("11", "13"),
}
#: What is told of a subject by a rule of its own.
_APART: Final = ("/profile", "/public_credit", "/reported_grade")
_DEPARTMENTS: Final = ("ecology_environment", "market_regulation", "transport")
#: How often a date column that is not the event's is empty.
_EMPTY: Final[Mapping[str, float]] = {
    "repaired_on": 0.85,
    "revoked_on": 0.93,
    "objection_from": 0.85,
    "review_opened_on": 0.85,
    "final_on": 0.4,
    "removed_on": 0.4,
    "valid_until": 0.3,
}
_UPDATES: Final = (None, *(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 2)))


@dataclass(frozen=True)
class Province:
    """Every version of every record by ``department/dataset``."""

    resolved: ResolvedModel
    as_of: date
    inputs: Mapping[str, list[dict[str, Any]]]


class Edges:
    """The values near which a model changes its mind."""

    def __init__(self, resolved: ResolvedModel, as_of: date, random: Random) -> None:
        self.resolved = resolved
        self.as_of = as_of
        self.random = random
        self.values = self._read_values()

    @cached_property
    def days(self) -> list[date]:
        """Days on either side of every period's end, ends of months, leap days."""
        found = {self.as_of + timedelta(days=shift) for shift in range(-3, 3)}
        for months in self._months():
            guess = add_months(self.as_of, -months)
            near = [guess + timedelta(days=shift) for shift in range(-4, 5)]
            inside = [day for day in near if add_months(day, months) >= self.as_of]
            found |= {*inside[:3], inside[0] - timedelta(days=1)}
        for days in self._days():
            found |= {self.as_of - timedelta(days=days + shift) for shift in (-1, 0, 1)}
        years = range(self.as_of.year - 5, self.as_of.year + 1)
        found |= {date(year, 2, 28) for year in years} | {date(year, 2, 29) for year in years if year % 4 == 0}
        return sorted(found)

    def day(self) -> date:
        """Some day: often as_of or beside it, mostly another edge, else any of the last six years."""
        choice = self.random.random()
        if choice < 0.1:
            return self.as_of + timedelta(days=self.random.choice((-1, 0, 0, 1)))
        if choice < 0.5:
            return self.random.choice(self.days)
        if choice < 0.75:
            return self.as_of - timedelta(days=self.random.randint(0, 420))
        return self.as_of - timedelta(days=self.random.randint(-40, 2200))

    def _months(self) -> set[int]:
        model = self.resolved.model
        found = {model.lookback, self.resolved.decay.repeat.within, *(s.months for s in self.resolved.decay.steps)}
        found |= {tier.months for tier in self.resolved.decree.tiers.values()}
        found |= {counts.lookback for counts in self.resolved.counts() if counts.lookback}
        if self.resolved.public_credit:
            found.add(self.resolved.public_credit[1].not_older_than)
        if model.reported:
            found.add(model.reported.not_older_than)
        return found

    def _days(self) -> set[int]:
        found = {self.resolved.publicity.final_after}
        found |= {o.afterwards.within for o in self.resolved.model.overrides.values() if o.afterwards}
        return found | {rule.within for rule in self.resolved.warnings.rules if rule.within}

    def _read_values(self) -> Mapping[tuple[str, str], Sequence[Any]]:
        """(dataset, column) → what conditions and maps ask about, and values just beside them."""
        found: dict[tuple[str, str], set[Any]] = defaultdict(set)
        for counts in self.resolved.counts():
            dataset = load_catalogue()[counts.dataset.rpartition("/")[2]]
            for column, value in literals(counts.where, dataset):
                found[dataset.id, column].add(value)
        for row in self.resolved.severity.rows:
            for column, value in literals(row.when, load_catalogue()["penalty"]):
                found["penalty", column].add(value)
        for indicator in self.resolved.model.indicators.values():
            for counts in indicator.counts:
                self._add_worth(found, load_catalogue()[counts.dataset.rpartition("/")[2]], indicator)
        for statistic in self.resolved.statistics.values():
            dataset = load_catalogue()[statistic.counts.dataset.rpartition("/")[2]]
            for column, value in literals(statistic.measure.where or "true", dataset):
                found[dataset.id, column].add(value)
        found["profile", "industry_code"] |= {"26", "C26", "2614", "C2614", "F5212", "52", "C"}
        found["reported_grade", "domain"] |= {self.resolved.model.id, "another_domain"}
        if self.resolved.crosswalk:
            found["reported_grade", "native_grade"] |= {*self.resolved.crosswalk.grades, "?"}
        return {key: _beside(values) for key, values in found.items()}

    @staticmethod
    def _add_worth(found: Mapping[tuple[str, str], set[Any]], dataset: Dataset, indicator: Indicator) -> None:
        worth, measure = indicator.worth, indicator.measure
        if worth.column and worth.map:
            found[dataset.id, worth.column].update(worth.map)
        if measure and measure.where:
            for column, value in literals(measure.where, dataset):
                found[dataset.id, column].add(value)
        if measure and measure.column:
            found[dataset.id, measure.column].update(one.from_ for one in worth.bins or ())


def build_province(resolved: ResolvedModel, as_of: date, subjects: int, seed: str) -> Province:
    """``subjects`` random subjects of ``resolved`` with their records; the same seed gives the same province."""
    return _Builder(resolved, as_of, Random(seed)).build(subjects)


class _Builder:
    def __init__(self, resolved: ResolvedModel, as_of: date, random: Random) -> None:
        self.resolved = resolved
        self.random = random
        self.edges = Edges(resolved, as_of, random)
        self.refs: list[str] = []
        self.inputs: dict[str, list[dict[str, Any]]] = {one: [] for source in resolved.inputs for one in _meant(source)}
        if resolved.public_credit and random.random() < 0.7:
            self.inputs[OWN_PUBLIC_CREDIT] = []
        spare = sorted(set(self.inputs) - set(resolved.required))
        if spare and random.random() < 0.2:  # a dataset nobody collects
            del self.inputs[random.choice(spare)]
        self.sources = self._weigh_sources()

    def build(self, subjects: int) -> Province:
        for number in range(subjects):
            self._add_subject(number)
        for rows in self.inputs.values():
            self.random.shuffle(rows)
        return Province(self.resolved, self.edges.as_of, self.inputs)

    def _weigh_sources(self) -> list[str]:
        """Every source, more often the more is counted in it."""
        model = self.resolved.model
        parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
        counted = [one for part in parts for counts in part.counts for one in _meant(counts.source(model.department))]
        known = [source for source in counted if source in self.inputs]
        return [*known, *(source for source in self.inputs if not source.endswith(_APART))]

    def _add_subject(self, number: int) -> None:
        random, model = self.random, self.resolved.model
        kind = random.choice(model.subjects.type) if random.random() < 0.95 else random.choice(sorted(_PREFIXES))
        prefix = random.choice(_PREFIXES[kind])
        city = random.choice(("3301", "3302", "3311", "3300", "1101"))
        ref = f"{prefix}{number:040d}" if prefix.startswith("np") else f"{prefix}{city}{number:011d}X"
        self.refs.append(ref)
        for place, source in enumerate(model.subjects_sources):
            for again in range(random.choices((0, 1, 2), (3, 94, 3) if place == 0 else (40, 57, 3))[0]):
                status = random.choice(("active", "active", "active", "cancelled"))
                self._add_record(source, ref, f"{number}-p{place}{again}", {"status": status})
        self._add_public_credit(ref, number)
        self._add_reported(ref, number)
        previous: date | None = None
        for place, (chosen, wanted) in enumerate(self._wish()):
            given = wanted
            dataset = load_catalogue()[chosen.rpartition("/")[2]]
            if previous and random.random() < 0.4:
                shift = add_months(previous, random.choice((24, -24))) + timedelta(days=random.choice((-1, 0, 0, 1)))
                given = {dataset.event_on: shift} | wanted
            previous = self._add_record(chosen, ref, f"{number}-{place}", given) or previous

    def _wish(self) -> list[tuple[str, dict[str, Any]]]:
        """The records of one subject: anything; one claimant's again and again; or everything that earns."""
        random, model = self.random, self.resolved.model
        count = random.choices((0, 1, 2, 3, 5, 9), (12, 25, 25, 18, 15, 5))[0]
        story = random.random()
        if story < 0.1:
            earning = [part for part in model.indicators.values() if part.earn and part.counts]
            return [self._claimed_by(part, fresh=True) for part in earning for _ in range(random.choice((1, 2)))]
        if story < 0.45:
            every: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
            parts = [part for part in every if part.counts]
            return [self._claimed_by(random.choice(parts))] * count
        return [(random.choice(self.sources), {}) for _ in range(count)]

    def _claimed_by(self, part: Indicator | Override, *, fresh: bool = False) -> tuple[str, dict[str, Any]]:
        """A source and what a record of it must say for ``part`` to claim it; ``fresh``: of the last months."""
        counts = self.random.choice(part.counts)
        source = self.random.choice(_meant(counts.source(self.resolved.model.department)))
        if source not in self.inputs:
            return self.random.choice(self.sources), {}
        dataset = load_catalogue()[source.rpartition("/")[2]]
        day = self.edges.as_of - timedelta(days=self.random.randint(0, 200))
        given: dict[str, Any] = {dataset.event_on: day} if fresh else {}
        for _ in range(20):
            wanted = {name: self._value(dataset, name) for name, _ in literals(counts.where, dataset)}
            facts = {"subject_type": "enterprise", "individual_business": False} | given | wanted
            if holds(counts.where, dataset, facts):
                return source, given | {name: value for name, value in wanted.items() if value is not None}
        return source, given

    def _add_public_credit(self, ref: str, number: int) -> None:
        found = self.resolved.public_credit
        if found is None:
            return
        source = full_name(found[1].dataset, self.resolved.model.department)
        near = [day for day in self.edges.days if abs((self.edges.as_of - day).days) < 40]
        # One result a day: that is how the platform's results are told apart.
        days = self.random.sample(near, self.random.choices((0, 1, 2, 3), (30, 40, 20, 10))[0])
        for place, day in enumerate(days):
            score = self.random.choice(
                (0, 1000, 820, Decimal("999.99"), Decimal(self.random.randint(0, 100_000)) / 100)
            )
            given = {"score": Decimal(score), "evaluated_on": day}
            self._add_record(source, ref, f"{number}-c{place}", given)
        if OWN_PUBLIC_CREDIT in self.inputs and self.random.random() < 0.6:
            own = self.random.choice((None, Decimal(self.random.randint(0, 100_000)) / 100))
            row = {"subject_ref": ref, "score": own, "evaluated_on": self.random.choice(near)}
            self.inputs[OWN_PUBLIC_CREDIT].append(row)

    def _add_reported(self, ref: str, number: int) -> None:
        rule = self.resolved.model.reported
        if rule is None:
            return
        source = full_name(rule.dataset, self.resolved.model.department)
        days = self.random.sample(self.edges.days, self.random.choice((0, 0, 1, 2)))
        for place, day in enumerate(days):  # one a day: that is how reported grades are told apart
            self._add_record(source, ref, f"{number}-r{place}", {"evaluated_on": day})

    def _add_record(self, source: str, ref: str, name: str, given: Mapping[str, Any]) -> date | None:
        """One record, sometimes corrected or repeated; the day of its event."""
        if source not in self.inputs:
            return None
        random = self.random
        dataset = load_catalogue()[source.rpartition("/")[2]]
        event: date | None = None
        times = random.choices((1, 2, 3), (85, 11, 4))[0]
        kept: Mapping[str, Any] = {}
        owner = ref
        for version in range(times):
            # A correction of whom it is about; of the rest each names its subject in its key.
            if version and not source.endswith(_APART) and random.random() < 0.2:
                owner = random.choice(self.refs[-20:])
            if version == 0 or random.random() < 0.7:  # else an identical repeat
                kept = self._fill(dataset, owner, given)
            event = kept.get(dataset.event_on) or event
            self.inputs[source].append(
                dict(kept)
                | {
                    "record_id": f"{dataset.id}-{name}",
                    "subject_ref": owner,
                    "source_updated_at": random.choice(_UPDATES),
                    "row": len(self.inputs[source]) if source.endswith("/profile") else random.choice((1, 1, 2)),
                    "batch_id": f"batch-{version}",
                    "chain_sequence": random.choice((1, 1, 2)),
                }
            )
        return event

    def _fill(self, dataset: Dataset, ref: str, given: Mapping[str, Any]) -> dict[str, Any]:
        row = {name: self._value(dataset, name) for name in dataset.columns} | dict(given)
        known = {"subject_type": subject_type(ref), "individual_business": is_individual_business(ref)}
        for _ in range(3):
            wrong = [check.column for check in dataset.checks if fails(check.holds, dataset, row | known)]
            if not wrong:
                break
            for column in sorted(set(wrong) - given.keys()):
                row[column] = self._value(dataset, column)
        return row

    def _value(self, dataset: Dataset, name: str) -> Any:
        random, spec = self.random, dataset.fields[name]
        optional = spec.required is not True
        if spec.type == "date":
            empty = 0.05 if name == dataset.event_on else _EMPTY.get(name, 0.5)
            return None if optional and random.random() < empty else self.edges.day()
        if optional and random.random() < 0.15:
            return None
        values = self.edges.values.get((dataset.id, name), ())
        if optional and spec.type == "string" and not values and not spec.codes and name != "subject_name":
            return None  # free text that nothing asks about
        if values and random.random() < 0.9:
            return random.choice(values)
        if spec.type == "boolean":
            return random.random() < 0.5
        if spec.type == "string":
            return random.choice(sorted(spec.codes)) if spec.codes else random.choice(("-", "9999"))
        return _number(spec.type, random.randint(0, 3))


def _meant(source: str) -> Sequence[str]:
    """The departments whose dataset is generated: for ``*/penalty`` three of them."""
    department, _, dataset = source.partition("/")
    return [f"{one}/{dataset}" for one in _DEPARTMENTS] if department == EVERY else [source]


def _number(kind: str, value: int) -> int | Decimal:
    return value if kind == "integer" else Decimal(value)


def _beside(values: Iterable[Any]) -> list[Any]:
    found: set[Any] = set()
    for value in values:
        found.add(value)
        if isinstance(value, Decimal):
            found |= {value - Decimal("0.01"), value + Decimal("0.01")}
    cents = {value.quantize(Decimal("0.01")) if isinstance(value, Decimal) else value for value in found}
    return sorted((value for value in cents if not isinstance(value, Decimal) or value >= 0), key=str)
