"""What the departments' edges hand over, without the edges: for tests and measurements of what comes after them.

A table is read as its participant writes it: names in lower case in the market's database and on the platform, the
market's two lists as one view, JSON with its spellings of nothing behind the API. Files are real files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from connectors.connection import Connection
from connectors.department import Department
from connectors.sources import RejectedInput, SourcePage, SourceReader
from connectors.sources.files import FileReader
from exchange_formats.manifests import Window
from gateway.simulators import file_drop, layouts
from gateway.simulators.departments import MARKET, PLATFORM
from gateway.simulators.history import draw_history
from gateway.simulators.practice import load_practices
from gateway.simulators.sharing_store import render_records
from gateway.simulators.tables import Cell, SourceTable
from gateway.simulators.universe import Universe

#: The market's two lists are one view: table → the kind that the view writes, and what it calls their causes.
LISTS: Mapping[str, str] = {"abnormal_operation": "经营异常名录", "serious_violation": "严重违法失信名单"}
_CAUSES = {"specause_cn": "cause", "serillrea_cn": "cause"}
_IDS = {"abnormal_operation": "A", "serious_violation": "S"}

Texts = Mapping[str, list[str | None]]


class TextReader:
    """One table as a source hands it over: a single page of texts."""

    def __init__(self, origin: str, texts: Texts, wanted: tuple[str, ...]) -> None:
        self._page = pa.RecordBatch.from_pydict({name: pa.array(texts[name], pa.string()) for name in wanted})
        self._origin = origin
        self.expected_rows: int | None = self._page.num_rows
        self.unknown_columns: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]:
        yield SourcePage(self._page, self._origin, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class ProvinceReaders:
    """Opens readers of everything that the province of ``universe`` holds (``gateway.collection.OpenReader``).

    ``folder`` takes the files of the departments that drop some.
    """

    def __init__(self, universe: Universe, folder: Path) -> None:
        practices = load_practices()
        records = draw_history(universe)
        self._texts: dict[str, dict[str, Texts]] = {
            PLATFORM: _read_shelves(PLATFORM, layouts.lay_out_platform(universe))
        }
        self._drops: dict[str, Path] = {}
        for name, one in practices.items():
            if one.channel == "files":
                self._drops[name] = folder / name
                file_drop.write_drop(folder / name, file_drop.lay_out_drop(one, records[name], universe))
            else:
                held = layouts.lay_out_department(one, records[name], universe)
                self._texts[name] = _read_database(held) if name == MARKET else _read_shelves(name, held)

    def __call__(
        self,
        department: Department,
        dataset_id: str,
        connection: Connection,
        window: Window,  # noqa: ARG002 - part of how sources are opened
        *,
        now: Callable[[], datetime],  # noqa: ARG002
    ) -> SourceReader:
        """A reader of one dataset, whole whatever the window."""
        mapping = department.datasets[dataset_id]
        if department.id in self._drops:
            extra = {"path": str(self._drops[department.id])}
            return FileReader(mapping, Connection(id=connection.id, kind="fs", extra=extra))
        return TextReader(dataset_id, self._texts[department.id][dataset_id], mapping.source_columns)


def _read_shelves(participant: str, held: Mapping[str, SourceTable]) -> dict[str, Texts]:
    found: dict[str, Texts] = {}
    for name, table in held.items():
        records = [json.loads(line) for line in render_records(participant, table)]
        found[name] = {column: [record[column] for record in records] for column in records[0]} if records else {}
    return found


def _read_database(held: Mapping[str, SourceTable]) -> dict[str, Texts]:
    """Tables by dataset, as text."""
    found: dict[str, dict[str, list[str | None]]] = {}
    for name, table in held.items():
        texts = {
            _CAUSES.get(column.lower(), column.lower()): [_render(row[place]) for row in table.rows]
            for place, column in enumerate(table.names())
        }
        if name in LISTS:
            texts["id"] = [f"{_IDS[name]}{text}" for text in texts["id"]]
            texts["list_type"] = [LISTS[name]] * len(table.rows)
        known = found.setdefault(table.dataset, {})
        for column, cells in texts.items():
            known[column] = known.get(column, []) + cells
    return dict(found)


def _render(cell: Cell) -> str | None:
    return None if cell is None else f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else str(cell)
