"""XLSX as bytes that are the same each time: without the clock readings that openpyxl puts into a workbook."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Final

from openpyxl import Workbook

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TIMES: Final = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


def encode_workbook(workbook: Workbook, *, packed: bool = True) -> bytes:
    """The workbook as a file; unpacked, its bytes do not depend on the machine's zlib either."""
    raw, fixed = io.BytesIO(), io.BytesIO()
    workbook.save(raw)
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(fixed, "w", method) as target:
        for member in sorted(source.namelist()):
            content = source.read(member)
            if member == "docProps/core.xml":
                content = _TIMES.sub(rb"\g<1>1980-01-01T00:00:00Z", content)
            target.writestr(zipfile.ZipInfo(member, _EPOCH), content, method)
    return fixed.getvalue()
