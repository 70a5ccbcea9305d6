"""``docs/formats.md`` and its Chinese companion: everything that crosses the boundary, on one page each.

The prose stands in ``prose/``; ``{{name}}`` in it is a section rendered from the catalogue, the rules and the registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from exchange_formats.messages.decoding import MAXIMUM_DEPTH
from exchange_formats.rejects import RETENTION_DAYS
from gateway.reference.dataset_sections import render_codes, render_datasets, render_overview
from gateway.reference.form_sections import render_forms
from gateway.reference.markdown import Tongue, list_headings
from gateway.reference.message_sections import link_submission, render_envelope, render_faults, render_messages
from gateway.reference.rule_sections import (
    render_denied,
    render_dirt,
    render_limits,
    render_marks,
    render_reasons,
    render_types,
)

_PROSE: Final = Path(__file__).parent / "prose"
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")
_CONTENTS = "{{contents}}"
_HEAD = "<!-- 由目录和代码生成 generated from the catalogue and the code: python -m gateway.reference -->\n"

SECTIONS: Final[Mapping[str, Callable[[Tongue], Iterable[str]]]] = {
    "submission": lambda tongue: [link_submission(tongue)],
    "types": render_types,
    "marks": render_marks,
    "denied": render_denied,
    "overview": render_overview,
    "datasets": render_datasets,
    "codes": render_codes,
    "dirt": render_dirt,
    "reject_days": lambda _: [str(RETENTION_DAYS)],
    "reasons": render_reasons,
    "limits": render_limits,
    "forms": render_forms,
    "envelope": render_envelope,
    "messages": render_messages,
    "faults": render_faults,
    "depth": lambda _: [str(MAXIMUM_DEPTH)],
}


def render_pages() -> Mapping[str, bytes]:
    """Both pages."""
    return {f"docs/formats{tongue.suffix}.md": _render(tongue).encode() for tongue in (Tongue("en"), Tongue("zh"))}


def _render(tongue: Tongue) -> str:
    prose = (_PROSE / f"formats{tongue.suffix}.md.in").read_text(encoding="utf-8")
    page = _PLACE.sub(lambda place: _fill(place, tongue), prose)
    page = page.replace(_CONTENTS, "\n".join(list_headings(page)))
    return _HEAD + re.sub(r"\n{3,}", "\n\n", page)


def _fill(place: re.Match[str], tongue: Tongue) -> str:
    if place[0] == _CONTENTS:
        return place[0]
    return "\n".join(SECTIONS[place[1]](tongue)).strip("\n")
