"""Generated documents: fresh, the same each time, and found stale when they are."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from exchange_formats.datasets import load_catalogue, load_contracts
from exchange_formats.subjects import PseudonymKey
from gateway.reference.documents import OWNED, ROOT, Rendered, find_stale, render_all, write
from gateway.reference.examples import build_example, choose_examples
from gateway.reference.paths import arrow_schema_path, landed_schema_path
from gateway.validation import prepare, validate_file


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


def read_schema(path: str) -> pa.Schema:
    with pa.ipc.open_stream(ROOT / path) as stream:
        assert stream.read_all().num_rows == 0
        return stream.schema


@pytest.mark.parametrize("contract", load_contracts())
def test_arrow_schemas_are_the_catalogues_when_read_back(contract: str) -> None:
    dataset = load_contracts()[contract]
    landed, sent = read_schema(landed_schema_path(dataset)), read_schema(arrow_schema_path(dataset))
    assert landed.equals(dataset.schema, check_metadata=False)
    assert sent.names == list(dataset.fields)
    assert landed.metadata[b"contract"] == sent.metadata[b"contract"] == contract.encode()
    assert sent.field(dataset.event_on).metadata[b"title"] == dataset.fields[dataset.event_on].title.encode()


@pytest.mark.parametrize("suffix", ["json", "arrow"])
@pytest.mark.parametrize("name", load_catalogue())
def test_record_that_follows_the_schemas_is_good_when_validated(name: str, suffix: str, tmp_path: Path) -> None:
    """What the pages promise and what the gateway takes are the same."""
    dataset, path = load_catalogue()[name], tmp_path / f"{name}.{suffix}"
    example = build_example(dataset)
    if suffix == "json":
        path.write_text(json.dumps([example], ensure_ascii=False), encoding="utf-8")
    else:
        schema = read_schema(arrow_schema_path(dataset))
        texts = choose_examples(dataset)
        cells = [pa.array([texts.get(field.name)], pa.string()).cast(field.type) for field in schema]
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            writer.write(pa.record_batch(cells, schema=schema))
    pseudonyms = PseudonymKey("k1", b"a key for tests, of no worth elsewhere")
    found = validate_file(prepare(path, name), until=datetime(2026, 11, 24, tzinfo=UTC), pseudonyms=pseudonyms, shown=5)
    assert (found.read, found.good, found.problems) == (1, 1, ())
