"""Seed every department's system from one universe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gateway.simulators import file_drop, history, layouts, sharing_store
from gateway.simulators.connections import read_connection, read_owner, require_connection
from gateway.simulators.departments import MARKET, PLATFORM
from gateway.simulators.market_database import lay_out_market, seed_market_database
from gateway.simulators.practice import load_practices
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.universe import Universe, draw_universe, read_register


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What was put where: ``participant/dataset or table`` → rows; files in the drops; subjects drawn."""

    subjects: int
    rows: Mapping[str, int]
    drop_files: int


def open_universe(*, register: Path | None, subjects: int, seed: int, today: date) -> Universe:
    """The register's universe when one is given, else a drawn one."""
    if register is not None:
        return read_register(register, seed=seed, today=today)
    return draw_universe(subjects=subjects, seed=seed, today=today)


def seed_departments(home: Path, universe: Universe, environment: Mapping[str, str]) -> SeedReport:
    """Fill the database, the sharing store and the drop folders; doing it again gives the same content.

    Raises:
        ConfigurationError: a connection is missing or malformed.
        TransientError, FatalError: the database cannot be reached or refuses.
        OSError: a folder cannot be written.
    """
    connection = require_connection(f"dept_{MARKET}", environment)
    owner = read_owner(environment)
    records = history.draw_history(universe)
    rows, files = seed_drops(home, universe, records, environment)
    rows |= seed_sharing(home, universe, records)
    loaded = seed_market_database(lay_out_market(records[MARKET], universe), connection, owner)
    rows |= {f"{MARKET}/{table}": count for table, count in loaded.items()}
    return SeedReport(len(universe.subjects), rows, files)


def seed_drops(
    home: Path, universe: Universe, records: Mapping[str, DepartmentRecords], environment: Mapping[str, str]
) -> tuple[dict[str, int], int]:
    """Put the files of every department that drops some; answers distinct records by dataset, and how many files.

    The files hold a few rows more: first versions, and rows that are sent again.
    """
    rows: dict[str, int] = {}
    written = 0
    for department in load_practices().values():
        if department.channel != "files":
            continue
        files = file_drop.lay_out_drop(department, records[department.id], universe)
        written += file_drop.write_drop(find_drop_folder(department.id, home, environment), files)
        held = layouts.lay_out_department(department, records[department.id], universe)
        rows |= {f"{department.id}/{name}": len(table.rows) for name, table in held.items()}
    return rows, written


def seed_sharing(home: Path, universe: Universe, records: Mapping[str, DepartmentRecords]) -> dict[str, int]:
    """Write what the sharing platform serves; answers ``participant/dataset`` → rows."""
    held = {PLATFORM: layouts.lay_out_platform(universe)}
    for department in load_practices().values():
        if department.channel == "sharing":
            held[department.id] = layouts.lay_out_department(department, records[department.id], universe)
    return {
        f"{participant}/{name}": sharing_store.write_shelf(home, participant, table)
        for participant, shelves in held.items()
        for name, table in shelves.items()
    }


def find_drop_folder(department: str, home: Path, environment: Mapping[str, str]) -> Path:
    """The connection's ``extra.path``, else ``HOME/drop/<department>``."""
    connection = read_connection(f"dept_{department}", environment)
    path = connection.extra.get("path") if connection else None
    return Path(str(path)) if path else home / "drop" / department
