"""Files in a legacy form: CSV, XLSX or a department's XML upload, from ``exchange_formats.form_rows``.

CSV and XLSX are opened by spreadsheets, so text that would be a formula is neutralised there
(``exchange_formats.formulas``); XML carries every text as it is, but for characters XML has no way to write, and
for a quote that reading would take for such a guard.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from exchange_formats.forms import Form, Spelling
from exchange_formats.formulas import neutralise, shield
from exchange_formats.uploads import UploadHead, write_upload

#: Rows of a worksheet below its header (Excel: 1,048,576 with it).
SHEET_ROWS = 1_048_575
_BOM = "\ufeff"
_CHUNK_ROWS = 1_000


def write_csv(form: Form, rows: Iterable[Sequence[str]], *, header: Spelling = "titles") -> Iterator[bytes]:
    """UTF-8 with a byte order mark, so that spreadsheets read it as such; RFC 4180."""
    text = io.StringIO()
    write = csv.writer(text)
    text.write(_BOM)
    write.writerow(form.header(header))
    for number, row in enumerate(rows, 1):
        write.writerow([neutralise(cell) for cell in row])
        if number % _CHUNK_ROWS == 0:
            yield _take(text)
    yield _take(text)


def write_xlsx(form: Form, rows: Iterable[Sequence[str]], *, header: Spelling = "titles") -> bytes:
    """One sheet, every cell text: codes keep their zeros and amounts their digits.

    Raises:
        ValueError: more rows than a worksheet has, or a character that a worksheet cannot hold.
    """
    from openpyxl import Workbook
    from openpyxl.utils.exceptions import IllegalCharacterError

    book = Workbook(write_only=True)
    # A title of at most 31 characters without brackets is what spreadsheets take.
    sheet = book.create_sheet(form.dataset)
    sheet.append(list(form.header(header)))
    for number, row in enumerate(rows, 1):
        if number > SHEET_ROWS:
            raise ValueError(f"a worksheet has {SHEET_ROWS} rows below its header: write CSV")
        try:
            sheet.append([neutralise(cell) or None for cell in row])
        except IllegalCharacterError:
            raise ValueError("a character that a worksheet cannot hold") from None
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def write_xml(form: Form, rows: Iterable[Sequence[str]], head: UploadHead) -> Iterator[bytes]:
    """The department XML upload; ``head.info_class`` should be the form's.

    Raises:
        ValueError: a character that XML 1.0 cannot carry.
    """
    return write_upload(head, form.header(), ([shield(cell) for cell in row] for row in rows))


def _take(text: io.StringIO) -> bytes:
    taken = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return taken
