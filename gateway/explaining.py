"""Explain a grade: find the newest run of a domain in the lake, and what it says of one subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from connectors.lake import Lake, PurgedError
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import SkippableError
from exchange_formats.manifests import RunManifest
from exchange_formats.subjects import mask_identity
from gateway.artefacts import open_artefact
from gateway.cuts import Cut, open_inputs
from gateway.runs import newest_run, read_model
from scoring.explanation import explain
from scoring.findings import SubjectFindings, read_evidence, read_grade, read_warnings
from scoring.outlook import Outlook, foresee
from scoring.resolution import ResolvedModel
from scoring.wording import Language


@dataclass(frozen=True)
class Explained:
    """One subject's result in one run, with the model that gave it."""

    run: RunManifest
    manifest_sha256: str
    resolved: ResolvedModel
    findings: SubjectFindings
    #: Record id → the number by which the subject knows the record.
    documents: Mapping[str, str]
    #: What would change the grade, where it was asked for and the law still lets us look at the records.
    outlook: Outlook | None = None

    def say(self, language: Language = "zh") -> str:
        """In words."""
        return explain(
            self.resolved,
            self.findings,
            self.run.as_of,
            language,
            outlook=self.outlook,
            documents=self.documents,
        )


def explain_subject(
    domain: str, subject: str, *, lake: Lake, spool: Path | None = None, with_outlook: bool = False
) -> Explained:
    """What the newest run of ``domain`` says of ``subject`` (a unified code in either case, or a person's reference).

    Args:
        domain: a model's id.
        subject: whom to explain.
        lake: where the run is.
        spool: a folder for the engine's files; beside the lake's cache by default.
        with_outlook: also score what would change the grade; takes some seconds.

    Raises:
        SkippableError: the domain has no run, or the run does not grade that subject.
        FatalError: an artefact is missing or not what its manifest says.
    """
    run = newest_run(lake, domain)
    reference = subject.strip()
    reference = reference if reference.startswith("np_") else reference.upper()
    rows = _rows(lake, run, "grades", reference)
    if not rows:
        raise SkippableError(
            f"领域 {domain} 截至 {run.as_of} 的评价中没有主体 {mask_identity(reference)} / "
            f"the run of {domain} as of {run.as_of} does not grade subject {mask_identity(reference)}",
            hint="check the code; a subject is graded while a profile of the department is in the model's scope",
        )
    findings = SubjectFindings(
        read_grade(rows[0]),
        read_evidence(_rows(lake, run, "evidence", reference)),
        read_warnings(_rows(lake, run, "warnings", reference)),
    )
    resolved = read_model(lake, run)
    try:
        own = read_own_records(lake, run, reference)
    except PurgedError:
        # The grade is explained from the run's own rows as long as those are kept.
        return Explained(run, run.sha256, resolved, findings, {})
    outlook = None
    if with_outlook:
        folder = spool or lake.cache.parent / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        outlook = foresee(resolved, own, findings.grade, run.as_of, folder)
    return Explained(run, run.sha256, resolved, findings, _name_documents(own), outlook)


def read_own_records(lake: Lake, run: RunManifest, reference: str) -> dict[str, pa.Table]:
    """The rows of one subject in every input of ``run``; whole, what is about no subject.

    Raises:
        PurgedError: the law took some of it since.
    """
    mine = pc.field("subject_ref") == reference
    return {
        source: given.to_table(filter=mine if "subject_ref" in given.schema.names else None)
        for source, given in open_inputs(lake, Cut.of(run)).items()
    }


def _name_documents(inputs: Mapping[str, pa.Table]) -> dict[str, str]:
    """The number by which whom it concerns knows a record: of its document, task, complaint or the like."""
    named: dict[str, str] = {}
    for source, table in inputs.items():
        dataset = load_catalogue().get(source.rpartition("/")[2])
        numbers = [name for name in dataset.identity if name.endswith("_no")] if dataset else []
        if numbers:
            rows = table.select(["record_id", numbers[0]]).to_pylist()
            named |= {row["record_id"]: row[numbers[0]] for row in rows if row[numbers[0]]}
    return named


def _rows(lake: Lake, run: RunManifest, name: str, reference: str) -> list[dict[str, object]]:
    table = open_artefact(lake, run, name).to_table(filter=pc.field("subject_ref") == reference)
    rows: list[dict[str, object]] = table.to_pylist()
    return rows
