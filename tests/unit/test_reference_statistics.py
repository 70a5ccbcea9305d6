"""Reference statistics: once a cycle, an input of its runs, named in manifest and run id (semantics §3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.keys import statistics_prefix
from exchange_formats.manifests import StatisticsManifest
from exchange_formats.periods import cycle_start
from gateway.artefacts import open_artefact
from gateway.cuts import Cut, open_inputs
from gateway.evaluation import RunReference, evaluate_domain
from gateway.reference_statistics import recompute_statistics
from gateway.runs import newest_run, read_model
from scoring.library import Models
from scoring.measurement import Statistic
from scoring.model import ComplianceDimension, Indicator, Model
from scoring.resolution import resolve
from tests.fakes import MemoryStore
from tests.lake_samples import UNTIL, land, note
from tests.scoring_cases import MARKET, MODELS, complaint, join_inputs, reference

DOMAIN = MARKET.id
COMPLAINT = "market_regulation/complaint"
JUNE = date(2026, 6, 10)
SUBJECTS: list[dict[str, Any]] = [
    {"complaint": [complaint(f"2026-05-{10 + place}", record_id=f"{place}") for place in range(number)]}
    for number in (1, 1, 1, 5)
]


def compare_with_median(model: Model) -> Model:
    """The model, with an indicator for who has more complaints than half of the others that have any."""
    said = {"title": "投诉数中位数", "title_en": "median of complaints", "status": "assumption"}
    rule = {"counts": {"dataset": "complaint"}, "measure": {"kind": "count"}, "within": "P365D"}
    statistic = Statistic.model_validate(said | rule | {"group_by": "all", "percentile": 50, "minimum_group": 2})
    name, dimension = next((n, d) for n, d in model.dimensions.items() if isinstance(d, ComplianceDimension))
    above = Indicator.model_validate(
        said | {"basis": ["本模型设定 (H05)"], "above": "complaints", "deduct": {"per": 40}}
    )
    changed = dimension.model_copy(update={"indicators": {**dimension.indicators, "often_complained_of": above}})
    dimensions = {**model.dimensions, name: changed}
    return model.model_copy(
        update={"statistics": {**model.statistics, "complaints": statistic}, "dimensions": dimensions}
    )


CHANGED = compare_with_median(MARKET)
CHANGED_MODELS: Models = replace(
    MODELS, by_id={**MODELS.by_id, DOMAIN: CHANGED}, versions={**MODELS.versions, DOMAIN: (CHANGED,)}
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    for source, table in join_inputs(CHANGED, SUBJECTS).items():
        land(lake, source, table)
    return lake


def evaluate(lake: Lake, day: date, **options: Any) -> RunReference:
    return evaluate_domain(DOMAIN, as_of=day, lake=lake, models=CHANGED_MODELS, **options)


def land_more(lake: Lake) -> None:
    """The three others have as many complaints now."""
    more = [{"complaint": [complaint("2026-05-20", record_id=f"more-{n}") for n in range(9)]} for _ in range(3)]
    land(lake, COMPLAINT, join_inputs(CHANGED, more)[COMPLAINT])


def find_above(lake: Lake) -> set[str]:
    rows = open_artefact(lake, newest_run(lake, DOMAIN), "evidence").to_table().to_pylist()
    return {row["subject_ref"] for row in rows if row["indicator"] == "often_complained_of" and not row["excluded"]}


def stored(lake: Lake) -> list[StatisticsManifest]:
    return [one for one in lake.chain(statistics_prefix(DOMAIN)) if isinstance(one, StatisticsManifest)]


@pytest.mark.semantics("1.2", "3.28")
def test_statistics_are_of_the_day_before_the_cycle_when_its_first_run_makes_them(lake: Lake) -> None:
    evaluate(lake, JUNE)
    (made,) = stored(lake)
    assert (made.cycle, made.as_of, made.sequence, made.parents) == (date(2026, 6, 1), date(2026, 5, 31), 1, ())
    assert newest_run(lake, DOMAIN).statistics == made.sha256
    assert made.cut.keys() == {*CHANGED.subjects_sources, COMPLAINT}
    (artefact,) = made.artefacts
    rows = open_inputs(lake, Cut.of(newest_run(lake, DOMAIN)))["scored/reference_statistics"].to_table().to_pylist()
    assert (artefact.name, artefact.rows) == ("statistics", len(rows))
    assert {"statistic": "complaints", "group": "", "subjects": 4, "value": Decimal(1)} in rows
    assert find_above(lake) == {reference(3)}


@pytest.mark.semantics("3.28")
def test_statistics_are_the_same_all_through_the_cycle_when_more_lands(lake: Lake) -> None:
    evaluate(lake, JUNE)
    land_more(lake)
    evaluate(lake, date(2026, 6, 30))
    (made,) = stored(lake)
    assert newest_run(lake, DOMAIN).statistics == made.sha256
    assert find_above(lake) == {reference(number) for number in range(4)}, "compared with what was true in May"
    evaluate(lake, date(2026, 7, 1))
    assert [one.cycle for one in stored(lake)] == [date(2026, 6, 1), date(2026, 7, 1)]
    assert stored(lake)[1].parents == (made.sha256,)
    assert newest_run(lake, DOMAIN).statistics == stored(lake)[1].sha256
    assert find_above(lake) == set(), "ten is the median now, and nobody has more"


@pytest.mark.semantics("3.28", "6.14")
def test_run_has_another_name_when_its_statistics_are_others(lake: Lake, tmp_path: Path) -> None:
    first = evaluate(lake, JUNE)
    other = Lake(MemoryStore(), tmp_path / "other")
    more = [{"complaint": [*subject["complaint"], complaint("2026-04-01", record_id="april")]} for subject in SUBJECTS]
    for source, table in join_inputs(CHANGED, more).items():
        land(other, source, table)
    evaluate(other, JUNE)
    assert stored(other)[0].artefacts[0].rows_sha256 != stored(lake)[0].artefacts[0].rows_sha256
    assert not evaluate(lake, JUNE).new
    assert newest_run(other, DOMAIN).run_id != first.run_id


@pytest.mark.semantics("3.28")
def test_statistics_are_recomputed_to_the_same_rows_when_they_are_proved(lake: Lake) -> None:
    evaluate(lake, JUNE)
    land_more(lake)
    run = newest_run(lake, DOMAIN)
    (made,) = stored(lake)
    inputs = open_inputs(lake, Cut.of(run))
    table = recompute_statistics(lake, read_model(lake, run), made)
    assert table.equals(inputs["scored/reference_statistics"].to_table())
    with pytest.raises(ValueError, match="other statistics"):
        recompute_statistics(lake, resolve(MARKET, JUNE, MODELS.tables), made)


def test_indicator_is_not_collected_and_nothing_is_made_when_the_dataset_is_missing(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    for source, table in join_inputs(CHANGED, SUBJECTS).items():
        if source != COMPLAINT:
            land(lake, source, table)
    models = replace(
        CHANGED_MODELS, versions={**CHANGED_MODELS.versions, DOMAIN: (CHANGED.model_copy(update={"required": {}}),)}
    )
    run = evaluate_domain(DOMAIN, as_of=JUNE, lake=lake, models=models)
    assert "often_complained_of" in run.not_collected
    assert stored(lake) == []


def test_question_makes_statistics_that_no_other_run_uses(tmp_path: Path) -> None:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    for source, table in join_inputs(CHANGED, SUBJECTS).items():
        note(lake, source, UNTIL, land(lake, source, table))
    land_more(lake)
    asked = evaluate(lake, JUNE, known_at=UNTIL)
    assert asked.what_if
    assert not evaluate(lake, JUNE, known_at=UNTIL).new
    evaluate(lake, JUNE)
    assert [one.what_if for one in stored(lake)] == [True, False]
    assert newest_run(lake, DOMAIN).statistics == stored(lake)[1].sha256


@pytest.mark.parametrize(
    ("cycle", "first"),
    [
        ("daily", date(2026, 8, 15)),
        ("monthly", date(2026, 8, 1)),
        ("quarterly", date(2026, 7, 1)),
        ("yearly", date(2026, 1, 1)),
    ],
)
def test_cycle_begins_on_its_first_day(cycle: Any, first: date) -> None:
    assert cycle_start(date(2026, 8, 15), cycle) == first
    assert cycle_start(first, cycle) == first
    assert cycle_start(first - timedelta(days=1), cycle) < first
