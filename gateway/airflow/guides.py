"""What the Airflow page of a DAG tells a person, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.department import Department, HttpSource
from exchange_formats.datasets import load_catalogue
from gateway.airflow.names import TIMEZONE
from scoring.model import Model

_SOURCES: Final = {"sql": "数据库 database", "http": "接口 API", "files": "文件 files"}

_DEPARTMENT: Final = """\
# {title} {title_en}

- 来源 source: {source}, 连接 connection `{connection}`
- 时间 schedule: `{schedule}` ({timezone}); 迟到 late after {late_after}
- 负责 owner: {team}, {contact}
- 领域 domains: {domains}

| 数据 dataset | | 方式 pull |
|---|---|---|
{rows}

## 出错时 when a task fails

每个目录项单独采集, 一个失败不影响其他; 暂时性错误自动重试, 其余不重试, 日志写明原因。
原因消除后在此页 *Clear* 失败的任务: 时间窗口不变, 已落地的不会重复。
命令行等价: `xinqiao collect {id} --dataset …`, 配置检查: `xinqiao check`。

Each dataset is collected by itself; one that fails stops no other. What is transient is retried, the rest is not,
and the log says why. Once the cause is gone, *Clear* the failed task on this page: its window is the same, and
nothing lands twice. From a terminal: `xinqiao collect {id} --dataset …`; `xinqiao check` checks the configuration.

`tell` 把每个批次的接收与不合格情况、被撤回和更正的记录告知部门, 各告知一次; 它失败不影响评价。
命令行等价: `xinqiao feedback {id}`, `xinqiao notices {id}`。

`tell` tells the department what became of each batch, and which records were withdrawn or corrected, each once; no
domain waits for it. From a terminal: `xinqiao feedback {id}`, `xinqiao notices {id}`.
"""

_DOMAIN: Final = """\
# {title} {title_en}

- 模型 model: `{name}`; 依据 basis: {basis}
- 部门 department: `{department}`
- 时间 schedule: 输入更新即运行, 另按 on every update of an input, and `{sweep}` ({timezone})

| 输入 input | |
|---|---|
{rows}

## 出错时 when a task fails

`score` 评价湖中已有的数据, 没有变化就没有新的运行; 必需输入缺失或陈旧时跳过, 现有等级视为陈旧。
`publish` 补发一切尚未发布的运行, 消息编号不变。修复后 *Clear* 即可, 也可等下一次巡检。
命令行等价: `xinqiao score {id}`, `xinqiao publish {id}`。

`score` scores what the lake holds; where nothing changed there is no new run, and while a required input is missing or
stale it is skipped and the standing grades are stale. `publish` sends every run nobody has sent, under the same message
ids. After a repair *Clear* it, or wait for the next sweep. From a terminal: `xinqiao score {id}`, `xinqiao publish
{id}`.
"""

_PUBLIC_CREDIT: Final = """\
# 五类主体公共信用评价 public credit of the five subject types

- 时间 schedule: `{schedule}` ({timezone}), 也可随时 *Trigger* or at any time by *Trigger*
- 基准日 as of: 已结束的上一周期的最后一日 the last day of the cycle that has ended

| 领域 domain | | 模型 model |
|---|---|---|
{rows}

评价所用: 各部门可入公共信用信息目录的记录。结果供行业评价使用: 省平台没有结果的主体, 以此为准。
Each counts the records of every department that may stand in the public-credit catalogue. The industry models use
its results for subjects of whom the provincial platform has none.

## 出错时 when a task fails

各类主体互不影响。原因消除后 *Clear* 失败的任务: 基准日不变, 不会重复发布。
命令行等价: `xinqiao score public_credit_enterprise`, `xinqiao publish public_credit_enterprise`。

No subject type waits for another. Once the cause is gone, *Clear* the failed task: its day is the same, and nothing
is published twice. From a terminal: `xinqiao score public_credit_enterprise`, `xinqiao publish
public_credit_enterprise`.
"""

_HOUSEKEEPING: Final = """\
# 日终清除与存证 the daily purge and checkpoint

- 时间 schedule: `{schedule}` ({timezone})
- 对方 to: 省平台 the provincial platform, `<平台 platform>.checkpoints`

