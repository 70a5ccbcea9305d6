"""Department configuration: one YAML file is one participant (architecture §7).

``connectors/departments/<id>.yaml`` says who the participant is, where its records
come from, how its columns become the catalogue's, and what it receives. Adding a
department is adding a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from connectors.forms import FormUse, fill_from_form
from connectors.mapping_checks import check_columns, check_source
from exchange_formats.contract_versions import Contracts, choose_contract
from exchange_formats.datasets import Identifier, load_contracts
from exchange_formats.documents import Document, read_document
from exchange_formats.errors import ConfigurationError, Problem

DEPARTMENTS = Path(__file__).parent / "departments"

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_RATE = re.compile(r"([1-9]\d{0,3})/s")


def _read_duration(value: object) -> object:
    if isinstance(value, str) and len(value) > 2 and (match := _DURATION.fullmatch(value)):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if isinstance(value, timedelta):
        return value
    raise ValueError("not a duration; expected ISO 8601 such as PT30M, PT6H or P1D")


def _read_rate(value: object) -> object:
    if isinstance(value, str) and (match := _RATE.fullmatch(value)):
        return int(match[1])
    raise ValueError("not a rate; expected requests a second such as 5/s")


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["PT30M"]})
_RATE_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["5/s"]})
Duration = Annotated[timedelta, BeforeValidator(_read_duration), _DURATION_SCHEMA]
Rate = Annotated[int, BeforeValidator(_read_rate), _RATE_SCHEMA]
SourceColumn = Annotated[str, Field(min_length=1, max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Owner(_Strict):
    """Who answers for the data; ``contact`` is shown on DAGs and in alarms."""

    team: str
    contact: str


class SqlSource(_Strict):
    """A database docked to the gateway (GB/T 39443 database docking); PostgreSQL protocol."""

    kind: Literal["sql"]
    connection: Identifier
    timeout: Duration = timedelta(minutes=10)


class HttpSource(_Strict):
    """An API (GB/T 39443 service mode)."""

    kind: Literal["http"]
    connection: Identifier
    dialect: Literal["provincial_sharing"]
    rate_limit: Rate = 5
    timeout: Duration = timedelta(seconds=30)


class FileSource(_Strict):
    """A folder that a department drops files into (GB/T 39443 file mode)."""

    kind: Literal["files"]
    connection: Identifier


Source = Annotated[SqlSource | HttpSource | FileSource, Field(discriminator="kind")]


class Table(_Strict):
    """One table or view, read in ``order_by`` order: a repeat reads the same rows in the same order."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")]
    order_by: Annotated[tuple[SourceColumn, ...], Field(min_length=1)]


class Request(_Strict):
    """One paged endpoint of an API."""

    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]+$")]
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    parameters: Mapping[str, str] = Field(default_factory=dict)


_FORMATS_OF_KEY: Mapping[str, tuple[str, ...]] = {
    "encoding": ("csv",),
    "delimiter": ("csv", "xml"),
    "sheet": ("xlsx",),
    "records": ("json",),
}


class Files(_Strict):
    """Files of one dataset below the drop folder; CSV and JSON are unpacked where the name ends in ``.gz``.

    ``encoding`` holds for CSV (JSON is UTF-8, XML declares its own), ``delimiter`` for CSV and for the records
    inside an XML upload, ``sheet`` for XLSX. ``records`` is the path of keys to the list of records in a JSON
    document, with dots (``data.rows``); without it the document is that list, or JSON Lines.
    """

    pattern: Annotated[str, Field(pattern=r"^[^/][^\\]*$")]
    format: Literal["csv", "xlsx", "xml", "json", "arrow"]
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    delimiter: Annotated[str, Field(pattern=r"^[\t -!#-/:-@\[-`{-~]$")] = ","
    sheet: str | None = None
    records: Annotated[str, Field(pattern=r"^[^.]{1,64}(\.[^.]{1,64}){0,7}$")] | None = None

    @model_validator(mode="after")
    def _stay_below(self) -> Files:
        if ".." in Path(self.pattern).parts:
            raise ValueError("a pattern stays below the drop folder: '..' is not allowed")
        return self

    @model_validator(mode="after")
    def _keep_to_format(self) -> Files:
        """A setting that the format has no use for is a mistake, not a wish to be ignored."""
        for key, formats in _FORMATS_OF_KEY.items():
            if getattr(self, key) != type(self).model_fields[key].default and self.format not in formats:
                raise ValueError(f"'{key}' means nothing for {self.format}; it holds for {', '.join(formats)}")
        if self.pattern.lower().endswith(".gz") and self.format not in {"csv", "json"}:
            raise ValueError(f"only csv and json are unpacked from .gz, not {self.format}")
        return self


