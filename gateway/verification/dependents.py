"""Dependents: which runs a finding concerns, and which findings concern some runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from exchange_formats.keys import CHECKPOINTS, landing_prefix, manifest_digest
from exchange_formats.manifests import RunManifest, WarningManifest
from gateway.verification.findings import Purged, Report
from gateway.verification.survey import Placed, Survey, files_of

DATASET_KEY: Final = re.compile(r"(?:landing|rejected)/department=([^/]+)/dataset=([^/]+)/")
DOMAIN_KEY: Final = re.compile(r"(scored|statistics|warned)/domain=([^/]+)/")
_PUBLISHED: Final = re.compile(r"published/domain=[^/]+/run=([0-9a-f]{32})/")


def name_dependents(survey: Survey, report: Report) -> Report:
    """Say of each finding, and of what the law took, which runs depend on it."""
    owners: dict[str, Placed] = {}
    for one in survey.placed():
        owners |= {key: one for key, *_ in files_of(one)}
    report.findings = [replace(one, runs=_dependents(survey, owners, one.key)) for one in report.findings]
    report.purged = [replace(one, runs=_readers(survey, owners, one)) for one in report.purged]
    return report


def _readers(survey: Survey, owners: dict[str, Placed], purged: Purged) -> tuple[str, ...]:
    """The runs that read what a purge took; one whose cut holds the purge already never did."""
    match = DATASET_KEY.match(purged.key)
    after = survey.dependents(landing_prefix(*match.groups()), purged.purge_sha256) if match else ()
    return tuple(run for run in _dependents(survey, owners, purged.key) if run not in set(after))


def _dependents(survey: Survey, owners: dict[str, Placed], key: str) -> tuple[str, ...]:
    if match := _PUBLISHED.match(key):
        return (match[1],)
    digest = manifest_digest(key)
    owner = owners.get(key)
    if digest is None and owner is not None:
        digest = manifest_digest(owner.key)
        if isinstance(owner.manifest, RunManifest):
            using = [run.run_id for run in survey.runs() if digest in run.evaluations.values()]
            return (owner.manifest.run_id, *using)
        if isinstance(owner.manifest, WarningManifest):
            return (owner.manifest.run_id,) if owner.manifest.run_id else ()
    if digest is None:
        return ()
    if match := DATASET_KEY.match(key):
        return survey.dependents(landing_prefix(*match.groups()), digest)
    if match := DOMAIN_KEY.match(key):
        return survey.dependents(f"{match[1]}/domain={match[2]}/", digest)
    return ()


def keep_findings(report: Report, run_ids: frozenset[str]) -> Report:
    """Only what concerns some runs: the lake may be broken elsewhere."""
    mine = [
        one
        for one in report.findings
        if run_ids.intersection(one.runs)
        or any(run_id in one.key for run_id in run_ids)
        or one.key.startswith((CHECKPOINTS, "message "))
    ]
    elsewhere = len(report.findings) - len(mine)
    report.findings = mine
    report.purged = [one for one in report.purged if run_ids.intersection(one.runs)]
    if elsewhere:
        report.notes.append(f"另有 {elsewhere} 处问题与此无关, 见 --all / {elsewhere} findings elsewhere: see --all")
    return report
