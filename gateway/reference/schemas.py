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
from gateway.reference.paths import arrow_schema_path, dataset_schema_path, landed_schema_path, message_schema_path


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
    """Of every contract, as Arrow IPC streams without a batch: a record as it is sent, and as it is landed."""
    found: dict[str, bytes] = {}
    for dataset in load_contracts().values():
        found[arrow_schema_path(dataset)] = _encode_arrow(dataset, build_sent_schema(dataset))
        found[landed_schema_path(dataset)] = _encode_arrow(dataset, dataset.schema)
    return found


def build_sent_schema(dataset: Dataset) -> pa.Schema:
    """What a department sends as an Arrow file: the catalogue's columns, the subject by its own code."""
    return pa.schema(
        [pa.field(name, spec.arrow_type, nullable=spec.required is not True) for name, spec in dataset.fields.items()]
    )


def _encode_arrow(dataset: Dataset, schema: pa.Schema) -> bytes:
    """The schema alone; its metadata names the contract and each column's title."""
    fields = [
        field.with_metadata({"title": dataset.fields[field.name].title}) if field.name in dataset.fields else field
        for field in schema
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields, {"contract": dataset.contract, "title": dataset.title})):
        pass
    return bytes(sink.getvalue().to_pybytes())


def _encode(schema: Mapping[str, Any], *, sort: bool = False) -> bytes:
    return (json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=sort) + "\n").encode()
