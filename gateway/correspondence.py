"""Correspondence with a participant after a collection: which records changed, and what became of its batches.

Withdrawals go first, for three days run from the decision (行政处罚法 48). Each dataset is told of by itself:
one that cannot be told of stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, FatalError
from gateway.feedback import report_batches
from gateway.publication import OpenPublisher
from gateway.record_notices import NoticesResult, send_notices


@dataclass(frozen=True, slots=True)
class Correspondence:
    """What one participant was told: notices of each dataset, and batches by dataset."""

    participant: str
    notices: tuple[NoticesResult, ...]
    batches: dict[str, int]

    @property
    def messages(self) -> int:
        """Messages confirmed."""
        return sum(self.batches.values()) + sum(one.withdrawn + one.corrected for one in self.notices)


def tell_participant(
    participant: str,
    datasets: Sequence[str],
    *,
    lake: Lake,
    open_publisher: OpenPublisher,
    now: Callable[[], datetime],
) -> Correspondence:
    """Send everything about ``datasets`` that was not told yet; done again, nothing repeats.

    Raises:
        TransientError: the store or broker is away; what was confirmed stays told.
        FatalError: names each dataset that cannot be told of; all others were.
    """
    failed: list[str] = []
    notices: list[NoticesResult] = []
    batches: dict[str, int] = {}
    for dataset in datasets:
        with _note_failure(dataset, failed):
            notices.append(send_notices(participant, dataset, lake=lake, open_publisher=open_publisher, now=now))
    for dataset in datasets:
        with _note_failure(dataset, failed):
            batches |= report_batches(participant, (dataset,), lake=lake, open_publisher=open_publisher).batches
    if failed:
        raise FatalError(
            "\n".join([f"{participant}: 有 {len(failed)} 项未能告知 could not be told:", *failed]),
            hint="其余已告知, 原因消除后重试 all else was told; try again once the cause is gone",
        )
    return Correspondence(participant, tuple(notices), batches)


@contextmanager
def _note_failure(dataset: str, failed: list[str]) -> Iterator[None]:
    try:
        yield
    except (FatalError, ConfigurationError) as error:
        failed.append(f"{dataset}: {error}")
