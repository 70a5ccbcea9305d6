"""What a file may be at most, and what happens to one that is more: the reference page renders this table.

Every limit is an assumption of ours (no standard sets one), far above what departments send. Each is checked
before the memory or the time is spent, so that a hostile file ends as a reject or a typed error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from exchange_formats.cleaning import MAXIMUM_CELL_BYTES
from exchange_formats.rejects import Reason, Title

Unit = Literal["bytes", "characters", "columns", "cells", "levels", "members", "tags", "times"]
_ROW: Final = Title("该行被拒绝，其余照常读取", "the row is rejected, the others are read")
_FILE: Final = Title("文件被拒绝", "the file is rejected")
_REST: Final = Title("其后内容被拒绝", "what follows is rejected")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. ``formats`` are those of ``files.format`` it holds for (empty: every one); ``most`` is still allowed.

    ``consequence`` says what becomes of more, ``reason`` is the code of that reject. ``status`` is
    ``assumption`` throughout: nobody but us decided it.
    """

    id: str
    title: Title
    most: int
    unit: Unit
    formats: tuple[str, ...]
    consequence: Title
    reason: Reason
    status: Literal["assumption"] = "assumption"

    def __str__(self) -> str:
        """``4 MiB``, ``1,024 columns``."""
        if self.unit == "bytes":
            for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
                if self.most % size == 0:
                    return f"{self.most // size:,} {name}"
        return f"{self.most:,} {self.unit}"


COLUMNS: Final = Limit("columns", Title("列数", "columns"), 1_024, "columns", (), _FILE, Reason.FILE_BROKEN)
CELL: Final = Limit("cell", Title("单元格", "one cell"), 2**20, "characters", (), _ROW, Reason.CELL_TOO_LARGE)
CELL_READ: Final = Limit(
    "cell_read",
    Title("所读列的一个单元格（UTF-8）", "one cell of a column that is read (UTF-8)"),
    MAXIMUM_CELL_BYTES,
    "bytes",
    (),
    _ROW,
    Reason.CELL_TOO_LARGE,
)
LINE: Final = Limit("line", Title("一行", "one line"), 4 * 2**20, "bytes", ("csv",), _ROW, Reason.CELL_TOO_LARGE)
RECORD: Final = Limit(
    "record",
    Title("一条跨行记录", "one record over several lines"),
    16 * 2**20,
    "bytes",
    ("csv",),
    _ROW,
    Reason.CELL_TOO_LARGE,
)
JSON_RECORD: Final = Limit(
    "json_record", Title("一条记录", "one record"), 4 * 2**20, "bytes", ("json",), _REST, Reason.CELL_TOO_LARGE
)
JSON_LEVELS: Final = Limit(
    "json_levels",
    Title("记录内嵌套层数", "levels of nesting in a record"),
    64,
    "levels",
    ("json",),
    _ROW,
    Reason.ROW_MALFORMED,
)
UNPACKED: Final = Limit(
    "unpacked",
    Title("解压后大小（gzip）", "unpacked size (gzip)"),
    8 * 2**30,
    "bytes",
    ("csv", "json"),
    _REST,
    Reason.FILE_BROKEN,
)
RATIO: Final = Limit(
    "ratio",
    Title("解压后与压缩后之比（gzip，超过 16 MiB 时）", "unpacked to packed size (gzip, above 16 MiB)"),
    400,
    "times",
    ("csv", "json"),
    _REST,
    Reason.FILE_BROKEN,
)
WORKBOOK: Final = Limit(
    "workbook", Title("工作簿", "a workbook"), 64 * 2**20, "bytes", ("xlsx",), _FILE, Reason.FILE_BROKEN
)
WORKBOOK_UNPACKED: Final = Limit(
    "workbook_unpacked",
    Title("工作簿解压后", "a workbook, unpacked"),
    256 * 2**20,
    "bytes",
    ("xlsx",),
    _FILE,
    Reason.FILE_BROKEN,
)
WORKBOOK_MEMBERS: Final = Limit(
    "workbook_members",
    Title("工作簿内部件数", "parts inside a workbook"),
    10_000,
    "members",
    ("xlsx",),
    _FILE,
    Reason.FILE_BROKEN,
)
WORKBOOK_CELLS: Final = Limit(
    "workbook_cells",
    Title("工作表范围（行数×列数）", "the area of a sheet (rows times columns)"),
    8_000_000,
    "cells",
    ("xlsx",),
    _FILE,
    Reason.FILE_BROKEN,
)
WORKBOOK_TAGS: Final = Limit(
    "workbook_tags",
    Title("工作簿内 XML 标签数", "XML tags in a workbook"),
    16_000_000,
    "tags",
    ("xlsx",),
    _FILE,
    Reason.FILE_BROKEN,
)
WORKBOOK_TEXT: Final = Limit(
    "workbook_text",
    Title("工作表全部文本", "the text of all cells of a sheet"),
    256 * 2**20,
    "characters",
    ("xlsx",),
    _FILE,
    Reason.FILE_BROKEN,
)
ARROW_MESSAGE: Final = Limit(
    "arrow_message",
    Title("一个记录批（解压后）", "one record batch, unpacked"),
    256 * 2**20,
    "bytes",
    ("arrow",),
    _REST,
    Reason.FILE_BROKEN,
)
UPLOAD: Final = Limit(
    "upload", Title("XML 上报文件", "an XML upload"), 2**30, "bytes", ("xml",), _FILE, Reason.FILE_BROKEN
)
UPLOAD_LEVELS: Final = Limit(
    "upload_levels", Title("XML 嵌套层数", "levels of XML"), 8, "levels", ("xml",), _FILE, Reason.FILE_BROKEN
)
UPLOAD_TOKEN: Final = Limit(
    "upload_token",
    Title("XML 中一个标签、一条注释或一个 Head 元素", "one tag, comment or Head element of XML"),
    256 * 2**10,
    "bytes",
    ("xml",),
    _FILE,
    Reason.FILE_BROKEN,
)
UPLOAD_TAGS: Final = Limit(
    "upload_tags", Title("XML 标签数", "XML tags"), 2_000_000, "tags", ("xml",), _FILE, Reason.FILE_BROKEN
)

#: All of them, as the page lists them.
LIMITS: Final[tuple[Limit, ...]] = (
    COLUMNS,
    CELL,
    CELL_READ,
    LINE,
    RECORD,
    JSON_RECORD,
    JSON_LEVELS,
    UNPACKED,
    RATIO,
    WORKBOOK,
    WORKBOOK_UNPACKED,
    WORKBOOK_MEMBERS,
    WORKBOOK_CELLS,
    WORKBOOK_TAGS,
    WORKBOOK_TEXT,
    ARROW_MESSAGE,
    UPLOAD,
    UPLOAD_LEVELS,
    UPLOAD_TOKEN,
    UPLOAD_TAGS,
)
