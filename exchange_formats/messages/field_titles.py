"""Titles of the fields of messages, in both languages: ``field_titles.yaml`` beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from exchange_formats.documents import require_document

FIELD_TITLES = Path(__file__).with_suffix(".yaml")


class FieldTitle(BaseModel):
    """One field: its title in Chinese, and what it means in English."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class _Titles(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: Mapping[str, FieldTitle]


@cache
def load_titles() -> Mapping[str, FieldTitle]:
    """Every title by ``field`` or ``Model.field``."""
    return require_document(FIELD_TITLES, _Titles).fields


def find_title(model: str, field: str) -> FieldTitle:
    """The title of a field of a model; KeyError when nobody has written it."""
    titles = load_titles()
    return titles.get(f"{model}.{field}") or titles[field]
