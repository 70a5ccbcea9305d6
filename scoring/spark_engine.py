"""The engine on Apache Spark: the same steps as ``scoring.engine``, rendered for Spark and run by a cluster.

Pure but for the session it is given: what Spark reads is the caller's business. Rows come back in the
artefacts' own order and are written and digested here, so that a replay need not ask which engine it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from exchange_formats.errors import FatalError
from exchange_formats.shards import ShardResult, split_shards
from scoring.artefacts import BATCH_ROWS
from scoring.compiler import Program, Step, compile_model
from scoring.engine import check_columns, check_profiles
from scoring.evaluations import GRADE_COUNTS, Evaluation, combine_shards, write_shard
from scoring.resolution import ResolvedModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What a session must be configured with so that Spark computes what DuckDB does: an overflow is an error,
#: decimals are exact, a day is a day wherever the cluster stands.
SESSION: Final[Mapping[str, str]] = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.session.timeZone": "UTC",
}


def evaluate_frames(
    session: SparkSession,
    resolved: ResolvedModel,
    frames: Mapping[str, DataFrame],
    as_of: date,
    output: Path,
    *,
    shards: int = 1,
) -> Evaluation:
    """As ``scoring.engine.evaluate``, of inputs that Spark reads.

    Args:
        session: configured with ``SESSION``; its temporary views of this program's names are replaced.
        resolved: the model in force on ``as_of``, with its tables.
        frames: ``department/dataset`` → all versions of all its records.
        as_of: the end of that day in Asia/Shanghai.
        output: an existing folder of this machine for the artefacts' files.
        shards: how many parts to score one after the other; this process holds one artefact of one part at a time.

    Raises:
        FatalError: the profiles are missing, an input lacks a column, the session is configured otherwise.
    """
    for name, value in SESSION.items():
        if session.conf.get(name) != value:
            raise FatalError(f"Spark 会话配置不符 / the Spark session computes otherwise: {name} is not {value}")
    check_profiles(resolved, frames)
    results = []
    for shard in split_shards(shards):
        program = compile_model(resolved, as_of, frames.keys(), shard)
        results.append(_run(session, program, frames, output))
    return combine_shards(resolved, frames.keys(), as_of, output, results)


def _run(session: SparkSession, program: Program, frames: Mapping[str, DataFrame], output: Path) -> ShardResult:
    for source, name in program.inputs.items():
        check_columns(source, frames[source].columns)
        frames[source].createOrReplaceTempView(name)
    try:
        for step in program.steps:
            frame = session.sql(step.sql("spark"))
            if not step.view:
                # Not cached: a plan that holds cached plans is described in full at each use, exponentially.
                frame = frame.localCheckpoint()
            frame.createOrReplaceTempView(step.name)
        counts = [tuple(row) for row in session.sql(GRADE_COUNTS).collect()]
        return write_shard(program, output, lambda step: _read(session, step), counts)
    finally:
        for step in program.steps:
            session.catalog.dropTempView(step.name)


def _read(session: SparkSession, step: Step) -> Iterator[pa.RecordBatch]:
    yield from session.sql(step.sql("spark")).toArrow().to_batches(BATCH_ROWS)
