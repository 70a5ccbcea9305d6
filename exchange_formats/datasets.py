"""The dataset catalogue: which kinds of record exist and what each column means.

``exchange_formats/catalogue/*.yaml`` is the one source; Arrow schemas, JSON Schemas,
reference pages and upload templates are derived from it. A landed row carries the
dataset's columns (the identity column replaced by ``subject_ref``) behind the system
columns of ``SYSTEM_FIELDS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.code_lists import find_codes
from exchange_formats.conditions import ConditionError, Kind, kind_of, parse_condition
from exchange_formats.deny_list import find_denied
from exchange_formats.documents import require_document

CATALOGUE = Path(__file__).parent / "catalogue"
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
FIELD_TYPE = r"^(subject|string|date|boolean|integer|decimal\([0-9]{1,2},[0-9]{1,2}\))$"

SubjectType = Literal["enterprise", "natural_person", "social_organization", "public_institution", "government_agency"]
#: How far a statement is backed (facts.md, marks): read in the law or on a government site; seen in a
#: third-party copy; seen in deployments; ours.
Status = Literal["official", "republished", "observed", "assumption"]
#: A rule of meaning beyond the type; ``exchange_formats.field_rules`` holds what each one checks.
FieldRule = Literal["unified_code", "organisation_code", "division", "industry"]
#: What conditions may read of the subject besides the dataset's own columns.
SUBJECT_COLUMNS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"subject_type": "string", "individual_business": "boolean"}
)

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
#: SQL order of a record's versions, newest first (semantics §2): the one meaning of "latest", for every reader.
NEWEST_FIRST: Final = 'source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id'


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldSpec(_Strict):
    """One column of a dataset. ``subject`` is an identity: it never leaves landing as it came in.

    ``required`` is true, false, or the condition under which a value must be there.
    ``codes`` is written inline (code: title) or names a list of ``exchange_formats/code_lists``.
    ``in_catalogue``: belongs to the provincial public-credit catalogue (目录, 浙江省公共信用信息管理条例 12).
    """

    title: str
    title_en: str = ""
    type: Annotated[str, Field(pattern=FIELD_TYPE)]
    required: bool | str = False
    unit: Literal["元", "分", "人", "%"] | None = None
    sensitivity: Literal["public", "identity", "name"] = "public"
    codes: Mapping[str, str] | None = None
    #: The shared list ``codes`` came from; None where it is written inline.
    code_list: Identifier | None = None
    rule: FieldRule | None = None
    #: With rule ``division``: the date column on whose day the code must have been in force. None: a code that was
    #: ever in force will do, retired or new (where a subject sits today says nothing about the day it registered).
    valid_on: ColumnName | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    max_length: Annotated[int, Field(ge=1, le=65_536)] | None = None
    may_be_future: bool = False
    standard: str = ""
    status: Status = "assumption"
    in_catalogue: bool = False
    #: A code of the list ``retention``; empty: the dataset's own.
    retention: str = ""
    example: str = ""

    @model_validator(mode="before")
    @classmethod
    def _read_code_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("codes"), str):
            name = value["codes"]
            return value | {"codes": dict(find_codes(name)), "code_list": name}
        return value

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


class DeletionRule(_Strict):
    """When the law says a row must be gone: ``months`` after the date in column ``after`` (open while null)."""

    after: ColumnName
    months: Annotated[int, Field(gt=0)]
    basis: str


class Check(_Strict):
    """A rule between the columns of one row: ``holds`` is true or unknown (null) for every good row.

    ``column`` is the one whose value a reject shows.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")]
    holds: str
    column: ColumnName
    title: str
    title_en: str
    basis: str
    status: Status = "assumption"


