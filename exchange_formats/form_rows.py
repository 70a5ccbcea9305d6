"""Landed records as rows of a legacy form, exactly or not at all.

Money becomes the form's unit by moving the decimal point, codes become the form's words, dates are
written YYYY-MM-DD. Whatever the form cannot take as it is leaves the row out, with the reason: nothing
is cut, rounded or made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange_formats.datasets import Dataset, FieldSpec
from exchange_formats.forms import Form, FormField
from exchange_formats.rejects import Title
from exchange_formats.subjects import check_resident_numbers, check_unified_codes, classify_subjects, mask_name
from exchange_formats.texts import Mask, mask_of

_LOOKS_LIKE_NUMBER = "[0-9]{17}[0-9Xx]"
_NUMBER = re.compile(f"(?<![0-9]){_LOOKS_LIKE_NUMBER}(?![0-9])")
#: How many places the decimal point moves from the catalogue's unit to the form's.
_PLACES = {("元", "万元"): 4, ("元", "元"): 0, ("元", "分"): -2}


class Omission(StrEnum):
    """Why a record is not in the form."""

    PERSON = "form.person"
    NO_UNIFIED_CODE = "form.no_unified_code"
    PERSON_NUMBER = "form.person_number"
    MISSING = "form.missing"
    TOO_LONG = "form.too_long"
    TOO_MANY_DECIMALS = "form.too_many_decimals"
    REVOKED = "form.revoked"


_TITLES = {
    Omission.PERSON: Title("自然人记录: 只存假名, 不能写入表样", "of a person: only a pseudonym is held"),
    Omission.NO_UNIFIED_CODE: Title("主体没有统一社会信用代码", "the subject has no unified code"),
    Omission.PERSON_NUMBER: Title("文字里有公民身份号码", "a text holds a resident number", "个人信息保护法 6"),
    Omission.MISSING: Title("表样必填而记录没有", "the form demands what the record does not hold"),
    Omission.TOO_LONG: Title("超过表样字段长度", "longer than the form's field"),
    Omission.TOO_MANY_DECIMALS: Title("表样单位的小数位数不够", "more decimals than the form's unit keeps"),
    Omission.REVOKED: Title("记录已撤销, 表样没有撤销日期", "revoked, and the form has no place to say so"),
}

#: Records that are left out, in their order: the first reason of each and the field of the form it concerns.
OMITTED = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("field", pa.string()),
    ]
)


def describe_omission(code: str) -> Title:
    """The title of an ``Omission``; ValueError for anything else."""
    return _TITLES[Omission(code)]


@dataclass(frozen=True)
class FormRows:
    """``rows``: one string column a field, in the form's order, empty where there is no value.

    With ``omitted`` (``OMITTED``) they are as many as the records. ``names_masked`` counts rows whose party is an
    individual business.
    """

    rows: pa.RecordBatch
    omitted: pa.RecordBatch
    names_masked: int


def write_rows(form: Form, dataset: Dataset, records: pa.RecordBatch, *, whole_names: bool = False) -> FormRows:
    """Write landed ``records`` (columns of ``dataset.schema``, as landing leaves them) into ``form``.

    ``whole_names``: the receiver is the department that sent them; for anybody else the name of an individual
    business is masked like a person's (semantics §3).

    Raises:
        ValueError: the form is only read, or is one of another dataset.
    """
    if form.direction != "both" or form.dataset != dataset.id:
        raise ValueError(f"'{form.id}' is not a form that records of '{dataset.id}' are written into")
    references = records.column("subject_ref")
    businesses = mask_of(classify_subjects(references).individual_business)
    page = _Page(records.num_rows, [])
    _find_subjects(page, form, references)
    if "revoked_on" in records.schema.names and "revoked_on" not in form.held:
        page.omit(Omission.REVOKED, None, mask_of(pc.is_valid(records.column("revoked_on"))))
    columns = [_write_field(page, form, name, one, dataset, records, references) for name, one in form.fields.items()]
    names = list(form.fields)
    masked = businesses & ~page.wrong
    if not whole_names and "subject_name" in form.held and masked.any():
        place = names.index(form.held["subject_name"])
        columns[place] = _mask_names(columns[place], businesses)
    rows = pa.RecordBatch.from_arrays([pc.fill_null(column, "") for column in columns], names=names)
    kept = rows.filter(pa.array(~page.wrong))
    return FormRows(kept, page.list_omitted(records.column("record_id")), 0 if whole_names else int(masked.sum()))


@dataclass
class _Page:
    """What cannot be written, in the order it was found."""

    size: int
    found: list[tuple[Omission, str | None, Mask]]

    @property
    def wrong(self) -> Mask:
        wrong = np.zeros(self.size, dtype=np.bool_)
        for _, _, rows in self.found:
            wrong |= rows
        return wrong

    def omit(self, reason: Omission, field: str | None, rows: Mask) -> None:
        if rows.any():
            self.found.append((reason, field, rows))

    def list_omitted(self, record_ids: pa.Array) -> pa.RecordBatch:
        rows = []
        for place in np.flatnonzero(self.wrong).tolist():
            reason, field = next((reason, field) for reason, field, rows in self.found if rows[place])
            rows.append({"record_id": record_ids[place].as_py(), "reason": str(reason), "field": field})
        return pa.RecordBatch.from_pylist(rows, schema=OMITTED)


def _find_subjects(page: _Page, form: Form, references: pa.Array) -> None:
    persons = mask_of(pc.starts_with(references, "np_"))
    page.omit(Omission.PERSON, form.person_field, persons)
    page.omit(Omission.NO_UNIFIED_CODE, form.held["subject_id"], ~persons & ~check_unified_codes(references))


def _write_field(
    page: _Page,
    form: Form,
    name: str,
    one: FormField,
    dataset: Dataset,
    records: pa.RecordBatch,
    references: pa.Array,
) -> pa.Array:
    """One field's texts; null where there is no value."""
    if one.column is None or one.person:
        return pa.nulls(records.num_rows, pa.string())
    spec = dataset.fields[one.column]
    values = references if spec.type == "subject" else records.column(one.column)
    if one.unit is not None:
        values = _move_point(page, name, one, spec, values)
    elif spec.codes:
        texts = form.written_texts(name, spec)
        place = pc.index_in(values, pa.array(list(texts), pa.string()))
        values = pa.array(list(texts.values()), pa.string()).take(place)
    text = pc.cast(values, pa.string())
    if one.length is not None:
        page.omit(Omission.TOO_LONG, name, mask_of(pc.greater(pc.utf8_length(text), one.length)))
    if spec.type == "string":
        page.omit(Omission.PERSON_NUMBER, name, _find_numbers(text))
    if one.filled in {"always", "organisation"}:
        page.omit(Omission.MISSING, name, mask_of(pc.is_null(text)))
    return text


