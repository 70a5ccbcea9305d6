"""Scoring cases: each test states one subject's records; all of a module are scored in one run a model and day."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as pads

from scoring.engine import evaluate
from scoring.evaluations import Evaluation
from scoring.examples import build_inputs, build_records
from scoring.findings import GradeFinding, SubjectFindings, read_evidence, read_grade, read_warnings
from scoring.library import Models, load_models
from scoring.model import Model
from scoring.resolution import resolve

AS_OF = date(2026, 6, 30)
MODELS: Models = load_models()
ENVIRONMENT = MODELS.by_id["enterprise_environment"]
MARKET = MODELS.by_id["enterprise_credit_risk"]
SAFETY = MODELS.by_id["work_safety"]
SPORTS = MODELS.by_id["high_risk_sports"]
F = TypeVar("F", bound=Callable[..., None])


def on(text: str) -> date:
    """A day, shortly."""
    return date.fromisoformat(text)


def penalty(code: str | None, decided_on: str, final_on: str | None = "decided", **more: Any) -> dict[str, Any]:
    """A fine of 80 000 yuan (general tier), final on the day it was decided unless said otherwise."""
    decided = on(decided_on)
    final = decided if final_on == "decided" else on(final_on) if final_on else None
    plain = {"kind": "fine", "fine_yuan": 80_000, "violation_code": code, "decided_on": decided, "final_on": final}
    return plain | more


def incident(found_on: str, code: str = "1209", **more: Any) -> dict[str, Any]:
    """A general incident; no publicity tier, so that only lookback and decay speak."""
    plain = {"level": "general", "is_responsible": True, "violation_code": code, "responsibility_on": on(found_on)}
    return plain | {"occurred_on": on(found_on)} | more


def complaint(found_on: str, **more: Any) -> dict[str, Any]:
    """A complaint found true."""
    return {"violation_code": "1210", "substantiated_on": on(found_on), "filed_on": on(found_on)} | more


@dataclass(frozen=True)
class Outcome:
    """What one run said of one subject."""

    findings: SubjectFindings
    unmatched: tuple[str, ...] = ()

    @property
    def grade(self) -> GradeFinding:
        return self.findings.grade

    @property
    def score(self) -> Decimal | None:
        return self.findings.grade.score

    def records(self, indicator: str) -> list[str]:
        """Ids of the records that count for ``indicator``."""
        rows = [r for r in self.findings.evidence if r.indicator == indicator and r.record_id and r.excluded is None]
        return [str(r.record_id) for r in rows]

    def points(self, indicator: str, entry: str = "record") -> Decimal:
        rows = [r for r in self.findings.evidence if r.indicator == indicator and r.entry == entry]
        return sum((r.points for r in rows), Decimal(0))

    def entries(self, entry: str) -> Decimal:
        return sum((r.points for r in self.findings.evidence if r.entry == entry), Decimal(0))

    @property
    def excluded(self) -> list[str]:
        return [r.excluded for r in self.findings.evidence if r.excluded]

    @property
    def rules(self) -> list[str]:
        return [w.rule for w in self.findings.warnings]


@dataclass
class Cases:
    """A registry of cases by test name, scored when the first is asked for."""

    _given: dict[str, tuple[Model, date, Mapping[str, Any]]] = field(default_factory=dict)
    _found: dict[str, Outcome] = field(default_factory=dict)

    def case(self, model: Model = ENVIRONMENT, as_of: date = AS_OF, **given: Any) -> Callable[[F], F]:
        """Register the subject of a test. ``public_credit`` is 820 unless said otherwise (None: missing)."""

        def register(function: F) -> F:
            self._given[function.__name__] = (model, as_of, {"public_credit": 820} | given)
            return function

        return register

    def outcome(self, name: str) -> Outcome:
        if name not in self._found:
            model, as_of, _ = self._given[name]
            names = [n for n, (m, day, _) in self._given.items() if m is model and day == as_of]
            self._found |= zip(names, score_all(model, [self._given[n][2] for n in names], as_of), strict=True)
        return self._found[name]


def reference(number: int) -> str:
    """A subject reference of Hangzhou."""
    return f"91330100{number:09d}X"


def join_inputs(model: Model, subjects: Sequence[Mapping[str, Any]], as_of: date = AS_OF) -> dict[str, pa.Table]:
    """The inputs of several subjects together; ``profile: {...}`` changes a subject's profile, ``ref`` its code.

    A dataset whose records are None for the first subject is left out: nobody collected it.
    """
    rows: dict[str, list[dict[str, Any]]] = {source: [] for source in build_inputs(model, {}, as_of)}
    for number, subject in enumerate(subjects):
        ref = str(subject.get("ref", reference(number)))
        profile = {"status": "active", "subject_name": "示例企业"} | dict(subject.get("profile", {}))
        given: dict[str, Any] = {model.subjects_sources[0]: [profile]}
        for name, records in subject.items():
            if name == "public_credit" and records is not None and not isinstance(records, list):
                given["provincial_platform/public_credit"] = [{"score": records, "evaluated_on": as_of}]
            elif name not in {"ref", "profile", "public_credit"}:
                dataset = name.replace("__", "/")
                given[dataset if "/" in dataset else f"{model.department}/{dataset}"] = records
        for source, records in given.items():
            for place, record in enumerate(records, start=1):
                own = str(record.get("record_id", f"{source.rpartition('/')[2]}-{place:04d}"))
                rows.setdefault(source, []).append(
                    {"row": place} | record | {"record_id": f"{number:05d}-{own}", "subject_ref": ref}
                )
    return {source: build_records(source, found) for source, found in rows.items()}


def run(model: Model, inputs: Mapping[str, Any], folder: Path, as_of: date = AS_OF) -> Evaluation:
    """Evaluate ``inputs`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return evaluate(resolve(model, as_of, MODELS.tables), inputs, as_of, folder)


def read_rows(evaluation: Evaluation, name: str) -> list[dict[str, Any]]:
    """The rows of one artefact."""
    rows: list[dict[str, Any]] = pads.dataset(evaluation.paths(name), format="ipc").to_table().to_pylist()
    return rows


def read_outcomes(evaluation: Evaluation) -> dict[str, Outcome]:
    """Every subject's outcome by reference."""
    evidence = _by_subject(read_rows(evaluation, "evidence"))
    warnings = _by_subject(read_rows(evaluation, "warnings"))
    return {
        row["subject_ref"]: Outcome(
            SubjectFindings(
                read_grade(row),
                read_evidence(evidence.get(row["subject_ref"], [])),
                read_warnings(warnings.get(row["subject_ref"], [])),
            )
        )
        for row in read_rows(evaluation, "grades")
    }


def score_all(model: Model, subjects: Sequence[Mapping[str, Any]], as_of: date = AS_OF) -> list[Outcome]:
    """The outcomes of ``subjects``, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        found = read_outcomes(run(model, join_inputs(model, subjects, as_of), Path(folder), as_of))
        return [found[str(subject.get("ref", reference(number)))] for number, subject in enumerate(subjects)]


def _by_subject(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["subject_ref"], []).append(row)
    return found


def vary(model: Model, **changes: Any) -> Model:
    """The model with some of its keys written otherwise."""
    return Model.model_validate(model.model_dump(by_alias=True) | changes)
