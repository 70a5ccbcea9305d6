"""Sanity as properties, through the real engine, for every model (semantics §1-§3).

Each draw is a model, a day and a seed: a random province (tests.oracle.province) scored in one run, then scored
again with one thing changed for every subject.

That one more adverse record never raises a score holds for what is counted record by record: it may make a later
one a repeat, but never less than it was, and caps and clamps only grow with it. It does not hold, and is not asked,

- of a record that also earns something (``earns`` says why), nor where there was no score before (N);
- of what is *measured* (``measure``, ``bins``): one more record for which a ratio's condition does not hold lowers
  the ratio, and bins need not rise with the value. No indicator of a department's model measures so far;
- of other subjects where the trade is compared: one subject's complaints move the percentile of all. Statistics
  are an input, computed once a cycle, and are the same in both runs.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from exchange_formats.datasets import load_catalogue
from exchange_formats.results import OWN_PUBLIC_CREDIT
from scoring.engine import evaluate
from scoring.evaluations import Evaluation
from scoring.model import Indicator, Override
from scoring.resolution import ResolvedModel, resolve
from tests.oracle.agreement import build_table, read_artefact
from tests.oracle.conditions import holds
from tests.oracle.province import DAYS, Province, build_province
from tests.scoring_cases import MODELS

_SUBJECTS = 120
#: A seed does not shrink: another one is as large.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
_FEW = settings(max_examples=4, deadline=None, phases=_PHASES)
_DRAW = given(domain=st.sampled_from(sorted(MODELS.by_id)), day=st.sampled_from(DAYS), seed=st.integers(0, 10**9))


def province(domain: str, day: date, seed: int, subjects: int = _SUBJECTS) -> Province:
    resolved = resolve(MODELS.in_force(domain, day), day, MODELS.tables)
    return build_province(resolved, day, subjects, str(seed))


def tables(given: Province) -> dict[str, pa.Table]:
    return {source: build_table(source, rows) for source, rows in given.inputs.items()}


@dataclass(frozen=True)
class Run:
    """What the engine says: rows by subject, and the digests of the rows of every artefact."""

    grades: Mapping[str, Mapping[str, Any]]
    evidence: Mapping[str, Sequence[Mapping[str, Any]]]
    digests: Mapping[str, str]


def score(given: Province, inputs: Mapping[str, Any] | None = None, *, shards: int = 1) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        evaluation: Evaluation = evaluate(
            given.resolved, inputs or tables(given), given.as_of, Path(folder), shards=shards
        )
        evidence: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in read_artefact(evaluation, "evidence"):
            evidence[row["subject_ref"]].append(row)
        grades = {row["subject_ref"]: row for row in read_artefact(evaluation, "grades")}
        return Run(grades, evidence, {one.name: one.rows_sha256 for one in evaluation.artefacts})


def changed(given: Province, change: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> Province:
    """The province with ``change(source, row)`` in the place of every row."""
    inputs = {source: [dict(change(source, row)) for row in rows] for source, rows in given.inputs.items()}
    return replace(given, inputs=inputs)


def both(before: Run, after: Run) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The rows of who has a score both times; N has none to compare."""
    assert before.grades.keys() == after.grades.keys()
    pairs = [(row, after.grades[subject]) for subject, row in before.grades.items()]
    found = [(one, two) for one, two in pairs if one["score"] is not None and two["score"] is not None]
    assert found
    return found


# what an adverse record is


def adverse_parts(resolved: ResolvedModel) -> list[tuple[str, str]]:
    """(source, condition) of all that takes points or decides the grade."""
    model = resolved.model
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    return [
        (counts.source(model.department), counts.where)
        for part in parts
        if not (isinstance(part, Indicator) and part.earn)
        for counts in part.counts
    ]


def earns(resolved: ResolvedModel, source: str, row: Mapping[str, Any]) -> bool:
    """Whether the record gives points somewhere.

    A contradictory record, an inspection that found nothing and still names a violation, may do both: it is
    then not *one more adverse record*, nor is repairing it the repair of something adverse (semantics §2: a
    repaired record counts nowhere, so that it no longer earns either).
    """
    dataset = load_catalogue()[source.rpartition("/")[2]]
    return any(
        means(counts.source(resolved.model.department), source) and holds(counts.where, dataset, row)
        for indicator in resolved.model.indicators.values()
        if indicator.earn
        for counts in indicator.counts
    )


def means(counted: str, source: str) -> bool:
    """Whether ``*/penalty`` or ``department/penalty`` is the source."""
    department, _, dataset = counted.partition("/")
    return source.rpartition("/")[2] == dataset and department in {"*", source.partition("/")[0]}


def is_adverse(resolved: ResolvedModel, source: str, row: Mapping[str, Any]) -> bool:
    """Whether the record takes points or decides a grade, and earns nothing."""
    dataset = load_catalogue()[source.rpartition("/")[2]]
    taken = any(means(one, source) and holds(where, dataset, row) for one, where in adverse_parts(resolved))
    return taken and not earns(resolved, source, row)


