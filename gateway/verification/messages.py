"""Messages: what a plan names, rendered again from the run and its baseline, and one message held against that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.lake import Lake
from exchange_formats.digests import digest_bytes
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import domain_prefix, plan_key
from exchange_formats.manifests import RunManifest
from exchange_formats.messages.envelope import OutgoingMessage
from exchange_formats.messages.versions import ServedVersions
from exchange_formats.publications import Plan
from exchange_formats.subjects import mask_identity
from gateway.rendering import describe_run, render_changes
from gateway.verification.findings import Finding, Report, inconsistent
from gateway.verification.survey import Survey

#: Fields whose values may be an identity or a name.
_HIDDEN: Final = frozenset({"subject_ref", "subject_name", "subject", "trigger"})
_UUID_LENGTH: Final = 36


@dataclass(frozen=True, slots=True)
class Message:
    """A CloudEvent somebody holds: its id, and the whole document."""

    id: str
    event: dict[str, Any]

    @property
    def domain(self) -> str:
        """The domain that says it."""
        return str(self.event["data"]["domain"])


def read_messages(path: Path) -> tuple[Message, ...]:
    """The message of a JSON file, or one a line.

    Raises:
        ConfigurationError: no message of a run is in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: 不是 UTF-8 文本 / is no text in UTF-8") from None
    try:
        documents = [json.loads(text)]
    except json.JSONDecodeError:
        try:
            documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"{path}: 不是 JSON 消息 / is no JSON message (line {error.lineno})") from None
    messages = tuple(Message(str(one["id"]), one) for one in documents if _is_of_run(one))
    if not messages:
        raise ConfigurationError(
            f"{path}: 没有评价运行的消息 / no message of a run is in it",
            hint="messages about grades and warnings can be replayed: they name their run",
        )
    return messages


def _is_of_run(document: Any) -> bool:
    data = document.get("data") if isinstance(document, dict) else None
    return isinstance(data, dict) and {"domain", "run_id", "manifest_sha256"} <= data.keys() and "id" in document


def is_message_id(text: str) -> bool:
    """Whether ``text`` has the shape of a message's id."""
    return len(text) == _UUID_LENGTH and text.count("-") == 4


def check_plan(
    survey: Survey, lake: Lake, plan: Plan, spool: Path, report: Report, asked: tuple[Message, ...] = ()
) -> None:
    """Every message of ``plan`` is what its run and baseline give; so is each that was ``asked`` about."""
    run = _find_run(survey, plan, plan.manifest_sha256)
    baseline = _find_run(survey, plan, plan.baseline_sha256) if plan.baseline_sha256 else None
    if run is None or (baseline is None and plan.baseline_sha256 is not None):
        return  # named by the chain's check
    key = plan_key(plan.domain, plan.run_id)
    served = ServedVersions({noun: frozenset(versions) for noun, versions in plan.older.items()})
    spool.mkdir(parents=True, exist_ok=True)
    with render_changes(lake, run, baseline, spool, served=served, warned=plan.warned) as spooled:
        said = describe_run(run, plan.first_sequence, correction=plan.correction)
        rendered = spooled.plan(said, plan.planned_at)
        report.messages += len(rendered)
        if spooled.totals != plan.totals:
            report.add([inconsistent(key, "合计与重算不符", f"totals are {spooled.totals} when rendered again")])
        for number, (planned, again) in enumerate(zip(plan.messages, rendered, strict=False), start=1):
            if planned != again:
                text = f"message {number}, {planned.id}: rendered again it is {again.id}, {again.sha256[:12]}…"
                report.add([Finding(key, "differs", f"第 {number} 条消息与重算不符: {planned.id}", text)])
                break
        if len(plan.messages) != len(rendered):
            text = f"names {len(plan.messages)} messages; its run and baseline give {len(rendered)}"
            report.add([Finding(key, "differs", "消息条数与重算不符", text)])
        if asked:
            wanted = {one.id: one for one in asked}
            for message in spooled.messages(said, plan.planned_at):
                if message.id in wanted:
                    report.add(tuple(_compare(wanted.pop(message.id), message)))
            for one in wanted.values():
                report.add(
                    [inconsistent(f"message {one.id}", "不是该运行的消息", "is no message of its run's changes")]
                )


def _compare(asked: Message, message: OutgoingMessage) -> Iterator[Finding]:
    """A message against what was sent; of its results it may hold fewer, for consumers drop outdated ones."""
    sent = json.loads(message.body)
    if digest_bytes(json.dumps(asked.event).encode()) == digest_bytes(json.dumps(sent).encode()):
        return
    held, true = dict(asked.event), dict(sent)
    results = {_name(one): one for one in true["data"].get("results", [])}
    true["data"] = dict(true["data"]) | {
        "results": [results.get(_name(one), {}) for one in held["data"].get("results", [])]
    }
    if "results" not in sent["data"]:
        del true["data"]["results"]
    difference = _find_difference("", held, true)
    if difference is not None:
        text = f"is not what was sent: {difference}"
        yield Finding(f"message {asked.id}", "differs", f"与发送内容不符: {difference}", text)


def _name(result: Any) -> str:
    return str(result.get("subject_ref")) if isinstance(result, dict) else ""


def _find_difference(path: str, held: Any, true: Any) -> str | None:
    """The first place where two documents differ: ``data.results[0].score: sent 798.00, is 998.00``."""
    if isinstance(held, dict) and isinstance(true, dict):
        for name in [*true, *(name for name in held if name not in true)]:
            if name not in held or name not in true:
                return f"{path}{name}: {'added' if name in held else 'left out'}{_whose(true)}"
            found = _find_difference(f"{path}{name}.", held[name], true[name])
            if found is not None:
                return found
        return None
    if isinstance(held, list) and isinstance(true, list):
        for number, (mine, other) in enumerate(zip(held, true, strict=False)):
            found = _find_difference(f"{path.rstrip('.')}[{number}].", mine, other)
            if found is not None:
                return found
        return f"{path.rstrip('.')}: {len(true)} sent, {len(held)} held" if len(held) != len(true) else None
    if held == true:
        return None
    name = path.rstrip(".").rpartition(".")[2]
    if name in _HIDDEN:
        return f"{path.rstrip('.')} (hidden)"
    return f"{path.rstrip('.')}: sent {true}, held {held}"


def _whose(result: dict[str, Any]) -> str:
    reference = result.get("subject_ref")
    return f" ({mask_identity(str(reference))})" if reference else ""


def _find_run(survey: Survey, plan: Plan, sha256: str) -> RunManifest | None:
    found = survey.find(domain_prefix(plan.domain), sha256)
    return found.manifest if found is not None and isinstance(found.manifest, RunManifest) else None
