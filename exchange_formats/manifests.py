"""Manifests: what was committed, by digest (semantics §6).

A manifest is written last and named by the SHA-256 of its own canonical bytes;
readers trust only manifests. It holds no clock reading, so the same work gives the
same bytes; clock, host and attempt live in the ``Outcome`` beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from exchange_formats.digests import canonical_json, digest_bytes

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Frozen):
    """What a pull asked for: records changed after ``since`` (None: everything) up to ``until``."""

    since: AwareDatetime | None = None
    until: AwareDatetime


class Part(_Frozen):
    """One immutable Arrow file. ``delete_month`` (YYYY-MM) is when the law wants its rows gone; None: open."""

    name: str
    rows: Count
    bytes: Count
    sha256: Sha256
    delete_month: str | None = None


class Counts(_Frozen):
    """``read = landed + duplicates + rejected``, always; ``revoked`` are tombstones a full snapshot adds."""

    read: Count
    landed: Count
    duplicates: Count
    rejected: Count
    revoked: Count = 0

    def balance(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.landed + self.duplicates + self.rejected


class Committed(_Frozen):
    """What every manifest has: its own bytes, its name, its parents."""

    format: Literal[1] = 1
    parents: tuple[Sha256, ...]
    sequence: Annotated[int, Field(ge=1)]

    def encode(self) -> bytes:
        """The canonical bytes that are stored."""
        return canonical_json(self)

    @property
    def sha256(self) -> str:
        """Digest of the canonical bytes: the manifest's name."""
        return digest_bytes(self.encode())


class BatchManifest(Committed):
    """One batch: one pull of one dataset over one window."""

    kind: Literal["batch"] = "batch"
    batch_id: str
    department: str
    dataset: str
    contract: str
    window: Window
    configuration_sha256: Sha256
    content_sha256: Sha256
    watermark: AwareDatetime | None
    parts: tuple[Part, ...]
    rejects: Part | None
    counts: Counts
    rejected_by_reason: Mapping[str, Count]
    normalised_by_rule: Mapping[str, Count] = Field(default_factory=dict)


class ArtefactFile(_Frozen):
    """One immutable Arrow file of an artefact: all of its rows, or one shard's."""

    name: str
    rows: Count
    bytes: Count
    sha256: Sha256


class Artefact(_Frozen):
    """One result of a run (``grades``, ``evidence``, …) in one file, or one a shard in the shards' order.

    ``rows_sha256`` is the canonical row digest (``row_digests``) that a replay must reproduce: it depends neither
    on the files nor on how many shards there were.
    """

    name: str
    rows: Count
    rows_sha256: Sha256
    files: tuple[ArtefactFile, ...]


class StatisticsManifest(Committed):
    """What one cycle says of all subjects of a domain together: an input of that cycle's runs (semantics §3)."""

    kind: Literal["statistics"] = "statistics"
    statistics_id: str
    domain: str
    #: The first day of the cycle that uses it.
    cycle: date
    #: The last day it looks at.
    as_of: date
    #: Digest of the rules it was computed by.
    definition_sha256: Sha256
    semantics: str
    cut: Mapping[str, tuple[Sha256, ...]]
    #: Made for a run that is one (``RunManifest.what_if``): no other run uses it.
    what_if: bool = False
    artefacts: tuple[Artefact, ...]


class RunManifest(Committed):
    """One scoring run: a function of (domain, as_of, cut, resolved model, semantics)."""

    kind: Literal["run"] = "run"
    run_id: str
    domain: str
    as_of: date
    model: str
    model_sha256: Sha256
    semantics: str
    #: "department/dataset" → digests of the chain heads that were known; none: it was collected and is empty.
    cut: Mapping[str, tuple[Sha256, ...]]
    #: Domain of our own public-credit evaluation → digest of the manifest of the run whose results were used.
    evaluations: Mapping[str, Sha256] = Field(default_factory=dict)
    #: Digest of the manifest of the cycle's reference statistics; None where the model uses none.
    statistics: Sha256 | None = None
    #: The cut is older than what was known when it was made: a question, not what stands (``--known-at``).
    what_if: bool = False
    artefacts: tuple[Artefact, ...]
    subjects: Count
    subjects_by_grade: Mapping[str, Count]
    warnings_by_level: Mapping[str, Count]
    not_collected: tuple[str, ...] = ()


class IndustryWarning(_Frozen):
    """One warning of a whole domain: how many of its subjects were newly warned when it was declared, of how many."""

    id: str
    raised_on: date
    level: str
    subjects: Count
    of: Count


