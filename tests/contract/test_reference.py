"""Generated documents: fresh, the same each time, and found stale when they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from exchange_formats.datasets import load_contracts
from gateway.reference.documents import OWNED, ROOT, Rendered, find_stale, render_all, write
from gateway.reference.paths import arrow_schema_path


@pytest.fixture(scope="module")
def documents() -> Rendered:
    return render_all()


def test_every_generated_document_is_fresh_when_rendered_anew(documents: Rendered) -> None:
    assert find_stale(documents) == (), "run: make generate"


def test_bytes_are_the_same_when_rendered_twice(documents: Rendered) -> None:
    again = render_all()
    assert [path for path, content in documents.items() if again[path] != content] == []


def test_stale_missing_and_surplus_files_are_named_when_checked(documents: Rendered, tmp_path: Path) -> None:
    write(documents, tmp_path)
    assert find_stale(documents, tmp_path) == ()
    first, second, *_ = documents
    (tmp_path / first).write_bytes(b"older")
    (tmp_path / second).unlink()
    surplus = f"{OWNED[0]}/gone@1.schema.json"
    (tmp_path / surplus).write_text("{}")
    assert set(find_stale(documents, tmp_path)) == {first, second, surplus}
    assert set(write(documents, tmp_path)) == {first, second, surplus}
    assert find_stale(documents, tmp_path) == ()
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("contract", load_contracts())
def test_arrow_schema_is_the_catalogues_when_read_back(contract: str) -> None:
    dataset = load_contracts()[contract]
    with pa.ipc.open_stream(ROOT / arrow_schema_path(dataset)) as stream:
        assert stream.schema.equals(dataset.schema, check_metadata=False)
        assert stream.schema.metadata[b"contract"] == contract.encode()
        assert stream.read_all().num_rows == 0
