"""One valid example of every message type: made up, the same each time, about nobody who exists.

The unified codes have right check digits and belong to the made-up division 339999.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from exchange_formats.digests import derive_id, derive_uuid, digest_bytes
from exchange_formats.manifests import Counts
from exchange_formats.messages.checkpoints import Chain, CheckpointCommitted, build_checkpoint
from exchange_formats.messages.feedback import (
    BatchPointer,
    FeedbackAwaited,
    FeedbackReported,
    ReasonCount,
    RejectedRow,
    WaitingDomain,
)
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
from exchange_formats.messages.public_results import PublicCreditEvaluated, PublicResult
from exchange_formats.messages.receipts import CheckpointReceipt, PublicationReceipt, ReceiptStored, digest_messages
from exchange_formats.messages.records import RecordCorrected, RecordWithdrawn, ValueChange, withdrawal_deadline
from exchange_formats.messages.reports import (
    AppliedMeasure,
    MeasuresApplied,
    ObjectionFiled,
    RecordPointer,
    RepairDecided,
    WarningAcknowledged,
    WarningDisposed,
)
from exchange_formats.messages.snapshots import SNAPSHOT, SnapshotAttributes, SnapshotRun, encode_parts
from exchange_formats.messages.submissions import RecordsSubmitted
from exchange_formats.messages.warning_log import (
    AnsweredWarning,
    IndustryAlert,
    Warning_,
    WarningCleared,
    WarningDeclared,
    WarningEscalated,
    WarningExpired,
    WarningHandled,
    WarningLifted,
    WarningRaised,
    WarningSigned,
    WarningUpdated,
)
from exchange_formats.rejects import Reason as RejectReason
from exchange_formats.rejects import describe_reason

#: The ``time`` of every example.
EXAMPLE_TIME = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
DOMAIN = "enterprise_environment"
DEPARTMENT = "ecology_environment"
_AS_OF = date(2026, 6, 30)
_RUN_ID = derive_id("example run")
_MANIFEST = digest_bytes(b"example manifest")
_RECORD = derive_id("example record")
SUBJECT = Subject(
    subject_ref="91339999MA0EXAMP1H",
    subject_type="enterprise",
    subject_name="示例化工有限公司",
    city_code="330100",
)
_WARNING_ID = str(derive_uuid(DOMAIN, SUBJECT.subject_ref, "frequent_penalties", "example"))


def _run(sequence: int) -> RunData:
    return RunData(
        domain=DOMAIN,
        model=f"{DOMAIN}@2026.1",
        model_sha256=digest_bytes(b"example model"),
        as_of=_AS_OF,
        run_id=_RUN_ID,
        manifest_sha256=_MANIFEST,
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
                origin="computed",
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


def _warning(level: str = "orange", records: int = 3) -> Warning_:
    return Warning_(
        **SUBJECT.model_dump(),
        id=_WARNING_ID,
        rule="frequent_penalties",
        level=level,
        title="90 日内被罚三次以上",
        triggered_on=date(2026, 6, 15),
        trigger=_RECORD,
        records=records,
        sign_by=date(2026, 7, 3),
    )


def _answered() -> AnsweredWarning:
    return AnsweredWarning(**SUBJECT.model_dump(), id=_WARNING_ID, rule="frequent_penalties", level="orange")


def warning_raised() -> WarningRaised:
    """Three penalties within 90 days."""
    return WarningRaised(**_run(117).model_dump(), warning=_warning())


def warning_updated() -> WarningUpdated:
    """A fourth penalty."""
    warning = _warning(records=4)
    return WarningUpdated(**_run(130).model_dump(), warning=warning, previous_level="orange", previous_records=3)


def warning_escalated() -> WarningEscalated:
    """It was yellow, and five working days went by without a signature."""
    return WarningEscalated(**_run(131).model_dump(), warning=_warning(), previous_level="yellow", cause="unsigned")


def warning_signed() -> WarningSigned:
    """The department took it over the next morning."""
    return WarningSigned(
        domain=DOMAIN,
        sequence=132,
        department=DEPARTMENT,
        warning=_answered(),
        in_time=True,
        signed_at=datetime(2026, 7, 1, 1, 15, tzinfo=UTC),
    )


def warning_handled() -> WarningHandled:
    """The department inspected and the cause was put right."""
    return WarningHandled(
        domain=DOMAIN,
        sequence=133,
        department=DEPARTMENT,
        warning=_answered(),
        in_time=True,
        handled_at=datetime(2026, 7, 8, 8, 0, tzinfo=UTC),
        result="rectified",
        summary="现场复查,超标排放已整改到位。",
    )


def warning_cleared() -> WarningCleared:
    """The same warning, 90 days later."""
    return WarningCleared(**_run(240).model_dump(), warning=_warning())


def warning_expired() -> WarningExpired:
    """The same warning, its window over."""
    return WarningExpired(**_run(241).model_dump(), warning=_warning(), expired_on=date(2026, 9, 13))


def _alert() -> IndustryAlert:
    return IndustryAlert(
        id=str(derive_uuid(DOMAIN, "", "burst", "example")),
        level="orange",
        title="行业性预警",
        raised_on=_AS_OF,
        warned_subjects=132,
        all_subjects=10_000,
    )


def warning_declared() -> WarningDeclared:
    """More than one subject in a hundred was newly warned within seven days."""
    return WarningDeclared(**_run(116).model_dump(), industry_warning=_alert())


def warning_lifted() -> WarningLifted:
    """The same, a week later."""
    return WarningLifted(**_run(242).model_dump(), industry_warning=_alert())


def snapshot_run() -> SnapshotRun:
    """The run behind the example of a snapshot."""
    return SnapshotRun(DOMAIN, f"{DOMAIN}@2026.1", _AS_OF, _RUN_ID, _MANIFEST, sequence=129)


def snapshot_body() -> bytes:
    """One part with one grade, as an Arrow stream."""
    row = {
        **SUBJECT.model_dump(),
        "score": Decimal("798.00"),
        "grade": "C",
        "computed_grade": "C",
        "origin": "computed",
        "native_grade": None,
        "native_scheme": None,
        "override_reasons": [],
        "flags": [],
        "public_credit_score": Decimal("820.00"),
        "public_credit_origin": "platform",
        "public_credit_evaluated_on": date(2026, 6, 1),
        "reasons": [{"indicator": "IND1201", "records": 1, "points": Decimal(-48)}],
        "measures": ["M05"],
        "not_collected": [],
    }
    ((_, body),) = encode_parts([pa.RecordBatch.from_pylist([row], SNAPSHOT)])
    return body


def snapshot_taken() -> SnapshotAttributes:
    """The attributes of that part."""
    run = snapshot_run()
    return SnapshotAttributes(
        snapshotid=run.id,
        domain=run.domain,
        model=run.model,
        asof=run.as_of,
        runid=run.run_id,
        manifestsha256=run.manifest_sha256,
        sequence=run.sequence,
        part=1,
        parts=1,
        rows=1,
        bodysha256=digest_bytes(snapshot_body()),
    )


def record_withdrawn() -> RecordWithdrawn:
    """A penalty that was revoked after review."""
    decided_on = date(2026, 6, 30)
    return RecordWithdrawn(
        department=DEPARTMENT,
        dataset="penalty",
        contract="penalty@1",
        record_id=_RECORD,
        subject=SUBJECT,
        document_no="示环罚〔2026〕1号",
        batch_id=derive_id("example batch"),
        manifest_sha256=_MANIFEST,
        sequence=42,
        reason="revoked",
        instrument="示政复决〔2026〕2号",
        explanation="行政复议决定撤销原处罚决定。",
        decided_on=decided_on,
        withdraw_by=withdrawal_deadline(decided_on),
    )


def record_corrected() -> RecordCorrected:
    """A fine whose amount was entered wrongly."""
    return RecordCorrected(
        department=DEPARTMENT,
        dataset="penalty",
        contract="penalty@1",
        record_id=_RECORD,
        subject=SUBJECT,
        document_no="示环罚〔2026〕1号",
        batch_id=derive_id("example batch"),
        manifest_sha256=_MANIFEST,
        sequence=43,
        changes=(ValueChange(column="fine_yuan", before="800000.00", after="80000.00"),),
    )


def feedback_awaited() -> FeedbackAwaited:
    """Penalties that have not come for four days."""
    return FeedbackAwaited(
        participant=DEPARTMENT,
        dataset="penalty",
        current_until=_AS_OF,
        cycle_hours=24,
        stale_after_cycles=3,
        domains=(WaitingDomain(domain=DOMAIN, level="blue", required=True),),
    )


def feedback_reported() -> FeedbackReported:
    """A batch of a thousand rows with one that has no good date."""
    title = describe_reason(RejectReason.DATE_MALFORMED)
    return FeedbackReported(
        participant=DEPARTMENT,
        about=BatchPointer(
            dataset="penalty",
            contract="penalty@1",
            batch_id=derive_id("example batch"),
            manifest_sha256=_MANIFEST,
            until=EXAMPLE_TIME,
        ),
        counts=Counts(read=1000, landed=979, duplicates=20, rejected=1),
        reasons=(ReasonCount(reason=RejectReason.DATE_MALFORMED, title=title.zh, title_en=title.en, count=1, shown=1),),
        rows=(
            RejectedRow(
                origin="penalty-20260630.csv",
                row=17,
                reason=RejectReason.DATE_MALFORMED,
                column="decided_on",
                source_column="CF_JDRQ",
                value="2026-13-01",
                key="示环罚〔2026〕2号",
                detail="date.malformed decided_on",
            ),
        ),
    )


def checkpoint_committed() -> CheckpointCommitted:
    """Two chains."""
    chains = [
        Chain(name=f"landing/{DEPARTMENT}/penalty", heads=(_MANIFEST,)),
        Chain(name=f"scored/{DOMAIN}", heads=(digest_bytes(b"example run manifest"),)),
    ]
    return build_checkpoint(_AS_OF, chains, digest_bytes(b"example checkpoint before"))


def records_submitted() -> RecordsSubmitted:
    """One penalty."""
    return RecordsSubmitted(
        department=DEPARTMENT,
        dataset="penalty",
        contract="penalty@1",
        rows=(
            {
                "subject_id": SUBJECT.subject_ref,
                "subject_name": SUBJECT.subject_name,
                "document_no": "示环罚〔2026〕1号",
                "authority_code": "11330000000000000C",
                "kind": "fine",
                "fine_yuan": "80000.00",
                "decided_on": "2026-06-15",
            },
        ),
    )


def measures_applied() -> MeasuresApplied:
    """A measure of grade C, applied in an inspection."""
    item = AppliedMeasure(
        subject_ref=SUBJECT.subject_ref,
        domain=DOMAIN,
        grade="C",
        run_id=_RUN_ID,
        code="M05",
        applied_on=date(2026, 7, 2),
        inspection_no="示环查〔2026〕3号",
        outcome="检查合格",
    )
    return MeasuresApplied(department=DEPARTMENT, items=(item,))


def objection_filed() -> ObjectionFiled:
    """An objection to a penalty."""
    return ObjectionFiled(
        department=DEPARTMENT,
        objection_no="示异议〔2026〕4号",
        subject_ref=SUBJECT.subject_ref,
        about=RecordPointer(dataset="penalty", document_no="示环罚〔2026〕1号"),
        filed_on=date(2026, 7, 1),
        accepted_on=date(2026, 7, 2),
        grounds="罚款金额与决定书不一致。",
    )


def repair_decided() -> RepairDecided:
    """A repair that was granted."""
    return RepairDecided(
        department=DEPARTMENT,
        repair_no="示修复〔2026〕5号",
        subject_ref=SUBJECT.subject_ref,
        records=(RecordPointer(dataset="penalty", document_no="示环罚〔2026〕1号"),),
        decision="granted",
        decided_on=date(2026, 10, 8),
        repaired_on=date(2026, 10, 8),
        instrument="示信修决〔2026〕5号",
    )


def warning_acknowledged() -> WarningAcknowledged:
    """An office of the department takes the warning over."""
    return WarningAcknowledged(
        department=DEPARTMENT,
        domain=DOMAIN,
        warning_id=_WARNING_ID,
        acknowledged_at=datetime(2026, 7, 1, 1, 15, tzinfo=UTC),
        office="环境执法处",
    )


def warning_disposed() -> WarningDisposed:
    """What that office did."""
    return WarningDisposed(
        department=DEPARTMENT,
        domain=DOMAIN,
        warning_id=_WARNING_ID,
        disposed_at=datetime(2026, 7, 8, 8, 0, tzinfo=UTC),
        office="环境执法处",
        result="rectified",
        summary="现场复查,超标排放已整改到位。",
        instrument="示环查〔2026〕3号",
    )


def receipt_stored() -> ReceiptStored:
    """What a consumer stored of one run, and of a checkpoint."""
    publication = PublicationReceipt(
        domain=DOMAIN,
        run_id=_RUN_ID,
        first_sequence=118,
        last_sequence=129,
        messages=12,
        sha256=digest_messages([("example", b"example")]),
    )
    checkpoint = CheckpointReceipt(day=_AS_OF, sha256=checkpoint_committed().sha256)
    return ReceiptStored(consumer=DEPARTMENT, stored_at=EXAMPLE_TIME, receipts=(publication, checkpoint))


def public_credit_evaluated() -> PublicCreditEvaluated:
    """One enterprise."""
    result = PublicResult(subject_ref=SUBJECT.subject_ref, score="820.00", level="良好", evaluated_on=date(2026, 6, 1))
    return PublicCreditEvaluated(subject_type="enterprise", results=(result,))
