"""Documents: what YAML means here, and where each key stands."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from exchange_formats.documents import Document, read_document, require_document
from exchange_formats.errors import ConfigurationError


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = 0


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    anything: Any = None
    items: tuple[Item, ...] = ()


def load(folder: Path, text: str | bytes) -> Document[Sample]:
    path = folder / "sample.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path, Sample)


def problems(folder: Path, text: str | bytes) -> list[str]:
    document = load(folder, text)
    assert document.value is None
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("null", None),
        ("010", 10),
        ('"010"', "010"),
        ("1_000", "1_000"),
        ("1.10", Decimal("1.10")),
        ("1e3", "1e3"),
        ("12:30:45", "12:30:45"),
        ("2026-06-30", date(2026, 6, 30)),
        ("'2026-06-30'", "2026-06-30"),
        ("[1, [2]]", [1, [2]]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(tmp_path: Path, written: str, meant: object) -> None:
    document = load(tmp_path, f"id: x\nanything: {written}\n")
    assert document.value is not None
    assert document.value.anything == meant
    assert type(document.value.anything) is type(meant)


def test_every_problem_is_told_with_line_and_column_when_a_document_breaks_its_schema(tmp_path: Path) -> None:
    text = "anything: 1\ncolour: red\nitems:\n  - name: a\n    size: big\n  - size: 3\n"
    assert problems(tmp_path, text) == [
        "sample.yaml:1:1 id: the key is missing; hint add it",
        "sample.yaml:5:5 items[0].size: not a whole number; got 'big'",
        "sample.yaml:6:5 items[1].name: the key is missing; hint add it",
        "sample.yaml:2:1 colour: unknown key; hint remove it or correct its spelling",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "sample.yaml:0:0 (file): the file is empty; expected a Sample"),
        (b"id: \xd0\xa1\xd0\nx", "sample.yaml:0:0 (file): the file is not UTF-8; got byte 0xd0 at 6"),
        ("id: [1\n", "sample.yaml:2:1 (file): not valid YAML: did not find expected ',' or ']'"),
        ("id: a\nid: b\n", "sample.yaml:2:1 id: the key is written twice"),
        ("id: &x a\nanything: *x\n", "sample.yaml:2:1 anything: anchors and aliases are not allowed"),
        ("id: !!python/name:os.system a\n", "sample.yaml:1:1 id: tags are not allowed"),
        ("id: a\nanything: 2026-02-30\n", "sample.yaml:2:1 anything: no such day; expected YYYY-MM-DD"),
    ],
)
def test_a_document_is_refused_with_its_place_when_it_cannot_be_read(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    found = problems(tmp_path, text)
    assert found[0].startswith(expected)


def test_a_document_is_refused_when_it_is_too_large(tmp_path: Path) -> None:
    assert "too large" in problems(tmp_path, "#" * 1_000_001)[0]


def test_a_missing_file_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    found = read_document(tmp_path / "none.yaml", Sample)
    assert [str(problem) for problem in found.problems] == [
        "none.yaml:0:0 (file): the file cannot be read: No such file or directory"
    ]


def test_a_nest_too_deep_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    assert "not valid YAML" in problems(tmp_path, "id: " + "[" * 5_000)[0]


def test_a_later_problem_stands_at_its_key_or_at_the_nearest_that_is_written(tmp_path: Path) -> None:
    document = load(tmp_path, "id: x\nitems:\n  - name: a\n")
    assert str(document.problem(("items", 0, "name"), "taken")) == "sample.yaml:3:5 items[0].name: taken"
    assert str(document.problem(("items", 0, "size"), "odd")) == "sample.yaml:3:5 items[0].size: odd"


def test_a_shipped_file_raises_with_every_problem_when_it_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "sample.yaml"
    path.write_text("colour: red\n")
    with pytest.raises(ConfigurationError) as caught:
        require_document(path, Sample)
    assert len(caught.value.problems) == 2


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_problems(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    document = load(tmp_path_factory.mktemp("any"), content)
    assert (document.value is None) == bool(document.problems)
