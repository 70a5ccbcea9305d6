"""Reject rows: what mapping found wrong becomes the rejects that are kept (``exchange_formats.rejects``)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.sources import RejectedInput
from exchange_formats.cells import Mask
from exchange_formats.rejects import REJECTS, Reason, mask_value
from exchange_formats.subjects import PseudonymKey


@dataclass(frozen=True)
class Finding:
    """One thing wrong in some ``rows`` of a page. ``text`` is the column as it was read, ``kind`` how it is masked."""

    reason: Reason
    rows: Mask
    column: str | None
    source: str | None
    text: pa.Array | None
    kind: str

    def __str__(self) -> str:
        named = self.column or self.source
        return f"{self.reason} {named}" if named else str(self.reason)


def build_rejects(
    page: pa.RecordBatch,
    findings: Sequence[Finding],
    *,
    origin: str,
    first_row: int,
    position: int,
    identities: pa.Table,
    pseudonyms: PseudonymKey,
) -> pa.RecordBatch:
    """One reject a broken row: its first reason counts, every reason is listed.

    ``page`` holds the source columns the mapping reads; ``identities`` the columns
    ``record_id``, ``subject_ref`` and ``key`` of the same rows.
    """
    broken = np.zeros(page.num_rows, dtype=np.bool_)
    for finding in findings:
        broken |= finding.rows
    places = np.flatnonzero(broken)
    chosen = pa.array(places, pa.int64())
    raw, known = page.take(chosen).to_pylist(), identities.take(chosen).to_pylist()
    rows = []
    for place, cells, identity in zip(places.tolist(), raw, known, strict=True):
        found = [finding for finding in findings if finding.rows[place]]
        first = found[0]
        value = first.text[place].as_py() if first.text is not None else None
        rows.append(
            {
                "row": position + place,
                "rows": 1,
                "origin": origin,
                "origin_row": first_row + place,
                "reason": str(first.reason),
                "column": first.column,
                "source_column": first.source,
                "value": None if value is None else mask_value(value, first.kind),
                "record_id": identity["record_id"],
                "subject_ref": identity["subject_ref"],
                "key": identity["key"],
                "fingerprint": fingerprint(json.dumps(cells, default=str, sort_keys=True), pseudonyms),
                "detail": ", ".join(dict.fromkeys(str(finding) for finding in found)),
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=REJECTS)


def describe_input(item: RejectedInput, position: int, pseudonyms: PseudonymKey) -> pa.RecordBatch:
    """The reject of an input the source could not turn into rows; its text comes from the source and holds no value."""
    entry = {
        "row": position,
        "rows": item.rows,
        "origin": item.origin,
        "origin_row": item.row,
        "reason": str(item.reason),
        "fingerprint": fingerprint(json.dumps([item.origin, item.row, item.reason, item.detail]), pseudonyms),
        "detail": item.detail,
    }
    return pa.RecordBatch.from_pylist([entry], schema=REJECTS)


def fingerprint(text: str, pseudonyms: PseudonymKey) -> str:
    """A keyed digest: tells whether two rejected rows are the same one, and nothing else."""
    return hmac.new(pseudonyms.secret, text.encode(), "sha256").hexdigest()[:32]
