"""Explanations: what a clerk reads aloud."""

from __future__ import annotations

import re
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from exchange_formats.results import Exclusion
from scoring.explanation import explain
from scoring.outlook import Outlook, foresee, list_days
from scoring.resolution import resolve
from scoring.wording import WORDS
from tests.scoring_cases import (
    AS_OF,
    ENVIRONMENT,
    MARKET,
    Cases,
    Outcome,
    complaint,
    incident,
    join_inputs,
    on,
    penalty,
    score_all,
    vary,
)

CASES = Cases()
case = CASES.case


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Outcome:
    return CASES.outcome(request.function.__name__)


@case(
    public_credit=900,
    penalty=[
        penalty("1201", "2025-09-01"),
        penalty("1201", "2026-05-01", objection_from=on("2026-06-01")),
        penalty("1202", "2026-06-01", None),
        penalty("1205", "2026-05-01", repaired_on=on("2026-06-01")),
        penalty("1203", "2026-05-01"),
    ],
    complaint=[complaint(f"2025-{month:02}-11") for month in range(1, 9)],
)
def test_everything_is_said_in_chinese_when_much_happened(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)
    for part in (
        "企业环境信用评价 (enterprise_environment@2026.1) · 评价基准日 2026-06-30",
        "杭州市 330100",
        "E 差 (按得分为 D) · 企业环境信用评价 (2013年国家口径): 红 · 得分 714.00",
        "公共信用评价 900.00 分 × 0.3, 省公共信用信息平台 2026-06-30 评价",
        "-120.00 IND1201 超标或超总量排放被罚: 计入 2 条; 依据: 环境保护法 59, 环境保护法 60 [假设]",
        "-72.00 = 80 × 重复 1.5 × 折算 0.6 · 2026-05-01 行政处罚",
        "异议处理中, 照常计入",
        "超过封顶分值的部分不计",
        "处罚尚未生效",
        "已完成信用修复",
        "IND1203 暗管偷排、篡改伪造监测数据 → E; 依据: 环境保护法 63 [假设]",
        "M12 列入重点监管对象; 依据: 浙江省公共信用信息管理条例 23",
        "不是官方标准",
    ):
        assert part in text, text


@case(penalty=[penalty("1201", "2026-05-01")])
def test_no_chinese_heading_is_left_when_the_explanation_is_english(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF, "en")
    native = ENVIRONMENT.native
    assert native
    # A native grade keeps its own name.
    assert f"C fair · {native.scheme_en}: 黄 · score 798.00 / 1000" in text
    text = text.replace(": 黄 ·", " ·")
    assert "-48.00 = 80 × scale 0.6 · 2026-05-01 administrative penalty" in text
    without_law = re.sub(r"basis: [^\n\[]*", "", text).replace("示例企业", "")
    assert not re.search(r"[\u4e00-\u9fff]", without_law), without_law


@case(public_credit=None)
def test_no_score_is_shown_when_the_subject_is_not_evaluated(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)
    assert "N 未评 · 没有公共信用评价" in text
    assert WORDS["zh"].composition not in text


@case(public_credit=None, complaint=[complaint("2026-05-01")])
def test_neutral_value_is_named_when_public_credit_is_missing(found: Outcome) -> None:
    assert "按中性值 800.00 分 × 0.3" in explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)


@case(
    model=MARKET,
    listing=[{"list_kind": "severe_dishonesty", "listed_on": on("2024-01-01"), "removed_on": on("2026-06-01")}],
)
def test_limit_after_delisting_is_said_when_it_decides(found: Outcome) -> None:
    text = explain(resolve(MARKET, AS_OF), found.findings, AS_OF)
    assert "IND2101 列入严重违法失信名单 → 移出名单后的限制期内, 最高为 D 级" in text
    assert "尚未归集数据的指标(没有按零处理): IND2111" in text


@case(ref="92330200MA2A00001X", profile={"subject_name": "王小二面馆"})
def test_name_is_masked_when_it_may_be_a_person_s(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)
    assert "王* · 宁波市 330200 · 个体工商户" in text
    assert "小二" not in text


@case(penalty=[penalty("1203", "2026-05-01", repaired_on=on("2026-06-01"))])
def test_veto_that_no_longer_counts_is_explained_when_it_was_repaired(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)
    assert re.search(r"IND1203 2026-05-01 行政处罚 .*: 已完成信用修复", text)
    assert WORDS["zh"].overrides not in text


@case(public_credit=Decimal("820.35"), penalty=[penalty("1201", "2026-05-01")])
def test_shown_parts_add_up_when_the_total_was_rounded(found: Outcome) -> None:
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF)
    parts = [Decimal(part) for part in re.findall(r"\(满分 \d+\): ([\d.]+)", text)]
    rounding = Decimal(re.findall(r"([+-][\d.]+) 四舍五入", text)[0])
    assert sum(parts) + rounding == found.score == Decimal("798.11")


