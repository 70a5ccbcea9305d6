"""Legacy forms: layouts in which departments have sent a dataset's records for years (issue: 双公示 templates).

``exchange_formats/forms/*.yaml`` is the one source: what each field of a form is in the catalogue, in which
unit and words. From it follow how a form is read (``connectors.forms``), how it is written
(``exchange_formats.form_rows``), and what either side cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange_formats.datasets import ColumnName, Dataset, FieldSpec, Identifier, Status, load_catalogue
from exchange_formats.documents import Document, read_document
from exchange_formats.errors import ConfigurationError, Problem

FORMS = Path(__file__).parent / "forms"
FieldName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,39}$")]
#: Who must fill a field in: everybody, an organisation, a person; or it depends on another field.
Mark = Literal["always", "organisation", "person", "conditional", "never"]
#: Ways a header may be written: ``CF_WSH``, ``cf_wsh`` (databases fold case), or the Chinese titles.
Spelling = Literal["names", "lower_names", "titles"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FormField(_Strict):
    """One field. ``column`` is the catalogue's; without one, ``why`` says why the catalogue does not hold it.

    ``unit`` and ``decimals`` are how money is written; ``formats`` how dates may be (without them as everywhere);
    ``length`` is the most characters. ``texts`` are the form's
    own words for codes: each is read as its code, and a code is written as its first one, or, where it has none,
    as its official title. ``variants`` are other names under which the field was met.
    """

    title: str
    title_en: str
    column: ColumnName | None = None
    #: The field holds the subject's number where the subject is a person.
    person: bool = False
    unit: Literal["元", "万元", "分"] | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] | None = None
    formats: tuple[str, ...] = ()
    texts: Mapping[str, str] = Field(default_factory=dict)
    length: Annotated[int, Field(ge=1)] | None = None
    filled: Mark = "never"
    variants: tuple[FieldName, ...] = ()
    why: str = ""
    why_en: str = ""

    @model_validator(mode="after")
    def _explain(self) -> FormField:
        if (self.column is None) != bool(self.why and self.why_en):
            raise ValueError("a field has either a column of the catalogue or a reason (why, why_en) for having none")
        return self


class Form(_Strict):
    """One layout of one dataset, its fields in the form's order.

    ``direction``: ``in`` is only read; ``both`` is written, too. ``info_class`` names the form in the head of
    an XML upload. ``key`` and ``party`` are the fields of a record's identity.
    """

    id: Identifier
    title: str
    title_en: str
    dataset: Identifier
    direction: Literal["in", "both"]
    info_class: str
    standard: str
    status: Status
    description: str
    description_en: str
    key: Annotated[tuple[FieldName, ...], Field(min_length=1)]
    party: FieldName
    fields: Mapping[FieldName, FormField]

    @model_validator(mode="after")
    def _check_names(self) -> Form:
        names = [*self.fields, *(name for one in self.fields.values() for name in one.variants)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(twice))}")
        if unknown := {*self.key, self.party} - self.fields.keys():
            raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
        titles = [one.title for one in self.fields.values()]
        if len(set(titles)) < len(titles):
            raise ValueError("two fields have the same title")
        return self

    @property
    def held(self) -> Mapping[str, str]:
        """Catalogue column → the form's field, without the one for a person's number; in the form's order."""
        return {one.column: name for name, one in self.fields.items() if one.column and not one.person}

    @property
    def person_field(self) -> str | None:
        """The field of a person's number."""
        return next((name for name, one in self.fields.items() if one.person), None)

    @property
    def dropped_fields(self) -> Mapping[str, FormField]:
        """Fields that the catalogue does not hold: read past, written empty."""
        return {name: one for name, one in self.fields.items() if one.column is None}

    def missing_columns(self, dataset: Dataset) -> Mapping[str, FieldSpec]:
        """Columns of the catalogue that the form does not hold: null when it is read, lost when it is written."""
        return {name: spec for name, spec in dataset.fields.items() if name not in self.held}

    def read_texts(self, name: str, spec: FieldSpec) -> Mapping[str, str]:
        """Every text that the field may hold, and its code: the form's own, and the official titles."""
        own = self.fields[name].texts
        return dict(own) | {title: code for code, title in (spec.codes or {}).items() if title not in own}

    def written_texts(self, name: str, spec: FieldSpec) -> Mapping[str, str]:
        """Code → the one text that is written for it."""
        own = reversed(list(self.fields[name].texts.items()))
        return dict(spec.codes or {}) | {code: text for text, code in own}

    def header(self, spelling: Spelling = "names") -> tuple[str, ...]:
        """The form's header."""
        return tuple(self.spell(name, spelling) for name in self.fields)

    def spell(self, name: str, spelling: Spelling) -> str:
        """One field as a header of that spelling has it."""
        return {"names": name, "lower_names": name.lower(), "titles": self.fields[name].title}[spelling]


@cache
def load_forms(folder: Path = FORMS) -> Mapping[str, Form]:
    """Every form by id, checked against the catalogue; ConfigurationError names every problem of a file."""
    forms: dict[str, Form] = {}
    for path in sorted(folder.glob("*.yaml")):
        document = read_document(path, Form)
        problems = [*document.problems, *_cross_check(path, document)]
        if problems or document.value is None:
            raise ConfigurationError(f"{path.name} is not a valid form", problems)
        forms[document.value.id] = document.value
    return MappingProxyType(forms)


def find_form(form_id: str) -> Form:
    """One form; ConfigurationError names those that exist."""
    forms = load_forms()
    if form_id not in forms:
        raise ConfigurationError(f"没有这个表样 / there is no form '{form_id}'", hint=f"one of {', '.join(forms)}")
    return forms[form_id]


def _cross_check(path: Path, document: Document[Form]) -> Iterator[Problem]:
    form = document.value
    if form is None:
        return
    if form.id != path.stem:
        yield document.problem(("id",), "the id is not the file's name", expected=path.stem, got=form.id)
    dataset = load_catalogue().get(form.dataset)
    if dataset is None:
        yield document.problem(("dataset",), "there is no such dataset", got=form.dataset)
        return
    for column in (n for n, spec in dataset.fields.items() if spec.required is True and n not in form.held):
        yield document.problem(("fields",), f"no field holds the required column '{column}'")
    seen: set[str] = set()
    for name, one in form.fields.items():
        place = ("fields", name)
        if one.column is None or one.person:
            continue
        if one.column in seen:
            yield document.problem(place, f"two fields hold '{one.column}'")
        seen.add(one.column)
        spec = dataset.fields.get(one.column)
        if spec is None:
            yield document.problem((*place, "column"), "no such column in the catalogue", got=one.column)
        else:
            yield from _check_field(document, place, one, spec)


def _check_field(
    document: Document[Form], place: tuple[str, ...], one: FormField, spec: FieldSpec
) -> Iterator[Problem]:
    for text, code in one.texts.items():
        if code not in (spec.codes or {}):
            yield document.problem((*place, "texts", text), "no such code", got=code)
    if one.formats and spec.type != "date":
        yield document.problem((*place, "formats"), "only a date has formats", got=spec.type)
    money = spec.unit == "元"
    if money != (one.unit is not None) or money != (one.decimals is not None):
        yield document.problem(place, "money, and nothing else, has a unit and decimals")
