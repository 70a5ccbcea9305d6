"""Comparison: what another model would have given the same subjects on the same day (architecture §5.4).

Two evaluations of one cut are compared: who moves from which grade to which, how far
scores shift, who moves most and by which indicators, and whether some kind of subject is
moved more than the others. Pure: artefacts in, figures out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

#: Best first; N stands outside of the order.
LETTERS: Final = ("A", "B", "C", "D", "E")
#: Width of a bar of the histogram, in points; what shifts further than ``_REACH`` is in the last bar.
BAR_POINTS: Final = 10
_REACH: Final = 200
_CENTI: Final = 100
#: Of a mover, so many indicators explain the move.
_CONTRIBUTIONS: Final = 3

Attribute = Literal["city", "size", "age", "type"]
ATTRIBUTES: Final[tuple[Attribute, ...]] = ("city", "size", "age", "type")

#: What fairness is looked at by, one row a subject: texts that the caller chose, null where unknown.
TRAITS: Final = pa.schema(
    [pa.field("subject_ref", pa.string(), nullable=False), *(pa.field(name, pa.string()) for name in ATTRIBUTES)]
)


@dataclass(frozen=True, slots=True)
class Findings:
    """One evaluation's artefacts, as datasets of GRADES and EVIDENCE."""

    grades: pads.Dataset
    evidence: pads.Dataset


@dataclass(frozen=True, slots=True)
class Move:
    """So many subjects went from grade ``old`` to grade ``new``."""

    old: str
    new: str
    subjects: int

    @property
    def steps(self) -> int | None:
        """How many grades down (negative: up); None from or to N."""
        if self.old not in LETTERS or self.new not in LETTERS:
            return None
        return LETTERS.index(self.new) - LETTERS.index(self.old)


@dataclass(frozen=True, slots=True)
class Bar:
    """Subjects whose score shifts by ``low`` points or more and less than ``high``; None: open."""

    low: int | None
    high: int | None
    subjects: int


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one indicator (or dimension, where there is none) gave before and gives now; ``_override``: a veto."""

    name: str
    old: Decimal
    new: Decimal


@dataclass(frozen=True, slots=True)
class Mover:
    """A subject that moves far, and by what. The name is as GRADES shows it: masked where it may be a person's."""

    subject_ref: str
    subject_name: str | None
    city_code: str
    old_grade: str
    new_grade: str
    old_score: Decimal | None
    new_score: Decimal | None
    overrides_gained: tuple[str, ...]
    overrides_lost: tuple[str, ...]
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """How one kind of subject fares; ``good``: A or B. ``mean_shift`` in points, of those with both scores."""

    attribute: Attribute
    value: str | None
    subjects: int
    good_old: int
    good_new: int
    worst_old: int
    worst_new: int
    up: int
    down: int
    mean_shift: Decimal | None

    @property
    def good_shift(self) -> Decimal:
        """Change of the share of A and B, in percentage points, two decimals."""
        return _share(self.good_new - self.good_old, self.subjects)

    @property
    def down_share(self) -> Decimal:
        """Share of subjects that fall, per cent, two decimals."""
        return _share(self.down, self.subjects)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything the comparison found. ``subjects``: graded by both; the others are only counted."""

    subjects: int
    only_old: int
    only_new: int
    moves: tuple[Move, ...]
    bars: tuple[Bar, ...]
    movers: tuple[Mover, ...]
    groups: tuple[Group, ...]

    @property
    def moved(self) -> int:
        """Subjects whose grade is another."""
        return sum(move.subjects for move in self.moves if move.old != move.new)

    @property
    def far_moved(self) -> int:
        """Subjects that move two grades or more."""
        return sum(move.subjects for move in self.moves if move.steps is not None and abs(move.steps) >= 2)

    def of(self, attribute: Attribute) -> tuple[Group, ...]:
        """The groups of one attribute, the largest first."""
        return tuple(group for group in self.groups if group.attribute == attribute)

    def singled_out(self, attribute: Attribute) -> tuple[Group, ...]:
        """Groups that fall at least 1.25 times as often as all subjects together (the mirror of a four-fifths rule)."""
        falls = sum(move.subjects for move in self.moves if (move.steps or 0) > 0)
        return tuple(
            group
            for group in self.of(attribute)
            if group.down and group.down * self.subjects * 4 >= falls * group.subjects * 5
        )


def compare_findings(old: Findings, new: Findings, traits: pa.Table, *, movers: int = 20) -> Comparison:
    """Compare two evaluations.

    Args:
        old: the artefacts of the model there is.
        new: the artefacts of the other one.
        traits: TRAITS; subjects without a row stand under an unknown value.
        movers: how many of the biggest movers to explain.
    """
    with closing(duckdb.connect()) as connection:
        connection.register("old_grades", old.grades)
        connection.register("new_grades", new.grades)
        connection.register("traits", traits)
        connection.execute(_PAIRS)
        counted = connection.sql(
            "SELECT (SELECT count(*) FROM pairs), "
            "(SELECT count(*) FROM old_grades) - (SELECT count(*) FROM pairs), "
            "(SELECT count(*) FROM new_grades) - (SELECT count(*) FROM pairs)"
        ).fetchall()[0]
        both, only_old, only_new = counted
        return Comparison(
            subjects=both,
            only_old=only_old,
            only_new=only_new,
            moves=_read_moves(connection),
            bars=_read_bars(connection),
            movers=_read_movers(connection, old, new, movers),
            groups=tuple(group for name in ATTRIBUTES for group in _read_groups(connection, name)),
        )


#: One row a subject graded by both; shift in centipoints, steps: grades down.
_PAIRS = f"""
CREATE TEMP TABLE pairs AS
SELECT o.subject_ref, n.subject_name, n.city_code, o.grade AS old_grade, n.grade AS new_grade,
       o.score AS old_score, n.score AS new_score,
       CAST((n.score - o.score) * {_CENTI} AS BIGINT) AS shift,
       CASE WHEN o.grade <> 'N' AND n.grade <> 'N' THEN ascii(n.grade) - ascii(o.grade) END AS steps,
       list_filter(n.override_reasons, lambda one: NOT list_contains(o.override_reasons, one)) AS gained,
       list_filter(o.override_reasons, lambda one: NOT list_contains(n.override_reasons, one)) AS lost
