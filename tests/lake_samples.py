"""Small lakes: batches landed without a source, and the outcome records a pull would have left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from connectors.lake import Lake
from exchange_formats.digests import derive_id, digest_bytes
from exchange_formats.keys import batch_prefix, landing_prefix
from exchange_formats.manifests import BatchManifest, Counts, Outcome, Part, Window
from exchange_formats.periods import shanghai_date
from gateway.outcomes import write_outcome

UNTIL = datetime(2026, 6, 30, 15, tzinfo=UTC)


def land(lake: Lake, source: str, table: pa.Table, until: datetime = UNTIL) -> BatchManifest:
    """One batch of ``source`` with the rows of ``table``; nobody writes down when."""
    department, dataset = source.split("/")
    sink = pa.BufferOutputStream()
    plain = table.drop_columns(["batch_id", "chain_sequence"])
    with pa.ipc.new_file(sink, plain.schema) as writer:
        writer.write_table(plain)
    data = sink.getvalue().to_pybytes()
    batch_id = derive_id(source, digest_bytes(data))
    folder = batch_prefix(department, dataset, shanghai_date(until), batch_id)
    lake.store.put_bytes(folder + "part-00000.arrow", data)
    parents = lake.heads(landing_prefix(department, dataset))
    chain = lake.chain(landing_prefix(department, dataset))
    manifest = BatchManifest(
        parents=parents,
        sequence=1 + max((one.sequence for one in chain), default=0),
        batch_id=batch_id,
        department=department,
        dataset=dataset,
        contract=f"{dataset}@1",
        window=Window(until=until),
        configuration_sha256="0" * 64,
        content_sha256=digest_bytes(data),
        watermark=None,
        parts=(Part(name="part-00000.arrow", rows=len(table), bytes=len(data), sha256=digest_bytes(data)),),
        rejects=None,
        counts=Counts(read=len(table), landed=len(table), duplicates=0, rejected=0),
        rejected_by_reason={},
    )
    lake.commit(folder, manifest)
    return manifest


def note(lake: Lake, source: str, at: datetime, manifest: BatchManifest | None = None, result: str = "landed") -> None:
    """The outcome of a pull of ``source`` that ended at ``at``; up to then its window went, or as the batch says."""
    department, dataset = source.split("/")
    outcome = {
        "department": department,
        "dataset": dataset,
        "window": manifest.window if manifest else Window(until=at),
        "result": result,
        "manifest_sha256": manifest.sha256 if manifest else None,
        "started_at": at - timedelta(seconds=5),
        "finished_at": at,
        "host": "host",
    }
    write_outcome(lake, Outcome.model_validate(outcome))
