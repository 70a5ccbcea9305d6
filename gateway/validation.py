"""Validate one file as the gateway would, before it is ever sent: same readers, same mapper, same counting.

Needs no store, no stack and no secret. A file is read once; its good rows go to a
temporary spool, where repeats are counted as landing counts them, so that memory stays
bounded however long the file is.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
from pydantic import ValidationError

from connectors.department import DatasetMapping, Department, Files
from connectors.form_tables import map_form
from connectors.landing import count_allowed_rejects
from connectors.mapping import Mapper
from connectors.parts import BATCH_ROWS
from connectors.reconciliation import Reconciliation
from connectors.reject_rows import describe_input
from connectors.sources import RejectedInput, SourcePage
from connectors.sources.files import open_file, read_header
from connectors.spool import SpoolFile, name_full_disk
from connectors.templates import map_template
from exchange_formats.contract_versions import choose_contract
from exchange_formats.datasets import LINEAGE_FIELDS, Dataset, load_contracts
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.forms import find_form
from exchange_formats.manifests import Window
from exchange_formats.rejects import REJECTS, Reason, describe_reason
from exchange_formats.subjects import PseudonymKey

#: How a file's name says what it is; ``.gz`` may follow the formats that are text.
FORMATS: Mapping[str, str] = MappingProxyType(
    {
        ".csv": "csv",
        ".csv.gz": "csv",
        ".xlsx": "xlsx",
        ".xml": "xml",
        ".json": "json",
        ".jsonl": "json",
        ".json.gz": "json",
        ".jsonl.gz": "json",
        ".arrow": "arrow",
        ".arrows": "arrow",
    }
)
#: Whose file it is where nobody is named; part of a record's identity, and of nothing that is shown.
_LOCAL = "local"
Progress = Callable[[int], None]
Keep = Callable[[pa.RecordBatch], None]


@dataclass(frozen=True)
class Submission:
    """One file and how it is read: ``mapping.files`` says its format; ``manner`` names the mapping for people."""

    path: Path
    manner: str
    department: str
    dataset: Dataset
    mapping: DatasetMapping


@dataclass(frozen=True)
class ProblemRow:
    """One rejected row: where it is, why it is rejected first, and the value, masked.

    ``also`` are the row's other problems: reason and column. ``detail`` says more where the input was no row at all.
    ``row`` counts as a person does (a header is row 1); None: the file from here on.
    """

    origin: str
    row: int | None
    column: str | None
    source_column: str | None
    reason: str
    value: str | None
    also: tuple[tuple[str, str], ...]
    detail: str


@dataclass(frozen=True)
class Repeats:
    """Rows whose identity stands in the file before: ``identical`` ones drop out, ``differing`` ones are versions."""

    identical: int
    differing: int


@dataclass(frozen=True)
class Validation:
    """What the gateway would make of the file: ``read = good + rejected``.

    ``deletions``, among the good, only name a record to revoke: whether it is known, the lake alone can say.
    ``problems`` are the first ones, in file order. ``refused``: so many rows are bad that a pull would land nothing.
    """

    read: int
    good: int
    deletions: int
    rejected: int
    repeats: Repeats
    refused: bool
    rejected_by_reason: Mapping[str, int]
    normalised_by_rule: Mapping[str, int]
    problems: tuple[ProblemRow, ...]
    unknown_columns: tuple[str, ...]


def prepare(
    path: Path,
    dataset_id: str,
    *,
    department: Department | None = None,
    form: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> Submission:
    """How ``path`` will be read: by the department's mapping of the dataset, by a legacy form, or by the catalogue.

    Raises:
        ConfigurationError: there is no such dataset or form, the form is another dataset's, the department does not
            send the dataset.
            Or ``encoding`` or ``sheet`` means nothing for this kind of file.
        FatalError: there is no such file, its kind is unknown, or its header lacks required columns.
    """
    name, _, version = dataset_id.partition("@")
    pinned = dataset_id if version else None
    dataset = choose_contract(load_contracts(), name, pinned)
    files = _describe_file(path, encoding, sheet)
    if department is not None:
        mapping = _find_mapping(department, name)
        dataset = choose_contract(load_contracts(), name, pinned or mapping.contract)
        manner = f"{department.title}的映射 / mapping of {department.id}"
        return Submission(path, manner, department.id, dataset, _read_from(mapping, files, encoding, sheet))
    header = read_header(files, path)
    if form is not None:
        layout = find_form(form)
        if layout.dataset != name:
            raise ConfigurationError(f"表样 {form} 属于 / the form '{form}' is one of '{layout.dataset}', not '{name}'")
        mapping = map_form(form, header.columns, files, hint=header.hint)
        return Submission(path, f"{layout.title} / {layout.title_en}", _LOCAL, dataset, mapping)
    mapping = map_template(dataset, header.columns, files, hint=header.hint)
    return Submission(path, "表头为目录的列名或标题 / names or titles of the catalogue", _LOCAL, dataset, mapping)


def _find_mapping(department: Department, dataset_id: str) -> DatasetMapping:
    if dataset_id not in department.datasets:
        known = ", ".join(department.datasets) or "none"
        raise ConfigurationError(
            f"{department.title} 没有这个数据集 / '{department.id}' does not send '{dataset_id}'",
            hint=f"it sends: {known}",
        )
    return department.datasets[dataset_id]


def validate_file(
    submission: Submission,
    *,
    until: datetime,
    pseudonyms: PseudonymKey,
    shown: int,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Read, check and count the whole file.

    Args:
        submission: from ``prepare``.
        until: no date of a record may lie after it.
        pseudonyms: any key will do; nothing made with it leaves this function.
        shown: how many problems to return.
        keep: is given every reject (``REJECTS``), in file order.
        progress: is told how many rows were read.

    Raises:
        FatalError: the file as a whole breaks the contract (columns, unreadable, empty), or the local disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="xinqiao-validate-") as name:
        folder = Path(name)
        with name_full_disk(folder), closing(_open_mapper(submission, until, pseudonyms)) as mapper:
            check = _Check(mapper, pseudonyms, shown, keep, progress)
            repeats = check.run(submission, folder)
    return check.describe(submission.mapping, repeats)


def _read_from(mapping: DatasetMapping, files: Files, encoding: str | None, sheet: str | None) -> DatasetMapping:
    """The mapping as if its source were this file; what it says of its own files holds unless it was chosen."""
    if mapping.files is not None:
        chosen = {"format": files.format, "encoding": encoding, "sheet": sheet}
        files = mapping.files.model_copy(update={key: value for key, value in chosen.items() if value})
    return mapping.model_copy(update={"files": files, "table": None, "request": None})


def _open_mapper(submission: Submission, until: datetime, pseudonyms: PseudonymKey) -> Mapper:
    window = Window(until=until)
    return Mapper(submission.department, submission.dataset, submission.mapping, window, pseudonyms)


@dataclass
class _Check:
    """One run over the file."""

    mapper: Mapper
    pseudonyms: PseudonymKey
    shown: int
    keep: Keep | None
    progress: Progress | None
    read: int = 0
    deletions: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    problems: list[ProblemRow] = field(default_factory=list)
    unknown: tuple[str, ...] = ()

    def run(self, submission: Submission, folder: Path) -> Repeats:
        spool, nothing = folder / "records.arrow", folder / "rejects.arrow"
        with SpoolFile(nothing, REJECTS), SpoolFile(spool, self.mapper.schema) as records:
            with open_file(submission.mapping, submission.path) as reader:
                for item in reader:
                    self._take(item, records)
                self.unknown = reader.unknown_columns
            kept = records.rows
        schema = pa.schema([*submission.dataset.schema, *LINEAGE_FIELDS])
        chain = pads.dataset(schema.empty_table())
        with closing(Reconciliation(submission.dataset, (spool,), nothing, chain, chain)) as counting:
            landed = counting.find_new()
            return Repeats(identical=kept - landed, differing=counting.count_versions())

    def _take(self, item: SourcePage | RejectedInput, records: SpoolFile) -> None:
        if isinstance(item, RejectedInput):
            if item.row is None and not self.read:
                raise _explain_lost(item)
            self._reject(describe_input(item, self.read + 1, self.pseudonyms))
            self.read += item.rows
        else:
            for start in range(0, item.batch.num_rows, BATCH_ROWS):
                self._map(item.slice(start, BATCH_ROWS), records)
        if self.progress is not None:
            self.progress(self.read)

    def _map(self, page: SourcePage, records: SpoolFile) -> None:
        position = self.read + 1
        mapped = self.mapper.map(
            page.batch, origin=page.origin, first_row=page.first_row, numbers=page.numbers, position=position
        )
        self.read += page.batch.num_rows
        self.by_rule.update(mapped.normalised)
        self.deletions += mapped.deletions.num_rows
        records.write(mapped.records)
        self._reject(mapped.rejects)

    def _reject(self, rejects: pa.RecordBatch) -> None:
        if not rejects.num_rows:
            return
        if self.keep is not None:
            self.keep(rejects)
        for entry in rejects.select(["reason", "rows"]).to_pylist():
            self.by_reason[entry["reason"]] += entry["rows"]
        for entry in rejects.slice(0, self.shown - len(self.problems)).to_pylist():
            self.problems.append(describe_reject(entry))

    def describe(self, mapping: DatasetMapping, repeats: Repeats) -> Validation:
        rejected = self.by_reason.total()
        strict = mapping.on_contract_break == "stop" and rejected > 0
        return Validation(
            read=self.read,
            good=self.read - rejected,
            deletions=self.deletions,
            rejected=rejected,
            repeats=repeats,
            refused=strict or rejected > count_allowed_rejects(mapping, self.read),
            rejected_by_reason=dict(self.by_reason.most_common()),
            normalised_by_rule={rule: rows for rule, rows in self.by_rule.most_common() if rows},
            problems=tuple(self.problems),
            unknown_columns=self.unknown,
        )


def describe_reject(entry: Mapping[str, Any]) -> ProblemRow:
    """What a person is shown of one row of ``REJECTS``; what was made with a throw-away key is left out."""
    detail = entry["detail"] or ""
    # Of a row: every reason with its column, the first one first. Of an input that is no row: the source's words.
    first, *others = detail.split(", ")
    listed = first.partition(" ")[0] == entry["reason"]
    return ProblemRow(
        origin=entry["origin"],
        row=entry["origin_row"],
        column=entry["column"],
        source_column=entry["source_column"],
        reason=entry["reason"],
        value=entry["value"],
        also=tuple((code, column) for code, _, column in (other.partition(" ") for other in others)) if listed else (),
        detail="" if listed else detail,
    )


def _describe_file(path: Path, encoding: str | None, sheet: str | None) -> Files:
    if not path.is_file():
        raise FatalError(f"没有这个文件 / there is no such file: {path}", hint="check the path")
    name = path.name.lower()
    suffix = next((suffix for suffix in sorted(FORMATS, key=len, reverse=True) if name.endswith(suffix)), None)
    if suffix is None:
        raise FatalError(
            f"无法识别的文件类型 / unknown kind of file: {path.name}", hint=f"one of: {', '.join(FORMATS)}"
        )
    given = {"encoding": encoding, "sheet": sheet}
    settings = {"pattern": "*", "format": FORMATS[suffix]} | {key: value for key, value in given.items() if value}
    try:
        return Files.model_validate(settings)
    except ValidationError as error:
        raise ConfigurationError(f"{path.name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _explain_lost(item: RejectedInput) -> FatalError:
    title = describe_reason(item.reason)
    return FatalError(f"{title.zh} / {title.en}: {item.origin}: {item.detail}", hint=_HINTS.get(item.reason, ""))


_HINTS: Mapping[str, str] = {
    Reason.FILE_EMPTY: "a file needs a header and rows",
    Reason.FILE_BROKEN: "open it, save it again, and check that the transfer was complete",
}
