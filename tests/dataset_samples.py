"""Files of any dataset of the catalogue, as a department would send them, made from the columns' examples.

Names and document numbers are all different, subjects are many, dates spread over five
years (all dates of a row move together, so that their order stays), optional dates are
mostly empty; one row in a hundred is dirty: half of those are normalised, half rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from connectors.department import DatasetMapping, Files
from connectors.mapping import Mapper
from connectors.templates import map_template
from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.manifests import Window
from exchange_formats.subjects import PseudonymKey
from exchange_formats.texts import Mask
from gateway.simulators.codes import compose_unified_code

#: Behind every date that is made.
UNTIL = datetime(2027, 12, 31, 10, tzinfo=UTC)
KEY = PseudonymKey("k1", b"a secret of thirty-two bytes....")
_DAYS = 5 * 365
_SUBJECTS = 20_000
_TRIAL = 400
#: Every so many rows one is rejected, another normalised.
_REJECTED, _NORMALISED = 200, 200
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SampleFile:
    """A CSV with the catalogue's names as its header, how it is read, and how many of its rows are bad."""

    path: Path
    mapping: DatasetMapping
    rows: int
    rejected: int


def write_sample(dataset: Dataset, path: Path, rows: int) -> SampleFile:
    """``rows`` rows of ``dataset``; the same ones each time."""
    mapping = map_template(dataset, list(dataset.fields), Files(pattern="*.csv", format="csv"))
    unfit = _find_unfit(dataset, mapping)
    varied = [name for name in dataset.fields if _may_vary(dataset, mapping, name, unfit)]
    table = build_rows(dataset, rows, varied, unfit)
    rejected = np.arange(rows) % _REJECTED == 17
    pacsv.write_csv(_soil(dataset, table, rejected), path, pacsv.WriteOptions(quoting_style="none"))
    return SampleFile(path, mapping, rows, int(rejected.sum()))


def build_rows(dataset: Dataset, rows: int, varied: Sequence[str], unfit: Sequence[str]) -> pa.Table:
    """Good rows: in ``varied`` columns they differ, in the others each is the example; ``unfit`` ones are empty."""
    random = np.random.default_rng(7)
    shift = -random.integers(0, _DAYS, rows)
    columns = {
        name: _vary(name, spec, dataset, random, shift)
        if name in varied or (spec.type == "date" and name not in unfit)
        else pa.array([spec.example if name not in unfit else ""]).take(pa.array(np.zeros(rows, np.int64)))
        for name, spec in dataset.fields.items()
    }
    # Without a comma no cell needs quotes, which would be measured instead of the rules.
    return pa.table({name: pc.replace_substring(column, ",", "") for name, column in columns.items()})


def find_rejects(dataset: Dataset, mapping: DatasetMapping, table: pa.Table) -> pa.RecordBatch:
    """What is rejected of the rows."""
    (batch,) = table.combine_chunks().to_batches()
    mapper = Mapper("sample", dataset, mapping, Window(until=UNTIL), KEY)
    return mapper.map(batch, origin="sample", first_row=2, position=1).rejects


def _find_unfit(dataset: Dataset, mapping: DatasetMapping) -> list[str]:
    """Columns that do not go with the example of the subject: they are for other types of subject."""
    rejects = find_rejects(dataset, mapping, build_rows(dataset, 1, [], []))
    return sorted({one.split()[-1] for detail in rejects.column("detail").to_pylist() for one in detail.split(", ")})


def _may_vary(dataset: Dataset, mapping: DatasetMapping, name: str, unfit: Sequence[str]) -> bool:
    """A column whose other values break the rules between columns stays at its example."""
    varied = build_rows(dataset, _TRIAL, [name], unfit)
    return name not in unfit and find_rejects(dataset, mapping, varied).num_rows == 0


def _vary(name: str, spec: FieldSpec, dataset: Dataset, random: np.random.Generator, shift: Numbers) -> pa.Array:
    rows = len(shift)
    number = pa.array(np.arange(rows)).cast(pa.string())
    if spec.type == "subject":
        return _compose_subjects(spec.example[:2]).take(pa.array(random.integers(0, _SUBJECTS, rows)))
    if spec.type == "date":
        days = (np.datetime64(date.fromisoformat(spec.example)) + shift).astype("datetime64[D]")
        present = np.ones(rows, np.bool_)
        if spec.required is False and name != dataset.event_on:
            present = random.random(rows) < 0.25
        return pc.if_else(pa.array(present), pa.array(days).cast(pa.string()), "")
    if spec.type.startswith("decimal"):
        hundredths = int(Decimal(spec.example) * 100)
        cents = np.maximum(1, hundredths * random.integers(1, 5000, rows) // 2500)
        whole, rest = pa.array(cents // 100).cast(pa.string()), pa.array(cents % 100).cast(pa.string())
        return pc.binary_join_element_wise(whole, pc.utf8_lpad(rest, 2, "0"), ".")
    if spec.type == "integer":
        return pa.array(random.integers(0, 2 * int(spec.example) + 2, rows)).cast(pa.string())
    if spec.type == "boolean":
        return pa.array(["true", "false"]).take(pa.array(random.integers(0, 2, rows)))
    if spec.codes is not None:
        return pa.array(list(spec.codes)).take(pa.array(random.integers(0, len(spec.codes), rows)))
    if name in dataset.identity or spec.sensitivity == "name":
        return pc.binary_join_element_wise(spec.example, number, "-")
    if spec.rule is None:
        # A number keeps its length.
        begin = spec.example[:-3] if spec.example.isdigit() else spec.example
        return pc.binary_join_element_wise(begin, pa.array(random.integers(100, 600, rows)).cast(pa.string()), "")
    return pa.array([spec.example]).take(pa.array(np.zeros(rows, np.int64)))


def _compose_subjects(prefix: str) -> pa.Array:
    return pa.array([compose_unified_code(prefix, "330100", f"MA9{number:05d}") for number in range(_SUBJECTS)])


def _soil(dataset: Dataset, table: pa.Table, rejected: Mask) -> pa.Table:
    """Dirt: a broken code or day (rejected); a lower-case code or a name in full-width brackets (normalised)."""
    place = np.arange(len(rejected))
    day = rejected & (place % (2 * _REJECTED) == 17)
    changes: dict[str, list[tuple[Mask, Callable[[pa.Array], pa.Array]]]] = {
        "subject_id": [
            (rejected & ~day, lambda text: pc.utf8_replace_slice(text, 16, 17, "O")),
            (place % (2 * _NORMALISED) == 29, pc.utf8_lower),
        ],
        dataset.event_on: [(day, lambda text: pc.utf8_replace_slice(text, 4, 10, "-02-30"))],
    }
    if "subject_name" in table.column_names:
        wide = place % (2 * _NORMALISED) == 230
        changes["subject_name"] = [(wide, lambda text: pc.binary_join_element_wise(text, "（浙江）", ""))]
    for name, steps in changes.items():
        column = table.column(name).combine_chunks()
        for rows, change in steps:
            column = pc.if_else(pa.array(rows), change(column), column)
        table = table.set_column(table.column_names.index(name), name, column)
    return table
