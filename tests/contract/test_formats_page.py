"""The page of exchange formats: everything that crosses the boundary stands on it, in both languages alike."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from connectors.sources.limits import LIMITS
from exchange_formats.code_lists import load_code_lists
from exchange_formats.datasets import load_catalogue
from exchange_formats.dirt import RULES
from exchange_formats.forms import load_forms
from exchange_formats.messages.decoding import MessageFault, describe_fault
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.schemas import message_schema
from exchange_formats.rejects import Reason, describe_reason
from gateway.reference.documents import ROOT
from gateway.reference.markdown import Tongue, anchor, code, row

TONGUES = (Tongue("en"), Tongue("zh"))


def page(tongue: Tongue) -> str:
    return (ROOT / f"docs/formats{tongue.suffix}.md").read_text(encoding="utf-8")


def section(text: str, start: str, level: int = 3) -> str:
    """From the heading that begins with ``start`` to the next one of its level or above."""
    found = re.search(rf"^{'#' * level} {re.escape(start)}\b.*?(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, start
    return found[0]


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda one: one.language)
@pytest.mark.parametrize("name", load_catalogue())
def test_dataset_has_its_fields_rules_and_basis_when_looked_up(name: str, tongue: Tongue) -> None:
    dataset, found = load_catalogue()[name], section(page(tongue), name)
    rows = {line.split("`")[1]: line for line in found.splitlines() if line.startswith("| `")}
    for field, spec in dataset.fields.items():
        shown = rows[field]
        for said in (spec.title, spec.title_en if tongue.language == "en" else "", spec.type, spec.unit or ""):
            assert said in shown, (field, said)
        for said in (spec.standard, spec.code_list or "", spec.example):
            assert said in shown, (field, said)
        if isinstance(spec.required, str):
            assert spec.required.replace("|", r"\|") in shown
        assert ("✓" in shown) == spec.in_catalogue
    for check in dataset.checks:
        for said in (check.holds, check.basis, check.title if tongue.language == "zh" else check.title_en):
            assert said in rows[check.id]
    for said in (*dataset.identity, dataset.event_on, *dataset.states.columns, dataset.contract):
        assert code(said) in found
    if dataset.deletion:
        assert dataset.deletion.basis in found


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda one: one.language)
def test_rules_reasons_limits_and_lists_are_all_there_when_counted(tongue: Tongue) -> None:
    text = page(tongue)
    for reason in Reason:
        title = describe_reason(reason)
        assert row(code(reason), tongue.say(title.zh, title.en), title.basis) in text
    for fault in MessageFault:
        assert row(code(fault), tongue.say(describe_fault(fault).zh, describe_fault(fault).en)) in text
    for rule in RULES:
        assert tongue.say(rule.zh, rule.en) in text
    for limit in LIMITS:
        assert tongue.say(limit.title.zh, limit.title.en) in text
    for name, one in load_code_lists().items():
        found = section(text, name, level=4)
        assert all(row(code(key), title, one.titles_en.get(key, "")) in found for key, title in one.codes.items())


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda one: one.language)
@pytest.mark.parametrize("name", load_forms())
def test_form_has_every_field_and_what_cannot_be_held_when_looked_up(name: str, tongue: Tongue) -> None:
    form, found = load_forms()[name], section(page(tongue), name)
    assert all(code(field) in found for field in form.fields)
    assert all(tongue.say(one.why, one.why_en) in found for one in form.dropped_fields.values())
    dataset = load_catalogue()[form.dataset]
    assert all(code(column) in found for column in form.missing_columns(dataset))


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda one: one.language)
@pytest.mark.parametrize("kind", MESSAGES)
def test_message_has_its_key_fields_and_an_example_when_looked_up(kind: str, tongue: Tongue) -> None:
    message, text = MESSAGES[kind], page(tongue)
    found = section(text, f"{message.name} v{message.version}")
    assert code(message.type) in found
    assert code(message.key) in text
    for field in message.data.model_fields:
        assert re.search(rf"^\| `{field}(\[\])*`", found, re.MULTILINE), field
    for shape in re.findall(r'"const": "([a-z]+)"', json.dumps(message_schema(message))):
        assert re.search(rf"^\| `[a-z]+(\[\])?\.kind` \|.* \| `\"{shape}\"` \|$", found, re.MULTILINE), shape
    assert "```json" in found


def test_pages_say_the_same_when_their_outlines_are_compared() -> None:
    outlines = [
        Counter(re.findall(r"^(#{1,6}|<details>|\| `[^`]+`)", page(tongue), re.MULTILINE)) for tongue in TONGUES
    ]
    assert outlines[0] == outlines[1]


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda one: one.language)
def test_nothing_is_left_empty_or_unfilled_when_read(tongue: Tongue) -> None:
    text = page(tongue)
    assert not re.findall(r"\{\{\w+\}\}|\bNone\b", text)
    headings = re.findall(
        r"^#{1,6} (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    repeated = [name for name, times in Counter(map(anchor, headings)).items() if times > 1]
    assert repeated == [], "a link could not tell them apart"
    empty = re.findall(r"^(## .+)\n+(?=## |\Z)", text, re.MULTILINE)
    assert empty == []
