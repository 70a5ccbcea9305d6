"""Zhejiang's 11 cities and 90 counties (GB/T 2260) and how enterprises spread over the cities (domain facts §10)."""

from __future__ import annotations

from dataclasses import dataclass

PROVINCE_CODE = "330000"


@dataclass(frozen=True, slots=True)
class City:
    """One city: six-digit code, name without 市, measured number of enterprises, counties as code → name."""

    code: str
    name: str
    weight: int
    counties: tuple[tuple[str, str], ...]


def _city(code: str, name: str, weight: int, counties: str) -> City:
    pairs = (entry.split(":") for entry in counties.split())
    return City(code, name, weight, tuple((code[:4] + tail, county) for tail, county in pairs))


CITIES = (
    _city(
        "330100",
        "杭州",
        17_289,
        "02:上城 05:拱墅 06:西湖 08:滨江 09:萧山 10:余杭 11:富阳 12:临安 13:临平 14:钱塘 22:桐庐 27:淳安 82:建德",
    ),
    _city("330200", "宁波", 21_431, "03:海曙 05:江北 06:北仑 11:镇海 12:鄞州 13:奉化 25:象山 26:宁海 81:余姚 82:慈溪"),
    _city(
        "330300",
        "温州",
        13_016,
        "02:鹿城 03:龙湾 04:瓯海 05:洞头 24:永嘉 26:平阳 27:苍南 28:文成 29:泰顺 81:瑞安 82:乐清 83:龙港",
    ),
    _city("330400", "嘉兴", 6_953, "02:南湖 11:秀洲 21:嘉善 24:海盐 81:海宁 82:平湖 83:桐乡"),
    _city("330500", "湖州", 2_898, "02:吴兴 03:南浔 21:德清 22:长兴 23:安吉"),
    _city("330600", "绍兴", 5_435, "02:越城 03:柯桥 04:上虞 24:新昌 81:诸暨 83:嵊州"),
    _city("330700", "金华", 7_108, "02:婺城 03:金东 23:武义 26:浦江 27:磐安 81:兰溪 82:义乌 83:东阳 84:永康"),
    _city("330800", "衢州", 1_296, "02:柯城 03:衢江 22:常山 24:开化 25:龙游 81:江山"),
    _city("330900", "舟山", 1_423, "02:定海 03:普陀 21:岱山 22:嵊泗"),
    _city("331000", "台州", 10_720, "02:椒江 03:黄岩 04:路桥 22:三门 23:天台 24:仙居 81:温岭 82:临海 83:玉环"),
    _city("331100", "丽水", 1_684, "02:莲都 21:青田 22:缙云 23:遂昌 24:松阳 25:云和 26:庆元 27:景宁 81:龙泉"),
)
# Enterprises registered at the province itself: their codes carry 330000, their seat is the capital.
PROVINCE_WEIGHT = 318
CAPITAL = CITIES[0]

_BY_PREFIX = {city.code[:4]: city for city in CITIES}


def city_of(division: str) -> City:
    """The city a division code lies in; anything else counts as registered at the province."""
    return _BY_PREFIX.get(division[:4], CAPITAL)
