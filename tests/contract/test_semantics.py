"""Every sentence of the semantics is held by tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).parents[1]
SENTENCES = yaml.safe_load((TESTS / "data" / "semantics.yaml").read_text(encoding="utf-8"))


def _defined() -> frozenset[str]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py"))
    return frozenset(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.fixture(scope="module")
def defined() -> frozenset[str]:
    return _defined()


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: f"{sentence['section']}: {sentence['says'][:60]}")
def test_sentence_is_held_by_tests_that_exist(sentence: dict[str, list[str]], defined: frozenset[str]) -> None:
    assert sentence["tests"]
    assert [name for name in sentence["tests"] if name not in defined] == []