class Watermark(_Strict):
    """The source column that says when a row changed; each pull looks back ``overlap`` behind the last one."""

    field: SourceColumn
    overlap: Duration = timedelta(0)


class Snapshot(_Strict):
    """The source always hands over its full state: keys it no longer holds are revoked (semantics §2)."""

    min_ratio: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.9")


class Rule(_Strict):
    """One classification: the first rule whose condition holds gives the code."""

    code: Annotated[str, Field(pattern=r"^[0-9a-z_]{2,40}$")]
    when: str


class Column(_Strict):
    """How one catalogue column is filled: from a source column, a constant, or by classification.

    ``person`` is for the subject only: the source column that holds a person's resident
    number in rows whose party is a natural person and has no unified code. ``registry`` says that
    the subject is named by another registry's number (foreign data): such a record is never published.

    Money says its ``unit``; in another ``currency`` (ISO 4217) it says how much one unit is in 元
    (``yuan``, an assumption of this file), and the product is rounded half up to 0.01 元.
    """

    source: Annotated[SourceColumn | None, Field(alias="from")] = None
    person: SourceColumn | None = None
    registry: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,23}$")] | None = None
    unit: Literal["元", "万元", "分"] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    yuan: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=6)] | None = None
    codes: Mapping[str, str] | None = None
    formats: tuple[str, ...] | None = None
    value: str | None = None
    classify: tuple[Rule, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """An editor knows the short form, too."""
        return {"anyOf": [{"type": "string", "description": "the source column"}, handler(core)]}

    @model_validator(mode="after")
    def _check_one_origin(self) -> Column:
        if sum(origin is not None for origin in (self.source, self.value, self.classify)) != 1:
            raise ValueError("a column needs exactly one of: from, value, classify")
        if (self.currency is None) != (self.yuan is None) or (self.currency and self.unit):
            raise ValueError("another currency is declared by both currency and yuan (its rate), without a unit")
        if self.registry and (self.source is None or self.person):
            raise ValueError("another registry's number comes from one source column, without a person's")
        return self


class Changes(_Strict):
    """The view hands over changes: ``field`` says of each row whether it brings a record or deletes it.

    A deletion revokes the record as of the row's update time, so ``watermark`` must name that time.
    The letters are those observed in provincial views (facts §6.5, ``opt_type``).
    """

    field: SourceColumn
    upsert: Annotated[tuple[str, ...], Field(min_length=1)] = ("I", "U")
    delete: Annotated[tuple[str, ...], Field(min_length=1)] = ("D",)

    @model_validator(mode="after")
    def _tell_apart(self) -> Changes:
        if both := set(self.upsert) & set(self.delete):
            raise ValueError(f"{', '.join(sorted(both))} cannot be both upsert and delete")
        return self


class DatasetMapping(_Strict):
    """How one dataset is pulled from the department's system and mapped to the catalogue.

    ``key`` and, where one decision names several parties, ``party`` are a record's
    identity. ``supersedes`` names the column that a record carries which replaces one
    with another identity: its parts, split at ``|``, stand for the last ones of
    (key…, party); the old record is revoked. ``contract`` (``penalty@1``) keeps the mapping on
    that version of the dataset while others move on; without it the newest is meant. ``form``
    names a legacy form, which says what ``key``, ``party``, ``columns`` and ``ignore`` leave out.
    """

    # A form brings the keys that are required without one.
    model_config = ConfigDict(
        json_schema_extra={"required": [], "anyOf": [{"required": ["form"]}, {"required": ["key", "columns"]}]}
    )

    form: FormUse | None = None
    contract: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}@[1-9][0-9]{0,2}$")] | None = None
    table: Table | None = None
    request: Request | None = None
    files: Files | None = None
    watermark: Watermark | None = None
    snapshot: Snapshot | None = None
    changes: Changes | None = None
    key: Annotated[tuple[SourceColumn, ...], Field(min_length=1)]
    party: SourceColumn | None = None
    supersedes: SourceColumn | None = None
    columns: Mapping[str, Column]
    ignore: tuple[SourceColumn, ...] = ()
    null_spellings: tuple[str, ...] = ("", "\\N", "N/A", "NULL", "null", "暂无", "无")
    sentinel_dates: tuple[str, ...] = ("9999-09-09", "9999-12-31", "2099-12-31", "1900-01-01", "1899-12-31")
    on_unknown_column: Literal["stop", "report"] = "stop"
    on_contract_break: Literal["reject_rows", "stop"] = "reject_rows"
    max_reject_ratio: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.05")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_form(cls, value: Any) -> Any:
        return fill_from_form(value) if isinstance(value, dict) and value.get("form") else value

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every source column this mapping reads, in a stable order and without repeats."""
        named = [*self.key, *(column.source for column in self.columns.values())]
        named += [column.person for column in self.columns.values()]
        named += [self.party, self.supersedes, self.watermark.field if self.watermark else None]
        named += [self.changes.field if self.changes else None]
        return tuple(dict.fromkeys(name for name in named if name is not None))


def _read_domains(value: object) -> object:
    if isinstance(value, str) and value != "all":
        raise ValueError("neither a list of ids nor the word all")
    return value


Domains = Annotated[tuple[Identifier, ...] | Literal["all"], BeforeValidator(_read_domains)]


class Subscriptions(_Strict):
    """What a participant receives: domain ids, or ``all``; for ``records`` department ids, or ``all``.

    ``persons`` and ``person_records`` grant messages about natural persons, each domain and department by name:
    ``all`` never covers persons (semantics §5). ``versions`` keeps the participant on an older version of a
    noun's messages (``grade: 1``) while others move on; without it each is the newest.
    """

    grades: Domains = ()
    warnings: Domains = ()
    snapshots: Domains = ()
    records: Domains = ()
    persons: tuple[Identifier, ...] = ()
    person_records: tuple[Identifier, ...] = ()
    versions: Mapping[
        Literal["grade", "warning", "record", "feedback", "checkpoint"], Annotated[int, Field(ge=1, le=99)]
    ] = Field(default_factory=dict)


class Department(_Strict):
    """One participant: one of the 33 departments, or the provincial platform."""

    id: Identifier
    no: Annotated[int, Field(ge=1, le=99)] | None = None
    kind: Literal["department", "platform"] = "department"
    title: str
    title_en: str
    owner: Owner
    schedule: str
    late_after: Duration
    source: Source
    datasets: Mapping[Identifier, DatasetMapping]
    domains: tuple[Identifier, ...] = ()
    subscribes: Subscriptions = Subscriptions()


@dataclass(frozen=True)
class Departments:
    """What a folder of YAML files holds: the good ones by id, and every problem of the others by file stem."""

    by_id: Mapping[str, Department]
    problems: Mapping[str, Sequence[Problem]]
    #: By file stem, broken ones too: where a cross-check finds the line of a key.
    documents: Mapping[str, Document[Department]] = field(repr=False, default_factory=dict)

    def __getitem__(self, department_id: str) -> Department:
        if department_id in self.problems:
            raise ConfigurationError(f"department '{department_id}' is broken", self.problems[department_id])
        if department_id not in self.by_id:
            known = ", ".join(sorted(self.by_id))
            raise ConfigurationError(f"there is no department '{department_id}'", hint=f"known: {known}")
        return self.by_id[department_id]


def load_departments(folder: Path = DEPARTMENTS, contracts: Contracts | None = None) -> Departments:
    """Read every file of ``folder``; a broken one is a problem of its own and never hides the others.

    ``contracts``: every version of every dataset, by default the catalogue's.
    """
    good: dict[str, Department] = {}
    problems: dict[str, Sequence[Problem]] = {}
    documents: dict[str, Document[Department]] = {}
    for path in sorted(folder.glob("*.yaml")):
        documents[path.stem], found = _read_department(path, contracts)
        value = documents[path.stem].value
        if found or value is None:
            problems[path.stem] = found
        else:
            good[path.stem] = value
    return Departments(good, problems, documents)


def load_department(path: Path) -> Department:
    """One file, wherever it lies, checked like those of the folder; ConfigurationError names every problem."""
    document, found = _read_department(path, None)
    if found or document.value is None:
        raise ConfigurationError(f"部门配置有误 / the department file is broken: {path}", found)
    return document.value


def _read_department(path: Path, contracts: Contracts | None) -> tuple[Document[Department], Sequence[Problem]]:
    document = read_document(path, Department)
    crossed = _cross_check(path, document, load_contracts() if contracts is None else contracts)
    found = sorted([*document.problems, *crossed], key=lambda problem: (problem.line, problem.column))
    return document, found


def _cross_check(path: Path, document: Document[Department], contracts: Contracts) -> list[Problem]:
    department = document.value
    if department is None:
        return []
    found: list[Problem] = []
    if department.id != path.stem:
        found.append(document.problem(("id",), "the id is not the file's name", expected=path.stem, got=department.id))
    found += _check_participant(document, department)
    for name, mapping in department.datasets.items():
        if all(dataset.id != name for dataset in contracts.values()):
            known = ", ".join(sorted({dataset.id for dataset in contracts.values()}))
            found.append(document.problem(("datasets", name), "there is no such dataset", expected=f"one of {known}"))
            continue
        found += check_source(document, department, name, mapping)
        try:
            dataset = choose_contract(contracts, name, mapping.contract)
        except ConfigurationError as error:
            path_of_contract = ("datasets", name, "contract")
            found.append(
                document.problem(path_of_contract, error.message, expected=error.hint, got=str(mapping.contract))
            )
            continue
        found += check_columns(document, dataset, mapping)
    return found


def _check_participant(document: Document[Department], department: Department) -> list[Problem]:
    """The participant's own keys: connection, schedule, number."""
    from croniter import croniter

    from exchange_formats.messages.versions import known_versions

    found: list[Problem] = []
    connection, expected = department.source.connection, f"dept_{department.id}"
    if connection != expected:
        found.append(
            document.problem(
                ("source", "connection"),
                "the connection is named after the department",
                expected=expected,
                got=connection,
            )
        )
    # Five fields: croniter itself also takes seconds, years and words such as @daily.
    if len(department.schedule.split()) != 5 or not croniter.is_valid(department.schedule):
        hint = "five fields: minute hour day month weekday; zone Asia/Shanghai"
        found.append(
            document.problem(
                ("schedule",),
                "not a cron expression",
                expected='such as "30 2 * * *"',
                got=department.schedule,
                hint=hint,
            )
        )
    for noun, version in department.subscribes.versions.items():
        if version not in (known := known_versions(noun)):
            expected = f"one of {', '.join(map(str, known))}"
            at = ("subscribes", "versions", noun)
            found.append(document.problem(at, "no such version of its messages", expected=expected, got=str(version)))
    for index, domain in enumerate(department.domains):
        if department.kind == "platform" and not domain.startswith("public_credit_"):
            what, hint = "a platform scores no industry", "only the domains public_credit_* are its own"
            found.append(document.problem(("domains", index), what, got=domain, hint=hint))
    return found
