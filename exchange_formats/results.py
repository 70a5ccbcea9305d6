"""Arrow schemas of what one scoring run says: its artefacts (architecture §5.1, semantics §3, §4).

Every artefact is an Arrow IPC file in a fixed row order. Points and scores are exact
decimals. Titles and legal bases are not repeated on rows: they stand in the run's
resolved model, stored beside the artefacts as ``model.json``.
"""

from __future__ import annotations

from typing import Final, Literal

import pyarrow as pa

#: Public credit is missing or older than its cycle: the neutral value stands in (semantics §3).
PUBLIC_CREDIT_MISSING: Final = "PUBLIC_CREDIT_MISSING"
#: A record that counts is under objection: it counts, and says so (semantics §2).
UNDER_OBJECTION: Final = "UNDER_OBJECTION"

#: Where the public-credit part came from: the platform's result, our own evaluation's, the model's neutral
#: value in place of a missing one; none where the model has no such part.
PublicCreditOrigin = Literal["platform", "own_model", "neutral", "none"]
#: What one row of evidence is. ``_…`` rows are amounts no single record explains.
EvidenceEntry = Literal[
    "public_credit", "reported", "_base", "record", "override", "_measure", "_cap", "_clamp", "_rounding"
]
#: Whether we computed the grade from points, or took the one the department finished itself (接口调用).
GradeOrigin = Literal["computed", "reported"]
#: Why a record that an indicator claims does not count at as_of (semantics §2).
Exclusion = Literal[
    "simple_procedure",
    "review_open",
    "not_final",
    "repaired",
    "publicity_ended",
    "lookback_ended",
    "validity_ended",
    "removed",
    "grade_reported",
    "grade_unknown",
]


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


SCORE: Final = pa.decimal128(6, 2)
#: The input that holds our own public-credit results: newest runs of the public-credit domains, as one relation.
OWN_PUBLIC_CREDIT: Final = "scored/public_credit"
OWN_PUBLIC_CREDIT_SCHEMA: Final = pa.schema(
    [
        _required("subject_ref", pa.string()),
        #: Null where the subject has no score.
        pa.field("score", SCORE),
        #: The run's as_of.
        _required("evaluated_on", pa.date32()),
    ]
)
POINTS: Final = pa.decimal128(18, 8)
FACTOR: Final = pa.decimal128(4, 2)
#: A count, sum, share or number of days, fixed-point.
VALUE: Final = pa.decimal128(18, 6)
TEXTS: Final = pa.list_(pa.field("item", pa.string(), nullable=False))
#: One indicator's part in a score: how many records counted and what they gave (negative: took).
REASON: Final = pa.struct(
    [_required("indicator", pa.string()), _required("records", pa.int64()), _required("points", POINTS)]
)

#: The input that holds the reference statistics of a cycle.
REFERENCE_STATISTICS: Final = "scored/reference_statistics"
#: One row a statistic and group, ordered by both.
STATISTICS: Final = pa.schema(
    [
        _required("statistic", pa.string()),
        #: An industry division, a city; empty for all subjects together or where the profile names none.
        _required("group", pa.string()),
        #: Subjects of the group that have a value.
        _required("subjects", pa.int64()),
        #: Null where they are fewer than the statistic's minimum.
        pa.field("value", VALUE),
    ]
)

#: Whom a row is about, as every artefact of subjects says it.
SUBJECT: Final = [
    _required("subject_ref", pa.string()),
    _required("subject_type", pa.string()),
    #: As it may be shown: masked where it may be a person's.
    pa.field("subject_name", pa.string()),
    _required("individual_business", pa.bool_()),
    _required("city_code", pa.string()),
]

