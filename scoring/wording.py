"""Words of an explanation, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """Everything an explanation says that is not in the model."""

    #: In front of the sections that have something to say, in order.
    headings: tuple[str, ...]
    as_of: str
    subject: str
    individual_business: str
    score: str
    no_score: str
    computed: str
    composition: str
    full: str
    total: str
    base: str
    public: str
    own_public: str
    neutral: str
    reported: str
    counted: str
    compared: str
    measured: str
    basis: str
    assumption: str
    repeat: str
    decay: str
    scale: str
    cap: str
    group_cap: str
    clamp: str
    rounding: str
    objection: str
    batch: str
    left_out: str
    overrides: str
    after: str
    override_record: str
    measures: str
    inspection: str
    warnings: str
    since: str
    outlook: str
    missing: str
    standing_if: str
    then: str
    counts_no_longer: str
    counts_from_then: str
    weighs: str
    no_other_grade: str
    repair_if: str
    repaired_alone: str
    notes: str
    not_collected: str
    assumptions: str
    grades: Mapping[str, str]
    exclusions: Mapping[str, str]


_ZH: Final = Words(
    headings=("一、", "二、", "三、", "四、", "五、", "六、", "七、"),
    as_of="评价基准日",
    subject="主体",
    individual_business="个体工商户",
    score="得分",
    no_score="没有公共信用评价, 追溯期内也没有任何记录, 不评分",
    computed="按得分为 {grade}",
    composition="得分怎样算出来",
    full="满分 {full}",
    total="合计",
    base="基础分 {points}",
    public="公共信用评价 {score} 分 × {weight}, 省公共信用信息平台 {day} 评价",
    own_public="公共信用评价 {score} 分 × {weight}, 平台没有周期内的结果, 按本系统 {day} 的评价",
    neutral="没有周期内的公共信用评价, 按中性值 {score} 分 × {weight}",
    reported="等级由部门按自有办法评定后报送, 得分不在本系统计算",
    counted="计入 {n} 条",
    compared="与同行业比较",
    measured="实测值 {value}",
    basis="依据: {basis}",
    assumption="[假设]",
    repeat="重复",
    decay="时间衰减",
    scale="折算",
    cap="超过封顶分值的部分不计",
    group_cap="{title}, 超过封顶分值的部分不计",
    clamp="超出本项满分或低于零分的部分不计",
    rounding="四舍五入到 0.01 分",
    objection="异议处理中, 照常计入",
    batch="批次",
    left_out="没有计入的记录",
    overrides="直接决定等级的情形",
    after="移出名单后的限制期内, 最高为 {grade} 级",
    override_record="记录",
    measures="随之采取的监管措施",
    inspection="抽查比例每年 {ratio}%; 频次 {at_most}; 检查内容: {items}",
    warnings="预警",
    since="自 {day} 起, {n} 条记录",
    outlook="怎样会变化",
    missing="距 {grade} 级还差 {points} 分",
    standing_if="如果没有新的记录, 公共信用得分不变:",
    then="{day} 起 {grade} 级, 得分 {score}",
    counts_no_longer="{record} 不再计入: {why}",
    counts_from_then="{record} 开始计入, {points} 分",
    weighs="{record} 由 {before} 分变为 {after} 分",
    no_other_grade="到 {day} 为止等级不变",
    repair_if="如果向认定单位申请并完成信用修复, 自修复之日起:",
    repaired_alone="只修复 {record}: {grade} 级, 得分 {score}",
    notes="说明",
    not_collected="尚未归集数据的指标(没有按零处理): {names}",
    assumptions="标 [假设] 的分值和分数线不是官方标准, 版本和来源见模型 {model}",
    grades={"A": "优秀", "B": "良好", "C": "中等", "D": "较差", "E": "差", "N": "未评"},
    exclusions={
        "simple_procedure": "适用简易程序的处罚不作为不良信息",
        "review_open": "行政复议或诉讼尚未终结",
        "not_final": "处罚尚未生效, 仍在复议、诉讼期限内",
        "repaired": "已完成信用修复",
        "publicity_ended": "公示期已满",
        "lookback_ended": "已超过追溯期",
        "validity_ended": "有效期已过",
        "removed": "已移出名单",
        "grade_reported": "以部门自行评价的等级为准",
        "grade_unknown": "换算表中没有这一等级",
    },
)
_EN: Final = Words(
    headings=("1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "7. "),
    as_of="as of",
    subject="Subject",
    individual_business="individual business",
    score="score",
    no_score="no public-credit result and no record within lookback: not scored",
    computed="{grade} by score",
    composition="How the score comes about",
    full="of {full}",
    total="Total",
    base="base {points}",
    public="public credit {score} × {weight}, evaluated by the provincial platform on {day}",
    own_public="public credit {score} × {weight}: the platform has none within its cycle; our own evaluation of {day}",
    neutral="no public-credit result within its cycle: the neutral {score} × {weight}",
    reported="the grade is the department's own, as reported; its score is not computed here",
    counted="{n} counted",
    compared="compared with the trade",
    measured="measured {value}",
    basis="basis: {basis}",
    assumption="[assumption]",
    repeat="repeat",
    decay="decay",
    scale="scale",
    cap="above the indicator's cap: not counted",
    group_cap="{title}: above the cap, not counted",
    clamp="above the dimension's full points or below zero: not counted",
    rounding="rounded half up to 0.01",
    objection="under objection: counts all the same",
    batch="batch",
    left_out="Records that do not count",
    overrides="What decides the grade whatever the score",
    after="at most {grade} for a time after leaving the list",
    override_record="record",
    measures="Measures that follow",
    inspection="sampled at {ratio} % a year; frequency {at_most}; {items}",
    warnings="Warnings",
    since="since {day}, {n} record(s)",
    outlook="What would change it",
    missing="{points} points are missing to grade {grade}",
    standing_if="If there is no new record and public credit stays as it is:",
    then="from {day}: grade {grade}, score {score}",
    counts_no_longer="{record} counts no longer: {why}",
    counts_from_then="{record} begins to count, {points} points",
    weighs="{record} goes from {before} to {after} points",
    no_other_grade="no other grade until {day}",
    repair_if="If repair is asked for and granted by the unit that decided, from the day of the repair:",
    repaired_alone="only {record} repaired: grade {grade}, score {score}",
    notes="Notes",
    not_collected="indicators whose data is not collected yet (not treated as zero): {names}",
    assumptions="points and cut-offs marked [assumption] are not official; versions and sources: model {model}",
    grades={"A": "excellent", "B": "good", "C": "fair", "D": "poor", "E": "bad", "N": "not evaluated"},
    exclusions={
        "simple_procedure": "a penalty by simple procedure is not adverse information",
        "review_open": "a review or lawsuit is open",
        "not_final": "not final yet: within the time limit for review",
        "repaired": "repaired",
        "publicity_ended": "its publicity period has ended",
        "lookback_ended": "older than the lookback",
        "validity_ended": "no longer valid",
        "removed": "removed from the list",
        "grade_reported": "the department's own grade stands instead",
        "grade_unknown": "no crosswalk knows this grade",
    },
)
WORDS: Final[Mapping[Language, Words]] = {"zh": _ZH, "en": _EN}
