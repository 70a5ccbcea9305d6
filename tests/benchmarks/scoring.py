"""Scoring a province: against the same model written by hand, how it grows, and all models over the demo's.

The peer is ``handwritten.sql``. It gives grades with score and no more, so that the ratio is of the
compiled steps that give the same; what reasons, evidence, warnings, files and digests cost is a
figure of its own. Every size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from statistics import linear_regression
from typing import Final

import duckdb
import pyarrow.dataset as pads
from pydantic import TypeAdapter

from connectors.lake import Lake
from exchange_formats.shards import Shard, split_shards
from gateway.evaluation import choose_day, evaluate_domain
from gateway.simulators.province import land_province
from gateway.simulators.universe import draw_universe
from scoring.compiler import Program, Step, compile_model, store_shared
from scoring.engine import evaluate
from scoring.library import load_models
from scoring.model import PUBLIC_CREDIT_DOMAINS
from scoring.resolution import ResolvedModel, resolve
from tests.benchmarks.measurement import Figure, peak_megabytes
from tests.benchmarks.province import count_records, write_province
from tests.fakes import MemoryStore
from tests.pulls import KEY

AS_OF: Final = date(2026, 6, 30)
MEMORY_LIMIT: Final = "5GB"
THREADS: Final = 2
#: Subjects of one shard.
MOST_SUBJECTS: Final = 2_800_000
#: Of every size that the growth is measured at: a fraction of the largest.
FRACTIONS: Final = (110, 35, 11, 4, 1)
_HANDWRITTEN: Final = Path(__file__).with_name("handwritten.sql")
_COLUMNS: Final = "subject_ref, subject_name, city_code, score, computed_grade, grade"


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all processors: what else runs on the machine is in the first only."""

    clock: float = 0.0
    processor: float = 0.0


@dataclass(frozen=True)
class Scored:
    """One size: what each part took, and the peak memory of the whole evaluation."""

    subjects: int
    records: int
    peak_mb: float
    whole: Spent
    grades_alone: Spent = Spent()
    handwritten: Spent = Spent()


