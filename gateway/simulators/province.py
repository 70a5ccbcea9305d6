"""The whole demonstration province in a lake, without Airflow, a database or a network: for tests and measurements."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from pathlib import Path

from connectors.connection import Connection
from connectors.department import Department, load_departments
from connectors.lake import Lake
from exchange_formats.subjects import PseudonymKey
from gateway.collection import CollectionResult, collect_dataset, collect_department
from gateway.simulators.draws import SHANGHAI
from gateway.simulators.readings import ProvinceReaders
from gateway.simulators.universe import Universe

#: The nightly collection is over by then.
_MORNING = time(6, 0)


def land_province(
    lake: Lake,
    universe: Universe,
    *,
    pseudonyms: PseudonymKey,
    folder: Path,
    departments: Iterable[Department] | None = None,
) -> list[CollectionResult]:
    """Collect every dataset of ``departments`` (default: all that are shipped) as of the universe's day.

    ``folder`` is for dropped files and spools. A dataset that fails is a result with its error, as in the DAGs.
    """
    readers = ProvinceReaders(universe, folder / "drop")
    until = datetime.combine(universe.today, _MORNING, SHANGHAI)
    chosen = load_departments().by_id.values() if departments is None else departments
    results: list[CollectionResult] = []
    for department in chosen:

        def collect(dataset: str, department: Department = department) -> CollectionResult:
            return collect_dataset(
                department,
                dataset,
                until=until,
                lake=lake,
                resolve=lambda name: Connection(id=name, kind="simulated"),
                pseudonyms=pseudonyms,
                spool=folder / "spool",
                now=lambda: until,
                open_reader=readers,
            )

        results += collect_department(department, collect=collect, until=until)
    return results
