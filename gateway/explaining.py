"""Explain a grade: find the newest run of a domain in the lake, and what it says of one subject."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.dataset as pads
from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import FatalError, SkippableError
from exchange_formats.keys import domain_prefix, run_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.results import MODEL_FILE
from exchange_formats.subjects import mask_identity
from scoring.explanation import explain
from scoring.findings import SubjectFindings, read_evidence, read_grade, read_warnings
from scoring.resolution import ResolvedModel, read_resolved
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
    return Explained(run, run.sha256, _read_model(lake, run), findings)


def newest_run(lake: Lake, domain: str) -> RunManifest:
    """The newest run of ``domain``: of the latest day, and of that the last in the chain."""
    runs = [run for run in lake.chain(domain_prefix(domain)) if isinstance(run, RunManifest)]
    if not runs:
        raise SkippableError(
            f"领域 {domain} 还没有评价结果 / domain {domain} has no run yet", hint=f"xinqiao score {domain}"
        )
    return max(runs, key=lambda run: (run.as_of, run.sequence, run.sha256))


def _rows(lake: Lake, run: RunManifest, name: str, reference: str) -> list[dict[str, object]]:
    wanted = f"{name}.arrow"
    artefact = next((found for found in run.artefacts if found.name == wanted), None)
    if artefact is None:
        raise FatalError(f"运行 {run.run_id} 没有产物 {wanted} / run {run.run_id} has no artefact {wanted}")
    path = lake.fetch(run_prefix(run.domain, run.as_of, run.run_id) + wanted, artefact.sha256)
    table = pads.dataset(path, format="ipc").to_table(filter=pc.field("subject_ref") == reference)
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def _read_model(lake: Lake, run: RunManifest) -> ResolvedModel:
    path = lake.fetch(run_prefix(run.domain, run.as_of, run.run_id) + MODEL_FILE, run.model_sha256)
    try:
        return read_resolved(path.read_bytes())
    except ValidationError as error:
        raise FatalError(f"模型不可读 / the model of run {run.run_id} cannot be read") from error
