"""Code lists that several datasets share: ``exchange_formats/codes/*.yaml``, one list a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.documents import require_document

CODES = Path(__file__).parent / "codes"


class CodeList(BaseModel):
    """One list: code → Chinese title; ``titles_en`` where an English one is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
    title: str
    title_en: str
    standard: str
    status: Literal["official", "republished", "observed", "assumption"]
    codes: Annotated[Mapping[str, str], Field(min_length=1)]
    titles_en: Mapping[str, str] = Field(default_factory=dict)


@cache
def load_code_lists(folder: Path = CODES) -> Mapping[str, CodeList]:
    """Every list by id; ConfigurationError names every problem of a file."""
    lists = (require_document(path, CodeList) for path in sorted(folder.glob("*.yaml")))
    return {one.id: one for one in lists}


def find_codes(name: str) -> Mapping[str, str]:
    """The codes of one list; ValueError names the lists that exist."""
    lists = load_code_lists()
    if name not in lists:
        raise ValueError(f"there is no code list '{name}'; there are {', '.join(lists) or 'none'}")
    return lists[name].codes