class States(_Strict):
    """The dated states of a record (semantics §1): the column of each, where the dataset has it."""

    final: ColumnName | None = None
    repaired: ColumnName | None = None
    revoked: ColumnName | None = None
    removed: ColumnName | None = None
    objected: tuple[ColumnName, ColumnName] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column named."""
        single = filter(None, (self.final, self.repaired, self.revoked, self.removed))
        return (*single, *(self.objected or ()))


class Predecessor(_Strict):
    """How rows landed under the version before are read as this one.

    ``columns``: this version's column → the old one's, where the name changed; a column that is in
    neither is null. ``values``: a column's constant for all old rows.
    """

    version: Annotated[int, Field(ge=1)]
    columns: Mapping[ColumnName, ColumnName] = Field(default_factory=dict)
    values: Mapping[ColumnName, str] = Field(default_factory=dict)


class Dataset(_Strict):
    """One kind of record with a standard schema (信用信息目录项).

    ``family`` is the work plan's (归集内容); ``archive_part`` the part of the credit archive that
    the record belongs to (条例 9: 基础, 不良, 守信). ``identity`` names the columns that tell one record
    from another inside a department; where one decision names several parties, ``subject_id`` is one.
    ``consent`` names the written consent under which a natural person's income, deposits, securities, insurance,
    real estate or tax paid are held (条例 14); without it no such column may be declared where persons are subjects.
    """

    id: Identifier
    version: Annotated[int, Field(ge=1)]
    title: str
    title_en: str
    description: str = ""
    description_en: str = ""
    family: Literal["inspection", "enforcement", "complaint", "incident", "other"] = "other"
    archive_part: Literal["basic", "adverse", "positive", "none"] = "none"
    subject_types: tuple[SubjectType, ...] = ()
    consent: str = ""
    identity: tuple[ColumnName, ...] = ()
    event_on: ColumnName
    states: States = States()
    adverse: bool
    deletion: DeletionRule | None = None
    retention: str = ""
    standard: str = ""
    status: Status = "assumption"
    predecessor: Predecessor | None = None
    fields: Mapping[ColumnName, FieldSpec]
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _check_columns(self) -> Dataset:
        dates = {name for name, spec in self.fields.items() if spec.type == "date"}
        for name in filter(None, (self.event_on, self.deletion and self.deletion.after, *self.states.columns)):
            if name not in dates:
                raise ValueError(f"'{name}' is not a date column of this dataset")
        if "subject_id" not in self.fields or self.fields["subject_id"].type != "subject":
            raise ValueError("a dataset needs a column subject_id of type subject")
        for name in (*self.identity, *(check.column for check in self.checks)):
            if name not in self.fields:
                raise ValueError(f"there is no column '{name}'")
        for name, spec in self.fields.items():
            if spec.valid_on is not None and (spec.rule != "division" or spec.valid_on not in dates):
                raise ValueError(f"{name}.valid_on: only a division code is valid on a day, that of a date column")
        for where, retention in (("retention", self.retention), *((n, s.retention) for n, s in self.fields.items())):
            if retention and retention not in find_codes("retention"):
                raise ValueError(f"{where}: there is no retention class '{retention}'")
        return self

    @model_validator(mode="after")
    def _check_conditions(self) -> Dataset:
        for where, text in self._conditions():
            try:
                parse_condition(text, self.condition_columns)
            except ConditionError as error:
                raise ValueError(f"{where}: {error}") from error
        return self

    @model_validator(mode="after")
    def _refuse_denied(self) -> Dataset:
        named = [("", self.id), ("", self.title), ("", self.title_en)]
        for name, spec in self.fields.items():
            named += [(f"column '{name}': ", text) for text in (name, spec.title, spec.title_en)]
        for where, text in named:
            if denied := find_denied(text, without_consent=self.needs_consent):
                raise ValueError(f"{where}'{text}' may not be collected: {denied}")
        return self

    def _conditions(self) -> Iterator[tuple[str, str]]:
        yield from (
            (f"{n}.required", spec.required) for n, spec in self.fields.items() if isinstance(spec.required, str)
        )
        yield from ((check.id, check.holds) for check in self.checks)

    @property
    def needs_consent(self) -> bool:
        """Whether natural persons may be subjects and nobody names their written consent (条例 14)."""
        return not self.consent and (not self.subject_types or "natural_person" in self.subject_types)

    @property
    def contract(self) -> str:
        """Name and version of the contract, as written into files: ``penalty@1``."""
        return f"{self.id}@{self.version}"

    @property
    def needed(self) -> frozenset[str]:
        """What every row in the catalogue's own layout has: the required columns and those of the identity."""
        return frozenset(name for name, spec in self.fields.items() if spec.required is True) | set(self.identity)

    @property
    def columns(self) -> Mapping[str, FieldSpec]:
        """The columns a landed file has behind the system columns (the identity is left out)."""
        return {name: spec for name, spec in self.fields.items() if spec.type != "subject"}

    @property
    def condition_columns(self) -> Mapping[str, Kind]:
        """What a condition of this dataset may read."""
        return {name: kind_of(spec.type) for name, spec in self.columns.items()} | dict(SUBJECT_COLUMNS)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of a landed part: system columns, then the dataset's own."""
        own = [
            pa.field(name, spec.arrow_type, nullable=spec.required is not True) for name, spec in self.columns.items()
        ]
        return pa.schema([*SYSTEM_FIELDS, *own])


@cache
def load_contracts(folder: Path = CATALOGUE) -> Mapping[str, Dataset]:
    """Every version of every dataset by contract (``penalty@1``); ConfigurationError names every problem of a file."""
    datasets = (require_document(path, Dataset) for path in sorted(folder.glob("*.yaml")))
    return MappingProxyType({dataset.contract: dataset for dataset in datasets})


@cache
def load_catalogue(folder: Path = CATALOGUE) -> Mapping[str, Dataset]:
    """The newest version of every dataset by id."""
    newest: dict[str, Dataset] = {}
    for dataset in load_contracts(folder).values():
        if dataset.id not in newest or newest[dataset.id].version < dataset.version:
            newest[dataset.id] = dataset
    return MappingProxyType(newest)
