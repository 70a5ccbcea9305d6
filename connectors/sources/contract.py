"""The column contract between a mapping and what a source really delivers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from connectors.department import DatasetMapping
from exchange_formats.errors import FatalError
from exchange_formats.rejects import mask_value
from exchange_formats.subjects import mask_identity

_SHOWN = 20
# What no column is named: a code or a person's number, whole or masked.
_VALUE = re.compile(r"[0-9]{6}[0-9A-Za-z*]{5}")
_NUMBER = re.compile(r"[0-9]{17}[0-9Xx]")


def check_columns(origin: str, found: Sequence[str], mapping: DatasetMapping, *, hint: str = "") -> tuple[str, ...]:
    """The columns of ``origin`` that the mapping does not know (sorted), when it says that they are only reported.

    Raises:
        FatalError: a column that is read is missing or stands twice, or an unknown one is there under ``stop``.
    """
    twice = sorted({name for name in mapping.source_columns if found.count(name) > 1})
    if twice:
        raise FatalError(
            f"列重复 / {origin}: columns that stand twice: {show_names(twice)}", hint="one name, one column"
        )
    present = set(found)
    missing = [name for name in mapping.source_columns if name not in present]
    unknown = sorted(present - set(mapping.source_columns) - set(mapping.ignore))
    if missing:
        also = f"; unknown columns instead: {show_names(unknown)}" if unknown else ""
        raise FatalError(
            f"缺少列 / {origin}: missing columns: {show_names(missing)}{also}",
            hint=explain_record(found)
            or hint
            or "the source changed: ask the department, then correct the department's YAML",
        )
    if unknown and mapping.on_unknown_column == "stop":
        raise FatalError(
            f"多出列 / {origin}: unknown columns: {show_names(unknown)}",
            hint="map them, list them under 'ignore', or set 'on_unknown_column: report'",
        )
    return tuple(map(show_name, unknown))


def is_plain(kind: pa.DataType) -> bool:
    """Whether a typed column holds what a cell can be: text, numbers, booleans, dates and times."""
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return any(check(kind) for check in (*checks, types.is_date, types.is_timestamp, types.is_decimal))


def show_name(name: str, *, is_value: bool = False) -> str:
    """A name out of a file as an error may show it: short, and nothing in it that a terminal would obey.

    Where a record stands in the header's place, a name is a value (``is_value``) and shown masked, as any value that
    looks like one is.
    """
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name[:64])
    return mask_value(plain, "typed") if is_value or _VALUE.search(name) else plain


def show_place(name: str) -> str:
    """The name of a file or a sheet as rows, rejects and logs carry it: no person's number in it."""
    return _NUMBER.sub(lambda match: mask_identity(match[0]), name)


def show_names(columns: Sequence[str]) -> str:
    """The first of the names, quoted; the cells of a record are masked."""
    are_values = _holds_record(columns)
    shown = ", ".join(f"'{show_name(name, is_value=are_values)}'" for name in columns[:_SHOWN])
    return shown + (f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else "")


def explain_record(header: Sequence[str]) -> str:
    """What to do where a record stands in the header's place; empty where none does."""
    return (
        "the first row looks like a record: put a row with the columns' names above it" if _holds_record(header) else ""
    )


def _holds_record(header: Sequence[str]) -> bool:
    return any(_VALUE.search(name) for name in header)
