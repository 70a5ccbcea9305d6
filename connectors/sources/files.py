"""Source ``files``: CSV and XLSX that a department drops into a folder.

Every pull reads all files of the dataset, whatever the window: a file's time says when
it was copied and its name what it covers, neither when it arrived, so nothing but the
content can tell what is new (landing recognises what was landed before). Files are read
in the order of their names. A file that is still being written has a temporary name
(``.x``, ``~x``, ``x.part``, ``x.tmp`` …) and is left for the next pull.

A broken or empty file becomes a reject and the others go on, unless the dataset is a
full snapshot: what is missing there would be taken for revoked, so the pull stops.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from connectors.connection import Connection
from connectors.department import DatasetMapping, Files
from connectors.sources.contract import check_columns
from connectors.sources.failures import explain_file
from connectors.sources.model import PAGE_BYTES, PAGE_ROWS, RejectedInput, SourcePage
from connectors.sources.tables import FileBrokenError, Line, TextTable
from exchange_formats.errors import FatalError, SkippableError, TransientError
from exchange_formats.rejects import Reason

_TEMPORARY_STARTS = (".", "~", "_")
_TEMPORARY_ENDS = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", ".writing", "~")


class FileReader:
    """One pull of one dataset's files; see ``SourceReader``. Files do not say how many rows they should hold."""

    def __init__(self, mapping: DatasetMapping, connection: Connection) -> None:
        if mapping.files is None:
            raise FatalError("a files source needs 'files'")
        path = connection.extra.get("path")
        if not isinstance(path, str) or not path:
            raise FatalError(
                f"连接不完整 / the connection '{connection.id}' has no extra.path (the drop folder)",
                hint=f"see AIRFLOW_CONN_{connection.id.upper()}",
            )
        self._files: Files = mapping.files
        self._mapping, self._folder = mapping, Path(path)
        self.expected_rows: int | None = None
        self._unknown: set[str] = set()

    @property
    def unknown_columns(self) -> tuple[str, ...]:
        """Columns that the mapping neither reads nor ignores."""
        return tuple(sorted(self._unknown))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing stays open between two files."""

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]:
        for path in self._list_files():
            yield from self._read_file(path)

    def _list_files(self) -> list[Path]:
        try:
            # Asked by itself: a pattern matches nothing in a folder that is not mounted, without an error.
            os.listdir(self._folder)  # noqa: PTH208
            found = [path for path in self._folder.glob(self._files.pattern) if not _is_temporary(path)]
            files = sorted((path for path in found if path.is_file()), key=lambda path: path.as_posix())
        except OSError as error:
            raise explain_file(error, f"drop folder, pattern {self._files.pattern}") from None
        if not files:
            raise SkippableError(
                f"没有文件 / nothing was delivered: no file matches {self._files.pattern}",
                hint="check 'files.pattern', or ask the department",
            )
        return files

    def _read_file(self, path: Path) -> Iterator[SourcePage | RejectedInput]:
        name = path.relative_to(self._folder).as_posix()
        try:
            _check_place(path, self._folder)
            before = _fingerprint(path)
            with self._open_table(path, name) as table:
                yield from self._read_table(table)
            _check_unchanged(path, name, before)
        except OSError as error:
            raise explain_file(error, name) from None
        except FileBrokenError as error:
            if self._mapping.snapshot:
                raise FatalError(
                    f"快照文件不可用 / {name}: {error}", hint="a full snapshot must be readable whole; ask for it again"
                ) from None
            yield RejectedInput(name, None, error.reason, str(error))

    def _open_table(self, path: Path, name: str) -> TextTable:
        # calamine is only loaded for workbooks.
        if self._files.format == "xlsx":
            from connectors.sources.workbooks import WorkbookTable

            return WorkbookTable(path, name, self._files.sheet)
        from connectors.sources.delimited import DelimitedTable

        return DelimitedTable(path, name, self._files.encoding, self._files.delimiter)

    def _read_table(self, table: TextTable) -> Iterator[SourcePage | RejectedInput]:
        header = table.header
        self._unknown.update(check_columns(table.origin, header, self._mapping, hint=table.header_hint))
        columns = self._mapping.source_columns
        places = [header.index(name) for name in columns]
        yield from _page(table.lines(), columns, places, table.origin)


def _page(
    lines: Iterator[Line | RejectedInput], columns: Sequence[str], places: Sequence[int], origin: str
) -> Iterator[SourcePage | RejectedInput]:
    """Rows that follow each other as pages; a reject or a blank line between them begins a new page."""
    cells: list[tuple[str, ...]] = []
    choose = _chooser(places)
    first = size = 0

    def close() -> Iterator[SourcePage]:
        nonlocal size
        if cells:
            arrays = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]
            yield SourcePage(pa.record_batch(arrays, names=list(columns)), origin, first)
            cells.clear()
            size = 0

    for line in lines:
        if isinstance(line, RejectedInput):
            yield from close()
            yield line
            continue
        if cells and (line.number != first + len(cells) or len(cells) == PAGE_ROWS or size > PAGE_BYTES):
            yield from close()
        if not cells:
            first = line.number
        chosen = choose(line.cells)
        cells.append(chosen)
        size += sum(map(len, chosen))
    yield from close()


def _chooser(places: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """The cells at ``places``; one place alone would not come as a tuple."""
    if len(places) == 1:
        return lambda cells: (cells[places[0]],)
    return itemgetter(*places)


def _fingerprint(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_place(path: Path, folder: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileBrokenError(Reason.FILE_BROKEN, "a link that leaves the drop folder")


def _check_unchanged(path: Path, name: str, before: tuple[int, int, int]) -> None:
    if _fingerprint(path) != before:
        raise TransientError(
            f"文件正在写入 / {name}: the file changed while it was read",
            hint="write under a temporary name (x.part), then rename",
        )


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(_TEMPORARY_STARTS) or path.name.lower().endswith(_TEMPORARY_ENDS)
