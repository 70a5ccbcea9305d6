"""Measuring: seconds of the best of a few runs, rates, peak memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line: our rate and the peer's (items a second), and the peak resident memory of the process in MB."""

    name: str
    unit: str
    ours: float
    peer: str
    theirs: float
    peak_mb: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        """As shown."""
        ours, theirs = f"{self.ours:,.0f} {self.unit}/s", f"{self.peer}: {self.theirs:,.0f} {self.unit}/s"
        return self.name, ours, theirs, f"{self.ours / self.theirs:.2f}×", f"{self.peak_mb:,.0f} MB"


def clock(work: Callable[[], object], *, repeat: int = 3, timer: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of ``repeat`` runs by ``timer``."""
    best = float("inf")
    for _ in range(repeat):
        start = timer()
        work()
        best = min(best, timer() - start)
    return best


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
