"""Mapping: a source's columns become the catalogue's, a whole page at a time.

A row that keeps its dataset's contract comes out typed; any other becomes a reject
with its first reason. Good rows never pass through Python one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.changes import find_deletions, revoke_deleted, split_deletions
from connectors.department import Column, DatasetMapping
from connectors.identity import Subjects, find_resident_numbers, protect, resolve_registry, resolve_subjects
from connectors.page import UNREADABLE, Page, Place
from connectors.record_keys import RecordKeys
from connectors.reject_rows import build_rejects
from exchange_formats.cells import (
    DATE_FORMATS,
    Cells,
    Scale,
    read_booleans,
    read_codes,
    read_dates,
    read_decimals,
    read_instants,
    read_integers,
)
from exchange_formats.condition_evaluation import Batch, Evaluator
from exchange_formats.conditions import parse_condition
from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.days import DateFormat
from exchange_formats.dirt import Dirt
from exchange_formats.errors import ConfigurationError
from exchange_formats.field_rules import Broken, RowRules, check_text, describe_subjects
from exchange_formats.manifests import Window
from exchange_formats.periods import shanghai_date
from exchange_formats.rejects import Reason, describe_reason
from exchange_formats.subjects import PseudonymKey
from exchange_formats.texts import Mask, Places, Texts, mask_of

#: The spool's column behind the dataset's own: the id of the record that this row replaces.
SUPERSEDES = pa.field("supersedes", pa.string())

_FACTORS: Mapping[tuple[str | None, str | None], Decimal] = {
    ("元", "万元"): Decimal(10_000),
    ("元", "分"): Decimal("0.01"),
}


@dataclass(frozen=True, eq=False)
class MappedPage:
    """One page mapped, all in row order: good rows (the dataset's schema, then ``supersedes``) and rejects.

    ``deletions`` (``connectors.changes``) are neither yet: whether their records are known, landing finds out.
    The good rows are put together when they are first asked for; who only looks for problems never pays for them.
    """

    rejects: pa.RecordBatch
    deletions: pa.RecordBatch
    normalised: Mapping[str, int]
    good: int
    assemble: Callable[[], pa.RecordBatch] = field(repr=False)

    @cached_property
    def records(self) -> pa.RecordBatch:
        """The good rows."""
        return self.assemble()


class Mapper:
    """One dataset's mapping, compiled once and applied page by page.

    Raises ConfigurationError where the mapping asks for what does not exist (a unit, a date format).
    """

    def __init__(
        self,
        department: str,
        dataset: Dataset,
        mapping: DatasetMapping,
        window: Window,
        pseudonyms: PseudonymKey,
    ) -> None:
        self.schema = pa.schema([*dataset.schema, SUPERSEDES])
        self._department = department
        self._dataset = dataset
        self._mapping = mapping
        self._pseudonyms = pseudonyms
        self._until = window.until
        self._today = shanghai_date(window.until)
        self._keys = RecordKeys((department, dataset.id), mapping, pseudonyms)
        self._rules = RowRules(dataset)
        self._classifiers = _compile_classifiers(dataset, mapping)
        self._formats: dict[str, tuple[DateFormat, ...]] = {}
        self._scales: dict[str, Scale | None] = {}
        self._compile_columns()
        order = (*UNREADABLE, Reason.KEY_MISSING, Reason.CHANGE_UNKNOWN)
        self._ranks = {str(reason): rank for rank, reason in enumerate(order)}
        # A rule that holds on a day asks for that day's column (FieldSpec.valid_on).
        self._order = sorted(dataset.columns, key=lambda name: dataset.columns[name].valid_on is not None)

    def close(self) -> None:
        """Nothing is held; kept for those who close what they opened."""

    def map(
        self, batch: pa.RecordBatch, *, origin: str, first_row: int, position: int, numbers: Places | None = None
    ) -> MappedPage:
        """Map one page; ``first_row`` is its place in ``origin``, ``position`` its place in the pull, both from 1.

        ``numbers`` are its rows' in ``origin`` where they are not consecutive.
        """
        page = Page(batch)
        self._read_texts(page)
        columns: dict[str, pa.Array] = {}
        for name in self._order:
            columns[name] = self._read_column(page, name, self._dataset.columns[name], columns)
        subjects = self._resolve_subjects(page, columns)
        self._reduce_names(page, columns, subjects.persons)
        self._classify(columns, page.rows)
        instants = self._read_instants(page)
        deleted = self._read_changes(page, columns, instants)
        self._check_rows(page, columns, subjects.references)
        findings = page.sort_findings(self._rank)
        wrong = np.zeros(page.rows, dtype=np.bool_)
        for finding in findings:
            wrong |= finding.rows
        rejects = build_rejects(
            page.batch.select(list(self._mapping.source_columns)),
            findings,
            np.flatnonzero(wrong),
            origin=origin,
            first_row=first_row,
            numbers=numbers,
            position=position,
            identities=self._keys.identify(page.texts, subjects.references, wrong),
            personal=self._find_personal(page, subjects),
            pseudonyms=self._pseudonyms,
        )
        rejects, deletions = split_deletions(rejects, findings, deleted, instants)
        columns |= {"subject_ref": subjects.references, "source_updated_at": instants}
        good = page.rows - int(np.count_nonzero(wrong))
        return MappedPage(
            rejects, deletions, page.count_normalised(), good, lambda: self._assemble(page, columns, ~wrong, position)
        )

    def _assemble(self, page: Page, columns: Mapping[str, pa.Array], good: Mask, position: int) -> pa.RecordBatch:
        """The good rows, with their ids."""
        references = columns["subject_ref"]
        flags, whole = pa.array(good), bool(good.all())
        made = {
            "record_id": self._keys.derive(page.texts, references, good),
            "row": pa.array(np.flatnonzero(good) + position, pa.int64()),
            SUPERSEDES.name: self._keys.derive_superseded(page.texts, references, good),
        }

        def choose(column: pa.Array) -> pa.Array:
            kept = column if whole else column.filter(flags)
            return kept.dictionary_decode() if pa.types.is_dictionary(kept.type) else kept

        arrays = [made[name] if name in made else choose(columns[name]) for name in self.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _compile_columns(self) -> None:
        for name, column in self._mapping.columns.items():
            where = f"{self._department}.{self._dataset.id}.columns.{name}"
            spec = self._dataset.fields[name]
            self._scales[name] = _find_scale(spec, column, where)
            try:
                self._formats[name] = tuple(DateFormat(pattern) for pattern in column.formats or DATE_FORMATS)
            except ValueError as error:
                raise ConfigurationError(f"{where}: {error}") from error

    def _rank(self, reason: str, column: str | None) -> tuple[int, int]:
        """Which reason of a row counts: what keeps it from being read, its subject, then the catalogue's columns."""
        if reason in self._ranks:
            return self._ranks[reason], 0
        if column == "subject_id":
            return len(self._ranks), reason == Reason.SUBJECT_TYPE
        known = list(self._dataset.columns)
        return len(self._ranks) + 1, known.index(column) if column in known else len(known)

    def _read_texts(self, page: Page) -> None:
        """Clean text of every source column the mapping reads (the source vouches that they are there)."""
        for source in self._mapping.source_columns:
            page.read_text(source, self._mapping.null_spellings)
        for source in self._mapping.key:
            absent = ~page.texts[source].present & ~page.find_unreadable(source)
            page.find(Reason.KEY_MISSING, absent, Place(None, source, "typed"))

    def _read_column(self, page: Page, name: str, spec: FieldSpec, known: Mapping[str, pa.Array]) -> pa.Array:
        column = self._mapping.columns.get(name)
        if column is None or column.classify is not None:
            return pa.nulls(page.rows, spec.arrow_type)
        if column.value is not None:
            plain = column.model_copy(update={"codes": None})
            constant = self._read_cells(Texts.of(pa.array([column.value])), name, plain, spec, None)
            if constant.problems:  # no row is to blame
                where = f"{self._department}.{self._dataset.id}.columns.{name}.value"
                raise ConfigurationError(f"常量有误 / {where}: {describe_reason(constant.problems[0][0]).en}")
            return constant.values.take(pa.array(np.zeros(page.rows, dtype=np.int64)))
        source = str(column.source)
        cells = self._read_cells(page.texts[source], name, column, spec, known.get(spec.valid_on or ""))
        coded = column.codes is not None or spec.codes is not None
        page.take(cells, Place(name, source, _kind_shown(spec, coded=coded)))
        return cells.values

    def _read_cells(
        self, texts: Texts, name: str, column: Column, spec: FieldSpec, days: pa.Array | None
    ) -> Cells[pa.Array]:
        if spec.type == "date":
            sentinels = self._mapping.sentinel_dates
            return read_dates(texts, self._formats[name], sentinels, self._today, may_be_future=spec.may_be_future)
        if spec.type == "integer":
            return read_integers(texts, spec.minimum, spec.maximum)
        if spec.type == "boolean":
            return read_booleans(texts, column.codes)
        if spec.type.startswith("decimal"):
            return read_decimals(texts, spec.arrow_type, self._scales[name], spec.minimum, spec.maximum)
        if column.codes is not None:
            return read_codes(texts, column.codes)
        if spec.codes is not None:  # the source writes our codes, or their official Chinese names
            return read_codes(texts, {title: code for code, title in spec.codes.items()} | {c: c for c in spec.codes})
        checked = check_text(texts, spec, days)
        if spec.rule is None:
            self._hide_numbers(checked)
        return Cells(checked.values.array, checked.problems, checked.normalised)

    def _hide_numbers(self, cells: Cells[Texts]) -> None:
        """A person's number is never landed, whichever column it was written into, alone or in a text."""
        rows = find_resident_numbers(cells.values)
        if rows.any():
            cells.values = Texts.of(protect(cells.values.array, self._pseudonyms))
            cells.normalised.append((Dirt.PSEUDONYMISED, rows))

    def _resolve_subjects(self, page: Page, columns: Mapping[str, pa.Array]) -> Subjects:
        column = self._mapping.columns["subject_id"]
        codes = page.texts[column.source] if column.source else page.repeat(column.value)
        numbers = page.texts[column.person] if column.person else None
        if column.registry is not None:
            subjects = resolve_registry(codes, column.registry)
        else:
            kinds = columns.get("party_kind", pa.nulls(page.rows, pa.string()))
            if pa.types.is_dictionary(kinds.type):
                natural = mask_of(pc.equal(kinds.dictionary, "natural_person").take(kinds.indices))
            else:
                natural = mask_of(pc.equal(kinds, "natural_person"))
            # Where nobody says what the party is, a person's number counts only if there is no code beside it.
            unsaid = mask_of(pc.is_null(kinds))
            if numbers is not None:
                unsaid &= ~(codes.present & numbers.present)
            subjects = resolve_subjects(codes, numbers, natural, natural | unsaid, self._pseudonyms)
        page.normalised += subjects.normalised
        readable = ~(page.find_unreadable(column.source) | page.find_unreadable(column.person))
        for reason, rows in subjects.problems:
            broken = rows & readable
            # The column is named in which the sender finds what is shown, or has to put what is missing.
            if numbers is not None and reason != Reason.SUBJECT_MISSING:
                alone = broken & numbers.present & ~codes.present
                page.find(reason, alone, Place("subject_id", column.person, "identity"), numbers)
                broken &= ~alone
            page.find(reason, broken, Place("subject_id", column.source, "identity"), codes)
        return subjects

    def _find_personal(self, page: Page, subjects: Subjects) -> Mask:
        """Rows that are about a person, or try to be: whatever was shifted between their columns may be the name."""
        person = self._mapping.columns["subject_id"].person
        return subjects.persons | page.texts[person].present if person else subjects.persons

    def _reduce_names(self, page: Page, columns: dict[str, pa.Array], persons: Mask) -> None:
        """A person's name is cut to its first character before anything is written."""
        if not persons.any():
            return
        for name, spec in self._dataset.columns.items():
            if spec.sensitivity == "name":
                first = pc.utf8_slice_codeunits(columns[name], 0, 1)
                starred = pc.binary_join_element_wise(first, "*", "", null_handling="emit_null")
                columns[name] = pc.if_else(pa.array(persons), starred, columns[name])
                page.normalised.append((Dirt.NAME_REDUCED, persons & mask_of(pc.is_valid(starred))))

    def _classify(self, columns: dict[str, pa.Array], rows: int) -> None:
        """The first rule whose condition holds gives the code; a later column may ask for an earlier one."""
        for name, rules in self._classifiers.items():
            batch = Batch(columns, rows)
            places = np.full(rows, -1, np.int32)
            for place, (_, evaluator) in enumerate(rules):
                places[(places < 0) & evaluator.holds(batch)] = place
            codes = pa.array([code for code, _ in rules], pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), codes)

    def _check_rows(self, page: Page, columns: Mapping[str, pa.Array], references: pa.Array) -> None:
        """The rules between the columns of a row."""
        batch = Batch({**columns, **describe_subjects(references)}, page.rows)
        broken = {name: page.find_unreadable(column.source) for name, column in self._mapping.columns.items()}
        for finding in page.findings:
            if finding.column is not None:
                broken[finding.column] = broken[finding.column] | finding.rows
        found = [*self._rules.find_other_types(batch), *self._rules.find_missing(batch, broken)]
        found += self._rules.find_contradictions(batch)
        for one in found:
            self._find_broken(page, one)

    def _find_broken(self, page: Page, one: Broken) -> None:
        column = self._mapping.columns.get(one.column)
        spec = self._dataset.fields[one.column]
        kind = "identity" if spec.type == "subject" else _kind_shown(spec, coded=spec.codes is not None)
        page.find(one.reason, one.rows, Place(one.column, column.source if column else None, kind))

    def _read_instants(self, page: Page) -> pa.Array:
        watermark = self._mapping.watermark
        if watermark is None:
            return pa.nulls(page.rows, pa.timestamp("us", tz="UTC"))
        cells = read_instants(page.batch.column(watermark.field), page.texts[watermark.field], self._until)
        page.take(cells, Place(None, watermark.field, "typed"))
        return cells.values

    def _read_changes(self, page: Page, columns: dict[str, pa.Array], instants: pa.Array) -> Mask:
        """Which rows delete their record; they are revoked."""
        changes = self._mapping.changes
        if changes is None:
            return np.zeros(page.rows, dtype=np.bool_)
        deleted, unknown = find_deletions(page.texts[changes.field].array, changes)
        page.find(Reason.CHANGE_UNKNOWN, unknown, Place(None, changes.field, "code"))
        columns["revoked_on"] = revoke_deleted(columns["revoked_on"], deleted, instants)
        return deleted


def _find_scale(spec: FieldSpec, column: Column, where: str) -> Scale | None:
    if column.yuan is not None:
        return Scale(column.yuan, Dirt.CURRENCY_CONVERTED, rounded=True)
    if column.unit in {None, spec.unit}:
        return None
    factor = _FACTORS.get((spec.unit, column.unit))
    if factor is None:
        raise ConfigurationError(f"{where}: {column.unit} cannot be turned into {spec.unit}")
    return Scale(factor, Dirt.UNIT_CONVERTED)


def _kind_shown(spec: FieldSpec, *, coded: bool) -> str:
    if spec.sensitivity in {"identity", "name"}:
        return spec.sensitivity
    return "code" if coded and spec.type == "string" else "typed"


def _compile_classifiers(dataset: Dataset, mapping: DatasetMapping) -> dict[str, list[tuple[str, Evaluator]]]:
    """The rules that classify a page, by column; conditions were checked when the department was read."""
    kinds = dataset.condition_columns
    return {
        name: [(rule.code, Evaluator(parse_condition(rule.when, kinds))) for rule in column.classify]
        for name, column in mapping.columns.items()
        if column.classify
    }
