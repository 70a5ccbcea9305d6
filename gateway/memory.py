"""How much memory an engine may take before it spills to disk."""

from __future__ import annotations

import os
from typing import Final

from scoring.engine import DEFAULT_MEMORY_LIMIT

#: For example ``6GB``.
MEMORY_VARIABLE: Final = "XINQIAO_MEMORY_LIMIT"


def read_memory_limit() -> str:
    """DuckDB's limit, from XINQIAO_MEMORY_LIMIT where it is set."""
    return os.environ.get(MEMORY_VARIABLE) or DEFAULT_MEMORY_LIMIT
