"""The shared tables as a folder of files: read, checked, found by kind, id and day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from exchange_formats.documents import Document, read_document
from exchange_formats.errors import ConfigurationError, Problem
from scoring.checks import check_succession
from scoring.table_checks import check_table
from scoring.tables import Bands, Crosswalk, Decay, Measures, Publicity, Severity, Table, TableKind
from scoring.warning_tables import WarningTable
from scoring.working_days import HolidayTable

TABLES = Path(__file__).parent / "tables"
T = TypeVar("T", bound=Table)

_SCHEMAS: Mapping[TableKind, type[Table]] = {
    "bands": Bands,
    "decay": Decay,
    "publicity": Publicity,
    "severity": Severity,
    "warnings": WarningTable,
    "holidays": HolidayTable,
    "measures": Measures,
    "crosswalk": Crosswalk,
}


@dataclass(frozen=True)
class Tables:
    """Every version of every shared table by kind and id, oldest first, and what is wrong with their files."""

    versions: Mapping[tuple[TableKind, str], tuple[Table, ...]]
    problems: tuple[Problem, ...]

    def ids(self, kind: TableKind) -> tuple[str, ...]:
        """The ids a model may name for a table of ``kind``."""
        return tuple(sorted(name for found, name in self.versions if found == kind))

    def every(self, kind: TableKind, name: str, schema: type[T]) -> tuple[T, ...]:
        """Every version of a table, oldest first; empty where there is none."""
        return tuple(table for table in self.versions.get((kind, name), ()) if isinstance(table, schema))

    def in_force(self, kind: TableKind, name: str, schema: type[T], day: date) -> T:
        """The version of a table in force on ``day``.

        Raises:
            ConfigurationError: no such table, or no version of it on that day.
        """
        versions = self.every(kind, name, schema)
        if not versions:
            raise ConfigurationError(f"没有表 {kind}/{name} / there is no sound table {kind}/{name}", self.problems)
        for table in versions:
            if table.effective.holds(day):
                return table
        raise ConfigurationError(
            f"表 {kind}/{name} 在 {day} 没有生效的版本 / no version of table {kind}/{name} is in force on {day}",
            hint="in force: " + ", ".join(f"{table.version} from {table.effective.from_}" for table in versions),
        )


@cache
def load_tables(folder: Path = TABLES) -> Tables:
    """Every table of ``folder``; a broken file becomes problems, not an exception."""
    versions: dict[tuple[TableKind, str], tuple[Table, ...]] = {}
    problems: list[Problem] = []
    for kind, schema in _SCHEMAS.items():
        sound: list[tuple[Document[Any], Table]] = []
        for document, table in _read(folder, kind, schema):
            wrong = [*document.problems, *(check_table(document, table, _stem(document)) if table else ())]
            problems += wrong
            if table is not None and not wrong:
                sound.append((document, table))
        torn, gaps = check_succession(sound)
        problems += gaps
        for _, table in sorted(sound, key=lambda pair: pair[1].effective.from_):
            if table.id in torn:
                continue
            versions[kind, table.id] = (*versions.get((kind, table.id), ()), table)
    return Tables(versions, tuple(problems))


def _read(folder: Path, kind: TableKind, schema: type[Table]) -> Iterator[tuple[Document[Any], Table | None]]:
    for path in sorted((folder / kind).glob("*.yaml")):
        document = read_document(path, schema, shown_as=f"tables/{kind}/{path.name}")
        yield document, document.value


def _stem(document: Document[Any]) -> str:
    return Path(document.file).stem
