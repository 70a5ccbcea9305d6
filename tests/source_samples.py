"""Small sources for tests: mappings, windows, and a way to read one whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from connectors.department import Department
from connectors.sources import RejectedInput, SourcePage, SourceReader
from exchange_formats.manifests import Window

NOW = datetime(2026, 6, 30, 4, 0, tzinfo=UTC)
WINDOW = Window(until=NOW)


def now() -> datetime:
    return NOW


def make_department(source: dict[str, Any], mapping: dict[str, Any], dataset: str = "complaint") -> Department:
    """A department with one dataset; the mapping reads columns ``no``, ``code`` and ``day`` unless told otherwise."""
    whole = {
        "key": ["no"],
        "columns": {"complaint_no": "no", "subject_id": "code", "filed_on": "day"},
        **mapping,
    }
    return Department.model_validate(
        {
            "id": "sample_office",
            "title": "样例局",
            "title_en": "Sample Office",
            "owner": {"team": "t", "contact": "c@example.invalid"},
            "schedule": "0 2 * * *",
            "late_after": "PT6H",
            "source": {"connection": "dept_sample_office", **source},
            "datasets": {dataset: whole},
        }
    )


def read(reader: SourceReader) -> tuple[list[dict[str, Any]], list[RejectedInput]]:
    """All rows, each with ``_at`` = (origin, row number), and all rejected inputs."""
    with reader:
        return split(reader)


def split(found: Iterable[SourcePage | RejectedInput]) -> tuple[list[dict[str, Any]], list[RejectedInput]]:
    rows: list[dict[str, Any]] = []
    rejects: list[RejectedInput] = []
    for one in found:
        if isinstance(one, RejectedInput):
            rejects.append(one)
            continue
        numbers = (
            range(one.first_row, one.first_row + one.batch.num_rows) if one.numbers is None else one.numbers.tolist()
        )
        for number, row in zip(numbers, one.batch.to_pylist(), strict=True):
            rows.append({**row, "_at": (one.origin, number)})
    return rows, rejects
