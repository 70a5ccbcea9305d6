"""A province read as of a day: who is judged, and every record that stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from exchange_formats.periods import covers
from exchange_formats.results import OWN_PUBLIC_CREDIT, REFERENCE_STATISTICS
from exchange_formats.subjects import is_individual_business, mask_name, subject_type
from scoring.grammar import Counts
from scoring.measurement import Statistic
from scoring.model import Indicator, Override
from tests.oracle.conditions import holds
from tests.oracle.measurement import group_of, grouped, measure_value, rank, records_of
from tests.oracle.records import Day, Inputs, Record, Row, is_newer, standing

CITIES: Final = frozenset(f"33{number:02}00" for number in range(1, 12))


class Population:
    """The subjects of one model on one day, with their records."""

    def __init__(self, day: Day, inputs: Inputs) -> None:
        self.day = day
        self.model = day.resolved.model
        self.sources = frozenset(inputs)
        self.known: dict[str, list[Record]] = defaultdict(list)
        self.own: dict[str, list[Row]] = defaultdict(list)
        self.reference: dict[tuple[str, str], Decimal] = {}
        for source, rows in inputs.items():
            if source == OWN_PUBLIC_CREDIT:
                for row in rows:
                    self.own[row["subject_ref"]].append(row)
            elif source == REFERENCE_STATISTICS:
                self.reference = {(row["statistic"], row["group"]): row["value"] for row in rows}
            elif source not in self.model.subjects_sources:
                for record in standing(source, rows):
                    self.known[record.subject].append(record)
        self.profiles = self._read_profiles(inputs)

    def subjects(self) -> list[str]:
        """Everyone who is judged, in order."""
        return sorted(self.profiles)

    def unmatched(self) -> list[dict[str, Any]]:
        """The rows of UNMATCHED: what the model's own department says of subjects its profiles do not know."""
        own = {
            counts.source(self.model.department)
            for counts in self.day.resolved.counts()
            if counts.source(self.model.department).startswith(f"{self.model.department}/")
        }
        rows = [
            {
                "dataset": record.source,
                "record_id": record.id,
                "subject_ref": record.subject,
                "event_on": record.row.get(record.dataset.event_on),
                "batch_id": record.row["batch_id"],
            }
            for subject, records in self.known.items()
            if subject not in self.registered
            for record in records
            if record.source in own and not self._lies_ahead(record)
        ]
        return sorted(rows, key=lambda row: (row["dataset"], row["record_id"]))

    def _lies_ahead(self, record: Record) -> bool:
        event = record.row.get(record.dataset.event_on)
        return event is not None and event > self.day.as_of

    def happened(self, subject: str) -> list[Record]:
        return [record for record in self.known.get(subject, ()) if record.happened(self.day)]

    def compute_statistics(self) -> list[dict[str, Any]]:
        """The rows of STATISTICS over all subjects, as of this day."""
        rows = []
        for name, statistic in sorted(self.day.resolved.statistics.items()):
            found = []
            for subject in self.profiles:
                if own := self.own_records(statistic, subject):
                    found.append((self.group(statistic, subject), measure_value(statistic.measure, own, self.day)))
            rows += [{"statistic": name} | row for row in rank(statistic, grouped(found))]
        return rows

    def own_records(self, statistic: Statistic, subject: str) -> list[Record]:
        return records_of(statistic, self.known.get(subject, ()), self.model.department, self.day)

    def group(self, statistic: Statistic, subject: str) -> str:
        return group_of(statistic, self.profiles[subject].row, self.describe(subject)["city_code"])

    def _read_profiles(self, inputs: Inputs) -> dict[str, Record]:
        """Who each subject is: of several registers that know it the first, there the newest row."""
        chosen: dict[str, Record] = {}
        for source in self.model.subjects_sources:
            newest: dict[str, Record] = {}
            for record in standing(source, inputs[source]):
                held = newest.get(record.subject)
                if held is None or is_newer(record.row, held.row):
                    newest[record.subject] = record
            chosen = newest | chosen
        self.registered = frozenset(chosen)
        where = self.model.subjects.where
        return {
            subject: record
            for subject, record in chosen.items()
            if subject_type(subject) in self.model.subjects.type and holds(where, record.dataset, record.facts)
        }

    def describe(self, subject: str) -> dict[str, Any]:
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

    def means(self, counts: Counts, record: Record) -> bool:
        """Whether the record is of the dataset counted: a department's, or with ``*`` of any department's."""
        department, _, dataset = counts.source(self.model.department).partition("/")
        return dataset == record.dataset.id and (department == "*" or record.source == f"{department}/{dataset}")

    def is_evidence(self, record: Record) -> bool:
        """A record within lookback in any dataset that subjects are judged by: enough not to be N.

        What only warnings or measures read judges nobody, as little as a profile does.
        """
        judged = [counts for counts in self._judging() if self.means(counts, record)]
        longest = max([self.model.lookback, *(counts.lookback or 0 for counts in judged)])
        return bool(judged) and covers(record.event, longest, self.day.as_of)

    def _judging(self) -> Iterator[Counts]:
        parts: list[Indicator | Override] = [*self.model.indicators.values(), *self.model.overrides.values()]
        for part in parts:
            yield from part.counts
            if isinstance(part, Indicator) and part.above:
                yield self.day.resolved.statistics[part.above].counts

    def is_collected(self, part: Indicator | Override) -> bool:
        if isinstance(part, Indicator):
            if part.above:
                statistic = self.day.resolved.statistics[part.above]
                return REFERENCE_STATISTICS in self.sources and self._is_there(statistic.counts)
            if part.needs:
                return False
        return all(self._is_there(counts) for counts in part.counts)

    def _is_there(self, counts: Counts) -> bool:
        department, _, dataset = counts.source(self.model.department).partition("/")
        if department == "*":
            return any(source.endswith(f"/{dataset}") for source in self.sources)
        return f"{department}/{dataset}" in self.sources