def with_one_more(given: Province, random: Random) -> Province:
    """Every subject with one more adverse record of the last five years, none of whose states has ended."""
    inputs = {source: list(rows) for source, rows in given.inputs.items()}
    records = [(s, row) for s, rows in given.inputs.items() if s != OWN_PUBLIC_CREDIT for row in rows]
    samples = [(source, row) for source, row in records if is_adverse(given.resolved, source, row)]
    subjects = sorted({row["subject_ref"] for s in given.resolved.model.subjects_sources for row in given.inputs[s]})
    for number, subject in enumerate(subjects):
        age = timedelta(days=random.choice((random.randint(0, 400), random.randint(0, 1900))))
        source, row = random.choice(samples)
        dataset = load_catalogue()[source.rpartition("/")[2]]
        lasting = dict.fromkeys((*dataset.states.columns, "review_opened_on", "procedure"))
        more = dict(row) | {name: value for name, value in lasting.items() if name in row}
        more |= {dataset.event_on: given.as_of - age, "record_id": f"more-{number}", "subject_ref": subject}
        if dataset.states.final:
            more[dataset.states.final] = given.as_of - age
        if is_adverse(given.resolved, source, more):  # on another day a late report may have been in time
            inputs[source].append(more)
    return replace(given, inputs=inputs)


@_FEW
@_DRAW
def test_score_never_rises_when_an_adverse_record_is_added(domain: str, day: date, seed: int) -> None:
    before = province(domain, day, seed)
    compared = both(score(before), score(with_one_more(before, Random(seed))))
    assert [one["subject_ref"] for one, two in compared if two["score"] > one["score"]] == []
    assert [one["subject_ref"] for one, two in compared if two["grade"] < one["grade"]] == []
    assert any(two["score"] < one["score"] for one, two in compared)


@_FEW
@_DRAW
def test_score_never_falls_when_adverse_records_are_repaired(domain: str, day: date, seed: int) -> None:
    before = province(domain, day, seed)

    def repair(source: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if source == OWN_PUBLIC_CREDIT or not is_adverse(before.resolved, source, row):
            return row
        column = load_catalogue()[source.rpartition("/")[2]].states.repaired
        return dict(row) | {column: before.as_of} if column and row[column] is None else row

    compared = both(score(before), score(changed(before, repair)))
    assert [one["subject_ref"] for one, two in compared if two["score"] < one["score"]] == []
    assert [one["subject_ref"] for one, two in compared if two["grade"] > one["grade"]] == []
    assert any(two["score"] > one["score"] for one, two in compared)


@pytest.mark.semantics("3.30")
@_FEW
@_DRAW
def test_result_is_the_same_when_rows_and_files_come_in_another_order(domain: str, day: date, seed: int) -> None:
    before = province(domain, day, seed)
    random = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        inputs = {source: _scatter(table, Path(folder), random) for source, table in tables(before).items()}
        assert score(before, inputs).digests == score(before).digests


def _scatter(table: pa.Table, folder: Path, random: Random) -> pads.Dataset:
    """The rows in any order, in one to four files in any order."""
    order = random.sample(range(table.num_rows), table.num_rows)
    shuffled = table.take(pa.array(order, pa.int64()))
    cuts = sorted({0, table.num_rows, *(random.randint(0, table.num_rows) for _ in range(random.randint(0, 3)))})
    paths = []
    for start, end in zip(cuts, [*cuts[1:], table.num_rows], strict=True):
        path = folder / f"{random.getrandbits(64):016x}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(shuffled.slice(start, end - start))
        paths.append(str(path))
    random.shuffle(paths)
    return pads.dataset(paths, format="ipc")


@_FEW
@_DRAW
def test_result_is_the_same_when_a_batch_is_split(domain: str, day: date, seed: int) -> None:
    before = province(domain, day, seed)

    def split(_source: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """What one batch held comes in two, one after the other: the rows keep their order among each other."""
        if "batch_id" not in row:  # our own public-credit results are no batch
            return row
        later = row["row"] > 1
        sequence = 2 * row["chain_sequence"] + later
        batch = f"{row['batch_id']}-{int(later)}"
        return dict(row) | {"batch_id": batch, "chain_sequence": sequence, "row": row["row"] - later}

    one, two = score(before), score(changed(before, split))
    assert one.grades == two.grades
    nameless = ("batch_id",)
    for subject, rows in one.evidence.items():
        for first, second in zip(rows, two.evidence[subject], strict=True):
            assert {n: v for n, v in first.items() if n not in nameless} == {
                n: v for n, v in second.items() if n not in nameless
            }


@pytest.mark.semantics("3.8", "3.12")
@_FEW
@_DRAW
@example(domain="enterprise_environment", day=DAYS[0], seed=0)
def test_evidence_adds_up_and_score_is_in_range_whatever_the_records(domain: str, day: date, seed: int) -> None:
    found = score(province(domain, day, seed))
    for subject, row in found.grades.items():
        points = sum((one["points"] for one in found.evidence.get(subject, ())), Decimal(0))
        assert points == (row["score"] or 0)
        assert row["score"] is None or 0 <= row["score"] <= 1000
        assert (row["score"] is None) == (row["computed_grade"] == "N")


@pytest.mark.semantics("3.30")
@settings(max_examples=3, deadline=None, phases=_PHASES)
@given(
    shards=st.sampled_from((2, 4, 8)),
    domain=st.sampled_from(sorted(MODELS.by_id)),
    day=st.sampled_from(DAYS),
    seed=st.integers(0, 10**9),
)
def test_result_is_the_same_when_subjects_are_scored_in_shards(shards: int, domain: str, day: date, seed: int) -> None:
    before = province(domain, day, seed)
    assert score(before, shards=shards).digests == score(before).digests
