"""The departments' own subject profiles: permit holders (ecology), high-risk units (emergency), and everyone else's."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from gateway.simulators.departments import ECOLOGY, EMERGENCY
from gateway.simulators.divisions import PROVINCE_CODE
from gateway.simulators.draws import days_before, open_stream, stamp
from gateway.simulators.subjects import Subject
from gateway.simulators.supervision import third_parties
from gateway.simulators.tables import Cell, Column, SourceTable
from gateway.simulators.universe import Universe

_ECOLOGY = tuple(
    Column(name, name)
    for name in (
        "ID QYMC TYSHXYDM QYLX CLRQ ZCZB HYLB PWXKZBH GLLB SFZDPW XZQHDM CSDM CSMC ZT CD_TIME".split()  # noqa: SIM905
    )
)
_EMERGENCY = tuple(
    Column(header, header)
    for header in [
        "单位编号",
        "单位名称",
        "统一社会信用代码",
        "企业类型",
        "成立日期",
        "注册资本（万元）",
        "行业类别",
        "风险类别",
        "行政区划代码",
        "所在市",
        "经营状态",
        "更新时间",
    ]
)
#: What most departments hold; files name the columns by their titles.
_USUAL = (
    Column("DXBH", "对象编号"),
    Column("DXMC", "单位名称"),
    Column("TYSHXYDM", "统一社会信用代码"),
    Column("DXLX", "单位类型"),
    Column("CLRQ", "成立日期"),
    Column("ZCZB", "注册资本（万元）"),
    Column("HYLB", "行业类别"),
    Column("CSDM", "所在市代码"),
    Column("XZQHDM", "行政区划代码"),
    Column("JBDWDM", "举办单位代码"),
    Column("XZCJ", "行政层级"),
    Column("ZYLB", "执业类别"),
    Column("ZT", "状态"),
    Column("CD_TIME", "更新时间"),
)
_MANAGEMENT = (("重点管理", 3), ("简化管理", 4), ("登记管理", 3))
_RISKS = {"化工": "危险化学品", "矿山": "非煤矿山", "商贸": "烟花爆竹经营"}


def lay_out_ecology_profile(supervised: tuple[Subject, ...], universe: Universe) -> SourceTable:
    """Permit holders and key polluters; every twentieth is an environmental service firm without a permit."""
    stream = open_stream(universe.seed, f"{ECOLOGY}/profile")
    services = {subject.code for subject in third_parties(supervised)}
    rows = (
        _ecology_row(stream, n, subject, universe, is_service=subject.code in services)
        for n, subject in enumerate(supervised, 1)
    )
    return SourceTable("profile", _ECOLOGY, tuple(rows))


def _ecology_row(
    stream: Random, number: int, subject: Subject, universe: Universe, *, is_service: bool
) -> tuple[Cell, ...]:
    drawn = stream.choices([name for name, _ in _MANAGEMENT], weights=[weight for _, weight in _MANAGEMENT])[0]
    management = "环境第三方服务机构" if is_service else drawn
    return (
        number,
        subject.name,
        subject.code,
        subject.enterprise_type,
        subject.registered_on,
        subject.capital,
        subject.industry,
        None if is_service else f"{subject.code}{stream.randint(1, 3):03d}{stream.choice('PQRUV')}",
        management,
        "是" if management == "重点管理" else "否",
        subject.division,
        PROVINCE_CODE if subject.division == PROVINCE_CODE else subject.city.code,
        _city_name(subject),
        stream.choices(("正常", "停产", "关闭"), weights=(96, 2, 2))[0],
        _changed_at(stream, universe),
    )


def lay_out_emergency_profile(supervised: tuple[Subject, ...], universe: Universe) -> SourceTable:
    """High-risk production units."""
    stream = open_stream(universe.seed, f"{EMERGENCY}/profile")
    rows = (_emergency_row(stream, n, subject, universe) for n, subject in enumerate(supervised, 1))
    return SourceTable("profile", _EMERGENCY, tuple(rows))


def _emergency_row(stream: Random, number: int, subject: Subject, universe: Universe) -> tuple[Cell, ...]:
    return (
        f"AJ{number:06d}",
        subject.name,
        subject.code,
        subject.enterprise_type,
        subject.registered_on,
        subject.capital.split("(", maxsplit=1)[0].replace(",", "").removesuffix("万人民币"),
        subject.industry,
        _RISKS.get(subject.industry, "工贸"),
        subject.division,
        _city_name(subject),
        stream.choices(("在营", "停业", "注销"), weights=(97, 2, 1))[0],
        _changed_at(stream, universe),
    )


def lay_out_usual_profile(name: str, number: int, supervised: tuple[Subject, ...], universe: Universe) -> SourceTable:
    """The register that a participant keeps in the usual columns; numbers of objects begin with its own."""
    stream = open_stream(universe.seed, f"{name}/profile")
    rows = (_usual_row(stream, f"{number:02d}{n:06d}", subject, universe) for n, subject in enumerate(supervised, 1))
    return SourceTable("profile", _USUAL, tuple(rows))


def _usual_row(stream: Random, number: str, subject: Subject, universe: Universe) -> tuple[Cell, ...]:
    at_province = subject.division == PROVINCE_CODE
    return (
        number,
        subject.name,
        subject.unified_code,
        subject.enterprise_type or None,
        subject.registered_on,
        subject.capital or None,
        subject.industry or None,
        PROVINCE_CODE if at_province else subject.city.code,
        subject.division,
        subject.sponsor,
        ("省级" if at_province else "县级") if subject.is_agency else None,
        subject.occupation,
        stream.choices(("正常", "停业", "注销"), weights=(97, 2, 1))[0],
        _changed_at(stream, universe),
    )


def _city_name(subject: Subject) -> str:
    return "省级" if subject.division == PROVINCE_CODE else f"{subject.city.name}市"


def _changed_at(stream: Random, universe: Universe) -> datetime:
    yesterday = universe.today - timedelta(days=1)
    return stamp(stream, days_before(stream, universe.today, 1, 900), yesterday)
