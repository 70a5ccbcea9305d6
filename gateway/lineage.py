"""Lineage: from a message's field back to the columns of the departments' systems, and forward again.

One step back stands in ``exchange_formats/lineage.yaml``; every further one is read from the
catalogue, the departments' mappings and the models, so it cannot say what is not so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, Literal

from connectors.department import Column, Department
from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset
from exchange_formats.errors import ConfigurationError
from exchange_formats.lineage import Leaf, LineageTable, Origin, find_origin, list_leaves
from exchange_formats.messages.field_titles import FieldTitle, find_title, load_titles
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.specs import MessageSpec
from scoring.grammar import EVERY
from scoring.library import Models
from scoring.reading import Reading, list_readings
from scoring.resolution import ResolvedModel, resolve

Kind = Literal[
    "file", "manifest", "column", "source", "constant", "rule", "model", "table", "part", "sent", "derived", "none"
]
#: Parts of a model that are a table of their own.
_TABLES: Final = ("bands", "decay", "publicity", "severity", "warnings", "measures")


@dataclass(frozen=True)
class Step:
    """One step back: what it is, its name, what is said of it, and where it comes from in turn.

    ``condition``: only the records for which it holds are read.
    """

    kind: Kind
    name: str
    zh: str = ""
    en: str = ""
    origins: tuple[Step, ...] = ()
    condition: str = ""

    def walk(self) -> Iterator[Step]:
        """This step and every one behind it."""
        yield self
        for origin in self.origins:
            yield from origin.walk()


@dataclass(frozen=True)
class FieldTrace:
    """A message's field and where it comes from; ``title`` says what it means."""

    message: str
    path: str
    title: FieldTitle
    step: Step


@dataclass(frozen=True)
class ColumnUse:
    """A part of a model (``enterprise_environment@2026.1``) that reads a column."""

    model: str
    reading: Reading


