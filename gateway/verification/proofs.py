"""Proofs: of the whole lake, of one run, of one batch, of messages somebody holds (semantics §6)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.keys import (
    CHECKPOINTS,
    INSPECTIONS,
    domain_prefix,
    landing_prefix,
    manifest_digest,
    plan_key,
    published_prefix,
    rejected_prefix,
    run_outcomes_prefix,
    statistics_prefix,
    warned_prefix,
)
from exchange_formats.manifests import BatchManifest, PurgeManifest, RunManifest, WarningManifest
from gateway.verification.findings import Finding, Purged, Replay, Report, inconsistent
from gateway.verification.messages import Message, check_plan, is_message_id, read_messages
from gateway.verification.objects import check_objects, find_unnamed
from gateway.verification.publications import Publication, list_published_domains, read_publications
from gateway.verification.replay import replay_entry, replay_run
from gateway.verification.survey import (
    CHAIN_ROOTS,
    Placed,
    Progress,
    Survey,
    files_of,
    ignore_progress,
    survey_lake,
)
from gateway.verification.witnesses import check_checkpoints, check_inspections, check_references

_EVERYTHING: Final = (*CHAIN_ROOTS, "rejected/", "published/", "outcomes/", INSPECTIONS, CHECKPOINTS)
#: What the commands print of an id is enough to ask for it.
_SHORTEST_ID: Final = 8
_HEX: Final = re.compile(r"[0-9a-f]+")
_DATASET: Final = re.compile(r"(?:landing|rejected)/department=([^/]+)/dataset=([^/]+)/")
_DOMAIN: Final = re.compile(r"(scored|statistics|warned)/domain=([^/]+)/")
_PUBLISHED: Final = re.compile(r"published/domain=[^/]+/run=([0-9a-f]{32})/")


@dataclass(frozen=True, slots=True)
class Prover:
    """Where proofs are made: the lake, room for files on their way, and who hears how far it is.

    ``recompute``: also score every run again and render its messages again, not only compare digests.
    """

    lake: Lake
    spool: Path
    progress: Progress = ignore_progress
    recompute: bool = True

    def prove(self, target: str, domain: str | None = None) -> Report:
        """What ``target`` is: a message file, a message's id, or a run's or batch's id (also its first characters).

        Raises:
            ConfigurationError: there is no such thing; the beginning of an id fits several.
            TransientError, FatalError: the store is away.
        """
        if Path(target).is_file():
            return self.prove_messages(read_messages(Path(target)), target)
        if is_message_id(target):
            return self._prove_message_id(target, domain)
        if len(target) < _SHORTEST_ID or not _HEX.fullmatch(target):
            raise ConfigurationError(
                f"不是运行、批次或消息 / neither the id of a run, batch or message nor a file: {target}",
                hint=f"at least the first {_SHORTEST_ID} characters of an id; --all verifies everything",
            )
        found = {key for root in ("scored/", "landing/") for key in self.lake.store.list_keys(root)}
        ids = {match[0] for key in found if (match := re.search(rf"(?:/run=|/batch=){target}[0-9a-f]*", key))}
        by_digest = {key for key in found if (manifest_digest(key) or "").startswith(target)}
        ids |= {match[0] for key in by_digest if (match := re.search(r"(?:/run=|/batch=)[0-9a-f]+", key))}
        if len(ids) != 1:
            said = "编号不唯一 / several have" if ids else "编号不存在 / nothing has"
            raise ConfigurationError(
                f"{said} the id {target}",
                hint=", ".join(sorted(ids)[:5]) or "was it removed? --all names what is missing",
            )
        kind, _, identifier = ids.pop().removeprefix("/").partition("=")
        key = next(one for one in sorted(found) if f"/{kind}={identifier}/" in one)
        return self._prove_run(key, identifier) if kind == "run" else self._prove_batch(key, identifier)

    def prove_everything(self, domain: str | None = None) -> Report:
        """Every object, every chain, every run recomputed and every plan rendered again; or all that a domain uses."""
        prefixes = _EVERYTHING if domain is None else self._prefixes_of(domain)
        survey = survey_lake(self.lake.store, prefixes, self.progress)
        report = Report(domain or "all")
        runs = [one.manifest for one in survey.runs if domain is None or f"/domain={domain}/" in one.key]
        with Spool(self.spool, "verify") as folder:
            names = (domain,) if domain else list_published_domains(survey)
            published = {name: read_publications(survey, name, report) for name in names}
            self._check_chains(survey, published, report, tuple(survey.placed()), folder)
            for one in (one for publications in published.values() for one in publications):
                self._render(survey, one, report, folder)
        self._replay(survey, [run for run in runs if isinstance(run, RunManifest)], report)
        report.notes += [f"无清单指名, 无人读取 / no manifest names it: {key}" for key in find_unnamed(survey)]
        return _name_dependents(survey, report)

    def prove_messages(self, messages: Sequence[Message], target: str) -> Report:
        """Each message is what its run's publication says, and the run is what its cut and model give."""
        report = Report(target)
        for domain in sorted({one.domain for one in messages}):
            mine = [one for one in messages if one.domain == domain]
            survey = survey_lake(self.lake.store, self._prefixes_of(domain), self.progress)
            with Spool(self.spool, "verify") as folder:
                publications = read_publications(survey, domain, report)
                runs = self._check_asked(survey, publications, mine, report, folder)
                self._check_chains(survey, {domain: publications}, report, _scope_of(survey, runs), folder)
            self._replay(survey, runs, report)
            report = _keep(_name_dependents(survey, report), frozenset(run.run_id for run in runs))
        return report

    def _check_asked(
        self,
        survey: Survey,
        publications: Sequence[Publication],
        messages: Sequence[Message],
        report: Report,
        folder: Path,
    ) -> list[RunManifest]:
        """The runs the messages name; what contradicts their plans is a finding."""
        planned = {message.id: one for one in publications for message in one.plan.messages}
        runs: dict[str, RunManifest] = {}
        asked: dict[str, list[Message]] = {}
        for message in messages:
            name = f"message {message.id}"
            said = message.event["data"]
            publication = planned.get(message.id)
            if publication is None:
                report.add([inconsistent(name, "没有任何发布计划指名该消息", "no plan of the domain names it")])
                continue
            plan = publication.plan
            if (said["run_id"], said["manifest_sha256"]) != (plan.run_id, plan.manifest_sha256):
                report.add([inconsistent(name, "运行与计划不符", f"names another run than its plan: {plan.run_id}")])
            found = survey.find(domain_prefix(plan.domain), plan.manifest_sha256)
            if found is not None and isinstance(found.manifest, RunManifest):
                runs[found.manifest.run_id] = found.manifest
            asked.setdefault(plan.run_id, []).append(message)
        for one in publications:
            if one.plan.run_id in asked:
                self._render(survey, one, report, folder, tuple(asked[one.plan.run_id]))
        return list(runs.values())

    def _prove_message_id(self, identifier: str, domain: str | None) -> Report:
        """A message of which only the id is known: its run, and that the plan's messages are rendered again as sent."""
        survey = survey_lake(self.lake.store, ("published/",), self.progress)
        for name in (domain,) if domain else list_published_domains(survey):
            for one in read_publications(survey, name, Report("")):
                if any(message.id == identifier for message in one.plan.messages):
                    report = self._prove_run(domain_prefix(name), one.plan.run_id)
                    return replace_target(report, identifier)
        raise ConfigurationError(f"没有任何发布计划指名该消息 / no plan names the message {identifier}")

    def _prove_run(self, key: str, run_id: str) -> Report:
        match = _DOMAIN.match(key)
        if match is None:
            raise FatalError(f"不是运行 / no run lies at {key}")
        domain = match[2]
        survey = survey_lake(self.lake.store, self._prefixes_of(domain), self.progress)
        report = Report(run_id)
        runs = [one.manifest for one in survey.runs if f"/domain={domain}/" in one.key]
        chosen = [run for run in runs if isinstance(run, RunManifest) and run.run_id == run_id]
        with Spool(self.spool, "verify") as folder:
            publications = read_publications(survey, domain, report)
            self._check_chains(survey, {domain: publications}, report, _scope_of(survey, chosen), folder)
            for one in publications:
                if one.plan.run_id == run_id:
                    self._render(survey, one, report, folder)
        self._replay(survey, chosen, report)
        if not chosen:
            report.add([Finding(key, "missing", "没有该运行的清单", "has no manifest that can be read")])
        return _keep(_name_dependents(survey, report), frozenset({run_id}))

    def _prove_batch(self, key: str, batch_id: str) -> Report:
        match = _DATASET.match(key)
        if match is None:
            raise FatalError(f"不是批次 / no batch lies at {key}")
        department, dataset = match.groups()
        prefix = landing_prefix(department, dataset)
        prefixes = (prefix, rejected_prefix(department, dataset), "scored/", CHECKPOINTS)
        survey = survey_lake(self.lake.store, prefixes, self.progress)
        report = Report(batch_id)
        placed = survey.manifests.get(prefix, {})
        own = [d for d, one in placed.items() if _is_batch(one, batch_id)]
        closure = survey.closure(prefix, own)
        scope = [one for digest, one in placed.items() if digest in closure or isinstance(one.manifest, PurgeManifest)]
        with Spool(self.spool, "verify") as folder:
            self._check_chains(survey, {}, report, scope, folder)
        runs = sorted({run for digest in own for run in survey.dependents(prefix, digest)})
        report.notes.append(f"依赖该批次的运行 / runs that depend on it: {', '.join(runs) or '-'}")
        if not own:
            report.add([Finding(key, "missing", "没有该批次的清单", "has no manifest that can be read")])
        report = _name_dependents(survey, report)
        report.findings = [one for one in report.findings if not one.key.startswith("scored/")]
        return report

    def _prefixes_of(self, domain: str) -> tuple[str, ...]:
        """Everything that the runs of a domain use and lead to."""
        scored = survey_lake(self.lake.store, (domain_prefix(domain),))
        found = [domain_prefix(domain), statistics_prefix(domain), warned_prefix(domain), published_prefix(domain)]
        found += [run_outcomes_prefix(domain), f"{INSPECTIONS}domain={domain}/", CHECKPOINTS]
        for one in scored.runs:
            if isinstance(one.manifest, RunManifest):
                found += [domain_prefix(other) for other in one.manifest.evaluations]
                for source in one.manifest.cut:
                    found += [landing_prefix(*source.split("/")), rejected_prefix(*source.split("/"))]
        return tuple(dict.fromkeys(found))

    def _check_chains(
        self,
        survey: Survey,
        published: Mapping[str, Sequence[Publication]],
        report: Report,
        scope: Collection[Placed],
        folder: Path,
    ) -> None:
        report.manifests = sum(len(chain) for chain in survey.manifests.values())
        report.add(survey.findings)
        check_references(survey, report)
        check_inspections(survey, report)
        seals = {
            domain: frozenset(one.receipt.seal for one in publications if one.receipt and one.receipt.seal)
            for domain, publications in published.items()
        }
        check_checkpoints(survey, seals, report)
        check_objects(survey, scope, report, folder, self.progress)
        for prefix, chain in sorted(survey.manifests.items()):
            if not prefix.startswith("compacted/"):
                named = {parent for one in chain.values() for parent in one.manifest.parents}
                heads = chain.keys() - named
                if len(heads) > 1:
                    short = ", ".join(sorted(head[:12] for head in heads))
                    report.notes.append(
                        f"链有多个头, 下一清单将合并 / several heads, the next joins them: {prefix} {short}"
                    )

    def _render(
        self, survey: Survey, one: Publication, report: Report, folder: Path, asked: tuple[Message, ...] = ()
    ) -> None:
        if not (self.recompute or asked):
            return
        try:
            check_plan(survey, self.lake, one.plan, folder, report, asked)
        except FatalError as error:
            key = plan_key(one.plan.domain, one.plan.run_id)
            report.notes.append(f"消息未重新生成 / messages not rendered again: {key}: {error.message}")

    def _replay(self, survey: Survey, runs: Sequence[RunManifest], report: Report) -> None:
        for number, run in enumerate(runs if self.recompute else (), start=1):
            try:
                replay, found = replay_run(self.lake, run, self.spool)
            except FatalError as error:
                replay, found = Replay(run.run_id, run.domain, run.as_of, skipped=error.message), []
            report.replays.append(replay)
            report.add(found)
            report.add(self._replay_entries(survey, run))
            self.progress("重算 runs", number, len(runs))

    def _replay_entries(self, survey: Survey, run: RunManifest) -> list[Finding]:
        found: list[Finding] = []
        for one in survey.manifests.get(warned_prefix(run.domain), {}).values():
            if isinstance(one.manifest, WarningManifest) and one.manifest.run_sha256 == run.sha256:
                try:
                    found += replay_entry(self.lake, one.manifest, one.key, self.spool)
                except FatalError:
                    continue  # what is missing or changed was named: its objects were looked at
        return found


