"""What the platform gathers from the courts: dishonest debtors, judgments not performed, forced execution."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from gateway.simulators.draws import days_before, open_stream, past_or_none, stamp
from gateway.simulators.subjects import Subject
from gateway.simulators.universe import Universe

#: Kinds with their weights; shares of all subjects over three years are invented (an assumption).
_KINDS = (("失信被执行人", 3), ("未履行生效裁判", 4), ("强制执行", 3))
_PER_SUBJECT = 0.006
_FEWEST = 12
CONDUCT = "有履行能力而拒不履行生效法律文书确定义务"


@dataclass(frozen=True, slots=True)
class Judgment:
    """One entry of one subject; ``performed_on`` is the day it was performed whole, and left the list."""

    id: int
    case_no: str
    subject: Subject
    kind: str
    court: str
    amount: Decimal
    filed_on: date
    decided_on: date
    performed_on: date | None
    updated_at: datetime


def draw_judgments(universe: Universe) -> tuple[Judgment, ...]:
    """Entries of subjects of all five types; a quarter was performed since."""
    stream = open_stream(universe.seed, "judgments")
    everyone = [one for one in (*universe.subjects, *universe.organisations) if not one.is_new(universe.today)]
    wanted = max(_FEWEST, round(len(everyone) * _PER_SUBJECT))
    return tuple(_judge(stream, stream.choice(everyone), n, universe.today) for n in range(1, wanted + 1))


def _judge(stream: Random, subject: Subject, number: int, today: date) -> Judgment:
    decided = days_before(stream, today, 20, 1400)
    filed = decided - timedelta(days=stream.randint(30, 200))
    performed = past_or_none(decided + timedelta(days=stream.randint(60, 700)), today) if number % 4 == 0 else None
    return Judgment(
        id=number,
        case_no=f"（{filed.year}）浙{subject.division[2:4]}执{number:05d}号",
        subject=subject,
        kind=stream.choices([kind for kind, _ in _KINDS], weights=[weight for _, weight in _KINDS])[0],
        court=f"{subject.city.name}市中级人民法院",
        amount=Decimal(stream.randint(20, 5_000) * 1000),
        filed_on=filed,
        decided_on=decided,
        performed_on=performed,
        updated_at=stamp(stream, max(decided + timedelta(days=2), performed or decided), today - timedelta(days=1)),
    )