class WarningManifest(Committed):
    """One entry of a domain's warning log: what a run changed, or one answer of a department (semantics §4).

    It is a function of the run and of its parents, the log's heads before; an answer's of what was answered.
    """

    kind: Literal["warnings"] = "warnings"
    domain: str
    #: The run's day; of an answer the day it was given.
    as_of: date
    #: None: an answer.
    run_id: str | None = None
    run_sha256: Sha256 | None = None
    #: ``events``; of a run also ``standing``: what is open after it.
    artefacts: tuple[Artefact, ...]
    events_by_kind: Mapping[str, Count]
    open_by_level: Mapping[str, Count] = Field(default_factory=dict)
    #: Level → how many warnings of this level were numbered on this day.
    numbers: Mapping[str, Count] = Field(default_factory=dict)
    #: The industry-wide warning that is in force after the entry.
    industry: IndustryWarning | None = None


class PurgedFile(_Frozen):
    """A file of the lake that the law wanted gone; ``replacement`` stands beside it with the rows that may stay.

    A compacted copy of such a file is one, too.
    """

    key: str
    sha256: Sha256
    rows: Count
    replacement: Part | None = None


class PurgeManifest(Committed):
    """What was deleted of one dataset, and by which law; a link of the dataset's chain (semantics §6).

    It is committed before the files are deleted: a purge that was killed is finished by the next one.
    """

    kind: Literal["purge"] = "purge"
    department: str
    dataset: str
    #: The day (Asia/Shanghai) the purge was made for.
    day: date
    article: str
    #: The furthest of its parents': a purge pulls nothing.
    watermark: AwareDatetime | None
    files: Annotated[tuple[PurgedFile, ...], Field(min_length=1)]
    #: Rows of records and of rejects that went.
    records: Count
    rejects: Count


class CompactedFile(_Frozen):
    """Rows of several batches in one file, which has their lineage as columns; ``sources`` are the parts it copies."""

    part: Part
    contract: str
    sources: Annotated[tuple[Sha256, ...], Field(min_length=1)]


class CompactManifest(Committed):
    """Copies of small batches for faster reading; ``parents`` are the manifests of the batches it copies.

    No evidence: the batches stay, and whoever reads them gets the same rows.
    """

    kind: Literal["compact"] = "compact"
    department: str
    dataset: str
    files: tuple[CompactedFile, ...]


class Outcome(_Frozen):
    """One attempt to collect one dataset, whether it landed something or failed, or one purge of it.

    The counts of a failed attempt are what it had seen when it stopped; they need not balance.
    """

    department: str
    dataset: str
    window: Window
    result: Literal["landed", "nothing_new", "failed", "purged"]
    batch_id: str | None = None
    manifest_sha256: str | None = None
    counts: Counts | None = None
    rejected_by_reason: Mapping[str, Count] = Field(default_factory=dict)
    #: What a person should know: unexpected columns, keys that were not revoked.
    notes: tuple[str, ...] = ()
    error: str = ""
    #: Class of the error, which says what happens next (``exchange_formats.errors``).
    error_kind: str = ""
    started_at: datetime
    finished_at: datetime
    host: str


class LackingInput(_Frozen):
    """An input that is missing or stale. ``current_until``: the last day it is known to be complete; None: never."""

    source: str
    required: bool
    current_until: date | None


class RunOutcome(_Frozen):
    """One attempt to evaluate a domain: clock, host, and why there is no new run where there is none.

    ``withheld``: a required input is missing or stale, so the standing grades are stale too.
    """

    domain: str
    as_of: date
    result: Literal["committed", "nothing_new", "withheld", "failed"]
    run_id: str | None = None
    manifest_sha256: Sha256 | None = None
    what_if: bool = False
    #: Required ones withhold a run; optional ones were left out of it.
    lacking: tuple[LackingInput, ...] = ()
    error: str = ""
    error_kind: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime
    host: str


Manifest = BatchManifest | PurgeManifest | CompactManifest | RunManifest | StatisticsManifest | WarningManifest
_KINDS: Mapping[str, type[Manifest]] = {
    "batch": BatchManifest,
    "purge": PurgeManifest,
    "compact": CompactManifest,
    "run": RunManifest,
    "statistics": StatisticsManifest,
    "warnings": WarningManifest,
}


def decode_manifest(data: bytes, expected_sha256: str) -> Manifest:
    """Decode and verify a stored manifest; ValueError when its bytes are not what its name says."""
    if digest_bytes(data) != expected_sha256:
        raise ValueError(f"manifest {expected_sha256[:12]}… does not have the digest its name claims")
    kind = json.loads(data).get("kind")
    if kind not in _KINDS:
        raise ValueError(f"manifest {expected_sha256[:12]}… is of no known kind")
    return _KINDS[kind].model_validate_json(data)
