"""A file as a table of text: a header and numbered lines, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, Self

from connectors.sources.model import RejectedInput
from exchange_formats.rejects import Reason


class Line(NamedTuple):
    """One row; ``number`` counts as a person does: the header is 1. As many cells as the header."""

    number: int
    cells: Sequence[str]


class FileBrokenError(Exception):
    """The file as a whole cannot be read; ``str`` says why, without any of its content."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class TextTable(Protocol):
    """An open file. Raises FileBrokenError from ``header`` or ``lines``, OSError from any."""

    @property
    def origin(self) -> str:
        """Name of the file below the drop folder, with its sheet where it has one."""

    @property
    def header(self) -> list[str]:
        """Column names, trimmed."""

    @property
    def header_hint(self) -> str:
        """What may be wrong where the header is not the expected one; empty: nothing particular."""

    def lines(self) -> Iterator[Line | RejectedInput]:
        """The rows behind the header, and those that are none, in order; blank ones are left out."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...
