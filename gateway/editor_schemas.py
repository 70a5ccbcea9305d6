"""JSON Schemas of what people write, for their editors: ``docs/schema``, rendered from the types.

Write them anew with ``python -m gateway.editor_schemas``; a test fails when they are stale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from connectors.department import Department

FOLDER = Path(__file__).parent.parent / "docs" / "schema"


def render_schemas() -> Mapping[str, str]:
    """File name → content."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Xinqiao department",
        **Department.model_json_schema(by_alias=True),
    }
    return {"department.schema.json": json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"}


def write_schemas(folder: Path = FOLDER) -> None:
    """Write every schema into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
