"""What the simulated departments hold keeps the catalogue's contracts, through the mappings that are shipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from connectors.department import load_departments
from connectors.mapping import MappedPage, Mapper
from exchange_formats.datasets import load_catalogue
from exchange_formats.manifests import Window
from gateway.simulators.departments import ECOLOGY, EMERGENCY, MARKET
from gateway.simulators.history import draw_history, draw_public_credit
from gateway.simulators.market_database import lay_out_market
from gateway.simulators.profiles import lay_out_ecology_profile, lay_out_emergency_profile
from gateway.simulators.tables import Cell, Column, SourceTable, lay_out_public_credit, lay_out_shared, to_yuan
from gateway.simulators.universe import draw_universe
from tests.pulls import KEY

TODAY = date(2026, 6, 30)
UNTIL = datetime(2026, 7, 1, 10, tzinfo=UTC)
SUBJECTS = 5_000  # every offence occurs

PLATFORM = "provincial_platform"
#: The market's two lists are one view: table → the kind that the view writes, and what it calls a table's columns.
LISTS: Mapping[str, str] = {"abnormal_operation": "经营异常名录", "serious_violation": "严重违法失信名单"}
VIEW = {"specause_cn": "cause", "serillrea_cn": "cause"}


def render(cell: Cell) -> str | None:
    return f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else None if cell is None else str(cell)


def name_of(department: str, table: SourceTable, column: Column) -> str:
    """A column as the department's edge calls it."""
    if department == MARKET:
        return VIEW.get(column.name.lower(), column.name.lower())
    if department == EMERGENCY and column.is_money:
        return f"{column.header}（{'万元' if table.dataset == 'incident' else '元'}）"
    if department == EMERGENCY:
        return column.header
    if department == PLATFORM and column.name not in {"ID", "CD_TIME"}:
        return column.name.lower()
    return "updateTime" if column.name == "CD_TIME" else column.name


def read(department: str, name: str, table: SourceTable) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        if department == EMERGENCY and column.is_money and table.dataset != "incident":
            cells = [to_yuan(cell) if isinstance(cell, Decimal) else cell for cell in cells]
        columns[name_of(department, table, column)] = pa.array([render(cell) for cell in cells], pa.string())
    if name in LISTS:
        columns["list_type"] = pa.array([LISTS[name]] * len(table.rows), pa.string())
    return pa.RecordBatch.from_pydict(columns)


def lay_out() -> Iterator[tuple[str, str, SourceTable]]:
    """Department, table and rows of everything that the simulated province holds."""
    universe = draw_universe(subjects=SUBJECTS, seed=2019, today=TODAY)
    history = draw_history(universe)
    yield from ((MARKET, name, table) for name, table in lay_out_market(history[MARKET], universe).items())
    yield ECOLOGY, "profile", lay_out_ecology_profile(history[ECOLOGY].supervised, universe)
    yield EMERGENCY, "profile", lay_out_emergency_profile(history[EMERGENCY].supervised, universe)
    for department in (ECOLOGY, EMERGENCY):
        yield from ((department, table.dataset, table) for table in lay_out_shared(history[department]))
    yield PLATFORM, "public_credit", lay_out_public_credit(draw_public_credit(universe))


TABLES = {f"{department}/{name}": (department, name, table) for department, name, table in lay_out()}


def map_rows(key: str) -> tuple[int, MappedPage]:
    """How many rows a table has, and what its department's mapping makes of them."""
    department, name, table = TABLES[key]
    one = load_departments()[department]
    dataset = load_catalogue()[table.dataset]
    mapper = Mapper(one.id, dataset, one.datasets[dataset.id], Window(until=UNTIL), KEY)
    return len(table.rows), mapper.map(read(department, name, table), origin=name, first_row=1, position=1)


@pytest.mark.parametrize("key", sorted(TABLES))
def test_no_row_is_rejected_when_the_simulated_province_reports(key: str) -> None:
    rows, page = map_rows(key)
    assert [(row["reason"], row["column"]) for row in page.rejects.to_pylist()] == []
    assert page.records.num_rows == rows > 0


def test_every_mapped_dataset_is_there_when_laid_out() -> None:
    held = {(department, table.dataset) for department, _, table in TABLES.values()}
    shipped = load_departments().by_id
    assert held == {
        (name, dataset) for name in (MARKET, ECOLOGY, EMERGENCY, PLATFORM) for dataset in shipped[name].datasets
    }
    assert {f"{MARKET}/{one}" for one in LISTS} <= set(TABLES)


def test_conditional_values_are_there_when_their_kind_asks_for_them() -> None:
    """No test of nothing: the simulated penalties are of every kind that the conditions speak of."""
    records = [row for one in (MARKET, ECOLOGY, EMERGENCY) for row in map_rows(f"{one}/penalty")[1].records.to_pylist()]
    asked = {
        "fine": "fine_yuan",
        "confiscation": "confiscated_yuan",
        "licence_suspension": "licence_affected",
        "licence_revocation": "licence_affected",
    }
    for kind, column in asked.items():
        values = [record[column] for record in records if record["kind"] == kind]
        assert values, kind
        assert None not in values
