"""A small lake with everything a proof looks at: batches, rejects, runs, publications, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.lake import Lake
from connectors.parts import write_part
from exchange_formats.digests import derive_id, digest_bytes
from exchange_formats.keys import batch_prefix, domain_prefix, landing_prefix, rejects_key
from exchange_formats.manifests import BatchManifest, Counts, RunManifest, Window
from exchange_formats.periods import end_of_day
from exchange_formats.rejects import REJECTS
from gateway.checkpoints import commit_checkpoint
from gateway.evaluation import RunReference, evaluate_domain
from gateway.inspection_planning import RosterEntry, draw_inspections
from gateway.publication import publish_domain
from gateway.verification.findings import Report
from gateway.verification.proofs import Prover
from scoring.model import Model
from tests.fakes import MemoryStore
from tests.publication_samples import Bus
from tests.scoring_cases import ENVIRONMENT, MODELS, join_inputs, penalty

DOMAIN = ENVIRONMENT.id
PENALTIES = "ecology_environment/penalty"
JUNE, JULY = date(2026, 6, 30), date(2026, 7, 1)
NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 820, "penalty": [penalty("1201", "2026-05-01")]},
    {"public_credit": 900},
    {"public_credit": 700, "penalty": [penalty("1202", "2026-04-01"), penalty("1205", "2026-03-01")]},
]


class Province:
    """Lands, scores, publishes and witnesses one domain; ``bus.sent`` is what consumers received."""

    def __init__(self, folder: Path, store: Any = None, model: Model = ENVIRONMENT) -> None:
        self.folder = folder
        self.model = model
        self.store = store or MemoryStore()
        self.lake = Lake(self.store, folder / "cache")
        self.spool = folder / "spool"
        self.spool.mkdir(parents=True, exist_ok=True)
        self.bus = Bus()
        self.runs: list[RunReference] = []

    def land(
        self, source: str, table: pa.Table, day: date = JUNE, *, delete_month: str | None = None, rejects: int = 0
    ) -> BatchManifest:
        """One batch as landing writes it."""
        department, dataset = source.split("/")
        plain = table.drop_columns(["batch_id", "chain_sequence"])
        path = self.folder / "part-00000.arrow"
        batches = plain.combine_chunks().to_batches()
        part = write_part(path, plain.schema, iter(batches), len(plain), {"source": source, "day": day.isoformat()})
        batch_id = derive_id(source, part.sha256)
        folder = batch_prefix(department, dataset, day, batch_id)
        self.store.put_file(folder + part.name, path)
        rejected = None
        if rejects:
            rows = [
                {"row": n, "rows": 1, "origin": "f", "reason": "key.missing", "fingerprint": "0"}
                for n in range(rejects)
            ]
            path = self.folder / "rejects.arrow"
            rejected = write_part(path, REJECTS, iter([pa.RecordBatch.from_pylist(rows, REJECTS)]), rejects, {})
            self.store.put_file(rejects_key(department, dataset, day, batch_id), path)
        chain = landing_prefix(department, dataset)
        parents = self.lake.heads(chain)
        manifest = BatchManifest(
            parents=parents,
            sequence=1 + max((self.lake.manifest(chain, one).sequence for one in parents), default=0),
            batch_id=batch_id,
            department=department,
            dataset=dataset,
            contract=f"{dataset}@1",
            window=Window(until=end_of_day(day)),
            configuration_sha256="0" * 64,
            content_sha256=digest_bytes(batch_id.encode()),
            watermark=None,
            parts=(part.model_copy(update={"delete_month": delete_month}),),
            rejects=rejected,
            counts=Counts(read=len(table) + rejects, landed=len(table), duplicates=0, rejected=rejects),
            rejected_by_reason={"key.missing": rejects} if rejects else {},
        )
        self.lake.commit(folder, manifest)
        return manifest

    def land_all(self, subjects: Sequence[Mapping[str, Any]] = SUBJECTS) -> None:
        """The first batch of every dataset of the model."""
        for source, table in join_inputs(self.model, subjects).items():
            self.land(source, table, rejects=2 if source == PENALTIES else 0)

    def land_late(self, record_id: str = "late", code: str = "1205", day: date = JULY, **changes: Any) -> BatchManifest:
        """One more penalty of the first subject."""
        more = join_inputs(ENVIRONMENT, [{"penalty": [penalty(code, "2026-06-01", record_id=record_id)]}])
        return self.land(PENALTIES, more[PENALTIES], day, **changes)

    def score(self, as_of: date = JUNE, **options: Any) -> RunReference:
        """Evaluate the domain."""
        run = evaluate_domain(
            self.model.id, as_of=as_of, lake=self.lake, models=MODELS, spool=self.spool, now=lambda: NOW, **options
        )
        self.runs.append(run)
        return run

    def publish(self, **options: Any) -> None:
        """Send what is unpublished."""
        publish_domain(
            self.model.id, lake=self.lake, open_publisher=self.bus.open, now=lambda: NOW, spool=self.spool, **options
        )

    def draw(self) -> None:
        """Draw an inspection list from the newest run."""
        roster = [RosterEntry(number=number) for number in ("A1", "A2", "A3")]
        draw_inspections(
            DOMAIN, "2026Q3-01", seed="a public seed", day=JUNE, inspectors=roster, lake=self.lake, spool=self.spool
        )

    def witness(self, day: date) -> None:
        """Write and send the day's checkpoint."""
        commit_checkpoint(day, lake=self.lake, open_publisher=self.bus.open, now=lambda: NOW, spool=self.spool)

    def live(self) -> None:
        """Two days: two runs, two publications, two checkpoints, and one inspection list between them."""
        self.land_all()
        self.score(JUNE)
        self.publish()
        self.draw()
        self.witness(JUNE)
        self.land_late()
        self.score(JULY)
        self.publish()
        self.witness(JULY)

    def prover(self, name: str = "auditor", *, recompute: bool = True) -> Prover:
        """One who has nothing but the store."""
        return Prover(Lake(self.store, self.folder / name), self.folder / f"{name}-spool", recompute=recompute)

    def prove(self, *, recompute: bool = True) -> Report:
        """Everything, with an empty cache."""
        name = f"auditor-{len(list(self.folder.iterdir()))}"
        return self.prover(name, recompute=recompute).prove_everything()

    def manifest(self, number: int) -> RunManifest:
        """The manifest of one of the runs made."""
        found = self.lake.manifest(domain_prefix(self.model.id), self.runs[number].manifest_sha256)
        assert isinstance(found, RunManifest)
        return found

    def keys(self, chosen: Callable[[str], bool]) -> list[str]:
        """Keys of the store that fit."""
        return sorted(key for key in self.store.list_keys("") if chosen(key))
