"""Errors typed by what happens next (architecture §5.5).

A caller never asks "what went wrong?" to decide what to do; the class says it:
a person changes a file, the same work is tried again, the work stops, or only
this slice is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing a person must change in one file.

    ``line`` and ``column`` count from 1; 0 means the whole file.
    ``got`` must already be masked where it could be an identity.
    """

    file: str
    line: int
    column: int
    key: str
    what: str
    expected: str = ""
    got: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column} {self.key or '(file)'}: {self.what}"
        for label, value in (("expected", self.expected), ("got", self.got), ("hint", self.hint)):
            if value:
                text += f"; {label} {value}"
        return text


class XinqiaoError(Exception):
    """Base of every error this project raises on purpose; ``hint`` tells a person what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigurationError(XinqiaoError):
    """A person must change a file; trying again changes nothing. Carries every problem found."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(problem) for problem in self.problems)])


class TransientError(XinqiaoError):
    """The other side is busy or away: the same work may succeed later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class FatalError(XinqiaoError):
    """Credentials, contract or integrity: stop, a person must look; a retry would do harm or nothing."""


class SkippableError(XinqiaoError):
    """Only this slice (one dataset, one file, one domain) is left out; the rest goes on."""
