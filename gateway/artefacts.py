"""A run's artefacts in the local cache, verified; one artefact is one file, or one a shard."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as pads

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from exchange_formats.keys import run_prefix
from exchange_formats.manifests import Artefact, RunManifest
from exchange_formats.results import ARTEFACTS


def find_artefact(run: RunManifest, name: str) -> Artefact:
    """What the run's manifest says of an artefact; FatalError where it names none."""
    for artefact in run.artefacts:
        if artefact.name == name:
            return artefact
    raise FatalError(f"运行 {run.run_id} 没有产物 {name} / run {run.run_id} has no artefact '{name}'")


def fetch_artefact(lake: Lake, run: RunManifest, name: str) -> list[Path]:
    """The files of one artefact, in order.

    Raises:
        FatalError: the run has no such artefact; a file is missing or not what the manifest says.
    """
    prefix = run_prefix(run.domain, run.as_of, run.run_id)
    return [lake.fetch(prefix + file.name, file.sha256) for file in find_artefact(run, name).files]


def open_artefact(lake: Lake, run: RunManifest, name: str) -> pads.Dataset:
    """One artefact as a dataset over all of its files; errors as ``fetch_artefact``."""
    paths = [str(path) for path in fetch_artefact(lake, run, name)]
    return pads.dataset(paths, schema=ARTEFACTS[name], format="ipc")
