"""Mapping: a source's columns become the catalogue's, a whole page at a time.

A row that keeps its dataset's contract comes out typed; any other becomes a reject
with its first reason. Good rows never pass through Python one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.changes import find_deletions, revoke_deleted, split_deletions
from connectors.department import Column, DatasetMapping
from connectors.identity import Subjects, derive_ids, protect, resolve_subjects
from connectors.reject_rows import Finding, build_rejects
from exchange_formats.cells import (
    DATE_FORMATS,
    Cells,
    Mask,
    compile_date_format,
    mask_of,
    read_booleans,
    read_codes,
    read_dates,
    read_decimals,
    read_instants,
    read_integers,
    read_text,
)
from exchange_formats.conditions import kind_of, parse_condition
from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.errors import ConfigurationError
from exchange_formats.manifests import Window
from exchange_formats.periods import shanghai_date
from exchange_formats.rejects import Reason
from exchange_formats.subjects import PseudonymKey, normalise_identifiers

#: Between the old parts of a superseded record's identity (``DatasetMapping.supersedes``).
KEY_SEPARATOR = "|"
#: The spool's column behind the dataset's own: the id of the record that this row replaces.
SUPERSEDES = pa.field("supersedes", pa.string())

#: Which reason of a row counts; the others follow in the catalogue's order of columns.
_PRIORITY: Mapping[Reason, int] = {
    Reason.CELL_TOO_LARGE: 0,
    Reason.KEY_MISSING: 1,
    Reason.CHANGE_UNKNOWN: 1,
    Reason.SUBJECT_MALFORMED: 2,
    Reason.SUBJECT_MISSING: 3,
}
_FACTORS: Mapping[tuple[str | None, str | None], Decimal] = {
    ("元", "万元"): Decimal(10_000),
    ("元", "分"): Decimal("0.01"),
}


@dataclass(frozen=True)
class MappedPage:
    """One page mapped, all in row order: good rows (the dataset's schema, then ``supersedes``) and rejects.

    ``deletions`` (``connectors.changes``) are neither yet: whether their records are known, landing finds out.
    """

    records: pa.RecordBatch
    rejects: pa.RecordBatch
    deletions: pa.RecordBatch
    normalised: Mapping[str, int]


@dataclass
class _Page:
    """What is known of the page being mapped."""

    batch: pa.RecordBatch
    texts: dict[str, pa.Array] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    normalised: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return int(self.batch.num_rows)

    def nulls(self) -> pa.Array:
        return pa.nulls(self.rows, pa.string())

    def take(self, cells: Cells, column: str | None, source: str | None, kind: str) -> None:
        """Keep what reading one column found."""
        self.normalised.update(cells.normalised)
        for reason, rows in cells.problems:
            self.find(reason, rows, column, source, kind)

    def find(
        self,
        reason: Reason,
        rows: Mask,
        column: str | None,
        source: str | None,
        kind: str,
        text: pa.Array | None = None,
    ) -> None:
        """Keep one problem of some rows; ``text`` is what is shown, masked, if not the source column itself."""
        if rows.any():
            shown = self.texts.get(source or "") if text is None else text
            self.findings.append(Finding(reason, rows, column, source, shown, kind))


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
        self._classifiers = _compile_classifiers(dataset, mapping)
        self._connection = duckdb.connect(config={"threads": 1})
        self._check()

    def close(self) -> None:
        """Release the engine that classifies."""
        self._connection.close()

    def map(self, batch: pa.RecordBatch, *, origin: str, first_row: int, position: int) -> MappedPage:
        """Map one page; ``first_row`` is its place in ``origin``, ``position`` its place in the pull, both from 1."""
        page = _Page(batch)
        self._read_texts(page)
        columns = {name: self._read_column(page, name, spec) for name, spec in self._dataset.columns.items()}
        subjects = self._resolve_subjects(page, columns)
        columns = self._reduce_names(page, columns, subjects.persons)
        for name, sql in self._classifiers.items():
            columns[name] = self._classify(columns, sql, page.rows)
        keys = self._read_keys(page)
        record_ids = self._derive_record_ids(keys, subjects.references, page)
        self._check_required(page, columns)
        instants = self._read_instants(page)
        deleted = self._read_changes(page, columns, instants)
        columns |= {
            "record_id": record_ids,
            "subject_ref": subjects.references,
            "source_updated_at": instants,
            "row": pa.array(np.arange(position, position + page.rows), pa.int64()),
            SUPERSEDES.name: self._read_superseded(page, keys, subjects.references),
        }
        arrays = [columns[name] for name in self.schema.names]
        findings = sorted(page.findings, key=lambda finding: _PRIORITY.get(finding.reason, len(_PRIORITY)))
        wrong = np.zeros(page.rows, dtype=np.bool_)
        for finding in findings:
            wrong |= finding.rows
        good = pa.array(~wrong)
        rejects = build_rejects(
            page.batch.select(list(self._mapping.source_columns)),
            findings,
            origin=origin,
            first_row=first_row,
            position=position,
            identities=pa.table(
                {"record_id": record_ids, "subject_ref": subjects.references, "key": self._show_keys(keys)}
            ),
            pseudonyms=self._pseudonyms,
        )
        rejects, deletions = split_deletions(rejects, findings, deleted, instants)
        fields = [pa.field(f.name, f.type) for f in self.schema]
        mapped = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)).filter(good)
        records = pa.RecordBatch.from_arrays(mapped.columns, schema=self.schema)
        return MappedPage(records, rejects, deletions, page.normalised)

    def _check(self) -> None:
        for name, column in self._mapping.columns.items():
            where = f"{self._department}.{self._dataset.id}.columns.{name}"
            unit = self._dataset.fields[name].unit
            if column.unit not in {None, unit} and (unit, column.unit) not in _FACTORS:
                raise ConfigurationError(f"{where}: {column.unit} cannot be turned into {unit}")
            for pattern in column.formats or ():
                try:
                    compile_date_format(pattern)
                except ValueError as error:
                    raise ConfigurationError(f"{where}: {error}") from error

    def _read_texts(self, page: _Page) -> None:
        """Clean text of every source column the mapping reads (the source vouches that they are there)."""
        for source in self._mapping.source_columns:
            cells = read_text(page.batch.column(source), self._mapping.null_spellings)
            page.texts[source] = cells.values
            page.take(cells, None, source, "typed")

    def _read_column(self, page: _Page, name: str, spec: FieldSpec) -> pa.Array:
        column = self._mapping.columns.get(name)
        if column is None or column.classify is not None:
            return pa.nulls(page.rows, spec.arrow_type)
        if column.value is not None:
            constant = self._read_cells(pa.array([column.value]), column.model_copy(update={"codes": None}), spec)
            return constant.values.take(pa.array(np.zeros(page.rows, dtype=np.int64)))
        source = str(column.source)
        cells = self._read_cells(page.texts[source], column, spec)
        coded = column.codes is not None or spec.codes is not None
        page.take(cells, name, source, _kind_shown(spec, coded=coded))
        return cells.values

    def _read_cells(self, text: pa.Array, column: Column, spec: FieldSpec) -> Cells:
        if spec.type == "date":
            formats, sentinels = column.formats or DATE_FORMATS, self._mapping.sentinel_dates
            return read_dates(text, formats, sentinels, self._today, may_be_future=spec.may_be_future)
        if spec.type == "integer":
            return read_integers(text, spec.minimum, spec.maximum)
        if spec.type == "boolean":
            return read_booleans(text, column.codes)
        if spec.type.startswith("decimal"):
            factor = _FACTORS.get((spec.unit, column.unit), Decimal(1))
            return read_decimals(text, spec.arrow_type, factor, spec.minimum, spec.maximum)
        if column.codes is not None:
            return read_codes(text, column.codes)
        if spec.codes is not None:  # the source writes our codes, or their official Chinese names
            return read_codes(text, {title: code for code, title in spec.codes.items()} | {c: c for c in spec.codes})
        return Cells(text)

    def _resolve_subjects(self, page: _Page, columns: Mapping[str, pa.Array]) -> Subjects:
        column = self._mapping.columns["subject_id"]
        constant = pa.array([column.value], pa.string()).take(pa.array(np.zeros(page.rows, dtype=np.int64)))
        codes = page.texts[column.source] if column.source else constant
        numbers = page.texts[column.person] if column.person else None
        kind = columns.get("party_kind", page.nulls())
        may_be_person = mask_of(pc.equal(kind, "natural_person"))
        # Where nobody says what the party is, a person's number counts only if there is no code beside it.
        unsaid = mask_of(pc.is_null(kind))
        if numbers is not None:
            unsaid &= mask_of(pc.or_(pc.is_null(codes), pc.is_null(numbers)))
        may_be_person |= unsaid
        subjects = resolve_subjects(codes, numbers, may_be_person, self._pseudonyms)
        page.normalised.update(subjects.normalised)
        shown = codes if numbers is None else pc.coalesce(codes, numbers)
        for reason, rows in subjects.problems:
            page.find(reason, rows, "subject_id", column.source, "identity", shown)
        return subjects

    def _reduce_names(self, page: _Page, columns: dict[str, pa.Array], persons: Mask) -> dict[str, pa.Array]:
        """A person's name is cut to its first character before anything is written."""
        if persons.any():
            for name, spec in self._dataset.columns.items():
                if spec.sensitivity == "name":
                    first = pc.utf8_slice_codeunits(columns[name], 0, 1)
                    starred = pc.binary_join_element_wise(first, "*", "", null_handling="emit_null")
                    columns[name] = pc.if_else(pa.array(persons), starred, columns[name])
                    page.normalised["name_reduced"] += int((persons & mask_of(pc.is_valid(starred))).sum())
        return columns

    def _classify(self, columns: Mapping[str, pa.Array], sql: str, rows: int) -> pa.Array:
        if not rows:
            return pa.nulls(0, pa.string())
        self._connection.register("page", pa.table(dict(columns)))
        try:
            found = self._connection.sql(sql).to_arrow_table().column(0).combine_chunks()
        finally:
            self._connection.unregister("page")
        return found.cast(pa.string())

    def _read_keys(self, page: _Page) -> dict[str, pa.Array]:
        """The declared key's texts, the subject's own code normalised; a missing one is a problem."""
        keys: dict[str, pa.Array] = {}
        subject = self._mapping.columns["subject_id"].source
        for source in self._mapping.key:
            text = page.texts[source]
            keys[source] = protect(normalise_identifiers(text) if source == subject else text, self._pseudonyms)
            page.find(Reason.KEY_MISSING, mask_of(pc.is_null(text)), None, source, "typed")
        return keys

    def _read_party(self, page: _Page, references: pa.Array) -> list[pa.Array]:
        if self._mapping.party is None:
            return []
        party = protect(normalise_identifiers(page.texts[self._mapping.party]), self._pseudonyms)
        return [pc.coalesce(party, references)]

    def _derive_record_ids(self, keys: Mapping[str, pa.Array], references: pa.Array, page: _Page) -> pa.Array:
        return derive_ids((self._department, self._dataset.id), [*keys.values(), *self._read_party(page, references)])

    def _read_superseded(self, page: _Page, keys: Mapping[str, pa.Array], references: pa.Array) -> pa.Array:
        """Ids of the records that rows say they replace: their parts stand for the last ones of (key…, party)."""
        if self._mapping.supersedes is None:
            return page.nulls()
        old = page.texts[self._mapping.supersedes]
        chosen = pc.is_valid(old)
        now = [column.filter(chosen).to_pylist() for column in (*keys.values(), *self._read_party(page, references))]
        rows = []
        for index, text in enumerate(old.filter(chosen).to_pylist()):
            parts = [part.strip() for part in text.split(KEY_SEPARATOR)][-len(now) :]
            kept = [column[index] for column in now[: len(now) - len(parts)]]
            rows.append([*kept, *parts])
        columns = [protect(pa.array([row[i] for row in rows], pa.string()), self._pseudonyms) for i in range(len(now))]
        ids = derive_ids((self._department, self._dataset.id), columns)
        return pc.replace_with_mask(page.nulls(), chosen, ids)

    def _check_required(self, page: _Page, columns: Mapping[str, pa.Array]) -> None:
        """A required value that is null although nothing was wrong with it."""
        for name, spec in self._dataset.columns.items():
            if spec.required is True:
                missing = mask_of(pc.is_null(columns[name]))
                for finding in page.findings:
                    if finding.column == name:
                        missing &= ~finding.rows
                column = self._mapping.columns.get(name)
                page.find(Reason.REQUIRED_MISSING, missing, name, column.source if column else None, "typed")

    def _read_instants(self, page: _Page) -> pa.Array:
        watermark = self._mapping.watermark
        if watermark is None:
            return pa.nulls(page.rows, pa.timestamp("us", tz="UTC"))
        cells = read_instants(page.batch.column(watermark.field), page.texts[watermark.field], self._until)
        page.take(cells, None, watermark.field, "typed")
        return cells.values

    def _read_changes(self, page: _Page, columns: dict[str, pa.Array], instants: pa.Array) -> Mask:
        """Which rows delete their record; they are revoked."""
        changes = self._mapping.changes
        if changes is None:
            return np.zeros(page.rows, dtype=np.bool_)
        deleted, unknown = find_deletions(page.texts[changes.field], changes)
        page.find(Reason.CHANGE_UNKNOWN, unknown, None, changes.field, "code")
        columns["revoked_on"] = revoke_deleted(columns["revoked_on"], deleted, instants)
        return deleted

    def _show_keys(self, keys: Mapping[str, pa.Array]) -> pa.Array:
        """The key as rejects show it: an identity that is part of it is cut to six characters."""
        hidden = {self._mapping.columns["subject_id"].source, self._mapping.columns["subject_id"].person}
        hidden |= {self._mapping.party}
        shown = [
            pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, 6), "***", "", null_handling="emit_null")
            if source in hidden
            else pc.utf8_slice_codeunits(text, 0, 80)
            for source, text in keys.items()
        ]
        return pc.binary_join_element_wise(*shown, " | ", null_handling="replace", null_replacement="")


def _kind_shown(spec: FieldSpec, *, coded: bool) -> str:
    if spec.sensitivity in {"identity", "name"}:
        return spec.sensitivity
    return "code" if coded and spec.type == "string" else "typed"


def _compile_classifiers(dataset: Dataset, mapping: DatasetMapping) -> dict[str, str]:
    """SQL that classifies a page, by column; conditions were checked when the department was read."""
    kinds = {name: kind_of(spec.type) for name, spec in dataset.columns.items()}
    found: dict[str, str] = {}
    for name, column in mapping.columns.items():
        if column.classify:
            cases = [
                (parse_condition(rule.when, kinds).tree.sql(dialect="duckdb"), rule.code) for rule in column.classify
            ]
            branches = " ".join(f"WHEN {condition} THEN '{code}'" for condition, code in cases)
            found[name] = f"SELECT CASE {branches} END AS code FROM page"
    return found
