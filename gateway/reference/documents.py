"""Every generated document of the repository: who renders it, which are stale, and writing them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway.reference import asyncapi, formats_page, models_page, schemas, templates

ROOT: Final = Path(__file__).parents[2]
#: Path below the root → content. Each renderer owns its paths alone.
Rendered = Mapping[str, bytes]
RENDERERS: Final[tuple[Callable[[], Rendered], ...]] = (
    models_page.render_pages,
    schemas.render_editor_schemas,
    schemas.render_dataset_schemas,
    schemas.render_arrow_schemas,
    schemas.render_message_schemas,
    asyncapi.render_document,
    formats_page.render_pages,
    templates.render_templates,
)
#: Folders that hold nothing but generated files: what nobody renders any more is stale there.
OWNED: Final = ("docs/schema/datasets", "docs/schema/arrow", "docs/schema/messages", "docs/templates")


def render_all() -> Rendered:
    """Every document; two runs give the same bytes."""
    found: dict[str, bytes] = {}
    for renderer in RENDERERS:
        for path, content in renderer().items():
            if path in found:
                raise ValueError(f"{path} is rendered twice")
            found[path] = content
    return found


def find_stale(documents: Rendered, root: Path = ROOT) -> tuple[str, ...]:
    """Paths below ``root`` whose file is missing, differs, or is no longer rendered."""
    differing = {path for path, content in documents.items() if _read(root / path) != content}
    return tuple(sorted(differing | set(_find_surplus(documents, root))))


def write(documents: Rendered, root: Path = ROOT) -> tuple[str, ...]:
    """Make ``root`` hold the documents and no surplus; the paths that changed."""
    stale = find_stale(documents, root)
    for path in stale:
        file = root / path
        if path in documents:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(documents[path])
        else:
            file.unlink()
    return stale


def _find_surplus(documents: Rendered, root: Path) -> Iterator[str]:
    for folder in OWNED:
        for file in (root / folder).rglob("*"):
            path = file.relative_to(root).as_posix()
            if file.is_file() and path not in documents:
                yield path


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
