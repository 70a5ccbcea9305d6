"""One province scored twice: by the engine and by the oracle; what differs is named."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as pads

from exchange_formats.datasets import LINEAGE_FIELDS
from exchange_formats.results import OWN_PUBLIC_CREDIT, OWN_PUBLIC_CREDIT_SCHEMA, REFERENCE_STATISTICS, STATISTICS
from scoring.engine import evaluate
from scoring.evaluations import Evaluation
from scoring.library import load_models
from scoring.model import Model
from scoring.plan import dataset_of
from scoring.resolution import ResolvedModel, resolve
from scoring.statistics import compute_statistics
from tests.oracle.evaluation import Oracle
from tests.oracle.population import Population
from tests.oracle.province import DAYS, Province, build_province
from tests.oracle.records import Day
from tests.oracle.workshop import build_workshop_models

#: The domain whose department the workshop's models take.
WORKSHOP: Final = "enterprise_credit_risk"
#: Subjects of one province: enough for one engine run to be worth its start.
BATCH: Final = 2_000


@dataclass(frozen=True)
class Difference:
    """One subject of which the two say different things."""

    domain: str
    as_of: date
    seed: str
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.domain} {self.as_of} seed={self.seed} {self.subject}: {self.what}"


@dataclass
class Agreement:
    """How many subjects, rows of records, evidence and warnings were compared, and where they differ.

    ``computed``: how many subjects of each computed grade there were.
    """

    subjects: int = 0
    records: int = 0
    evidence: int = 0
    warnings: int = 0
    computed: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, part: Agreement) -> None:
        """Take ``part`` in."""
        self.subjects += part.subjects
        self.records += part.records
        self.evidence += part.evidence
        self.warnings += part.warnings
        self.computed += part.computed
        self.differences += part.differences

    def __str__(self) -> str:
        computed = " ".join(f"{grade}:{count}" for grade, count in sorted(self.computed.items()))
        return (
            f"{len(self.differences):6} differences, {self.subjects:7} subjects, {self.records:8} records, "
            f"{self.evidence:8} rows of evidence, {self.warnings:7} warnings, {computed}"
        )


@cache
def contenders() -> Mapping[str, Model | None]:
    """What is compared, by name: every domain's model in force (None), and the workshop's models."""
    models = load_models()
    workshop = build_workshop_models(models.by_id[WORKSHOP])
    return {**dict.fromkeys(sorted(models.by_id)), **{model.id: model for model in workshop}}


def compare_all(
    subjects: int, names: Iterable[str] = (), *, seed: int = 0, jobs: int = 1
) -> Iterator[tuple[str, Agreement]]:
    """Every contender's agreement, by ``jobs`` processes; the domains together have at least ``subjects``."""
    named = list(names)
    chosen = named or list(contenders())
    share = -(-subjects // (len(named) or len(load_models().by_id)))
    if jobs == 1:
        for name in chosen:
            yield name, compare_one(name, share, seed)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(compare_one, name, share, seed) for name in chosen]
        for name, task in zip(chosen, tasks, strict=True):
            yield name, task.result()