def score_province(subjects: int) -> list[Figure]:
    """One domain at five sizes up to ``subjects``; at the largest its grades alone against the query by hand.

    Exponents are of the whole evaluation's time over the sizes, by the clock and of the processors.
    """
    found = []
    for fraction in FRACTIONS:
        with _province(subjects // fraction) as folder:
            found.append(_measure_apart("compare" if fraction == 1 else "whole", folder, subjects // fraction))
    last = found[-1]
    clock, processor = (
        fit_exponent([(one.subjects, getattr(one.whole, kind)) for one in found]) for kind in ("clock", "processor")
    )
    smallest = found[0].subjects / found[0].whole.clock
    figures = [
        Figure(
            f"score {one.subjects:,} subjects, {one.records:,} records, {one.whole.clock:,.0f} s",
            "subjects",
            one.subjects / one.whole.clock,
            "smallest size",
            smallest,
            one.peak_mb,
        )
        for one in found
    ]
    grades, peer = last.grades_alone, last.handwritten
    both = ("by the clock", grades.clock, peer.clock), ("of processors", grades.processor, peer.processor)
    figures += [
        Figure(
            f"its grades alone, {ours:,.0f} s {what}",
            "subjects",
            last.subjects / ours,
            f"by hand {theirs:,.0f} s",
            last.subjects / theirs,
            last.peak_mb,
        )
        for what, ours, theirs in both
    ]
    exponents = f"growth: time ~ subjects^{clock:.3f} by the clock, ^{processor:.3f} of processors"
    return [*figures, Figure(exponents, "subjects", last.subjects / last.whole.clock, "smallest size", smallest, 0.0)]


def score_models(subjects: int) -> list[Figure]:
    """All models, public credit first, over the demonstration province of so many subjects, against one minute."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = Lake(MemoryStore(), folder / "cache")
        universe = draw_universe(subjects=subjects, seed=2019, today=AS_OF)
        land_province(lake, universe, pseudonyms=KEY, folder=folder)
        models = load_models()
        public = [domain for domain in models.by_id if domain in PUBLIC_CREDIT_DOMAINS.values()]
        others = [domain for domain in models.by_id if domain not in public]
        start = time.perf_counter()
        scored = 0
        for domain in [*public, *others]:
            day = choose_day(domain, AS_OF, models)
            scored += evaluate_domain(domain, as_of=day, lake=lake, models=models, spool=folder / "spool").subjects
        took = time.perf_counter() - start
    name = f"all {len(models.by_id)} models, {scored:,} gradings, {took:,.1f} s"
    return [Figure(name, "gradings", scored / took, "in a minute", scored / 60, peak_megabytes())]


def choose_shards(subjects: int) -> int:
    """As many as leave each no more than what fits into memory: half a million subjects a gigabyte."""
    count = 1
    while subjects / count > MOST_SUBJECTS:
        count *= 2
    return count


def fit_exponent(points: Iterable[tuple[float, float]]) -> float:
    """The slope of the least-squares line through the logarithms."""
    sizes, seconds = zip(*points, strict=True)
    return linear_regression([math.log(size) for size in sizes], [math.log(took) for took in seconds]).slope


@contextmanager
def _province(subjects: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-province-"))
    try:
        write_province(folder, subjects)
        yield folder
    finally:
        shutil.rmtree(folder)


def _measure_apart(what: str, folder: Path, subjects: int) -> Scored:
    command = [sys.executable, "-m", "tests.benchmarks.scoring", what, str(folder), str(subjects)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    sys.stderr.write(answer.stdout)
    return TypeAdapter(Scored).validate_json(answer.stdout)


def _measure(what: str, folder: Path, subjects: int) -> Scored:
    """In this process: the whole evaluation first, for its peak; then grades alone, and the query by hand."""
    inputs = {
        path.stem.replace("-", "/", 1): pads.dataset(path, format="ipc") for path in sorted(folder.glob("*.arrow"))
    }
    models = load_models()
    resolved = resolve(models.by_id["enterprise_environment"], AS_OF, models.tables)
    output = folder / "out"
    output.mkdir()
    whole = _spend(
        lambda: evaluate(
            resolved,
            inputs,
            AS_OF,
            output,
            shards=choose_shards(subjects),
            memory_limit=MEMORY_LIMIT,
            threads=THREADS,
        ),
    )
    shutil.rmtree(output)
    scored = Scored(subjects, count_records(subjects), peak_megabytes(), whole)
    if what == "whole":
        return scored
    compiled, ours = _grade_compiled(resolved, inputs, folder, choose_shards(subjects))
    by_hand, theirs = _grade_by_hand(inputs, folder)
    if ours != theirs:
        raise AssertionError("the handwritten query gives other rows")
    return replace(scored, grades_alone=compiled, handwritten=by_hand)


def _grade_compiled(
    resolved: ResolvedModel, inputs: Mapping[str, pads.Dataset], folder: Path, shards: int
) -> tuple[Spent, list[tuple[object, ...]]]:
    """The steps that ``grades`` needs for these columns, then the columns; one shard after the other."""
    query = (
        "SELECT subject_ref, subject_name, city_code, CASE WHEN NOT unscored THEN CAST(CAST(centi AS DECIMAL(18, 0)) "
        "* 0.01 AS DECIMAL(6, 2)) END AS score, computed_grade, grade FROM graded ORDER BY subject_ref"
    )

    def grade(shard: Shard) -> None:
        program = compile_model(resolved, AS_OF, inputs.keys(), shard)
        with _open(folder) as connection:
            for source, name in program.inputs.items():
                connection.register(name, inputs[source])
            for step in _steps_to(program, "graded"):
                connection.execute(step.statement())
            _write(connection, query, folder / f"compiled-{shard.index}.parquet")

    def grade_all() -> None:
        for shard in split_shards(shards):
            grade(shard)

    spent = _spend(grade_all)
    with _open(folder) as connection:
        return spent, _summarise(connection, folder / "compiled-*.parquet")


def _grade_by_hand(inputs: Mapping[str, pads.Dataset], folder: Path) -> tuple[Spent, list[tuple[object, ...]]]:
    with _open(folder) as connection:
        for source, dataset in inputs.items():
            connection.register(source.partition("/")[2], dataset)
        query = _HANDWRITTEN.read_text(encoding="utf-8")
        spent = _spend(lambda: _write(connection, query, folder / "handwritten.parquet"))
        return spent, _summarise(connection, folder / "handwritten.parquet")


def _steps_to(program: Program, name: str) -> tuple[Step, ...]:
    """The steps that step ``name`` is made of, itself included, in order, planned for it alone."""
    steps = {step.name: step for step in program.steps}
    wanted: set[str] = set()
    waiting = [name]
    while waiting:
        step = steps.get(waiting.pop())
        if step is not None and step.name not in wanted:
            wanted.add(step.name)
            waiting += step.reads
    return store_shared([replace(step, view=False) for step in program.steps if step.name in wanted], ())


@contextmanager
def _open(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = {"memory_limit": MEMORY_LIMIT, "preserve_insertion_order": "false", "threads": str(THREADS)}
    with duckdb.connect(config={**settings, "temp_directory": str(folder / "spill")}) as connection:
        yield connection


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def _summarise(connection: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[object, ...]]:
    """Counts and an order-free hash of all rows: equal for equal rows."""
    whole = f"SELECT 'all', count(*), CAST(bit_xor(hash({_COLUMNS})) AS VARCHAR) FROM '{path}'"
    grades = f"SELECT grade, count(*), CAST(sum(score) AS VARCHAR) FROM '{path}' GROUP BY grade ORDER BY grade"
    return [*connection.execute(whole).fetchall(), *connection.execute(grades).fetchall()]


def _spend(work: Callable[[], object]) -> Spent:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - clock, time.process_time() - processor)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))))  # noqa: T201
