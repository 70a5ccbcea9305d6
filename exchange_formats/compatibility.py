"""Compatibility: what changed since the last release that someone who relies on it would notice.

Who relies on what decides the direction:

* A *dataset* is sent by departments: what they send today must stay valid, so a new required column, a
  narrower type, list or limit and a new or changed rule break it. Its landed rows are read by scoring and by
  everyone who was given them: a column that goes, or changes its type, unit or meaning, breaks it too.
* An *outbound* message is read by consumers, leniently: what is sent must be what the release described.
  A field more is no break; a field less, one that may be missing, a value nobody was told of are.
* An *inbound* message is the reverse: what the release allowed to send must still be accepted.

What has to break gets a new version beside the old one; a released version is never taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exchange_formats.releases import DatasetPromise, FieldPromise, MessagePromise, Release
from exchange_formats.schema_inclusion import find_narrowings


@dataclass(frozen=True, slots=True)
class Break:
    """One breaking change: where (``penalty@1.fields.kind.codes``), and what it is in both languages."""

    path: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.path}: {self.zh} / {self.en}"


def find_breaks(released: Release, current: Release) -> tuple[Break, ...]:
    """Every breaking change from ``released`` to ``current``; what only ``current`` has is new, and no break."""
    found: list[Break] = []
    for contract, dataset in released.datasets.items():
        if contract not in current.datasets:
            found.append(Break(contract, "已发布的数据集版本被删除", "a released version of a dataset is gone"))
        else:
            found += compare_datasets(dataset, current.datasets[contract])
    for kind, message in released.messages.items():
        if kind not in current.messages:
            found.append(Break(kind, "已发布的消息版本被删除", "a released version of a message is gone"))
        else:
            found += compare_messages(message, current.messages[kind])
    return tuple(found)


def compare_datasets(released: DatasetPromise, current: DatasetPromise) -> Iterator[Break]:
    """Breaking changes inside one version of one dataset."""
    base = released.contract
    for name, spec in released.fields.items():
        path = f"{base}.fields.{name}"
        if name not in current.fields:
            yield Break(path, "字段被删除", "the column is gone")
        else:
            yield from _compare_fields(spec, current.fields[name], path)
    for name, spec in current.fields.items():
        if name not in released.fields and spec.required is not False:
            yield Break(f"{base}.fields.{name}", "新增字段不得必填", "a new column may not be required")
    for check, holds in current.checks.items():
        if check not in released.checks:
            yield Break(f"{base}.checks.{check}", "新增校验规则", "a new rule: rows valid today may break it")
        elif released.checks[check] != holds:
            yield Break(f"{base}.checks.{check}", "校验规则改变", "the rule changed")
    yield from _compare_meaning(released, current)


def _compare_meaning(released: DatasetPromise, current: DatasetPromise) -> Iterator[Break]:
    """What is said of a record as a whole."""
    base = released.contract
    lost = sorted(set(released.subject_types) - set(current.subject_types)) if current.subject_types else []
    if lost or (current.subject_types and not released.subject_types):
        shown = ", ".join(lost) or "any other"
        yield Break(f"{base}.subject_types", "不再接受某类主体", f"no longer about: {shown}")
    if released.adverse != current.adverse:
        yield Break(f"{base}.adverse", "失信信息的属性改变", "whether it speaks against its subject changed")
    if released.event_on != current.event_on:
        yield Break(f"{base}.event_on", "事件日期改用另一字段", "another column is the event date")
    if released.identity != current.identity:
        yield Break(f"{base}.identity", "记录标识改变", "records are told apart by other columns")
    if released.predecessor != current.predecessor:
        yield Break(f"{base}.predecessor", "旧版本数据的读法改变", "rows of the version before are read otherwise")
    for state, columns in released.states.items():
        if current.states.get(state) != columns:
            yield Break(f"{base}.states.{state}", "状态字段改变", "another column, or none, holds this state")


def _compare_fields(released: FieldPromise, current: FieldPromise, path: str) -> Iterator[Break]:
    if released.title != current.title:
        yield Break(f"{path}.title", "列标题改变", f"a header {released.title} is no longer this column")
    if released.type != current.type:
        yield Break(f"{path}.type", "类型改变", f"the type changed from {released.type} to {current.type}")
    if released.unit != current.unit:
        yield Break(f"{path}.unit", "单位改变", f"the unit changed from {released.unit} to {current.unit}")
    if released.sensitivity != current.sensitivity:
        yield Break(f"{path}.sensitivity", "敏感级别改变", "what readers see of it changes")
    if _requires_more(released.required, current.required):
        yield Break(f"{path}.required", "必填要求变严", "it is required where it was not")
    yield from _compare_codes(released.codes, current.codes, f"{path}.codes")
    if current.rule is not None and released.rule != current.rule:
        yield Break(f"{path}.rule", "规则新增或改变", f"the rule is {current.rule} now, it was {released.rule}")
    for limit in ("max_length", "maximum"):
        before, now = getattr(released, limit), getattr(current, limit)
        if now is not None and (before is None or now < before):
            yield Break(f"{path}.{limit}", "上限收紧", f"the limit is {now} now, it was {before}")
    if current.minimum is not None and (released.minimum is None or current.minimum > released.minimum):
        yield Break(f"{path}.minimum", "下限收紧", f"the limit is {current.minimum} now, it was {released.minimum}")
    if released.may_be_future and not current.may_be_future:
        yield Break(f"{path}.may_be_future", "不再允许未来日期", "a date in the future is no longer allowed")


def _compare_codes(released: Mapping[str, str] | None, current: Mapping[str, str] | None, path: str) -> Iterator[Break]:
    """A cell may hold a code or its title: another title is no longer read, a swapped one read as another code."""
    if current is None:
        return
    if released is None:
        yield Break(path, "取值改为限于代码表", "the values are limited to a list now")
        return
    lost = ", ".join(sorted(set(released) - set(current)))
    renamed = ", ".join(sorted(code for code, title in released.items() if current.get(code, title) != title))
    if lost:
        yield Break(path, f"代码被删除: {lost}", f"codes are gone: {lost}")
    if renamed:
        yield Break(path, f"代码名称改变: {renamed}", f"codes are called otherwise: {renamed}")


def _requires_more(released: bool | str, current: bool | str) -> bool:  # noqa: FBT001 - the catalogue's own form
    """Another condition is taken for a stricter one: nothing shows that it is not."""
    return current is not False and released is not True and current != released


def compare_messages(released: MessagePromise, current: MessagePromise) -> Iterator[Break]:
    """Breaking changes inside one version of one message type."""
    base = released.type
    for name, zh in (
        ("direction", "方向改变"),
        ("key", "路由键改变"),
        ("key_pattern", "路由键的取值改变"),
        ("may_be_person", "自然人路由改变"),
        ("subject", "subject 的构成改变"),
        ("mode", "CloudEvents 模式改变"),
        ("content_type", "内容类型改变"),
    ):
        before, now = getattr(released, name), getattr(current, name)
        if before != now:
            yield Break(f"{base}.{name}", zh, f"it was {before}, it is {now} now")
    outbound = released.direction == "outbound"
    grown = current.maximum_bytes - released.maximum_bytes
    if grown > 0 if outbound else grown < 0:
        zh = "消息可能更大" if outbound else "允许的大小变小"
        en = f"the size limit changed from {released.maximum_bytes} to {current.maximum_bytes} bytes"
        yield Break(f"{base}.maximum_bytes", zh, en)
    for name, kind in (released.columns or {}).items():
        now = (current.columns or {}).get(name)
        if now != kind:
            yield Break(
                f"{base}.columns.{name}", "Arrow 列被删除或改变类型", f"it was {kind}, it is {now or 'gone'} now"
            )
    written, read = (current, released) if outbound else (released, current)
    for found in find_narrowings(written.json_schema, read.json_schema, must_send=outbound):
        yield Break(f"{base}.{found.path}" if found.path else base, found.zh, found.en)
