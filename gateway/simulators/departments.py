"""The three simulated departments as data: who they are, what they punish and find, how many records they hold."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.simulators import violations
from gateway.simulators.codes import compose_unified_code
from gateway.simulators.divisions import PROVINCE_CODE
from gateway.simulators.records import Authority
from gateway.simulators.universe import Subject
from gateway.simulators.violations import Finding, Offence

MARKET = "market_regulation"
ECOLOGY = "ecology_environment"
EMERGENCY = "emergency_management"
PLATFORM = "provincial_platform"

# Domain facts §7.1: 1.2 % penalties and 1.0 % inspections of all entities a year; the test load is three years.
PENALTIES_PER_SUBJECT_YEAR = 0.012
INSPECTIONS_PER_SUBJECT_YEAR = 0.010
YEARS = 3


@dataclass(frozen=True, slots=True)
class Award:
    """One kind of honour: kind (RYLB), title, levels with their weights."""

    kind: str
    title: str
    levels: tuple[tuple[str, int], ...]
    weight: int


@dataclass(frozen=True, slots=True)
class Department:
    """How one department acts.

    ``share`` of the province's penalties and inspections is its own; the other rates are records per subject of
    the whole universe over the three years, with the floor that keeps small universes useful.
    """

    id: str
    number: int
    organ: str
    document: str
    offences: tuple[Offence, ...]
    findings: tuple[Finding, ...]
    share: float
    incident_category: str
    incident_descriptions: tuple[str, ...]
    incident_rate: float
    complaint_categories: tuple[str, ...]
    complaint_rate: float
    awards: tuple[Award, ...]
    award_rate: float

    def authority(self, subject: Subject) -> Authority:
        """The office of the subject's city, or the provincial one."""
        at_province = subject.division == PROVINCE_CODE
        place = "浙江省" if at_province else f"{subject.city.name}市"
        division = PROVINCE_CODE if at_province else subject.city.code
        return Authority(place + self.organ, compose_unified_code("11", division, f"YY0000{self.number}"))


DEPARTMENTS = (
    Department(
        id=MARKET,
        number=21,
        organ="市场监督管理局",
        document="市监罚",
        offences=violations.MARKET_OFFENCES,
        findings=violations.MARKET_FINDINGS,
        share=0.5,
        incident_category="特种设备事故",
        incident_descriptions=("叉车作业时碾压人员", "电梯轿厢意外移动致人受伤", "压力容器爆炸"),
        incident_rate=0.0006,
        complaint_categories=("12315消费投诉", "12315举报", "网络交易投诉"),
        complaint_rate=0.03,
        awards=(Award("政府质量奖", "政府质量奖", (("省级", 1), ("市级", 4)), 1),),
        award_rate=0.0008,
    ),
    Department(
        id=ECOLOGY,
        number=12,
        organ="生态环境局",
        document="环罚",
        offences=violations.ECOLOGY_OFFENCES,
        findings=violations.ECOLOGY_FINDINGS,
        share=0.25,
        incident_category="突发环境事件",
        incident_descriptions=("储罐泄漏致化学品流入河道", "火灾消防废水外排", "污水管网破裂"),
        incident_rate=0.0006,
        complaint_categories=("废气异味", "噪声扰民", "废水排放", "固体废物"),
        complaint_rate=0.006,
        awards=(
            Award("清洁生产审核通过", "清洁生产审核验收合格企业", (("省级", 1), ("市级", 3)), 3),
            Award("绿色工厂", "绿色工厂", (("国家级", 1), ("省级", 3)), 1),
        ),
        award_rate=0.003,
    ),
    Department(
        id=EMERGENCY,
        number=20,
        organ="应急管理局",
        document="应急罚",
        offences=violations.EMERGENCY_OFFENCES,
        findings=violations.EMERGENCY_FINDINGS,
        share=0.25,
        incident_category="生产安全事故",
        incident_descriptions=("机械伤害", "高处坠落", "有限空间中毒窒息", "粉尘爆炸"),
        incident_rate=0.001,
        complaint_categories=("安全隐患举报", "违规动火", "无证上岗"),
        complaint_rate=0.004,
        awards=(Award("安全生产标准化", "安全生产标准化达标企业", (("一级", 1), ("二级", 8), ("三级", 20)), 1),),
        award_rate=0.012,
    ),
)
