"""Which grades changed between two runs of a domain: the content of the next publication (semantics §7).

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
    WithdrawnGrade,
    shown_name,
)
from exchange_formats.results import GRADES
from exchange_formats.subjects import mask_identity

T = TypeVar("T")

_ROWS = 2_000
_REMEMBERED = 10_000
#: What a consumer sees of a grade; a difference in any of it is a change.
_CONTENT = tuple(name for name in GRADES.names if name not in {"subject_ref", "subject_type", "individual_business"})


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
    industry_warning: Titled = Titled("行业性预警")
    #: AMQP priority of each level of warnings.
    priorities: Mapping[str, int] = field(default_factory=dict)


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
        return self._render(query, lambda row: WithdrawnGrade(**describe_subject(row), previous_grade=row["grade"]))

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
                    raise refuse_row(row, error) from None

    def _render_grade(self, row: dict[str, Any]) -> GradeResult:
        return GradeResult(
            **describe_subject(row),
            score=None if row["score"] is None else f"{row['score']:.2f}",
            grade=row["grade"],
            computed_grade=row["computed_grade"],
            origin=row["origin"],
            native_grade=row["native_grade"],
            native_scheme=row["native_scheme"],
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


@contextmanager
def compare_runs(
    new: pads.Dataset, old: pads.Dataset | None, wording: Wording, spool: Path, *, memory_limit: str = "1GB"
) -> Iterator[Changes]:
    """Compare grades with their baseline (None: everything is new); ``spool`` takes what memory cannot hold."""
    with duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spool / "duckdb")}) as connection:
        connection.register("new_grades", new)
        connection.register("old_grades", GRADES.empty_table() if old is None else old)
        yield Changes(connection, wording)


def render_points(points: Decimal) -> str:
    """Exact, without trailing zeros: ``-80``, ``-13.5``."""
    text = f"{points:f}"
    trimmed = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if trimmed in {"", "-", "-0"} else trimmed


def describe_subject(row: dict[str, Any]) -> dict[str, Any]:
    """Whom a row is about, as a message shows it."""
    return {
        "subject_ref": row["subject_ref"],
        "subject_type": row["subject_type"],
        "subject_name": shown_name(row["subject_name"], row["subject_ref"]),
        "individual_business": row["individual_business"],
        "city_code": row["city_code"] if row["city_code"] not in {"", NO_CITY} else None,
    }


def refuse_row(row: dict[str, Any], error: ValidationError) -> FatalError:
    """The error of a row that no message may carry: its subject masked, its values not shown."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "row"
    shown = mask_identity(row["subject_ref"])
    return FatalError(f"结果无法发布 a result cannot be published: {shown}: {where}: {first['msg']}")


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
