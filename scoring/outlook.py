"""Outlook: what would change a subject's grade, and when.

The subject's own records are scored again by the same engine and model: on the days to
come on which something ends or begins, and as if single records were repaired today. So
what is foretold is what will be computed, if nothing new happens: public credit and the
statistics of others are held as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from exchange_formats.periods import add_months
from exchange_formats.results import OWN_PUBLIC_CREDIT
from scoring.engine import evaluate
from scoring.findings import EvidenceFinding, GradeFinding, read_evidence, read_grade
from scoring.grammar import Counts
from scoring.model import Indicator, Override
from scoring.plan import Claimant, Plan, dataset_of
from scoring.records import has_tier
from scoring.resolution import ResolvedModel

#: So many days to come are scored; then the search ends and says so.
MAXIMUM_DAYS: Final = 24
#: So many changes of the grade are told.
MAXIMUM_GRADES: Final = 2
#: So many records are tried as repaired, those that weigh most first.
MAXIMUM_REPAIRS: Final = 8
_CLONE: Final = "~"


@dataclass(frozen=True, slots=True)
class RecordChange:
    """What becomes of one record: its points before and then, and why it counts no longer (None: it counts)."""

    indicator: str
    dataset: str
    record_id: str
    event_on: date | None
    before: Decimal
    after: Decimal
    excluded: str | None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the grade would be. ``day``: as of when; ``records``: what differs from the day before it."""

    day: date
    grade: str
    score: Decimal | None
    records: tuple[RecordChange, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """``next_change``: the first day on which anything changes; ``grades``: the first with another grade each.

    ``repairs``: as if these records, alone, were repaired on the day of the run. ``searched_until``: the last day
    that was looked at. ``missing``: points to the next better grade, where there is one and no override decides.
    """

    missing: tuple[str, Decimal] | None
    next_change: Prospect | None
    grades: tuple[Prospect, ...]
    repairs: tuple[Prospect, ...]
    searched_until: date


@dataclass(frozen=True, slots=True)
class _State:
    grade: GradeFinding
    evidence: tuple[EvidenceFinding, ...]


def foresee(
    resolved: ResolvedModel, inputs: Mapping[str, pa.Table], grade: GradeFinding, as_of: date, folder: Path
) -> Outlook:
    """The outlook of the one subject of ``inputs``.

    Args:
        resolved: the model of the run.
        inputs: the subject's own rows of every input; whole, what is about no subject.
        grade: what the run said of the subject.
        as_of: the day of the run.
        folder: where the engine may write; nothing is left there.
    """
    held = {source: _hold(source, table, grade) for source, table in inputs.items()}
    now = _score(resolved, held, as_of, folder)[grade.subject_ref]
    days = list_days(resolved, inputs, as_of)[:MAXIMUM_DAYS]
    next_change: Prospect | None = None
    grades: list[Prospect] = []
    before, searched = now, as_of
    for day in days:
        state = _score(resolved, _renew(held, day), day, folder)[grade.subject_ref]
        prospect = Prospect(day, state.grade.grade, state.grade.score, _differ(before, state))
        searched = day
        if next_change is None and (prospect.records or state.grade.score != before.grade.score):
            next_change = prospect
        if state.grade.grade != before.grade.grade:
            grades.append(prospect)
        if len(grades) == MAXIMUM_GRADES:
            break
        before = state
    return Outlook(
        missing=_measure_gap(resolved, grade),
        next_change=next_change,
        grades=tuple(grades),
        repairs=_try_repairs(resolved, held, now, as_of, folder),
        searched_until=searched,
    )


def list_days(resolved: ResolvedModel, inputs: Mapping[str, pa.Table], as_of: date) -> tuple[date, ...]:
    """Every later day on which one of the subject's records may begin, weigh less, or cease to count."""
    plan = Plan.of(resolved, as_of, inputs.keys())
    found: set[date] = set()
    for source in plan.sources:
        if claims := plan.claims(source):
            for table in (inputs[name] for name in plan.inputs(source)):
                found |= _count_down(plan, source, table, claims) | _turn(source, table, claims)
    return tuple(sorted(day for day in found if day > as_of))


def _count_down(plan: Plan, source: str, table: pa.Table, claims: Sequence[tuple[Claimant, Counts]]) -> set[date]:
    """The days after the periods that run from a record's own date, and the day it becomes final by default."""
    dataset = dataset_of(source)
    months = {plan.months(claimant, counts) for claimant, counts in claims}
    if any(isinstance(c.part, Indicator) and c.part.deduct and c.part.deduct.decay for c, _ in claims):
        months |= {step.months for step in plan.resolved.decay.steps}
    days = set(filter(None, table.column(dataset.event_on).to_pylist()))
    found = {add_months(day, count) + timedelta(days=1) for day in days for count in months}
    if has_tier(source):
        decree = plan.decree(source)
        published = table.column(decree.counted_from).to_pylist() if decree.counted_from else ()
        begins = days.union(filter(None, published))
        found |= {add_months(day, tier.months) + timedelta(days=1) for day in begins for tier in decree.tiers.values()}
    if "final_on" in dataset.columns:
        found |= {day + timedelta(days=plan.resolved.publicity.final_after) for day in days}
    return found | days


def _turn(source: str, table: pa.Table, claims: Sequence[tuple[Claimant, Counts]]) -> set[date]:
    """The days on which a record's state becomes another: final, repaired, removed, out of validity."""
    dataset = dataset_of(source)
    after = {c.part.afterwards.within for c, _ in claims if isinstance(c.part, Override) and c.part.afterwards}
    names = {
        *dataset.states.columns,
        "review_opened_on",
        "review_closed_on",
        *(counts.valid_until for _, counts in claims),
    }
    found: set[date] = set()
    for name in names & dataset.columns.keys():
        for day in filter(None, table.column(name).to_pylist()):
            found |= {day, day + timedelta(days=1), *(day + timedelta(days=count + 1) for count in after)}
    return found


def _hold(source: str, table: pa.Table, grade: GradeFinding) -> pa.Table:
    """Of public credit only the result that counted in the run."""
    if not _is_public_credit(source):
        return table
    if grade.public_credit_evaluated_on is None:
        return table.slice(0, 0)
    return table.filter(pc.equal(table.column("evaluated_on"), grade.public_credit_evaluated_on))


def _is_public_credit(source: str) -> bool:
    return source == OWN_PUBLIC_CREDIT or source.endswith("/public_credit")


def _renew(inputs: Mapping[str, pa.Table], day: date) -> dict[str, pa.Table]:
    """Public credit as if it were evaluated again on ``day``, with the same score."""
    return {
        source: _replace(table, "evaluated_on", day) if _is_public_credit(source) else table
        for source, table in inputs.items()
    }


def _replace(table: pa.Table, name: str, value: object) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array([value] * table.num_rows, field.type))


