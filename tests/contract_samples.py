"""Catalogues for tests: the shipped dataset as its second version, with an older first one beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exchange_formats.datasets import Dataset, load_catalogue, load_contracts


def successor(dataset_id: str, predecessor: Mapping[str, Any], version: int = 2) -> dict[str, Any]:
    """The shipped dataset as ``version``, descending from ``predecessor``."""
    return load_catalogue()[dataset_id].model_dump(mode="json") | {"version": version, "predecessor": dict(predecessor)}


def ancestor(dataset_id: str, renamed: Mapping[str, str], dropped: Sequence[str] = ()) -> dict[str, Any]:
    """A first version of the shipped dataset: ``renamed`` (now → then) columns, and without ``dropped`` ones.

    Rules and conditions that read any of them are left out.
    """
    document = load_catalogue()[dataset_id].model_dump(mode="json") | {"version": 1, "predecessor": None}
    gone = {*renamed, *dropped}
    fields = {renamed.get(name, name): spec for name, spec in document["fields"].items() if name not in dropped}
    for spec in fields.values():
        if isinstance(spec["required"], str) and any(name in spec["required"] for name in gone):
            spec["required"] = False
    checks = [one for one in document["checks"] if not any(name in one["holds"] + one["column"] for name in gone)]
    states = {
        name: column for name, column in document["states"].items() if isinstance(column, str) and column not in gone
    }
    return document | {"fields": fields, "checks": checks, "states": states}


def write_catalogue(folder: Path, *documents: Mapping[str, Any]) -> Mapping[str, Dataset]:
    """The contracts of a folder that holds these documents and no others."""
    folder.mkdir(parents=True)
    for document in documents:
        # JSON is YAML.
        path = folder / f"{document['id']}@{document['version']}.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return load_contracts(folder)
