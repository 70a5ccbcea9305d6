"""Reference statistics of a cycle: computed by its first run, digested, and an input of all its runs (semantics §3).

They look at the last day of the cycle before, so every day of a cycle is compared with the same figures,
and shards and live scoring agree with batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.digests import derive_id
from exchange_formats.keys import cycle_prefix, statistics_prefix
from exchange_formats.manifests import StatisticsManifest
from exchange_formats.periods import cycle_start
from exchange_formats.results import STATISTICS
from exchange_formats.shards import WHOLE
from gateway.cuts import Cut, define_statistics, open_inputs
from gateway.memory import read_memory_limit
from scoring.artefacts import join_files, write_shard_file
from scoring.resolution import SEMANTICS, ResolvedModel
from scoring.statistics import compute_statistics


def add_statistics(
    lake: Lake, resolved: ResolvedModel, as_of: date, cut: Cut, *, spool: Path, what_if: bool = False
) -> Cut:
    """``cut`` with the statistics of the cycle that holds ``as_of``: those it has, else computed on it and committed.

    None are computed while a dataset they need is missing: their indicators are not collected then.

    Raises:
        TransientError, FatalError: the store, memory or disk.
    """
    needed = {
        *resolved.model.subjects_sources,
        *(resolved.source(statistic.counts) for statistic in resolved.statistics.values()),
    }
    if cut.statistics or not resolved.statistics or not needed <= cut.heads.keys():
        return cut
    heads = {source: cut.heads[source] for source in sorted(needed)}
    manifest = _commit(lake, resolved, as_of, heads, spool, what_if=what_if)
    return replace(cut, statistics=manifest.sha256)


def statistics_day(resolved: ResolvedModel, as_of: date) -> date:
    """The day that the statistics of the cycle which holds ``as_of`` look at: the last one of the cycle before."""
    return cycle_start(as_of, resolved.model.cycle) - timedelta(days=1)


def recompute_statistics(lake: Lake, resolved: ResolvedModel, manifest: StatisticsManifest) -> pa.Table:
    """The rows of stored statistics again, from their own cut; ``resolved``: a model with the same definition.

    Raises:
        ValueError: the model defines other statistics.
        FatalError: an input is missing or changed.
    """
    if define_statistics(resolved) != manifest.definition_sha256:
        raise ValueError(f"{resolved.name} defines other statistics than {manifest.statistics_id}")
    return _compute(lake, resolved, manifest.cut, manifest.as_of)


def _compute(lake: Lake, resolved: ResolvedModel, heads: Mapping[str, tuple[str, ...]], day: date) -> pa.Table:
    return compute_statistics(resolved, open_inputs(lake, Cut(heads)), day, memory_limit=read_memory_limit())


def _commit(
    lake: Lake,
    resolved: ResolvedModel,
    as_of: date,
    heads: Mapping[str, tuple[str, ...]],
    spool: Path,
    *,
    what_if: bool,
) -> StatisticsManifest:
    domain = resolved.model.id
    definition = define_statistics(resolved)
    cycle, day = cycle_start(as_of, resolved.model.cycle), statistics_day(resolved, as_of)
    name = derive_id(domain, cycle.isoformat(), Cut(heads).canonical.decode(), definition, SEMANTICS)
    prefix = cycle_prefix(domain, cycle, name)
    chain = statistics_prefix(domain)
    made = [one for one in lake.chain(chain) if isinstance(one, StatisticsManifest) and one.statistics_id == name]
    if found := next((one for one in made if what_if or not one.what_if), None):
        return found  # an earlier question was the same
    with Spool(spool, f"statistics-{domain}") as folder:
        batches = _compute(lake, resolved, heads, day).to_batches()
        file = write_shard_file(folder, WHOLE, "statistics", batches, STATISTICS)
        lake.store.put_file(prefix + file.name, folder / file.name)
    parents = lake.heads(chain)
    manifest = StatisticsManifest(
        parents=parents,
        sequence=1 + max((lake.manifest(chain, parent).sequence for parent in parents), default=0),
        statistics_id=name,
        domain=domain,
        cycle=cycle,
        as_of=day,
        definition_sha256=definition,
        semantics=SEMANTICS,
        cut=heads,
        what_if=what_if,
        artefacts=(join_files("statistics", [file]),),
    )
    lake.commit(prefix, manifest)
    return manifest
