"""Explain a grade: find the newest run of a domain in the lake, and what it says of one subject."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc

from connectors.lake import Lake
from exchange_formats.errors import SkippableError
from exchange_formats.manifests import RunManifest
from exchange_formats.subjects import mask_identity
from gateway.artefacts import open_artefact
from gateway.runs import newest_run, read_model
from scoring.explanation import explain
from scoring.findings import SubjectFindings, read_evidence, read_grade, read_warnings
from scoring.resolution import ResolvedModel
from scoring.wording import Language


@dataclass(frozen=True)
class Explained:
    """One subject's result in one run, with the model that gave it."""

    run: RunManifest
    manifest_sha256: str
    resolved: ResolvedModel
    findings: SubjectFindings

    def say(self, language: Language = "zh") -> str:
        """In words."""
        return explain(self.resolved, self.findings, self.run.as_of, language)


def explain_subject(domain: str, subject: str, *, lake: Lake) -> Explained:
    """What the newest run of ``domain`` says of ``subject`` (a unified code in either case, or a person's reference).

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
    return Explained(run, run.sha256, read_model(lake, run), findings)


def _rows(lake: Lake, run: RunManifest, name: str, reference: str) -> list[dict[str, object]]:
    table = open_artefact(lake, run, name).to_table(filter=pc.field("subject_ref") == reference)
    rows: list[dict[str, object]] = table.to_pylist()
    return rows