FROM old_grades AS o JOIN new_grades AS n USING (subject_ref)
"""


def _read_moves(connection: duckdb.DuckDBPyConnection) -> tuple[Move, ...]:
    query = "SELECT old_grade, new_grade, count(*) FROM pairs GROUP BY ALL ORDER BY ALL"
    return tuple(Move(*row) for row in connection.sql(query).fetchall())


def _read_bars(connection: duckdb.DuckDBPyConnection) -> tuple[Bar, ...]:
    """Bars from the lowest shift to the highest without a hole; no bar where nothing shifts."""
    width, last = BAR_POINTS * _CENTI, _REACH // BAR_POINTS
    # The floor of a quotient of integers: // rounds towards zero, so the negative side is turned around.
    place = f"CASE WHEN shift >= 0 THEN shift // {width} ELSE -((-shift + {width - 1}) // {width}) END"
    query = (
        f"SELECT greatest({-last - 1}, least({last}, {place})) AS place, count(*) FROM pairs "
        "WHERE shift IS NOT NULL GROUP BY place"
    )
    counts: dict[int, int] = dict(connection.sql(query).fetchall())
    if not counts:
        return ()
    return tuple(
        Bar(
            low=None if place < -last else place * BAR_POINTS,
            high=None if place >= last else (place + 1) * BAR_POINTS,
            subjects=counts.get(place, 0),
        )
        for place in range(min(counts), max(counts) + 1)
    )


def _read_movers(connection: duckdb.DuckDBPyConnection, old: Findings, new: Findings, count: int) -> tuple[Mover, ...]:
    """The furthest by grades, then by points; only subjects that move at all."""
    rows = connection.execute(
        "SELECT subject_ref, subject_name, city_code, old_grade, new_grade, old_score, new_score, gained, lost "
        "FROM pairs WHERE old_grade <> new_grade OR shift <> 0 "
        "ORDER BY coalesce(abs(steps), 0) DESC, coalesce(abs(shift), 0) DESC, subject_ref LIMIT ?",
        [count],
    ).fetchall()
    chosen = [row[0] for row in rows]
    before, after = (_sum_evidence(findings.evidence, chosen) for findings in (old, new))
    return tuple(
        Mover(
            subject_ref=subject,
            subject_name=name,
            city_code=city,
            old_grade=old_grade,
            new_grade=new_grade,
            old_score=old_score,
            new_score=new_score,
            overrides_gained=tuple(gained),
            overrides_lost=tuple(lost),
            contributions=_contribute(before.get(subject, {}), after.get(subject, {})),
        )
        for subject, name, city, old_grade, new_grade, old_score, new_score, gained, lost in rows
    )


def _sum_evidence(evidence: pads.Dataset, subjects: Sequence[str]) -> Mapping[str, Mapping[str, Decimal]]:
    """Subject → indicator (else dimension) → points."""
    wanted = pads.field("subject_ref").isin(pa.array(list(subjects), pa.string()))
    found: dict[str, dict[str, Decimal]] = {}
    columns = ["subject_ref", "dimension", "indicator", "points"]
    for row in evidence.to_table(columns=columns, filter=wanted).to_pylist():
        sums = found.setdefault(row["subject_ref"], {})
        name = row["indicator"] or row["dimension"]
        sums[name] = sums.get(name, Decimal(0)) + row["points"]
    return found


def _contribute(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> tuple[Contribution, ...]:
    zero = Decimal(0)
    every = [Contribution(name, before.get(name, zero), after.get(name, zero)) for name in {**before, **after}]
    differing = [one for one in every if one.old != one.new]
    differing.sort(key=lambda one: (-abs(one.new - one.old), one.name))
    return tuple(differing[:_CONTRIBUTIONS])


def _read_groups(connection: duckdb.DuckDBPyConnection, attribute: Attribute) -> Iterable[Group]:
    good, worst = "IN ('A', 'B')", "= 'E'"
    query = (
        f'SELECT t."{attribute}" AS value, count(*) AS subjects, '
        f"count(*) FILTER (WHERE old_grade {good}), count(*) FILTER (WHERE new_grade {good}), "
        f"count(*) FILTER (WHERE old_grade {worst}), count(*) FILTER (WHERE new_grade {worst}), "
        "count(*) FILTER (WHERE steps < 0), count(*) FILTER (WHERE steps > 0), "
        "CAST(sum(shift) AS BIGINT), count(shift) "
        "FROM pairs LEFT JOIN traits AS t USING (subject_ref) GROUP BY value ORDER BY subjects DESC, value NULLS LAST"
    )
    for value, subjects, good_old, good_new, worst_old, worst_new, up, down, shift, scored in connection.sql(
        query
    ).fetchall():
        yield Group(
            attribute=attribute,
            value=value,
            subjects=subjects,
            good_old=good_old,
            good_new=good_new,
            worst_old=worst_old,
            worst_new=worst_new,
            up=up,
            down=down,
            mean_shift=(Decimal(shift) / _CENTI / scored).quantize(Decimal("0.01"), ROUND_HALF_UP) if scored else None,
        )


def _share(part: int, whole: int) -> Decimal:
    return (Decimal(part * 100) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else Decimal(0)
