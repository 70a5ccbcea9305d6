"""Titles and legal bases of what a run's results name by id, from the run's own resolved model."""

from __future__ import annotations

from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from exchange_formats.keys import run_prefix
from exchange_formats.manifests import RunManifest
from exchange_formats.results import MODEL_FILE
from gateway.changes import Titled, Wording
from scoring.resolution import ResolvedModel, read_resolved


def read_wording(lake: Lake, run: RunManifest) -> Wording:
    """The wording of one run, from the model stored beside its artefacts.

    Raises:
        FatalError: the model is missing, unreadable, or not what the manifest says.
    """
    path = lake.fetch(run_prefix(run.domain, run.as_of, run.run_id) + MODEL_FILE, run.model_sha256)
    try:
        return describe_model(read_resolved(path.read_bytes()))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise FatalError(f"模型不可读 the model of run {run.run_id} cannot be read: {where}") from error


def describe_model(resolved: ResolvedModel) -> Wording:
    """What messages quote of a model; a dimension can stand among the reasons too."""
    model = resolved.model
    dimensions = {name: Titled(found.title) for name, found in model.dimensions.items()}
    indicators = {name: Titled(found.title, found.basis) for name, found in model.indicators.items()}
    return Wording(
        indicators=dimensions | indicators,
        overrides={name: Titled(found.title, found.basis) for name, found in model.overrides.items()},
        warnings={rule.id: Titled(rule.title) for rule in resolved.warnings.rules},
        measures={code: Titled(found.title, found.basis) for code, found in resolved.measures.measures.items()},
    )
