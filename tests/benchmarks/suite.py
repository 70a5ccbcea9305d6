"""The benchmarks: unified codes, validation, landing, scoring."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.ipc as paipc

from connectors.connection import Connection
from connectors.department import DatasetMapping
from connectors.lake import Lake
from connectors.landing import Target, land
from connectors.mapping import Mapper
from connectors.sources import RejectedInput
from connectors.sources.files import FileReader, open_file
from exchange_formats.datasets import Dataset, load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.subjects import check_unified_codes
from tests import dataset_samples
from tests.benchmarks.measurement import Figure, clock, peak_megabytes
from tests.benchmarks.scoring import score_models, score_province
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


BENCHMARKS: Mapping[str, Callable[[int], list[Figure]]] = {
    "codes": check_codes,
    "validate": validate_datasets,
    "land": land_profiles,
    "score": score_province,
    "models": lambda rows: score_models(min(rows, 10_000)),
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
