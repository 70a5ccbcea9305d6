"""Words the simulated province is written in: enterprise names, persons, industries, scopes, capital."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Industry:
    """One line of business: title, words that close a company name, its shop and cooperative words, its scope.

    ``environment`` and ``hazard`` weigh how likely the environment and the emergency department supervise it.
    """

    title: str
    trades: tuple[str, ...]
    shops: tuple[str, ...]
    scope: str
    weight: int
    environment: int
    hazard: int
    hints: tuple[str, ...] = ()


INDUSTRIES = (
    Industry(
        "化工",
        ("化工", "新材料", "精细化学"),
        ("化工经营部",),
        "化工产品生产、销售",
        5,
        9,
        12,
        ("化工", "化学", "涂料", "农药"),
    ),
    Industry(
        "纺织印染",
        ("纺织", "印染", "针织", "服饰"),
        ("布行",),
        "纺织品、服装制造、加工",
        14,
        8,
        3,
        ("纺织", "印染", "针织", "服装", "布"),
    ),
    Industry(
        "金属加工",
        ("五金", "铸造", "电镀", "精密机械"),
        ("五金店",),
        "五金件、机械配件制造、加工",
        18,
        7,
        6,
        ("五金", "铸", "电镀", "金属", "机械"),
    ),
    Industry(
        "塑料橡胶",
        ("塑业", "橡塑", "包装"),
        ("塑料制品店",),
        "塑料制品、包装材料制造",
        10,
        6,
        4,
        ("塑料", "橡", "包装"),
    ),
    Industry(
        "电气设备",
        ("电气", "电子科技", "阀门"),
        ("电器行",),
        "低压电器、阀门、电子元件制造",
        12,
        4,
        3,
        ("电器", "电子", "电气", "阀门"),
    ),
    Industry(
        "食品",
        ("食品", "农业发展", "餐饮管理"),
        ("小吃店", "副食店", "餐馆"),
        "食品生产、餐饮服务",
        12,
        2,
        2,
        ("食品", "餐", "酒", "副食", "茶"),
    ),
    Industry(
        "商贸",
        ("贸易", "商贸", "进出口"),
        ("日用品店", "便利店"),
        "日用百货、建材批发、零售",
        18,
        1,
        1,
        ("贸易", "商贸", "百货", "供销"),
    ),
    Industry(
        "建筑建材",
        ("建设", "建材", "装饰工程"),
        ("建材店",),
        "建筑材料制造、建筑装饰工程施工",
        7,
        4,
        4,
        ("建筑", "建材", "水泥", "工程"),
    ),
    Industry("矿山", ("矿业", "石料"), ("石材店",), "建筑用石料开采、加工", 1, 8, 14, ("矿", "石料", "采石")),
    Industry(
        "技术服务",
        ("科技", "检测技术", "环境技术"),
        ("电脑店",),
        "技术开发、技术服务、检测服务",
        9,
        1,
        1,
        ("科技", "检测", "软件", "环境"),
    ),
)
_BY_TITLE = {industry.title: industry for industry in INDUSTRIES}
_OTHER = "其他"

_HEAD = "恒鼎嘉瑞宏泰盛信德永金华东海天龙新正富明祥兴万隆源博雅凯诚锦康联腾铭卓越昌润晟睿煜尚沃荣辉澜屹"
_TAIL = "达润丰泽盛通源宇科邦腾立康图兴昌和利诺洋亿美峰森航辰普创安益驰朗迈特禾展耀"
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾萧田董潘袁蔡蒋余于杜叶程魏苏吕丁沈"
_GIVEN = "伟芳娜秀敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰文辉建国志红梅海波晓东佳宁浩然子轩雨桐思"


def draw_industry(stream: Random) -> Industry:
    """One industry by its share."""
    return stream.choices(INDUSTRIES, weights=[industry.weight for industry in INDUSTRIES])[0]


def guess_industry(name: str, scope: str) -> str:
    """The title of the first industry whose hint occurs in the name, then in the scope; 其他 when none does."""
    for text in (name, scope):
        for industry in INDUSTRIES:
            if any(hint in text for hint in industry.hints):
                return industry.title
    return _OTHER


def environment_weight(title: str) -> int:
    """How likely the environment department supervises this industry, relative to the others."""
    return _BY_TITLE[title].environment if title in _BY_TITLE else 2


def hazard_weight(title: str) -> int:
    """How likely the emergency department supervises this industry, relative to the others."""
    return _BY_TITLE[title].hazard if title in _BY_TITLE else 2


def describe_scope(title: str) -> str:
    """The business scope a register would show for an industry."""
    return f"一般项目：{_BY_TITLE[title].scope}(依法须经批准的项目，经相关部门批准后方可开展经营活动)。"


def draw_person(stream: Random) -> str:
    """A person's name of two or three characters."""
    given = "".join(stream.choice(_GIVEN) for _ in range(stream.choice((1, 2, 2))))
    return stream.choice(_SURNAMES) + given


def draw_trade_name(stream: Random) -> str:
    """The distinctive two characters of a name (字号)."""
    return stream.choice(_HEAD) + stream.choice(_TAIL)


def name_enterprise(stream: Random, prefix: str, place: str, industry: Industry) -> tuple[str, str]:
    """(name, enterprise type) in the form its prefix calls for: company, individual business or cooperative."""
    trade_name = draw_trade_name(stream)
    if prefix == "92":
        return f"{place}{trade_name}{stream.choice(industry.shops)}", "个体工商户"
    if prefix == "93":
        return f"{place}{trade_name}果蔬专业合作社", "农民专业合作社"
    trade = stream.choice(industry.trades)
    form = stream.choices(
        ("有限公司", "股份有限公司", "有限责任公司", "厂(普通合伙)", "有限公司（台港澳与境内合资）"),
        weights=(80, 5, 5, 7, 3),
    )[0]
    kinds = {
        "股份有限公司": "股份有限公司(非上市)",
        "厂(普通合伙)": "普通合伙企业",
        "有限公司（台港澳与境内合资）": "有限责任公司(台港澳与境内合资)",
    }
    name = f"{trade_name}（{place}）{trade}{form}" if stream.random() < 0.12 else f"{place}{trade_name}{trade}{form}"
    return name, kinds.get(form, "有限责任公司(自然人投资或控股)")


def draw_capital(stream: Random, prefix: str) -> str:
    """Registered capital the ways registers write it; 个体 mostly give none."""
    if prefix == "92" and stream.random() < 0.7:
        return "N/A"
    amount = stream.choice((10, 30, 50, 50, 50, 58, 100, 108, 150, 200, 300, 500, 500, 1_000, 2_000, 5_000))
    return stream.choice((f"{amount:,}(万元人民币)", f"{amount:,}(万元人民币)", f"{amount}万人民币"))
