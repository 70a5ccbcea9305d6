"""Grammar of grades by another scheme than the uniform A to E: native grades, and grades a department reports.

The uniform grade is always there; the *native* one is kept beside it (facts §1.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.grammar import DatasetName, Text
from scoring.quantities import Frozen, Months
from scoring.tables import Status

#: Points on a native scale, which may have another total than 1000.
NativePoints = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=2)]


class NativeBand(Frozen):
    """One native grade, by its own name: ``from`` is included, ``below`` is not (null: no upper end)."""

    grade: Text
    from_: Annotated[NativePoints, Field(alias="from")]
    below: NativePoints | None


class Native(Frozen):
    """The native grade of a national or departmental method whose total is not 1000.

    The score × ``total`` / 1000, rounded half up to hundredths, falls into one of the bands, best
    first. A veto gives the last of them.
    """

    scheme: Text
    scheme_en: Text
    basis: Annotated[tuple[Text, ...], Field(min_length=1)]
    status: Status
    total: Annotated[Decimal, Field(gt=0, le=1000, decimal_places=2)]
    bands: Annotated[tuple[NativeBand, ...], Field(min_length=1)]


class Reported(Frozen):
    """Finished grades of the department's own method (接口调用): they take the place of the computed grade.

    A subject's newest one at as_of counts that is not older than the method's cycle and still valid;
    ``crosswalk`` names the table that gives the uniform grade. Overrides apply to it as to a computed
    grade. It is never called replayable: its score was not computed here.
    """

    dataset: DatasetName = "reported_grade"
    crosswalk: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
    not_older_than: Months


def check_native(document: Document[Any], native: Native, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Native bands lie end to end from 0 upwards, best first, each grade once, and all within the total."""
    for index, band in enumerate(native.bands):
        here = (*path, "bands", index)
        upper = native.bands[index - 1].from_ if index else None
        if band.below != upper:
            shown = "null" if upper is None else str(upper)
            yield document.problem((*here, "below"), "the bands overlap or leave a gap", expected=shown)
        # The best band may begin at the total itself: only a full score has it.
        if band.from_ > native.total or (upper is not None and band.from_ >= upper):
            yield document.problem((*here, "from"), "the band is empty", expected=f"less than {upper or native.total}")
    last = native.bands[-1]
    if last.from_ != 0:
        where = (*path, "bands", len(native.bands) - 1, "from")
        yield document.problem(where, "the lowest band must begin at 0", got=str(last.from_))
    if len({band.grade for band in native.bands}) != len(native.bands):
        yield document.problem((*path, "bands"), "a grade stands twice")
