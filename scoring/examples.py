"""Examples: a model's own small inputs, run through the real engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from exchange_formats.datasets import LINEAGE_FIELDS, Dataset
from scoring.engine import evaluate
from scoring.grammar import EVERY, Counts
from scoring.model import Example, Indicator, Model, Override, SubjectType
from scoring.plan import dataset_of
from scoring.resolution import resolve

#: The one subject of an example, by the first type its model scores: well-formed references of Hangzhou.
SUBJECTS: Mapping[SubjectType, str] = {
    "enterprise": "91330100MA27XXXX8U",
    "natural_person": "np_0123456789abcdef0123456789abcdef",
    "social_organization": "51330100MA27XXXX8U",
    "public_institution": "12330100MA27XXXX8U",
    "government_agency": "11330100MA27XXXX8U",
}
#: Between a reference and the number of its example.
_APART: Final = "~"
#: What stands in a required column that an example leaves out.
_FILLINGS: Mapping[str, Any] = {"string": "-", "integer": 0, "boolean": False}


def run_examples(model: Model, folder: Path) -> tuple[tuple[str, ...], ...]:
    """Evaluate a model's examples in ``folder``; of each what differs from its expectation, empty where it holds.

    Examples of one day and the same datasets are subjects of one evaluation.
    """
    given = [build_inputs(model, example.given, example.as_of) for example in model.examples]
    together: dict[tuple[date, frozenset[str]], list[int]] = {}
    for number, (example, inputs) in enumerate(zip(model.examples, given, strict=True)):
        together.setdefault((example.as_of, frozenset(inputs)), []).append(number)
    grades: dict[int, Mapping[str, Any]] = {}
    for group, ((as_of, sources), numbers) in enumerate(together.items()):
        own = folder / str(group)
        own.mkdir()
        inputs = {
            source: pa.concat_tables([_name_apart(given[number][source], number) for number in numbers])
            for source in sorted(sources)
        }
        evaluation = evaluate(resolve(model, as_of), inputs, as_of, own)
        for row in pads.dataset(evaluation.paths("grades"), format="ipc").to_table().to_pylist():
            grades[int(row["subject_ref"].rpartition(_APART)[2])] = row
    return tuple(_compare(example, grades[number]) for number, example in enumerate(model.examples))


def _name_apart(table: pa.Table, number: int) -> pa.Table:
    """The rows of one example under a subject and records of its own."""
    for name in ("subject_ref", "record_id"):
        place = table.schema.get_field_index(name)
        renamed = pc.binary_join_element_wise(table.column(name), f"{_APART}{number}", "")
        table = table.set_column(place, table.schema.field(place), renamed)
    return table


def _compare(example: Example, grade: Mapping[str, Any]) -> tuple[str, ...]:
    found = {
        "grade": grade["grade"],
        "score": grade["score"],
        "computed_grade": grade["computed_grade"],
        "reasons": tuple(reason["indicator"] for reason in grade["reasons"]),
        "overrides": tuple(grade["override_reasons"]),
        "flags": tuple(grade["flags"]),
        "origin": grade["origin"],
        "native_grade": grade["native_grade"],
    }
    expected = example.expect.model_dump(exclude_none=True)
    return tuple(
        f"{key}: expected {wanted}, got {found[key]}" for key, wanted in expected.items() if found[key] != wanted
    )


def build_inputs(model: Model, given: Mapping[str, Any], as_of: date) -> dict[str, pa.Table]:
    """Inputs for one active subject with the records ``given`` by dataset, every other dataset empty."""
    records_by_source: dict[str, list[dict[str, Any]]] = {source: [] for source in model.subjects_sources}
    records_by_source[model.subjects_sources[0]] = [{"status": "active", "subject_name": "示例企业"}]
    public = next((d.dataset for d in model.dimensions.values() if d.kind == "public_credit"), None)
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    for part in parts:
        for counts in part.counts:
            source = counts.source(model.department).replace(EVERY, model.department)
            records_by_source.setdefault(source, [])
    if public is not None:
        records_by_source.setdefault(Counts(dataset=public).source(model.department), [])
    if model.reported:
        records_by_source.setdefault(Counts(dataset=model.reported.dataset).source(model.department), [])
    for name, records in given.items():
        if name == "public_credit" and public is not None and isinstance(records, int | Decimal):
            source = Counts(dataset=public).source(model.department)
            records_by_source[source] = [{"score": Decimal(records), "evaluated_on": as_of}]
        else:
            records_by_source[Counts(dataset=name).source(model.department)] = records
    subject = SUBJECTS[model.subjects.type[0]]
    return {
        source: build_records(source, [{"subject_ref": subject} | dict(row) for row in rows])
        for source, rows in records_by_source.items()
    }


def build_records(source: str, rows: Sequence[Mapping[str, Any]], *, batch_id: str = "example") -> pa.Table:
    """A table of ``department/dataset`` as the lake gives it; what ``rows`` leave out but must say is filled in."""
    dataset = dataset_of(source)
    schema = pa.schema([*dataset.schema, *LINEAGE_FIELDS])
    filled = [_fill(dataset, row, number, batch_id) for number, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(filled, schema=schema)


def _fill(dataset: Dataset, row: Mapping[str, Any], number: int, batch_id: str) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "record_id": f"{dataset.id}-{number:04d}",
        "subject_ref": SUBJECTS["enterprise"],
        "source_updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "row": number,
        "batch_id": batch_id,
        "chain_sequence": 1,
    }
    for name, spec in dataset.columns.items():
        if spec.required is True and name not in row:
            whole[name] = (
                row.get(dataset.event_on, date(2026, 1, 1)) if spec.type == "date" else _FILLINGS.get(spec.type)
            )
    values = dict(row)
    for name, value in values.items():
        if isinstance(value, int) and name in dataset.columns and dataset.columns[name].type.startswith("decimal"):
            values[name] = Decimal(value)
    return whole | values
