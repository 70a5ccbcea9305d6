"""What the bus is told of the warning log: one message an event of its entries, in their order (semantics §4, §7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any, Final

import pyarrow.dataset as pads
from pydantic import ValidationError

from connectors.lake import Lake
from exchange_formats.manifests import IndustryWarning, WarningManifest
from exchange_formats.messages import Warning_
from exchange_formats.messages.warning_log import (
    CLEARED,
    DECLARED,
    ESCALATED,
    EXPIRED,
    HANDLED,
    LIFTED,
    RAISED,
    SIGNED,
    UPDATED,
    AnsweredWarning,
    IndustryAlert,
)
from gateway.changes import Titled, Wording, describe_subject, refuse_row
from gateway.warning_log import WarningLog, open_entry

_ROWS: Final = 2_000
_TYPES: Final[Mapping[str, str]] = {
    "raised": RAISED,
    "updated": UPDATED,
    "escalated": ESCALATED,
    "cleared": CLEARED,
    "expired": EXPIRED,
    "signed": SIGNED,
    "handled": HANDLED,
}
_Also = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class ToldWarning:
    """One message to be: its type, its warning, and the type's own fields. ``department``: who answered."""

    type: str
    warning: Warning_ | AnsweredWarning | IndustryAlert
    also: _Also = ()
    department: str = ""


def tell_entries(lake: Lake, log: WarningLog, digests: tuple[str, ...], wording: Wording) -> Iterator[ToldWarning]:
    """The messages of the log's entries with these manifest digests, in this order.

    Raises:
        FatalError: an entry is missing or changed; an event that no message may carry.
    """
    entries = {entry.sha256: entry for entry in log.entries}
    for digest in digests:
        yield from _tell_entry(lake, log, entries[digest], wording)


def _tell_entry(lake: Lake, log: WarningLog, entry: WarningManifest, wording: Wording) -> Iterator[ToldWarning]:
    if entry.run_id is not None:
        yield from _tell_industry(log.before(entry), entry.industry, wording)
    events: pads.Dataset = open_entry(lake, entry, "events")
    for batch in events.to_batches(batch_size=_ROWS):
        for row in batch.to_pylist():
            try:
                yield _tell(row, wording)
            except ValidationError as error:
                raise refuse_row(row, error) from None


def _tell_industry(
    before: IndustryWarning | None, now: IndustryWarning | None, wording: Wording
) -> Iterator[ToldWarning]:
    if before is not None and before != now:
        yield ToldWarning(LIFTED, _describe_alert(before, wording))
    if now is not None and before != now:
        yield ToldWarning(DECLARED, _describe_alert(now, wording))


def _describe_alert(one: IndustryWarning, wording: Wording) -> IndustryAlert:
    return IndustryAlert(
        id=one.id,
        level=one.level,
        title=wording.industry_warning.title,
        raised_on=one.raised_on,
        warned_subjects=one.subjects,
        all_subjects=one.of,
    )


def _tell(row: dict[str, Any], wording: Wording) -> ToldWarning:
    kind = row["kind"]
    if kind in {"signed", "handled"}:
        return _tell_answer(row)
    return ToldWarning(_TYPES[kind], _describe_warning(row, wording), _own_fields(kind, row))


def _own_fields(kind: str, row: dict[str, Any]) -> _Also:
    if kind == "updated":
        return ("previous_level", row["previous_level"]), ("previous_records", row["previous_records"])
    if kind == "escalated":
        return ("previous_level", row["previous_level"]), ("cause", row["cause"])
    if kind == "expired":
        expired_on: date = row["occurred_on"]
        return (("expired_on", expired_on.isoformat()),)
    return ()


def _tell_answer(row: dict[str, Any]) -> ToldWarning:
    also: list[tuple[str, str | int]] = []
    if row["in_time"] is not None:
        also.append(("in_time", row["in_time"]))
    instant = row["answered_at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
    also.append((f"{row['kind']}_at", instant))
    if row["kind"] == "handled":
        also += [("result", row["result"]), ("summary", row["summary"])]
    answered = AnsweredWarning(**describe_subject(row), id=row["id"], rule=row["rule"], level=row["level"])
    return ToldWarning(_TYPES[row["kind"]], answered, tuple(also), row["department"])


def _describe_warning(row: dict[str, Any], wording: Wording) -> Warning_:
    found = wording.warnings.get(row["rule"], Titled(row["rule"]))
    return Warning_(
        **describe_subject(row),
        id=row["id"],
        rule=row["rule"],
        level=row["level"],
        title=found.title,
        triggered_on=row["triggered_on"],
        trigger=row["trigger"],
        records=row["records"],
        sign_by=row["sign_by"],
        basis=found.basis,
    )
