"""What the provincial platform holds of subjects of all five types: public-credit results, and what courts found."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gateway.simulators.history import PublicCredit
from gateway.simulators.judgments import CONDUCT, Judgment
from gateway.simulators.tables import CHANGED, SourceTable, read_columns, to_ten_thousand

PUBLIC_CREDIT = read_columns(
    "ID=记录编号 QYMC=主体名称 USCC=统一社会信用代码 ZJHM=证件号码 ZHXYF=综合信用分 PJDJ=评价等级 PJSJ=评价时间 "
    f"{CHANGED}"
)
ENFORCEMENT = read_columns(
    "ID=记录编号 AH=案号 BZXRMC=被执行人名称 USCC=统一社会信用代码 ZJHM=证件号码 XXLB=信息类别 ZXFY=执行法院 "
    "SXXWQX=失信行为具体情形 LXQK=履行情况 ZXBDJE=执行标的金额$ LARQ=立案日期 RDRQ=认定日期 "
    f"LXWBRQ=履行完毕日期 {CHANGED}"
)


def lay_out_public_credit(results: Iterable[PublicCredit]) -> SourceTable:
    """Public-credit results (DW_NB_DSJ_XYPJXX)."""
    rows = (
        (
            p.id,
            p.subject.name,
            p.subject.unified_code,
            p.subject.resident_number,
            p.score.quantize(Decimal("0.01")),
            p.level,
            p.evaluated_on,
            p.updated_at,
        )
        for p in results
    )
    return SourceTable("public_credit", PUBLIC_CREDIT, tuple(rows))


def lay_out_judgments(judgments: Iterable[Judgment]) -> SourceTable:
    """Enforcement as the courts hand it on."""
    rows = (
        (
            j.id,
            j.case_no,
            j.subject.name,
            j.subject.unified_code,
            j.subject.resident_number,
            j.kind,
            j.court,
            CONDUCT if j.kind == "失信被执行人" else None,
            "全部履行" if j.performed_on else "全部未履行",
            to_ten_thousand(j.amount),
            j.filed_on,
            j.decided_on,
            j.performed_on,
            j.updated_at,
        )
        for j in judgments
    )
    return SourceTable("enforcement", ENFORCEMENT, tuple(rows))
