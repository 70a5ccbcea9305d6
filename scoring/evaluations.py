"""What a run found, put together from its shards: the same whichever engine scored them, and in how many shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from exchange_formats.digests import derive_uuid
from exchange_formats.manifests import Artefact
from exchange_formats.results import ARTEFACTS, MEASURES, WARNINGS
from exchange_formats.shards import WHOLE, GradeCount, ShardResult, split_shards
from scoring.artefacts import join_files, write_shard_file
from scoring.compiler import Program, Step
from scoring.outputs import measures_of
from scoring.plan import Plan
from scoring.resolution import ResolvedModel

#: How many subjects have which grade, severe-listed or not, from a program's steps; the same text in every engine.
GRADE_COUNTS: Final = (
    "SELECT g.grade, v.subject_ref IS NOT NULL AS severe, count(*) AS subjects FROM graded AS g "
    "LEFT JOIN severe AS v ON v.subject_ref = g.subject_ref GROUP BY g.grade, v.subject_ref IS NOT NULL"
)


@dataclass(frozen=True)
class Evaluation:
    """What a run found. ``not_collected``: indicators and overrides that lack (some of) their data.

    The files of ``artefacts`` lie in ``folder``, which is the caller's.
    """

    folder: Path
    artefacts: tuple[Artefact, ...]
    subjects: int
    subjects_by_grade: Mapping[str, int]
    warnings_by_level: Mapping[str, int]
    not_collected: tuple[str, ...]

    def paths(self, name: str) -> list[Path]:
        """The files of one artefact, in order."""
        return [self.folder / file.name for one in self.artefacts if one.name == name for file in one.files]


def combine_shards(
    resolved: ResolvedModel, available: Collection[str], as_of: date, output: Path, results: Sequence[ShardResult]
) -> Evaluation:
    """One evaluation of all its shards, wherever they were scored; writes ``measures`` into ``output``.

    Raises:
        ValueError: a shard is missing, or there twice.
    """
    results = sorted(results, key=lambda result: result.shard.index)
    if not results or [result.shard for result in results] != list(split_shards(len(results))):
        raise ValueError(f"not all the shards of a run: {[result.shard for result in results]}")
    plan = Plan.of(resolved, as_of, available)
    counted: Counter[tuple[str, bool]] = Counter()
    by_grade: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    for result in results:
        levels.update(result.warnings_by_level)
        for one in result.grades:
            counted[one.grade, one.severe] += one.subjects
            by_grade[one.grade] += one.subjects
    files = [file for result in results for file in result.files]
    files.append(write_shard_file(output, WHOLE, "measures", [count_measures(plan, counted)]))
    return Evaluation(
        folder=output,
        artefacts=tuple(join_files(name, [file for file in files if file.artefact == name]) for name in ARTEFACTS),
        subjects=by_grade.total(),
        subjects_by_grade=dict(sorted(by_grade.items())),
        warnings_by_level=dict(sorted(levels.items())),
        not_collected=plan.not_collected,
    )


def count_measures(plan: Plan, counted: Mapping[tuple[str, bool], int]) -> pa.RecordBatch:
    """The rows of MEASURES: for how many subjects each measure follows, of so many by (grade, severe-listed)."""
    subjects: Counter[tuple[str, str]] = Counter()
    for (grade, severe), count in counted.items():
        for code in measures_of(plan, grade, severe=severe):
            subjects[grade, code] += count
    table = plan.resolved.measures.measures
    rows = [
        {
            "grade": grade,
            "code": code,
            "title": table[code].title,
            "title_en": table[code].title_en,
            "basis": list(table[code].basis),
            "subjects": count,
        }
        for (grade, code), count in sorted(subjects.items())
        if count
    ]
    return pa.RecordBatch.from_pylist(rows, schema=MEASURES)


def write_shard(
    program: Program, output: Path, read: Callable[[Step], Iterable[pa.RecordBatch]], counts: Iterable[tuple[Any, ...]]
) -> ShardResult:
    """Write a shard's artefacts from what an engine's ``read`` gives for each output; ``counts``: of GRADE_COUNTS."""
    domain, shard = program.plan.resolved.model.id, program.plan.shard
    levels: Counter[str] = Counter()
    files = []
    for step in program.outputs:
        batches = read(step)
        if step.name == "warnings":
            batches = _name_warnings(domain, batches, levels)
        files.append(write_shard_file(output, shard, step.name, batches))
    return ShardResult(
        shard=shard,
        files=tuple(files),
        grades=tuple(GradeCount(grade=grade, severe=severe, subjects=count) for grade, severe, count in sorted(counts)),
        warnings_by_level=dict(sorted(levels.items())),
    )


def _name_warnings(domain: str, batches: Iterable[pa.RecordBatch], levels: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Put the derived id in front: domain, subject, rule, first trigger (semantics §4); count the levels."""
    for batch in batches:
        levels.update(batch.column("level").to_pylist())
        keys = zip(*(batch.column(name).to_pylist() for name in ("subject_ref", "rule", "first_trigger")), strict=True)
        ids = pa.array([str(derive_uuid(domain, *key)) for key in keys], pa.string())
        yield pa.RecordBatch.from_arrays([ids, *batch.columns], names=WARNINGS.names)
