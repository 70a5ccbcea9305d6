"""Releases: what the last one promised to those who send and read, one JSON file a contract and message type.

``exchange_formats/released/`` is written at release time only (``python -m gateway.reference --release``)
and never by hand; ``exchange_formats.compatibility`` compares it with what the catalogue and the
registry say now. A promise holds what a machine relies on. Titles of columns and of codes belong to it: a
header may hold the one, a cell the other. Notes, examples and all other titles may change freely.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange_formats.datasets import Dataset, FieldSpec, Predecessor
from exchange_formats.errors import ConfigurationError
from exchange_formats.messages.schemas import message_schema
from exchange_formats.messages.specs import Direction, MessageSpec, Mode

RELEASED: Final = Path(__file__).parent / "released"
#: Of a schema, what no machine relies on.
_NOTES: Final = frozenset({"title", "description", "examples", "$id", "$schema", "default"})


P = TypeVar("P", bound="_Promise")


class _Promise(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def encode(self) -> bytes:
        """The bytes of its file: the same for the same promise, one key a line so that a difference can be read."""
        document = self.model_dump(mode="json", exclude_none=True)
        return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


class FieldPromise(_Promise):
    """What is promised of one column; ``codes``: code → title, either of which a cell may hold."""

    title: str
    type: str
    required: bool | str
    unit: str | None = None
    sensitivity: str
    codes: Mapping[str, str] | None = None
    rule: str | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    max_length: int | None = None
    may_be_future: bool = False

    @classmethod
    def of(cls, spec: FieldSpec) -> Self:
        """What the catalogue says now."""
        return cls(
            title=spec.title,
            type=spec.type,
            required=spec.required,
            unit=spec.unit,
            sensitivity=spec.sensitivity,
            codes=spec.codes,
            rule=f"{spec.rule} on {spec.valid_on}" if spec.valid_on else spec.rule,
            minimum=spec.minimum,
            maximum=spec.maximum,
            max_length=spec.max_length,
            may_be_future=spec.may_be_future,
        )


class DatasetPromise(_Promise):
    """What is promised of one version of one dataset; ``checks``: id → condition; no ``subject_types``: any."""

    contract: str
    adverse: bool
    subject_types: tuple[str, ...]
    event_on: str
    identity: tuple[str, ...]
    states: Mapping[str, tuple[str, ...]]
    predecessor: Predecessor | None = None
    fields: Mapping[str, FieldPromise]
    checks: Mapping[str, str]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """What the catalogue says now."""
        states = dataset.states.model_dump(exclude_none=True)
        return cls(
            contract=dataset.contract,
            adverse=dataset.adverse,
            subject_types=tuple(sorted(dataset.subject_types)),
            event_on=dataset.event_on,
            identity=dataset.identity,
            states={name: (found,) if isinstance(found, str) else tuple(found) for name, found in states.items()},
            predecessor=dataset.predecessor,
            fields={name: FieldPromise.of(spec) for name, spec in dataset.fields.items()},
            checks={check.id: check.holds for check in dataset.checks},
        )


class MessagePromise(_Promise):
    """What is promised of one message type in one version; ``json_schema``: without titles and notes.

    ``key_pattern``: the routing keys there may be. ``columns``: name → Arrow type of the body of a binary message.
    """

    type: str
    direction: Direction
    key: str
    key_pattern: str
    may_be_person: bool
    subject: str
    mode: Mode
    content_type: str
    maximum_bytes: int
    columns: Mapping[str, str] | None = None
    json_schema: Mapping[str, Any] = Field(repr=False)

    @classmethod
    def of(cls, spec: MessageSpec) -> Self:
        """What the registry says now."""
        return cls(
            type=spec.type,
            direction=spec.direction,
            key=spec.key,
            key_pattern=spec.key_pattern,
            may_be_person=spec.may_be_person,
            subject=spec.subject,
            mode=spec.mode,
            content_type=spec.content_type,
            maximum_bytes=spec.maximum_bytes,
            columns=_read_columns(spec),
            json_schema=_strip_notes(message_schema(spec)),
        )


@dataclass(frozen=True)
class Release:
    """Every promise: datasets by contract, messages by type."""

    datasets: Mapping[str, DatasetPromise]
    messages: Mapping[str, MessagePromise]

    def encode(self) -> Mapping[str, bytes]:
        """The files, by path below the release's folder."""
        files = {f"datasets/{name}.json": promise.encode() for name, promise in self.datasets.items()}
        return files | {f"messages/{name}.json": promise.encode() for name, promise in self.messages.items()}


def describe_release(datasets: Iterable[Dataset], messages: Iterable[MessageSpec]) -> Release:
    """What would be promised if these were released now."""
    return Release(
        {dataset.contract: DatasetPromise.of(dataset) for dataset in datasets},
        {spec.type: MessagePromise.of(spec) for spec in messages},
    )


def read_release(folder: Path = RELEASED) -> Release:
    """What was promised last.

    Raises:
        ConfigurationError: a file is not what the release command writes.
    """
    datasets = (_read(path, DatasetPromise) for path in sorted((folder / "datasets").glob("*.json")))
    messages = (_read(path, MessagePromise) for path in sorted((folder / "messages").glob("*.json")))
    return Release({one.contract: one for one in datasets}, {one.type: one for one in messages})


def _read(path: Path, kind: type[P]) -> P:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigurationError(
            f"发布承诺不可读 / a released promise cannot be read: {path.name}",
            hint="restore it from the last release; it is never edited by hand",
        ) from error


def _read_columns(spec: MessageSpec) -> Mapping[str, str] | None:
    if spec.body is None:
        return None
    with pa.ipc.open_stream(spec.body()) as stream:
        return {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in stream.schema}


def _strip_notes(node: Any, *, names: bool = False) -> Any:
    """A schema without its notes; ``names``: the keys are names of fields or definitions, not keywords."""
    if isinstance(node, Mapping):
        return {
            key: _strip_notes(child, names=not names and key in {"properties", "$defs"})
            for key, child in node.items()
            if names or key not in _NOTES
        }
    return [_strip_notes(child) for child in node] if isinstance(node, list) else node
