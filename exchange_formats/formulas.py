"""Formula injection: text that a spreadsheet would run when it opens the CSV or XLSX we write.

A cell such as ``=cmd|'/c calc'!A0`` is data to us and a program to the spreadsheet of whoever opens
the file. Every writer of CSV or XLSX passes each text through ``neutralise``; a reader passes each cell
through ``restore`` (``Dirt.FORMULA_GUARD``), so that what we write comes back. Basis: OWASP, CSV Injection; CWE-1236.
"""

from __future__ import annotations

import re
from typing import Final

#: What stands before a text that would begin a formula.
QUOTE: Final = "'"
# What begins a formula: the four signs, their full-width forms (East Asian editions take them, too), and the
# characters that an import may drop before it looks for them.
_DANGEROUS: Final = re.compile("'*[=+\\-@＝＋－＠\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")


def neutralise(text: str) -> str:
    """``text`` as it may be written into a cell: a single quote stands before what would begin a formula.

    A plain signed number (``-12.50``) is no formula and stays. ``restore`` gives every text back.
    """
    return QUOTE + text if _is_dangerous(text) else text


def restore(text: str) -> str:
    """The text that ``neutralise`` was given; one that did not go through it is the same unless it looks guarded."""
    return text[1:] if text.startswith(QUOTE) and _is_dangerous(text) else text


def shield(text: str) -> str:
    """``text`` for a file that no spreadsheet opens but that is read by the same rules: only ``restore`` is undone."""
    return QUOTE + text if restore(text) != text else text


def _is_dangerous(text: str) -> bool:
    return _DANGEROUS.match(text) is not None and _NUMBER.fullmatch(text) is None
