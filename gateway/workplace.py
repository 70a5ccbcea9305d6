"""The workplace: what every use case needs, opened once from connections and the environment.

The command line opens it from ``AIRFLOW_CONN_*`` variables (the local stack writes
them); an Airflow task opens it through Airflow's own connections. Nothing is opened
before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.connection import Resolve, read_connection
from connectors.department import Departments, load_departments
from connectors.lake import Lake
from connectors.object_store import MinioStore
from exchange_formats.errors import FatalError
from exchange_formats.messages.versions import ServedVersions
from exchange_formats.subjects import PseudonymKey
from exchange_formats.topology import GATEWAY
from gateway.folders import departments_folder, models_folder
from gateway.stack.home import resolve_home
from scoring.library import Models, load_models

if TYPE_CHECKING:
    from connectors.rabbit.publisher import Publisher

LAKE_CONNECTION = "lake"


@dataclass(frozen=True)
class Workplace:
    """Connections, the lake, and the data files that say what to do."""

    resolve: Resolve
    environ: Mapping[str, str]

    @property
    def home(self) -> Path:
        """The folder for local state: caches and spools; never the only copy of anything."""
        return resolve_home(self.environ.get("XINQIAO_HOME")).root

    @cached_property
    def lake(self) -> Lake:
        """The lake behind the connection ``lake``, with its local cache."""
        return Lake(MinioStore.open(self.resolve(LAKE_CONNECTION)), self._folder("XINQIAO_CACHE", "cache"))

    def lake_opener(self) -> Callable[[], Lake]:
        """What another process, perhaps elsewhere, calls to open the same lake; it holds the store's login."""
        from connectors.spark_source import open_lake

        return partial(open_lake, self.resolve(LAKE_CONNECTION), self._folder("XINQIAO_CACHE", "cache"))

    @property
    def spool(self) -> Path:
        """Where files are written, counted and hashed before they are put into the lake."""
        return self._folder("XINQIAO_SPOOL", "spool")

    @cached_property
    def departments(self) -> Departments:
        """Every participant's YAML."""
        return load_departments(departments_folder(self.environ))

    @property
    def sources(self) -> frozenset[str]:
        """``department/dataset`` of everything that participants are configured to deliver."""
        return frozenset(f"{one.id}/{dataset}" for one in self.departments.by_id.values() for dataset in one.datasets)

    @cached_property
    def models(self) -> Models:
        """Every model's YAML."""
        return load_models(models_folder(self.environ))

    @cached_property
    def pseudonyms(self) -> PseudonymKey:
        """The key behind ``np_…`` references; FatalError where the environment has none."""
        secret, key_id = self.environ.get("XINQIAO_PSEUDONYM_KEY"), self.environ.get("XINQIAO_PSEUDONYM_KEY_ID", "k1")
        if not secret:
            raise FatalError(
                "没有假名密钥 / no pseudonym key: the variable XINQIAO_PSEUDONYM_KEY is not set",
                hint="set it to at least 64 hex characters; `xinqiao up` generates one for the local stack",
            )
        return PseudonymKey(key_id, bytes.fromhex(secret))

    @cached_property
    def served(self) -> ServedVersions:
        """The older message versions that participants stay on; a file that only a cross-check refuses counts."""
        from gateway.bus import find_served

        documents = self.departments.documents.values()
        return find_served(document.value for document in documents if document.value is not None)

    def open_publisher(self) -> Publisher:
        """The gateway's own publisher of what a plan names, older versions included: use it in ``with``."""
        return self._open_publisher(ServedVersions())

    def open_serving_publisher(self) -> Publisher:
        """The gateway's own publisher of the newest versions, which adds the older ones that are served."""
        return self._open_publisher(self.served)

    def _open_publisher(self, served: ServedVersions) -> Publisher:
        from connectors.rabbit.publisher import Publisher
        from gateway.bus import connection_id

        return Publisher(self.resolve(connection_id(GATEWAY)), served=served)

    def _folder(self, variable: str, name: str) -> Path:
        folder = Path(self.environ.get(variable) or self.home / name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def open_workplace(resolve: Resolve | None = None, environ: Mapping[str, str] | None = None) -> Workplace:
    """The workplace of this process; ``resolve`` defaults to connections in the environment."""
    variables = os.environ if environ is None else environ
    return Workplace(resolve or (lambda identifier: read_connection(identifier, variables)), variables)
