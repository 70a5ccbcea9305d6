"""Pulls for tests: a mapping, rows as a source would hand them over, and a reader that yields them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from connectors.department import DatasetMapping
from connectors.lake import Lake
from connectors.landing import Landed, Target, land
from connectors.object_store import ObjectStore
from connectors.sources import RejectedInput, SourcePage
from exchange_formats.datasets import load_catalogue
from exchange_formats.manifests import Window
from exchange_formats.subjects import PseudonymKey

DEPARTMENT = "ecology_environment"
UNTIL = datetime(2026, 6, 30, 10, tzinfo=UTC)
KEY = PseudonymKey("k1", b"a secret of thirty-two bytes....")
#: Valid by both check digits; the bodies are reserved-looking (facts §6.1).
CODES = ("91330100MA9YYYY09Q", "92331082MA9YYYY17G", "93330481MA9YYYY252", "52330300500000015X")
#: A resident number with a right check digit, of nobody.
RESIDENT = "11010519491231002X"

Row = Mapping[str, str | None]


def penalty_mapping(**changes: Any) -> DatasetMapping:
    """双公示 penalties in the provincial style, with a watermark."""
    settings: dict[str, Any] = {
        "key": ["CF_WSH"],
        "party": "CF_XDR_SHXYM",
        "watermark": {"field": "updateTime", "overlap": "PT30M"},
        "max_reject_ratio": 1,
        "columns": {
            "subject_id": {"from": "CF_XDR_SHXYM", "person": "CF_XDR_ZJHM"},
            "subject_name": "CF_XDR_MC",
            "party_kind": {
                "from": "CF_XDR_LB",
                "codes": {"法人": "organisation", "个体工商户": "individual_business", "自然人": "natural_person"},
            },
            "document_no": "CF_WSH",
            "kind": {"from": "CF_CFLB", "codes": {"罚款": "fine", "警告（书面）": "warning"}},
            "fine_yuan": {"from": "CF_NR_FK", "unit": "万元"},
            "decided_on": "CF_JDRQ",
            "legal_basis": "CF_YJ",
            "violation_code": {
                "classify": [
                    {"code": "1201", "when": "legal_basis like '%环境保护法%' and fine_yuan >= 100000"},
                    {"code": "1202", "when": "kind = 'fine'"},
                ]
            },
            "revoked_on": "CX_RQ",
        },
    }
    return DatasetMapping.model_validate(settings | changes)


def profile_mapping(**changes: Any) -> DatasetMapping:
    """A full snapshot of supervised subjects."""
    settings: dict[str, Any] = {
        "key": ["code"],
        "snapshot": {"min_ratio": "0.5"},
        "max_reject_ratio": 1,
        "columns": {"subject_id": "code", "subject_name": "name", "status": {"value": "active"}},
    }
    return DatasetMapping.model_validate(settings | changes)


def penalty(number: int = 1, /, **changes: str | None) -> dict[str, str | None]:
    """One good row; ``changes`` replace its cells."""
    row: dict[str, str | None] = {
        "CF_WSH": f"浙环罚〔2026〕{number}号",
        "CF_XDR_SHXYM": CODES[0],
        "CF_XDR_ZJHM": None,
        "CF_XDR_MC": "某某有限公司",
        "CF_XDR_LB": "法人",
        "CF_CFLB": "罚款",
        "CF_NR_FK": "1.5",
        "CF_JDRQ": "2026-05-01",
        "CF_YJ": "《大气污染防治法》第九十九条",
        "CX_RQ": None,
        "updateTime": "2026-06-01 08:00:00",
    }
    return row | changes


def profile(code: str, name: str = "某某有限公司") -> dict[str, str | None]:
    """One row of the snapshot."""
    return {"code": code, "name": name}


class FakeReader:
    """A source that hands over ``rows`` in pages; ``inputs`` are what it could not turn into rows."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        page_rows: int = 1000,
        inputs: Sequence[RejectedInput] = (),
        expected_rows: int | None = None,
        unknown_columns: tuple[str, ...] = (),
        dies: Callable[[], BaseException] | None = None,
    ) -> None:
        self.expected_rows = expected_rows
        self.unknown_columns = unknown_columns
        self._rows = rows
        self._page_rows = page_rows
        self._inputs = inputs
        self._dies = dies

    def __iter__(self) -> Iterator[SourcePage | RejectedInput]:
        yield from self._inputs
        for start in range(0, len(self._rows), self._page_rows):
            chosen = self._rows[start : start + self._page_rows]
            columns = {name: pa.array([row[name] for row in chosen], pa.string()) for name in chosen[0]}
            yield SourcePage(pa.RecordBatch.from_pydict(columns), "fake", start + 1)
        if self._dies is not None:
            raise self._dies()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class Landings:
    """Pulls of one dataset landed one after the other into one store."""

    def __init__(self, store: ObjectStore, folder: Path, mapping: DatasetMapping, dataset: str = "penalty") -> None:
        self.store = store
        self.lake = Lake(store, folder / "cache")
        self.spool = folder / "spool"
        self.mapping = mapping
        self.dataset = dataset

    def pull(
        self,
        rows: Sequence[Row] = (),
        *,
        since: datetime | None = None,
        until: datetime = UNTIL,
        commit: bool = True,
        lake: Lake | None = None,
        reader: FakeReader | None = None,
        **reading: Any,
    ) -> Landed:
        """Land one pull of ``rows``."""
        target = Target(DEPARTMENT, load_catalogue()[self.dataset], self.mapping, Window(since=since, until=until))
        return land(
            reader or FakeReader(rows, **reading),
            target,
            lake=lake or self.lake,
            pseudonyms=KEY,
            spool=self.spool,
            commit=commit,
        )

    def records(self) -> list[dict[str, Any]]:
        """Everything landed, oldest batch first."""
        table = self.lake.records(DEPARTMENT, self.dataset).to_table()
        return sorted(table.to_pylist(), key=lambda row: (row["chain_sequence"], row["batch_id"], row["row"]))

    def rejects(self) -> list[dict[str, Any]]:
        """Every reject of every batch."""
        table = self.lake.rejects(DEPARTMENT, self.dataset).to_table()
        return sorted(table.to_pylist(), key=lambda row: (row["chain_sequence"], row["row"]))

    def latest(self) -> dict[str, dict[str, Any]]:
        """Record id → its latest version, as every reader decides it (semantics §2)."""
        epoch = datetime(1, 1, 1, tzinfo=UTC)
        ordered = sorted(self.records(), key=lambda r: (r["source_updated_at"] or epoch, r["chain_sequence"], r["row"]))
        return {row["record_id"]: row for row in ordered}


def later(hours: int) -> datetime:
    """``UNTIL`` and some hours."""
    return UNTIL + timedelta(hours=hours)
