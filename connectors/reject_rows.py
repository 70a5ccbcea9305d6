"""Reject rows: what mapping found wrong becomes the rejects that are kept (``exchange_formats.rejects``)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.sources import RejectedInput
from exchange_formats.rejects import REJECTS, mask_value
from exchange_formats.subjects import PseudonymKey
from exchange_formats.texts import Mask, Places, Texts


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing wrong in some ``rows`` of a page. ``text`` is the column as it was read, ``kind`` how it is masked.

    ``reason`` is a ``Reason`` or the id of a dataset's check.
    """

    reason: str
    rows: Mask
    column: str | None
    source: str | None
    text: Texts | None
    kind: str

    def __str__(self) -> str:
        named = self.column or self.source
        return f"{self.reason} {named}" if named else str(self.reason)


@dataclass(frozen=True, eq=False)
class Identities:
    """What tells which record a broken row is: of the broken rows alone, in row order."""

    record_ids: pa.Array
    references: pa.Array
    keys: pa.Array


def build_rejects(
    page: pa.RecordBatch,
    findings: Sequence[Finding],
    places: Places,
    *,
    origin: str,
    first_row: int,
    numbers: Places | None,
    position: int,
    identities: Identities,
    personal: Mask,
    pseudonyms: PseudonymKey,
) -> pa.RecordBatch:
    """One reject a broken row (``places``): its first reason counts, every reason is listed.

    ``page`` holds the source columns the mapping reads; ``numbers`` are its rows' where they are not consecutive.
    In ``personal`` rows a code is shown as a name is.
    """
    firsts, details, values = _gather(findings, page.num_rows, places, personal)
    columns = {
        "row": position + places,
        "rows": np.ones(len(places), np.int64),
        "origin": [origin] * len(places),
        "origin_row": first_row + places if numbers is None else numbers[places],
        "reason": [str(first.reason) for first in firsts],
        "column": [first.column for first in firsts],
        "source_column": [first.source for first in firsts],
        "value": values,
        "record_id": identities.record_ids,
        "subject_ref": identities.references,
        "key": identities.keys,
        "fingerprint": _fingerprint_rows(page.take(pa.array(places)), pseudonyms),
        "detail": details,
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns.values(), REJECTS, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECTS)


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
    return hmac.digest(pseudonyms.secret, text.encode(), "sha256").hex()[:32]


def _gather(
    findings: Sequence[Finding], rows: int, places: Places, personal: Mask
) -> tuple[list[Finding], list[str], list[str | None]]:
    """Of each broken row its first finding, all of them as text, and the first one's value, masked."""
    index = np.zeros(rows, np.int64)
    index[places] = np.arange(len(places))
    found: list[list[Finding]] = [[] for _ in range(len(places))]
    values: list[str | None] = [None] * len(places)
    for finding in findings:
        chosen = np.flatnonzero(finding.rows)
        texts = None if finding.text is None else finding.text.array.take(pa.array(chosen)).to_pylist()
        hidden = personal[chosen].tolist() if finding.kind == "code" else [False] * len(chosen)
        for order, place in enumerate(index[chosen].tolist()):
            if not found[place] and texts is not None and texts[order] is not None:
                values[place] = mask_value(texts[order], "name" if hidden[order] else finding.kind)
            found[place].append(finding)
    names = {id(finding): str(finding) for finding in findings}
    details = [", ".join(dict.fromkeys(names[id(finding)] for finding in each)) for each in found]
    return [each[0] for each in found], details, values


def _fingerprint_rows(rows: pa.RecordBatch, pseudonyms: PseudonymKey) -> list[str]:
    """``fingerprint`` of each row: its columns' names and its cells."""
    names = json.dumps(rows.schema.names)
    columns = [column.to_pylist() for column in rows.columns]
    write = json.JSONEncoder(ensure_ascii=False, default=str).encode
    return [fingerprint(names + write(cells), pseudonyms) for cells in zip(*columns, strict=True)]
