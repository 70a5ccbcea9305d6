"""Landed records of one department as a file in a legacy form, with a list of those that the form cannot hold."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import duckdb
import pyarrow as pa

from connectors.department import Department
from connectors.lake import Lake
from exchange_formats.contract_versions import choose_contract
from exchange_formats.datasets import NEWEST_FIRST, Dataset
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.form_files import write_csv, write_xlsx, write_xml
from exchange_formats.form_rows import describe_omission, iterate_rows, write_rows
from exchange_formats.forms import Form, find_form
from exchange_formats.uploads import build_head

MEMORY_LIMIT: Final = "512MB"
_ROWS: Final = 8_192
#: The list of records that are left out, beside the file itself.
_OMITTED_HEADER: Final = ("记录编号 record id", "原因代码 reason code", "原因", "reason", "字段 field")


@dataclass(frozen=True)
class Export:
    """What one export wrote: ``written + sum(omitted) = records``; ``list_path`` names who was left out, if anybody."""

    written: int
    omitted: Mapping[str, int]
    names_masked: int
    list_path: Path | None


def export_form(
    lake: Lake, department: Department, form_id: str, path: Path, *, written_at: datetime, whole_names: bool = False
) -> Export:
    """Write the newest version of every record of ``department`` into ``path`` (``.csv``, ``.xlsx`` or ``.xml``).

    ``<path>.omitted.csv`` lists the records that are left out. Both files appear only when they are whole.
    ``whole_names``: the receiver is the department itself. ``written_at`` goes into the head of an XML upload.

    Raises:
        ConfigurationError: there is no such form, or it is only read.
        FatalError: the kind of file is unknown, or a text cannot be written into it; nothing is left behind.
    """
    form = find_form(form_id)
    if form.direction != "both":
        raise ConfigurationError(
            f"该表样只能读入 / the form '{form_id}' is only read", hint="choose one that is written"
        )
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise FatalError(
            f"无法识别的文件类型 / unknown kind of file: {path.name}", hint=f"one of: {', '.join(_WRITERS)}"
        )
    dataset = choose_contract(lake.contracts, form.dataset)
    listed = path.with_name(f"{path.name}.omitted.csv")
    parts = {target: target.with_name(f".{target.name}.part") for target in (path, listed)}
    try:
        with parts[listed].open("w", encoding="utf-8-sig", newline="") as file:
            pages = _Pages(form, dataset, csv.writer(file), whole_names=whole_names)
            with parts[path].open("wb") as target:
                rows = pages.read(_read_newest(lake, department.id, dataset))
                target.writelines(write(form, rows, department.id, written_at))
        parts[path].replace(path)
        if pages.omitted:
            parts[listed].replace(listed)
        else:
            listed.unlink(missing_ok=True)
    except ValueError as error:
        raise FatalError(f"无法写入该格式 / cannot be written as {path.suffix}: {error}", hint="write CSV") from None
    except OSError as error:
        raise FatalError(f"无法写入 / cannot write {path}: {error.strerror}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return Export(pages.written, dict(pages.omitted.most_common()), pages.masked, listed if pages.omitted else None)


class _Listing(Protocol):
    def writerow(self, row: Iterable[str], /) -> object: ...


class _Pages:
    """Page by page, so that memory stays bounded; what is left out is listed at once."""

    def __init__(self, form: Form, dataset: Dataset, listing: _Listing, *, whole_names: bool) -> None:
        self._form, self._dataset, self._listing, self._whole_names = form, dataset, listing, whole_names
        self.written = self.masked = 0
        self.omitted: Counter[str] = Counter()
        listing.writerow(_OMITTED_HEADER)

    def read(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Sequence[str]]:
        for batch in batches:
            page = write_rows(self._form, self._dataset, batch, whole_names=self._whole_names)
            self.written += page.rows.num_rows
            self.masked += page.names_masked
            for one in page.omitted.to_pylist():
                self.omitted[one["reason"]] += 1
                title = describe_omission(one["reason"])
                self._listing.writerow((one["record_id"], one["reason"], title.zh, title.en, one["field"] or ""))
            yield from iterate_rows(page.rows)


def _read_newest(lake: Lake, department: str, dataset: Dataset) -> Iterator[pa.RecordBatch]:
    columns = ", ".join(f'"{name}"' for name in dataset.schema.names)
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("version", lake.records(department, dataset))
        newest = f"QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
        order = f'"{dataset.event_on}", record_id'
        yield from connection.sql(f"SELECT {columns} FROM version {newest} ORDER BY {order}").to_arrow_reader(_ROWS)


def _write_csv(form: Form, rows: Iterable[Sequence[str]], _: str, __: datetime) -> Iterable[bytes]:
    return write_csv(form, rows)


def _write_xlsx(form: Form, rows: Iterable[Sequence[str]], _: str, __: datetime) -> Iterable[bytes]:
    return [write_xlsx(form, rows)]


def _write_xml(form: Form, rows: Iterable[Sequence[str]], department: str, at: datetime) -> Iterable[bytes]:
    return write_xml(form, rows, build_head(department, form.info_class, at))


_Write = Callable[[Form, Iterable[Sequence[str]], str, datetime], Iterable[bytes]]
_WRITERS: Final[Mapping[str, _Write]] = MappingProxyType({".csv": _write_csv, ".xlsx": _write_xlsx, ".xml": _write_xml})
