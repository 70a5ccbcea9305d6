"""What may never be collected: 浙江省公共信用信息管理条例 14 (facts §5.1). The words stand in ``deny_list.yaml``.

A Chinese word is found anywhere in a text, a Latin one only as a whole word, so that
``general`` is not a gene. Checked wherever a column is named: in the catalogue, in a
department's mapping, in a form.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.documents import require_document

_FILE = Path(__file__).parent / "deny_list.yaml"
_LATIN_WORD = re.compile(r"[a-z]+")


class Category(BaseModel):
    """One forbidden kind of information, and the words that name it in column names and titles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    title_en: str
    words: Annotated[tuple[str, ...], Field(min_length=1)]


class DenyList(BaseModel):
    """All of it, with the article that forbids it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    basis: str
    categories: tuple[Category, ...]


@cache
def load_deny_list(file: Path = _FILE) -> DenyList:
    """The list; ConfigurationError names every problem of the file."""
    return require_document(file, DenyList)


def find_denied(text: str) -> str:
    """Why a column of this name or title may not be collected (Chinese and English); empty where it may."""
    lowered = text.lower()
    latin = set(_LATIN_WORD.findall(lowered))
    denied = load_deny_list()
    for category in denied.categories:
        if any((word in latin) if word.isascii() else (word in lowered) for word in category.words):
            return f"{category.title} {category.title_en} ({denied.basis})"
    return ""
