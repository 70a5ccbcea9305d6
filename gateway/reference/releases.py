"""What a release promises: written once a release, and only when it breaks nothing that was promised before."""

from __future__ import annotations

from pathlib import Path

from exchange_formats.compatibility import find_breaks
from exchange_formats.datasets import load_contracts
from exchange_formats.errors import ConfigurationError, Problem
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.releases import RELEASED, Release, describe_release, read_release


def describe_current() -> Release:
    """What the catalogue and the registry would promise if they were released now."""
    return describe_release(load_contracts().values(), MESSAGES.values())


def write_release(current: Release, folder: Path = RELEASED) -> tuple[str, ...]:
    """Make ``folder`` hold the promises of ``current``; the files that changed. No promise is ever taken back.

    Raises:
        ConfigurationError: with every breaking change; nothing is written.
    """
    breaks = find_breaks(read_release(folder), current)
    if breaks:
        hint = "give it a new version beside the old one; see docs/contracts.md"
        problems = tuple(Problem("", 0, 0, found.path, f"{found.zh} / {found.en}", hint=hint) for found in breaks)
        raise ConfigurationError("与上次发布不兼容 / what was released before would break", problems)
    changed = []
    for name, content in current.encode().items():
        file = folder / name
        if not file.exists() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            changed.append(name)
    return tuple(sorted(changed))
