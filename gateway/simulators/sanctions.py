"""Kinds of administrative penalty (行政处罚法 art. 9) as the sources write them, with the fine of each tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sanction:
    """One outcome of a case: the text of CF_CFLB and, for fines, the bounds of the amount in 元 (inclusive)."""

    kind: str
    fine_from: int = 0
    fine_to: int = 0
    confiscates: bool = False
    licence: bool = False


WARNING = Sanction("警告")
CRITICISM = Sanction("通报批评")
FINE_MINOR = Sanction("罚款", 500, 4_900)
FINE_SMALL = Sanction("罚款", 5_000, 49_000)
FINE_MIDDLE = Sanction("罚款", 50_000, 190_000)
FINE_LARGE = Sanction("罚款", 200_000, 990_000)
FINE_HUGE = Sanction("罚款", 1_010_000, 6_000_000)
FINE_AND_PROCEEDS = Sanction("罚款、没收违法所得", 5_000, 90_000, confiscates=True)
PROCEEDS = Sanction("没收违法所得", confiscates=True)
GOODS = Sanction("没收非法财物", confiscates=True)
SUSPENDED = Sanction("暂扣许可证件", licence=True)
DOWNGRADED = Sanction("降低资质等级", licence=True)
RESTRICTED = Sanction("限制开展生产经营活动")
HALTED = Sanction("责令停产停业")
CLOSED = Sanction("责令关闭")
BARRED = Sanction("限制从业")
REVOKED = Sanction("吊销许可证件", licence=True)
DETAINED = Sanction("行政拘留")

# The fine tiers of the severity map (domain facts §2.2), lightest first.
FINE_TIERS = (FINE_MINOR, FINE_SMALL, FINE_MIDDLE, FINE_LARGE, FINE_HUGE)
# 行政处罚法 art. 51: on the spot an organisation is warned or fined at most 3,000 元.
ON_THE_SPOT = (Sanction("警告"), Sanction("罚款", 200, 3_000))

#: By the name that a practice gives them.
SANCTIONS: Mapping[str, Sanction] = {
    "warning": WARNING,
    "criticism": CRITICISM,
    "fine_minor": FINE_MINOR,
    "fine_small": FINE_SMALL,
    "fine_middle": FINE_MIDDLE,
    "fine_large": FINE_LARGE,
    "fine_huge": FINE_HUGE,
    "fine_and_proceeds": FINE_AND_PROCEEDS,
    "proceeds": PROCEEDS,
    "goods": GOODS,
    "suspended": SUSPENDED,
    "downgraded": DOWNGRADED,
    "restricted": RESTRICTED,
    "halted": HALTED,
    "closed": CLOSED,
    "barred": BARRED,
    "revoked": REVOKED,
    "detained": DETAINED,
}
