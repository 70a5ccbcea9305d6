"""What may never be collected: 浙江省公共信用信息管理条例 14 (facts §5.1). The words stand in ``deny_list.yaml``.

A Chinese word is found anywhere in a text, a Latin one only as whole words (``general`` is not
a gene, ``bloodType`` is a blood type). Checked wherever a column is named: in the catalogue, in a
department's mapping, in a form. It reads names, never values.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.documents import require_document

_FILE = Path(__file__).parent / "deny_list.yaml"
_LATIN_WORD = re.compile(r"[a-z]+")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_JOINT = "_"


class Category(BaseModel):
    """One kind of information that may not be collected, and the words that name it in column names and titles.

    ``unless_consented``: of a natural person only with the person's written consent; else never.
    ``allowed``: phrases that hold such a word and mean something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    title_en: str
    unless_consented: bool = False
    words: Annotated[tuple[str, ...], Field(min_length=1)]
    allowed: tuple[str, ...] = ()


class DenyList(BaseModel):
    """All of it, with the article that forbids it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    basis: str
    categories: tuple[Category, ...]


@cache
def load_deny_list(file: Path = _FILE) -> DenyList:
    """The list; ConfigurationError names every problem of the file."""
    return require_document(file, DenyList)


@lru_cache(maxsize=4096)
def find_denied(text: str, *, without_consent: bool = True) -> str:
    """Why a column of this name or title may not be collected (Chinese and English); empty where it may.

    ``without_consent``: it would be of natural persons, and nobody names their written consent.
    """
    denied = load_deny_list()
    for category in denied.categories:
        if (without_consent or not category.unless_consented) and _names(text, category):
            terms = "未经本人书面同意 without the person's written consent, " if category.unless_consented else ""
            return f"{category.title} {category.title_en} ({terms}{denied.basis})"
    return ""


def _names(text: str, category: Category) -> bool:
    latin, other = _fold(text)
    for phrase in category.allowed:
        folded, same = _fold(phrase)
        latin, other = (latin.replace(folded, _JOINT), other) if phrase.isascii() else (latin, other.replace(same, ""))
    return any(_fold(word)[0] in latin if word.isascii() else _fold(word)[1] in other for word in category.words)


@lru_cache(maxsize=4096)
def _fold(text: str) -> tuple[str, str]:
    """The Latin words of a text between joints (``_blood_type_``), and all of it without spaces and signs."""
    plain = _CAMEL_HUMP.sub(_JOINT, unicodedata.normalize("NFKC", text)).lower()
    return f"{_JOINT}{_JOINT.join(_LATIN_WORD.findall(plain))}{_JOINT}", _BETWEEN_WORDS.sub("", plain)