def replace_target(report: Report, target: str) -> Report:
    """The same report under the name that was asked for."""
    report.target = target
    return report


def _is_batch(one: Placed, batch_id: str) -> bool:
    return isinstance(one.manifest, BatchManifest) and one.manifest.batch_id == batch_id


def _scope_of(survey: Survey, runs: Iterable[RunManifest]) -> list[Placed]:
    """The manifests whose files the runs are made of."""
    wanted: set[str] = set()
    run_ids = {run.run_id for run in runs}
    for run in runs:
        wanted |= {run.sha256, *run.evaluations.values(), *filter(None, [run.statistics])}
        for source, heads in run.cut.items():
            wanted |= survey.closure(landing_prefix(*source.split("/")), heads)
    return [
        one
        for chain in survey.manifests.values()
        for digest, one in chain.items()
        if digest in wanted
        or isinstance(one.manifest, PurgeManifest)
        or (isinstance(one.manifest, WarningManifest) and one.manifest.run_id in run_ids)
    ]


def _name_dependents(survey: Survey, report: Report) -> Report:
    """Say of each finding, and of what the law took, which runs depend on it."""
    owners: dict[str, Placed] = {}
    for one in survey.placed():
        owners |= {key: one for key, *_ in files_of(one)}
    report.findings = [replace(one, runs=_dependents(survey, owners, one.key)) for one in report.findings]
    report.purged = [
        replace(
            one, runs=tuple(run for run in _dependents(survey, owners, one.key) if run not in _made_after(survey, one))
        )
        for one in report.purged
    ]
    return report


