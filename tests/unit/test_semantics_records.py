"""Sentences of the semantics (§1, §2) about which record counts, where no other test says them whole."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from exchange_formats.datasets import LINEAGE_FIELDS, load_catalogue
from exchange_formats.keys import manifest_digest
from exchange_formats.rejects import REJECTS
from scoring.engine import evaluate
from scoring.library import MODELS as FOLDER
from scoring.library import load_models
from scoring.model import Model
from scoring.resolution import resolve
from scoring.table_library import TABLES
from tests.fakes import MemoryStore
from tests.pulls import CODES, RESIDENT, Landings, later, penalty_mapping
from tests.pulls import penalty as pulled
from tests.scoring_cases import ENVIRONMENT, MODELS, Outcome, join_inputs, on, penalty, read_outcomes

JUNE, JULY = date(2026, 6, 30), date(2026, 7, 1)


@pytest.mark.semantics("1.13")
def test_event_date_is_the_one_the_catalogue_names_when_a_record_is_dated() -> None:
    catalogue = load_catalogue()
    assert {
        name: catalogue[name].event_on for name in ("penalty", "incident", "inspection", "complaint", "listing")
    } == {
        "penalty": "decided_on",
        "incident": "responsibility_on",
        "inspection": "inspected_on",
        "complaint": "substantiated_on",
        "listing": "listed_on",
    }


@pytest.mark.semantics("2.1")
def test_one_decision_is_two_records_when_it_names_two_parties(tmp_path: Path) -> None:
    landings = Landings(MemoryStore(), tmp_path, penalty_mapping())
    both = [pulled(1), pulled(1, CF_XDR_SHXYM=CODES[3])]
    assert landings.pull(both).counts.landed == 2
    assert sorted(row["subject_ref"] for row in landings.latest().values()) == sorted([CODES[0], CODES[3]])
    again = landings.pull([pulled(1, CF_NR_FK="9", updateTime="2026-06-02 08:00:00")], until=later(1))
    assert (again.counts.landed, len(landings.latest())) == (1, 2), "a version of the one, and none of the other"


@pytest.mark.semantics("5.5")
def test_reject_keeps_nothing_of_the_row_but_what_is_wrong_when_it_is_stored(tmp_path: Path) -> None:
    landings = Landings(MemoryStore(), tmp_path, penalty_mapping())
    person = {"CF_XDR_SHXYM": None, "CF_XDR_LB": "自然人", "CF_XDR_ZJHM": RESIDENT}
    landings.pull(
        [pulled(1, CF_XDR_MC="欧阳某某", CF_JDRQ="never"), pulled(2, CF_XDR_MC="欧阳某某", CF_JDRQ="x", **person)]
    )
    rejects = landings.rejects()
    assert [row["reason"] for row in rejects] == ["date.malformed", "date.malformed"]
    assert all("欧阳" not in str(row) and RESIDENT[:11] not in str(row) for row in rejects)
    assert set(rejects[0]) == {*REJECTS.names, *LINEAGE_FIELDS.names}


@pytest.mark.semantics("6.12")
@pytest.mark.parametrize(
    ("until", "day"),
    [
        (datetime(2026, 6, 30, 15, 59, tzinfo=UTC), "2026-06-30"),
        (datetime(2026, 6, 30, 16, 0, tzinfo=UTC), "2026-07-01"),
    ],
)
def test_batch_lies_under_the_day_its_window_ends_in_shanghai(tmp_path: Path, until: datetime, day: str) -> None:
    store = MemoryStore()
    Landings(store, tmp_path, penalty_mapping()).pull([pulled(1)], since=until - timedelta(days=400), until=until)
    (key,) = [key for key in store.objects if manifest_digest(key)]
    assert f"/date={day}/" in key


# the decree in force, and what five years are


@pytest.fixture
def two_decrees(tmp_path: Path) -> Path:
    """The tables, with a decree of 2026-07-01 by which general penalties are published for one month."""
    folder = tmp_path / "tables"
    shutil.copytree(TABLES, folder)
    path = folder / "publicity" / "default@2026.1.yaml"
    text = path.read_text(encoding="utf-8")
    head, _, decree = text.partition("  - id: ")
    old = f"  - id: {decree}".replace("{from: 2026-04-01}", "{from: 2026-04-01, to: 2026-06-30}")
    new = f"  - id: 新规\n{decree.partition(chr(10))[2]}".replace("2026-04-01", "2026-07-01").replace("P12M", "P1M")
    path.write_text(f"{head}{old}{new}", encoding="utf-8")
    return folder


@pytest.mark.semantics("2.16", "1.14")
def test_penalty_is_published_by_the_decree_of_the_day_it_is_asked_for(two_decrees: Path, tmp_path: Path) -> None:
    tables = load_models(FOLDER, two_decrees).tables
    assert tables.problems == ()
    found: dict[date, Outcome] = {}
    for day in (JUNE, JULY):
        folder = tmp_path / str(day)
        folder.mkdir()
        # Decided before either decree: the older one gives it a year, the newer one a month.
        inputs = join_inputs(ENVIRONMENT, [{"public_credit": 820, "penalty": [penalty("1201", "2026-03-15")]}], day)
        done = evaluate(resolve(ENVIRONMENT, day, tables), inputs, day, folder)
        (found[day],) = read_outcomes(done).values()
    assert (found[JUNE].excluded, found[JULY].excluded) == ([], ["publicity_ended"])
    assert [outcome.score for outcome in found.values()] == [798, 846]


@pytest.mark.semantics("2.26")
def test_model_of_every_department_s_records_is_refused_when_it_reads_what_is_not_in_the_catalogue(
    tmp_path: Path,
) -> None:
    name = "public_credit_enterprise@2026.1.yaml"
    text = (FOLDER / name).read_text(encoding="utf-8")
    spoilt = text.replace('{dataset: "*/penalty"}', '{dataset: "*/penalty", where: "violation_code = \'1201\'"}', 1)
    assert spoilt != text
    (tmp_path / name).write_text(spoilt, encoding="utf-8")
    (said,) = [str(problem) for problem in load_models(tmp_path).problems if "public-credit catalogue" in str(problem)]
    assert "column 'violation_code' does not stand in the public-credit catalogue" in said
    assert load_models(tmp_path).by_id.keys() == set()


@pytest.mark.semantics("3.26")
@pytest.mark.parametrize(
    "model", [one for one in MODELS.by_id.values() if one.dimensions.keys() & {"public_credit"}], ids=lambda one: one.id
)
def test_every_industry_gives_e_to_who_is_on_the_severe_list(model: Model, tmp_path: Path) -> None:
    listed = [{"list_kind": "severe_dishonesty", "listed_on": on("2019-01-01")}]
    ref = {"social_organization": "51330300MJ0000001X"}.get(model.subjects.type[0], "91330100000000000X")
    subject = {"public_credit": None, "ref": ref, "market_regulation__listing": listed}
    done = evaluate(resolve(model, JUNE, MODELS.tables), join_inputs(model, [subject]), JUNE, tmp_path)
    (found,) = read_outcomes(done).values()
    assert (found.grade.grade, found.grade.computed_grade) == ("E", "N")
