"""Cross-checks of a dataset's mapping against the catalogue: what a schema cannot say (architecture §5.5).

Each answers with problems at their place in the department's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import permutations
from typing import TYPE_CHECKING, Final

from exchange_formats.conditions import ConditionError, Kind, kind_of, parse_condition
from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.deny_list import find_denied
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from exchange_formats.forms import find_form

if TYPE_CHECKING:
    from connectors.department import Column, DatasetMapping, Department

#: What yes and no are called in a mapping.
_BOOLEANS: Final = ("true", "false")
#: A time whose parts cannot be taken for each other.
_SAMPLE: Final = {"%Y": "2003", "%m": "04", "%d": "05", "%H": "06", "%M": "07", "%S": "08"}
_SAMPLE_DAY: Final = date(2003, 4, 5)


def check_source(
    document: Document[Department], department: Department, name: str, mapping: DatasetMapping
) -> list[Problem]:
    """What the department's kind of source needs of a dataset's mapping."""
    wanted = {"sql": "table", "http": "request", "files": "files"}[department.source.kind]
    given = [shape for shape in ("table", "request", "files") if getattr(mapping, shape) is not None]
    found = []
    if given != [wanted]:
        what = f"a source of kind '{department.source.kind}' needs exactly the key '{wanted}'"
        found.append(document.problem(("datasets", name), what, expected=wanted, got=", ".join(given) or "none"))
    if mapping.watermark and mapping.snapshot:
        path = ("datasets", name, "snapshot")
        found.append(document.problem(path, "a full snapshot cannot be pulled by watermark", hint="remove one"))
    if mapping.changes and not mapping.watermark:
        what = "changes have an order: 'watermark' must name the time of each row's change"
        found.append(document.problem(("datasets", name, "changes"), what, expected="watermark", got="none"))
    return found


def check_columns(document: Document[Department], dataset: Dataset, mapping: DatasetMapping) -> list[Problem]:
    """What is wrong with how ``dataset``'s columns are filled."""
    found = _refuse_denied(document, dataset, mapping)
    base = ("datasets", dataset.id, "columns")
    for missing in (n for n, spec in dataset.fields.items() if spec.required is True and n not in mapping.columns):
        found.append(document.problem(base, f"the required column '{missing}' is not mapped"))
    kinds: dict[str, Kind] = {n: kind_of(spec.type) for n, spec in dataset.columns.items()}
    if (mapping.snapshot or mapping.supersedes or mapping.changes) and "revoked_on" not in dataset.fields:
        what = "records of this dataset cannot be revoked: it has no column 'revoked_on'"
        found.append(document.problem(base[:-1], what, hint="remove snapshot, supersedes and changes"))
    if mapping.form and (of := find_form(mapping.form.id).dataset) != dataset.id:
        what = "the form is one of another dataset"
        found.append(document.problem((*base[:-1], "form"), what, expected=f"a form of {dataset.id}", got=of))
    for name in sorted(set(mapping.ignore) & set(mapping.source_columns)):
        what = f"'{name}' is mapped and ignored"
        found.append(document.problem((*base[:-1], "ignore"), what, hint="remove it from 'ignore'"))
    for name, column in mapping.columns.items():
        spec = dataset.fields.get(name)
        if spec is None:
            known = ", ".join(dataset.fields)
            found.append(document.problem((*base, name), "no such column in the catalogue", expected=f"one of {known}"))
            continue
        found += _check_column(document, (*base, name), spec, column)
        found += _check_rules(document, (*base, name), column, {n: k for n, k in kinds.items() if n != name})
    return found


def _refuse_denied(document: Document[Department], dataset: Dataset, mapping: DatasetMapping) -> list[Problem]:
    """Source columns that may not be collected (条例 14); a mapping may name them only under ``ignore``."""
    base = ("datasets", dataset.id)
    found: list[Problem] = []
    seen: set[str] = set()
    for path, name in _name_sources(mapping):
        if name not in seen and (denied := find_denied(name, without_consent=dataset.needs_consent)):
            what = f"the source column '{name}' may not be collected: {denied}"
            hint = "remove the mapping; the column may stand under 'ignore'"
            found.append(document.problem((*base, *path), what, hint=hint))
        seen.add(name)
    return found


def _name_sources(mapping: DatasetMapping) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every source column that the mapping reads, with its place in the dataset's part of the document."""
    for name, column in mapping.columns.items():
        for key, source in (("from", column.source), ("person", column.person)):
            if source is not None:
                yield ("columns", name, key), source
    for index, source in enumerate(mapping.key):
        yield ("key", index), source
    for key, source in (("party", mapping.party), ("supersedes", mapping.supersedes)):
        if source is not None:
            yield (key,), source
    for key, named in (("watermark", mapping.watermark), ("changes", mapping.changes)):
        if named is not None:
            yield (key, "field"), named.field


def _check_column(
    document: Document[Department], path: tuple[str, ...], spec: FieldSpec, column: Column
) -> list[Problem]:
    found: list[Problem] = []
    if spec.unit == "元" and column.source and column.unit is None and column.currency is None:
        hint = "money is declared, never guessed: write {from: …, unit: 元} or 万元"
        found.append(document.problem(path, "the unit is not declared", hint=hint))
    if column.currency and spec.unit != "元":
        found.append(document.problem((*path, "currency"), "only money has a currency"))
    if column.person and spec.type != "subject":
        found.append(document.problem((*path, "person"), "only the subject may be a person"))
    if column.registry and spec.type != "subject":
        found.append(document.problem((*path, "registry"), "only the subject is named by a registry's number"))
    if column.unit and spec.unit is None:
        found.append(document.problem((*path, "unit"), "this column has no unit"))
    found += _check_codes(document, path, spec, column)
    return found + _check_formats(document, (*path, "formats"), spec, column.formats or ())


def _check_codes(
    document: Document[Department], path: tuple[str, ...], spec: FieldSpec, column: Column
) -> Iterator[Problem]:
    """Every code that a mapping gives is one of the column's."""
    if column.codes and spec.type not in {"string", "boolean"}:
        yield document.problem((*path, "codes"), "only a text or a yes and no has codes", got=spec.type)
    if column.classify and spec.type != "string":
        yield document.problem((*path, "classify"), "only a text is classified", got=spec.type)
    known = _BOOLEANS if spec.type == "boolean" else tuple(spec.codes or ())
    given: list[tuple[tuple[str | int, ...], str]] = [
        *((("codes", text), code) for text, code in (column.codes or {}).items()),
        *((("classify", index, "code"), rule.code) for index, rule in enumerate(column.classify or ())),
        *((("value",), value) for value in [column.value] if value is not None),
    ]
    for place, code in given:
        if known and code not in known:
            expected = f"one of {', '.join(known)}"
            yield document.problem((*path, *place), "no such code", expected=expected, got=code)


def _check_formats(
    document: Document[Department], path: tuple[str, ...], spec: FieldSpec, formats: Sequence[str]
) -> list[Problem]:
    if not formats:
        return []
    if spec.type != "date":
        return [document.problem(path, "only a date has formats", got=spec.type)]
    from exchange_formats.days import DateFormat

    found: list[Problem] = []
    good: list[DateFormat] = []
    for index, pattern in enumerate(formats):
        try:
            good.append(DateFormat(pattern))
        except ValueError as error:
            found.append(document.problem((*path, index), str(error)))
    for one, other in permutations(good, 2):
        day = other.read(re.sub("%.", lambda part: _SAMPLE[part[0]], one.text))
        if day is not None and day.date() != _SAMPLE_DAY:
            what = f"a text may be read as '{one.text}' and as '{other.text}': which day it is would be guessed"
            return [*found, document.problem(path, what, hint="keep the one that the source writes")]
    return found


def _check_rules(
    document: Document[Department], path: tuple[str, ...], column: Column, kinds: Mapping[str, Kind]
) -> list[Problem]:
    found: list[Problem] = []
    for index, rule in enumerate(column.classify or ()):
        try:
            parse_condition(rule.when, kinds)
        except ConditionError as error:
            found.append(document.problem((*path, "classify", index, "when"), str(error)))
    return found
