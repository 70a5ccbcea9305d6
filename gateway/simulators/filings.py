"""Draw what subjects file and are filed under: lists, yearly reports, commitments and licences."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from gateway.simulators import practice
from gateway.simulators.draws import days_before, open_stream, past_or_none, share_out, stamp
from gateway.simulators.occurrences import draw_standing
from gateway.simulators.practice import Department, Duty
from gateway.simulators.records import AnnualReport, Commitment, Licence, Listing, ReportedGrade, Standing
from gateway.simulators.subjects import Subject
from gateway.simulators.universe import FULL_PROVINCE, Universe

# Shares of reports: on time, late, missing.
_FILING = ("on time", "late", "missing")
_FILING_WEIGHTS = (952, 30, 18)
#: One subject in so many was not evaluated last time: its grade is computed.
_UNEVALUATED_EVERY = 9
#: Every eighth licence ends soon, so that there is something to warn of.
_ENDING_EVERY = 8


def draw_listings(department: Department, supervised: tuple[Subject, ...], universe: Universe) -> tuple[Listing, ...]:
    """Entries of its lists; ids count from 1 among the severe ones, and among the others."""
    stream = open_stream(universe.seed, f"{department.id}/listings")
    floor = 3 if len(universe.subjects) >= FULL_PROVINCE else 1
    causes: list[practice.Listing] = []
    for severe, rate in ((False, department.rates.abnormal), (True, department.rates.severe)):
        entries = [entry for entry in department.listings if entry.severe is severe]
        if rate is None or not entries:
            continue
        total = department.count(rate, len(supervised), len(universe.subjects))
        shares = share_out(total, [entry.weight for entry in entries], floor)
        drawn = [entry for entry, n in zip(entries, shares, strict=True) for _ in range(n)]
        if not severe:
            stream.shuffle(drawn)
        causes += drawn
    others = sum(not cause.severe for cause in causes)
    return tuple(
        _list(stream, department, stream.choice(supervised), cause, i - others if cause.severe else i, universe.today)
        for i, cause in enumerate(causes)
    )


def _list(
    stream: Random, department: Department, subject: Subject, cause: practice.Listing, turn: int, today: date
) -> Listing:
    listed = days_before(stream, today, 5, 1500)
    removed = None
    if cause.severe and turn % 3 == 1:
        # Within the 90 days that cap the grade after delisting (semantics §3).
        removed = days_before(stream, today, 2, 80)
        listed = removed - timedelta(days=stream.randint(400, 1100))
    elif not cause.severe and stream.random() < 0.6:
        removed = past_or_none(listed + timedelta(days=stream.randint(20, 700)), today)
    standing = Standing() if cause.severe else draw_standing(stream, turn, listed, today)
    changed = max(d for d in (listed + timedelta(days=1), removed, standing.latest) if d)
    authority = department.authority(subject)
    kind = "严重违法" if cause.severe else "异常"
    return Listing(
        id=turn + 1,
        list=cause.list,
        is_severe=cause.severe,
        decision=f"{authority.name}列{kind}决字〔{listed.year}〕{turn + 1:05d}号",
        subject=subject,
        code=cause.code,
        cause=cause.cause,
        listed_on=listed,
        removed_on=removed,
        removal_cause=("列入期满, 已履行义务" if cause.severe else "依法办理住所变更或者补报年报") if removed else None,
        standing=standing,
        authority=authority,
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def draw_annual_reports(
    department: Department, duty: Duty, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[AnnualReport, ...]:
    """The last due year of every subject under the duty, and the late or missing reports of the two years before."""
    stream = open_stream(universe.seed, f"{department.id}/annual_reports")
    bound = [subject for subject in supervised if subject.code.startswith(duty.prefixes)]
    today = universe.today
    last = today.year - 1 if today > date(today.year, duty.month, duty.day) else today.year - 2
    drawn: list[AnnualReport] = []
    for year in (last - 2, last - 1, last):
        due = date(year + 1, duty.month, duty.day)
        ways = stream.choices(_FILING, weights=_FILING_WEIGHTS, k=len(bound))
        for subject, way in zip(bound, ways, strict=True):
            if (year == last or way != "on time") and subject.registered_on <= f"{year}-12-31":
                drawn.append(_report(stream, subject, len(drawn) + 1, due, way, today))
    return tuple(drawn)


def _report(stream: Random, subject: Subject, number: int, due: date, way: str, today: date) -> AnnualReport:
    first = date(due.year, 1, 1)
    filed: date | None = first + timedelta(days=stream.randint(0, (due - first).days))
    if way != "on time":
        filed = past_or_none(due + timedelta(days=stream.randint(1, 300)), today) if way == "late" else None
    repaired = past_or_none(filed + timedelta(days=60), today) if filed and filed > due and number % 7 == 0 else None
    changed = max(d for d in (filed or due + timedelta(days=1), repaired) if d)
    return AnnualReport(
        id=number,
        subject=subject,
        year=due.year - 1,
        due_on=due,
        filed_on=filed,
        standing=Standing(repaired_on=repaired),
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def draw_commitments(
    department: Department, promise: practice.Promise, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[Commitment, ...]:
    """Promises of different subjects: most are kept, some are pending, every seventh was broken."""
    stream = open_stream(universe.seed, f"{department.id}/commitments")
    wanted = max(8, department.count(department.rates.promises or 0.0, len(supervised), len(universe.subjects)))
    bound = stream.sample(supervised, min(wanted, len(supervised)))
    return tuple(_promise(stream, department, promise, one, n, universe.today) for n, one in enumerate(bound, 1))


def _promise(
    stream: Random, department: Department, promise: practice.Promise, subject: Subject, number: int, today: date
) -> Commitment:
    made = days_before(stream, today, 20, 900)
    due = made + timedelta(days=180)
    is_broken = number % 7 == 3
    ended = past_or_none(due + timedelta(days=stream.randint(5, 60)) if is_broken else due, today)
    outcome = "履行中" if ended is None else "未履行" if is_broken else "已履行"
    authority = department.authority(subject)
    return Commitment(
        id=number,
        number=f"CN{department.number:02d}{made:%Y%m}{number:06d}",
        subject=subject,
        kind=promise.kind,
        matter=promise.matter,
        content=promise.content,
        made_on=made,
        due_on=due,
        outcome=outcome,
        ended_on=ended,
        authority=authority,
        updated_at=stamp(stream, max(made + timedelta(days=1), ended or made), today - timedelta(days=1)),
    )


def draw_licences(
    department: Department, licence: practice.Licence, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[Licence, ...]:
    """The licence that each subject holds now."""
    stream = open_stream(universe.seed, f"{department.id}/licences")
    return tuple(_license(stream, department, licence, one, n, universe.today) for n, one in enumerate(supervised, 1))


def _license(
    stream: Random, department: Department, licence: practice.Licence, subject: Subject, number: int, today: date
) -> Licence:
    span = 365 * licence.years
    left = stream.randint(1, 29) if number % _ENDING_EVERY == 0 else stream.randint(30, span - 1)
    until = today + timedelta(days=left)
    decided = until - timedelta(days=span)
    authority = department.authority(subject)
    return Licence(
        id=number,
        number=f"{authority.name}许字〔{decided.year}〕{number:05d}号",
        subject=subject,
        document=licence.document,
        kind=licence.kind,
        content=licence.content,
        decided_on=decided,
        valid_until=until,
        revoked_on=None,
        authority=authority,
        updated_at=stamp(stream, decided + timedelta(days=1), today - timedelta(days=1)),
    )


def draw_reported_grades(
    department: Department,
    evaluation: practice.Evaluation,
    supervised: tuple[Subject, ...],
    listings: tuple[Listing, ...],
    universe: Universe,
) -> tuple[ReportedGrade, ...]:
    """The last yearly evaluation: the grade of the list that a subject stood on that day, the best of all others."""
    stream = open_stream(universe.seed, f"{department.id}/reported_grades")
    today = universe.today
    day = date(today.year - (today <= date(today.year, evaluation.month, 20)), evaluation.month, 20)
    stood = {
        one.subject.code: evaluation.listed[one.list]
        for one in sorted(listings, key=lambda one: not one.is_severe, reverse=True)
        if one.listed_on <= day and (one.removed_on is None or one.removed_on > day)
    }
    best = next(iter(evaluation.grades))
    drawn: list[ReportedGrade] = []
    for place, subject in enumerate(supervised):
        if place % _UNEVALUATED_EVERY == 0:
            continue
        native = stood.get(subject.code, best)
        drawn.append(
            ReportedGrade(
                id=len(drawn) + 1,
                subject=subject,
                scheme=evaluation.scheme,
                method=evaluation.method,
                native=native,
                grade=evaluation.grades[native],
                cycle=f"{day.year - 1}年度",
                evaluated_on=day,
                authority=department.authority(subject),
                updated_at=stamp(stream, day + timedelta(days=stream.randint(1, 9)), today - timedelta(days=1)),
            )
        )
    return tuple(drawn)