def _move_point(page: _Page, name: str, one: FormField, spec: FieldSpec, values: pa.Array) -> pa.Array:
    """The same digits with the decimal point elsewhere, then exactly ``one.decimals`` decimals."""
    kind = values.type
    moved = pa.decimal128(38, kind.scale + _PLACES[spec.unit or "", one.unit or ""])
    digits = pc.cast(values, pa.decimal128(38, kind.scale))
    amount = pa.Array.from_buffers(moved, len(digits), digits.buffers(), offset=digits.offset)
    rounded = pc.round(amount, ndigits=one.decimals)
    page.omit(Omission.TOO_MANY_DECIMALS, name, mask_of(pc.not_equal(amount, rounded)))
    return pc.cast(rounded, pa.decimal128(38, one.decimals), safe=False)


def _find_numbers(texts: pa.Array) -> Mask:
    """Which texts hold a resident number; only what looks like one is read twice."""
    found = mask_of(pc.match_substring_regex(texts, _LOOKS_LIKE_NUMBER)).copy()
    for place in np.flatnonzero(found).tolist():
        numbers = [number.upper() for number in _NUMBER.findall(texts[place].as_py())]
        found[place] = check_resident_numbers(pa.array(numbers, pa.string())).any()
    return found


def _mask_names(names: pa.Array, rows: Mask) -> pa.Array:
    hidden = [mask_name(name) for name in names.filter(pa.array(rows)).to_pylist() if name is not None]
    chosen = pa.array(rows & mask_of(pc.is_valid(names)))
    return pc.replace_with_mask(names, chosen, pa.array(hidden, pa.string()))


def iterate_rows(rows: pa.RecordBatch) -> Iterator[tuple[str, ...]]:
    """The rows as tuples of text, as writers of files take them."""
    yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)
