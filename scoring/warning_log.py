"""The warning log's pure part: the events of one run, and the fold that says what stands (semantics §4).

A function of the run's artefacts, the resolved model (its rules, levels and calendar), what stood
before, and the grades of earlier runs. DuckDB does it in bounded memory; only the ids of
warnings that are raised are derived row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import pyarrow as pa

from exchange_formats.digests import derive_uuid
from exchange_formats.errors import FatalError
from exchange_formats.manifests import Artefact
from exchange_formats.results import GRADES
from exchange_formats.shards import WHOLE
from exchange_formats.warning_events import EVENTS, STANDING
from scoring.artefacts import BATCH_ROWS, join_files, write_shard_file
from scoring.engine import DEFAULT_MEMORY_LIMIT, Input
from scoring.resolution import ResolvedModel
from scoring.warning_tables import Level, WarningRule, WarningTable
from scoring.warning_transitions import (
    AFTER,
    EVENTS_TOLD,
    FALLS,
    FOLD,
    FOUND,
    LEVELS,
    MOVES,
    NUMBERED,
    PAIRS,
    RULES,
    STANDING_AFTER,
    STEADY,
)
from scoring.working_days import add_working_days

_NUMBERS: Final = pa.schema([("level", pa.string()), ("used", pa.int32())])
_EARLIER: Final = pa.schema(
    [GRADES.field(name) for name in ("subject_ref", "grade", "score", "origin", "public_credit_origin")]
)


@dataclass(frozen=True)
class EarlierGrades:
    """The grades of an earlier run."""

    as_of: date
    grades: Input


@dataclass(frozen=True)
class LogInputs:
    """What the events of a run follow from besides the model and the day.

    Args:
        warnings: the run's WARNINGS.
        grades: the run's GRADES.
        standing: STANDING before; None where the log begins.
        earlier: of the same model, the newest run of each day that a fall is told from, ascending.
        cycles: the newest run of each evaluation cycle before this one's, newest first.
        numbers: level → numbers that were given to warnings raised on this very day.
    """

    warnings: Input
    grades: Input
    standing: Input | None = None
    earlier: Sequence[EarlierGrades] = ()
    cycles: Sequence[EarlierGrades] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedEvents:
    """The entry's artefacts and its figures. ``burst_subjects``: subjects newly at the burst's level or worse."""

    events: Artefact
    standing: Artefact
    events_by_kind: Mapping[str, int]
    open_by_level: Mapping[str, int]
    numbers: Mapping[str, int]
    burst_subjects: int


def record_events(
    resolved: ResolvedModel,
    inputs: LogInputs,
    as_of: date,
    output: Path,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
) -> RecordedEvents:
    """Write the ``events`` of a run and what is ``standing`` after it into the folder ``output``.

    Raises:
        ConfigurationError: a day to sign by falls into a year whose holidays nobody entered.
        FatalError: memory or disk do not suffice.
    """
    table = resolved.warnings
    with _open_engine(output, memory_limit) as connection:
        connection.register("warnings_in", inputs.warnings)
        connection.register("grades_in", inputs.grades)
        connection.register("base", inputs.standing if inputs.standing is not None else STANDING.empty_table())
        _register_earlier(connection, "earlier", inputs.earlier)
        _register_cycles(connection, EarlierGrades(as_of, inputs.grades), inputs.cycles)
        connection.register("rules", _describe_rules(table, as_of, inputs.earlier))
        connection.register("levels", _describe_levels(table, as_of, resolved))
        used = [{"level": level, "used": count} for level, count in inputs.numbers.items()]
        connection.register("numbers", pa.Table.from_pylist(used, schema=_NUMBERS))
        latest = inputs.earlier[-1].as_of if inputs.earlier else None
        for step in (FALLS, FOUND, STEADY, PAIRS, MOVES, AFTER, NUMBERED):
            named = {"as_of": as_of, "latest": latest}
            connection.execute(step, {name: value for name, value in named.items() if f"${name}" in step})
        return _write(connection, resolved, as_of, output, inputs.numbers)


def fold_events(
    standing: Input | None, tail: Sequence[Input], output: Path, *, memory_limit: str = DEFAULT_MEMORY_LIMIT
) -> pa.Table:
    """What stands after more events: ``standing`` with the EVENTS of ``tail``, in their order."""
    with _open_engine(output, memory_limit) as connection:
        connection.register("base", standing if standing is not None else STANDING.empty_table())
        columns = ", ".join(("kind", *(f'"{name}"' for name in STANDING.names)))
        parts = []
        for number, events in enumerate(tail):
            connection.register(f"tail_{number}", events)
            place = f"CAST({number} AS BIGINT) * 1000000000 + row_number() OVER ()"
            parts.append(f"SELECT {columns}, {place} AS place FROM tail_{number}")
        if not parts:
            connection.register("tail_none", EVENTS.empty_table())
            parts.append(f"SELECT {columns}, CAST(0 AS BIGINT) AS place FROM tail_none")
        connection.execute("SET preserve_insertion_order TO true")
        connection.execute("CREATE TEMP TABLE tail AS " + " UNION ALL ".join(parts))
        names = ", ".join(f'"{name}"' for name in STANDING.names)
        found = connection.sql(f"SELECT {names} FROM ({FOLD}) AS folded ORDER BY subject_ref, rule, id")
        return found.to_arrow_table().cast(STANDING)


@contextmanager
def _open_engine(output: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        TemporaryDirectory(dir=output, prefix=".spill-") as spill,
        duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": spill}) as connection,
    ):
        connection.execute("SET preserve_insertion_order TO false")
        connection.execute("SET TimeZone = 'UTC'")
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise FatalError(
                f"预警记录内存不足 / the warning log needs more than {memory_limit} of memory or disk",
                hint="raise XINQIAO_MEMORY_LIMIT, or free disk space for spilling",
            ) from error


def _register_earlier(
    connection: duckdb.DuckDBPyConnection, name: str, runs: Sequence[EarlierGrades], *, first: int = 0
) -> None:
    """A view of the grades of ``runs``, with the run's day and its ``number`` from ``first``."""
    connection.register(f"{name}_none", _EARLIER.empty_table())
    columns = ", ".join(_EARLIER.names)
    parts = [f"SELECT {columns}, CAST(NULL AS DATE) AS as_of, 0 AS number FROM {name}_none"]
    for number, run in enumerate(runs, start=first):
        connection.register(f"{name}_{number}", run.grades)
        day = f"CAST('{run.as_of.isoformat()}' AS DATE)"
        parts.append(f"SELECT {columns}, {day} AS as_of, {number} AS number FROM {name}_{number}")
    connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(parts)}")


