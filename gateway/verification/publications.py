"""Publications: plans and receipts of a domain as one chain, and the messages of each plan rendered again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from exchange_formats.digests import digest_bytes
from exchange_formats.keys import domain_prefix, plan_key, published_prefix, receipt_key, warned_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.publications import Plan, Receipt
from gateway.verification.findings import Finding, Report, changed, inconsistent, missing
from gateway.verification.survey import Survey, find_missing

T = TypeVar("T", Plan, Receipt)
_DOCUMENT = re.compile(r"published/domain=([^/]+)/run=([0-9a-f]{32})/(plan|receipt)\.json")
#: What plan and receipt say alike.
_SHARED = ("domain", "number", "run_id", "manifest_sha256", "as_of", "correction", "first_sequence", "last_sequence")


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication: its plan, and its receipt once all was confirmed."""

    plan: Plan
    receipt: Receipt | None

    @property
    def key(self) -> str:
        """Key of the plan."""
        return plan_key(self.plan.domain, self.plan.run_id)


def read_publications(survey: Survey, domain: str, report: Report) -> tuple[Publication, ...]:
    """The publications of a domain by number, each checked by itself, and as a chain."""
    found: dict[str, dict[str, Plan | Receipt]] = {}
    names: set[str] = set()
    for key in sorted(survey.keys):
        match = _DOCUMENT.fullmatch(key)
        if match is None or match[1] != domain:
            continue
        names.add(match[2])
        plan_asked = match[3] == "plan"
        document = _read(survey, key, Plan, report) if plan_asked else _read(survey, key, Receipt, report)
        if document is not None:
            found.setdefault(match[2], {})[match[3]] = document
    publications = []
    for run_id in sorted(names):
        documents = found.get(run_id, {})
        plan, receipt = documents.get("plan"), documents.get("receipt")
        if plan_key(domain, run_id) not in survey.keys:
            report.add([missing(plan_key(domain, run_id), receipt_key(domain, run_id))])
        if isinstance(plan, Plan) and (receipt is None or isinstance(receipt, Receipt)):
            publications.append(Publication(plan, receipt))
            report.add(tuple(_check_pair(plan, receipt)))
            report.add(tuple(_check_run(survey, plan)))
    ordered = tuple(sorted(publications, key=lambda one: (one.plan.number, one.plan.run_id)))
    report.add(tuple(_check_told(survey, ordered)))
    if len(ordered) == len(names):
        report.add(tuple(_check_chain(domain, ordered)))
    return ordered


def list_published_domains(survey: Survey) -> tuple[str, ...]:
    """Every domain that has a plan or a receipt."""
    return tuple(sorted({match[1] for key in survey.keys if (match := _DOCUMENT.fullmatch(key))}))


def _read(survey: Survey, key: str, kind: type[T], report: Report) -> T | None:
    """The document of a key; a seal that does not fit, or another place, is a finding."""
    data = survey.store.get_bytes(key)
    report.objects += 1
    report.bytes += len(data)
    try:
        document = kind.model_validate_json(data)
    except ValidationError as error:
        sealed = any("seal" in one["msg"] for one in error.errors(include_url=False, include_input=False))
        en = "was changed: its seal is not that of its content" if sealed else "cannot be read"
        report.add([Finding(key, "changed" if sealed else "unreadable", "内容被改动或无法读取", en)])
        return None
    if document.seal is None or document.encode() != data:
        report.add([changed(key, digest_bytes(data), digest_bytes(document.encode()))])
        return None
    wanted = (plan_key if kind is Plan else receipt_key)(document.domain, document.run_id)
    if key != wanted:
        report.add([Finding(key, "misplaced", f"属于别处: {wanted}", f"is the document of another run: {wanted}")])
        return None
    return document


def _check_pair(plan: Plan, receipt: Receipt | None) -> Iterator[Finding]:
    key = plan_key(plan.domain, plan.run_id)
    if (
        plan.last_sequence < plan.first_sequence - 1
        or plan.totals.messages != 1 + plan.last_sequence - plan.first_sequence
    ):
        yield inconsistent(key, "序号与消息数不符", "its sequences are not as many as its messages")
    if receipt is None:
        return
    if receipt.plan_sha256 != plan.sha256:
        yield inconsistent(key, "与回执所记计划不符", f"is not the plan of its receipt: {receipt.plan_sha256[:12]}…")
    if any(getattr(plan, name) != getattr(receipt, name) for name in _SHARED) or plan.totals != receipt.totals:
        yield inconsistent(receipt_key(plan.domain, plan.run_id), "回执与计划不符", "contradicts its plan")
    if receipt.confirmed != len(plan.messages):
        yield inconsistent(
            receipt_key(plan.domain, plan.run_id),
            f"确认 {receipt.confirmed} 条, 计划 {len(plan.messages)} 条",
            f"confirms {receipt.confirmed} messages of {len(plan.messages)}",
        )


def _check_run(survey: Survey, plan: Plan) -> Iterator[Finding]:
    """The run and its baseline are in the chain of the domain, and are the ones the plan names."""
    key = plan_key(plan.domain, plan.run_id)
    for run_id, digest in ((plan.run_id, plan.manifest_sha256), (plan.baseline_run_id, plan.baseline_sha256)):
        if digest is None:
            continue
        yield from find_missing(survey, domain_prefix(plan.domain), digest, key)
        found = survey.find(domain_prefix(plan.domain), digest)
        if found is not None and isinstance(found.manifest, RunManifest) and found.manifest.run_id != run_id:
            yield inconsistent(key, "运行编号与清单不符", f"names run {run_id}, and the manifest of another")


def _check_told(survey: Survey, publications: tuple[Publication, ...]) -> Iterator[Finding]:
    """Each entry of the warning log is told once, and is there."""
    told: dict[str, str] = {}
    for one in publications:
        for digest in one.plan.warned:
            yield from find_missing(survey, warned_prefix(one.plan.domain), digest, one.key)
            if digest in told:
                yield inconsistent(one.key, "预警日志重复发布", f"tells what {told[digest]} told: {digest[:12]}…")
            told[digest] = one.key


def _check_chain(domain: str, publications: tuple[Publication, ...]) -> Iterator[Finding]:
    """Numbers and sequences without a gap, each plan behind the receipt before, the right baseline."""
    before: list[Receipt] = []
    for number, one in enumerate(publications, start=1):
        plan, last = one.plan, before[-1] if before else None
        if plan.number != number:
            gap = f"{published_prefix(domain)}… number {number}"
            if plan.number > number:
                yield missing(gap, one.key)
            else:
                yield Finding(
                    one.key, "unlinked", "发布分叉: 编号重复", f"is a second publication number {plan.number}"
                )
            return
        if plan.first_sequence != (last.last_sequence + 1 if last else 1):
            yield Finding(one.key, "unlinked", "序号不连续", "does not continue the sequence of the one before")
        if plan.previous_seal != (last.seal if last else None):
            yield Finding(one.key, "unlinked", "与前一回执不相连", "does not follow the receipt before it")
        regular = [r for r in before if (r.as_of == plan.as_of if plan.correction else not r.correction)]
        if plan.baseline_run_id != (regular[-1].run_id if regular else None):
            yield inconsistent(one.key, "基线不是前一次发布", "is not compared with what was published before")
        if one.receipt is None:
            if number < len(publications):
                yield missing(receipt_key(domain, plan.run_id), publications[number].key)
            return
        before.append(one.receipt)
