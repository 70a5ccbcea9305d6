"""Draw inspections, incidents, complaints and honours of a department."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from gateway.simulators.draws import days_before, open_stream, past_or_none, share_out, stamp
from gateway.simulators.practice import YEARS, Accident, Department, Finding
from gateway.simulators.records import Complaint, Honour, Incident, Inspection, Standing
from gateway.simulators.subjects import Subject
from gateway.simulators.universe import FULL_PROVINCE, Universe

_OLDEST = YEARS * 365 - 5
#: Incidents of one kind after which levels and outcomes repeat.
_CYCLE = 14
# Levels of 生产安全事故报告和调查处理条例 art. 3: (level, weight, deaths, injuries, loss in 元 from, to).
_LEVELS = (
    ("一般", 30, (0, 2), (0, 9), 20_000, 9_900_000),
    ("较大", 4, (3, 9), (0, 20), 10_100_000, 49_000_000),
    ("重大", 1, (10, 14), (5, 30), 50_500_000, 90_000_000),
)


def draw_standing(stream: Random, turn: int, day: date, today: date) -> Standing:
    """Now and then a record is objected to, repaired or revoked; never the first three of a kind."""
    if turn % 37 == 5:
        opened = day + timedelta(days=stream.randint(5, 60))
        closed = opened + timedelta(days=stream.randint(3, 25))
        known = past_or_none(opened, today)
        return Standing(objection_from=known, objection_to=past_or_none(closed, today) if known else None)
    if turn % 43 == 11:
        return Standing(repaired_on=past_or_none(day + timedelta(days=stream.randint(95, 300)), today))
    if turn % 61 == 7:
        return Standing(revoked_on=past_or_none(day + timedelta(days=stream.randint(20, 120)), today))
    return Standing()


def draw_inspections(
    department: Department, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[Inspection, ...]:
    """On-site and off-site checks of three years; findings with a code occur three times or more."""
    stream = open_stream(universe.seed, f"{department.id}/inspections")
    total = department.count(department.rates.inspections, len(supervised), len(universe.subjects))
    floor = 3 if len(universe.subjects) >= FULL_PROVINCE else 1
    shares = share_out(total, [finding.weight for finding in department.findings], floor)
    findings = [f for f, share in zip(department.findings, shares, strict=True) for _ in range(share)]
    stream.shuffle(findings)
    turns: dict[str, int] = {}
    drawn = []
    for number, finding in enumerate(findings, 1):
        turn = turns[finding.problem] = turns.get(finding.problem, -1) + 1
        drawn.append(_inspect(stream, department, stream.choice(supervised), finding, (number, turn), universe.today))
    return tuple(drawn)


def _inspect(
    stream: Random, department: Department, subject: Subject, finding: Finding, place: tuple[int, int], today: date
) -> Inspection:
    number, turn = place
    day = days_before(stream, today, 1, _OLDEST)
    rectify_by = day + timedelta(days=30) if finding.problem else None
    rectified = day + timedelta(days=stream.randint(3, 45)) if finding.problem and stream.random() < 0.85 else None
    standing = draw_standing(stream, turn, day, today) if finding.problem else Standing()
    low = bool(finding.problem)
    measured = (
        Decimal(stream.randint(6000, 8990) if low else stream.randint(9000, 9990)) / 100 if finding.off_site else None
    )
    result = "未发现问题" if not finding.problem else stream.choices(("发现问题责令改正", "移送"), weights=(9, 1))[0]
    rectified_on = past_or_none(rectified, today) if rectified else None
    changed = max(d for d in (day + timedelta(days=stream.randint(1, 5)), rectified_on, standing.latest) if d)
    return Inspection(
        id=number,
        task=f"JC{department.number:02d}{day:%Y%m}{number:06d}",
        subject=subject,
        code=finding.code,
        category=finding.category,
        matter=finding.matter,
        method=_method(stream, finding),
        inspected_on=day,
        result=result,
        problem=finding.problem or None,
        description=finding.description or None,
        measured=measured,
        rectify_by=rectify_by,
        rectified_on=rectified_on,
        standing=standing,
        authority=department.authority(subject),
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def _method(stream: Random, finding: Finding) -> str:
    if finding.off_site:
        return "非现场监管"
    if finding.category == "双随机抽查":
        return "双随机抽查"
    return stream.choice(("专项检查", "日常检查"))


def draw_incidents(department: Department, supervised: tuple[Subject, ...], universe: Universe) -> tuple[Incident, ...]:
    """Accidents: most are 一般; some subjects are found not responsible, some findings are still open."""
    stream = open_stream(universe.seed, f"{department.id}/incidents")
    drawn: list[Incident] = []
    for accident in department.accidents:
        total = department.count(accident.rate, len(supervised), len(universe.subjects))
        for turn in range(1, max(_CYCLE, total) + 1):
            subject, place = stream.choice(supervised), (len(drawn) + 1, turn)
            drawn.append(_befall(stream, department, accident, subject, place, universe.today))
    return tuple(drawn)


def _befall(
    stream: Random, department: Department, accident: Accident, subject: Subject, place: tuple[int, int], today: date
) -> Incident:
    number, nth = place
    # The first of every cycle are fixed so that each level and each outcome occurs in any universe.
    turn = nth % _CYCLE
    level = _LEVELS[1] if turn in {1, 2, 3} else stream.choices(_LEVELS, weights=[lv[1] for lv in _LEVELS])[0]
    if turn >= 9:
        level = _LEVELS[0]
    name, _, deaths, injuries, low, high = level
    occurred = days_before(stream, today, 100, _OLDEST)
    is_open = turn == 8
    if is_open:
        occurred = days_before(stream, today, 2, 60)
    found = None if is_open else occurred + timedelta(days=stream.randint(20, 95))
    is_responsible = None if is_open else turn not in {6, 7}
    concealed = accident.category == "生产安全事故" and turn in {4, 5, 9}
    standing = draw_standing(stream, nth, found, today) if found else Standing()
    changed = max(d for d in (occurred + timedelta(days=1), found, standing.latest) if d)
    return Incident(
        id=number,
        number=f"SG{department.number:02d}{occurred:%Y%m%d}{number:04d}",
        subject=subject,
        category=accident.category,
        description=stream.choice(accident.descriptions),
        occurred_on=occurred,
        found_on=found,
        level=name,
        deaths=stream.randint(*deaths) if accident.casualties else 0,
        injuries=stream.randint(*injuries) if accident.casualties else 0,
        loss=Decimal(stream.randint(low // 1000, high // 1000) * 1000),
        is_responsible=is_responsible,
        is_concealed=concealed,
        standing=standing,
        authority=department.authority(subject),
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def draw_complaints(
    department: Department, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[Complaint, ...]:
    """Complaints; a quarter of them fall on a few subjects, so that rates differ between subjects."""
    stream = open_stream(universe.seed, f"{department.id}/complaints")
    total = max(12, department.count(department.rates.complaints, len(supervised), len(universe.subjects)))
    often = stream.sample(supervised, min(len(supervised), max(2, len(supervised) // 500)))
    return tuple(
        _complain(stream, department, _accused(stream, supervised, often), n, universe.today)
        for n in range(1, total + 1)
    )


def _accused(stream: Random, supervised: Sequence[Subject], often: Sequence[Subject]) -> Subject:
    return stream.choice(often if stream.random() < 0.25 else supervised)


def _complain(stream: Random, department: Department, subject: Subject, number: int, today: date) -> Complaint:
    filed = days_before(stream, today, 1, _OLDEST)
    closed = past_or_none(filed + timedelta(days=stream.randint(7, 60)), today)
    outcome = stream.choices(("属实", "部分属实", "不属实"), weights=(38, 12, 50))[0] if closed else None
    is_true = outcome in {"属实", "部分属实"}
    substantiated = closed - timedelta(days=stream.randint(0, 3)) if closed and is_true else None
    standing = draw_standing(stream, number, substantiated, today) if substantiated else Standing()
    handling = {"属实": "责令改正, 依法处理", "部分属实": "督促整改, 调解结案", "不属实": "告知投诉人"}.get(
        outcome or ""
    )
    changed = max(d for d in (filed + timedelta(days=1), closed, standing.latest) if d)
    return Complaint(
        id=number,
        number=f"TS{department.number:02d}{filed:%Y%m%d}{number:06d}",
        subject=subject,
        category=stream.choice(department.complaint_categories),
        filed_on=filed,
        outcome=outcome,
        substantiated_on=substantiated,
        closed_on=closed,
        handling=handling,
        phone=f"13{stream.randint(0, 9)}****{stream.randint(0, 9999):04d}",
        standing=standing,
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def draw_honours(department: Department, supervised: tuple[Subject, ...], universe: Universe) -> tuple[Honour, ...]:
    """Awards and ratings, each to a different subject; one in thirty was taken back."""
    stream = open_stream(universe.seed, f"{department.id}/honours")
    wanted = max(8, department.count(department.rates.honours, len(supervised), len(universe.subjects)))
    winners = stream.sample(supervised, min(wanted, len(supervised)))
    return tuple(_award(stream, department, subject, n, universe.today) for n, subject in enumerate(winners, 1))


def _award(stream: Random, department: Department, subject: Subject, number: int, today: date) -> Honour:
    award = stream.choices(department.awards, weights=[a.weight for a in department.awards])[0]
    level = stream.choices(list(award.levels), weights=list(award.levels.values()))[0]
    awarded = days_before(stream, today, 10, _OLDEST)
    revoked = past_or_none(awarded + timedelta(days=stream.randint(60, 500)), today) if number % 30 == 7 else None
    changed = max(d for d in (awarded + timedelta(days=stream.randint(1, 9)), revoked) if d)
    return Honour(
        id=number,
        number=f"RY{department.number:02d}-{awarded.year}-{number:05d}",
        subject=subject,
        kind=award.kind,
        title=f"{awarded.year}年度{award.title}",
        level=level,
        awarded_on=awarded,
        valid_until=awarded + timedelta(days=3 * 365),
        revoked_on=revoked,
        authority=department.authority(subject),
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )
