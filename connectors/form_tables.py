"""A table in a legacy form whose header was just seen: names, lower case or titles, with or without optional fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.department import Column, DatasetMapping, Files
from connectors.forms import build_columns
from connectors.sources.contract import explain_record, show_names
from exchange_formats.datasets import load_catalogue
from exchange_formats.dirt import normalise_word
from exchange_formats.errors import FatalError
from exchange_formats.forms import Form, find_form


def map_form(form_id: str, header: Sequence[str], files: Files, *, hint: str = "") -> DatasetMapping:
    """The mapping of a table with ``header``; columns that the form does not know are only reported.

    Raises:
        ConfigurationError: there is no such form.
        FatalError: a field of a required column is missing or stands twice (names all of them, with titles);
            ``hint`` says what may be the cause where the header is not even text.
    """
    form = find_form(form_id)
    names = _match(form, header)
    dataset = load_catalogue()[form.dataset]
    lost = [name for column, name in form.held.items() if dataset.fields[column].required is True and name not in names]
    if lost:
        seen = show_names(header) or "none"
        raise FatalError(
            f"缺少必填列 / fields of '{form.id}' are missing: {_show(form, lost)}; the header has {seen}",
            hint=explain_record(header)
            or hint
            or f"the first row holds the fields' names or titles; those of '{form.id}' are: {_show(form, form.fields)}",
        )
    columns = build_columns(form, names)
    return DatasetMapping(
        files=files,
        key=tuple(names[name] for name in form.key if name in names),
        party=names.get(form.party),
        columns={name: Column.model_validate(column) for name, column in columns.items()},
        ignore=tuple(names[name] for name in form.dropped_fields if name in names),
        on_unknown_column="report",
    )


def _match(form: Form, header: Sequence[str]) -> Mapping[str, str]:
    """Field → the header's spelling of it."""
    known: dict[str, str] = {}
    for name, one in form.fields.items():
        known |= {_fold(text): name for text in (name, one.title, *one.variants)}
    names: dict[str, str] = {}
    twice: list[str] = []
    for text in header:
        name = known.get(_fold(text), "")
        if name in names:
            twice.append(name)
        elif name:
            names[name] = text
    if twice:
        raise FatalError(
            f"列重复 / fields that stand twice in the header: {_show(form, twice)}",
            hint="a field is written once: by its name, a variant of it, or its title",
        )
    return names


def _show(form: Form, names: Sequence[str] | Mapping[str, object]) -> str:
    return "、".join(f"{name} {form.fields[name].title}" for name in names)


def _fold(text: str) -> str:
    return normalise_word(text).casefold()
