"""The terminal, or the pipe, that a command's tables are printed to."""

from __future__ import annotations

import sys

from rich.console import Console

#: A pipe has no width: a figure or an address must not be folded there.
_PIPE_WIDTH = 160


def open_console() -> Console:
    """Standard output, as wide as the terminal; nothing is coloured that was not asked to be."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
