"""What changed between two runs of a domain: the content of the next publication (semantics §7).

The comparison runs in DuckDB over the runs' Arrow files and is streamed: memory is
bounded by its limit, not by the number of subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
from pydantic import ValidationError

from exchange_formats.errors import FatalError
from exchange_formats.messages import (
    NO_CITY,
    GradeResult,
    Measure,
    Override,
    PublicCredit,
    Reason,
    Warning_,
    WithdrawnGrade,
    shown_name,
)
from exchange_formats.results import GRADES, WARNINGS
from exchange_formats.subjects import mask_identity

T = TypeVar("T")

_ROWS = 2_000
_REMEMBERED = 10_000
#: What a consumer sees of a grade; a difference in any of it is a change.
_CONTENT = tuple(name for name in GRADES.names if name not in {"subject_ref", "subject_type", "individual_business"})
#: First sent, first seen: the most severe warnings go out first. Levels of a domain's own rank between.
_SEVERITY: Mapping[str, int] = {"red": 9, "orange": 6, "yellow": 3, "blue": 1}
_OWN_LEVEL = 2


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The artefacts that are published, as local files."""

    grades: pads.Dataset
    warnings: pads.Dataset


@dataclass(frozen=True, slots=True)
class ChangedWarning:
    """A warning that stands, and what it was in the baseline."""

    warning: Warning_
    previous_level: str
    previous_records: int


@dataclass(frozen=True, slots=True)
class Titled:
    """Title and legal basis of something a result names by id."""

    title: str
    basis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wording:
    """Titles and bases by id, from the run's resolved model."""

    indicators: Mapping[str, Titled] = field(default_factory=dict)
    overrides: Mapping[str, Titled] = field(default_factory=dict)
    warnings: Mapping[str, Titled] = field(default_factory=dict)
    measures: Mapping[str, Titled] = field(default_factory=dict)


class _Rendered:
    """Parts of results that many subjects share, made and checked once each."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self.override = lru_cache(_REMEMBERED)(self._override)
        self.measure = lru_cache(_REMEMBERED)(self._measure)
        self.reason = lru_cache(_REMEMBERED)(self._reason)

    def _override(self, name: str) -> Override:
        found = _find(self._wording.overrides, name)
        return Override(id=name, title=found.title, basis=found.basis)

    def _measure(self, code: str) -> Measure:
        found = _find(self._wording.measures, code)
        return Measure(code=code, title=found.title, basis=found.basis)

    def _reason(self, indicator: str, records: int, points: Decimal) -> Reason:
        found = _find(self._wording.indicators, indicator)
        return Reason(
            indicator=indicator,
            title=found.title,
            value=records,
            points=render_points(points),
            basis=found.basis,
        )


class Changes:
    """A comparison of two runs; open with :func:`compare_runs`. Iterators are ordered by city, then subject."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, wording: Wording) -> None:
        self._connection = connection
        self._wording = wording
        self._wordings = _Rendered(wording)

    def grades(self) -> Iterator[GradeResult]:
        """New subjects, and those of which anything a consumer sees is different."""
        changed = " OR ".join(f"n.{name} IS DISTINCT FROM o.{name}" for name in _CONTENT)
        query = (
            "SELECT n.*, o.grade AS previous_grade FROM new_grades n LEFT JOIN old_grades o USING (subject_ref) "
            f"WHERE o.subject_ref IS NULL OR {changed} ORDER BY n.city_code, subject_ref"
        )
        return self._render(query, self._render_grade)

    def withdrawn(self) -> Iterator[WithdrawnGrade]:
        """Subjects the baseline graded and this run does not."""
        query = (
            "SELECT * FROM old_grades o WHERE NOT EXISTS "
            "(SELECT 1 FROM new_grades n WHERE n.subject_ref = o.subject_ref) ORDER BY city_code, subject_ref"
        )
        return self._render(query, lambda row: WithdrawnGrade(**_subject(row), previous_grade=row["grade"]))

    def raised(self) -> Iterator[Warning_]:
        """Warnings that were not there; the most severe first."""
        query = (
            "SELECT n.* FROM new_warnings n WHERE NOT EXISTS (SELECT 1 FROM old_warnings o WHERE o.id = n.id) "
            f"ORDER BY {_severity_sql('n.level')} DESC, n.city_code, n.subject_ref, id"
        )
        return self._render(query, self._render_warning)

    def escalated(self) -> Iterator[ChangedWarning]:
        """Warnings that stand at a more severe level than before; the most severe first."""
        return self._changed(f"{_severity_sql('n.level')} > {_severity_sql('o.level')}")

    def updated(self) -> Iterator[ChangedWarning]:
        """Warnings that stand, no more severe than before, with other records behind them or another level."""
        return self._changed(
            f"{_severity_sql('n.level')} <= {_severity_sql('o.level')} "
            "AND (n.level <> o.level OR n.records <> o.records)"
        )

    def _changed(self, condition: str) -> Iterator[ChangedWarning]:
        query = (
            "SELECT n.*, o.level AS previous_level, o.records AS previous_records "
            f"FROM new_warnings n JOIN old_warnings o USING (id) WHERE {condition} "
            f"ORDER BY {_severity_sql('n.level')} DESC, n.city_code, n.subject_ref, id"
        )
        return self._render(query, self._render_change)

    def cleared(self) -> Iterator[Warning_]:
        """Warnings the baseline had and this run has not."""
        query = (
            "SELECT * FROM old_warnings o WHERE NOT EXISTS (SELECT 1 FROM new_warnings n WHERE n.id = o.id) "
            "ORDER BY city_code, subject_ref, id"
        )
        return self._render(query, self._render_warning)

    def _render(self, query: str, build: Callable[[dict[str, Any]], T]) -> Iterator[T]:
        """Stream a query; one stream at a time, for they share the connection.

        Raises:
            FatalError: a row that no message may carry; its subject is shown masked, its values are not shown.
        """
        reader: pa.RecordBatchReader = self._connection.sql(query).to_arrow_reader(_ROWS)
        for batch in reader:
            for row in batch.to_pylist():
                try:
                    yield build(row)
                except ValidationError as error:
                    raise FatalError(_explain(row, error)) from None

    def _render_grade(self, row: dict[str, Any]) -> GradeResult:
        return GradeResult(
            **_subject(row),
            score=None if row["score"] is None else f"{row['score']:.2f}",
            grade=row["grade"],
            computed_grade=row["computed_grade"],
            previous_grade=row["previous_grade"],
            flags=tuple(row["flags"]),
            public_credit=_render_public_credit(row),
            override_reasons=tuple(self._wordings.override(one) for one in row["override_reasons"]),
            reasons=tuple(
                self._wordings.reason(one["indicator"], one["records"], one["points"]) for one in row["reasons"]
            ),
            measures=tuple(self._wordings.measure(code) for code in row["measures"]),
            not_collected=tuple(row["not_collected"]),
        )

    def _render_change(self, row: dict[str, Any]) -> ChangedWarning:
        return ChangedWarning(self._render_warning(row), row["previous_level"], row["previous_records"])

    def _render_warning(self, row: dict[str, Any]) -> Warning_:
        found = _find(self._wording.warnings, row["rule"])
        return Warning_(
            **_subject(row),
            id=row["id"],
            rule=row["rule"],
            level=row["level"],
            title=found.title,
            triggered_on=row["triggered_on"],
            trigger=row["first_trigger"],
            records=row["records"],
            basis=found.basis,
        )


