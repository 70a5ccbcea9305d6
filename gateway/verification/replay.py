"""Replay: recompute a run from its cut and its stored model, and compare every row (semantics §6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
from pydantic import ValidationError

from connectors.lake import Lake, PurgedError
from connectors.spool import Spool
from exchange_formats.keys import cycle_prefix, manifest_name, run_prefix, statistics_prefix
from exchange_formats.manifests import Artefact, RunManifest, StatisticsManifest, WarningManifest
from exchange_formats.results import ARTEFACTS, MODEL_FILE, STATISTICS
from exchange_formats.row_digests import digest_rows
from exchange_formats.subjects import mask_identity
from gateway.artefacts import fetch_artefact
from gateway.cuts import Cut, open_inputs
from gateway.evaluation import Task
from gateway.memory import read_memory_limit
from gateway.reference_statistics import recompute_statistics
from gateway.verification.findings import Finding, Replay, inconsistent, unreadable
from gateway.warning_log import recompute_entry
from scoring.engine import evaluate
from scoring.evaluations import Evaluation
from scoring.resolution import SEMANTICS, ResolvedModel, read_resolved

#: Columns whose values may be an identity or a name: that they differ is said, not how.
_HIDDEN: Final = frozenset({"subject_ref", "subject_name", "record_id", "first_trigger", "id"})


def replay_run(lake: Lake, run: RunManifest, spool: Path) -> tuple[Replay, list[Finding]]:
    """Recompute ``run``; what differs is named by artefact, subject (masked), column, and both values."""
    if run.semantics != SEMANTICS:
        found = [one for artefact in run.artefacts for one in _check_stored(lake, run, artefact)]
        rows = sum(artefact.rows for artefact in run.artefacts)
        return Replay(run.run_id, run.domain, run.as_of, rows, semantics=run.semantics), found
    prefix = run_prefix(run.domain, run.as_of, run.run_id)
    try:
        resolved = read_resolved(lake.fetch(prefix + MODEL_FILE, run.model_sha256).read_bytes())
    except ValidationError:
        return _skip(run, "model"), [unreadable(prefix + MODEL_FILE)]
    cut = Cut.of(run)
    try:
        inputs = open_inputs(lake, cut)
    except PurgedError as error:
        found = [one for artefact in run.artefacts for one in _check_stored(lake, run, artefact)]
        return Replay(run.run_id, run.domain, run.as_of, purged=error.message), found
    limit = read_memory_limit()
    with Spool(spool, f"verify-{run.domain}") as folder:
        evaluation = evaluate(resolved, inputs, run.as_of, folder, memory_limit=limit)
        found = [*_check_name(run, resolved, cut), *_check_counts(run, evaluation)]
        for artefact in run.artefacts:
            found += _check_stored(lake, run, artefact)
            found += _compare_artefact(lake, run, artefact, evaluation, folder)
        purged = ""
        try:
            found += _replay_statistics(lake, run, resolved, folder)
        except PurgedError as error:  # a run of later days may stand on the statistics of what is gone
            purged = f"参照统计 its reference statistics: {error.message}"
    rows = sum(artefact.rows for artefact in run.artefacts)
    return Replay(run.run_id, run.domain, run.as_of, rows, purged=purged), found


def replay_entry(lake: Lake, entry: WarningManifest, key: str, spool: Path) -> list[Finding]:
    """Recompute what a run changed in the warning log, from the run and the log before it."""
    if entry.run_sha256 is None:
        return []  # an answer of a department: nothing computes it
    with Spool(spool, f"verify-{entry.domain}") as folder:
        again = recompute_entry(lake, entry, folder)
    if again.sha256 == entry.sha256:
        return []
    names = ("events_by_kind", "open_by_level", "numbers", "industry", "artefacts", "as_of")
    name = next((one for one in names if getattr(entry, one) != getattr(again, one)), "parents")
    said, computed = getattr(entry, name), getattr(again, name)
    text = (
        f"says {name} = {said}; recomputing gives {computed}" if name != "artefacts" else "recomputing gives other rows"
    )
    return [Finding(key, "differs", f"预警日志与重算不符: {name}", text)]


def _skip(run: RunManifest, why: str) -> Replay:
    return Replay(run.run_id, run.domain, run.as_of, skipped=why)


def _check_name(run: RunManifest, resolved: ResolvedModel, cut: Cut) -> Iterator[Finding]:
    """A run is named by what it is a function of."""
    wanted = Task(resolved, run.as_of, cut, run.what_if)
    if wanted.run_id != run.run_id or resolved.name != run.model or resolved.model.id != run.domain:
        yield inconsistent(
            _key(run), "运行编号与其输入不符", f"is not the run of its cut and model: that is {wanted.run_id}"
        )


def _check_counts(run: RunManifest, evaluation: Evaluation) -> Iterator[Finding]:
    for name in ("subjects", "subjects_by_grade", "warnings_by_level", "not_collected"):
        said, computed = getattr(run, name), getattr(evaluation, name)
        if said != (dict(computed) if isinstance(said, dict) else computed):
            text = f"says {name} = {said}; recomputing gives {computed}"
            yield Finding(_key(run), "differs", f"{name} 与重算不符", text)
    names = [artefact.name for artefact in evaluation.artefacts]
    if sorted(names) != sorted(artefact.name for artefact in run.artefacts):
        yield inconsistent(_key(run), "产物与重算不符", f"has other artefacts than recomputing gives: {names}")


def _check_stored(lake: Lake, run: RunManifest, artefact: Artefact) -> Iterator[Finding]:
    """The stored rows have the canonical digest that the manifest promises."""
    paths = fetch_artefact(lake, run, artefact.name)
    digest = digest_rows(ARTEFACTS[artefact.name], (_read(path) for path in paths))
    if digest != artefact.rows_sha256:
        text = f"the rows of {artefact.name} have the canonical digest {digest[:12]}…, not {artefact.rows_sha256[:12]}…"
        yield inconsistent(_key(run), f"{artefact.name} 的规范摘要不符", text)


def _compare_artefact(
    lake: Lake, run: RunManifest, artefact: Artefact, evaluation: Evaluation, folder: Path
) -> Iterator[Finding]:
    """Every row on both sides, and the digest."""
    schema = ARTEFACTS[artefact.name]
    computed = next((one for one in evaluation.artefacts if one.name == artefact.name), None)
    if computed is None:
        return
    stored = [str(path) for path in fetch_artefact(lake, run, artefact.name)]
    again = [str(path) for path in evaluation.paths(artefact.name)]
    kept, made = (pads.dataset(paths, schema=schema, format="ipc") for paths in (stored, again))
    difference = _find_difference(kept, made, folder)
    prefix = run_prefix(run.domain, run.as_of, run.run_id)
    key = prefix + artefact.files[0].name if artefact.files else _key(run)
    if difference is not None:
        yield Finding(key, "differs", f"与重算不符: {difference}", f"recomputing gives another row: {difference}")
    elif computed.rows_sha256 != artefact.rows_sha256:
        text = f"recomputing {artefact.name} gives {computed.rows_sha256[:12]}…, not {artefact.rows_sha256[:12]}…"
        yield Finding(key, "differs", f"{artefact.name} 的规范摘要与重算不符", text)


def _replay_statistics(lake: Lake, run: RunManifest, resolved: ResolvedModel, folder: Path) -> Iterator[Finding]:
    """The reference statistics the run was compared with are those of their own cut."""
    if run.statistics is None:
        return
    prefix = statistics_prefix(run.domain)
    manifest = lake.manifest(prefix, run.statistics)
    if not isinstance(manifest, StatisticsManifest):
        yield unreadable(f"{prefix}…/{manifest_name(run.statistics)}")
        return
    place = cycle_prefix(manifest.domain, manifest.cycle, manifest.statistics_id)
    try:
        again = recompute_statistics(lake, resolved, manifest)
    except ValueError as error:
        yield inconsistent(place + manifest_name(run.statistics), "统计规则与模型不符", str(error))
        return
    (artefact,) = manifest.artefacts
    paths = [lake.fetch(place + file.name, file.sha256) for file in artefact.files]
    stored = pads.dataset([str(path) for path in paths], schema=STATISTICS, format="ipc")
    difference = _find_difference(stored, pads.dataset(again), folder)
    if difference is None and digest_rows(STATISTICS, [again.to_batches()]) != artefact.rows_sha256:
        difference = "the same rows have another canonical digest"
    if difference is not None:
        text = f"recomputing gives another row: {difference}"
        yield Finding(place + artefact.files[0].name, "differs", f"与重算不符: {difference}", text)


def _find_difference(mine: pads.Dataset, again: pads.Dataset, folder: Path) -> str | None:
    """The first row that only one side has, in words; None where both have the same rows, as often."""
    schema = mine.schema
    order = ", ".join(f'"{name}"' for name in schema.names)
    sides = []
    with closing(duckdb.connect(config={"temp_directory": str(folder / "duckdb"), "memory_limit": "1GB"})) as engine:
        engine.register("stored", mine)
        engine.register("computed", again)
        for left, right in (("stored", "computed"), ("computed", "stored")):
            query = f"SELECT * FROM (SELECT * FROM {left} EXCEPT ALL SELECT * FROM {right}) ORDER BY {order} LIMIT 1"
            sides.append(engine.sql(query).to_arrow_table().to_pylist())
    stored, computed = sides
    if not stored and not computed:
        return None
    first = schema.names[0]
    pairs = [row[0][first] for row in sides if row]
    if not stored or not computed or stored[0][first] != computed[0][first]:
        subject = _show(first, min(pairs))
        side = "expected, not stored" if computed and computed[0][first] == min(pairs) else "stored, not expected"
        return f"{first} {subject}: a row is {side}"
    column = next(name for name in schema.names if stored[0][name] != computed[0][name])
    expected, got = (
        ("(hidden)", "(hidden)") if column in _HIDDEN else (str(computed[0][column]), str(stored[0][column]))
    )
    return f"{first} {_show(first, stored[0][first])}, {column}: expected {expected}, got {got}"


def _show(column: str, value: Any) -> str:
    return mask_identity(str(value)) if column == "subject_ref" else "(hidden)" if column in _HIDDEN else str(value)


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _key(run: RunManifest) -> str:
    return run_prefix(run.domain, run.as_of, run.run_id) + manifest_name(run.sha256)
