"""One valid example of every message type: made up, the same each time, about nobody who exists.

The unified codes have right check digits and belong to the made-up division 339999.
"""

from __future__ import annotations

from datetime import date

from exchange_formats.digests import derive_id, derive_uuid, digest_bytes
from exchange_formats.messages.grades import (
    GradeResult,
    GradesEvaluated,
    GradesWithdrawn,
    Measure,
    PublicCredit,
    Reason,
    RunData,
    Slice,
    WithdrawnGrade,
)
from exchange_formats.messages.parties import Subject
from exchange_formats.messages.warning_log import Warning_, WarningCleared, WarningRaised

DOMAIN = "enterprise_environment"
_AS_OF = date(2026, 6, 30)
SUBJECT = Subject(
    subject_ref="91339999MA0EXAMP1H",
    subject_type="enterprise",
    subject_name="示例化工有限公司",
    city_code="330100",
)


def _run(sequence: int) -> RunData:
    return RunData(
        domain=DOMAIN,
        model=f"{DOMAIN}@2026.1",
        model_sha256=digest_bytes(b"example model"),
        as_of=_AS_OF,
        run_id=derive_id("example run"),
        manifest_sha256=digest_bytes(b"example manifest"),
        sequence=sequence,
    )


def grades_evaluated() -> GradesEvaluated:
    """One enterprise that fell from B to C."""
    return GradesEvaluated(
        **_run(118).model_dump(),
        slice=Slice(number=1, of=12),
        results=(
            GradeResult(
                **SUBJECT.model_dump(),
                score="798.00",
                grade="C",
                computed_grade="C",
                previous_grade="B",
                public_credit=PublicCredit(origin="platform", score="820.00", evaluated_on=date(2026, 6, 1)),
                reasons=(
                    Reason(indicator="IND1201", title="超标排放被罚", value=1, points="-48", basis=("环境保护法 59",)),
                ),
                measures=(Measure(code="M05", title="提高双随机抽查比例"),),
            ),
        ),
    )


def grades_withdrawn() -> GradesWithdrawn:
    """One enterprise that is no longer in the domain."""
    return GradesWithdrawn(
        **_run(129).model_dump(),
        slice=Slice(number=1, of=1),
        results=(WithdrawnGrade(**SUBJECT.model_dump(), previous_grade="C"),),
    )


def _warning() -> Warning_:
    return Warning_(
        **SUBJECT.model_dump(),
        id=str(derive_uuid(DOMAIN, SUBJECT.subject_ref, "frequent_penalties", "example")),
        rule="frequent_penalties",
        level="orange",
        title="90 日内被罚三次以上",
        triggered_on=date(2026, 6, 15),
        trigger="rec_example",
        records=3,
    )


def warning_raised() -> WarningRaised:
    """Three penalties within 90 days."""
    return WarningRaised(**_run(117).model_dump(), warning=_warning())


def warning_cleared() -> WarningCleared:
    """The same warning, 90 days later."""
    return WarningCleared(**_run(240).model_dump(), warning=_warning())
