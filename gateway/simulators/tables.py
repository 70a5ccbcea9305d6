"""Lay records out in the departments' own columns.

A ``SourceTable`` is what a department's system holds: names as the department writes them (domain facts §2.5, §6.3,
§6.5), cells typed (``Decimal`` money in 万元 with six decimals, as 双公示 has it), ``None`` where nothing is known. The
edges turn it into PostgreSQL rows, JSON or files; the Chinese headers of the file drop are beside the names here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from gateway.simulators import records as r
from gateway.simulators.subjects import Subject

Cell = str | int | Decimal | date | datetime | None

_TEN_THOUSAND = Decimal(10_000)
_MICRO = Decimal("0.000001")
# 双公示 exports write an endless validity as this date.
_ENDLESS = date(2099, 12, 31)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name in databases and APIs, header in files, whether it is money (held in 万元)."""

    name: str
    header: str
    is_money: bool = False


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one dataset; the last column is the instant of the last change."""

    dataset: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def names(self) -> tuple[str, ...]:
        """Column names as in databases and APIs (upper case)."""
        return tuple(column.name for column in self.columns)

    def place(self, name: str) -> int:
        """Where a column stands."""
        return self.names().index(name)


def read_columns(text: str) -> tuple[Column, ...]:
    """``NAME=header`` a column, with blanks between; a header that ends in ``$`` is money."""
    pairs = (entry.split("=") for entry in text.split())
    return tuple(Column(name, header.removesuffix("$"), header.endswith("$")) for name, header in pairs)


_STANDING = "XYXF_RQ=信用修复日期 YY_KSRQ=异议受理日期 YY_JSRQ=异议办结日期 CX_RQ=撤销日期"
CHANGED = "CD_TIME=更新时间"
PENALTY = read_columns(
    "ID=记录编号 CF_WSH=决定书文号 CF_XDR_MC=行政相对人名称 CF_XDR_LB=行政相对人类别 CF_XDR_SHXYM=统一社会信用代码 "
    "CF_FRDB=法定代表人 CF_XDR_ZJLX=证件类型 CF_XDR_ZJHM=证件号码 CF_WFXW=违法行为类型 CF_SY=违法事实 CF_YJ=处罚依据 "
    "CF_CFLB=处罚类别 CF_NR=处罚内容 CF_NR_FK=罚款金额$ CF_NR_WFFF=没收金额$ CF_NR_ZKDX=暂扣或吊销证照 "
    "CF_CFCX=处罚程序 CF_JDRQ=处罚决定日期 CF_YXQ=处罚有效期 CF_GSJZQ=公示截止期 CF_SXRQ=生效日期 "
    f"FYSS_KSRQ=复议诉讼受理日期 FYSS_JSRQ=复议诉讼终结日期 {_STANDING} CF_CFJG=处罚机关 CF_CFJGDM=处罚机关代码 "
    f"CF_SJLY=数据来源单位 CF_SJLYDM=数据来源单位代码 BZ=备注 {CHANGED}"
)
INSPECTION = read_columns(
    "ID=记录编号 RWH=任务号 JCDXMC=检查对象名称 TYSHXYDM=统一社会信用代码 JCLB=检查类别 JCSX=检查事项 JCFS=检查方式 "
    "JCRQ=检查日期 JCJG=检查结果 WTLX=问题类型 WTMS=问题描述 JCZ=检测值 ZGQX=整改期限 ZGWCRQ=整改完成日期 "
    f"ZGQK=整改情况 {_STANDING} JCJG_BM=检查部门 JCJG_BMDM=检查部门代码 {CHANGED}"
)
INCIDENT = read_columns(
    "ID=记录编号 SGBH=事故编号 DWMC=单位名称 TYSHXYDM=统一社会信用代码 SGLB=事故类别 SGMS=事故描述 FSRQ=发生日期 "
    "RDRQ=责任认定日期 SGDJ=事故等级 SWRS=死亡人数 ZSRS=重伤人数 ZJJJSS=直接经济损失$ ZRRD=责任认定 SFMB=是否瞒报 "
    f"{_STANDING} DCJG=调查机关 {CHANGED}"
)
COMPLAINT = read_columns(
    "ID=记录编号 TSBH=投诉编号 BTS_MC=被投诉单位名称 TYSHXYDM=统一社会信用代码 TSRQ=投诉日期 SXFL=事项分类 "
    f"SFSS=是否属实 CSRQ=查实日期 BJRQ=办结日期 CLJG=处理结果 LXDH=联系电话 {_STANDING} {CHANGED}"
)
HONOUR = read_columns(
    "ID=记录编号 RYBH=荣誉编号 DWMC=单位名称 TYSHXYDM=统一社会信用代码 RYLB=荣誉类别 RYMC=荣誉名称 RYJB=荣誉级别 "
    f"SYRQ=授予日期 YXQZ=有效期至 CX_RQ=撤销日期 BFJG=颁发机关 {CHANGED}"
)
LISTING = read_columns(
    "ID=记录编号 DECWSH=决定书文号 ENTNAME=企业名称 USCC=统一社会信用代码 CAUSE=列入事由 ABNTIME=列入日期 "
    f"DECORG_CN=列入机关 REMEXCPRES_CN=移出事由 REMDATE=移出日期 REDECORG_CN=移出机关 {_STANDING} {CHANGED}"
)
ANNUAL_REPORT = read_columns(
    "ID=记录编号 ENTNAME=企业名称 USCC=统一社会信用代码 ANCHEYEAR=报告年度 DUE_DATE=报送期限 ANCHEDATE=报送日期 "
    f"REPSTATE=报送状态 XYXF_RQ=信用修复日期 CX_RQ=撤销日期 {CHANGED}"
)
COMMITMENT = read_columns(
    "ID=记录编号 CNBH=承诺书编号 CNRMC=单位名称 TYSHXYDM=统一社会信用代码 CNLX=承诺类型 CNSX=承诺事项 CNNR=承诺内容 "
    f"SLJG=受理机关 CNRQ=承诺日期 LXQX=履行期限 LXQK=履行情况 LXRQ=履行日期 WNRQ=违诺认定日期 {_STANDING} {CHANGED}"
)
LICENCE = read_columns(
    "ID=记录编号 XK_XDR_MC=行政相对人名称 XK_XDR_LB=行政相对人类别 XK_XDR_SHXYM=统一社会信用代码 XK_FRDB=法定代表人 "
    "XK_FR_ZJLX=法定代表人证件类型 XK_FR_SFZH=法定代表人证件号码 XK_XDR_ZJLX=证件类型 XK_XDR_ZJHM=证件号码 "
    "XK_XKWS=许可决定文书名称 XK_WSH=许可决定文书号 XK_XKLB=许可类别 XK_XKZS=许可证书名称 XK_XKBH=许可编号 "
    "XK_NR=许可内容 XK_JDRQ=许可决定日期 XK_YXQZ=有效期自 XK_YXQZI=有效期至 XK_XKJG=许可机关 XK_XKJGDM=许可机关代码 "
    f"XK_ZT=状态 XK_LYDW=数据来源单位 XK_LYDWDM=数据来源单位代码 BZ=备注 CX_RQ=撤销日期 {CHANGED}"
)
REPORTED_GRADE = read_columns(
    "ID=记录编号 PJDXMC=评价对象名称 TYSHXYDM=统一社会信用代码 PJMC=评价名称 YDJ=原等级 TYDJ=统一等级 PJPC=评价批次 "
    f"PJBF=评价办法文号 PJDW=评价单位 PJDWDM=评价单位代码 PJSJ=评价日期 CX_RQ=撤销日期 {CHANGED}"
)
#: Put beside the unified code where a department supervises persons.
_NUMBER = Column("ZJHM", "证件号码")
_LIST_TYPE = Column("LIST_TYPE", "名单类别")


def to_ten_thousand(yuan: Decimal | None) -> Decimal | None:
    """元 → 万元 with six decimals (exact for whole 分)."""
    return None if yuan is None else (yuan / _TEN_THOUSAND).quantize(_MICRO)


def to_yuan(ten_thousand: Decimal) -> Decimal:
    """万元 → 元 with two decimals."""
    return (ten_thousand * _TEN_THOUSAND).quantize(Decimal("0.01"))


def lay_out_penalties(penalties: Iterable[r.Penalty]) -> SourceTable:
    """Penalties in 双公示 columns."""
    return SourceTable("penalty", PENALTY, tuple(_penalty_row(penalty) for penalty in penalties))


def _penalty_row(penalty: r.Penalty) -> tuple[Cell, ...]:
    party = penalty.party
    if isinstance(party, Subject) and not party.occupation:
        kind = "个体工商户" if party.is_individual_business else "法人及非法人组织"
        who: tuple[Cell, ...] = (party.name, kind, party.code, party.representative, None, None)
    else:
        number = party.code if isinstance(party, Subject) else party.number
        who = (party.name, "自然人", None, None, "身份证", number)
    return (
        penalty.id,
        penalty.number,
        *who,
        penalty.conduct,
        penalty.facts,
        penalty.basis,
        penalty.kind,
        _describe(penalty),
        to_ten_thousand(penalty.fine),
        to_ten_thousand(penalty.confiscated),
        penalty.licence,
        "简易程序" if penalty.simple_procedure else "一般程序",
        penalty.decided_on,
        _ENDLESS,
        penalty.publish_until,
        penalty.final_on,
        penalty.review_opened_on,
        penalty.review_closed_on,
        *_standing_cells(penalty.standing),
        penalty.authority.name,
        penalty.authority.code,
        penalty.authority.name,
        penalty.authority.code,
        None,
        penalty.updated_at,
    )


def _describe(penalty: r.Penalty) -> str:
    parts = [] if penalty.kind.startswith(("罚款", "没收")) else [penalty.kind]
    if penalty.fine is not None:
        parts.append(f"罚款人民币{penalty.fine}元")
    if penalty.confiscated is not None:
        parts.append(f"没收折合人民币{penalty.confiscated}元")
    return "；".join(parts)


def _standing_cells(standing: r.Standing) -> tuple[Cell, ...]:
    return standing.repaired_on, standing.objection_from, standing.objection_to, standing.revoked_on


def lay_out_inspections(inspections: Iterable[r.Inspection]) -> SourceTable:
    """Inspections (监督检查 _JDJC)."""
    return SourceTable("inspection", INSPECTION, tuple(_inspection_row(inspection) for inspection in inspections))


def _inspection_row(inspection: r.Inspection) -> tuple[Cell, ...]:
    state = None
    if inspection.rectify_by:
        state = "已整改" if inspection.rectified_on else "未整改"
    return (
        inspection.id,
        inspection.task,
        inspection.subject.name,
        inspection.subject.unified_code,
        inspection.category,
        inspection.matter,
        inspection.method,
        inspection.inspected_on,
        inspection.result,
        inspection.problem,
        inspection.description,
        inspection.measured,
        inspection.rectify_by,
        inspection.rectified_on,
        state,
        *_standing_cells(inspection.standing),
        inspection.authority.name,
        inspection.authority.code,
        inspection.updated_at,
    )


def lay_out_incidents(incidents: Iterable[r.Incident]) -> SourceTable:
    """Accidents (质量安全事故 _SG)."""
    return SourceTable("incident", INCIDENT, tuple(_incident_row(incident) for incident in incidents))


def _incident_row(incident: r.Incident) -> tuple[Cell, ...]:
    responsible = None if incident.is_responsible is None else ("不负有责任", "负有责任")[incident.is_responsible]
    return (
        incident.id,
        incident.number,
        incident.subject.name,
        incident.subject.unified_code,
        incident.category,
        incident.description,
        incident.occurred_on,
        incident.found_on,
        incident.level,
        incident.deaths,
        incident.injuries,
        to_ten_thousand(incident.loss),
        responsible,
        "是" if incident.is_concealed else "否",
        *_standing_cells(incident.standing),
        incident.authority.name,
        incident.updated_at,
    )


def lay_out_complaints(complaints: Iterable[r.Complaint]) -> SourceTable:
    """Complaints (投诉举报 _TSJB)."""
    rows = (
        (
            c.id,
            c.number,
            c.subject.name,
            c.subject.unified_code,
            c.filed_on,
            c.category,
            c.outcome,
            c.substantiated_on,
            c.closed_on,
            c.handling,
            c.phone,
            *_standing_cells(c.standing),
            c.updated_at,
        )
        for c in complaints
    )
    return SourceTable("complaint", COMPLAINT, tuple(rows))


def lay_out_honours(honours: Iterable[r.Honour]) -> SourceTable:
    """Awards and ratings (其他 _QT)."""
    rows = (
        (
            h.id,
            h.number,
            h.subject.name,
            h.subject.unified_code,
            h.kind,
            h.title,
            h.level,
            h.awarded_on,
            h.valid_until,
            h.revoked_on,
            h.authority.name,
            h.updated_at,
        )
        for h in honours
    )
    return SourceTable("honour", HONOUR, tuple(rows))


def lay_out_listings(listings: Iterable[r.Listing]) -> SourceTable:
    """Entries of one list."""
    rows = (
        (
            x.id,
            x.decision,
            x.subject.name,
            x.subject.code,
            x.cause,
            x.listed_on,
            x.authority.name,
            x.removal_cause,
            x.removed_on,
            x.authority.name if x.removed_on else None,
            *_standing_cells(x.standing),
            x.updated_at,
        )
        for x in listings
    )
    return SourceTable("listing", LISTING, tuple(rows))


def lay_out_annual_reports(reports: Iterable[r.AnnualReport]) -> SourceTable:
    """Annual reports with the state the market department shows."""
    rows = (
        (
            a.id,
            a.subject.name,
            a.subject.code,
            a.year,
            a.due_on,
            a.filed_on,
            _report_state(a),
            a.standing.repaired_on,
            a.standing.revoked_on,
            a.updated_at,
        )
        for a in reports
    )
    return SourceTable("annual_report", ANNUAL_REPORT, tuple(rows))


def _report_state(report: r.AnnualReport) -> str:
    if report.filed_on is None:
        return "未公示"
    return "按期公示" if report.filed_on <= report.due_on else "逾期公示"


def lay_out_commitments(commitments: Iterable[r.Commitment]) -> SourceTable:
    """Commitments, kept or broken on the day they ended."""
    rows = (
        (
            c.id,
            c.number,
            c.subject.name,
            c.subject.unified_code,
            c.kind,
            c.matter,
            c.content,
            c.authority.name,
            c.made_on,
            c.due_on,
            c.outcome,
            c.ended_on if c.outcome == "已履行" else None,
            c.ended_on if c.outcome == "未履行" else None,
            *_standing_cells(r.Standing()),
            c.updated_at,
        )
        for c in commitments
    )
    return SourceTable("commitment", COMMITMENT, tuple(rows))


def lay_out_licences(licences: Iterable[r.Licence]) -> SourceTable:
    """Licences in 双公示 columns; all of them are in force (状态 0)."""
    return SourceTable("licence", LICENCE, tuple(_licence_row(licence) for licence in licences))


def _licence_row(licence: r.Licence) -> tuple[Cell, ...]:
    subject, authority = licence.subject, licence.authority
    return (
        licence.id,
        subject.name,
        "个体工商户" if subject.is_individual_business else "法人及非法人组织",
        subject.code,
        subject.representative,
        *(None,) * 4,
        f"{licence.document}核发决定",
        licence.number,
        licence.kind,
        licence.document,
        f"{authority.code[2:8]}{licence.id:06d}",
        licence.content,
        licence.decided_on,
        licence.decided_on,
        licence.valid_until,
        authority.name,
        authority.code,
        "0",
        authority.name,
        authority.code,
        None,
        licence.revoked_on,
        licence.updated_at,
    )


def lay_out_reported_grades(grades: Iterable[r.ReportedGrade]) -> SourceTable:
    """Finished grades of a department's own method."""
    rows = (
        (
            g.id,
            g.subject.name,
            g.subject.code,
            g.scheme,
            g.native,
            g.grade,
            g.cycle,
            g.method,
            g.authority.name,
            g.authority.code,
            g.evaluated_on,
            None,
            g.updated_at,
        )
        for g in grades
    )
    return SourceTable("reported_grade", REPORTED_GRADE, tuple(rows))


