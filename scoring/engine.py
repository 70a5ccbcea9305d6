"""The engine: a compiled model run by DuckDB in this process, its results written as Arrow files.

Pure but for its own temporary files: the same inputs, model and day give the same bytes. The
subjects may be scored in shards, one after the other or by several processes; what comes out are
the same rows with the same digests, in as many files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from exchange_formats.errors import FatalError
from exchange_formats.shards import Shard, ShardResult, split_shards
from scoring.artefacts import BATCH_ROWS
from scoring.compiler import Program, Step, compile_model
from scoring.evaluations import GRADE_COUNTS, Evaluation, combine_shards, write_shard
from scoring.plan import input_schema
from scoring.resolution import ResolvedModel

DEFAULT_MEMORY_LIMIT: Final = "2GB"
Input: TypeAlias = pads.Dataset | pa.Table


def evaluate(
    resolved: ResolvedModel,
    inputs: Mapping[str, Input],
    as_of: date,
    output: Path,
    *,
    shards: int = 1,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
) -> Evaluation:
    """Score every subject and write ``grades``, ``evidence``, ``warnings``, ``measures`` and ``unmatched``.

    Args:
        resolved: the model in force on ``as_of``, with its tables.
        inputs: ``department/dataset`` → all versions of all its records, with the columns ``Lake.records`` gives.
            What the model does not use is ignored; what it uses and lacks is ``not_collected``.
        as_of: the end of that day in Asia/Shanghai.
        output: an existing folder for the artefacts' files.
        shards: how many parts to score one after the other (1, 2, 4 … 64): the more, the less memory.
        memory_limit: what DuckDB may hold in memory before it spills to ``output``'s disk.
        threads: DuckDB's threads; all cores by default. The result does not depend on it.

    Raises:
        FatalError: the profiles are missing, an input lacks a column, or memory or disk do not suffice.
        ValueError: the subjects cannot be parted into so many shards.
    """
    results = [
        evaluate_shard(resolved, inputs, as_of, output, shard, memory_limit=memory_limit, threads=threads)
        for shard in split_shards(shards)
    ]
    return combine_shards(resolved, inputs.keys(), as_of, output, results)


def evaluate_shard(
    resolved: ResolvedModel,
    inputs: Mapping[str, Input],
    as_of: date,
    output: Path,
    shard: Shard,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
) -> ShardResult:
    """``evaluate`` for one shard of the subjects: its files in ``output``, but for ``measures``, which span all."""
    check_profiles(resolved, inputs)
    program = compile_model(resolved, as_of, inputs.keys(), shard)
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
                hint="raise XINQIAO_MEMORY_LIMIT, score in more shards, or free disk space for spilling",
            ) from error
        except duckdb.IOException as error:
            raise FatalError(f"评分读写失败 / scoring {resolved.name} cannot read or write: {error}") from error


def check_profiles(resolved: ResolvedModel, inputs: Mapping[str, object]) -> None:
    """FatalError where the profiles that say who is scored are not among the inputs."""
    for source in resolved.model.subjects_sources:
        if source not in inputs:
            raise FatalError(f"没有主体基本信息 {source} / the profiles {source} are not among the inputs")


def check_columns(source: str, names: Collection[str]) -> None:
    """FatalError where an input lacks a column of its dataset."""
    missing = [name for name in input_schema(source).names if name not in names]
    if missing:
        raise FatalError(f"输入 {source} 缺少列 / input {source} lacks columns: {', '.join(missing)}")


def _run(
    connection: duckdb.DuckDBPyConnection, program: Program, inputs: Mapping[str, Input], output: Path
) -> ShardResult:
    for source, name in program.inputs.items():
        check_columns(source, inputs[source].schema.names)
        connection.register(name, inputs[source])
    for step in program.steps:
        connection.execute(step.statement())
    counts = connection.execute(GRADE_COUNTS).fetchall()
    return write_shard(program, output, lambda step: _read(connection, step), counts)


def _read(connection: duckdb.DuckDBPyConnection, step: Step) -> Iterator[pa.RecordBatch]:
    reader: pa.RecordBatchReader = connection.sql(step.sql()).to_arrow_reader(BATCH_ROWS)
    yield from reader
