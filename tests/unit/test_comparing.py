"""Comparing two versions of a model: every difference is the model's, and every figure adds up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import statistics_prefix
from exchange_formats.manifests import StatisticsManifest
from gateway.comparing import ModelComparison, compare_models, find_model
from gateway.comparison_page import write_page
from gateway.evaluation import evaluate_domain
from scoring.comparison import Group
from scoring.model import Model
from scoring.resolution import ResolvedModel
from scoring.statistics import compute_statistics
from tests.fakes import MemoryStore
from tests.lake_samples import land
from tests.scoring_cases import AS_OF, ENVIRONMENT, MARKET, MODELS, join_inputs, penalty, reference

#: 820 and one fine of 80 points: 798 C; with three times the points 702 D; two of them 606 E.
SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 820},
    {"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")]},
    {"public_credit": 820, "penalty": [penalty("1202", "2026-05-01")]},
    {"public_credit": 900, "penalty": [penalty("1201", "2026-05-01", repaired_on=date(2026, 6, 1))]},
    {"penalty": []},
]


def change(**points: str) -> Model:
    """The environment model with other points, as version 2026.2."""
    plain = ENVIRONMENT.model_dump(mode="json", by_alias=True)
    plain["version"] = "2026.2"
    plain["examples"] = []
    for name, value in points.items():
        plain["dimensions"]["compliance"]["indicators"][name]["deduct"] = {"per": value}
    return Model.model_validate(plain)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(MemoryStore(), tmp_path / "cache")
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        land(lake, source, table)
    return lake


def compare(lake: Lake, tmp_path: Path, new: Model) -> ModelComparison:
    return compare_models(ENVIRONMENT, new, as_of=AS_OF, lake=lake, models=MODELS, spool=tmp_path)


def test_nothing_moves_when_a_model_is_compared_with_itself(lake: Lake, tmp_path: Path) -> None:
    found = compare(lake, tmp_path, ENVIRONMENT).found
    assert (found.subjects, found.only_old, found.only_new, found.moved, found.movers) == (5, 0, 0, 0, ())
    assert [(bar.low, bar.high, bar.subjects) for bar in found.bars] == [(0, 10, 4)]
    assert all(group.up == group.down == 0 for group in found.groups)


def test_matrix_histogram_and_movers_say_it_when_one_indicator_weighs_more(lake: Lake, tmp_path: Path) -> None:
    found = compare(lake, tmp_path, change(IND1201="240")).found
    assert {(move.old, move.new): move.subjects for move in found.moves} == {
        ("A", "A"): 1, ("B", "B"): 1, ("C", "D"): 1, ("D", "D"): 1, ("N", "N"): 1,
    }  # fmt: skip
    assert (found.moved, found.far_moved) == (1, 0)
    # -96.00 is in the bar from -100 to -90; the subject without a score is in none.
    assert [(bar.low, bar.subjects) for bar in found.bars if bar.subjects] == [(-100, 1), (0, 3)]
    assert sum(bar.subjects for bar in found.bars) == 4
    mover = found.movers[0]
    assert (mover.subject_ref, mover.old_grade, mover.new_grade) == (reference(1), "C", "D")
    assert (mover.old_score, mover.new_score) == (Decimal("798.00"), Decimal("702.00"))
    assert [(one.name, one.old, one.new) for one in mover.contributions] == [("IND1201", Decimal(-48), Decimal(-144))]


def test_two_grades_are_counted_as_far_when_a_subject_falls_by_two(lake: Lake, tmp_path: Path) -> None:
    found = compare(lake, tmp_path, change(IND1201="250")).found
    assert (found.moved, found.far_moved) == (1, 1)
    assert [move.steps for move in found.moves if move.old != move.new] == [2]


def test_groups_add_up_when_fairness_is_looked_at(lake: Lake, tmp_path: Path) -> None:
    found = compare(lake, tmp_path, change(IND1201="240")).found
    for attribute in ("city", "size", "age", "type"):
        groups = found.of(attribute)
        assert sum(group.subjects for group in groups) == found.subjects
        assert sum(group.down for group in groups) == 1


def test_group_is_singled_out_when_it_falls_more_often_than_all() -> None:
    from scoring.comparison import Comparison, Move

    def group(value: str, subjects: int, down: int) -> Group:
        return Group("city", value, subjects, 0, 0, 0, 0, 0, down, None)

    groups = (group("杭州", 80, 8), group("丽水", 20, 5), group("舟山", 20, 3))
    found = Comparison(120, 0, 0, (Move("B", "C", 16), Move("B", "B", 104)), (), (), groups)
    # All: 16 of 120, 13.3 %; 1.25 times that is 16.7 %: 丽水 has 25 %, 舟山 15 %.
    assert [one.value for one in found.singled_out("city")] == ["丽水"]


def test_models_of_two_domains_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="different domains"):
        compare(lake, tmp_path, MARKET)


def test_version_is_found_by_name_or_file_and_named_when_missing(tmp_path: Path) -> None:
    assert find_model("enterprise_environment@2026.1", MODELS) == ENVIRONMENT
    with pytest.raises(ConfigurationError, match=r"no model enterprise_environment@2019\.1"):
        find_model("enterprise_environment@2019.1", MODELS)
    broken = tmp_path / "enterprise_environment@2026.2.yaml"
    broken.write_text("id: enterprise_environment\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="problems"):
        find_model(str(broken), MODELS)


def test_page_is_self_contained_when_it_is_written(lake: Lake, tmp_path: Path) -> None:
    page = write_page(compare(lake, tmp_path, change(IND1201="240")))
    for part in ("迁移矩阵", "得分变化", "变动最大的主体", "公平性", 'id="matrix"', 'id="groups-city"', reference(1)):
        assert part in page
    body = page[page.index("<body>") :]
    for fetched in ('src="http', "src='http", 'href="http', "@import"):
        assert fetched not in body
        assert fetched not in page[: page.index("<script>")]


def test_statistics_look_at_the_day_a_runs_look_at(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a version compared with itself could stand otherwise than its run does."""
    days: list[date] = []

    def note(resolved: ResolvedModel, inputs: Any, day: date) -> pa.Table:
        days.append(day)
        return compute_statistics(resolved, inputs, day)

    monkeypatch.setattr("gateway.comparing.compute_statistics", note)
    compare(lake, tmp_path, ENVIRONMENT)
    run = evaluate_domain(ENVIRONMENT.id, as_of=AS_OF, lake=lake, models=MODELS)
    made = [one for one in lake.chain(statistics_prefix(run.domain)) if isinstance(one, StatisticsManifest)]
    assert days == [made[0].as_of] * 2
    assert days[0] < AS_OF