def _score(resolved: ResolvedModel, inputs: Mapping[str, pa.Table], day: date, folder: Path) -> Mapping[str, _State]:
    with TemporaryDirectory(dir=folder, prefix="outlook-") as name:
        evaluation = evaluate(resolved, inputs, day, Path(name), threads=1)
        grades, evidence = (
            pads.dataset(evaluation.paths(one), format="ipc").to_table().to_pylist() for one in ("grades", "evidence")
        )
    rows: dict[str, list[EvidenceFinding]] = {}
    for row in read_evidence(evidence):
        rows.setdefault(row.subject_ref, []).append(row)
    found = (read_grade(row) for row in grades)
    return {one.subject_ref: _State(one, tuple(rows.get(one.subject_ref, ()))) for one in found}


def _differ(before: _State, after: _State) -> tuple[RecordChange, ...]:
    """Records whose points or whose reason not to count are others."""
    old, new = _by_record(before.evidence), _by_record(after.evidence)
    changes = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        known = now or was
        if known is None or (was and now and (was.points, was.excluded) == (now.points, now.excluded)):
            continue
        changes.append(
            RecordChange(
                indicator=key[0],
                dataset=key[1],
                record_id=key[2],
                event_on=known.event_on,
                before=was.points if was else Decimal(0),
                after=now.points if now else Decimal(0),
                # A record that no row names any more is past everything that could count it.
                excluded=now.excluded if now else "lookback_ended",
            )
        )
    return tuple(changes)


def _by_record(evidence: Iterable[EvidenceFinding]) -> Mapping[tuple[str, str, str], EvidenceFinding]:
    return {(row.indicator or "", row.dataset or "", row.record_id): row for row in evidence if row.record_id}


def _try_repairs(
    resolved: ResolvedModel, inputs: Mapping[str, pa.Table], now: _State, as_of: date, folder: Path
) -> tuple[Prospect, ...]:
    """Each record that takes points or decides the grade, repaired alone: clones of the subject in one evaluation."""
    burdens = [
        row
        for row in now.evidence
        if row.excluded is None and row.record_id and (row.points < 0 or row.entry == "override") and _repairable(row)
    ]
    burdens.sort(key=lambda row: (row.entry != "override", row.points, row.record_id or ""))
    tried = burdens[:MAXIMUM_REPAIRS]
    if not tried:
        return ()
    subject = now.grade.subject_ref
    cloned = {
        source: pa.concat_tables([_clone(table, number, row, source, as_of) for number, row in enumerate(tried)])
        if "subject_ref" in table.schema.names
        else table
        for source, table in inputs.items()
    }
    states = _score(resolved, cloned, as_of, folder)
    return tuple(
        Prospect(as_of, state.grade.grade, state.grade.score, (_repair(row),))
        for number, row in enumerate(tried)
        if (state := states.get(f"{subject}{_CLONE}{number}"))
    )


def _repairable(row: EvidenceFinding) -> bool:
    return "repaired_on" in dataset_of(row.dataset or "").columns


def _repair(row: EvidenceFinding) -> RecordChange:
    return RecordChange(
        indicator=row.indicator or "",
        dataset=row.dataset or "",
        record_id=row.record_id or "",
        event_on=row.event_on,
        before=row.points,
        after=Decimal(0),
        excluded="repaired",
    )


def _clone(table: pa.Table, number: int, repaired: EvidenceFinding, source: str, as_of: date) -> pa.Table:
    """The subject's rows under another name; its one record as if repaired on ``as_of``."""
    clone = f"{_CLONE}{number}"
    if source == repaired.dataset and table.num_rows:
        place = table.schema.get_field_index("repaired_on")
        mine = pc.equal(table.column("record_id"), repaired.record_id)
        day = pa.scalar(as_of, pa.date32())
        table = table.set_column(
            place, table.schema.field(place), pc.if_else(mine, day, table.column("repaired_on")).cast(pa.date32())
        )
    for name in ("subject_ref", "record_id"):
        if name in table.schema.names:
            place = table.schema.get_field_index(name)
            renamed = pc.binary_join_element_wise(table.column(name), pa.scalar(clone), "")
            table = table.set_column(place, table.schema.field(place), renamed)
    return table


def _measure_gap(resolved: ResolvedModel, grade: GradeFinding) -> tuple[str, Decimal] | None:
    """The next better grade by score, and the points that are missing to it."""
    if grade.score is None or grade.override_reasons or grade.grade != grade.computed_grade:
        return None
    better = [band for band in resolved.bands.bands if band.from_ > grade.score]
    return (better[-1].grade, better[-1].from_ - grade.score) if better else None
