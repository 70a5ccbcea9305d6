"""``xinqiao warnings``: listed worst first, signed for by number or id, with the working days that are left."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.department import load_departments
from gateway.cli import app
from gateway.cli import warnings as command
from scoring.library import load_models
from tests.publication_samples import DOMAIN
from tests.warning_runs import A, B, Story, found, graded, near_band, on, penalties


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    story = Story(tmp_path)
    place = SimpleNamespace(lake=story.lake, spool=story.spool, departments=load_departments(), models=load_models())
    monkeypatch.setattr(command, "open_workplace", lambda: place)
    monkeypatch.setattr(command, "shanghai_date", lambda _: on("2026-07-01"))
    monkeypatch.setattr("gateway.stack.environment.load_environment", lambda: None)
    return story


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["warnings", *words])


def listed(*words: str) -> dict[str, Any]:
    result = call(DOMAIN, "--json", *words)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def two(story: Story) -> Story:
    rows = [graded(A, "C"), graded(B, "B")]
    red = found("severe_list", "red", "2026-06-20", "l-1", subject_ref=B)
    story.run("2026-06-30", rows, [penalties("2026-06-20", records=3), red, near_band("C")])
    return story


def test_worst_comes_first_with_number_and_days_left(two: Story) -> None:
    document = listed()
    shown = document["shown"]
    assert [(one["level"], one["subject_ref"]) for one in shown] == [("red", B), ("orange", A), ("blue", A)]
    assert [one["number"] for one in shown] == ["YJ20260630121000001", "YJ20260630122000001", "YJ20260630124000001"]
    assert [one["days_left"] for one in shown] == [0, 2, None]
    assert (document["total"], document["industry"], document["as_of"]) == (3, None, "2026-06-30")


@pytest.mark.parametrize(
    ("words", "levels"),
    [(("--level", "orange"), ["orange"]), (("--open",), ["red", "blue"]), ((), ["red", "orange", "blue"])],
)
def test_list_is_narrowed_by_level_and_state(two: Story, words: tuple[str, ...], levels: list[str]) -> None:
    two.answer("signed", "2026-07-01", listed("--level", "orange")["shown"][0]["id"])
    assert [one["level"] for one in listed(*words)["shown"]] == levels


def test_table_says_number_level_and_what_is_left(two: Story) -> None:
    result = call(DOMAIN)
    assert result.exit_code == 0, result.output
    for said in (
        "YJ20260630121000001",
        "红色预警",
        "列入严重违法失信名单",
        "待签收 open",
        "2 (≤ 2026-07-03)",
        "现存预警 standing 3",
    ):
        assert said in result.stdout


def test_warning_is_signed_for_by_number_and_handled_by_id(two: Story) -> None:
    signed = call("sign", DOMAIN, "YJ20260630122000001", "--office", "执法处", "--json")
    assert signed.exit_code == 0, signed.output
    warning = json.loads(signed.stdout)
    assert (warning["state"], warning["subject_ref"]) == ("signed", A)
    done = call(
        "handle",
        DOMAIN,
        warning["id"][:12],
        "--office",
        "执法处",
        "--result",
        "rectified",
        "--summary",
        "已整改",
        "--json",
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["state"] == "handled"
    assert ("frequent_penalties", "orange", "handled") in two.open()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nowhere",), "there is no domain"),
        ((DOMAIN, "--level", "purple"), "there is no level"),
        (("sign", DOMAIN, "YJ20260630122000009", "--office", "执法处"), "no such warning stands"),
        (("sign", DOMAIN, "abc", "--office", "执法处"), "too short"),
        (("sign", DOMAIN, "YJ20260630122000001", "--office", "x", "--department", "nobody"), "there is no department"),
    ],
)
def test_what_is_wrong_is_said(two: Story, words: tuple[str, ...], complaint: str) -> None:
    result = call(*words)
    assert result.exit_code == 1
    assert complaint in str(result.exception)


def test_nothing_recorded_is_said(story: Story) -> None:
    assert "nothing was recorded" in str(call(DOMAIN).exception)
