"""Verification and purge on a real object store: what an attacker with its keys does is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.connection import read_connection
from connectors.object_store import MinioStore
from gateway.purging import purge_expired
from gateway.stack import Component, Stack, read_environment
from tests.proof_samples import JULY, JUNE, NOW, PENALTIES, SUBJECTS, Province
from tests.scoring_cases import ENVIRONMENT, join_inputs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioStore]:
    stack = Stack(tmp_path_factory.mktemp("stack") / "home")
    try:
        stack.up((Component.S3,))
        yield MinioStore.open(read_connection("lake", dict(read_environment(stack.home.environment_file))))
    finally:
        stack.down()


def test_attacks_on_a_real_store_are_named_and_a_purge_is_none(store: MinioStore, tmp_path: Path) -> None:
    province = Province(tmp_path, store)
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        province.land(source, table, delete_month="2026-06" if source == PENALTIES else None)
    province.score(JUNE)
    province.publish()
    province.witness(JUNE)
    assert province.prove().verdict == "intact"
    keys = [key for key in store.list_keys("") if key.endswith((".arrow", "plan.json", "model.json"))]
    for key in keys:
        data = store.get_bytes(key)
        store.put_bytes(key, data[:-1] + bytes([data[-1] ^ 1]))
        assert key in {one.key for one in province.prove(recompute=False).findings}
        store.delete(key)
        assert key in {one.key for one in province.prove(recompute=False).findings}
        store.put_bytes(key, data)
    purge_expired(province.lake, day=JULY, now=lambda: NOW, spool=province.spool)
    report = province.prove()
    assert (report.verdict, report.findings, len(report.purged)) == ("purged", [], 1)
    assert report.purged[0].key not in set(store.list_keys(""))
