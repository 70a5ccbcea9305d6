"""Runs, results and a publisher for tests of publication: small, plain, and able to fail on command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from connectors.lake import Lake
from connectors.rabbit.publisher import Confirmed
from exchange_formats.digests import derive_id, derive_uuid, digest_bytes
from exchange_formats.errors import TransientError
from exchange_formats.keys import domain_prefix, run_prefix
from exchange_formats.manifests import Artefact, ArtefactFile, RunManifest
from exchange_formats.messages import OutgoingMessage
from exchange_formats.results import GRADES, MODEL_FILE, WARNINGS
from exchange_formats.subjects import is_individual_business, subject_type
from scoring.library import load_models
from scoring.resolution import resolve

DOMAIN = "enterprise_environment"
NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
_LIBRARY = load_models()
_DAY = date(2026, 6, 30)
#: What a run stores beside its artefacts: the real model of the domain.
RESOLVED = resolve(_LIBRARY.in_force(DOMAIN, _DAY), _DAY, _LIBRARY.tables)


def code(number: int) -> str:
    """A reference of the shape of an enterprise's unified code."""
    return f"91330100MA{number:08d}"


def grade(reference: str, **changes: Any) -> dict[str, Any]:
    """One row of the grades artefact."""
    row = {
        "subject_ref": reference,
        "subject_type": subject_type(reference),
        "subject_name": "杭州某某有限公司",
        "individual_business": is_individual_business(reference),
        "city_code": "330100",
        "score": Decimal("798.00"),
        "grade": "C",
        "computed_grade": "C",
        "override_reasons": [],
        "flags": [],
        "origin": "computed",
        "native_grade": None,
        "native_scheme": None,
        "public_credit_score": Decimal("820.00"),
        "public_credit_origin": "platform",
        "public_credit_evaluated_on": date(2026, 6, 1),
        "reasons": [{"indicator": "IND1201", "records": 1, "points": Decimal("-48.00000000")}],
        "measures": ["M05"],
        "not_collected": [],
    }
    return row | changes


def warning(reference: str, **changes: Any) -> dict[str, Any]:
    """One row of the warnings artefact."""
    row = {
        "id": str(derive_uuid(DOMAIN, reference, "frequent_penalties")),
        "subject_ref": reference,
        "subject_type": subject_type(reference),
        "subject_name": "杭州某某有限公司",
        "individual_business": is_individual_business(reference),
        "city_code": "330100",
        "rule": "frequent_penalties",
        "level": "orange",
        "triggered_on": date(2026, 6, 15),
        "first_trigger": "rec_1",
        "records": 3,
        "dataset": "ecology_environment/penalty",
        "last_triggered_on": date(2026, 6, 15),
        "last_trigger": "rec_1",
    }
    return row | changes


def write_arrow(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> Path:
    """An artefact as the scoring engine writes it."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=schema))
    return path


@dataclass
class Runs:
    """Commits runs of one domain into a lake, each a child of all before."""

    lake: Lake
    folder: Path
    domain: str = DOMAIN
    committed: list[RunManifest] = field(default_factory=list)

    def commit(
        self,
        as_of: date,
        grades: Sequence[dict[str, Any]],
        warnings: Sequence[dict[str, Any]] = (),
        model: str = RESOLVED.name,
    ) -> RunManifest:
        run_id = derive_id(self.domain, as_of.isoformat(), str(len(self.committed)))
        prefix = run_prefix(self.domain, as_of, run_id)
        artefacts = [
            self._put(prefix, "grades", grades, GRADES),
            self._put(prefix, "warnings", warnings, WARNINGS),
        ]
        self.lake.store.put_bytes(prefix + MODEL_FILE, RESOLVED.canonical)
        manifest = RunManifest(
            parents=(self.committed[-1].sha256,) if self.committed else (),
            sequence=len(self.committed) + 1,
            run_id=run_id,
            domain=self.domain,
            as_of=as_of,
            model=model,
            model_sha256=RESOLVED.sha256,
            semantics="1",
            cut={},
            artefacts=tuple(artefacts),
            subjects=len(grades),
            subjects_by_grade={},
            warnings_by_level={},
        )
        self.lake.commit(prefix, manifest)
        self.committed.append(manifest)
        assert self.lake.heads(domain_prefix(self.domain)) == (manifest.sha256,)
        return manifest

    def _put(self, prefix: str, name: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> Artefact:
        path = write_arrow(self.folder / f"{name}.arrow", rows, schema)
        data = path.read_bytes()
        self.lake.store.put_bytes(f"{prefix}{name}.arrow", data)
        file = ArtefactFile(name=f"{name}.arrow", rows=len(rows), bytes=len(data), sha256=digest_bytes(data))
        return Artefact(name=name, rows=len(rows), rows_sha256="0" * 64, files=(file,))


@dataclass
class Bus:
    """A broker in memory. ``fail_after``: confirms so many more messages, then refuses; the refused one arrived."""

    sent: list[OutgoingMessage] = field(default_factory=list)
    fail_after: int | None = None
    error: Callable[[], BaseException] = lambda: TransientError("queue is full")

    def open(self) -> Any:
        """A publisher of this bus."""
        return _BusPublisher(self)


class _BusPublisher:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def publish(
        self, messages: Iterable[OutgoingMessage], *, on_confirm: Callable[[int], None] | None = None
    ) -> Confirmed:
        count = 0
        for message in messages:
            # The worst case of a lost confirm: the queue has the message, the publisher does not know.
            self._bus.sent.append(message)
            if self._bus.fail_after is not None:
                if self._bus.fail_after == 0:
                    raise self._bus.error()
                self._bus.fail_after -= 1
            count += 1
            if on_confirm:
                on_confirm(count)
        return Confirmed(count, 0)
