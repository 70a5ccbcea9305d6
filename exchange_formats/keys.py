"""Object keys of the lake (architecture §5.1): one function a kind of object, no key built elsewhere."""

from __future__ import annotations

import re
from datetime import date

BUCKET = "credit-lake"
#: Where the manifests of purges lie, below a day of their dataset.
PURGE_FOLDER = "/purge/"
MANIFEST = re.compile(r"(?:^|/)manifest-([0-9a-f]{64})\.json$")


def landing_prefix(department: str, dataset: str) -> str:
    """Where all batches of one dataset of one department lie."""
    return f"landing/department={department}/dataset={dataset}/"


def batch_prefix(department: str, dataset: str, day: date, batch_id: str) -> str:
    """Where one batch lies; ``day`` is the end of its window in Asia/Shanghai."""
    return f"{landing_prefix(department, dataset)}date={day.isoformat()}/batch={batch_id}/"


def rejected_prefix(department: str, dataset: str) -> str:
    """Where all rejects of one dataset of one department lie."""
    return f"rejected/department={department}/dataset={dataset}/"


def rejects_key(department: str, dataset: str, day: date, batch_id: str) -> str:
    """The rejects of one batch."""
    folder = batch_prefix(department, dataset, day, batch_id).removeprefix("landing/")
    return f"rejected/{folder}rejects.arrow"


def redacted_name(name: str, sha256: str) -> str:
    """File name of what stands in the place of the file ``name`` of a batch; ``sha256`` is its own."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem.split('-redacted-')[0]}-redacted-{sha256[:16]}.{suffix}"


def purge_prefix(department: str, dataset: str, day: date) -> str:
    """Where the manifest of a purge lies: in the chain of the dataset."""
    return f"{landing_prefix(department, dataset)}date={day.isoformat()}{PURGE_FOLDER}"


def compacted_prefix(department: str, dataset: str) -> str:
    """Where the compacted copies of one dataset's batches lie."""
    return f"compacted/department={department}/dataset={dataset}/"


def part_name(number: int) -> str:
    """File name of a part inside its batch."""
    return f"part-{number:05d}.arrow"


def manifest_name(sha256: str) -> str:
    """A manifest is named by the digest of its own bytes."""
    return f"manifest-{sha256}.json"


def manifest_digest(key: str) -> str | None:
    """The digest a manifest's key claims; None for any other object."""
    match = MANIFEST.search(key)
    return match[1] if match else None


def outcomes_prefix(department: str, dataset: str) -> str:
    """Where the outcome records of one dataset of one department lie."""
    return f"outcomes/department={department}/dataset={dataset}/"


def outcome_key(department: str, dataset: str, day: date, attempt: str) -> str:
    """The outcome record of one attempt to collect (clock, host, counts): a note, not evidence."""
    return f"{outcomes_prefix(department, dataset)}date={day.isoformat()}/{attempt}.json"


def run_outcomes_prefix(domain: str) -> str:
    """Where the outcome records of a domain's evaluation lie."""
    return f"outcomes/domain={domain}/"


def run_outcome_key(domain: str, as_of: date, attempt: str) -> str:
    """The outcome record of one attempt to evaluate a domain: a note, not evidence."""
    return f"{run_outcomes_prefix(domain)}as_of={as_of.isoformat()}/{attempt}.json"


#: Where the reference statistics of all domains lie.
STATISTICS_ROOT = "statistics/"


def statistics_prefix(domain: str) -> str:
    """Where the reference statistics of one domain lie."""
    return f"{STATISTICS_ROOT}domain={domain}/"


def cycle_prefix(domain: str, cycle: date, statistics_id: str) -> str:
    """Where the reference statistics of one cycle (its first day) lie."""
    return f"{statistics_prefix(domain)}cycle={cycle.isoformat()}/statistics={statistics_id}/"


def work_prefix(domain: str, run_id: str) -> str:
    """Where the notes of a run that several processes score lie until it is committed."""
    return f"work/domain={domain}/run={run_id}/"


def domain_prefix(domain: str) -> str:
    """Where all runs of one domain lie."""
    return f"scored/domain={domain}/"


def run_prefix(domain: str, as_of: date, run_id: str) -> str:
    """Where one run's artefacts lie."""
    return f"{domain_prefix(domain)}as_of={as_of.isoformat()}/run={run_id}/"


def warned_prefix(domain: str) -> str:
    """Where the warning log of one domain lies."""
    return f"warned/domain={domain}/"


def warned_run_prefix(domain: str, run_id: str, baseline: str) -> str:
    """Where the entry of one run lies; ``baseline`` names the log's heads that it follows."""
    return f"{warned_prefix(domain)}run={run_id}/baseline={baseline}/"


def warned_answer_prefix(domain: str, answer_id: str) -> str:
    """Where one answer of a department lies."""
    return f"{warned_prefix(domain)}answer={answer_id}/"


def published_prefix(domain: str) -> str:
    """Where all publications of one domain lie."""
    return f"published/domain={domain}/"


def plan_key(domain: str, run_id: str) -> str:
    """What a publication will send; written before the first send."""
    return f"{published_prefix(domain)}run={run_id}/plan.json"


def receipt_key(domain: str, run_id: str) -> str:
    """What the broker confirmed; written after the last confirm."""
    return f"{published_prefix(domain)}run={run_id}/receipt.json"


def feedback_prefix(department: str, dataset: str) -> str:
    """The marks of all batches of a dataset whose sender was told."""
    return f"published/feedback/department={department}/dataset={dataset}/"


def feedback_sent_key(department: str, dataset: str, batch_id: str) -> str:
    """That a sender was told what became of a batch; written after the confirm."""
    return f"{feedback_prefix(department, dataset)}batch={batch_id}.json"


def notices_prefix(department: str, dataset: str) -> str:
    """Where it stands up to which heads withdrawals and corrections of a dataset were told."""
    return f"published/records/department={department}/dataset={dataset}/"


def notices_sent_key(department: str, dataset: str, number: int) -> str:
    """One telling of withdrawals and corrections, counted from 1; written after the last confirm."""
    return f"{notices_prefix(department, dataset)}{number:08d}.json"


CHECKPOINTS = "checkpoints/"


def checkpoint_key(day: date, sha256: str) -> str:
    """A daily checkpoint, named by its own digest; written before it is sent."""
    return f"{CHECKPOINTS}date={day.isoformat()}/checkpoint-{sha256}.json"


def checkpoint_sent_key(day: date, sha256: str) -> str:
    """That a checkpoint was sent; written after the confirm."""
    return f"{CHECKPOINTS}date={day.isoformat()}/sent-{sha256}.json"


INSPECTIONS = "inspections/"


def inspection_task_prefix(domain: str, task: str) -> str:
    """Where the log of one inspection task lies."""
    return f"{INSPECTIONS}domain={domain}/task={task}/"


def inspection_plan_key(domain: str, task: str, sha256: str) -> str:
    """The log of one draw, named by its own digest."""
    return f"{inspection_task_prefix(domain, task)}plan-{sha256}.json"
