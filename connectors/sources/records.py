"""Records that come as JSON objects, from an API or a file: what is none, and their values as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HALF = re.compile("[\ud800-\udfff]")


def find_fault(row: object, columns: Sequence[str]) -> str:
    """Why ``row`` is no record of ``columns``; empty where it is one."""
    if not isinstance(row, dict):
        return f"not an object but {type(row).__name__}"
    for name in columns:
        cell = row.get(name)
        if isinstance(cell, dict | list):
            return f"column '{name}' holds a structure"
        if isinstance(cell, str) and not cell.isascii() and _HALF.search(cell):
            return f"column '{name}' holds half a character"
    return ""


def to_text(cell: object) -> str | None:
    """A value as text; null stays null."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return None if cell is None else str(cell)
