"""Compare two versions of a model on what the lake holds: nothing is committed, nothing is published.

Both are evaluated on the same cut as of the same day, each as if it were in force then,
so that every difference is the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.errors import ConfigurationError
from exchange_formats.results import REFERENCE_STATISTICS
from gateway.cuts import open_inputs, resolve_cut
from gateway.evaluation_attempts import WithheldError
from gateway.memory import read_memory_limit
from gateway.reference_statistics import statistics_day
from gateway.traits import read_traits
from scoring.comparison import Comparison, Findings, compare_findings
from scoring.engine import evaluate
from scoring.library import Models, load_models
from scoring.model import Model
from scoring.resolution import ResolvedModel, resolve
from scoring.statistics import compute_statistics
from scoring.tables import Effective


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """What was compared, and what was found."""

    old: ResolvedModel
    new: ResolvedModel
    as_of: date
    found: Comparison


def compare_models(
    old: Model,
    new: Model,
    *,
    as_of: date,
    lake: Lake,
    models: Models,
    spool: Path,
    known_at: datetime | None = None,
    movers: int = 20,
) -> ModelComparison:
    """Evaluate both models on one cut and compare.

    Args:
        old: the version there is.
        new: the other one, of the same domain.
        as_of: the day, for both.
        lake: where the records are.
        models: the shared tables.
        spool: a folder for the artefacts, which are thrown away.
        known_at: compare on what was known then, by default on the newest cut.
        movers: how many of the biggest movers to explain.

    Raises:
        ConfigurationError: the models are of different domains, or a table is not in force on that day.
        WithheldError: a required dataset is missing or stale.
    """
    if old.id != new.id:
        raise ConfigurationError(
            f"两个模型不属于同一领域 the models are of different domains: {old.id}, {new.id}",
            hint="compare two versions of one domain: xinqiao compare DOMAIN@OLD DOMAIN@NEW",
        )
    sides = [_resolve_for(model, as_of, models) for model in (old, new)]
    with Spool(spool, f"compare-{old.id}") as folder:
        found = []
        for name, resolved in zip(("old", "new"), sides, strict=True):
            inputs = _open_inputs(lake, resolved, as_of, known_at)
            output = folder / name
            output.mkdir()
            evaluation = evaluate(resolved, inputs, as_of, output, memory_limit=read_memory_limit())
            grades, evidence = (pads.dataset(evaluation.paths(one), format="ipc") for one in ("grades", "evidence"))
            found.append(Findings(grades, evidence))
        profiles = [inputs[source] for source in resolved.model.subjects_sources]
        traits = read_traits(found[1].grades, profiles, as_of)
        comparison = compare_findings(found[0], found[1], traits, movers=movers)
    return ModelComparison(sides[0], sides[1], as_of, comparison)


def _open_inputs(
    lake: Lake, resolved: ResolvedModel, as_of: date, known_at: datetime | None
) -> Mapping[str, pads.Dataset | pa.Table]:
    """What ``resolved`` reads; its reference statistics are computed on the same cut, for the day a run's are."""
    cut = resolve_cut(lake, resolved, as_of, known_at=known_at)
    if missing := tuple(one for one in cut.lacking if one.required):
        raise WithheldError(resolved.model.id, missing)
    inputs = open_inputs(lake, cut)
    if not resolved.statistics:
        return inputs
    return {**inputs, REFERENCE_STATISTICS: compute_statistics(resolved, inputs, statistics_day(resolved, as_of))}


def find_model(name: str, models: Models) -> Model:
    """A model by ``id@version``, or from a YAML file that is not among the models yet.

    Raises:
        ConfigurationError: there is no such version, or the file has problems.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        alone = load_models(path.parent)
        found = [model for versions in alone.versions.values() for model in versions if model.name == path.stem]
        if not found:
            problems = [problem for problem in alone.problems if problem.file.startswith(path.name)]
            raise ConfigurationError(f"模型文件有错误 / the model file has problems: {path.name}", problems)
        return found[0]
    domain, _, version = name.partition("@")
    versions = {model.version: model for model in models.versions.get(domain, ())}
    if version not in versions:
        known = ", ".join(f"{domain}@{one}" for one in versions) or ", ".join(sorted(models.versions))
        raise ConfigurationError(f"没有模型 {name} / there is no model {name}", hint=f"known: {known}")
    return versions[version]


def _resolve_for(model: Model, as_of: date, models: Models) -> ResolvedModel:
    """``model`` as if it were in force on ``as_of``; its tables must be."""
    return resolve(model.model_copy(update={"effective": Effective(from_=as_of)}), as_of, models.tables)