`purge` 清除保存期限已满的记录和不合格数据: 先提交写明条款与条数的清单, 再删除文件; 中断的由下一次补完。`compact` 把
数据集的许多小批次复制成少数文件, 只为读得快, 内容不变。两者失败都不影响存证。

`purge` deletes the records and rejects that may be kept no longer: a manifest with the article and the counts is
committed first, then the files go; what was interrupted is finished the next time. `compact` copies the many small
batches of a dataset into few files, only to be read faster. Neither keeps the checkpoint back when it fails.

`checkpoint` 记录当日全部清单链的链头, 与前一日的存证以摘要相连, 报省平台存证: 由此可证明数据湖此后未被改动。
链头与当日上一份存证相同则不再写。前些日子未发出的一并补发。

`checkpoint` writes down the heads of every chain, chained by digest to the checkpoint before, and sends them to the
provincial platform, which can prove by them that nothing in the lake was changed since. Where the heads are those of
the day's last checkpoint there is no new one. What was not sent on earlier days is sent too.

## 出错时 when it fails

暂时性错误自动重试。否则日志写明原因, 消除后在此页 *Clear*; 日期不变, 不会重复发送。
命令行等价: `xinqiao purge`, `xinqiao checkpoint`; 核验用 `xinqiao verify --all`。

What is transient is retried. Otherwise the log says why; once the cause is gone, *Clear* the task on this page: its day
is the same, and nothing is sent twice. From a terminal: `xinqiao purge`, `xinqiao checkpoint`; to see that all is
well: `xinqiao verify --all`.
"""

_QUARANTINE: Final = """\
# 已隔离 quarantined: {file}

文件有错误, 暂停采集或评价; 其他部门和领域不受影响。改正后自动恢复, 先用 `xinqiao check` 检查。

The file is broken, so nothing is collected or scored by it; no other is affected. It comes back by itself once it
is corrected; `xinqiao check` tells before Airflow does.

```
{problems}
```
"""


def describe_department(department: Department) -> str:
    """The page of a department's DAG."""
    catalogue = load_catalogue()
    rows = [
        f"| `{name}` | {catalogue[name].title} {catalogue[name].title_en} "
        f"| {'全量 full' if mapping.snapshot else '增量 incremental' if mapping.watermark else '每次全读 read whole'} |"
        for name, mapping in department.datasets.items()
    ]
    source = _SOURCES[department.source.kind]
    if isinstance(department.source, HttpSource):
        source += f", ≤ {department.source.rate_limit}/s"
    return _DEPARTMENT.format(
        id=department.id,
        title=department.title,
        title_en=department.title_en,
        source=source,
        connection=department.source.connection,
        schedule=department.schedule,
        timezone=TIMEZONE,
        late_after=department.late_after,
        team=department.owner.team,
        contact=department.owner.contact,
        domains=", ".join(department.domains) or "—",
        rows="\n".join(rows),
    )


def describe_domain(model: Model, inputs: Sequence[str], sweep: str) -> str:
    """The page of a domain's DAG; ``inputs`` are ``department/dataset``."""
    named = (name if "/" in name else f"{model.department}/{name}" for name in model.required)
    required = {*model.subjects_sources, *named}
    rows = [f"| `{source}` | {'必需 required' if source in required else '可缺 optional'} |" for source in inputs]
    return _DOMAIN.format(
        id=model.id,
        title=model.title,
        title_en=model.title_en,
        name=model.name,
        basis="; ".join(model.basis),
        department=model.department,
        sweep=sweep,
        timezone=TIMEZONE,
        rows="\n".join(rows),
    )


def describe_public_credit(models: Sequence[Model], schedule: str) -> str:
    """The page of the public-credit DAG."""
    rows = [f"| `{model.id}` | {model.title} {model.title_en} | `{model.name}` |" for model in models]
    return _PUBLIC_CREDIT.format(schedule=schedule, timezone=TIMEZONE, rows="\n".join(rows))


def describe_housekeeping(schedule: str) -> str:
    """The page of the gateway's own DAG."""
    return _HOUSEKEEPING.format(schedule=schedule, timezone=TIMEZONE)


def describe_quarantine(file: str, problems: Sequence[str]) -> str:
    """The page of a quarantined DAG."""
    return _QUARANTINE.format(file=file, problems="\n".join(problems))