@dataclass(frozen=True)
class ColumnTrace:
    """A column of the catalogue: who fills it from what, what reads it, which message fields show it."""

    dataset: Dataset
    column: str
    step: Step
    uses: tuple[ColumnUse, ...]
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Atlas:
    """Everything that lineage is read from. ``on``: the models in force that day."""

    catalogue: Mapping[str, Dataset]
    departments: Mapping[str, Department]
    models: Models
    lineage: LineageTable
    on: date

    @cached_property
    def resolved(self) -> Mapping[str, ResolvedModel]:
        """The models in force, by domain; a domain without one is left out."""
        versions = {
            domain: [m for m in found if m.effective.holds(self.on)] for domain, found in self.models.versions.items()
        }
        return {domain: resolve(found[-1], self.on, self.models.tables) for domain, found in versions.items() if found}

    @cached_property
    def readings(self) -> Mapping[str, tuple[Reading, ...]]:
        """What each domain's model reads."""
        return {domain: list_readings(resolved) for domain, resolved in self.resolved.items()}

    def trace_message(self, name: str, path: str, domain: str | None = None) -> tuple[FieldTrace, ...]:
        """Where a field comes from (``results.score``); a path above several fields gives each of them.

        Raises:
            ConfigurationError: there is no such message, field or domain; the hint names those there are.
        """
        if domain is not None and domain not in self.resolved:
            raise ConfigurationError(
                f"没有生效的领域模型 / no model of domain '{domain}' is in force",
                hint=f"one of {', '.join(self.resolved)}",
            )
        message = find_message_named(name)
        wanted = _plain(path)
        leaves = [
            leaf
            for leaf in list_leaves(message, self.lineage)
            if _plain(leaf.path) == wanted or _plain(leaf.path).startswith(f"{wanted}.") or not wanted
        ]
        if not leaves:
            known = ", ".join(_plain(leaf.path) for leaf in list_leaves(message, self.lineage))
            raise ConfigurationError(f"{name} 没有字段 / has no field '{path}'", hint=f"one of {known}")
        return tuple(
            FieldTrace(message.name, leaf.path, self._title(leaf), self._trace_leaf(leaf, domain)) for leaf in leaves
        )

    def trace_column(self, dataset_id: str, column: str) -> ColumnTrace:
        """Who fills a column of the catalogue, and what is made of it.

        Raises:
            ConfigurationError: there is no such dataset or column.
        """
        dataset = self.find_dataset(dataset_id)
        if column not in dataset.fields:
            raise ConfigurationError(
                f"{dataset_id} 没有字段 / has no column '{column}'", hint=f"one of {', '.join(dataset.fields)}"
            )
        step = self._trace_column(dataset_id, column)
        return ColumnTrace(
            dataset, column, step, tuple(self._find_uses(dataset_id, column)), self._find_shown(step.name)
        )

    def find_dataset(self, dataset_id: str) -> Dataset:
        """A dataset of the catalogue; ConfigurationError names those there are."""
        if dataset_id not in self.catalogue:
            raise ConfigurationError(
                f"没有数据集 / there is no dataset '{dataset_id}'", hint=f"one of {', '.join(self.catalogue)}"
            )
        return self.catalogue[dataset_id]

    def _title(self, leaf: Leaf) -> FieldTitle:
        """What a leaf means; a column of a body has the title of the field it is in other messages."""
        if leaf.column is None:
            owner, _, field = next(key for key in leaf.keys if key.count(".") == 1).partition(".")
            return find_title(owner, field)
        field = leaf.column.partition(".")[2]
        return load_titles().get(field, FieldTitle(zh=field, en=field))

    def _trace_leaf(self, leaf: Leaf, domain: str | None) -> Step:
        return self._trace_origin(find_origin(leaf, self.lineage), domain)

    def _trace_origin(self, origin: Origin, domain: str | None) -> Step:
        if origin.artefact:
            inner = self._trace_origin(self.lineage.artefacts[origin.artefact], domain)
            return Step("file", origin.artefact, origin.zh, origin.en, (inner,))
        if origin.columns:
            steps = tuple(step for name in origin.columns for step in self._trace_columns(name, domain))
            if len(steps) == 1 and not origin.zh:
                return steps[0]
            return Step("column", ", ".join(origin.columns), origin.zh, origin.en, steps)
        if origin.computed:
            steps = tuple(step for part in origin.computed for step in self._trace_part(part, domain))
            return Step("rule", ", ".join(origin.computed), origin.zh, origin.en, steps)
        if origin.manifest:
            return Step("manifest", origin.manifest, origin.zh, origin.en)
        if origin.model:
            return Step("model", origin.model, origin.zh, origin.en)
        if origin.sent:
            return Step("sent", "", "由发送的参与方填写", "stated by the participant that sends it")
        return Step("derived", "", origin.zh, origin.en)

    def _trace_columns(self, name: str, domain: str | None) -> Iterator[Step]:
        """``subjects.x``: of the model's subjects; ``*.x``: of every dataset that has it; ``*.*``: of any."""
        source, _, column = name.partition(".")
        if source == "subjects":
            models = [self.resolved[domain]] if domain else list(self.resolved.values())
            for owner in dict.fromkeys(source for model in models for source in model.model.subjects_sources):
                department, _, dataset = owner.partition("/")
                yield self._trace_column(dataset, column, department)
        elif column == "*":
            yield Step("column", name, "记录的任一字段", "any column of the record")
        elif source == "*":
            yield from (self._trace_column(one.id, column) for one in self.catalogue.values() if column in one.fields)
        else:
            yield self._trace_column(source, column)

    def _trace_part(self, part: str, domain: str | None) -> Iterator[Step]:
        """What a part of the domain's model reads; without a domain only that there is such a part."""
        if domain is None:
            yield Step("part", part, "用 --domain 查看各领域的指标和来源", "give --domain to see what it reads")
            return
        resolved = self.resolved[domain]
        table = getattr(resolved, part, None) if part in _TABLES else None
        if table is not None:
            yield Step("table", f"{part}/{table.id}", table.title, table.title_en)
        yield from (self._trace_reading(one) for one in self.readings[domain] if one.part == part)

    def _trace_reading(self, reading: Reading) -> Step:
        department, _, dataset = reading.source.partition("/")
        origins = tuple(self._trace_column(dataset, column, department) for column in reading.columns)
        condition = "" if reading.where == "true" else reading.where
        return Step("part", reading.id, reading.title, reading.title_en, origins, condition)

    def _trace_column(self, dataset_id: str, column: str, department: str | None = None) -> Step:
        """A column of the catalogue and every department (or the one given) that fills it."""
        spec = self.catalogue[dataset_id].fields[column]
        owners = [owner for name, owner in self.departments.items() if department in {None, EVERY, name}]
        found = tuple(
            step
            for owner in owners
            if dataset_id in owner.datasets and (step := self._trace_mapping(owner, dataset_id, column))
        )
        nobody = Step("none", "", "尚无部门报送", "no department sends it yet")
        return Step("column", f"{dataset_id}.{column}", spec.title, spec.title_en, found or (nobody,))

    def _trace_mapping(self, owner: Department, dataset_id: str, name: str) -> Step | None:
        """How a department's mapping fills a column; None where it does not."""
        column = owner.datasets[dataset_id].columns.get(name)
        if column is None:
            return None
        place = f"{owner.id}/{dataset_id}"
        if column.classify:
            read = self._read_by_rules(dataset_id, column)
            codes = ", ".join(rule.code for rule in column.classify)
            steps = tuple(filter(None, (self._trace_mapping(owner, dataset_id, one) for one in read)))
            return Step("rule", place, f"{owner.title} 分类得出 {codes}", f"classified as {codes}", steps)
        if column.value is not None:
            return Step("constant", place, f"{owner.title} 固定为 {column.value}", f"always {column.value}")
        unit = self.catalogue[dataset_id].fields[name].unit
        named = [column.source, column.person] if column.person else [column.source]
        note = describe_conversion(column, unit)
        return Step("source", f"{place}.{' | '.join(filter(None, named))}", f"{owner.title} {note}".strip(), note)

    def _read_by_rules(self, dataset_id: str, column: Column) -> tuple[str, ...]:
        kinds = self.catalogue[dataset_id].condition_columns
        found = {name for rule in column.classify or () for name in parse_condition(rule.when, kinds).columns}
        return tuple(name for name in self.catalogue[dataset_id].columns if name in found)

    def _find_uses(self, dataset_id: str, column: str) -> Iterator[ColumnUse]:
        for domain, resolved in self.resolved.items():
            for reading in self.readings[domain]:
                if reading.source.endswith(f"/{dataset_id}") and column in reading.columns:
                    yield ColumnUse(resolved.name, reading)

    def _find_shown(self, name: str) -> tuple[tuple[str, str], ...]:
        """Message fields behind which the column stands in some domain, directly or through a rule."""
        found: dict[tuple[str, str], None] = {}
        for message in MESSAGES.values():
            for leaf in list_leaves(message, self.lineage):
                if any(self._stands_behind(leaf, name, domain) for domain in self.resolved):
                    found[message.name, leaf.path] = None
        return tuple(found)

    def _stands_behind(self, leaf: Leaf, name: str, domain: str) -> bool:
        return any(step.kind == "column" and step.name == name for step in self._trace_leaf(leaf, domain).walk())


def describe_conversion(column: Column, unit: str | None) -> str:
    """What is done to a value on its way in: its unit, its codes, its formats."""
    said: list[str] = []
    if column.unit and column.unit != unit:
        said.append(f"{column.unit} → {unit}")
    if column.codes:
        said.append(", ".join(f"{text} → {code}" for text, code in column.codes.items()))
    if column.formats:
        said.append(", ".join(column.formats))
    return "; ".join(said)


def find_message_named(name: str) -> MessageSpec:
    """The newest version of a message (``grade.evaluated``); ConfigurationError names those there are."""
    found = [one for one in MESSAGES.values() if one.name == name]
    if not found:
        known = ", ".join(dict.fromkeys(one.name for one in MESSAGES.values()))
        raise ConfigurationError(f"没有消息 / there is no message '{name}'", hint=f"one of {known}")
    return max(found, key=lambda one: one.version)


def _plain(path: str) -> str:
    return path.replace("[]", "")
