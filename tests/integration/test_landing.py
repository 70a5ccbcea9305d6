"""Landing on a real store: a process killed by the kernel at every write, and the real register."""

from __future__ import annotations

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.connection import Connection, read_connection
from connectors.department import DatasetMapping
from connectors.lake import Lake
from connectors.object_store import MinioStore
from connectors.sources import SourcePage
from exchange_formats.keys import manifest_digest
from exchange_formats.subjects import check_unified_codes, normalise_identifiers
from gateway.stack import Component, Stack, read_environment
from tests.integration.land_and_die import FIRST, SECOND
from tests.pulls import DEPARTMENT, FakeReader, Landings, later, penalty_mapping

REGISTER = "XINQIAO_REGISTER"
CITIES = {
    "杭州": "330100",
    "宁波": "330200",
    "温州": "330300",
    "嘉兴": "330400",
    "湖州": "330500",
    "绍兴": "330600",
    "金华": "330700",
    "衢州": "330800",
    "舟山": "330900",
    "台州": "331000",
    "丽水": "331100",
}


#: For the development server a bucket is a folder that is there when it starts.
BUCKETS = ("clean", "register-row", "register-code", *(f"killed-{number}" for number in range(1, 7)))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack") / "home"
    for bucket in BUCKETS:
        (home / "s3" / bucket).mkdir(parents=True)
    running = Stack(home)
    try:
        running.up((Component.S3,))
        yield running
    finally:
        running.down()


def open_bucket(stack: Stack, bucket: str) -> MinioStore:
    """A bucket of its own."""
    found: Connection = read_connection("lake", read_environment(stack.home.environment_file))
    return MinioStore.open(replace(found, extra={**found.extra, "bucket": bucket}))


def read_all(store: MinioStore) -> dict[str, bytes]:
    return {key: store.get_bytes(key) for key in store.list_keys("")}


def run_until_killed(stack: Stack, bucket: str, folder: Path, step: int, moment: str) -> int:
    environment = {**os.environ, **read_environment(stack.home.environment_file), "XINQIAO_TEST_BUCKET": bucket}
    words = [sys.executable, "-m", "tests.integration.land_and_die", str(folder), str(step), moment]
    return subprocess.run(words, env=environment, timeout=60, check=False).returncode


def test_rerun_gives_the_clean_runs_bytes_when_the_process_was_killed_at_any_write(
    stack: Stack, tmp_path: Path
) -> None:
    clean_store = open_bucket(stack, "clean")
    clean = Landings(clean_store, tmp_path / "clean", penalty_mapping())
    clean.pull(FIRST)
    before = set(clean_store.list_keys(""))
    assert clean.pull(SECOND, until=later(1)).counts.model_dump() == {
        "read": 271,
        "landed": 220,
        "duplicates": 50,
        "rejected": 1,
        "revoked": 0,
    }
    expected = read_all(clean_store)
    steps = len(expected) - len(before)
    assert steps == 5, "three parts, the rejects, the manifest"
    for number, moment in enumerate([*["before"] * steps, "after"], start=1):
        step = min(number, steps)
        bucket, folder = f"killed-{number}", tmp_path / f"killed-{number}"
        store = open_bucket(stack, bucket)
        Landings(store, folder, penalty_mapping()).pull(FIRST)
        assert run_until_killed(stack, bucket, folder, step, moment) == -signal.SIGKILL
        assert list((folder / "spool").iterdir()), "a killed process leaves its spool behind"
        seen = Lake(store, tmp_path / "fresh" / bucket).records(DEPARTMENT, "penalty").count_rows()
        assert seen == (520 if moment == "after" else 300), "all of a batch or nothing of it"
        assert run_until_killed(stack, bucket, folder, 0, "before") == 0
        assert read_all(store) == expected, f"killed {moment} write {step}"
        assert not list((folder / "spool").iterdir()), "and the next pull removes it"


def read_register() -> pa.Table:
    path = os.environ.get(REGISTER)
    if not path or not Path(path).is_file():
        pytest.skip(f"the real register may not be shipped: set {REGISTER} to register_zhejiang.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.reader(io.StringIO(file.read())))
    header, body = rows[0], rows[1:]
    columns = {name: [row[i] if i < len(row) else None for row in body] for i, name in enumerate(header)}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


class RegisterReader(FakeReader):
    """The register in pages, each row under its number."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__([], expected_rows=table.num_rows)
        self._table = table.append_column("id", pa.array([str(n + 1) for n in range(table.num_rows)]))

    def __iter__(self) -> Iterator[SourcePage]:
        start = 0
        for batch in self._table.to_batches(max_chunksize=10_000):
            yield SourcePage(batch, "register", start + 1)
            start += batch.num_rows


def register_mapping(key: str) -> DatasetMapping:
    return DatasetMapping.model_validate(
        {
            "key": [key],
            "snapshot": {},
            "columns": {
                "subject_id": "统一社会信用代码",
                "subject_name": "企业名称",
                "enterprise_type": "企业类型",
                "registered_on": "注册日期",
                "registered_capital": "注册资金",
                "city_code": {"from": "地区", "codes": CITIES},
                "status": {"value": "active"},
            },
        }
    )


@pytest.mark.parametrize("key", ["id", "统一社会信用代码"])
def test_every_row_of_the_real_register_is_accounted_for_when_it_lands(stack: Stack, tmp_path: Path, key: str) -> None:
    table = read_register()
    store = open_bucket(stack, "register-row" if key == "id" else "register-code")
    landings = Landings(store, tmp_path, register_mapping(key), "profile")
    landed = landings.pull(reader=RegisterReader(table))
    assert landed.counts.balance()
    assert (landed.counts.read, landed.counts.rejected) == (44_777, 42)
    assert landed.rejected_by_reason == {"text.mojibake": 40, "unified_code.registration_number": 2}
    codes = normalise_identifiers(table.column("统一社会信用代码"))
    good = codes.filter(pa.array(check_unified_codes(codes)))
    records = landings.records()
    subjects = {row["subject_ref"] for row in records}
    assert subjects == set(good.to_pylist()), "every well-formed code is in the lake"
    assert len(good) - len(subjects) == 9, "codes that stand twice"
    assert landed.counts.landed + landed.counts.duplicates == 44_735
    if key == "id":
        assert landed.counts.landed == 44_735
    else:
        assert len(landings.latest()) == len(subjects)
    assert landings.pull(reader=RegisterReader(table), until=later(1)).manifest is None
    assert sum(manifest_digest(name) is not None for name in store.list_keys("")) == 1
