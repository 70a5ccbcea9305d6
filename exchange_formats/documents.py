"""Configuration documents: YAML read with the position of every key.

Every problem of a file is collected as ``file:line:column key: …`` (architecture
§5.5). YAML 1.2 core scalars only, so ``no`` and ``on`` stay words; decimals stay
exact; anchors, aliases and tags are refused, so a document cannot grow when read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from exchange_formats.errors import ConfigurationError, Problem

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORDS: Mapping[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
_MAXIMUM_BYTES = 1_000_000


@dataclass(frozen=True)
class Document(Generic[M]):
    """A validated document (``value`` is None where it broke its schema) and where its keys stand.

    ``rest``: what is sound when the separable entries that broke the schema are left out, so that cross-checks can
    name the other problems of the file at once; never to be used for anything else.
    """

    file: str
    value: M | None
    problems: tuple[Problem, ...]
    positions: Mapping[Path_, tuple[int, int]] = field(repr=False, default_factory=dict)
    rest: M | None = None

    def problem(self, path: Path_, what: str, *, expected: str = "", got: str = "", hint: str = "") -> Problem:
        """A problem found later (by a cross-check) at ``path`` of this document."""
        line, column = _locate(self.positions, path)
        return Problem(self.file, line, column, _dotted(path), what, expected, got, hint)


def read_document(
    path: Path, schema: type[M], *, shown_as: str | None = None, separable: Collection[tuple[str, ...]] = ()
) -> Document[M]:
    """Read ``path`` as ``schema``; never raises for what a person wrote: see ``Document.problems``.

    ``separable``: paths (``*``: any key) of entries without which the document still means something.
    """
    shown = shown_as or path.name
    try:
        raw = path.read_bytes()
        if len(raw) > _MAXIMUM_BYTES:
            return _broken(shown, "the file is too large", expected=f"at most {_MAXIMUM_BYTES} bytes")
        node = yaml.compose(raw.decode("utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        return _broken(shown, f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return _broken(shown, "the file is not UTF-8", got=f"byte {error.object[error.start]:#04x} at {error.start}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return Document(shown, None, (Problem(shown, line, column, "", f"not valid YAML: {error.problem}"),))
    except (yaml.YAMLError, RecursionError) as error:
        return _broken(shown, f"not valid YAML: {type(error).__name__}")
    if node is None:
        return _broken(shown, "the file is empty", expected=f"a {schema.__name__}")
    reader = _Reader(shown)
    data = reader.read(node, ())
    if reader.problems:
        return Document(shown, None, tuple(reader.problems), reader.positions)
    try:
        return Document(shown, schema.model_validate(data), (), reader.positions)
    except ValidationError as error:
        items = error.errors(include_url=False)
        problems = tuple(_explain(shown, reader.positions, item) for item in items)
        broken = [_written(reader.positions, item["loc"]) for item in items]
        return Document(shown, None, problems, reader.positions, _leave_out(schema, data, broken, separable))


def require_document(path: Path, schema: type[M]) -> M:
    """``read_document`` for a file the package ships: raises ConfigurationError with every problem."""
    document = read_document(path, schema)
    if document.value is None:
        raise ConfigurationError(f"{path.name} is not a valid {schema.__name__}", document.problems)
    return document.value


class _Reader:
    """Turns a node tree into plain values, noting positions and collecting what is refused."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[Path_, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: Path_) -> Any:
        self.positions.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if id(node) in self._seen:
            return self._refuse(path, "anchors and aliases are not allowed", hint="write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(cast("yaml.ScalarNode", node), path)

    def _entries(self, node: yaml.MappingNode, path: Path_) -> Iterator[tuple[str, Any]]:
        keys: set[str] = set()
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*path, key)
            if key in keys:
                self.positions[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                self._refuse(here, "the key is written twice")
                continue
            keys.add(key)
            self.positions[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            yield key, self.read(value_node, here)

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> object:
        text = str(node.value)
        if node.tag not in _PLAIN_TAGS:
            return self._refuse(path, "tags are not allowed", got=node.tag)
        if node.style:  # quoted: always text (the C loader says "" of a plain scalar)
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        if _DATE.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                return self._refuse(path, "no such day", expected="YYYY-MM-DD", got=text)
        return text

    def _refuse(self, path: Path_, what: str, *, expected: str = "", got: str = "", hint: str = "") -> object:
        line, column = _locate(self.positions, path)
        self.problems.append(Problem(self.file, line, column, _dotted(path), what, expected, got, hint))
        return None


_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)


def _broken(file: str, what: str, *, expected: str = "", got: str = "") -> Document[Any]:
    return Document(file, None, (Problem(file, 0, 0, "", what, expected, got),))


def _locate(positions: Mapping[Path_, tuple[int, int]], path: Path_) -> tuple[int, int]:
    """The position of ``path``, or of its nearest ancestor that is written in the file."""
    while path and path not in positions:
        path = path[:-1]
    return positions.get(path, (1, 1))


def _dotted(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


#: pydantic's kind of error → what a person needs to hear, where its own words are a programmer's.
_PLAIN_WORDS: Mapping[str, str] = {
    "string_pattern_mismatch": "not of the right form",
    "string_type": "not a text",
    "too_short": "too few entries",
    "too_long": "too many entries",
    "decimal_parsing": "not a number",
    "decimal_type": "not a number",
    "int_parsing": "not a whole number",
    "int_type": "not a whole number",
    "tuple_type": "not a list",
    "dict_type": "not a mapping",
    "model_type": "not a mapping",
}


def _leave_out(schema: type[M], data: Any, broken: Iterable[Path_], separable: Collection[tuple[str, ...]]) -> M | None:
    """``data`` without the separable entries that a broken path leads into; None where that is not enough."""
    for path in broken:
        for pattern in separable:
            inside = len(path) >= len(pattern) and all(
                wanted in {"*", part} for wanted, part in zip(pattern, path, strict=False)
            )
            if inside:
                _drop(data, path[: len(pattern)])
    try:
        return schema.model_validate(data)
    except ValidationError:
        return None


def _drop(data: Any, path: Path_) -> None:
    for part in path[:-1]:
        data = data.get(part, {}) if isinstance(data, dict) else {}
    if isinstance(data, dict):
        data.pop(path[-1], None)


def _written(positions: Mapping[Path_, tuple[int, int]], loc: Iterable[str | int]) -> Path_:
    """Where a pydantic error stands in the file: discriminators and union branches drop out of the path."""
    path: Path_ = ()
    for part in loc:
        path = (*path, part) if (*path, part) in positions else path
    return path


def _explain(file: str, positions: Mapping[Path_, tuple[int, int]], item: Any) -> Problem:
    """One pydantic error as a Problem."""
    path = _written(positions, item["loc"])
    line, column = _locate(positions, path)
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return Problem(file, line, column, _dotted((*path, item["loc"][-1])), "the key is missing", hint="add it")
    if kind == "extra_forbidden":
        return Problem(file, line, column, _dotted(path), "unknown key", hint="remove it or correct its spelling")
    if kind == "union_tag_invalid":
        at = _locate(positions, (*path, context["discriminator"].strip("'")))
        named = _dotted((*path, context["discriminator"].strip("'")))
        return Problem(file, *at, named, "no such kind", f"one of {context['expected_tags']}", repr(context["tag"]))
    expected = str(context.get("expected") or context.get("pattern") or "")
    message = _PLAIN_WORDS.get(kind) or str(item["msg"]).removeprefix("Value error, ").removeprefix(
        "Assertion failed, "
    )
    got = "" if isinstance(item["input"], dict | list) else repr(item["input"])[:60]
    return Problem(file, line, column, _dotted(path), message, expected, got)
