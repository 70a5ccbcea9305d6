"""Manifests: what was committed, by digest (semantics §6).

A manifest is written last and named by the SHA-256 of its own canonical bytes;
readers trust only manifests. It holds no clock reading, so the same work gives the
same bytes; clock, host and attempt live in the ``Outcome`` beside it.
"""

from __future__ import annotations

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


class Artefact(_Frozen):
    """One file of a run; ``rows_sha256`` is the canonical row digest that a replay must reproduce."""

    name: str
    rows: Count
    bytes: Count
    sha256: Sha256
    rows_sha256: Sha256


class RunManifest(Committed):
    """One scoring run: a function of (domain, as_of, cut, resolved model, semantics)."""

    kind: Literal["run"] = "run"
    run_id: str
    domain: str
    as_of: date
    model: str
    model_sha256: Sha256
    semantics: str
    #: "department/dataset" → digests of the chain heads that were known.
    cut: Mapping[str, tuple[Sha256, ...]]
    artefacts: tuple[Artefact, ...]
    subjects: Count
    subjects_by_grade: Mapping[str, Count]
    warnings_by_level: Mapping[str, Count]
    not_collected: tuple[str, ...] = ()


class Outcome(_Frozen):
    """One attempt to collect one dataset, whether it landed something or failed: data, not only a task state.

    The counts of a failed attempt are what it had seen when it stopped; they need not balance.
    """

    department: str
    dataset: str
    window: Window
    result: Literal["landed", "nothing_new", "failed"]
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


def decode_manifest(data: bytes, expected_sha256: str) -> BatchManifest | RunManifest:
    """Decode and verify a stored manifest; ValueError when its bytes are not what its name says."""
    if digest_bytes(data) != expected_sha256:
        raise ValueError(f"manifest {expected_sha256[:12]}… does not have the digest its name claims")
    kind = BatchManifest if b'"kind":"batch"' in data else RunManifest
    return kind.model_validate_json(data)
