"""The double-random inspection list (双随机): who is inspected, and by whom, drawn so that anyone can draw it again.

Subjects are ordered by SM3(seed ‖ task ‖ subject) and the first ``ceil(ratio × n)`` of each
grade are taken, without those whose frequency cap is reached (facts §3.2, assumption H07).
Some inspections never depend on chance: those that a complaint, an accident or the law
demands. Inspectors are ordered the same way for each subject; each is inspected by two
(行政处罚法 42), neither of whom must avoid it (行政处罚法 43), and the load is spread.

Pure: the same candidates, inspectors, seed and task give the same list.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict

#: 行政处罚法 42: law-enforcement officers are not fewer than two.
TEAM: Final = 2
#: Between the parts of what is hashed: no seed, task or code holds it.
_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A graded subject. ``inspected``: routine inspections in its grade's period so far; ``demanded``: ids of rules."""

    subject_ref: str
    subject_name: str | None
    city_code: str
    grade: str
    inspected: int = 0
    demanded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """How a grade is inspected: so many per cent of its subjects a year, each at most ``at_most`` times a period."""

    ratio_percent: Decimal
    at_most: int

    def wanted(self, subjects: int) -> int:
        """``ceil(ratio × subjects)``, exactly."""
        return int((self.ratio_percent * subjects / 100).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Pool:
    """The subjects of one grade: how many there are, and each of them once."""

    grade: str
    allowance: Allowance
    subjects: int
    candidates: Iterable[Candidate]


@dataclass(frozen=True, slots=True)
class Inspector:
    """Who may inspect: in ``cities`` (none: everywhere), but not the subjects in ``avoids``."""

    number: str
    cities: frozenset[str] = frozenset()
    avoids: frozenset[str] = frozenset()

    def may_inspect(self, candidate: Candidate) -> bool:
        """Whether the city is theirs and nothing obliges them to stay away."""
        return candidate.subject_ref not in self.avoids and (not self.cities or candidate.city_code in self.cities)


class _Logged(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Chosen(_Logged):
    """One inspection. ``draw``: the SM3 that decided the order; ``because``: ``drawn``, and rules that demand it."""

    subject_ref: str
    subject_name: str | None
    city_code: str
    grade: str
    because: tuple[str, ...]
    draw: str
    inspectors: tuple[str, ...]


class GradeDraw(_Logged):
    """How one grade was drawn. ``wanted`` may be more than ``drawn`` where the caps leave too few."""

    subjects: int
    ratio_percent: Decimal
    at_most: int
    wanted: int
    capped: int
    drawn: int
    demanded: int


class InspectionList(_Logged):
    """The outcome of a draw, ordered by city, then subject."""

    grades: Mapping[str, GradeDraw]
    chosen: tuple[Chosen, ...]
    #: Subjects for whom fewer than two inspectors could be found.
    understaffed: tuple[str, ...]


@dataclass(slots=True)
class _Roster:
    """Inspectors and how many inspections each has so far."""

    inspectors: Sequence[Inspector]
    load: dict[str, int] = field(default_factory=dict)

    def assign(self, candidate: Candidate, seed: str, task: str) -> tuple[str, ...]:
        """The two with the least load; among equals chance decides."""
        fit = [one for one in self.inspectors if one.may_inspect(candidate)]
        fit.sort(key=lambda one: (self.load.get(one.number, 0), draw(seed, task, candidate.subject_ref, one.number)))
        team = tuple(one.number for one in fit[:TEAM])
        for number in team:
            self.load[number] = self.load.get(number, 0) + 1
        return tuple(sorted(team))


def draw(seed: str, task: str, *parts: str) -> str:
    """SM3 (GB/T 32905) in hex of the seed, the task and what is drawn."""
    return hashlib.new("sm3", _SEPARATOR.join((seed, task, *parts)).encode()).hexdigest()


def plan_inspections(
    pools: Iterable[Pool],
    inspectors: Sequence[Inspector],
    *,
    seed: str,
    task: str,
) -> InspectionList:
    """Draw the list; each pool is read once, and only who is chosen is held.

    Args:
        pools: every graded subject of the domain, by grade.
        inspectors: who may be sent; without any, nobody is assigned.
        seed: decides the draw; published before it, so that nobody can choose the outcome.
        task: the number of the inspection task.
    """
    figures: dict[str, GradeDraw] = {}
    chosen: dict[str, tuple[Candidate, bool]] = {}
    for pool in pools:
        tally = _Tally(pool.allowance.at_most)
        taken = heapq.nsmallest(
            pool.allowance.wanted(pool.subjects),
            tally.watch(pool.candidates),
            key=lambda one: draw(seed, task, one.subject_ref),
        )
        chosen |= {one.subject_ref: (one, False) for one in tally.demanded}
        chosen |= {one.subject_ref: (one, True) for one in taken}
        figures[pool.grade] = GradeDraw(
            subjects=pool.subjects,
            ratio_percent=pool.allowance.ratio_percent,
            at_most=pool.allowance.at_most,
            wanted=pool.allowance.wanted(pool.subjects),
            capped=tally.capped,
            drawn=len(taken),
            demanded=len(tally.demanded),
        )
    staffed = _staff(chosen.values(), inspectors, seed, task)
    short = tuple(one.subject_ref for one in staffed if len(one.inspectors) < TEAM)
    return InspectionList(grades=figures, chosen=staffed, understaffed=short)


@dataclass(slots=True)
class _Tally:
    """What a pool holds besides whom chance takes, counted while it is read."""

    at_most: int
    capped: int = 0
    demanded: list[Candidate] = field(default_factory=list)

    def watch(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Those whose cap is not reached."""
        for candidate in candidates:
            if candidate.demanded:
                self.demanded.append(candidate)
            if candidate.inspected < self.at_most:
                yield candidate
            else:
                self.capped += 1


def _staff(
    subjects: Iterable[tuple[Candidate, bool]], inspectors: Sequence[Inspector], seed: str, task: str
) -> tuple[Chosen, ...]:
    """Assign inspectors in the order of the draw: neither name nor city says who comes first."""
    roster = _Roster(sorted(inspectors, key=lambda one: one.number))
    ordered = sorted((draw(seed, task, one.subject_ref), one, drawn) for one, drawn in subjects)
    chosen = [
        Chosen(
            subject_ref=one.subject_ref,
            subject_name=one.subject_name,
            city_code=one.city_code,
            grade=one.grade,
            because=(*(("drawn",) if drawn else ()), *one.demanded),
            draw=place,
            inspectors=roster.assign(one, seed, task),
        )
        for place, one, drawn in ordered
    ]
    return tuple(sorted(chosen, key=lambda one: (one.city_code, one.subject_ref)))
