"""What participants send: every inbound message type, in the order of the reference page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exchange_formats.messages import examples
from exchange_formats.messages.public_results import PUBLIC_CREDIT_EVALUATED, PublicCreditEvaluated
from exchange_formats.messages.receipts import RECEIPT_STORED, ReceiptStored
from exchange_formats.messages.reports import (
    MEASURES_APPLIED,
    OBJECTION_FILED,
    REPAIR_DECIDED,
    WARNING_ACKNOWLEDGED,
    WARNING_DISPOSED,
    MeasuresApplied,
    ObjectionFiled,
    RepairDecided,
    WarningAcknowledged,
    WarningDisposed,
)
from exchange_formats.messages.specs import DataModel, MessageSpec
from exchange_formats.messages.submissions import RECORDS_SUBMITTED, RecordsSubmitted
from exchange_formats.messages.texts import MessageData


def _inbound(
    kind: str,
    key: str,
    data: DataModel,
    titles: tuple[str, str],
    description: str,
    description_en: str,
    example: Callable[[], MessageData],
    subject: str,
) -> MessageSpec:
    return MessageSpec(
        type=kind,
        direction="inbound",
        key=key,
        data=data,
        source=r"^/credit/participants/[a-z][a-z0-9_]{2,39}$",
        title=titles[0],
        title_en=titles[1],
        description=description,
        description_en=description_en,
        example=example,
        subject=subject,
    )


INBOUND_MESSAGES: Final = (
    _inbound(
        RECORDS_SUBMITTED,
        "record.{department}.{dataset}",
        RecordsSubmitted,
        ("信用信息报送", "records submitted"),
        "部门按目录项标准报送的信用信息,每条消息至多 500 行;涉及自然人的不得以消息报送。",
        "Rows of a dataset by its contract, at most 500 a message; none about natural persons.",
        examples.records_submitted,
        "{department}/{dataset}",
    ),
    _inbound(
        MEASURES_APPLIED,
        "measure.{department}.applied",
        MeasuresApplied,
        ("监管措施应用", "measures applied"),
        "部门依据等级或预警采取的监管措施,每条消息至多 100 项。",
        "Measures a department applied because of grades or warnings, at most 100 a message.",
        examples.measures_applied,
        "{department}",
    ),
    _inbound(
        OBJECTION_FILED,
        "objection.{department}.filed",
        ObjectionFiled,
        ("异议受理", "objection filed"),
        "部门受理的异议:自受理起标注,五个工作日内办结(浙江省公共信用信息管理条例 30、31)。",
        "An objection a department accepted: flagged at once, decided within five working days (条例 30, 31).",
        examples.objection_filed,
        "{objection_no}",
    ),
    _inbound(
        REPAIR_DECIDED,
        "repair.{department}.decided",
        RepairDecided,
        ("信用修复决定", "repair decided"),
        "部门(谁认定谁修复)作出的信用修复决定,自修复日起生效。",
        "A credit repair that the department which identified the breach decided on; acts from the day of repair.",
        examples.repair_decided,
        "{repair_no}",
    ),
    _inbound(
        WARNING_ACKNOWLEDGED,
        "warning.{department}.acknowledged",
        WarningAcknowledged,
        ("预警签收", "warning acknowledged"),
        "部门签收一个预警。",
        "A department takes a warning over.",
        examples.warning_acknowledged,
        "{warning_id}",
    ),
    _inbound(
        WARNING_DISPOSED,
        "warning.{department}.disposed",
        WarningDisposed,
        ("预警处置反馈", "warning disposed"),
        "部门对一个预警的处置情况。",
        "What a department did about a warning.",
        examples.warning_disposed,
        "{warning_id}",
    ),
    _inbound(
        RECEIPT_STORED,
        "receipt.{consumer}",
        ReceiptStored,
        ("存储回执", "receipt stored"),
        "消费方对已落盘消息的摘要,用于证明谁收到了什么。",
        "A digest of what a consumer has made durable: proof of who received what.",
        examples.receipt_stored,
        "{consumer}",
    ),
    _inbound(
        PUBLIC_CREDIT_EVALUATED,
        "public_credit.{subject_type}",
        PublicCreditEvaluated,
        ("公共信用评价结果", "public credit evaluated"),
        "省平台的五类主体公共信用评价结果,每条消息至多 100 个主体。",
        "The platform’s public-credit results of one kind of subject, at most 100 a message.",
        examples.public_credit_evaluated,
        "{subject_type}",
    ),
)
