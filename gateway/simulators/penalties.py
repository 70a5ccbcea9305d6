"""Draw penalties with the legal variety the semantics need (semantics §2): who, what, how much, and what came after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from random import Random

from gateway.simulators import wording
from gateway.simulators.codes import compose_resident_number
from gateway.simulators.draws import days_before, open_stream, past_or_none, share_out, stamp
from gateway.simulators.practice import Department, Offence
from gateway.simulators.records import Penalty, Person, Standing
from gateway.simulators.sanctions import DETAINED, FINE_LARGE, FINE_SMALL, ON_THE_SPOT, Sanction
from gateway.simulators.subjects import Subject
from gateway.simulators.supervision import third_parties
from gateway.simulators.universe import FULL_PROVINCE, Universe

# A decision nobody contests is final when the 60 days for review have passed.
_REVIEW_PERIOD = timedelta(days=60)
_ATTEMPTS = 20


class Course(Enum):
    """What became of a decision: (youngest age, oldest age in days, occurrences per 50 decisions)."""

    PLAIN = (1, 1090, 0)
    OLD = (1100, 2200, 4)
    SIMPLE = (1, 1080, 6)
    REPAIRED = (250, 900, 4)
    OBJECTION_OPEN = (40, 300, 1)
    OBJECTION_CLOSED = (120, 700, 1)
    REVIEW_OPEN = (15, 70, 1)
    LAWSUIT_OPEN = (40, 170, 1)
    LAWSUIT_CLOSED = (300, 900, 1)
    REVOKED = (120, 800, 1)
    SEVERAL_PARTIES = (5, 1000, 1)
    PERSON_TOO = (10, 1000, 1)
    REPEATED = (1, 700, 5)


@dataclass(frozen=True, slots=True)
class _Pools:
    """Who may be decided against, and the few who are so more often."""

    supervised: tuple[Subject, ...]
    troubled: Sequence[Subject]


@dataclass(slots=True)
class _Docket:
    """What has been drawn so far: rows, decisions per code (for repeats), turns taken through each offence."""

    rows: list[Penalty] = field(default_factory=list)
    by_code: dict[str | None, list[Penalty]] = field(default_factory=dict)
    turns: Counter[str] = field(default_factory=Counter)
    decisions: int = 0


def draw_penalties(department: Department, supervised: tuple[Subject, ...], universe: Universe) -> tuple[Penalty, ...]:
    """All penalties of a department over the last years; ids count from 1 in drawing order."""
    stream = open_stream(universe.seed, f"{department.id}/penalties")
    total = department.count(department.rates.penalties, len(supervised), len(universe.subjects))
    offences = _allot_offences(stream, department.offences, total, len(universe.subjects))
    pools = _Pools(supervised, _choose_troubled(stream, department, supervised))
    docket = _Docket()
    for offence, course in zip(offences, _allot_courses(stream, offences), strict=True):
        _decide(stream, docket, department, pools, offence, course, universe.today)
    return tuple(docket.rows)


def _choose_troubled(stream: Random, department: Department, supervised: Sequence[Subject]) -> Sequence[Subject]:
    """Of a small population, a few subjects draw a third of the decisions: grades reach down to the last."""
    if department.rates.of == "province":
        return ()
    return stream.sample(supervised, min(len(supervised), max(2, len(supervised) // 40)))


def _allot_offences(stream: Random, offences: Sequence[Offence], total: int, subjects: int) -> list[Offence]:
    """Every offence occurs: three times or more in a universe of 5,000 subjects, once in a small one."""
    shares = share_out(total, [offence.weight for offence in offences], 3 if subjects >= FULL_PROVINCE else 1)
    allotted = [offence for offence, share in zip(offences, shares, strict=True) for _ in range(share)]
    stream.shuffle(allotted)
    return allotted


def _allot_courses(stream: Random, offences: Sequence[Offence]) -> list[Course]:
    """Each special course at least once, never on the first decision of an offence: that one simply counts."""
    seen: set[str] = set()
    free: list[int] = []
    for i, offence in enumerate(offences):
        if offence.conduct in seen:
            free.append(i)
        seen.add(offence.conduct)
    stream.shuffle(free)
    courses = [Course.PLAIN] * len(offences)
    special = [c for c in Course for _ in range(max(1, round(len(offences) * c.value[2] / 50)))]
    for i, course in zip(free, (c for c in special if c is not Course.PLAIN), strict=False):
        courses[i] = course
    return courses


def _decide(
    stream: Random,
    docket: _Docket,
    department: Department,
    pools: _Pools,
    offence: Offence,
    course: Course,
    today: date,
) -> None:
    """Draw one decision and append a row for each of its parties."""
    youngest, oldest, _ = course.value
    decided_on = days_before(stream, today, youngest, oldest)
    pool = third_parties(pools.supervised) if offence.third_party_only else pools.supervised
    troubled = pools.troubled and not offence.third_party_only and stream.random() < 1 / 3
    subject = _pick_subject(stream, pools.troubled if troubled else pool, decided_on)
    if course is Course.REPEATED and (earlier := docket.by_code.get(offence.code)):
        previous = stream.choice(earlier)
        if isinstance(previous.party, Subject):
            subject = previous.party
            decided_on = min(previous.decided_on + timedelta(days=stream.randint(20, 700)), today - timedelta(days=1))
    sanction = _choose_sanction(stream, docket, offence, course, subject)
    docket.decisions += 1
    first = _write_row(stream, department, docket, (subject, offence, sanction, course), decided_on, today)
    rows = [first]
    if course is Course.SEVERAL_PARTIES:
        others = {other.code: other for other in (_pick_subject(stream, pool, decided_on) for _ in range(2))}
        rows += [_add_party(stream, first, other) for other in others.values() if other.code != subject.code]
    if course is Course.PERSON_TOO or sanction is DETAINED:
        rows.append(_add_person(stream, first, subject, detained=sanction is DETAINED))
    docket.by_code.setdefault(offence.code, []).append(first)
    docket.rows += [replace(row, id=len(docket.rows) + 1 + i) for i, row in enumerate(rows)]


def _pick_subject(stream: Random, pool: Sequence[Subject], decided_on: date) -> Subject:
    """A subject that existed on the day, as far as its registration date can be read."""
    subject = stream.choice(pool)
    for _ in range(_ATTEMPTS):
        if subject.registered_on <= decided_on.isoformat():
            break
        subject = stream.choice(pool)
    return subject


def _choose_sanction(stream: Random, docket: _Docket, offence: Offence, course: Course, subject: Subject) -> Sanction:
    if course is Course.SIMPLE:
        # A person may be fined 200 元 at most on the spot: warned here.
        return ON_THE_SPOT[0] if subject.occupation else stream.choice(ON_THE_SPOT)
    turn = docket.turns[offence.conduct]
    docket.turns[offence.conduct] += 1
    return offence.sanctions[turn % len(offence.sanctions)]


def _write_row(
    stream: Random,
    department: Department,
    docket: _Docket,
    case: tuple[Subject, Offence, Sanction, Course],
    decided_on: date,
    today: date,
) -> Penalty:
    subject, offence, sanction, course = case
    # Detention is for persons; the organisation of the same decision is fined.
    effective = FINE_LARGE if sanction is DETAINED else sanction
    first_sent_at = _sent_at(stream, decided_on, today)
    opened, closed, final = _review(stream, course, decided_on, today)
    standing = _standing(stream, course, decided_on, today)
    changed = max((d for d in (opened, closed, standing.latest) if d), default=None)
    yesterday = today - timedelta(days=1)
    office = f"{subject.city.name}市" if subject.division != "330000" else "浙"
    return Penalty(
        id=0,
        number=f"{office}{department.document}〔{decided_on.year}〕{docket.decisions:05d}号",
        party=subject,
        code=offence.code,
        conduct=offence.conduct,
        basis=offence.basis,
        facts=offence.facts,
        kind=effective.kind,
        fine=_draw_amount(stream, effective.fine_from, effective.fine_to),
        confiscated=_draw_amount(stream, 300, 80_000) if effective.confiscates else None,
        licence=f"许可证 {subject.division}{stream.randint(10_000, 99_999)}" if effective.licence else None,
        simple_procedure=course is Course.SIMPLE,
        decided_on=decided_on,
        publish_until=decided_on + timedelta(days=_publicity_days(effective)),
        final_on=final,
        review_opened_on=opened,
        review_closed_on=closed,
        standing=standing,
        authority=department.authority(subject),
        first_sent_at=first_sent_at,
        updated_at=max(first_sent_at, stamp(stream, changed, yesterday)) if changed else first_sent_at,
    )


def _sent_at(stream: Random, decided_on: date, today: date) -> datetime:
    """Most decisions are sent within a week, one in fifteen later than the seven working days allow."""
    lag = stream.randint(1, 6) if stream.random() > 1 / 15 else stream.randint(12, 30)
    return stamp(stream, decided_on + timedelta(days=lag), today - timedelta(days=1))


def _review(
    stream: Random, course: Course, decided_on: date, today: date
) -> tuple[date | None, date | None, date | None]:
    """(review or lawsuit opened, closed, decision final)."""
    if course in {Course.REVIEW_OPEN, Course.LAWSUIT_OPEN}:
        return decided_on + timedelta(days=stream.randint(5, 14)), None, None
    if course is Course.LAWSUIT_CLOSED:
        opened = decided_on + timedelta(days=stream.randint(30, 100))
        closed = opened + timedelta(days=stream.randint(90, 190))
        return opened, closed, closed
    stated = stream.random() < 0.7
    return None, None, past_or_none(decided_on + _REVIEW_PERIOD, today) if stated else None


def _standing(stream: Random, course: Course, decided_on: date, today: date) -> Standing:
    if course is Course.REPAIRED:
        return Standing(repaired_on=decided_on + timedelta(days=stream.randint(95, 245)))
    if course is Course.OBJECTION_OPEN:
        return Standing(objection_from=days_before(stream, today, 1, 15))
    if course is Course.OBJECTION_CLOSED:
        opened = decided_on + timedelta(days=stream.randint(10, 60))
        return Standing(objection_from=opened, objection_to=opened + timedelta(days=stream.randint(3, 25)))
    if course is Course.REVOKED:
        return Standing(revoked_on=decided_on + timedelta(days=stream.randint(20, 110)))
    return Standing()


def _publicity_days(sanction: Sanction) -> int:
    """Three months, one year or three years by weight (domain facts §2.2, §5.3)."""
    if sanction.kind in {"警告", "通报批评"} or 0 < sanction.fine_to < FINE_SMALL.fine_from:
        return 92
    severe = {"吊销许可证件", "限制从业", "责令停产停业", "责令关闭", "限制开展生产经营活动", "行政拘留"}
    return 1096 if sanction.kind in severe or sanction.fine_from > 1_000_000 else 365


def _draw_amount(stream: Random, lowest: int, highest: int) -> Decimal | None:
    """An amount in 元 with the odd 分 a calculation leaves in one of eight cases; ``None`` when nothing is due."""
    if not highest:
        return None
    whole = Decimal(stream.randint(lowest // 100, highest // 100) * 100)
    return whole + Decimal(stream.randint(1, 99)) / 100 if stream.random() < 1 / 8 and whole < highest else whole


def _add_party(stream: Random, first: Penalty, other: Subject) -> Penalty:
    """Another organisation of the same decision, with an amount of its own."""
    fine = first.fine and max(Decimal(100), (first.fine * stream.randint(40, 95) / 100).quantize(Decimal(1)))
    return replace(first, party=other, fine=fine)


def _add_person(stream: Random, first: Penalty, subject: Subject, *, detained: bool) -> Penalty:
    """The responsible person of the same decision: fined, or detained."""
    county = stream.choice(subject.city.counties)[0]
    born = date(1900, 1, 1) + timedelta(days=stream.randrange(3_650))
    person = Person(wording.draw_person(stream), compose_resident_number(county, born, 0))
    kind = DETAINED.kind if detained else "罚款"
    fine = None if detained else _draw_amount(stream, FINE_SMALL.fine_from, FINE_SMALL.fine_to)
    return replace(first, party=person, kind=kind, fine=fine, confiscated=None, licence=None)
