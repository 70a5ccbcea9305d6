"""Days and instants as they are typed: Shanghai's, where no zone is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import typer

from exchange_formats.periods import SHANGHAI


def read_instant(text: str | None, option: str) -> datetime | None:
    """A date (its first moment in Shanghai) or an ISO instant; without a zone it is Shanghai's."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-01"):
            return datetime.combine(date.fromisoformat(text), time(), SHANGHAI).astimezone(UTC)
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("2026-06-30 | 2026-06-30T08:00:00", param_hint=option) from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=SHANGHAI)).astimezone(UTC)
