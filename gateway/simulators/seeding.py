"""Seed every department's system from one universe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gateway.simulators import file_drop, history, profiles, sharing_store, tables
from gateway.simulators.connections import read_connection, read_owner, require_connection
from gateway.simulators.departments import ECOLOGY, EMERGENCY, MARKET, PLATFORM
from gateway.simulators.market_database import lay_out_market, seed_market_database
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.universe import Universe, draw_universe, read_register


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What was put where: ``participant/dataset or table`` → rows; files in the drop; subjects drawn."""

    subjects: int
    rows: Mapping[str, int]
    drop_folder: Path
    drop_files: int


def open_universe(*, register: Path | None, subjects: int, seed: int, today: date) -> Universe:
    """The register's universe when one is given, else a drawn one."""
    if register is not None:
        return read_register(register, seed=seed, today=today)
    return draw_universe(subjects=subjects, seed=seed, today=today)


def seed_departments(home: Path, universe: Universe, environment: Mapping[str, str]) -> SeedReport:
    """Fill the database, the sharing store and the drop folder; doing it again gives the same content.

    Raises:
        ConfigurationError: a connection is missing or malformed.
        TransientError, FatalError: the database cannot be reached or refuses.
        OSError: a folder cannot be written.
    """
    connection = require_connection(f"dept_{MARKET}", environment)
    owner = read_owner(environment)
    records = history.draw_history(universe)
    folder = find_drop_folder(home, environment)
    files = file_drop.lay_out_drop(records[EMERGENCY], universe)
    rows = {f"{EMERGENCY}/{k}": v for k, v in _count(records[EMERGENCY]).items()}
    file_drop.write_drop(folder, files)
    rows |= seed_sharing(home, universe, records)
    loaded = seed_market_database(lay_out_market(records[MARKET], universe), connection, owner)
    rows |= {f"{MARKET}/{table}": count for table, count in loaded.items()}
    return SeedReport(len(universe.subjects), rows, folder, len(files))


def seed_sharing(home: Path, universe: Universe, records: Mapping[str, DepartmentRecords]) -> dict[str, int]:
    """Write what the sharing platform serves; answers ``participant/dataset`` → rows."""
    ecology = records[ECOLOGY]
    shared = (profiles.lay_out_ecology_profile(ecology.supervised, universe), *tables.lay_out_shared(ecology))
    rows = {f"{ECOLOGY}/{table.dataset}": sharing_store.write_shelf(home, ECOLOGY, table) for table in shared}
    results = tables.lay_out_public_credit(history.draw_public_credit(universe))
    return rows | {f"{PLATFORM}/{results.dataset}": sharing_store.write_shelf(home, PLATFORM, results)}


def find_drop_folder(home: Path, environment: Mapping[str, str]) -> Path:
    """The connection's ``extra.path``, else ``HOME/drop/emergency_management``."""
    connection = read_connection(f"dept_{EMERGENCY}", environment)
    path = connection.extra.get("path") if connection else None
    return Path(str(path)) if path else home / "drop" / EMERGENCY


def _count(records: DepartmentRecords) -> dict[str, int]:
    """Distinct records; the dropped files hold a few rows more (first versions, repeats)."""
    return {
        "profile": len(records.supervised),
        "penalty": len(records.penalties),
        "inspection": len(records.inspections),
        "incident": len(records.incidents),
        "complaint": len(records.complaints),
        "honour": len(records.honours),
    }
