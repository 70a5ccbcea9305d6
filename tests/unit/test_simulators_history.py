"""What happens in the drawn province: rates, legal variety, and never a date in the future."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from exchange_formats.subjects import subject_type
from gateway.simulators.departments import ECOLOGY, EMERGENCY, MARKET
from gateway.simulators.draws import SHANGHAI, share_out
from gateway.simulators.history import PublicCredit, draw_history, draw_public_credit
from gateway.simulators.practice import load_practices
from gateway.simulators.records import DepartmentRecords, Penalty, Person
from gateway.simulators.sanctions import FINE_TIERS
from gateway.simulators.subjects import Subject
from gateway.simulators.supervision import third_parties
from gateway.simulators.universe import Universe, draw_universe

TODAY = date(2026, 6, 30)
History = Mapping[str, DepartmentRecords]
#: Departments of the whole province; the others have populations of their own.
PILOTS = (MARKET, ECOLOGY, EMERGENCY)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw_universe(subjects=5_000, seed=2019, today=TODAY)


@pytest.fixture(scope="module")
def history(universe: Universe) -> History:
    return draw_history(universe)


def days_of(record: object) -> Iterator[tuple[str, date]]:
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, datetime):
            yield field.name, value.astimezone(SHANGHAI).date()
        elif isinstance(value, date):
            yield field.name, value
        elif dataclasses.is_dataclass(value) and not isinstance(value, (Subject, type)):
            yield from days_of(value)


def count_codes(records: DepartmentRecords) -> Counter[str]:
    codes = Counter(p.code for p in records.penalties if p.code)
    codes.update(i.code for i in records.inspections if i.code)
    codes.update(x.code for x in records.listings)
    return codes


def test_penalties_and_inspections_have_the_measured_rates_when_drawn(history: History, universe: Universe) -> None:
    decisions = sum(len({p.number for p in history[one].penalties}) for one in PILOTS)
    inspections = sum(len(history[one].inspections) for one in PILOTS)
    years = len(universe.subjects) * 3
    assert decisions / years == pytest.approx(0.012, rel=0.15)
    assert inspections / years == pytest.approx(0.010, rel=0.05)


def test_each_violation_code_occurs_a_few_times_when_5000_subjects(history: History) -> None:
    for department, practice in load_practices().items():
        counted = count_codes(history[department])
        codes = [one.code for one in practice.offences] + [one.code for one in practice.findings]
        codes += [one.code for one in practice.listings]
        assert {code: counted[code] for code in codes if code and counted[code] < 3} == {}, department


def test_other_indicators_have_records_when_5000_subjects(history: History) -> None:
    market, ecology, emergency = history[MARKET], history[ECOLOGY], history[EMERGENCY]
    assert sum(r.filed_on is None or r.filed_on > r.due_on for r in market.annual_reports) > 100  # 2103
    assert sum(bool(i.is_responsible) for i in market.incidents) >= 3  # 2109
    assert Counter(c.subject.code for c in market.complaints if c.substantiated_on).most_common(1)[0][1] >= 3  # 2111
    assert sum(bool(i.is_responsible) for i in ecology.incidents) >= 3  # 1209
    assert sum(c.outcome in {"属实", "部分属实"} for c in ecology.complaints) >= 3  # 1210
    assert {h.kind for h in ecology.honours} == {"清洁生产审核通过", "绿色工厂"}  # 1212
    assert sum(i.level != "一般" and bool(i.is_responsible) for i in emergency.incidents) >= 3  # 2001
    assert sum(i.level == "一般" and bool(i.is_responsible) for i in emergency.incidents) >= 3  # 2002
    assert sum(i.is_concealed for i in emergency.incidents) >= 2  # 2003
    assert sum(c.outcome in {"属实", "部分属实"} for c in emergency.complaints) >= 3  # 2011
    assert {h.level for h in emergency.honours} == {"一级", "二级", "三级"}  # 2012


@pytest.mark.parametrize("subjects", [60, 5_000])
def test_no_date_is_in_the_future_when_drawn(subjects: int) -> None:
    promised = {"publish_until", "valid_until", "rectify_by", "due_on"}
    for records in draw_history(draw_universe(subjects=subjects, seed=3, today=TODAY)).values():
        lists = (getattr(records, field.name) for field in dataclasses.fields(records) if field.name != "supervised")
        for record in (record for entries in lists for record in entries):
            late = {name: day for name, day in days_of(record) if day >= TODAY and name not in promised}
            assert late == {}, record


def test_penalties_have_every_course_when_5000_subjects(history: History) -> None:
    for department, records in history.items():
        penalties = records.penalties
        by_number: defaultdict[str, list[Penalty]] = defaultdict(list)
        for penalty in penalties:
            by_number[penalty.number].append(penalty)
        open_reviews = [p for p in penalties if p.review_opened_on and not p.review_closed_on]
        assert open_reviews, department
        assert all(p.final_on is None for p in open_reviews)
        assert any(p.review_closed_on and p.final_on == p.review_closed_on for p in penalties), department
        assert any(p.simple_procedure for p in penalties), department
        assert any(p.standing.repaired_on for p in penalties), department
        assert any(p.standing.objection_from and not p.standing.objection_to for p in penalties), department
        assert any(p.standing.objection_to for p in penalties), department
        assert any(p.standing.revoked_on for p in penalties), department
        assert any(sum(isinstance(p.party, Subject) for p in rows) > 1 for rows in by_number.values()), department
        assert any(isinstance(p.party, Person) for p in penalties), department
        assert any(p.decided_on < TODAY - timedelta(days=1_096) for p in penalties), department
        assert any(p.final_on is None and not p.review_opened_on for p in penalties), department


def test_an_offender_repeats_within_24_months_when_5000_subjects(history: History) -> None:
    for department, records in history.items():
        days: defaultdict[tuple[str, str | None], list[date]] = defaultdict(list)
        for penalty in records.penalties:
            if isinstance(penalty.party, Subject):
                days[penalty.party.code, penalty.code].append(penalty.decided_on)
        gaps = [later - earlier for dates in days.values() for earlier, later in pairwise(sorted(dates))]
        assert any(timedelta(0) < gap <= timedelta(days=730) for gap in gaps), department


def test_fines_reach_every_tier_when_5000_subjects(history: History) -> None:
    for department in PILOTS:
        records = history[department]
        fines = [p.fine for p in records.penalties if p.fine is not None and not p.simple_procedure]
        for tier in FINE_TIERS:
            assert any(tier.fine_from <= fine <= tier.fine_to for fine in fines), (department, tier)


def test_simple_procedure_stays_within_the_law_when_drawn(history: History) -> None:
    simple = [p for records in history.values() for p in records.penalties if p.simple_procedure]
    assert all(p.kind == "警告" or (p.fine is not None and p.fine <= 3_000) for p in simple)


def test_document_number_and_parties_are_a_key_when_drawn(history: History) -> None:
    for records in history.values():
        keys = [(p.number, p.authority.code, _party_id(p)) for p in records.penalties]
        assert len(keys) == len(set(keys))


def _party_id(penalty: Penalty) -> str:
    return penalty.party.code if isinstance(penalty.party, Subject) else penalty.party.number


def test_only_third_parties_forge_reports_when_drawn(history: History) -> None:
    services = set(third_parties(history[ECOLOGY].supervised))
    forgers = {p.party for p in history[ECOLOGY].penalties if p.code == "1211" and isinstance(p.party, Subject)}
    assert forgers
    assert forgers <= services


def test_supervised_are_enterprises_in_the_stated_shares_when_drawn(history: History, universe: Universe) -> None:
    enterprises = sum(subject.code.startswith("91") for subject in universe.subjects)
    assert len(history[MARKET].supervised) == 5_000
    assert len(history[ECOLOGY].supervised) == round(enterprises * 0.10)
    assert len(history[EMERGENCY].supervised) == round(enterprises * 0.08)


@pytest.mark.parametrize("subjects", [1, 12, 60])
def test_history_is_drawn_when_the_universe_is_tiny(subjects: int) -> None:
    tiny = draw_universe(subjects=subjects, seed=5, today=TODAY)
    history = draw_history(tiny)
    assert [name for name, records in history.items() if not records.penalties] == []
    known = {*tiny.subjects, *tiny.organisations}
    assert all(result.subject in known for result in draw_public_credit(tiny))


def test_public_credit_has_the_published_distribution_when_drawn() -> None:
    drawn = draw_public_credit(draw_universe(subjects=10_000, seed=2019, today=TODAY))
    results = [result for result in drawn if result.subject.code.startswith("9")]
    assert len(results) == 9_800
    shares = {level: n / len(results) for level, n in Counter(result.level for result in results).items()}
    assert shares == pytest.approx({"优秀": 0.023, "良好": 0.764, "中等": 0.200, "较差": 0.013}, abs=0.0002)
    scores = [result.score for result in results]
    assert (min(scores), max(scores)) == (Decimal(406), Decimal(960))
    assert all(_level(result) == result.level for result in results)


def test_public_credit_is_of_all_five_types_when_drawn(universe: Universe) -> None:
    results = draw_public_credit(universe)
    assert all(_level(result) == result.level for result in results)
    subjects = [result.subject for result in results]
    types = {"natural_person" if one.occupation else subject_type(one.code) for one in subjects}
    assert types == {"enterprise", "natural_person", "social_organization", "public_institution", "government_agency"}
    assert len(set(subjects)) == len(subjects)


def _level(result: PublicCredit) -> str:
    bounds = (("优秀", 850), ("良好", 800), ("中等", 750))
    return next((level for level, lower in bounds if result.score >= lower), "较差")


@pytest.mark.parametrize("today", [date(2026, 6, 1), date(2026, 6, 2), date(2026, 6, 30)])
def test_public_credit_is_of_this_month_when_drawn(today: date) -> None:
    midnight = datetime(today.year, today.month, today.day, tzinfo=SHANGHAI)
    for result in draw_public_credit(draw_universe(subjects=200, seed=1, today=today)):
        assert date(2026, 6, 1) <= result.evaluated_on <= min(today, date(2026, 6, 5))
        assert result.updated_at <= midnight


def test_shares_add_up_when_split() -> None:
    assert share_out(100, [1, 1, 1]) == [34, 33, 33]
    assert share_out(10, [90, 1, 1], floor=2) == [10, 2, 2]


def test_history_is_the_same_when_another_process_draws_it() -> None:
    program = (
        "import hashlib; from datetime import date; from gateway.simulators import history, universe;"
        "u = universe.draw_universe(subjects=500, seed=9, today=date(2026, 6, 30));"
        "print(hashlib.sha256(repr((u, history.draw_public_credit(u), sorted((k, v.penalties[0].number, v.complaints,"
        " [(p.number, p.fine, p.updated_at) for p in v.penalties]) for k, v in history.draw_history(u).items())))"
        ".encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
