"""Rejects: every reason speaks both languages, and a masked value never shows an identity or a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_formats.rejects import Reason, describe_reason, mask_value

RESIDENT = "11010519491231002X"


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_has_a_title_in_both_languages_when_described(reason: Reason) -> None:
    title = describe_reason(reason)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in title.zh)
    assert title.en.isascii()


def test_code_only_a_source_knows_describes_itself_when_shown() -> None:
    assert describe_reason("vendor.special").en == "vendor.special"


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (RESIDENT, "identity", "110105************"),
        ("张三丰", "name", "张*"),
        ("张三丰", "identity", "***"),
        (f"张三丰{RESIDENT}", "identity", "***110***************"),
        ("2026-13-45", "typed", "2026-13-45"),
        ("张三丰 2026", "typed", "*** 2026"),
        (RESIDENT, "typed", "110105************"),
        ("撤消许可证", "code", "撤****"),
        ("吊销许可证件", "code", "吊销许可证件"),  # a word of a code list
        ("张三丰", "code", "张**"),
        ("330999", "code", "330999"),
        (f"张三丰{RESIDENT}", "code", "***110105************"),
        ("长" * 50, "code", "长" + "*" * 39 + "…"),
    ],
)
def test_value_is_masked_by_what_it_is_when_shown(value: str, kind: str, shown: str) -> None:
    assert mask_value(value, kind) == shown


@pytest.mark.semantics("5.5")
@given(st.text(max_size=60), st.sampled_from(["identity", "name", "typed", "code"]))
def test_number_is_never_shown_when_it_stands_anywhere(around: str, kind: str) -> None:
    assert RESIDENT[:11] not in mask_value(around + RESIDENT, kind)


def test_check_of_a_dataset_is_a_reason_with_its_title_and_law_when_described() -> None:
    title = describe_reason("penalty.simple_kind")
    assert title.zh == "不满足: 简易程序只能警告或罚款"
    assert title.en.startswith("does not hold: ")
    assert title.basis == "行政处罚法 51"
    assert describe_reason("penalty.final_order").basis.endswith("(assumption)"), "ours is never called official"


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith(("unified_code", "resident"))])
def test_standard_is_named_when_a_reason_comes_from_one(reason: Reason) -> None:
    assert describe_reason(reason).basis.startswith("GB ")
