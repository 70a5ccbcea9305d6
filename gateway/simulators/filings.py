"""Draw what only the market department holds: listings (经营异常, 严重违法失信) and annual reports."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from gateway.simulators.departments import Department
from gateway.simulators.draws import days_before, open_stream, past_or_none, share_out, stamp
from gateway.simulators.occurrences import draw_standing
from gateway.simulators.records import AnnualReport, Listing, Standing
from gateway.simulators.universe import Subject, Universe
from gateway.simulators.violations import ABNORMAL_CAUSES, SERIOUS_CAUSES

_ABNORMAL_RATE = 0.012
_SERIOUS_RATE = 0.0006
# Shares of reports: on time, late, missing.
_FILING = ("on time", "late", "missing")
_FILING_WEIGHTS = (952, 30, 18)


def draw_listings(department: Department, supervised: tuple[Subject, ...], universe: Universe) -> tuple[Listing, ...]:
    """Entries of both lists; ids count from 1 within each list."""
    stream = open_stream(universe.seed, f"{department.id}/listings")
    count = len(universe.subjects)
    floor = 3 if count >= 5_000 else 1
    abnormal = share_out(round(count * _ABNORMAL_RATE), [weight for *_, weight in ABNORMAL_CAUSES], floor)
    serious = share_out(round(count * _SERIOUS_RATE), [weight for *_, weight in SERIOUS_CAUSES], floor)
    causes = [(False, *cause[:2]) for cause, n in zip(ABNORMAL_CAUSES, abnormal, strict=True) for _ in range(n)]
    stream.shuffle(causes)
    causes += [(True, *cause[:2]) for cause, n in zip(SERIOUS_CAUSES, serious, strict=True) for _ in range(n)]
    first_serious = sum(abnormal)
    return tuple(
        _list(
            stream, department, stream.choice(supervised), cause, i - first_serious if cause[0] else i, universe.today
        )
        for i, cause in enumerate(causes)
    )


def _list(
    stream: Random, department: Department, subject: Subject, cause: tuple[bool, str, str], turn: int, today: date
) -> Listing:
    is_serious, code, text = cause
    listed = days_before(stream, today, 5, 1500)
    removed = None
    if is_serious and turn % 3 == 1:
        # Within the 90 days that cap the grade after delisting (semantics §3).
        removed = days_before(stream, today, 2, 80)
        listed = removed - timedelta(days=stream.randint(400, 1100))
    elif not is_serious and stream.random() < 0.6:
        removed = past_or_none(listed + timedelta(days=stream.randint(20, 700)), today)
    standing = Standing() if is_serious else draw_standing(stream, turn, listed, today)
    changed = max(d for d in (listed + timedelta(days=1), removed, standing.latest) if d)
    authority = department.authority(subject)
    kind = "严重违法" if is_serious else "异常"
    return Listing(
        id=turn + 1,
        is_serious=is_serious,
        decision=f"{authority.name}列{kind}决字〔{listed.year}〕{turn + 1:05d}号",
        subject=subject,
        code=code,
        cause=text,
        listed_on=listed,
        removed_on=removed,
        removal_cause=("列入期满, 已履行义务" if is_serious else "依法办理住所变更或者补报年报") if removed else None,
        standing=standing,
        authority=authority,
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )


def draw_annual_reports(
    department: Department, supervised: tuple[Subject, ...], universe: Universe
) -> tuple[AnnualReport, ...]:
    """The last due year of every subject, and the late or missing reports of the two years before.

    A report of year Y is due on 30 June of Y+1 (企业信息公示暂行条例 art. 8).
    """
    stream = open_stream(universe.seed, f"{department.id}/annual_reports")
    today = universe.today
    last = today.year - 1 if today > date(today.year, 6, 30) else today.year - 2
    drawn: list[AnnualReport] = []
    for year in (last - 2, last - 1, last):
        ways = stream.choices(_FILING, weights=_FILING_WEIGHTS, k=len(supervised))
        for subject, way in zip(supervised, ways, strict=True):
            if (year == last or way != "on time") and subject.registered_on <= f"{year}-12-31":
                drawn.append(_report(stream, subject, (len(drawn) + 1, year), way, today))
    return tuple(drawn)


def _report(stream: Random, subject: Subject, place: tuple[int, int], way: str, today: date) -> AnnualReport:
    number, year = place
    due = date(year + 1, 6, 30)
    filed: date | None = date(year + 1, 1, 1) + timedelta(days=stream.randint(0, 180))
    if way != "on time":
        filed = past_or_none(due + timedelta(days=stream.randint(1, 300)), today) if way == "late" else None
    repaired = past_or_none(filed + timedelta(days=60), today) if filed and filed > due and number % 7 == 0 else None
    changed = max(d for d in (filed or due + timedelta(days=1), repaired) if d)
    return AnnualReport(
        id=number,
        subject=subject,
        year=year,
        due_on=due,
        filed_on=filed,
        standing=Standing(repaired_on=repaired),
        updated_at=stamp(stream, changed, today - timedelta(days=1)),
    )
