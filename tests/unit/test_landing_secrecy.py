"""Persons in a department's penalties, in every way of getting it wrong: nothing that is landed names one (§5).

The whole province is scanned in ``tests/e2e``; here the same persons go through the departments' own mappings.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.department import DatasetMapping, Files, load_departments
from connectors.lake import Lake
from connectors.landing import Landed, Target, land
from connectors.sources.files import open_file
from exchange_formats.datasets import load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.subjects import PseudonymKey
from gateway.simulators.tables import PENALTY
from tests.fakes import MemoryStore
from tests.identity_scan import Scanner
from tests.planted_persons import GOOD, Plants

#: How each department spells the fields of a penalty.
SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "ecology_environment": {column.name: column.name for column in PENALTY},
    "market_regulation": {column.name: column.name.lower() for column in PENALTY},
    "emergency_management": {
        column.name: f"{column.header}（元）" if column.is_money else column.header for column in PENALTY
    },
}
#: What every decision says, whoever is penalised; dates and times are written alike.
DECISION = {
    "CF_CFLB": "罚款",
    "CF_NR_FK": "1",
    "CF_JDRQ": "2026-05-01",
    "CF_CFJGDM": "11330000000000000C",
    "CF_WFXW": "无证上岗",
    "CF_YJ": "《安全生产法》第九十七条",
    "CD_TIME": "2026-06-01 08:00:00",
}


def write_penalties(path: Path, mapping: DatasetMapping, spelled: Mapping[str, str], plants: Plants) -> None:
    """The planted persons as a CSV with the department's columns."""
    header = list(dict.fromkeys([*mapping.source_columns, *mapping.ignore]))
    watermark = mapping.watermark.field if mapping.watermark else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="", extrasaction="ignore")
        writer.writeheader()
        for cells in plants.draw("330106", "试"):
            row = {spelled[field]: text for field, text in (DECISION | dict(cells)).items()}
            writer.writerow(row | {watermark: DECISION["CD_TIME"]})


@pytest.fixture(params=SPELLINGS)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Plants, MemoryStore, Landed]:
    department = str(request.param)
    mapping = load_departments()[department].datasets["penalty"]
    plants, path, store = Plants(), tmp_path / "a.csv", MemoryStore()
    write_penalties(path, mapping, SPELLINGS[department], plants)
    changes = {"files": Files(pattern="*", format="csv"), "table": None, "request": None}
    mapping = mapping.model_copy(update={**changes, "max_reject_ratio": Decimal(1)})
    window = Window(until=datetime(2026, 11, 24, tzinfo=UTC))
    target = Target(department, load_catalogue()["penalty"], mapping, window)
    with open_file(mapping, path) as reader:
        lake = Lake(store, tmp_path / "cache")
        landed = land(reader, target, lake=lake, pseudonyms=PseudonymKey("k", b"k" * 32), spool=tmp_path / "spool")
    return plants, store, landed


@pytest.mark.semantics("5.1", "5.2")
def test_no_person_is_named_when_a_departments_penalties_land(planted: tuple[Plants, MemoryStore, Landed]) -> None:
    plants, store, landed = planted
    assert landed.counts.balance()
    assert landed.counts.landed >= GOOD, landed.rejected_by_reason
    assert landed.counts.rejected >= 4, "some of them are wrong, and that is told without a name, too"
    scanner = Scanner(plants.planted)
    for key, content in store.objects.items():
        scanner.scan("object", key, content)
    assert scanner.seen["object"] >= 3, "a part, the rejects, the manifest"
    assert scanner.found == []
    assert landed.normalised_by_rule["pseudonymised"] >= GOOD
