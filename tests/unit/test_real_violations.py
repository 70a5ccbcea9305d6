"""Real penalties of another country land through a mapping written only in YAML, and nothing of them is lost.

The oracle reads the file by itself: Python's csv, dates and decimals. CC BY 4.0, Ville de Montréal; the path of the
file comes from XINQIAO_VIOLATIONS.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.connection import Connection
from connectors.department import load_department
from connectors.lake import Lake
from connectors.landing import Landed, Target, land
from connectors.sources import open_source
from exchange_formats.datasets import load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.subjects import PseudonymKey
from gateway.validation import prepare, validate_file
from tests.fakes import MemoryStore

MAPPING = Path(__file__).parents[1] / "data" / "montreal_food.yaml"
UNTIL = datetime(2026, 11, 24, 4, tzinfo=UTC)
KEY = PseudonymKey("t", b"t" * 32)
RATE = Decimal("5.12")

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def violations() -> Path:
    path = os.environ.get("XINQIAO_VIOLATIONS")
    if not path:
        pytest.skip("XINQIAO_VIOLATIONS names no file: violations_montreal.csv.gz of Montréal's open data")
    return Path(path)


@pytest.fixture(scope="module")
def rows(violations: Path) -> Mapping[str, Row]:
    """The rows by the number of the prosecution, which is unique."""
    text = gzip.decompress(violations.read_bytes()).decode("utf-8")
    found = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert len({row["id_poursuite"] for row in found}) == len(found) == 7_988
    return {row["id_poursuite"]: row for row in found}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(MemoryStore(), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def landed(violations: Path, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Dropped into a folder and pulled, as any department's files are."""
    drop = tmp_path_factory.mktemp("drop")
    shutil.copy(violations, drop / "violations_montreal.csv.gz")
    return pull(drop, lake, tmp_path_factory.mktemp("spool"))


def pull(drop: Path, lake: Lake, spool: Path) -> Landed:
    department = load_department(MAPPING)
    connection = Connection("dept_montreal_food", "fs", extra={"path": str(drop)})
    target = Target(
        department.id, load_catalogue()["penalty"], department.datasets["penalty"], Window(since=None, until=UNTIL)
    )
    with open_source(department, "penalty", connection, target.window, now=lambda: UNTIL) as reader:
        return land(reader, target, lake=lake, pseudonyms=KEY, spool=spool)


def expect(row: Row) -> dict[str, Any]:
    """What the catalogue's columns must hold of one row of the city's file."""
    judged = row["date_jugement"]
    return {
        "document_no": row["id_poursuite"],
        "subject_ref": f"xr_montreal_food_{row['business_id']}",
        "subject_name": row["etablissement"],
        "authority": "Ville de Montréal",
        "kind": "fine",
        # A no-break space becomes a plain one, the line end behind the text goes: both rules are listed and counted.
        "violation": row["description"].replace("\N{NO-BREAK SPACE}", " ").strip(),
        "fine_yuan": (Decimal(row["montant"]) * RATE).quantize(Decimal("0.01"), ROUND_HALF_UP),
        "decided_on": date(int(judged[:4]), int(judged[4:6]), int(judged[6:])),
    }


def test_mapping_is_sound_when_the_file_is_not_at_hand() -> None:
    assert set(load_department(MAPPING).datasets) == {"penalty"}


def test_every_row_is_accounted_for_when_real_penalties_land(rows: Mapping[str, Row], landed: Landed) -> None:
    counts = landed.counts
    assert counts.balance()
    assert (counts.read, counts.landed, counts.duplicates, counts.rejected) == (len(rows), len(rows), 0, 0)
    assert landed.rejected_by_reason == {}


def test_every_cell_is_what_the_file_says_when_real_penalties_land(
    rows: Mapping[str, Row], lake: Lake, landed: Landed
) -> None:
    assert landed.committed
    records = lake.records("montreal_food", "penalty").to_table().to_pylist()
    assert len(records) == len(rows)
    for record in records:
        wanted = expect(rows[record["document_no"]])
        assert {name: record[name] for name in wanted} == wanted


def test_every_change_of_a_cell_is_counted_when_real_penalties_land(rows: Mapping[str, Row], landed: Landed) -> None:
    read = ("id_poursuite", "business_id", "etablissement", "description", "montant", "date_jugement")
    cells = [row[name] for row in rows.values() for name in read]
    assert landed.normalised_by_rule["currency_converted"] == len(rows)
    assert landed.normalised_by_rule["trimmed"] == sum(cell != cell.strip() for cell in cells) == 147
    assert landed.normalised_by_rule["space"] == sum("\N{NO-BREAK SPACE}" in cell for cell in cells) > 0
    assert set(landed.normalised_by_rule) == {"currency_converted", "trimmed", "space"}


def test_nothing_lands_twice_when_the_same_edition_comes_again(
    violations: Path, lake: Lake, landed: Landed, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    shutil.copy(violations, tmp_path / "drop" / "violations_montreal.csv.gz")
    again = pull(tmp_path / "drop", lake, tmp_path / "spool")
    assert again.manifest is None
    assert (again.counts.landed, again.counts.duplicates) == (0, landed.counts.landed)


def test_validating_says_what_landing_does_when_given_the_same_file(violations: Path, landed: Landed) -> None:
    submission = prepare(violations, "penalty", department=load_department(MAPPING))
    found = validate_file(submission, until=UNTIL, pseudonyms=KEY, shown=5)
    counts = landed.counts
    assert (found.read, found.rejected) == (counts.read, counts.rejected)
    assert found.good - found.repeats.identical == counts.landed
    assert dict(found.normalised_by_rule) == dict(landed.normalised_by_rule)
    assert dict(found.rejected_by_reason) == dict(landed.rejected_by_reason)
