"""Where the fields of messages come from, one step back: ``lineage.yaml`` and the leaf fields it must cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.datasets import LINEAGE_FIELDS, SYSTEM_FIELDS
from exchange_formats.documents import require_document
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.rejects import REJECTS
from exchange_formats.results import ARTEFACTS

_FILE = Path(__file__).parent / "lineage.yaml"
#: Part of a resolved model that decides a computed column.
Part = Literal[
    "public_credit",
    "reported",
    "native",
    "indicators",
    "overrides",
    "bands",
    "decay",
    "publicity",
    "severity",
    "warnings",
    "measures",
]
#: File → schema: what a run and a batch write.
FILES: Final[Mapping[str, pa.Schema]] = {
    **ARTEFACTS,
    "landed": pa.schema([*SYSTEM_FIELDS, *LINEAGE_FIELDS]),
    "rejects": REJECTS,
}


class Origin(BaseModel):
    """Exactly one origin of a field, and a note in both languages; ``lineage.yaml`` explains each kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artefact: str | None = None
    manifest: str | None = None
    columns: tuple[str, ...] = ()
    model: str | None = None
    computed: tuple[Part, ...] = ()
    sent: bool = False
    derived: bool = False
    zh: str = ""
    en: str = ""

    @model_validator(mode="after")
    def _check_one(self) -> Origin:
        named = (self.artefact, self.manifest, self.columns, self.model, self.computed, self.sent, self.derived)
        if sum(map(bool, named)) != 1:
            raise ValueError("an entry names exactly one origin")
        if bool(self.zh) != bool(self.en):
            raise ValueError("a note is written in both languages")
        if (self.computed or self.derived) and not self.zh:
            raise ValueError("what is computed or derived says how (zh, en)")
        return self


class LineageTable(BaseModel):
    """Declared origins: of message fields, of the bodies of binary messages, of columns of files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: Mapping[str, Origin]
    bodies: Mapping[str, str]
    artefacts: Annotated[Mapping[str, Origin], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a message that holds a value: its path (``results[].score``) and the keys its entry may have.

    ``keys`` are in the order of precedence. ``column`` names a column of a binary message's body instead.
    """

    path: str
    keys: tuple[str, ...]
    column: str | None = None


@cache
def load_lineage(file: Path = _FILE) -> LineageTable:
    """The table; ConfigurationError names every problem of the file."""
    return require_document(file, LineageTable)


def list_leaves(message: MessageSpec, lineage: LineageTable) -> tuple[Leaf, ...]:
    """Every field of ``data`` that holds a value, in order; of a binary message its body's columns, too."""
    leaves = list(_walk(message.data, "", ()))
    if body := lineage.bodies.get(message.name):
        leaves += [Leaf(f"body[].{name}", (), f"{body}.{name}") for name in FILES[body].names]
    return tuple(leaves)


def find_origin(leaf: Leaf, lineage: LineageTable) -> Origin:
    """The entry of a leaf; KeyError with its keys where there is none."""
    if leaf.column is not None:
        return Origin(artefact=leaf.column)
    return lineage.messages[find_key(leaf, lineage)]


def find_key(leaf: Leaf, lineage: LineageTable) -> str:
    """The key under which a leaf's entry stands; KeyError with all it might have where there is none."""
    for key in leaf.keys:
        if key in lineage.messages:
            return key
    raise KeyError(f"{leaf.path}: none of {', '.join(leaf.keys)}")


def _walk(model: type[BaseModel], prefix: str, parents: tuple[str, ...]) -> Iterator[Leaf]:
    names = [
        base.__name__.strip("_") for base in model.__mro__ if issubclass(base, BaseModel) and base is not BaseModel
    ]
    for name, field in model.model_fields.items():
        listed, inner = _find_models(field.annotation)
        path = f"{prefix}{name}{'[]' if listed else ''}"
        if inner:
            for one in inner:
                yield from _walk(one, f"{path}.", tuple(f"{owner}.{name}" for owner in names))
        else:
            specific = [f"{parent}.{name}" for parent in parents]
            yield Leaf(path, (*specific, *(f"{owner}.{name}" for owner in names), *(f"{owner}.*" for owner in names)))


def _find_models(annotation: Any) -> tuple[bool, tuple[type[BaseModel], ...]]:
    """Whether a field is a list, and the models inside it (several where it may be one of several)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False, (annotation,)
    found: list[type[BaseModel]] = []
    listed = get_origin(annotation) in {tuple, list}
    for argument in get_args(annotation):
        inner_listed, inner = _find_models(argument)
        listed |= inner_listed
        found += inner
    return listed, tuple(dict.fromkeys(found))
