"""What a publication says, rendered from its run and its baseline: the same bytes today as on the day it was sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.lake import Lake
from exchange_formats.manifests import RunManifest
from exchange_formats.messages import EVALUATED, WITHDRAWN, RunData
from exchange_formats.messages.versions import ServedVersions
from gateway.artefacts import open_artefact
from gateway.changes import compare_runs
from gateway.message_spool import MessageSpool
from gateway.warning_log import read_log
from gateway.warning_messages import tell_entries
from gateway.wording import read_wording


@contextmanager
def render_changes(
    lake: Lake,
    run: RunManifest,
    baseline: RunManifest | None,
    spool: Path,
    *,
    served: ServedVersions,
    warned: tuple[str, ...] = (),
) -> Iterator[MessageSpool]:
    """Compare ``run`` with its baseline (None: all is new) and encode what changed into a temporary file.

    ``warned``: manifests of the entries of the warning log that are told with it; a correction tells none.

    Raises:
        FatalError: an artefact or model that is missing or not what its manifest says; a row no message may carry.
    """
    with tempfile.TemporaryDirectory(dir=spool, prefix="publish-") as folder:
        new = open_artefact(lake, run, "grades")
        old = open_artefact(lake, baseline, "grades") if baseline else None
        wording = read_wording(lake, run)
        with (Path(folder) / "messages").open("w+b") as file:
            spooled = MessageSpool(run.domain, file, served)
            if warned:
                told = tell_entries(lake, read_log(lake, run.domain), warned, wording)
                spooled.add_warnings(told, wording.priorities)
            with compare_runs(new, old, wording, Path(folder)) as changes:
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
