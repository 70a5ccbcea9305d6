"""``docs/asyncapi.yaml``: the bus as an AsyncAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from exchange_formats.asyncapi import render_asyncapi
from exchange_formats.messages.registry import MESSAGES

DOCUMENT = "docs/asyncapi.yaml"


def render_document() -> Mapping[str, bytes]:
    """The document of every registered message, under the version of this package."""
    return {DOCUMENT: render_asyncapi(MESSAGES.values(), version("xinqiao")).encode()}
