"""Where generated documents stand, below the repository's root."""

from __future__ import annotations

from exchange_formats.datasets import Dataset
from exchange_formats.messages.specs import MessageSpec


def dataset_schema_path(dataset: Dataset) -> str:
    """The JSON Schema of one record."""
    return f"docs/schema/datasets/{dataset.contract}.schema.json"


def arrow_schema_path(dataset: Dataset) -> str:
    """The Arrow schema of a record as it is sent."""
    return f"docs/schema/arrow/{dataset.contract}.arrows"


def landed_schema_path(dataset: Dataset) -> str:
    """The Arrow schema of a landed part."""
    return f"docs/schema/arrow/{dataset.contract}.landed.arrows"


def message_schema_path(message: MessageSpec) -> str:
    """The JSON Schema of one message type."""
    return f"docs/schema/messages/{message.name}.v{message.version}.schema.json"


def csv_template_path(dataset: Dataset) -> str:
    """The CSV upload template: a header."""
    return f"docs/templates/{dataset.id}.csv"


def xlsx_template_path(dataset: Dataset) -> str:
    """The workbook to upload, with drop-downs and an explanation."""
    return f"docs/templates/{dataset.id}.xlsx"
