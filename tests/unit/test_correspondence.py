"""Correspondence: everything about a participant's datasets, once; a dataset that cannot be told of stops no other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange_formats.errors import FatalError, TransientError
from exchange_formats.keys import notices_sent_key
from exchange_formats.messages.feedback import FEEDBACK_REPORTED
from exchange_formats.messages.records import RECORD_WITHDRAWN
from gateway.correspondence import Correspondence, tell_participant
from tests.fakes import MemoryStore
from tests.publication_samples import Bus
from tests.pulls import DEPARTMENT, Landings, later, penalty, penalty_mapping

NOW = datetime(2026, 7, 1, 2, tzinfo=UTC)


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    landings = Landings(MemoryStore(), tmp_path, penalty_mapping())
    landings.pull([penalty(1), penalty(2, CF_JDRQ="2026-13-01")])
    return landings


def tell(landings: Landings, bus: Bus, *datasets: str) -> Correspondence:
    wanted = datasets or ("penalty",)
    return tell_participant(DEPARTMENT, wanted, lake=landings.lake, open_publisher=bus.open, now=lambda: NOW)


def revoke(landings: Landings) -> None:
    landings.pull([penalty(1, CX_RQ="2026-06-20", updateTime="2026-06-02 08:00:00")], until=later(1))


def test_batches_and_withdrawals_are_told_once_and_withdrawals_first(landings: Landings) -> None:
    assert tell(landings, Bus()).batches == {"penalty": 1}
    revoke(landings)
    bus = Bus()
    told = tell(landings, bus)
    assert [one.type for one in bus.sent] == [RECORD_WITHDRAWN, FEEDBACK_REPORTED]
    assert (told.messages, told.batches, [one.withdrawn for one in told.notices]) == (2, {"penalty": 1}, [1])
    assert tell(landings, bus).messages == 0
    assert len(bus.sent) == 2


def test_all_else_is_told_and_the_error_names_what_was_not_when_one_cannot_be(landings: Landings) -> None:
    tell(landings, Bus())
    revoke(landings)
    # A record of what was told that nobody can read.
    landings.lake.store.put_bytes(notices_sent_key(DEPARTMENT, "honour", 1), b"{")
    bus = Bus()
    with pytest.raises(FatalError, match="honour") as raised:
        tell(landings, bus, "honour", "penalty")
    assert "penalty" not in str(raised.value)
    assert [one.type for one in bus.sent] == [RECORD_WITHDRAWN, FEEDBACK_REPORTED]


def test_it_is_tried_again_whole_when_the_broker_is_away(landings: Landings) -> None:
    with pytest.raises(TransientError):
        tell(landings, Bus(fail_after=0))
    assert tell(landings, Bus()).batches == {"penalty": 1}