#: One row a subject, ordered by subject_ref.
GRADES: Final = pa.schema(
    [
        *SUBJECT,
        #: The computed score, kept under an override; null where there is none to show: computed_grade is N, or
        #: the grade is a reported one.
        pa.field("score", SCORE),
        _required("grade", pa.string()),
        #: What the grade is without overrides: by the score, or as reported.
        _required("computed_grade", pa.string()),
        #: computed or reported; what is reported is never called replayable.
        _required("origin", pa.string()),
        #: The grade by another scheme, and that scheme; null where there is none.
        pa.field("native_grade", pa.string()),
        pa.field("native_scheme", pa.string()),
        #: Ids of every override that applies, in the model's order, also those a stronger one hides.
        _required("override_reasons", TEXTS),
        _required("flags", TEXTS),
        #: Null iff the model has no public-credit part.
        pa.field("public_credit_score", SCORE),
        _required("public_credit_origin", pa.string()),
        pa.field("public_credit_evaluated_on", pa.date32()),
        #: At most five, the largest absolute points first, then as the model is written.
        _required("reasons", pa.list_(pa.field("item", REASON, nullable=False))),
        #: Codes of the measures that follow from the grade (semantics: rights are never limited without law).
        _required("measures", TEXTS),
        #: Indicators whose data nobody collects yet: never silently zero (semantics §2).
        _required("not_collected", TEXTS),
    ]
)

#: What counted, or was excluded with its reason. Per subject the points add up to the score exactly
#: (to nothing where there is no score). Ordered by subject, then as the model is written.
EVIDENCE: Final = pa.schema(
    [
        _required("subject_ref", pa.string()),
        #: The dimension's id; ``_total`` for rounding, ``_override`` for what an override claims.
        _required("dimension", pa.string()),
        #: The indicator's, override's or (for a group's ``_cap``) group's id.
        pa.field("indicator", pa.string()),
        _required("entry", pa.string()),
        _required("points", POINTS),
        #: ``department/dataset`` of the record.
        pa.field("dataset", pa.string()),
        pa.field("record_id", pa.string()),
        pa.field("batch_id", pa.string()),
        pa.field("event_on", pa.date32()),
        #: Null where the record counts.
        pa.field("excluded", pa.string()),
        #: points = ± base_points × repeat_factor × decay_factor × the dimension's scale.
        pa.field("base_points", pa.decimal128(9, 2)),
        pa.field("repeat_factor", FACTOR),
        pa.field("decay_factor", FACTOR),
        #: Publicity tier of a penalty.
        pa.field("tier", pa.string()),
        pa.field("under_objection", pa.bool_()),
        #: What was measured, on ``_measure`` rows.
        pa.field("value", VALUE),
    ]
)

#: Warnings that stand at as_of, ordered by subject_ref, then rule as the table is written.
WARNINGS: Final = pa.schema(
    [
        #: UUIDv5 of domain, subject reference, rule and first trigger: the same while the warning stands.
        _required("id", pa.string()),
        *SUBJECT,
        _required("rule", pa.string()),
        _required("level", pa.string()),
        #: The day of the first trigger; null where no record but the score or a comparison is the trigger.
        pa.field("triggered_on", pa.date32()),
        #: The record that first triggered it, or ``band:<grade>``, ``above:<statistic>``.
        _required("first_trigger", pa.string()),
        #: Records behind it at as_of; 0 where the score itself is the trigger.
        _required("records", pa.int64()),
        pa.field("dataset", pa.string()),
        #: The newest trigger: only a newer one raises a warning again that is over.
        pa.field("last_triggered_on", pa.date32()),
        _required("last_trigger", pa.string()),
    ]
)

#: Which measures follow from which grade in this run, and for how many subjects; ordered by grade, code.
MEASURES: Final = pa.schema(
    [
        _required("grade", pa.string()),
        _required("code", pa.string()),
        _required("title", pa.string()),
        _required("title_en", pa.string()),
        _required("basis", TEXTS),
        _required("subjects", pa.int64()),
    ]
)

#: Records of the model's own department whose subject is in none of its profiles: quarantined, not scored.
UNMATCHED: Final = pa.schema(
    [
        #: ``department/dataset``.
        _required("dataset", pa.string()),
        _required("record_id", pa.string()),
        _required("subject_ref", pa.string()),
        pa.field("event_on", pa.date32()),
        pa.field("batch_id", pa.string()),
    ]
)

#: Artefact name → schema; the file is ``<name>.arrow``.
ARTEFACTS: Final = {
    "grades": GRADES,
    "evidence": EVIDENCE,
    "warnings": WARNINGS,
    "measures": MEASURES,
    "unmatched": UNMATCHED,
}
#: The resolved model beside them, canonical JSON; its digest is the run's model_sha256.
MODEL_FILE: Final = "model.json"