def _register_cycles(
    connection: duckdb.DuckDBPyConnection, now: EarlierGrades, cycles: Sequence[EarlierGrades]
) -> None:
    _register_earlier(connection, "cycles", [now, *cycles])


def _describe_rules(table: WarningTable, as_of: date, earlier: Sequence[EarlierGrades]) -> pa.Table:
    rows = [_describe_rule(rule, place, as_of, earlier) for place, rule in enumerate(table.rules)]
    return pa.Table.from_pylist(rows, schema=RULES)


def _describe_rule(rule: WarningRule, place: int, as_of: date, earlier: Sequence[EarlierGrades]) -> dict[str, object]:
    clears, fall = rule.clears, rule.fall
    return {
        "rule": rule.id,
        "place": place,
        "rule_level": rule.level,
        "by_state": rule.near_band is not None or rule.above is not None,
        "by_fall": fall is not None,
        "holds_for": rule.within if rule.counts and rule.state != "listed" else None,
        "quiet": clears.quiet if clears else None,
        "grade": clears.grade if clears else None,
        "runs": clears.runs if clears else None,
        "recovered": bool(clears and clears.recovered),
        "expires_after": rule.expires_after,
        "into_grade": fall.into if fall else None,
        "fallen_grades": fall.grades if fall else None,
        "fallen_points": fall.points if fall else None,
        "since": window_start(as_of, fall.within or 0, [run.as_of for run in earlier]) if fall else None,
    }


