"""Every statement of docs/semantics.md about what is computed is named by a test, and no test names another."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "semantics.md"
#: Publication (§7) and Airflow (§8) stand beside the computation.
COMPUTED = ("1", "2", "3", "4", "5", "6")


def read_statements() -> list[str]:
    """The numbers of the page's statements, in its order."""
    return re.findall(r"^- \*\*(\d\.\d+)\*\* \S", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def find_marks(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(test, argument) of every ``@pytest.mark.semantics(…)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.semantics":
                    assert decorator.args, f"{node.name} names nothing"
                    yield from ((node.name, argument) for argument in decorator.args)


@pytest.fixture(scope="module")
def named() -> Mapping[str, list[str]]:
    """Statement → the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for test, argument in find_marks(ast.parse(path.read_text(encoding="utf-8"))):
            assert test.startswith("test_"), f"{path.name}: {test} is no test"
            statement = ast.literal_eval(argument)
            assert isinstance(statement, str), f"{path.name}: {test} names a statement as a text"
            found.setdefault(statement, []).append(f"{path.name}: {test}")
    return found


def test_statements_are_numbered_without_a_gap_when_read_in_order() -> None:
    sections = Counter(statement.partition(".")[0] for statement in read_statements())
    assert set(COMPUTED) <= sections.keys()
    assert read_statements() == [f"{name}.{n}" for name, many in sections.items() for n in range(1, many + 1)]


def test_every_list_item_of_the_page_is_a_statement_when_counted() -> None:
    items = re.findall(r"^- ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(items) == len(read_statements())


@pytest.mark.parametrize("statement", read_statements())
def test_statement_is_named_by_a_test_when_it_says_what_is_computed(
    statement: str, named: Mapping[str, list[str]]
) -> None:
    assert named.get(statement) or not statement.startswith(COMPUTED)


def test_no_test_names_a_statement_that_is_not_there(named: Mapping[str, list[str]]) -> None:
    known = set(read_statements())
    assert {statement: tests for statement, tests in named.items() if statement not in known} == {}
