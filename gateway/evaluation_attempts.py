"""One attempt to evaluate a domain, and what is written down of it.

A domain is looked at every quarter of an hour; a record each time would bury those that matter, so there
is one for every run, every failure and every change of how the domain stands.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, SkippableError, XinqiaoError
from exchange_formats.manifests import LackingInput, RunManifest, RunOutcome
from gateway.outcomes import classify_error, explain_error, read_standing_outcome, write_outcome

_log = logging.getLogger(__name__)


class WithheldError(SkippableError):
    """A required input is missing or stale: there is no new run, and the standing grades are stale (semantics §8)."""

    def __init__(self, domain: str, lacking: tuple[LackingInput, ...]) -> None:
        self.lacking = lacking
        said = ", ".join(f"{one.source} ({_say_age(one)})" for one in lacking)
        departments = sorted({one.source.partition("/")[0] for one in lacking})
        super().__init__(
            f"领域 {domain} 缺少必需数据, 本次不评分, 现有等级视为陈旧 / "
            f"{domain} is not scored, its standing grades are stale: {said}",
            hint="xinqiao collect " + " ; xinqiao collect ".join(departments),
        )


class Attempt:
    """Begins with ``with``, and ends with ``commit`` or the error that leaves it, which is written down too.

    ``question``: it was asked ``--known-at``. What only says that a person must change a file or wait is no news.
    """

    def __init__(
        self, lake: Lake, domain: str, as_of: date, now: Callable[[], datetime], *, question: bool = False
    ) -> None:
        self._lake = lake
        self._now = now
        self._said: dict[str, Any] = {
            "domain": domain,
            "as_of": as_of,
            "what_if": question,
            "started_at": now(),
            "host": socket.gethostname(),
        }

    def commit(self, run: RunManifest, lacking: tuple[LackingInput, ...], *, new: bool) -> None:
        """The run is in the lake; ``lacking``: optional inputs that were left out as stale."""
        outcome = self._describe(
            result="committed" if new else "nothing_new",
            run_id=run.run_id,
            manifest_sha256=run.sha256,
            what_if=run.what_if,
            lacking=lacking,
        )
        if new or self._says_something(outcome):
            write_outcome(self._lake, outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, WithheldError):
            outcome = self._describe(result="withheld", lacking=error.lacking, error=str(error))
            if self._says_something(outcome):
                write_outcome(self._lake, outcome)
        elif isinstance(error, Exception) and not isinstance(error, ConfigurationError | SkippableError):
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        outcome = self._describe(result="failed", error=explain_error(error), error_kind=classify_error(error))
        try:
            write_outcome(self._lake, outcome)
        except XinqiaoError as second:  # the store itself is away: the first error is the one that counts
            _log.warning("the outcome of evaluating %s was not written: %s", outcome.domain, second)
            error.add_note("the outcome record could not be written")

    def _describe(self, **more: Any) -> RunOutcome:
        return RunOutcome(**{**self._said, **more, "finished_at": self._now()})

    def _says_something(self, outcome: RunOutcome) -> bool:
        """Whether the domain stands otherwise than the newest record says; a question changes nothing."""
        if outcome.what_if:
            return False
        standing = read_standing_outcome(self._lake, outcome.domain)
        return standing is None or _say(standing) != _say(outcome)


def _say(outcome: RunOutcome) -> tuple[object, ...]:
    return outcome.result == "withheld", outcome.run_id, outcome.lacking


def _say_age(one: LackingInput) -> str:
    return f"只到 only up to {one.current_until}" if one.current_until else "从未归集 never collected"