def window_start(as_of: date, days: int, runs: Sequence[date]) -> date:
    """The day of the run that stood when a window of ``days`` up to ``as_of`` began; ``runs``: days before, ascending.

    A grade holds until the next run: what stood at the beginning counts, however old its run is.
    """
    begins = as_of - timedelta(days=days)
    return max((day for day in runs if day <= begins), default=min(runs, default=begins))


def _describe_levels(table: WarningTable, as_of: date, resolved: ResolvedModel) -> pa.Table:
    def describe(name: str, level: Level) -> dict[str, object]:
        limit = level.sign_within
        return {
            "level": name,
            "rank": level.rank,
            "sign_by": add_working_days(as_of, limit, resolved.calendar) if limit else None,
            "escalates_to": level.escalates_to,
            "escalated_rank": table.levels[level.escalates_to].rank if level.escalates_to else None,
        }

    return pa.Table.from_pylist([describe(name, level) for name, level in table.levels.items()], schema=LEVELS)


def _write(
    connection: duckdb.DuckDBPyConnection,
    resolved: ResolvedModel,
    as_of: date,
    output: Path,
    numbers: Mapping[str, int],
) -> RecordedEvents:
    domain = resolved.model.id
    written = {}
    for name, query, schema in (("events", EVENTS_TOLD, EVENTS), ("standing", STANDING_AFTER, STANDING)):
        columns = ", ".join(f'"{column}"' for column in schema.names)
        parameters = {"as_of": as_of} if "$as_of" in query else None
        told = connection.sql(f"SELECT {columns} FROM ({query}) AS told", params=parameters)
        reader: pa.RecordBatchReader = told.to_arrow_reader(BATCH_ROWS)
        batches = (_name_warnings(domain, batch) for batch in reader)
        written[name] = join_files(name, [write_shard_file(output, WHOLE, name, batches, schema)])
    given = connection.execute(
        "SELECT raised_level, count(*) FROM numbered WHERE kind = 'raised' GROUP BY ALL"
    ).fetchall()
    return RecordedEvents(
        events=written["events"],
        standing=written["standing"],
        events_by_kind=_count(connection, "kind", "kind IS NOT NULL"),
        open_by_level=_count(connection, "level", "state <> 'over'"),
        numbers={**numbers, **{level: numbers.get(level, 0) + count for level, count in given}},
        burst_subjects=_count_burst(connection, resolved.warnings, as_of),
    )


def _name_warnings(domain: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Derive the ids of what was raised: domain, subject, rule, first trigger (semantics §4)."""
    place = batch.schema.get_field_index("id")
    ids = batch.column(place)
    if ids.null_count == 0:
        return batch
    keys = zip(
        ids.to_pylist(), *(batch.column(name).to_pylist() for name in ("subject_ref", "rule", "trigger")), strict=True
    )
    named = pa.array([known or str(derive_uuid(domain, *key)) for known, *key in keys], pa.string())
    return batch.set_column(place, "id", named)


def _count(connection: duckdb.DuckDBPyConnection, column: str, condition: str) -> dict[str, int]:
    query = f"SELECT {column}, count(*) FROM numbered WHERE {condition} GROUP BY {column} ORDER BY {column}"
    return dict(connection.execute(query).fetchall())


def _count_burst(connection: duckdb.DuckDBPyConnection, table: WarningTable, as_of: date) -> int:
    """Subjects whose first trigger lies within the burst's window and that stand at its level or worse."""
    if table.burst is None:
        return 0
    counted = connection.execute(
        "SELECT count(DISTINCT subject_ref) FROM numbered WHERE state <> 'over' AND rank <= $rank "
        "AND coalesce(triggered_on, raised_on) > $since",
        {"rank": table.levels[table.burst.from_level].rank, "since": as_of - timedelta(days=table.burst.within)},
    ).fetchone()
    return int(counted[0]) if counted else 0
