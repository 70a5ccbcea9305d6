"""Everything that happened in a universe, per department, and the public-credit results of the platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from random import Random

from gateway.simulators import filings, occurrences
from gateway.simulators.departments import DEPARTMENTS, MARKET, Department
from gateway.simulators.draws import SHANGHAI, open_stream, share_out
from gateway.simulators.penalties import draw_penalties
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.supervision import choose_supervised
from gateway.simulators.universe import Subject, Universe

# Published distribution of 2018 (domain facts §1.7): level, per mille, lowest and highest score in centipoints.
PUBLIC_CREDIT_LEVELS = (
    ("优秀", 23, 85_000, 96_000),
    ("良好", 764, 80_000, 84_999),
    ("中等", 200, 75_000, 79_999),
    ("较差", 13, 40_600, 74_999),
)
_MISSING_PER_MILLE = 20


@dataclass(frozen=True, slots=True)
class PublicCredit:
    """One enterprise's result: score with two decimals, evaluated in the first days of the month."""

    id: int
    subject: Subject
    score: Decimal
    level: str
    evaluated_on: date
    updated_at: datetime


def draw_department(department: Department, universe: Universe) -> DepartmentRecords:
    """All records of one department; a function of the universe alone."""
    supervised = choose_supervised(department, universe)
    if not supervised:
        return DepartmentRecords(supervised)
    is_market = department.id == MARKET
    return DepartmentRecords(
        supervised=supervised,
        penalties=draw_penalties(department, supervised, universe),
        inspections=occurrences.draw_inspections(department, supervised, universe),
        incidents=occurrences.draw_incidents(department, supervised, universe),
        complaints=occurrences.draw_complaints(department, supervised, universe),
        honours=occurrences.draw_honours(department, supervised, universe),
        listings=filings.draw_listings(department, supervised, universe) if is_market else (),
        annual_reports=filings.draw_annual_reports(department, supervised, universe) if is_market else (),
    )


def draw_history(universe: Universe) -> dict[str, DepartmentRecords]:
    """Department id → its records."""
    return {department.id: draw_department(department, universe) for department in DEPARTMENTS}


def draw_public_credit(universe: Universe) -> tuple[PublicCredit, ...]:
    """One result per enterprise in the published shares; about 2 % of the enterprises have none yet."""
    stream = open_stream(universe.seed, "public_credit")
    enterprises = [subject for subject in universe.subjects if subject.code.startswith("9")]
    missing = set(stream.sample(range(len(enterprises)), len(enterprises) * _MISSING_PER_MILLE // 1000))
    rated = [subject for i, subject in enumerate(enterprises) if i not in missing]
    scores = _draw_scores(stream, len(rated))
    return tuple(
        _evaluate(stream, n, subject, score, universe.today)
        for n, (subject, score) in enumerate(zip(rated, scores, strict=True), 1)
    )


def _draw_scores(stream: Random, count: int) -> list[tuple[int, str]]:
    """Exact shares per level; the lowest and the highest published score occur."""
    shares = share_out(count, [share for _, share, _, _ in PUBLIC_CREDIT_LEVELS])
    scores: list[tuple[int, str]] = []
    for (level, _, low, high), share in zip(PUBLIC_CREDIT_LEVELS, shares, strict=True):
        # Scores crowd where the levels meet 良好, as published minima and maxima are rare tails.
        mode = {"优秀": low, "较差": high}.get(level, (low + high) // 2)
        drawn = [round(stream.triangular(low, high, mode)) for _ in range(share)]
        if drawn and level == "优秀":
            drawn[0] = high
        if drawn and level == "较差":
            drawn[0] = low
        scores += [(score, level) for score in drawn]
    stream.shuffle(scores)
    return scores


def _evaluate(stream: Random, number: int, subject: Subject, score: tuple[int, str], today: date) -> PublicCredit:
    day = today.replace(day=stream.randint(1, min(5, today.day)))
    # A result of the reference date itself carries midnight, so that no source time lies in the future.
    clock = time(0, stream.randint(0, 59), stream.randint(0, 59)) if day < today else time(0)
    return PublicCredit(
        id=number,
        subject=subject,
        score=Decimal(score[0]) / 100,
        level=score[1],
        evaluated_on=day,
        updated_at=datetime.combine(day, clock, SHANGHAI),
    )
