"""Record keys: which record a row is (semantics §2), for the rows that ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.department import DatasetMapping
from connectors.identity import derive_ids, normalise_codes, protect
from connectors.reject_rows import Identities
from exchange_formats.subjects import PseudonymKey
from exchange_formats.texts import Mask, Texts

#: Between the old parts of a superseded record's identity (``DatasetMapping.supersedes``).
KEY_SEPARATOR = "|"
_SHOWN = 80


class RecordKeys:
    """The identity that a department's mapping of one dataset declares."""

    def __init__(self, prefix: Sequence[str], mapping: DatasetMapping, pseudonyms: PseudonymKey) -> None:
        self._prefix = tuple(prefix)
        self._mapping = mapping
        self._pseudonyms = pseudonyms

    def derive(self, texts: Mapping[str, Texts], references: pa.Array, rows: Mask) -> pa.Array:
        """The record ids of ``rows``; null where a part of the key is."""
        columns = self._read(texts, rows).values()
        return derive_ids(self._prefix, [*columns, *self._read_party(texts, references, rows)])

    def identify(self, texts: Mapping[str, Texts], references: pa.Array, rows: Mask) -> Identities:
        """What a reject says of ``rows``: identities among the key's parts are cut to six characters."""
        keys = self._read(texts, rows)
        subject = self._mapping.columns["subject_id"]
        hidden = {subject.source, subject.person, self._mapping.party}
        shown = [
            _hide(text) if source in hidden else pc.utf8_slice_codeunits(text, 0, _SHOWN)
            for source, text in keys.items()
        ]
        joined = pc.binary_join_element_wise(*shown, " | ", null_handling="replace", null_replacement="")
        chosen = references.filter(pa.array(rows))
        return Identities(self.derive(texts, references, rows), chosen, joined)

    def derive_superseded(self, texts: Mapping[str, Texts], references: pa.Array, rows: Mask) -> pa.Array:
        """Ids of the records that rows say they replace: their parts stand for the last ones of (key…, party)."""
        count = int(np.count_nonzero(rows))
        if self._mapping.supersedes is None:
            return pa.nulls(count, pa.string())
        old = texts[self._mapping.supersedes].array.filter(pa.array(rows))
        chosen = pc.is_valid(old)
        columns = [*self._read(texts, rows).values(), *self._read_party(texts, references, rows)]
        now = [column.filter(chosen).to_pylist() for column in columns]
        replaced = []
        for index, text in enumerate(old.filter(chosen).to_pylist()):
            parts = [part.strip() for part in text.split(KEY_SEPARATOR)][-len(now) :]
            kept = [column[index] for column in now[: len(now) - len(parts)]]
            replaced.append([*kept, *parts])
        before = [
            protect(pa.array([row[i] for row in replaced], pa.string()), self._pseudonyms) for i in range(len(now))
        ]
        return pc.replace_with_mask(pa.nulls(count, pa.string()), chosen, derive_ids(self._prefix, before))

    def _read(self, texts: Mapping[str, Texts], rows: Mask) -> dict[str, pa.Array]:
        """The declared key's texts, the subject's own code normalised."""
        subject = self._mapping.columns["subject_id"].source
        return {source: self._protect(texts[source], rows, normalise=source == subject) for source in self._mapping.key}

    def _read_party(self, texts: Mapping[str, Texts], references: pa.Array, rows: Mask) -> list[pa.Array]:
        if self._mapping.party is None:
            return []
        party = self._protect(texts[self._mapping.party], rows, normalise=True)
        return [pc.coalesce(party, references.filter(pa.array(rows)))]

    def _protect(self, texts: Texts, rows: Mask, *, normalise: bool) -> pa.Array:
        chosen = texts.array if rows.all() else texts.array.filter(pa.array(rows))
        return protect(normalise_codes(Texts.of(chosen)).array if normalise else chosen, self._pseudonyms)


def _hide(identities: pa.Array) -> pa.Array:
    """The first six characters; what is no identity's may be the name that stands in its place."""
    first = pc.replace_substring_regex(
        pc.utf8_slice_codeunits(identities, 0, 6), pattern=r"[^\x00-\x7f]", replacement="*"
    )
    return pc.binary_join_element_wise(first, "***", "", null_handling="emit_null")
