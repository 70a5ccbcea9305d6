"""What a publication says, rendered from its run and its baseline: the same bytes today as on the day it was sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.lake import Lake
from exchange_formats.manifests import RunManifest
from exchange_formats.messages import CLEARED, EVALUATED, RAISED, WITHDRAWN, RunData
from exchange_formats.messages.versions import ServedVersions
from gateway.artefacts import open_artefact
from gateway.changes import RunFiles, compare_runs
from gateway.message_spool import MessageSpool
from gateway.wording import read_wording


@contextmanager
def render_changes(
    lake: Lake,
    run: RunManifest,
    baseline: RunManifest | None,
    spool: Path,
    *,
    served: ServedVersions,
    correction: bool,
) -> Iterator[MessageSpool]:
    """Compare ``run`` with its baseline (None: all is new) and encode what changed into a temporary file.

    Raises:
        FatalError: an artefact or model that is missing or not what its manifest says; a row no message may carry.
    """
    with tempfile.TemporaryDirectory(dir=spool, prefix="publish-") as folder:
        old = _open(lake, baseline) if baseline else None
        wording = read_wording(lake, run)
        with (Path(folder) / "messages").open("w+b") as file:
            spooled = MessageSpool(run.domain, file, served)
            with compare_runs(_open(lake, run), old, wording, Path(folder)) as changes:
                if not correction:
                    spooled.add_escalations(changes.escalated())
                    spooled.add_warnings(RAISED, changes.raised())
                    spooled.add_updates(changes.updated())
                    spooled.add_warnings(CLEARED, changes.cleared())
                spooled.add_grades(EVALUATED, changes.grades())
                spooled.add_grades(WITHDRAWN, changes.withdrawn())
            yield spooled


def describe_run(run: RunManifest, sequence: int, *, correction: bool) -> RunData:
    """What every message says of the run; ``sequence`` is the first one's."""
    return RunData(
        domain=run.domain,
        model=run.model,
        model_sha256=run.model_sha256,
        as_of=run.as_of,
        run_id=run.run_id,
        manifest_sha256=run.sha256,
        sequence=sequence,
        correction=correction,
    )


def _open(lake: Lake, run: RunManifest) -> RunFiles:
    return RunFiles(open_artefact(lake, run, "grades"), open_artefact(lake, run, "warnings"))
