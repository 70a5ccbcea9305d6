"""Whether everything one JSON Schema describes is accepted under another: the keywords that our own schemas use.

Conservative: what cannot be shown to be accepted is reported, so a pattern that only looks wider
counts as narrower. ``default``, titles and other notes say nothing about what is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Mapping[str, Any]

#: Keyword → whether the limit is a lower one.
_LIMITS: Final[Mapping[str, bool]] = {
    "minLength": True,
    "maxLength": False,
    "minItems": True,
    "maxItems": False,
    "minProperties": True,
    "maxProperties": False,
    "minimum": True,
    "exclusiveMinimum": True,
    "maximum": False,
    "exclusiveMaximum": False,
}
_COMPARED: Final = frozenset(
    {*_LIMITS, "$ref", "$defs", "type", "enum", "const", "pattern", "properties", "required", "additionalProperties"}
    | {"items", "anyOf", "oneOf", "discriminator", "title", "description", "examples", "default", "$id", "$schema"}
)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """One reason why a valid document may be refused: where, and why in both languages."""

    path: str
    zh: str
    en: str


def find_narrowings(produced: Schema, accepted: Schema, *, must_send: bool = False) -> tuple[Narrowing, ...]:
    """Why a document valid under ``produced`` may not be under ``accepted``; empty: everything is accepted.

    ``must_send``: whoever wrote for ``accepted`` also relies on each of its optional fields being sent at times.
    """
    return tuple(_Comparison(produced, accepted, must_send).compare(produced, accepted, ""))


@dataclass
class _Comparison:
    """Two documents with their definitions; ``_open``: the pairs of definitions being compared."""

    produced: Schema
    accepted: Schema
    must_send: bool
    _open: list[tuple[str, str]] = field(default_factory=list)

    def compare(self, produced: Schema, accepted: Schema, path: str) -> Iterator[Narrowing]:
        """Each branch of ``produced`` must be accepted by a branch of ``accepted``: the nearest one says why not."""
        theirs = list(_alternatives(accepted, self.accepted))
        for name, ours in _alternatives(produced, self.produced):
            reasons = [self._compare_branches((name, other), ours, one, path) for other, one in theirs]
            yield from min(reasons, key=lambda found: (any(one.zh == _OTHER_TYPE for one in found), len(found)))

    def _compare_branches(self, names: tuple[str, str], ours: Schema, theirs: Schema, path: str) -> list[Narrowing]:
        if all(names) and names in self._open:  # a definition that holds itself
            return []
        self._open.append(names)
        found = list(self._compare_one(ours, theirs, path))
        self._open.pop()
        return found

    def _compare_one(self, ours: Schema, theirs: Schema, path: str) -> Iterator[Narrowing]:
        wanted, given = _type(theirs), _type(ours)
        if wanted is not None and given != wanted and (given, wanted) != ("integer", "number"):
            yield Narrowing(path, _OTHER_TYPE, f"the type is {given or 'any'}, {wanted} is expected")
            return
        yield from _compare_values(ours, theirs, path)
        for keyword in sorted((set(ours) | set(theirs)) - _COMPARED):
            if keyword in theirs and not keyword.startswith("x-") and ours.get(keyword) != theirs[keyword]:
                yield Narrowing(path, f"规则 {keyword} 改变", f"the rule '{keyword}' changed")
        if given in {"object", None}:
            yield from self._compare_objects(ours, theirs, path)
        if given in {"array", None} and "items" in theirs:
            yield from self.compare(ours.get("items", {}), theirs["items"], f"{path}[]")

    def _compare_objects(self, ours: Schema, theirs: Schema, path: str) -> Iterator[Narrowing]:
        own, other = ours.get("properties", {}), theirs.get("properties", {})
        rest, open_to = ours.get("additionalProperties", True), theirs.get("additionalProperties", True)
        for name in sorted(set(theirs.get("required", ())) - set(ours.get("required", ()))):
            yield Narrowing(_join(path, name), "必填字段可能缺失", "a required field may be missing")
        for name, schema in own.items():
            if name in other:
                yield from self.compare(schema, other[name], _join(path, name))
            elif open_to is False:
                yield Narrowing(_join(path, name), "字段不再接受", "the field is no longer accepted")
            elif isinstance(open_to, Mapping):
                yield from self.compare(schema, open_to, _join(path, name))
        for name in sorted(set(other) - set(own)):
            if self.must_send:
                yield Narrowing(_join(path, name), "字段不再发送", "the field is no longer sent")
            elif rest is not False:
                yield from self.compare(rest if isinstance(rest, Mapping) else {}, other[name], _join(path, name))
        if rest is not False and open_to is False:
            yield Narrowing(path, "不再接受其他字段", "other fields are no longer accepted")
        elif rest is not False and isinstance(open_to, Mapping):
            yield from self.compare(rest if isinstance(rest, Mapping) else {}, open_to, f"{path}.*")


_OTHER_TYPE: Final = "类型改变"


def _alternatives(schema: Schema, root: Schema, name: str = "") -> Iterator[tuple[str, Schema]]:
    """The branches of a schema, each with the name of its definition: ``$ref``, ``anyOf``, type lists opened."""
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        target = schema["$ref"].removeprefix("#/$defs/")
        yield from _alternatives({**root["$defs"][target], **rest}, root, target)
    elif "anyOf" in schema or "oneOf" in schema:
        rest = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "discriminator"}}
        for branch in schema.get("anyOf", schema.get("oneOf", ())):
            yield from _alternatives({**branch, **rest}, root, name)
    elif isinstance(schema.get("type"), list):
        for one in schema["type"]:
            yield name, {**schema, "type": one}
    else:
        yield name, schema


def _type(schema: Schema) -> str | None:
    if "type" in schema:
        return str(schema["type"])
    values = _values(schema)
    if not values:
        return None
    kinds = {_TYPES[type(value)] for value in values}
    return kinds.pop() if len(kinds) == 1 else None


_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _compare_values(ours: Schema, theirs: Schema, path: str) -> Iterator[Narrowing]:
    """Values, pattern and limits of one branch."""
    values, accepted = _values(ours), _values(theirs)
    if accepted is not None:
        surplus = None if values is None else [value for value in values if value not in accepted]
        if surplus is None:
            yield Narrowing(path, "取值不再限于代码表", "the values are no longer limited to a list")
        elif surplus:
            shown = ", ".join(map(str, surplus))
            yield Narrowing(path, f"取值不在代码表内: {shown}", f"values outside the list: {shown}")
    pattern = theirs.get("pattern")
    if pattern is not None and ours.get("pattern") != pattern:
        fits = values is not None and all(isinstance(one, str) and re.search(pattern, one) for one in values)
        if not fits:
            yield Narrowing(
                path, "格式 (pattern) 改变", f"the pattern differs: {ours.get('pattern')} against {pattern}"
            )
    for keyword in _LIMITS:
        limit, own = theirs.get(keyword), ours.get(keyword)
        if limit is not None and not _keep(keyword, limit, own, values):
            yield Narrowing(path, f"限制 {keyword} 不符", f"{keyword} is {own}, {limit} is expected")


def _keep(keyword: str, limit: float, own: float | None, values: list[Any] | None) -> bool:
    """Whether a limit of one's own, or the values one is limited to, keep ``limit``."""
    lower = _LIMITS[keyword]
    if own is not None and (own >= limit if lower else own <= limit):
        return True
    if values is None:
        return False
    sizes = [size for size in (_measure(keyword, value) for value in values) if size is not None]
    if keyword.startswith("exclusive"):
        return all(size > limit if lower else size < limit for size in sizes)
    return all(size >= limit if lower else size <= limit for size in sizes)


def _measure(keyword: str, value: object) -> float | None:
    """What a limit measures of a listed value; None: the limit does not concern it."""
    if keyword.endswith("Length"):
        return len(value) if isinstance(value, str) else None
    if keyword.endswith("Items"):
        return len(value) if isinstance(value, list) else None
    if keyword.endswith("Properties"):
        return len(value) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