def _made_after(survey: Survey, purged: Purged) -> tuple[str, ...]:
    """The runs whose cut holds the purge already: they never read what it took."""
    match = _DATASET.match(purged.key)
    return survey.dependents(landing_prefix(*match.groups()), purged.purge_sha256) if match else ()


def _dependents(survey: Survey, owners: dict[str, Placed], key: str) -> tuple[str, ...]:
    if match := _PUBLISHED.match(key):
        return (match[1],)
    digest = manifest_digest(key)
    owner = owners.get(key)
    if digest is None and owner is not None:
        digest = manifest_digest(owner.key)
        if isinstance(owner.manifest, RunManifest):
            users = [one.manifest for one in survey.runs if isinstance(one.manifest, RunManifest)]
            using = [run.run_id for run in users if digest in run.evaluations.values()]
            return (owner.manifest.run_id, *using)
        if isinstance(owner.manifest, WarningManifest):
            return (owner.manifest.run_id,) if owner.manifest.run_id else ()
    if digest is None:
        return ()
    if match := _DATASET.match(key):
        return survey.dependents(landing_prefix(*match.groups()), digest)
    if match := _DOMAIN.match(key):
        return survey.dependents(f"{match[1]}/domain={match[2]}/", digest)
    return ()


def _keep(report: Report, run_ids: frozenset[str]) -> Report:
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
