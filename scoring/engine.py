"""The engine: a compiled model run by DuckDB in this process, its results written as Arrow files.

Pure but for its own temporary files: the same inputs, model and day give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from exchange_formats.datasets import LINEAGE_FIELDS
from exchange_formats.digests import derive_uuid, digest_relation
from exchange_formats.errors import FatalError
from exchange_formats.results import ARTEFACTS, MEASURES, WARNINGS
from scoring.artefacts import BATCH_ROWS, ArtefactFile, write_artefact
from scoring.compiler import Program, Step, compile_model
from scoring.outputs import measures_of
from scoring.plan import dataset_of
from scoring.resolution import ResolvedModel

DEFAULT_MEMORY_LIMIT: Final = "2GB"
Input: TypeAlias = pads.Dataset | pa.Table


@dataclass(frozen=True)
class Evaluation:
    """What a run found. ``not_collected``: indicators and overrides that lack (some of) their data."""

    artefacts: tuple[ArtefactFile, ...]
    subjects: int
    subjects_by_grade: Mapping[str, int]
    warnings_by_level: Mapping[str, int]
    not_collected: tuple[str, ...]


def evaluate(
    resolved: ResolvedModel,
    inputs: Mapping[str, Input],
    as_of: date,
    output: Path,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
) -> Evaluation:
    """Score every subject and write ``grades``, ``evidence``, ``warnings``, ``measures`` and ``unmatched``.

    Args:
        resolved: the model in force on ``as_of``, with its tables.
        inputs: ``department/dataset`` → all versions of all its records, with the columns ``Lake.records`` gives.
            What the model does not use is ignored; what it uses and lacks is ``not_collected``.
        as_of: the end of that day in Asia/Shanghai.
        output: an existing folder for ``<artefact>.arrow``.
        memory_limit: what DuckDB may hold in memory before it spills to ``output``'s disk.
        threads: DuckDB's threads; all cores by default. The result does not depend on it.

    Raises:
        FatalError: the profiles are missing, an input lacks a column, or memory or disk do not suffice.
    """
    source = resolved.model.subjects_source
    if source not in inputs:
        raise FatalError(f"没有主体基本信息 {source} / the profiles {source} are not among the inputs")
    program = compile_model(resolved, as_of, inputs.keys())
    settings = {"memory_limit": memory_limit, "preserve_insertion_order": "false"}
    with (
        TemporaryDirectory(dir=output, prefix=".spill-") as spill,
        closing(duckdb.connect(config={**settings, "temp_directory": spill})) as connection,
    ):
        if threads is not None:
            connection.execute(f"SET threads TO {int(threads)}")
        try:
            return _run(connection, program, inputs, output)
        except duckdb.OutOfMemoryException as error:
            raise FatalError(
                f"评分内存不足 / scoring {resolved.name} needs more than {memory_limit} of memory or disk",
                hint="raise XINQIAO_MEMORY_LIMIT, or free disk space for spilling",
            ) from error
        except duckdb.IOException as error:
            raise FatalError(f"评分读写失败 / scoring {resolved.name} cannot read or write: {error}") from error


def _run(
    connection: duckdb.DuckDBPyConnection, program: Program, inputs: Mapping[str, Input], output: Path
) -> Evaluation:
    for source, name in program.inputs.items():
        _check_columns(source, inputs[source])
        connection.register(name, inputs[source])
    for step in program.steps:
        connection.execute(f'CREATE TEMP TABLE "{step.name}" AS {step.sql()}')
    model = program.plan.resolved.model
    files = []
    for step in program.outputs:
        batches = _read(connection, step)
        if step.name == "warnings":
            batches = (_name_warnings(model.id, batch) for batch in batches)
        files.append(_write(connection, step.name, output, batches))
    files.append(_write(connection, "measures", output, iter([_count_measures(connection, program)])))
    grades = connection.execute("SELECT grade, count(*) FROM graded GROUP BY grade ORDER BY grade").fetchall()
    levels = connection.execute("SELECT level, count(*) FROM warnings_file GROUP BY level ORDER BY level").fetchall()
    order = {name: place for place, name in enumerate(ARTEFACTS)}
    return Evaluation(
        artefacts=tuple(sorted(files, key=lambda file: order[file.name])),
        subjects=sum(count for _, count in grades),
        subjects_by_grade=dict(grades),
        warnings_by_level=dict(levels),
        not_collected=program.plan.not_collected,
    )


def _check_columns(source: str, given: Input) -> None:
    wanted = [*dataset_of(source).schema, *LINEAGE_FIELDS]
    missing = [field.name for field in wanted if field.name not in given.schema.names]
    if missing:
        raise FatalError(f"输入 {source} 缺少列 / input {source} lacks columns: {', '.join(missing)}")


def _read(connection: duckdb.DuckDBPyConnection, step: Step) -> Iterator[pa.RecordBatch]:
    reader: pa.RecordBatchReader = connection.sql(step.sql()).to_arrow_reader(BATCH_ROWS)
    yield from reader


def _name_warnings(domain: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Put the derived id in front: domain, subject, rule, first trigger (semantics §4)."""
    keys = zip(*(batch.column(name).to_pylist() for name in ("subject_ref", "rule", "first_trigger")), strict=True)
    ids = pa.array([str(derive_uuid(domain, *key)) for key in keys], pa.string())
    return pa.RecordBatch.from_arrays([ids, *batch.columns], names=WARNINGS.names)


def _count_measures(connection: duckdb.DuckDBPyConnection, program: Program) -> pa.RecordBatch:
    """The rows of MEASURES: for how many subjects each measure follows from each grade."""
    counted = connection.execute(
        "SELECT g.grade, count(v.subject_ref), count(*) - count(v.subject_ref) FROM graded AS g "
        "LEFT JOIN severe AS v ON v.subject_ref = g.subject_ref GROUP BY g.grade"
    ).fetchall()
    subjects: dict[tuple[str, str], int] = {}
    for grade, severe, others in counted:
        for listed, count in ((True, severe), (False, others)):
            for code in measures_of(program.plan, grade, severe=listed):
                subjects[grade, code] = subjects.get((grade, code), 0) + count
    table = program.plan.resolved.measures.measures
    rows = [
        {
            "grade": grade,
            "code": code,
            "title": table[code].title,
            "title_en": table[code].title_en,
            "basis": list(table[code].basis),
            "subjects": count,
        }
        for (grade, code), count in sorted(subjects.items())
        if count
    ]
    return pa.RecordBatch.from_pylist(rows, schema=MEASURES)


def _write(
    connection: duckdb.DuckDBPyConnection, name: str, output: Path, batches: Iterator[pa.RecordBatch]
) -> ArtefactFile:
    path = output / f"{name}.arrow"
    schema = ARTEFACTS[name]
    rows = write_artefact(path, schema, batches)
    # The digest is of what the file says, read back.
    connection.register(f"{name}_file", pads.dataset(path, format="ipc"))
    return ArtefactFile(name, path, rows, digest_relation(connection, f"{name}_file", schema))
