"""What the simulated departments hold keeps the catalogue's contracts, through the mappings that are shipped."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from connectors.connection import Connection
from connectors.department import load_departments
from connectors.mapping import MappedPage, Mapper
from connectors.sources import SourcePage
from exchange_formats.datasets import load_catalogue
from exchange_formats.manifests import Window
from gateway.simulators.departments import ECOLOGY, EMERGENCY, MARKET
from gateway.simulators.readings import ProvinceReaders
from gateway.simulators.universe import draw_universe
from tests.pulls import KEY

TODAY = date(2026, 6, 30)
UNTIL = datetime(2026, 7, 1, 10, tzinfo=UTC)
SUBJECTS = 5_000
UNIVERSE = draw_universe(subjects=SUBJECTS, seed=2019, today=TODAY)  # every offence occurs


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> ProvinceReaders:
    return ProvinceReaders(UNIVERSE, tmp_path_factory.mktemp("drop"))


def map_rows(readers: ProvinceReaders, department: str, dataset_id: str) -> list[MappedPage]:
    """What a department's mapping makes of everything that it holds of one dataset."""
    one = load_departments()[department]
    mapping, window = one.datasets[dataset_id], Window(until=UNTIL)
    mapper = Mapper(one.id, load_catalogue()[dataset_id], mapping, window, KEY)
    nowhere = Connection(id=one.source.connection, kind="simulated")
    with readers(one, dataset_id, nowhere, window, now=lambda: UNTIL) as reader:
        pages = [page for page in reader if isinstance(page, SourcePage)]
    return [mapper.map(page.batch, origin=page.origin, first_row=page.first_row, position=1) for page in pages]


@pytest.mark.parametrize("department", sorted(load_departments().by_id))
def test_no_row_is_rejected_when_the_simulated_province_reports(readers: ProvinceReaders, department: str) -> None:
    """Of a department that drops files, one row in a hundred is dirty on purpose."""
    one = load_departments()[department]
    for name in one.datasets:
        pages = map_rows(readers, department, name)
        good = sum(page.records.num_rows for page in pages)
        found = [(row["reason"], row["column"]) for page in pages for row in page.rejects.to_pylist()]
        assert good > 0, name
        if one.source.kind == "files":
            assert len(found) <= max(1, (good + len(found)) // 60), (name, found)
        else:
            assert found == [], name


def test_conditional_values_are_there_when_their_kind_asks_for_them(readers: ProvinceReaders) -> None:
    """No test of nothing: the simulated penalties are of every kind that the conditions speak of."""
    pages = [page for one in (MARKET, ECOLOGY, EMERGENCY) for page in map_rows(readers, one, "penalty")]
    records = [row for page in pages for row in page.records.to_pylist()]
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
