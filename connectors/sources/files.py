"""Source ``files``: what a department drops into a folder, and a single file on its way there (``open_file``).

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
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.connection import Connection
from connectors.department import DatasetMapping, Files
from connectors.sources import limits
from connectors.sources.contract import check_columns, show_place
from connectors.sources.failures import explain_file
from connectors.sources.model import RejectedInput, SourcePage
from connectors.sources.tables import FileBrokenError, TextTable
from exchange_formats.errors import FatalError, SkippableError, TransientError
from exchange_formats.rejects import Reason, describe_reason

_TEMPORARY_STARTS = (".", "~", "_")
_TEMPORARY_ENDS = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", ".writing", "~")


class LocalFiles:
    """One pass over some files of one dataset; see ``SourceReader``. Files do not say how many rows they should hold.

    ``list_files`` gives each file with the name it is known by; it is called when the pass begins. No file
    outside ``folder`` is read, whatever links lead there.
    """

    def __init__(
        self, mapping: DatasetMapping, list_files: Callable[[], Sequence[tuple[Path, str]]], folder: Path | None = None
    ) -> None:
        self._mapping, self._list_files, self._folder = mapping, list_files, folder
        self._files = _layout(mapping)
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
        for path, name in self._list_files():
            yield from self._read_file(path, name)

    def _read_file(self, path: Path, name: str) -> Iterator[SourcePage | RejectedInput]:
        try:
            _check_place(path, self._folder)
            before = _fingerprint(path)
            with _open_table(self._files, path, name) as table:
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

    def _read_table(self, table: TextTable) -> Iterator[SourcePage | RejectedInput]:
        header = table.header
        if len(header) > limits.COLUMNS.most:
            raise FileBrokenError(Reason.FILE_BROKEN, f"{len(header)} columns, at most {limits.COLUMNS} are read")
        self._unknown.update(check_columns(table.origin, header, self._mapping, hint=table.header_hint))
        yield from table.pages(self._mapping.source_columns)


class FileReader(LocalFiles):
    """One pull of one dataset's files from the drop folder of a connection."""

    def __init__(self, mapping: DatasetMapping, connection: Connection) -> None:
        path = connection.extra.get("path")
        if not isinstance(path, str) or not path:
            raise FatalError(
                f"连接不完整 / the connection '{connection.id}' has no extra.path (the drop folder)",
                hint=f"see AIRFLOW_CONN_{connection.id.upper()}",
            )
        folder = Path(path)
        super().__init__(mapping, lambda: _list_dropped(folder, _layout(mapping).pattern), folder)


def open_file(mapping: DatasetMapping, path: Path, name: str | None = None) -> LocalFiles:
    """A reader of one local file as the drop folder would read it; ``files.pattern`` is not asked.

    ``name`` is what its rows and rejects are said to come from; by default the file's own name.

    Raises:
        FatalError: the mapping has no ``files``.
    """
    return LocalFiles(mapping, lambda: [(path, name or show_place(path.name))])


@dataclass(frozen=True)
class Header:
    """The columns of a file as it names them, and what may be wrong where they are not the expected ones."""

    columns: tuple[str, ...]
    hint: str


def read_header(files: Files, path: Path, name: str | None = None) -> Header:
    """The columns of one file, nothing else of it being read but in JSON, whose records name their own.

    Raises:
        FatalError: the file is empty, broken, or cannot be read.
        TransientError: the file is away.
    """
    name = name or show_place(path.name)
    try:
        _check_place(path, None)
        with _open_table(files, path, name) as table:
            return Header(tuple(table.header), table.header_hint)
    except OSError as error:
        raise explain_file(error, name) from None
    except FileBrokenError as error:
        title = describe_reason(error.reason)
        raise FatalError(
            f"{title.zh} / {name}: {error}", hint="see the limits and formats in docs/formats.md"
        ) from None


def _layout(mapping: DatasetMapping) -> Files:
    if mapping.files is None:
        raise FatalError("文件来源缺少 'files' / a files source needs 'files'", hint="see connectors/departments")
    return mapping.files


def _list_dropped(folder: Path, pattern: str) -> list[tuple[Path, str]]:
    """The files of a drop folder that are ready, in the order of their names; a link that leaves it is one, too."""
    try:
        # Asked by itself: a pattern matches nothing in a folder that is not mounted, without an error.
        os.listdir(folder)  # noqa: PTH208
        found = [path for path in folder.glob(pattern) if not _is_temporary(path)]
        files = sorted((path for path in found if path.is_file()), key=lambda path: path.as_posix())
    except OSError as error:
        raise explain_file(error, f"drop folder, pattern {pattern}") from None
    if not files:
        raise SkippableError(
            f"没有文件 / nothing was delivered: no file matches {pattern}",
            hint="check 'files.pattern', or ask the department",
        )
    return [(path, show_place(path.relative_to(folder).as_posix())) for path in files]


def _open_table(files: Files, path: Path, name: str) -> TextTable:
    # Each reader is only loaded for its files: calamine is heavy, and so are the parsers.
    if files.format == "xlsx":
        from connectors.sources.workbooks import WorkbookTable

        return WorkbookTable(path, name, files.sheet)
    if files.format == "xml":
        from connectors.sources.uploads import UploadTable

        return UploadTable(path, name, files.delimiter)
    if files.format == "json":
        from connectors.sources.json_records import JsonTable

        return JsonTable(path, name, files.records)
    if files.format == "arrow":
        from connectors.sources.arrow_files import ArrowTable

        return ArrowTable(path, name)
    from connectors.sources.delimited import DelimitedTable

    return DelimitedTable(path, name, files.encoding, files.delimiter)


def _fingerprint(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_place(path: Path, folder: Path | None) -> None:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would never end
        raise FileBrokenError(Reason.FILE_BROKEN, "not a regular file")
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise FileBrokenError(Reason.FILE_BROKEN, "a link that leaves the drop folder")


def _check_unchanged(path: Path, name: str, before: tuple[int, int, int]) -> None:
    if _fingerprint(path) != before:
        raise TransientError(
            f"文件正在写入 / {name}: the file changed while it was read",
            hint="write under a temporary name (x.part), then rename",
        )


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(_TEMPORARY_STARTS) or path.name.lower().endswith(_TEMPORARY_ENDS)
