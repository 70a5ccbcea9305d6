"""The dataset catalogue: which kinds of record exist and what each column means.

``exchange_formats/catalogue/*.yaml`` is the one source; Arrow schemas are derived
from it. A landed row carries the dataset's columns (the identity column replaced by
``subject_ref``) behind the system columns of ``SYSTEM_FIELDS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.documents import require_document

CATALOGUE = Path(__file__).parent / "catalogue"
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
FIELD_TYPE = r"^(subject|string|date|boolean|integer|decimal\([0-9]{1,2},[0-9]{1,2}\))$"

#: What landing itself adds in front of a dataset's columns.
SYSTEM_FIELDS = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("subject_ref", pa.string(), nullable=False),
        pa.field("source_updated_at", pa.timestamp("us", tz="UTC")),
        pa.field("row", pa.int64(), nullable=False),
    ]
)
#: What reading adds behind them: from the manifest, not from the file.
LINEAGE_FIELDS = pa.schema([pa.field("batch_id", pa.string()), pa.field("chain_sequence", pa.int64())])


class FieldSpec(BaseModel):
    """One column of a dataset. ``subject`` is an identity: it never leaves landing as it came in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    type: Annotated[str, Field(pattern=FIELD_TYPE)]
    required: bool = False
    unit: Literal["元", "分"] | None = None
    sensitivity: Literal["public", "identity", "name"] = "public"
    codes: Mapping[str, str] | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    may_be_future: bool = False
    basis: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type a landed column has; money and scores are exact decimals."""
        if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", self.type):
            return pa.decimal128(int(match[1]), int(match[2]))
        return {
            "subject": pa.string(),
            "string": pa.string(),
            "date": pa.date32(),
            "boolean": pa.bool_(),
            "integer": pa.int64(),
        }[self.type]


class DeletionRule(BaseModel):
    """When the law says a row must be gone: ``months`` after the date in column ``after`` (open while null)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: ColumnName
    months: Annotated[int, Field(gt=0)]
    basis: str


class Dataset(BaseModel):
    """One kind of record with a standard schema (信用信息目录项)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier
    version: Annotated[int, Field(ge=1)]
    title: str
    title_en: str
    event_on: ColumnName
    adverse: bool
    deletion: DeletionRule | None = None
    fields: Mapping[ColumnName, FieldSpec]

    @model_validator(mode="after")
    def _check_columns(self) -> Dataset:
        dates = {name for name, spec in self.fields.items() if spec.type == "date"}
        for name in filter(None, (self.event_on, self.deletion and self.deletion.after)):
            if name not in dates:
                raise ValueError(f"'{name}' is not a date column of this dataset")
        if "subject_id" not in self.fields or self.fields["subject_id"].type != "subject":
            raise ValueError("a dataset needs a column subject_id of type subject")
        return self

    @property
    def contract(self) -> str:
        """Name and version of the contract, as written into files: ``penalty@1``."""
        return f"{self.id}@{self.version}"

    @property
    def columns(self) -> Mapping[str, FieldSpec]:
        """The columns a landed file has behind the system columns (the identity is left out)."""
        return {name: spec for name, spec in self.fields.items() if spec.type != "subject"}

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of a landed part: system columns, then the dataset's own."""
        own = [pa.field(name, spec.arrow_type, nullable=not spec.required) for name, spec in self.columns.items()]
        return pa.schema([*SYSTEM_FIELDS, *own])


@cache
def load_catalogue(folder: Path = CATALOGUE) -> Mapping[str, Dataset]:
    """Every dataset by id; raises ConfigurationError with every problem of every file."""
    datasets = (require_document(path, Dataset) for path in sorted(folder.glob("*.yaml")))
    return {dataset.id: dataset for dataset in datasets}
