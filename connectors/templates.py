"""Tables whose header is the catalogue's own: column names or their Chinese titles, in any order and mixture.

The upload templates are such tables. Their values are in the catalogue's units and
code lists, so the mapping follows from the dataset and the header alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.department import Column, DatasetMapping, Files
from connectors.sources.contract import explain_record, show_names
from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.dirt import normalise_word
from exchange_formats.errors import FatalError

#: ISO 8601, and what a Chinese Excel makes of it when it saves a CSV: 2026/5/1.
DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S")


def map_template(dataset: Dataset, header: Sequence[str], files: Files, *, hint: str = "") -> DatasetMapping:
    """The mapping of a table with ``header``; columns that the catalogue does not know are only reported.

    A record's identity is the dataset's own, as far as the header holds it; the subject, where it is part of
    it, is the party.

    Raises:
        FatalError: a required column is missing or a column stands twice (names all of them, with titles);
            ``hint`` says what may be the cause where the header is not even text.
    """
    sources = _match(dataset, header)
    missing = [name for name, spec in dataset.fields.items() if spec.required is True and name not in sources]
    if missing:
        named = "、".join(f"{name} {dataset.fields[name].title}" for name in missing)
        known = ", ".join(f"{spec.title} {name}" for name, spec in dataset.fields.items())
        seen = show_names(header) or "empty"
        raise FatalError(
            f"缺少必填列 / required columns of '{dataset.id}' are missing: {named}; the header is {seen}",
            hint=explain_record(header)
            or hint
            or f"the first row holds the columns' names or titles; those of '{dataset.id}' are: {known}",
        )
    key = [name for name in dataset.identity if name != "subject_id" and name in sources]
    return DatasetMapping(
        files=files,
        key=tuple(sources[name] for name in key or ["subject_id"]),
        party=sources["subject_id"] if key and "subject_id" in dataset.identity else None,
        columns={name: _read_as_catalogue(dataset.fields[name], source) for name, source in sources.items()},
        on_unknown_column="report",
    )


def _match(dataset: Dataset, header: Sequence[str]) -> Mapping[str, str]:
    """Catalogue column → the header's spelling of it."""
    known: dict[str, str] = {}
    for name, spec in dataset.fields.items():
        known[_fold(name)] = known[_fold(spec.title)] = name
    sources: dict[str, str] = {}
    twice: list[str] = []
    for text in header:
        column = known.get(_fold(text))
        if column is not None and column in sources:
            twice.append(f"{column} {dataset.fields[column].title}")
        elif column is not None:
            sources[column] = text
    if twice:
        raise FatalError(
            f"列重复 / columns that stand twice in the header: {'、'.join(twice)}",
            hint="a column is written once: by its name or by its title",
        )
    return sources


def _fold(text: str) -> str:
    return normalise_word(text).casefold()


def _read_as_catalogue(spec: FieldSpec, source: str) -> Column:
    """The catalogue's own unit and dates, declared as a mapping has to; only money is declared."""
    unit = spec.unit if spec.unit in {"元", "分"} else None
    formats = DATE_FORMATS if spec.type == "date" else None
    return Column.model_validate({"from": source, "unit": unit, "formats": formats})
