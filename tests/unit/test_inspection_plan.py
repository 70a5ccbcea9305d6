"""The double-random draw: reproducible, by ratio and cap, never skipping what is demanded."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.inspection_plan import (
    TEAM,
    Allowance,
    Candidate,
    InspectionList,
    Inspector,
    Pool,
    draw,
    plan_inspections,
)

RATIOS = {"A": Decimal(2), "B": Decimal(5), "E": Decimal(100)}


def _candidates(count: int, grade: str = "B", **more: object) -> list[Candidate]:
    return [Candidate(f"91330100MA{number:07d}X", f"企业{number}", "330100", grade, **more) for number in range(count)]  # type: ignore[arg-type]


def _pool(candidates: list[Candidate], at_most: int = 1) -> Pool:
    grade = candidates[0].grade
    return Pool(grade, Allowance(RATIOS[grade], at_most), len(candidates), candidates)


def _plan(*pools: Pool, seed: str = "20260701", task: str = "2026Q3-01", staff: int = 4) -> InspectionList:
    inspectors = [Inspector(f"ZJ{number}") for number in range(staff)]
    return plan_inspections(pools, inspectors, seed=seed, task=task)


def test_draw_is_sm3_when_seed_task_and_code_are_hashed() -> None:
    # GB/T 32905-2016 A.1, and the parts joined by the unit separator.
    assert hashlib.new("sm3", b"abc").hexdigest().startswith("66c7f0f462eeedd9d1f2d46bdc10e4e2")
    assert draw("20260701", "T1", "X") == "2b0ba1df504284a4db8fc19c65afa3aa71e4306bd21e09b5c4ccbe38e6e00396"
    assert draw("a", "bc") != draw("ab", "c")


def test_ceiling_of_the_ratio_is_drawn_when_nobody_is_capped() -> None:
    outcome = _plan(_pool(_candidates(101)), _pool(_candidates(7, "E")), _pool(_candidates(1, "A")))
    assert {grade: row.drawn for grade, row in outcome.grades.items()} == {"B": 6, "E": 7, "A": 1}
    assert all(one.because == ("drawn",) for one in outcome.chosen)


def test_list_is_the_same_when_seed_and_task_are_and_whatever_the_order() -> None:
    candidates = _candidates(200)
    first = _plan(_pool(candidates))
    assert first == _plan(_pool(candidates[::-1]))
    assert first != _plan(_pool(candidates), seed="20260702")
    assert first != _plan(_pool(candidates), task="2026Q3-02")


def test_capped_subject_is_not_drawn_when_its_inspections_are_used_up() -> None:
    free, used = _candidates(50), [Candidate(f"91330200MA{n:07d}X", None, "330200", "B", 1) for n in range(50)]
    outcome = _plan(_pool(free + used))
    row = outcome.grades["B"]
    assert (row.subjects, row.capped, row.wanted, row.drawn) == (100, 50, 5, 5)
    assert not {one.subject_ref for one in outcome.chosen} & {one.subject_ref for one in used}
    assert _plan(_pool(used)).grades["B"].drawn == 0


def test_demanded_check_is_planned_when_ratio_and_cap_would_skip_it() -> None:
    busy = Candidate("91330100MA9999999X", None, "330100", "A", 9, ("complaint", "incident"))
    outcome = _plan(_pool([*_candidates(40, "A"), busy]))
    found = {one.subject_ref: one for one in outcome.chosen}
    assert found[busy.subject_ref].because == ("complaint", "incident")
    assert outcome.grades["A"].demanded == 1
    assert outcome.grades["A"].drawn == 1


def test_two_inspectors_are_sent_when_some_must_stay_away() -> None:
    subject = _candidates(1, "E")[0]
    staff = [
        Inspector("here", frozenset({"330100"})),
        Inspector("elsewhere", frozenset({"330200"})),
        Inspector("related", avoids=frozenset({subject.subject_ref})),
        Inspector("anywhere"),
    ]
    outcome = plan_inspections([_pool([subject])], staff, seed="s1", task="t1")
    assert outcome.chosen[0].inspectors == ("anywhere", "here")
    short = plan_inspections([_pool([subject])], staff[:3], seed="s1", task="t1")
    assert short.understaffed == (subject.subject_ref,)


def test_load_is_spread_when_there_is_more_than_one_team() -> None:
    outcome = _plan(_pool(_candidates(60, "E")), staff=6)
    load: dict[str, int] = {}
    for one in outcome.chosen:
        assert len(set(one.inspectors)) == TEAM
        for number in one.inspectors:
            load[number] = load.get(number, 0) + 1
    assert set(load.values()) == {20}


def test_pairs_are_not_always_the_same_two_when_inspectors_are_drawn() -> None:
    outcome = _plan(_pool(_candidates(60, "E")), staff=6)
    assert len({one.inspectors for one in outcome.chosen}) > 6


@settings(max_examples=60)
@given(st.integers(1, 400), st.text("0123456789abcdef", min_size=1, max_size=16))
def test_every_subject_may_be_drawn_and_none_twice(count: int, seed: str) -> None:
    outcome = _plan(_pool(_candidates(count)), seed=seed)
    codes = [one.subject_ref for one in outcome.chosen]
    assert len(codes) == len(set(codes)) == -(-count * 5 // 100)


def test_chance_is_even_when_many_tasks_are_drawn() -> None:
    candidates = _candidates(100)
    times = dict.fromkeys((one.subject_ref for one in candidates), 0)
    for number in range(400):
        for one in _plan(_pool(candidates), task=f"T{number}", staff=0).chosen:
            times[one.subject_ref] += 1
    # 400 tasks × 5 of 100: 20 expected; the bounds are beyond five standard deviations (4.4).
    assert min(times.values()) >= 1
    assert max(times.values()) <= 43
