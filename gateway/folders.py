"""Where the data files are that say what to do; light, because every DAG parse asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from connectors.department import DEPARTMENTS
from scoring.library import MODELS


def departments_folder(environ: Mapping[str, str]) -> Path:
    """Where the department YAMLs are: the package's own, unless XINQIAO_DEPARTMENTS names another folder."""
    return Path(environ.get("XINQIAO_DEPARTMENTS") or DEPARTMENTS)


def models_folder(environ: Mapping[str, str]) -> Path:
    """Where the model YAMLs are: the package's own, unless XINQIAO_MODELS names another folder."""
    return Path(environ.get("XINQIAO_MODELS") or MODELS)
