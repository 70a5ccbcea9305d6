"""Proofs: of the whole lake, of one run, of one batch, of messages somebody holds (semantics §6)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from gateway.verification.dependents import DATASET_KEY, DOMAIN_KEY, keep_findings, name_dependents
from gateway.verification.findings import Finding, Replay, Report, inconsistent
from gateway.verification.messages import Message, check_plan, is_message_id, read_messages
from gateway.verification.objects import check_objects, find_unnamed
from gateway.verification.publications import Publication, list_published_domains, read_publications
from gateway.verification.replay import replay_entry, replay_run
from gateway.verification.survey import (
    Placed,
    Progress,
    Survey,
    ignore_progress,
    survey_lake,
)
from gateway.verification.witnesses import check_checkpoints, check_inspections, check_references

#: What names others before what is named.
_EVERYTHING: Final = (
    *(CHECKPOINTS, INSPECTIONS, "outcomes/", "published/"),
    *("warned/", "scored/", "statistics/", "compacted/", "landing/", "rejected/"),
)
#: What the commands print of an id is enough to ask for it.
_SHORTEST_ID: Final = 8
_NAMED: Final = re.compile(r"/(run|batch)=([0-9a-f]{32})/")
_HEX: Final = re.compile(r"[0-9a-f]+")


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
            TransientError, FatalError: the store is away; memory or disk do not suffice to recompute.
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
        kind, identifier, key = self._find(target)
        return self._prove_run(key, identifier) if kind == "run" else self._prove_batch(key, identifier)

    def _find(self, target: str) -> tuple[str, str, str]:
        """(``run`` or ``batch``, the whole id, a key of it) of what begins so, or has a manifest that does."""
        found = [key for root in ("scored/", "landing/") for key in self.lake.store.list_keys(root)]
        matches: dict[tuple[str, str], str] = {}
        for key in found:
            match = _NAMED.search(key)
            if match and (match[2].startswith(target) or (manifest_digest(key) or "").startswith(target)):
                matches.setdefault((match[1], match[2]), key)
        if len(matches) != 1:
            said = "编号不唯一 / several have" if matches else "编号不存在 / nothing has"
            known = ", ".join(f"{kind} {identifier}" for kind, identifier in sorted(matches)[:5])
            raise ConfigurationError(
                f"{said} the id {target}", hint=known or "was it removed? --all names what is missing"
            )
        (((kind, identifier), key),) = matches.items()
        return kind, identifier, key

    def prove_everything(self, domain: str | None = None) -> Report:
        """Every object, every chain, every run recomputed and every plan rendered again; or all that a domain uses.

        Raises:
            ConfigurationError: nothing is known of the domain: that is no proof.
        """
        prefixes = _EVERYTHING if domain is None else self._prefixes_of(domain)
        survey = survey_lake(self.lake.store, prefixes, self.progress)
        report = Report(domain or "all")
        with Spool(self.spool, "verify") as folder:
            names = (domain,) if domain else list_published_domains(survey)
            published = {name: read_publications(survey, name, report) for name in names}
            self._check_chains(survey, published, report, tuple(survey.placed()), folder)
            for one in (one for publications in published.values() for one in publications):
                self._render(survey, one, report, folder)
        if domain and not report.findings and not any(f"/domain={domain}/" in key for key in survey.keys):
            raise ConfigurationError(f"没有领域 {domain} 的任何数据 / the lake holds nothing of a domain '{domain}'")
        self._replay(survey, survey.runs(domain), report)
        report.notes += [f"无清单指名, 无人读取 / no manifest names it: {key}" for key in find_unnamed(survey)]
        return name_dependents(survey, report)

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
            report = keep_findings(name_dependents(survey, report), frozenset(run.run_id for run in runs))
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
                    report.target = identifier
                    return report
        raise ConfigurationError(f"没有任何发布计划指名该消息 / no plan names the message {identifier}")

    def _prove_run(self, key: str, run_id: str) -> Report:
        match = DOMAIN_KEY.match(key)
        if match is None:
            raise FatalError(f"不是运行 / no run lies at {key}")
        domain = match[2]
        survey = survey_lake(self.lake.store, self._prefixes_of(domain), self.progress)
        report = Report(run_id)
        chosen = [run for run in survey.runs(domain) if run.run_id == run_id]
        with Spool(self.spool, "verify") as folder:
            publications = read_publications(survey, domain, report)
            self._check_chains(survey, {domain: publications}, report, _scope_of(survey, chosen), folder)
            for one in publications:
                if one.plan.run_id == run_id:
                    self._render(survey, one, report, folder)
        self._replay(survey, chosen, report)
        if not chosen:
            report.add([Finding(key, "missing", "没有该运行的清单", "has no manifest that can be read")])
        return keep_findings(name_dependents(survey, report), frozenset({run_id}))

    def _prove_batch(self, key: str, batch_id: str) -> Report:
        match = DATASET_KEY.match(key)
        if match is None:
            raise FatalError(f"不是批次 / no batch lies at {key}")
        department, dataset = match.groups()
        prefix = landing_prefix(department, dataset)
        prefixes = (CHECKPOINTS, "scored/", prefix, rejected_prefix(department, dataset))
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
        report = name_dependents(survey, report)
        report.findings = [one for one in report.findings if not one.key.startswith("scored/")]
        return report

    def _prefixes_of(self, domain: str) -> tuple[str, ...]:
        """Everything that the runs of a domain use and lead to."""
        scored = survey_lake(self.lake.store, (domain_prefix(domain),))
        found = [CHECKPOINTS, f"{INSPECTIONS}domain={domain}/", run_outcomes_prefix(domain), published_prefix(domain)]
        found += [warned_prefix(domain), domain_prefix(domain), statistics_prefix(domain)]
        for run in scored.runs():
            found += [domain_prefix(other) for other in run.evaluations]
            for source in run.cut:
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
                if not report.findings:
                    raise  # nothing in the lake explains it (memory, disk): what was not recomputed is not proved
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
