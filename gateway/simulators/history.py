"""Everything that happened in a universe, per department, and the public-credit results of the platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from random import Random

from gateway.simulators import filings, occurrences
from gateway.simulators.draws import SHANGHAI, open_stream, share_out
from gateway.simulators.penalties import draw_penalties
from gateway.simulators.practice import Department, load_practices
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.subjects import Subject
from gateway.simulators.supervision import choose_supervised
from gateway.simulators.universe import Universe

# Published distributions of 2018 (domain facts §1.7): level, per mille, lowest and highest score in centipoints; by
# how a code of the type begins, persons last. Natural persons are scored and not graded there: levels are ours. No
# institution is 较差 there, though the lowest published score is 732: the lowest of 中等 is taken.
PUBLIC_CREDIT_LEVELS: Mapping[tuple[str, ...], tuple[tuple[str, int, int, int], ...]] = {
    ("9",): (
        ("优秀", 23, 85_000, 96_000),
        ("良好", 764, 80_000, 84_999),
        ("中等", 200, 75_000, 79_999),
        ("较差", 13, 40_600, 74_999),
    ),
    ("5",): (
        ("优秀", 25, 85_000, 100_000),
        ("良好", 363, 80_000, 84_999),
        ("中等", 522, 75_000, 79_999),
        ("较差", 90, 39_500, 74_999),
    ),
    ("12",): (("优秀", 476, 85_000, 91_000), ("良好", 517, 80_000, 84_999), ("中等", 7, 75_000, 79_999)),
    ("11",): (
        ("优秀", 54, 85_000, 99_000),
        ("良好", 932, 80_000, 84_999),
        ("中等", 5, 75_000, 79_999),
        ("较差", 9, 56_100, 74_999),
    ),
    ("",): (
        ("优秀", 1, 85_000, 89_000),
        ("良好", 978, 80_000, 84_999),
        ("中等", 20, 75_000, 79_999),
        ("较差", 1, 49_900, 74_999),
    ),
}
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
    established = tuple(subject for subject in supervised if not subject.is_new(universe.today))
    if not established:
        return DepartmentRecords(supervised)
    everyone = (department, established, universe)
    duty, promise, licence = department.annual_report, department.promise, department.licence
    evaluation, listings = department.evaluation, filings.draw_listings(*everyone)
    return DepartmentRecords(
        supervised=supervised,
        penalties=draw_penalties(*everyone),
        inspections=occurrences.draw_inspections(*everyone),
        incidents=occurrences.draw_incidents(*everyone),
        complaints=occurrences.draw_complaints(*everyone),
        honours=occurrences.draw_honours(*everyone) if department.awards else (),
        listings=listings,
        annual_reports=filings.draw_annual_reports(department, duty, established, universe) if duty else (),
        commitments=filings.draw_commitments(department, promise, established, universe) if promise else (),
        licences=filings.draw_licences(department, licence, established, universe) if licence else (),
        reported_grades=(
            filings.draw_reported_grades(department, evaluation, established, listings, universe) if evaluation else ()
        ),
    )


def draw_history(universe: Universe) -> dict[str, DepartmentRecords]:
    """Department id → its records, in the order of the provincial list."""
    return {department.id: draw_department(department, universe) for department in load_practices().values()}


def draw_public_credit(universe: Universe) -> tuple[PublicCredit, ...]:
    """One result per subject of the five types in the published shares; 2 % of each have none, newcomers first.

    Law firms and venues have a code of another authority and no result (an assumption).
    """
    drawn: list[PublicCredit] = []
    for prefixes, levels in PUBLIC_CREDIT_LEVELS.items():
        name = "public_credit" if prefixes == ("9",) else f"public_credit/{prefixes[0]}"
        stream = open_stream(universe.seed, name)
        subjects = _find_rated(universe, prefixes)
        new = [i for i, subject in enumerate(subjects) if subject.is_new(universe.today)]
        others = sorted(set(range(len(subjects))) - set(new))
        left = max(0, len(subjects) * _MISSING_PER_MILLE // 1000 - len(new))
        missing = {*new, *stream.sample(others, min(left, len(others)))}
        rated = [subject for i, subject in enumerate(subjects) if i not in missing]
        for subject, score in zip(rated, _draw_scores(stream, len(rated), levels), strict=True):
            drawn.append(_evaluate(stream, len(drawn) + 1, subject, score, universe.today))
    return tuple(drawn)


def _find_rated(universe: Universe, prefixes: tuple[str, ...]) -> list[Subject]:
    """The subjects of one type: enterprises from the register, organisations by code, persons without a prefix."""
    if prefixes == ("",):
        return [one for one in universe.organisations if one.occupation]
    everyone = (*universe.subjects, *(one for one in universe.organisations if not one.occupation))
    return [one for one in everyone if one.code.startswith(prefixes)]


def _draw_scores(stream: Random, count: int, levels: Sequence[tuple[str, int, int, int]]) -> list[tuple[int, str]]:
    """Exact shares per level; the lowest and the highest published score occur."""
    shares = share_out(count, [share for _, share, _, _ in levels])
    scores: list[tuple[int, str]] = []
    for (level, _, low, high), share in zip(levels, shares, strict=True):
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