@contextmanager
def compare_runs(
    new: RunFiles, old: RunFiles | None, wording: Wording, spool: Path, *, memory_limit: str = "1GB"
) -> Iterator[Changes]:
    """Compare ``new`` with its baseline ``old`` (None: everything is new); ``spool`` takes what memory cannot hold."""
    with duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spool / "duckdb")}) as connection:
        connection.register("new_grades", new.grades)
        connection.register("old_grades", old.grades if old else GRADES.empty_table())
        connection.register("new_warnings", new.warnings)
        connection.register("old_warnings", old.warnings if old else WARNINGS.empty_table())
        yield Changes(connection, wording)


def severity(level: str) -> int:
    """AMQP priority of a warning level: 1 … 9."""
    return _SEVERITY.get(level, _OWN_LEVEL)


def render_points(points: Decimal) -> str:
    """Exact, without trailing zeros: ``-80``, ``-13.5``."""
    text = f"{points:f}"
    trimmed = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if trimmed in {"", "-", "-0"} else trimmed


def _severity_sql(column: str) -> str:
    cases = " ".join(f"WHEN '{level}' THEN {rank}" for level, rank in _SEVERITY.items())
    return f"CASE {column} {cases} ELSE {_OWN_LEVEL} END"


def _subject(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "subject_ref": row["subject_ref"],
        "subject_type": row["subject_type"],
        "subject_name": shown_name(row["subject_name"], row["subject_ref"]),
        "individual_business": row["individual_business"],
        "city_code": row["city_code"] if row["city_code"] not in {"", NO_CITY} else None,
    }


def _explain(row: dict[str, Any], error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "row"
    return f"结果无法发布 a result cannot be published: {mask_identity(row['subject_ref'])}: {where}: {first['msg']}"


def _render_public_credit(row: dict[str, Any]) -> PublicCredit | None:
    if row["public_credit_score"] is None:
        return None
    return PublicCredit(
        origin=row["public_credit_origin"],
        score=f"{row['public_credit_score']:.2f}",
        evaluated_on=row["public_credit_evaluated_on"],
    )


def _find(words: Mapping[str, Titled], name: str) -> Titled:
    return words.get(name, Titled(name))
