"""Titles and legal bases of what a run's results name by id, from the run's own resolved model."""

from __future__ import annotations

from connectors.lake import Lake
from exchange_formats.manifests import RunManifest
from gateway.changes import Titled, Wording
from gateway.runs import read_model
from scoring.resolution import ResolvedModel


def read_wording(lake: Lake, run: RunManifest) -> Wording:
    """The wording of one run, from the model stored beside its artefacts.

    Raises:
        FatalError: the model is missing, unreadable, or not what the manifest says.
    """
    return describe_model(read_model(lake, run))


def describe_model(resolved: ResolvedModel) -> Wording:
    """What messages quote of a model; a dimension can stand among the reasons too."""
    model = resolved.model
    dimensions = {name: Titled(found.title) for name, found in model.dimensions.items()}
    indicators = {name: Titled(found.title, found.basis) for name, found in model.indicators.items()}
    burst = resolved.warnings.burst
    return Wording(
        indicators=dimensions | indicators,
        overrides={name: Titled(found.title, found.basis) for name, found in model.overrides.items()},
        warnings={rule.id: Titled(rule.title) for rule in resolved.warnings.rules},
        priorities={name: level.priority for name, level in resolved.warnings.levels.items()},
        industry_warning=Titled(burst.title if burst else "行业性预警"),
        measures={code: Titled(found.title, found.basis) for code, found in resolved.measures.measures.items()},
    )
