"""The benchmarks: unified codes, validation, landing, scoring."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.ipc as paipc

from connectors.connection import Connection
from connectors.department import DatasetMapping
from connectors.lake import Lake
from connectors.landing import Target, land
from connectors.mapping import Mapper
from connectors.sources import RejectedInput
from connectors.sources.files import FileReader, open_file
from exchange_formats.datasets import LINEAGE_FIELDS, Dataset, load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.subjects import check_unified_codes
from scoring.engine import evaluate
from scoring.library import load_models
from scoring.resolution import resolve
from tests import dataset_samples
from tests.benchmarks.measurement import Figure, clock, peak_megabytes
from tests.dataset_samples import write_sample
from tests.fakes import MemoryStore
from tests.pulls import CODES, KEY, UNTIL

AS_OF = date(2026, 6, 30)


def check_codes(rows: int) -> list[Figure]:
    """Unified codes checked in a batch, against python-stdnum's one by one."""
    from stdnum.cn import uscc

    codes = pa.array([CODES[number % len(CODES)] for number in range(rows)])
    sample = codes.slice(0, min(rows, 20_000)).to_pylist()
    ours = rows / clock(lambda: check_unified_codes(codes))
    theirs = len(sample) / clock(lambda: [uscc.is_valid(code) for code in sample])
    return [Figure("check unified codes", "codes", ours, "python-stdnum", theirs, peak_megabytes())]


