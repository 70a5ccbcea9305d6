"""Witnesses: checkpoints, outcome records and marks, which name manifests that must still be there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from exchange_formats.digests import digest_bytes
from exchange_formats.keys import (
    CHECKPOINTS,
    INSPECTIONS,
    checkpoint_key,
    checkpoint_sent_key,
    domain_prefix,
    landing_prefix,
    published_prefix,
    statistics_prefix,
)
from exchange_formats.manifests import Outcome, RunManifest, RunOutcome, StatisticsManifest, WarningManifest
from exchange_formats.messages.checkpoints import CheckpointCommitted
from gateway.inspection_planning import InspectionPlan
from gateway.verification.findings import Finding, Report, Witnessed, changed, missing, unreadable
from gateway.verification.survey import Survey, find_missing

_CHECKPOINT = re.compile(r"/checkpoint-([0-9a-f]{64})\.json$")
_INSPECTIONS = re.compile(rf"{INSPECTIONS}domain=[^/]+/task=[^/]+/plan-([0-9a-f]{{64}})\.json")
_SENT = re.compile(r"checkpoints/.*/sent-[0-9a-f]{64}\.json$")
T = TypeVar("T", bound=BaseModel)


def check_checkpoints(survey: Survey, seals: Mapping[str, frozenset[str]], report: Report) -> None:
    """Every checkpoint by its digest, behind the one it names, and its heads in the chains; the last witnessed one.

    ``seals``: of the receipts of each domain that was looked at.
    """
    found: dict[str, CheckpointCommitted] = {}
    for key in sorted(survey.keys):
        if key.startswith(CHECKPOINTS) and (match := _CHECKPOINT.search(key)):
            one = _read_document(survey, key, CheckpointCommitted, report)
            if one is not None and (one.sha256 != match[1] or key != checkpoint_key(one.day, one.sha256)):
                report.add([Finding(key, "misplaced", "存证与名称不符", "is not the checkpoint of its name")])
            elif one is not None:
                found[one.sha256] = one
    for key in sorted(survey.keys):
        if _SENT.search(key):
            written = key.replace("/sent-", "/checkpoint-")
            if written not in survey.keys:
                report.add([missing(written, key)])
    report.add(tuple(_check_order(survey, found)))
    for one in found.values():
        report.add(tuple(_check_heads(survey, one, seals)))
    sent = [one for one in found.values() if checkpoint_sent_key(one.day, one.sha256) in survey.keys]
    if sent:
        newest = max(sent, key=lambda one: (one.day, _depth(one, found)))
        report.witnessed = Witnessed(newest.day, newest.sha256, len(newest.chains))


def check_references(survey: Survey, report: Report) -> None:
    """Every manifest that a run, a statistic or an outcome record names is there."""
    for placed in survey.placed():
        manifest = placed.manifest
        if isinstance(manifest, RunManifest | StatisticsManifest):
            for source, heads in manifest.cut.items():
                for head in heads:
                    report.add(tuple(find_missing(survey, landing_prefix(*source.split("/")), head, placed.key)))
        if isinstance(manifest, WarningManifest) and manifest.run_sha256 is not None:
            report.add(tuple(find_missing(survey, domain_prefix(manifest.domain), manifest.run_sha256, placed.key)))
        if isinstance(manifest, RunManifest):
            for domain, sha256 in manifest.evaluations.items():
                report.add(tuple(find_missing(survey, domain_prefix(domain), sha256, placed.key)))
            if manifest.statistics is not None:
                prefix = statistics_prefix(manifest.domain)
                report.add(tuple(find_missing(survey, prefix, manifest.statistics, placed.key)))
    for key in sorted(key for key in survey.keys if key.startswith("outcomes/")):
        report.add(tuple(_check_outcome(survey, key, report)))


def check_inspections(survey: Survey, report: Report) -> None:
    """The log of every drawn inspection list by its digest, and the run and records it was drawn from."""
    for key in sorted(survey.keys):
        if not (match := _INSPECTIONS.fullmatch(key)):
            continue
        data = survey.store.get_bytes(key)
        if digest_bytes(data) != match[1]:
            report.objects += 1
            report.add([changed(key, digest_bytes(data), match[1])])
            continue
        plan = _read_document(survey, key, InspectionPlan, report)
        if plan is not None:
            report.add(tuple(find_missing(survey, domain_prefix(plan.domain), plan.run_sha256, key)))
            for source, heads in plan.cut.items():
                for head in heads:
                    report.add(tuple(find_missing(survey, landing_prefix(*source.split("/")), head, key)))


def _check_outcome(survey: Survey, key: str, report: Report) -> Iterator[Finding]:
    outcome: Outcome | RunOutcome | None
    if key.startswith("outcomes/domain="):
        outcome = _read_document(survey, key, RunOutcome, report)
        prefix = domain_prefix(outcome.domain) if outcome else ""
    else:
        outcome = _read_document(survey, key, Outcome, report)
        prefix = landing_prefix(outcome.department, outcome.dataset) if outcome else ""
    if outcome is not None and outcome.manifest_sha256 is not None:
        yield from find_missing(survey, prefix, outcome.manifest_sha256, key)


def _check_order(survey: Survey, found: dict[str, CheckpointCommitted]) -> Iterator[Finding]:
    following: dict[str | None, CheckpointCommitted] = {}
    for one in sorted(found.values(), key=lambda one: (one.day, one.sha256)):
        key = checkpoint_key(one.day, one.sha256)
        before = one.previous_sha256
        if before in following:
            other = following[before]
            yield Finding(key, "unlinked", "存证分叉", f"follows the same checkpoint as that of {other.day}")
        following[before] = one
        if before is not None and before not in found:
            there = next((k for k in survey.keys if k.endswith(f"/checkpoint-{before}.json")), None)
            if there is None:
                yield missing(f"{CHECKPOINTS}…/checkpoint-{before}.json", key)


def _check_heads(
    survey: Survey, checkpoint: CheckpointCommitted, seals: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """What the witness was told is there still."""
    key = checkpoint_key(checkpoint.day, checkpoint.sha256)
    for chain in checkpoint.chains:
        root, _, domain = chain.name.partition("/")
        if root == "inspections":
            yield from _check_lists(survey, domain, chain.heads, key)
        elif root != "published":
            for head in chain.heads:
                yield from find_missing(survey, prefix_of_chain(chain.name), head, key)
        elif domain in seals and not seals[domain].issuperset(chain.heads):
            yield missing(f"{published_prefix(domain)}…/receipt.json ({chain.heads[0][:12]}…)", key)


def _check_lists(survey: Survey, domain: str, digests: Iterable[str], named_by: str) -> Iterator[Finding]:
    prefix = f"{INSPECTIONS}domain={domain}/"
    if prefix.startswith(survey.prefixes):
        for digest in digests:
            if not any(key.startswith(prefix) and key.endswith(f"/plan-{digest}.json") for key in survey.keys):
                yield missing(f"{prefix}…/plan-{digest}.json", named_by)


def prefix_of_chain(name: str) -> str:
    """Where the chain lies that a checkpoint calls ``landing/<department>/<dataset>``, ``scored/<domain>``, …."""
    root, *parts = name.split("/")
    return landing_prefix(*parts) if root == "landing" else f"{root}/domain={parts[0]}/"


def _depth(one: CheckpointCommitted, found: dict[str, CheckpointCommitted]) -> int:
    depth, before = 0, one.previous_sha256
    while before is not None and before in found and depth <= len(found):
        depth, before = depth + 1, found[before].previous_sha256
    return depth


def _read_document(survey: Survey, key: str, kind: type[T], report: Report) -> T | None:
    report.objects += 1
    try:
        return kind.model_validate_json(survey.store.get_bytes(key))
    except ValidationError:
        report.add([unreadable(key)])
        return None