def lay_out_lists(listings: Sequence[r.Listing]) -> SourceTable:
    """The entries of all its lists in one table that names the list."""
    table = lay_out_listings(listings)
    return insert_column(replace(table, dataset="listing"), _LIST_TYPE, [listing.list for listing in listings])


def insert_column(table: SourceTable, column: Column, cells: Sequence[Cell]) -> SourceTable:
    """The table with one column more, before the instant of the last change."""
    rows = tuple((*row[:-1], cell, row[-1]) for row, cell in zip(table.rows, cells, strict=True))
    return SourceTable(table.dataset, (*table.columns[:-1], column, table.columns[-1]), rows)


def lay_out_records(records: r.DepartmentRecords) -> dict[str, SourceTable]:
    """Dataset → table of everything but the profile; where persons are supervised, with their numbers."""
    has_persons = any(subject.occupation for subject in records.supervised)

    def number(table: SourceTable, rows: Sequence[r.Inspection | r.Incident | r.Complaint | r.Honour]) -> SourceTable:
        return add_resident_numbers(table, [row.subject for row in rows]) if has_persons else table

    laid_out = (
        lay_out_penalties(records.penalties),
        number(lay_out_inspections(records.inspections), records.inspections),
        number(lay_out_incidents(records.incidents), records.incidents),
        number(lay_out_complaints(records.complaints), records.complaints),
        number(lay_out_honours(records.honours), records.honours),
        lay_out_lists(records.listings),
        lay_out_annual_reports(records.annual_reports),
        lay_out_commitments(records.commitments),
        lay_out_licences(records.licences),
        lay_out_reported_grades(records.reported_grades),
    )
    return {table.dataset: table for table in laid_out}


def add_resident_numbers(table: SourceTable, subjects: Iterable[Subject]) -> SourceTable:
    """The table with the number of each subject that is a person."""
    return insert_column(table, _NUMBER, [subject.resident_number for subject in subjects])
