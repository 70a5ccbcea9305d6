"""A legacy form as a department's mapping: ``form: shuanggongshi_penalty_2018`` stands for its columns.

What the department's YAML says itself wins: a column of its own replaces the form's, ``key`` and ``party``
the form's identity. Whatever else the form has is known and not collected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from exchange_formats.datasets import Identifier, load_catalogue
from exchange_formats.errors import ConfigurationError
from exchange_formats.forms import FieldName, Form, Spelling, find_form


class FormUse(BaseModel):
    """Which form, how its header is spelled, and the fields that this source lacks. Short form: the id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier
    header: Spelling = "names"
    without: tuple[FieldName, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """An editor knows the short form, too."""
        return {"anyOf": [{"type": "string", "description": "the form's id"}, handler(core)]}

    def names(self, form: Form) -> Mapping[str, str]:
        """Field → its name in the source, of those that are there; ValueError names what the form does not have."""
        if unknown := set(self.without) - form.fields.keys():
            raise ValueError(f"the form has no field {', '.join(sorted(unknown))}")
        return {name: form.spell(name, self.header) for name in form.fields if name not in self.without}


def fill_from_form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's settings as written (YAML), with what its ``form`` says for what they leave out.

    Raises:
        ValueError: there is no such form, or it lacks a field that is named.
    """
    try:
        use = FormUse.model_validate(settings["form"])
        form = find_form(use.id)
    except ValidationError:
        return dict(settings)  # said by the model itself, at its place
    except ConfigurationError as error:
        raise ValueError(f"there is no form '{use.id}'; {error.hint}") from error
    names = use.names(form)
    own = settings.get("columns") or {}
    filled: dict[str, Any] = {
        "key": [names[name] for name in form.key if name in names],
        "party": names.get(form.party),
        **settings,
    }
    if isinstance(own, Mapping):
        filled["columns"] = {n: c for n, c in build_columns(form, names).items() if n not in own} | dict(own)
    ignored = settings.get("ignore") or ()
    if isinstance(ignored, list | tuple):
        read = set(_name_sources(filled))
        rest = (name for name in list_names(form, use) if name not in read and name not in ignored)
        filled["ignore"] = [*ignored, *rest]
    return filled


def build_columns(form: Form, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The settings of every catalogue column that a source with the fields ``names`` (field → its name there) fills."""
    dataset = load_catalogue()[form.dataset]
    columns: dict[str, dict[str, Any]] = {}
    for column, name in form.held.items():
        if name not in names:
            continue
        spec, one = dataset.fields[column], form.fields[name]
        settings: dict[str, Any] = {
            "from": names[name],
            "unit": one.unit,
            "formats": one.formats or None,
            "codes": dict(form.read_texts(name, spec)) if spec.codes else None,
            "person": names.get(form.person_field or "") if spec.type == "subject" else None,
        }
        columns[column] = {key: value for key, value in settings.items() if value}
    return columns


def list_names(form: Form, use: FormUse) -> Iterator[str]:
    """Every name of a field that a source in this form may have, variants included."""
    for name, one in form.fields.items():
        yield form.spell(name, use.header)
        yield from (other.lower() if use.header == "lower_names" else other for other in one.variants)


def _name_sources(settings: Mapping[str, Any]) -> Iterator[str]:
    """Source columns that ``settings`` read, as far as they are well formed."""
    yield from settings.get("key") or ()
    yield from (name for name in (settings.get("party"), settings.get("supersedes")) if name)
    for part in ("watermark", "changes"):
        if isinstance(inner := settings.get(part), Mapping):
            yield str(inner.get("field"))
    columns = settings.get("columns")
    for column in columns.values() if isinstance(columns, Mapping) else ():
        if isinstance(column, str):
            yield column
        elif isinstance(column, Mapping):
            yield from (str(column[key]) for key in ("from", "person") if column.get(key))