def test_every_exclusion_has_words_in_both_languages() -> None:
    for words in WORDS.values():
        assert set(words.exclusions) == set(get_args(Exclusion))
        assert set(words.grades) == set("ABCDEN")


def _foresee(**given: Any) -> Outlook:
    subject = {"public_credit": 820} | given
    found = score_all(ENVIRONMENT, [subject], AS_OF)[0]
    with tempfile.TemporaryDirectory() as folder:
        inputs = join_inputs(ENVIRONMENT, [subject])
        return foresee(resolve(ENVIRONMENT, AS_OF), inputs, found.grade, AS_OF, Path(folder))


def test_next_date_is_the_day_after_publicity_when_a_general_penalty_counts() -> None:
    outlook = _foresee(penalty=[penalty("1201", "2025-09-01")])
    # 一般: 12 months from the instrument, the last day included; what it takes is 80 × 0.6.
    assert outlook.missing == ("B", Decimal(2))
    assert [(one.day, one.grade, one.score) for one in outlook.grades] == [
        (on("2025-09-02").replace(year=2026), "B", Decimal(846))
    ]
    assert outlook.next_change == outlook.grades[0]
    change = outlook.grades[0].records[0]
    assert (change.indicator, change.before, change.after, change.excluded) == (
        "IND1201",
        Decimal(-48),
        Decimal(0),
        "publicity_ended",
    )


def test_next_day_follows_the_rule_of_the_dataset_when_it_is_published_by_a_rule_of_its_own() -> None:
    model = vary(ENVIRONMENT, publicity_of={"penalty": "market_regulation"})
    inputs = join_inputs(model, [{"penalty": [penalty("1201", "2023-05-01", published_on=on("2023-06-30"))]}])
    # Three years from the publication, its last day included; from the instrument nothing is left to come before 2028.
    assert list_days(resolve(model, AS_OF), inputs, AS_OF)[:2] == (on("2026-07-01"), on("2028-05-02"))


def test_fading_comes_before_the_grade_when_an_incident_grows_old() -> None:
    outlook = _foresee(incident=[incident("2025-09-30"), incident("2026-01-31")])
    # 150, and 150 × 1.5: the first weighs 0.6 from 1 October 2026 on.
    assert outlook.next_change is not None
    assert outlook.next_change.day == on("2026-10-01")
    assert [(one.before, one.after) for one in outlook.next_change.records] == [(Decimal(-90), Decimal(-54))]


def test_pending_penalty_is_foretold_when_it_is_not_final_yet() -> None:
    outlook = _foresee(penalty=[penalty("1202", "2026-06-01", None)])
    assert (outlook.grades[0].day, outlook.grades[0].grade) == (on("2026-07-31"), "D")
    assert outlook.grades[0].records[0].before == 0


def test_repair_of_each_record_is_tried_alone_when_several_weigh() -> None:
    outlook = _foresee(
        penalty=[penalty("1201", "2026-03-01"), penalty("1202", "2026-05-01"), penalty("1203", "2026-04-01")]
    )
    tried = {prospect.records[0].indicator: (prospect.grade, prospect.score) for prospect in outlook.repairs}
    assert tried == {
        "IND1203": ("E", Decimal(678)),
        "IND1202": ("E", Decimal(798)),
        "IND1201": ("E", Decimal(726)),
    }


def test_nothing_is_foretold_when_there_is_no_record() -> None:
    outlook = _foresee()
    assert (outlook.next_change, outlook.grades, outlook.repairs) == (None, (), ())
    assert outlook.missing == ("A", Decimal(4))


@case(penalty=[penalty("1201", "2025-09-01")])
def test_outlook_can_be_read_aloud_when_it_is_asked_for(found: Outcome) -> None:
    outlook = _foresee(penalty=[penalty("1201", "2025-09-01")])
    names = {"00000-penalty-0001": "杭环罚〔2025〕12号"}
    text = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF, outlook=outlook, documents=names)
    for part in (
        "怎样会变化",
        "距 B 级还差 2.00 分",
        "2026-09-02 起 B 级, 得分 846.00",
        "IND1201 2025-09-01 行政处罚 杭环罚〔2025〕12号 不再计入: 公示期已满",
        "只修复 IND1201 2025-09-01 行政处罚 杭环罚〔2025〕12号: B 级, 得分 846.00",
    ):
        assert part in text, text
    english = explain(resolve(ENVIRONMENT, AS_OF), found.findings, AS_OF, "en", outlook=outlook)
    assert "from 2026-09-02: grade B, score 846.00" in english
