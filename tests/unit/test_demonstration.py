"""The demonstration: another province empties the state folder first, the same one keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import demonstration
from gateway.stack import Seed


class FakeHome:
    def __init__(self, root: Path) -> None:
        self.root = root


class FakeStack:
    """Notes what is asked of it; its lake is one file."""

    folder: Path
    asked: list[str]

    def __init__(self) -> None:
        self.home = FakeHome(self.folder)

    def up(self, *, report: Any, seed: Seed) -> str:
        self.asked.append(f"up {seed.subjects}")
        (self.folder / "s3").mkdir(exist_ok=True)
        (self.folder / "s3" / "object").write_text(str(seed.subjects), encoding="utf-8")
        return "report"

    def down(self) -> None:
        self.asked.append("down")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeStack]:
    FakeStack.folder, FakeStack.asked = tmp_path, []
    (tmp_path / "uv").mkdir()
    (tmp_path / "state.json").write_text("ports", encoding="utf-8")
    monkeypatch.setattr(demonstration, "Stack", FakeStack)
    return FakeStack


def test_state_is_kept_when_the_province_is_the_same(stack: type[FakeStack], tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        demonstration.start_stack(Seed(subjects=500), lambda _: None, said.append)
    assert (stack.asked, said) == (["up 500", "up 500"], [])


def test_state_is_emptied_and_said_so_when_the_province_is_another(stack: type[FakeStack], tmp_path: Path) -> None:
    said: list[str] = []
    demonstration.start_stack(Seed(subjects=500), lambda _: None, said.append)
    (tmp_path / "s3" / "old").write_text("of the old province", encoding="utf-8")
    demonstration.start_stack(Seed(subjects=600), lambda _: None, said.append)
    assert stack.asked == ["up 500", "down", "up 600"]
    assert len(said) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["province", "s3", "state.json", "uv"]
    assert [path.name for path in (tmp_path / "s3").iterdir()] == ["object"]
