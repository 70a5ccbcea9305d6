"""What a verification says: findings that name an object, what the law took, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Verdict = Literal["intact", "purged", "broken"]
#: ``missing``: named by something and not there. ``changed``: not what its digest says. ``unreadable``: the right
#: bytes, and no document. ``misplaced``: lies under another's key. ``unlinked``: a link of a chain does not fit.
#: ``inconsistent``: contradicts another document. ``differs``: recomputing gives something else.
Kind = Literal["missing", "changed", "unreadable", "misplaced", "unlinked", "inconsistent", "differs"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the object's key (or where it ought to lie), and the runs that depend on it."""

    key: str
    kind: Kind
    zh: str
    en: str
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key}: {self.zh} / {self.en}"


@dataclass(frozen=True, slots=True)
class Purged:
    """A file that the law took: named by a purge manifest, so nothing is broken."""

    key: str
    article: str
    day: date
    redacted: bool
    purge_sha256: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint that was sent to the witness outside; the chains still lead to all of its heads."""

    day: date
    sha256: str
    chains: int


@dataclass(frozen=True, slots=True)
class Replay:
    """One run recomputed from its cut and model. ``semantics``: that of the run, where this program has another.

    ``rows``: rows compared, of all artefacts. ``purged``: why it cannot be recomputed any more.
    """

    run_id: str
    domain: str
    as_of: date
    rows: int = 0
    semantics: str | None = None
    purged: str = ""
    skipped: str = ""


@dataclass
class Report:
    """Everything that was looked at."""

    target: str
    findings: list[Finding] = field(default_factory=list)
    purged: list[Purged] = field(default_factory=list)
    replays: list[Replay] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    witnessed: Witnessed | None = None
    manifests: int = 0
    objects: int = 0
    bytes: int = 0
    messages: int = 0

    @property
    def verdict(self) -> Verdict:
        """Broken goes before purged: the law takes what a manifest of a purge names, and nothing else."""
        if self.findings:
            return "broken"
        if any(replay.purged for replay in self.replays) or self.purged:
            return "purged"
        return "intact"

    def add(self, found: Sequence[Finding]) -> None:
        """Keep what was not said before of the same object."""
        known = {(one.key, one.kind, one.en) for one in self.findings}
        self.findings += [one for one in found if (one.key, one.kind, one.en) not in known]


def missing(key: str, named_by: str) -> Finding:
    """An object that something names is not there."""
    return Finding(key, "missing", f"对象缺失, 由 {named_by} 指名", f"is missing; named by {named_by}")


def changed(key: str, actual: str, expected: str) -> Finding:
    """An object's bytes are not those of its digest."""
    return Finding(
        key,
        "changed",
        f"内容与摘要不符: 现为 {actual[:12]}…, 应为 {expected[:12]}…",
        f"was changed: it has {actual[:12]}…, not {expected[:12]}…",
    )


def unreadable(key: str) -> Finding:
    """An object is no document of its kind."""
    return Finding(key, "unreadable", "无法读取", "cannot be read")


def inconsistent(key: str, zh: str, en: str) -> Finding:
    """A document contradicts another one."""
    return Finding(key, "inconsistent", zh, en)
