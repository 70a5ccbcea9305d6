"""Schemas for machines: JSON Schema and Arrow of every dataset, and of what people write, for their editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from connectors.department import Department
from exchange_formats.datasets import Dataset, load_contracts
from exchange_formats.json_schemas import DIALECT, render_dataset
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.schemas import message_schema
from gateway.reference.paths import arrow_schema_path, dataset_schema_path, message_schema_path


def render_editor_schemas() -> Mapping[str, bytes]:
    """``docs/schema``: what a department's YAML may say."""
    schema = {
        "$schema": DIALECT,
        "title": "Xinqiao department",
        **Department.model_json_schema(by_alias=True),
    }
    return {"docs/schema/department.schema.json": _encode(schema, sort=True)}


def render_dataset_schemas() -> Mapping[str, bytes]:
    """One record of every contract as JSON Schema 2020-12."""
    return {dataset_schema_path(found): _encode(render_dataset(found)) for found in load_contracts().values()}


def render_message_schemas() -> Mapping[str, bytes]:
    """Every message type as JSON Schema 2020-12."""
    return {message_schema_path(found): _encode(message_schema(found)) for found in MESSAGES.values()}


def render_arrow_schemas() -> Mapping[str, bytes]:
    """The schema of a landed part of every contract: an Arrow IPC stream without a batch."""
    return {arrow_schema_path(found): encode_arrow_schema(found) for found in load_contracts().values()}


def encode_arrow_schema(dataset: Dataset) -> bytes:
    """An IPC stream that holds the schema alone; its metadata names the contract and each column's title."""
    fields = [
        field.with_metadata({"title": dataset.columns[field.name].title}) if field.name in dataset.columns else field
        for field in dataset.schema
    ]
    schema = pa.schema(fields, metadata={"contract": dataset.contract, "title": dataset.title})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    return bytes(sink.getvalue().to_pybytes())


def _encode(schema: Mapping[str, Any], *, sort: bool = False) -> bytes:
    return (json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=sort) + "\n").encode()
