"""Page: what is known of the rows being mapped: their clean text, what is wrong in them, what was normalised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connectors.reject_rows import Finding
from exchange_formats.cells import Cells
from exchange_formats.cleaning import read_text
from exchange_formats.rejects import Reason
from exchange_formats.texts import Mask, Texts

#: Problems that keep a cell from being read at all, the most telling first.
UNREADABLE: Final = (Reason.CELL_TOO_LARGE, Reason.TEXT_MOJIBAKE, Reason.TEXT_CONTROL, Reason.TEXT_SCIENTIFIC)


@dataclass(frozen=True)
class Place:
    """Where something is found: catalogue column, source column, and how its value is masked when shown."""

    column: str | None
    source: str | None
    kind: str


@dataclass
class Page:
    """One page of source rows."""

    batch: pa.RecordBatch
    texts: dict[str, Texts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    normalised: list[tuple[str, Mask]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.batch.num_rows)

    def read_text(self, source: str, null_spellings: Sequence[str]) -> None:
        """Clean one source column."""
        cells = read_text(self.batch.column(source), null_spellings)
        self.texts[source] = cells.values
        self.take(cells, Place(None, source, "typed"))

    def find_unreadable(self, source: str | None) -> Mask:
        """Rows whose cell in ``source`` could not be read: nothing else is said of it."""
        rows = np.zeros(self.rows, np.bool_)
        for finding in self.findings:
            if finding.source == source and finding.reason in UNREADABLE:
                rows |= finding.rows
        return rows

    def repeat(self, text: str | None) -> Texts:
        """A constant as a column."""
        return Texts.of(pa.array([text], pa.string()).take(pa.array(np.zeros(self.rows, dtype=np.int64))))

    def take(self, cells: Cells[Any], place: Place) -> None:
        """Keep what reading one column found."""
        self.normalised += cells.normalised
        for reason, rows in cells.problems:
            self.find(reason, rows, place)

    def find(self, reason: str, rows: Mask, place: Place, text: Texts | None = None) -> None:
        """Keep one problem of some rows; ``text`` is what is shown, masked, if not the source column itself."""
        if rows.any():
            shown = self.texts.get(place.source or "") if text is None else text
            self.findings.append(Finding(reason, rows, place.column, place.source, shown, place.kind))

    def sort_findings(self, rank: Callable[[str, str | None], tuple[int, int]]) -> list[Finding]:
        """The findings, those first that count first."""
        return sorted(self.findings, key=lambda finding: rank(finding.reason, finding.column))

    def count_normalised(self) -> Mapping[str, int]:
        """Cells by rule."""
        counts: Counter[str] = Counter()
        for rule, rows in self.normalised:
            if found := int(np.count_nonzero(rows)):
                counts[str(rule)] += found
        return counts
