"""Runs of a domain with a warning log: days, grades and warnings in, events out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.lake import Lake
from exchange_formats.digests import derive_uuid
from exchange_formats.manifests import WarningManifest
from gateway.warning_answers import Answer, answer_warning
from gateway.warning_log import open_entry, read_log, read_standing, record_warnings
from tests.fakes import MemoryStore
from tests.publication_samples import DOMAIN, Runs, code, grade

A, B = code(1), code(2)
SCORES: Mapping[str, str] = {"A": "900.00", "B": "810.00", "C": "780.00", "D": "710.00", "E": "600.00"}


def on(text: str) -> date:
    """A day, shortly."""
    return date.fromisoformat(text)


def graded(reference: str, letter: str, score: str | None = None) -> dict[str, Any]:
    """A row of GRADES with a score that fits the grade."""
    return grade(reference, grade=letter, computed_grade=letter, score=Decimal(score or SCORES[letter]))


def found(
    rule: str, level: str, day: str | None, trigger: str, last: tuple[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A row of WARNINGS about A; ``last``: day and record of the newest trigger."""
    last_on, last_trigger = last or (day, trigger)
    row = {
        **{name: graded(A, "C")[name] for name in ("subject_ref", "subject_type", "subject_name")},
        "individual_business": False,
        "city_code": "330100",
        "rule": rule,
        "level": level,
        "triggered_on": on(day) if day else None,
        "first_trigger": trigger,
        "records": 0 if day is None else 1,
        "dataset": None if day is None else "ecology_environment/penalty",
        "last_triggered_on": on(last_on) if last_on else None,
        "last_trigger": last_trigger,
    } | more
    return {"id": str(derive_uuid(DOMAIN, row["subject_ref"], rule, trigger))} | row


def penalties(*days: str, **more: Any) -> dict[str, Any]:
    """The orange warning of three or more penalties, whose triggers are ``days``."""
    return found("frequent_penalties", "orange", days[0], f"p-{days[0]}", (days[-1], f"p-{days[-1]}"), **more)


def near_band(letter: str) -> dict[str, Any]:
    """The blue warning of a score near the next lower grade."""
    return found("near_lower_band", "blue", None, f"band:{letter}")


@dataclass
class Story:
    """One domain, run after run; answers come between."""

    folder: Path
    lake: Lake = field(init=False)
    runs: Runs = field(init=False)
    entries: list[WarningManifest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lake = Lake(MemoryStore(), self.folder / "cache")
        self.runs = Runs(self.lake, self.folder)

    def run(
        self,
        day: str,
        grades: str | Sequence[dict[str, Any]] = "C",
        warnings: Sequence[dict[str, Any]] = (),
    ) -> list[tuple[str, str, str]]:
        """Commit a run and record it; ``grades``: A's letter, or rows. (kind, rule, level) of its events."""
        rows = [graded(A, grades)] if isinstance(grades, str) else list(grades)
        entry = record_warnings(self.lake, self.runs.commit(on(day), rows, warnings), spool=self.spool)
        if entry is None:
            return []
        self.entries.append(entry)
        return [(row["kind"], row["rule"], row["level"]) for row in self.events(entry)]

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def events(self, entry: WarningManifest | None = None) -> list[dict[str, Any]]:
        """The events of an entry, by default of the last run's."""
        rows: list[dict[str, Any]] = open_entry(self.lake, entry or self.entries[-1], "events").to_table().to_pylist()
        return rows

    def standing(self) -> list[dict[str, Any]]:
        """What the log has standing at its heads."""
        found = read_standing(self.lake, read_log(self.lake, DOMAIN), self.folder)
        table = found if not hasattr(found, "to_table") else found.to_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def open(self) -> list[tuple[str, str, str]]:
        """(rule, level, state) of what stands."""
        return [(row["rule"], row["level"], row["state"]) for row in self.standing() if row["state"] != "over"]

    def answer(self, kind: str, day: str, name: str | None = None, **more: Any) -> WarningManifest:
        """A department signs for (or handles) the only warning that stands, or the one of this id."""
        name = name or next(row["id"] for row in self.standing() if row["state"] != "over")
        given = {"department": "ecology_environment", "office": "执法处"} | more
        if kind == "handled":
            given = {"result": "rectified", "summary": "已整改"} | given
        _, entry = answer_warning(
            DOMAIN,
            name,
            Answer(kind, **given),  # type: ignore[arg-type]
            lake=self.lake,
            department_no=12,
            now=datetime.combine(on(day), datetime.min.time(), UTC).replace(hour=1),
            spool=self.spool,
        )
        return entry
