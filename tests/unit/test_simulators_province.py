"""The whole province lands: every dataset of every department adds up, and persons come as pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyarrow.compute as pc
import pytest

from connectors.department import load_departments
from connectors.lake import Lake
from exchange_formats.subjects import check_resident_numbers, subject_type
from gateway.collection import CollectionResult
from gateway.simulators.province import land_province
from gateway.simulators.universe import Universe, draw_universe
from tests.fakes import MemoryStore
from tests.pulls import KEY

pytestmark = pytest.mark.timeout(300)

#: Subjects known to one register each, by type (semantics §1): who the public-credit models score.
REGISTERS: Mapping[str, str] = {
    "enterprise": "market_regulation",
    "social_organization": "civil_affairs",
    "natural_person": "provincial_platform",
    "public_institution": "provincial_platform",
    "government_agency": "provincial_platform",
}


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw_universe(subjects=600, seed=2019, today=date(2026, 6, 30))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(MemoryStore(), tmp_path_factory.mktemp("lake") / "cache")


@pytest.fixture(scope="module")
def landed(lake: Lake, universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> list[CollectionResult]:
    return land_province(lake, universe, pseudonyms=KEY, folder=tmp_path_factory.mktemp("province"))


def test_every_dataset_of_every_department_lands_and_adds_up(landed: list[CollectionResult]) -> None:
    shipped = load_departments().by_id.values()
    assert {(one.department, one.dataset) for one in landed} == {
        (one.id, dataset) for one in shipped for dataset in one.datasets
    }
    assert [(one.department, one.dataset, one.error) for one in landed if one.result != "landed"] == []
    for one in landed:
        counts = one.counts
        assert counts is not None
        assert counts.read == counts.landed + counts.duplicates + counts.rejected, (one.department, one.dataset)
        assert counts.landed > 0, (one.department, one.dataset)


def test_each_register_holds_its_types_of_subject(lake: Lake, landed: list[CollectionResult]) -> None:
    for kind, department in REGISTERS.items():
        references = lake.records(department, "profile").to_table(columns=["subject_ref"]).column("subject_ref")
        assert sum(subject_type(one) == kind for one in references.to_pylist()) > 10, kind


def test_no_resident_number_is_in_the_lake(lake: Lake, landed: list[CollectionResult]) -> None:
    persons = 0
    for one in landed:
        table = lake.records(one.department, one.dataset).to_table(columns=["subject_ref"])
        references = table.column("subject_ref").combine_chunks()
        assert not check_resident_numbers(references).any(), (one.department, one.dataset)
        persons += pc.sum(pc.starts_with(references, "np_")).as_py() or 0
    assert persons > 100


def test_newcomers_have_neither_a_record_nor_a_public_score(
    lake: Lake, landed: list[CollectionResult], universe: Universe
) -> None:
    """They are the subjects that are not graded (N): nothing is known of them but that they are there."""
    new = {one.code for one in (*universe.subjects, *universe.organisations) if one.is_new(universe.today)}
    assert len(new) > 5
    for one in landed:
        if one.dataset != "profile":
            table = lake.records(one.department, one.dataset).to_table(columns=["subject_ref"])
            assert new.isdisjoint(table.column("subject_ref").to_pylist()), (one.department, one.dataset)
