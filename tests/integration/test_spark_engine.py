"""Spark: two workers read the lake themselves, and every artefact is row for row what DuckDB says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.lake import Lake
from exchange_formats.results import ARTEFACTS
from gateway.cuts import Cut
from gateway.evaluation import InProcess
from gateway.spark_engine import OnSpark, open_session
from scoring.compiler import compile_model
from scoring.engine import evaluate
from scoring.evaluations import Evaluation
from scoring.model import Model
from scoring.resolution import resolve
from scoring.spark_engine import evaluate_frames
from tests.fakes import MemoryStore
from tests.lake_samples import land
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, SAFETY, complaint, incident, join_inputs, penalty, read_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: A master and two workers, each with an executor process of one core.
CLUSTER = "local-cluster[2,1,1024]"
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
}
PUBLIC = MODELS.by_id["public_credit_enterprise"]


class FolderStore(MemoryStore):
    """Objects in a folder that several processes see."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def put_bytes(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def get_bytes(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def list_keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and str(path.relative_to(self.folder)).startswith(prefix)
        )


def open_folder_lake(store: Path, cache: Path) -> Lake:
    """What a worker calls."""
    return Lake(FolderStore(store), cache)


def make_subjects(number: int, seed: int) -> list[dict[str, Any]]:
    """Subjects whose records repeat, are old, repaired, objected to or not final yet."""
    draw = random.Random(seed)

    def day(months: int) -> str:
        return (AS_OF - timedelta(days=draw.randint(-20, months * 30))).isoformat()

    def one_penalty() -> dict[str, Any]:
        more: dict[str, Any] = {"kind": draw.choice(["fine", "warning", "licence_revoked"])}
        more["fine_yuan"] = draw.choice([None, 900, 30_000, 400_000, 3_000_000])
        more["repaired_on"] = draw.choice([None, None, date(2026, 6, 1), AS_OF])
        more["objection_from"] = draw.choice([None, None, date(2026, 6, 1)])
        return penalty(draw.choice(["1201", "1202", "1203", "1205", "2001", None]), day(40), **more)

    return [
        {
            "public_credit": draw.choice([None, 640, 815, 990]),
            "penalty": [one_penalty() for _ in range(draw.randint(0, 4))],
            "complaint": [complaint(day(30)) for _ in range(draw.randint(0, 2))],
            "incident": [incident(day(70)) for _ in range(draw.randint(0, 1))],
        }
        for _ in range(number)
    ]


def make_inputs(model: Model, number: int, seed: int) -> dict[str, pa.Table]:
    """Their records, every tenth of which is there again in a newer version of the next subject."""
    departments = {"public_credit_enterprise": {"complaint": None, "incident": None, "public_credit": None}}
    left_out = departments.get(model.id, {})
    subjects = [{k: v for k, v in one.items() if k not in left_out} for one in make_subjects(number, seed)]
    if model is PUBLIC:
        subjects = [
            {"market_regulation__penalty": one["penalty"], "ecology_environment__penalty": one["penalty"][:1]}
            for one in subjects
        ]
    inputs = join_inputs(model, subjects)
    for source in [one for one in inputs if one.endswith("/penalty")]:
        inputs[source] = pa.concat_tables([inputs[source], correct_records(inputs[source])])
    return inputs


def correct_records(table: pa.Table) -> pa.Table:
    """A newer version of every tenth record, of the subject before."""
    rows = table.to_pylist()
    newer = [row | {"subject_ref": rows[place - 1]["subject_ref"], "row": 9} for place, row in enumerate(rows)][::10]
    return pa.Table.from_pylist(newer, schema=table.schema)


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    with open_session(CLUSTER, SETTINGS) as opened:
        yield opened


def assert_same(found: Evaluation, expected: Evaluation) -> None:
    for name in ARTEFACTS:
        rows = (sorted(read_rows(found, name), key=repr), sorted(read_rows(expected, name), key=repr))
        assert rows[0] == rows[1], name
    assert [(one.name, one.rows, one.rows_sha256) for one in found.artefacts] == [
        (one.name, one.rows, one.rows_sha256) for one in expected.artefacts
    ]
    said = [(one.subjects_by_grade, one.warnings_by_level, one.not_collected) for one in (found, expected)]
    assert said[0] == said[1]


