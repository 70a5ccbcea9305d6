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
        ("2026-13-45", "typed", "2026-13-45"),
        ("张三丰 2026", "typed", "*** 2026"),
        (RESIDENT, "typed", "110105************"),
        ("撤消许可证", "code", "撤消许可证"),
        (f"证号{RESIDENT}等", "code", "证号110105************等"),
        ("长" * 50, "code", "长" * 40 + "…"),
    ],
)
def test_value_is_masked_by_what_it_is_when_shown(value: str, kind: str, shown: str) -> None:
    assert mask_value(value, kind) == shown


@given(st.text(max_size=60), st.sampled_from(["identity", "name", "typed", "code"]))
def test_number_is_never_shown_when_it_stands_anywhere(around: str, kind: str) -> None:
    assert RESIDENT[:11] not in mask_value(around + RESIDENT, kind)
