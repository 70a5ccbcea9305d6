"""The models as a folder of files: read, cross-checked, found by domain and day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from exchange_formats.documents import Document, read_document
from exchange_formats.errors import ConfigurationError, Problem
from scoring.checks import check_succession
from scoring.model import Model
from scoring.model_checks import check_model
from scoring.table_library import TABLES, Tables, load_tables

#: A broken one of these hides no other problem of the model.
_SEPARABLE = (("dimensions", "*", "indicators", "*"), ("overrides", "*"), ("statistics", "*"))
MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Models:
    """Every sound model, and every problem of every file.

    ``by_id`` holds each domain's newest version; ``versions`` all of them, oldest first.
    """

    by_id: Mapping[str, Model]
    versions: Mapping[str, tuple[Model, ...]]
    problems: tuple[Problem, ...]
    tables: Tables

    def in_force(self, domain: str, day: date) -> Model:
        """The version of ``domain`` in force on ``day``.

        Raises:
            ConfigurationError: no such domain, or no version of it on that day.
        """
        versions = self.versions.get(domain)
        if not versions:
            broken = [problem for problem in self.problems if problem.file.startswith(f"{domain}@")]
            raise ConfigurationError(
                f"没有领域 {domain} 的模型 / there is no sound model of domain {domain}",
                broken,
                hint=f"known: {', '.join(sorted(self.versions)) or 'none'}",
            )
        for model in versions:
            if model.effective.holds(day):
                return model
        raise ConfigurationError(
            f"领域 {domain} 在 {day} 没有生效的模型 / no version of {domain} is in force on {day}",
            hint="in force: " + ", ".join(f"{model.version} from {model.effective.from_}" for model in versions),
        )


def load_models(folder: Path = MODELS, tables_folder: Path = TABLES) -> Models:
    """Read every ``*.yaml`` of ``folder``; never raises for what a person wrote: see ``Models.problems``."""
    tables = load_tables(tables_folder)
    problems = list(tables.problems)
    read: list[tuple[Document[Model], Model]] = []
    sound: list[Model] = []
    for path in sorted(folder.glob("*.yaml")):
        document = read_document(path, Model, separable=_SEPARABLE)
        checked = document.value or document.rest
        wrong = [*document.problems, *(check_model(document, checked, path.stem, tables) if checked else ())]
        problems += wrong
        read += [(document, checked)] if checked else []
        sound += [document.value] if document.value and not wrong else []
    torn, wrong = check_succession(read)
    problems += wrong
    versions: dict[str, tuple[Model, ...]] = {}
    for model in sorted(sound, key=lambda model: (model.id, model.effective.from_)):
        if model.id in torn:
            continue
        versions[model.id] = (*versions.get(model.id, ()), model)
    return Models({key: found[-1] for key, found in versions.items()}, versions, tuple(problems), tables)