def compare_one(name: str, subjects: int, seed: int) -> Agreement:
    """Provinces of one contender until there were ``subjects``, each on another day."""
    models = load_models()
    model = contenders()[name]
    first = list(contenders()).index(name)
    whole = Agreement()
    number = 0
    while whole.subjects < subjects:
        # Not everybody generated is scored: some are of another type, some have left.
        size = min(BATCH, (subjects - whole.subjects) * 8 // 5 + 20)
        day = DAYS[(first + number) % len(DAYS)]
        resolved = resolve(model or models.in_force(name, day), day, models.tables)
        whole.add(compare_province(resolved, day, size, f"{seed}.{number}"))
        number += 1
    return whole


def compare_province(resolved: ResolvedModel, as_of: date, subjects: int, seed: str) -> Agreement:
    """Build one province and score it both ways."""
    province = build_province(resolved, as_of, subjects, f"{resolved.model.id}:{seed}")
    found = Agreement(records=sum(map(len, province.inputs.values())))

    def differ(subject: str, what: str) -> None:
        found.differences.append(Difference(resolved.model.id, as_of, seed, subject, what))

    if resolved.statistics:
        province = _with_statistics(province, differ)
    said = run_engine(province)
    oracle = Oracle(Day(resolved, as_of), province.inputs)
    wanted = oracle.subjects()
    if wanted != list(said.grades):
        odd = sorted(set(wanted) ^ set(said.grades))
        differ(str(odd[:1]), f"subjects or their order: {odd[:5]}")
    if said.unmatched != oracle.population.unmatched():
        differ("-", f"unmatched: engine {said.unmatched}, oracle {oracle.population.unmatched()}")
    measures: Counter[tuple[str, str]] = Counter()
    for subject in wanted:
        row, rows = oracle.judge(subject)
        found.subjects += 1
        found.evidence += len(rows)
        found.computed[row["computed_grade"]] += 1
        measures.update((row["grade"], code) for code in row["measures"])
        if subject in said.grades:
            for what in _differences(said.grades[subject], said.evidence.get(subject, []), row, rows):
                differ(subject, what)
        warnings = oracle.warn(row)
        found.warnings += len(warnings)
        if said.warnings.get(subject, []) != warnings:
            differ(subject, f"warnings: engine {said.warnings.get(subject, [])}, oracle {warnings}")
    if said.measures != measures:
        differ("-", f"measures: engine {said.measures}, oracle {measures}")
    return found


def _with_statistics(province: Province, differ: Callable[[str, str], None]) -> Province:
    """The province with the statistics of its own day, mostly; both sides compute them."""
    inputs = {source: build_table(source, rows) for source, rows in province.inputs.items()}
    said = compute_statistics(province.resolved, inputs, province.as_of).to_pylist()
    wanted = Population(Day(province.resolved, province.as_of), province.inputs).compute_statistics()
    if said != wanted:
        differ("-", f"statistics: engine {[row for row in said if row not in wanted]}, oracle {wanted}")
    if len(wanted) % 10 == 0:  # now and then nobody computed them yet
        return province
    return replace(province, inputs={**province.inputs, REFERENCE_STATISTICS: said})


@dataclass(frozen=True)
class Run:
    """What the engine says of a province: rows by subject in their order; (grade, measure) → how many subjects."""

    grades: Mapping[str, Mapping[str, Any]]
    evidence: Mapping[str, Sequence[Mapping[str, Any]]]
    warnings: Mapping[str, Sequence[Mapping[str, Any]]]
    unmatched: Sequence[Mapping[str, Any]]
    measures: Mapping[tuple[str, str], int]


def run_engine(province: Province) -> Run:
    """Evaluate the province."""
    inputs = {source: build_table(source, rows) for source, rows in province.inputs.items()}
    with tempfile.TemporaryDirectory() as folder:
        evaluation = evaluate(province.resolved, inputs, province.as_of, Path(folder))
        return Run(
            grades={row["subject_ref"]: row for row in read_artefact(evaluation, "grades")},
            evidence=_by_subject(read_artefact(evaluation, "evidence")),
            warnings=_by_subject(read_artefact(evaluation, "warnings")),
            unmatched=read_artefact(evaluation, "unmatched"),
            measures={(row["grade"], row["code"]): row["subjects"] for row in read_artefact(evaluation, "measures")},
        )


def _by_subject(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["subject_ref"]].append(row)
    return found


def read_artefact(evaluation: Evaluation, name: str) -> list[dict[str, Any]]:
    """Every row of one artefact, in the order of its files."""
    rows: list[dict[str, Any]] = pads.dataset(evaluation.paths(name), format="ipc").to_table().to_pylist()
    return rows


def build_table(source: str, rows: list[dict[str, Any]]) -> pa.Table:
    """The records as reading the lake gives them."""
    own = {OWN_PUBLIC_CREDIT: OWN_PUBLIC_CREDIT_SCHEMA, REFERENCE_STATISTICS: STATISTICS}.get(source)
    schema = own or pa.schema([*dataset_of(source).schema, *LINEAGE_FIELDS])
    return pa.Table.from_pylist(rows, schema=schema)


def _differences(
    said: Mapping[str, Any],
    said_evidence: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, Any],
    wanted_evidence: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    for name in sorted(said.keys() | wanted.keys()):
        same = _sorted if name == "not_collected" else _plain  # no order is promised
        if same(said.get(name)) != same(wanted.get(name)):
            yield f"{name}: engine {said.get(name)!r}, oracle {wanted.get(name)!r}"
    first, second = ({_key(row): row for row in rows} for rows in (said_evidence, wanted_evidence))
    for key in first.keys() | second.keys():
        one, two = first.get(key), second.get(key)
        if one is None or two is None:
            yield f"evidence {key}: engine {_shown(one)}, oracle {_shown(two)}"
            continue
        odd = [name for name in one if name != "subject_ref" and one[name] != two.get(name)]
        if odd:
            yield f"evidence {key}: engine { {n: one[n] for n in odd} }, oracle { {n: two.get(n) for n in odd} }"
    if sum((row["points"] for row in said_evidence), Decimal(0)) != (said["score"] or 0):
        yield "the engine's evidence does not add up to its score"


def _plain(value: Any) -> Any:
    return value


def _sorted(value: Any) -> Any:
    return sorted(value or ())


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("dimension", "entry", "indicator", "record_id"))


def _shown(row: Mapping[str, Any] | None) -> Any:
    return row and {name: value for name, value in row.items() if value is not None and name != "subject_ref"}
