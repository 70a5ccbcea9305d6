"""Markdown of the reference pages: tables, folded parts, headings and the anchors that lead to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["zh", "en"]
BREAK = "<br>"
#: How far a statement is backed: its mark and what it means, in both languages.
MARKS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "official": ("官方", "official", "条文或政府网站原文", "read in the text of the law or on a government site"),
    "republished": ("转载", "republished", "见于第三方转载的条文", "read in a third party's copy of the text"),
    "observed": ("观察", "observed", "见于已部署的系统", "seen in deployed systems"),
    "assumption": ("假设", "assumption", "本系统设定,不是官方规定", "set by this system, not an official rule"),
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """The language a page is written in."""

    language: Language

    def say(self, zh: str, en: str) -> str:
        """The one of the two texts that this page shows; Chinese where there is no English."""
        return en if self.language == "en" and en else zh

    @property
    def suffix(self) -> str:
        """What stands before ``.md`` in the name of a page of this language."""
        return "" if self.language == "en" else ".zh-CN"

    def join(self, texts: Iterable[str]) -> str:
        """A list in a sentence."""
        return (", " if self.language == "en" else "、").join(texts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table; nothing where it would have no row."""
    body = [row(*cells) for cells in rows]
    return [row(*head), f"|{'---|' * len(head)}", *body] if body else []


def row(*cells: str) -> str:
    """One row; a bar inside a cell is data."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), BREAK) for cell in cells)} |"


def code(text: str) -> str:
    """``text`` as code, whatever it holds."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def fold(summary: str, lines: Iterable[str]) -> list[str]:
    """A part that is shown when a reader asks for it."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]


def anchor(heading: str) -> str:
    """The fragment of a heading, as the usual renderers make it: lower case, blanks to hyphens, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def link(heading: str, shown: str = "") -> str:
    """A link to a heading of the same page."""
    return f"[{shown or heading}](#{anchor(heading)})"


def list_headings(page: str, deepest: int = 3) -> list[str]:
    """A table of contents: the headings of the second level, those below them in one line each."""
    contents: list[str] = []
    below: list[str] = []
    for mark, heading in re.findall(r"^(#{2,6}) (.+)$", _without_code(page), re.MULTILINE):
        if len(mark) == 2:
            contents += _indent(below)
            below = []
            contents.append(f"- {link(heading)}")
        elif len(mark) <= deepest:
            below.append(link(heading))
    return contents + _indent(below)


def _indent(links: list[str]) -> list[str]:
    return [f"  {' · '.join(links)}"] if links else []


def _without_code(page: str) -> str:
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
