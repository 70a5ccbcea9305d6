"""Sources: the departments' systems behind one interface, by kind (GB/T 39443: database, service, file).

``open_source`` is the only way in. What a source cannot turn into rows comes as a
``RejectedInput`` between the pages; what makes the pull worthless is a typed error.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from connectors.connection import Connection
from connectors.department import Department, FileSource, HttpSource, SqlSource
from connectors.sources.model import PAGE_ROWS, RejectedInput, SourcePage, SourceReader
from exchange_formats.errors import ConfigurationError
from exchange_formats.manifests import Window

__all__ = ["PAGE_ROWS", "RejectedInput", "SourcePage", "SourceReader", "open_source"]


def open_source(
    department: Department,
    dataset_id: str,
    connection: Connection,
    window: Window,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime],
) -> SourceReader:
    """A reader of one dataset's rows over ``window``: use it in ``with`` and iterate once.

    ``window.since`` is taken as it is (the caller has already gone back by the overlap);
    ``since ≤ update time < until``. A snapshot and a file drop are read whole, whatever
    the window. ``now`` is an aware clock, ``sleep`` waits between attempts.

    Raises:
        ConfigurationError: the department has no such dataset.
        FatalError: the connection lacks something.
    """
    if dataset_id not in department.datasets:
        known = ", ".join(department.datasets)
        raise ConfigurationError(
            f"{department.id} 没有数据集 / has no dataset '{dataset_id}'", hint=f"one of {known or 'none'}"
        )
    mapping, source = department.datasets[dataset_id], department.source
    # The drivers are heavy: only the one that is used is imported.
    if isinstance(source, SqlSource):
        from connectors.sources.sql import SqlReader

        return SqlReader(source, mapping, connection, window, now)
    if isinstance(source, HttpSource):
        from connectors.sources.sharing import SharingReader

        return SharingReader(source, mapping, connection, window, sleep=sleep, now=now)
    assert isinstance(source, FileSource)  # noqa: S101  (the union is closed)
    from connectors.sources.files import FileReader

    return FileReader(mapping, connection)