def validate_datasets(rows: int) -> list[Figure]:
    """A CSV of each dataset read and checked on one core, against pyarrow reading the same file alone.

    Processor time is compared, so that what else runs on the machine says little. A tenth of ``rows`` a dataset.
    """
    pa.set_cpu_count(1)
    return [_validate_dataset(dataset, max(rows // 10, 1)) for dataset in load_catalogue().values()]


def _validate_dataset(dataset: Dataset, rows: int) -> Figure:
    with tempfile.TemporaryDirectory() as name:
        sample = write_sample(dataset, Path(name) / f"{dataset.id}.csv", rows)
        mapper = Mapper("bench", dataset, sample.mapping, Window(until=dataset_samples.UNTIL), KEY)

        def validate() -> None:
            rejected = seen = 0
            with open_file(sample.mapping, sample.path) as reader:
                for page in reader:
                    assert not isinstance(page, RejectedInput)
                    mapped = mapper.map(page.batch, origin=page.origin, first_row=page.first_row, position=seen + 1)
                    seen += page.batch.num_rows
                    rejected += mapped.rejects.num_rows
            if (seen, rejected) != (sample.rows, sample.rejected):
                raise AssertionError((dataset.id, seen, rejected))

        ours = rows / clock(validate, timer=time.process_time)
        peak = peak_megabytes()
        plain = pacsv.ReadOptions(use_threads=False)
        theirs = rows / clock(lambda: pacsv.read_csv(sample.path, read_options=plain), timer=time.process_time)
    return Figure(f"validate {dataset.id}", "rows", ours, "pyarrow read_csv, one core", theirs, peak)


def land_profiles(rows: int) -> list[Figure]:
    """A CSV of profiles mapped, checked, reconciled and written as a batch, against pyarrow reading and writing it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drop = folder / "drop"
        drop.mkdir()
        _write_profiles(drop / "profile.csv", rows)
        mapping, dataset = _profile_mapping(), load_catalogue()["profile"]
        connection = Connection("bench", "fs", extra={"path": str(drop)})

        def land_all() -> None:
            lake = Lake(MemoryStore(), folder / "cache")
            target = Target("market_regulation", dataset, mapping, Window(until=UNTIL))
            with FileReader(mapping, connection) as reader:
                landed = land(reader, target, lake=lake, pseudonyms=KEY, spool=folder)
            if landed.counts.landed != rows:
                raise AssertionError(landed.counts)

        ours = rows / clock(land_all, repeat=1)
        peak = peak_megabytes()
        theirs = rows / clock(lambda: _copy_plainly(drop / "profile.csv", folder / "plain.arrow"))
        return [Figure("land a CSV", "rows", ours, "pyarrow read_csv + write IPC", theirs, peak)]


def score_subjects(rows: int) -> list[Figure]:
    """``rows`` subjects with three records each through the whole model, against one grouped count of its inputs."""
    models = load_models()
    model = models.by_id["enterprise_environment"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = _write_inputs(folder, rows)
        resolved = resolve(model, AS_OF, models.tables)

        def score() -> None:
            output = folder / "out"
            output.mkdir(exist_ok=True)
            found = evaluate(resolved, inputs, AS_OF, output, memory_limit="2GB")
            if found.subjects != rows:
                raise AssertionError(found.subjects)

        ours = rows / clock(score, repeat=1)
        peak = peak_megabytes()
        theirs = rows / clock(lambda: _count_plainly(inputs))
        return [Figure("score subjects", "subjects", ours, "DuckDB: join and count the same files", theirs, peak)]


BENCHMARKS: Mapping[str, Callable[[int], list[Figure]]] = {
    "codes": check_codes,
    "validate": validate_datasets,
    "land": land_profiles,
    "score": score_subjects,
}


def _write_profiles(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("编号,统一社会信用代码,名称,类型,成立日期,注册资金\n")
        for number in range(rows):
            file.write(f"{number},{CODES[number % len(CODES)]},示例企业{number},有限责任公司,2001-03-05,100万元\n")


def _profile_mapping() -> DatasetMapping:
    return DatasetMapping.model_validate(
        {
            "files": {"pattern": "*.csv", "format": "csv"},
            "key": ["编号"],
            "columns": {
                "subject_id": "统一社会信用代码",
                "subject_name": "名称",
                "enterprise_type": "类型",
                "registered_on": "成立日期",
                "registered_capital": "注册资金",
                "status": {"value": "active"},
            },
        }
    )


def _copy_plainly(source: Path, target: Path) -> None:
    table = pacsv.read_csv(source)
    with paipc.new_file(target, table.schema, options=paipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)


def _write_inputs(folder: Path, subjects: int) -> dict[str, pads.Dataset]:
    """Profiles, a public-credit result each, and penalties, inspections, complaints: three records in all."""
    own, platform = "ecology_environment", "provincial_platform"
    code = "'913301' || lpad(CAST({n} AS VARCHAR), 11, '0') || 'X'"
    system = f"lpad(CAST(i AS VARCHAR), 32, '0') AS record_id, {code.format(n='i % ' + str(subjects))} AS subject_ref"
    day = "DATE '2024-01-01' + CAST(i % 880 AS INTEGER)"
    penalty = (
        "'文书' || i AS document_no, 'fine' AS kind, CAST(i % 2000000 AS DECIMAL(18,2)) AS fine_yuan, "
        "'12' || lpad(CAST(1 + i % 11 AS VARCHAR), 2, '0') AS violation_code"
    )
    result = "CASE WHEN i % 3 = 0 THEN 'clean' ELSE 'rectify' END AS result"
    inspection = f"'任务' || i AS task_no, 'double_random' AS method, {result}"
    queries = {
        f"{own}/profile": (
            subjects,
            "'示例企业' AS subject_name, 'active' AS status, DATE '2001-01-01' AS registered_on",
        ),
        f"{platform}/public_credit": (
            subjects,
            "CAST(600 + i % 350 AS DECIMAL(6,2)) AS score, DATE '2026-06-01' AS evaluated_on",
        ),
        f"{own}/penalty": (subjects, f"{penalty}, {day} AS decided_on, {day} AS final_on"),
        f"{own}/inspection": (subjects, f"{inspection}, {day} AS inspected_on"),
        f"{own}/complaint": (subjects, f"'件' || i AS complaint_no, {day} AS filed_on, {day} AS substantiated_on"),
    }
    return {source: _write_dataset(folder, source, rows, system, own) for source, (rows, own) in queries.items()}


def _write_dataset(folder: Path, source: str, rows: int, system: str, columns: str) -> pads.Dataset:
    spec = load_catalogue()[source.partition("/")[2]]
    schema = pa.schema([*spec.schema, *LINEAGE_FIELDS])
    path = folder / f"{source.replace('/', '-')}.arrow"
    lineage = "i + 1 AS \"row\", 'batch' AS batch_id, 1 AS chain_sequence"
    query = f"SELECT {system}, {lineage}, {columns} FROM range({rows}) t(i)"
    with duckdb.connect() as connection, paipc.new_file(path, schema) as writer:
        for batch in connection.sql(query).to_arrow_reader(65_536):
            writer.write_batch(_complete(batch, schema))
    return pads.dataset(path, format="ipc")


def _complete(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with every column of the schema; what the query does not say is null."""

    def columns() -> Iterator[Any]:
        for field in schema:
            known = field.name in batch.schema.names
            yield batch.column(field.name).cast(field.type) if known else pa.nulls(batch.num_rows, field.type)

    nullable = pa.schema([field.with_nullable(True) for field in schema])  # noqa: FBT003
    return pa.RecordBatch.from_arrays(list(columns()), schema=nullable).cast(schema)


def _count_plainly(inputs: Mapping[str, pads.Dataset]) -> None:
    with duckdb.connect() as connection:
        for source, dataset in inputs.items():
            connection.register(source.replace("/", "_"), dataset)
        records = " UNION ALL ".join(
            f"SELECT subject_ref FROM {source.replace('/', '_')}" for source in inputs if not source.endswith("profile")
        )
        connection.execute(
            "CREATE TEMP TABLE counted AS SELECT p.subject_ref, count(r.subject_ref) AS n "
            f"FROM ecology_environment_profile p LEFT JOIN ({records}) r USING (subject_ref) GROUP BY ALL"
        )
