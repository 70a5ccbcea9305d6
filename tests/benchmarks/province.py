"""A province of any size on disk: profiles, public-credit results and records, as the lake holds them.

Drawn by DuckDB from hashes of row numbers, so that the same size gives the same rows. To eleven
million subjects there are ten million results and thirty million records; one record in fifty was
corrected and is there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.ipc as paipc

from exchange_formats.datasets import LINEAGE_FIELDS, load_catalogue

SUBJECTS: Final = 11_000_000
#: What a record says besides whose it is: {day} is a day of the five years before July 2026.
_DAY = "DATE '2021-08-01' + CAST(hash(i, 'day') % 1790 AS INTEGER)"
_FINE = (
    "CASE hash(i, 'kind') % 10 WHEN 0 THEN 'warning' WHEN 1 THEN 'licence_suspension' ELSE 'fine' END AS kind, "
    "CAST(exp(hash(i, 'fine') % 1000 / 70.0) AS DECIMAL(18,2)) AS fine_yuan, "
    "CASE WHEN hash(i, 'procedure') % 9 = 0 THEN 'simple' ELSE 'general' END AS procedure, "
    "CASE WHEN hash(i, 'code') % 8 < 6 THEN '120' || (1 + hash(i, 'code') % 7) END AS violation_code, "
    f"'文书' || i AS document_no, {_DAY} AS decided_on, "
    f"CASE WHEN hash(i, 'final') % 5 > 0 THEN {_DAY} + 15 END AS final_on, "
    f"CASE WHEN hash(i, 'repair') % 6 = 0 THEN {_DAY} + 200 END AS repaired_on"
)
_INSPECTION = (
    f"'任务' || i AS task_no, {_DAY} AS inspected_on, "
    "CASE hash(i, 'method') % 4 WHEN 0 THEN 'reported' WHEN 1 THEN 'special' ELSE 'double_random' END AS method, "
    "CASE WHEN hash(i, 'result') % 5 < 3 THEN 'clean' ELSE 'rectify' END AS result, "
    "CASE hash(i, 'code') % 40 WHEN 0 THEN '1207' WHEN 1 THEN '1208' END AS violation_code"
)
_COMPLAINT = (
    f"'件' || i AS complaint_no, {_DAY} AS filed_on, CASE WHEN hash(i, 'true') % 3 = 0 THEN {_DAY} + 20 END "
    "AS substantiated_on, CASE WHEN hash(i, 'true') % 3 = 0 THEN '1210' END AS violation_code"
)
_INCIDENT = (
    f"'事故' || i AS incident_no, {_DAY} AS occurred_on, {_DAY} + 10 AS responsibility_on, "
    "TRUE AS is_responsible, 'general' AS level, "
    "'1209' AS violation_code"
)
_REPORT = (
    "CAST(2021 + hash(i, 'year') % 5 AS BIGINT) AS report_year, "
    "make_date(CAST(2022 + hash(i, 'year') % 5 AS BIGINT), 6, 30) AS due_on, "
    "make_date(CAST(2022 + hash(i, 'year') % 5 AS BIGINT), 3, 22) + CAST(hash(i, 'filed') % 120 AS INTEGER) AS filed_on"
)
_HONOUR = f"'green_factory' AS kind, {_DAY} AS awarded_on, {_DAY} + 1095 AS valid_until"
_LISTING = (
    "CASE WHEN hash(i, 'kind') % 4 = 0 THEN 'severe_dishonesty' ELSE 'abnormal_operation' END AS list_kind, "
    f"{_DAY} AS listed_on, CASE WHEN hash(i, 'removed') % 2 = 0 THEN {_DAY} + 500 END AS removed_on"
)
_PROFILE = (
    "'示例企业' || i AS subject_name, CASE WHEN i % 50 = 0 THEN 'cancelled' ELSE 'active' END AS status, "
    "CASE WHEN i % 3 = 0 THEN 'C26' ELSE 'D44' END AS industry_code, DATE '2001-01-01' AS registered_on"
)
_RESULT = (
    "CAST(600 + hash(i, 'score') % 38000 / 100.0 AS DECIMAL(6,2)) AS score, "
    "DATE '2026-06-01' - CAST(hash(i, 'on') % 5 AS INTEGER) AS evaluated_on"
)


@dataclass(frozen=True)
class _Source:
    """Rows to a thousand subjects, the columns; ``one_each``: the i-th row is the i-th subject's."""

    rows: int
    columns: str
    one_each: bool = False


_SOURCES: Mapping[str, _Source] = {
    "ecology_environment/profile": _Source(1000, _PROFILE, one_each=True),
    "provincial_platform/public_credit": _Source(910, _RESULT, one_each=True),
    "ecology_environment/penalty": _Source(540, _FINE),
    "ecology_environment/inspection": _Source(730, _INSPECTION),
    "ecology_environment/complaint": _Source(360, _COMPLAINT),
    "ecology_environment/incident": _Source(9, _INCIDENT),
    "ecology_environment/honour": _Source(80, _HONOUR),
    "market_regulation/annual_report": _Source(1000, _REPORT),
    "market_regulation/listing": _Source(9, _LISTING),
}


def count_records(subjects: int) -> int:
    """How many records there are, corrections not counted."""
    return sum(subjects * one.rows // 1000 for one in _SOURCES.values() if not one.one_each)


def write_province(folder: Path, subjects: int) -> dict[str, pads.Dataset]:
    """The inputs of ``enterprise_environment``, one Arrow file (zstd) a dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _write(folder, name, one, subjects) for name, one in _SOURCES.items()}


def _write(folder: Path, name: str, source: _Source, subjects: int) -> pads.Dataset:
    schema = pa.schema([*load_catalogue()[name.partition("/")[2]].schema, *LINEAGE_FIELDS])
    path = folder / f"{name.replace('/', '-')}.arrow"
    rows = subjects * source.rows // 1000
    whose = "i" if source.one_each else f"hash(i, '{name}') % {subjects}"
    corrected = "" if source.one_each else f"UNION ALL SELECT i, 2 FROM range(0, {rows}, 50) t(i)"
    query = (
        f"SELECT md5('{name}' || i) AS record_id, '9133' || lpad(CAST(subject % 12 AS VARCHAR), 2, '0') "
        "|| lpad(CAST(subject AS VARCHAR), 11, '0') || 'X' AS subject_ref, i + 1 AS \"row\", '' || chain AS batch_id, "
        f"CAST(chain AS BIGINT) AS chain_sequence, {source.columns} "
        f"FROM (SELECT i, chain, {whose} AS subject FROM (SELECT i, 1 AS chain FROM range({rows}) t(i) {corrected}))"
    )
    options = paipc.IpcWriteOptions(compression="zstd")
    with duckdb.connect() as connection, paipc.new_file(path, schema, options=options) as writer:
        for batch in connection.sql(query).to_arrow_reader(65_536):
            writer.write_batch(_complete(batch, schema))
    return pads.dataset(path, format="ipc")


def _complete(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with every column of the schema: null, or the id where there must be a value, if the query has none."""

    def columns() -> Iterator[Any]:
        for field in schema:
            if field.name in batch.schema.names:
                yield batch.column(field.name).cast(field.type)
            else:
                yield pa.nulls(batch.num_rows, field.type) if field.nullable else batch.column("record_id")

    nullable = pa.schema([field.with_nullable(True) for field in schema])  # noqa: FBT003
    return pa.RecordBatch.from_arrays(list(columns()), schema=nullable).cast(schema)