@pytest.mark.semantics("3.30")
@pytest.mark.parametrize("model", [SAFETY, PUBLIC], ids=lambda model: model.id)
def test_spark_says_what_duckdb_says_when_the_province_is_random(
    model: Model, session: SparkSession, tmp_path: Path
) -> None:
    resolved = resolve(model, AS_OF, MODELS.tables)
    inputs = make_inputs(model, 150, seed=len(model.id))
    (tmp_path / "duckdb").mkdir()
    (tmp_path / "spark").mkdir()
    expected = evaluate(resolved, inputs, AS_OF, tmp_path / "duckdb")
    frames = {source: session.createDataFrame(table) for source, table in inputs.items()}
    assert_same(evaluate_frames(session, resolved, frames, AS_OF, tmp_path / "spark"), expected)
    assert len(expected.subjects_by_grade) >= 3, "or this compares little"


def test_workers_read_the_lake_themselves_when_a_cut_is_scored_in_shards(session: SparkSession, tmp_path: Path) -> None:
    lake = open_folder_lake(tmp_path / "store", tmp_path / "cache")
    inputs = make_inputs(ENVIRONMENT, 60, seed=3)
    heads: dict[str, tuple[str, ...]] = {}
    for source, table in inputs.items():
        half = len(table) // 2
        heads[source] = (land(lake, source, table.slice(0, half)).sha256,)
        heads[source] = (land(lake, source, table.slice(half)).sha256,)
    heads["ecology_environment/honour"] = ()
    cut = Cut(heads)
    resolved = resolve(ENVIRONMENT, AS_OF, MODELS.tables)
    (tmp_path / "duckdb").mkdir()
    (tmp_path / "spark").mkdir()
    expected = InProcess()(resolved, lake, cut, AS_OF, tmp_path / "duckdb")
    worker_cache = tmp_path / "workers"
    engine = OnSpark(partial(open_folder_lake, tmp_path / "store", worker_cache), CLUSTER, shards=2, settings=SETTINGS)
    assert_same(engine(resolved, lake, cut, AS_OF, tmp_path / "spark"), expected)
    fetched = {path.stem for path in worker_cache.rglob("*.arrow")}
    parts = [
        part
        for source, known in heads.items()
        for part in lake.parts(source.split("/")[0], source.split("/")[1], known)
    ]
    named = {part.part.sha256 for part in parts}
    assert fetched == named
    processes = session.sparkContext._jsc.sc().getExecutorMemoryStatus().size()
    assert processes == 3, "two executors and the driver"


def test_printed_sql_runs_in_spark_when_its_inputs_are_views(session: SparkSession, tmp_path: Path) -> None:
    resolved = resolve(ENVIRONMENT, AS_OF, MODELS.tables)
    inputs = make_inputs(ENVIRONMENT, 40, seed=5)
    program = compile_model(resolved, AS_OF, inputs.keys())
    session.sql("CREATE DATABASE printed LOCATION '" + str(tmp_path / "printed") + "'")
    session.sql("USE printed")
    for source, name in program.inputs.items():
        session.createDataFrame(inputs[source]).createOrReplaceTempView(name)
    rows = [session.sql(one).toArrow() for one in split_statements(program.text("spark"))]
    (tmp_path / "duckdb").mkdir()
    expected = evaluate(resolved, inputs, AS_OF, tmp_path / "duckdb")
    grades = rows[-len(program.outputs)].to_pylist()
    assert [(row["subject_ref"], row["grade"], row["score"]) for row in grades] == [
        (row["subject_ref"], row["grade"], row["score"]) for row in read_rows(expected, "grades")
    ]
    session.sql("USE default")
    session.sql("DROP DATABASE printed CASCADE")


def split_statements(text: str) -> list[str]:
    """The statements of a printed program; none holds a semicolon."""
    return [one for one in text.split(";\n") if one.strip()]
