"""Withdrawals and corrections: told once, in time, of whom they concern, and naming nobody (行政处罚法 48)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.department import Column, DatasetMapping
from exchange_formats.errors import TransientError
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.records import RecordCorrected, RecordWithdrawn, ValueChange
from gateway.record_notices import NoticesResult, send_notices
from tests.fakes import MemoryStore
from tests.publication_samples import Bus
from tests.pulls import CODES, DEPARTMENT, RESIDENT, Landings, later, penalty, penalty_mapping

NOW = datetime(2026, 7, 1, 2, tzinfo=UTC)


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    return Landings(MemoryStore(), tmp_path, penalty_mapping())


def send(landings: Landings, bus: Bus) -> NoticesResult:
    return send_notices(DEPARTMENT, "penalty", lake=landings.lake, open_publisher=bus.open, now=lambda: NOW)


def told(bus: Bus) -> list[Any]:
    return [decode_event(one.body).data for one in bus.sent]


def newer(number: int, /, **changes: str | None) -> dict[str, str | None]:
    return penalty(number, **{"updateTime": "2026-06-02 08:00:00", **changes})


def test_first_time_is_written_down_only(landings: Landings) -> None:
    landings.pull([penalty(1, CX_RQ="2026-06-20"), penalty(2)])
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 0, 0, first=True)
    assert send(landings, bus) == NoticesResult("penalty", 0, 0)
    assert bus.sent == []


def test_nothing_is_written_down_when_nothing_was_collected(landings: Landings) -> None:
    assert send(landings, Bus()) == NoticesResult("penalty", 0, 0)


def test_revoked_penalty_is_withdrawn_within_three_days_before_anything_else(landings: Landings) -> None:
    landings.pull([penalty(1), penalty(2), penalty(3)])
    send(landings, Bus())
    landed = landings.pull([newer(1, CF_NR_FK="2"), newer(2, CX_RQ="2026-06-20")], until=later(1))
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 1, 1)
    withdrawn, corrected = told(bus)
    assert isinstance(withdrawn, RecordWithdrawn)
    assert (withdrawn.decided_on, withdrawn.withdraw_by) == (date(2026, 6, 20), date(2026, 6, 23))
    assert (withdrawn.reason, withdrawn.basis) == ("revoked", ("行政处罚法 48",))
    assert withdrawn.document_no == "浙环罚〔2026〕2号"
    assert withdrawn.subject.subject_ref == CODES[0]
    assert landed.manifest is not None
    assert (withdrawn.batch_id, withdrawn.sequence) == (landed.manifest.batch_id, 2)
    assert withdrawn.manifest_sha256 == landed.manifest.sha256
    assert isinstance(corrected, RecordCorrected)
    assert corrected.changes == (ValueChange(column="fine_yuan", before="15000.00", after="20000.00"),)
    assert [(one.routing_key, one.priority) for one in bus.sent] == [
        (f"record.{DEPARTMENT}.penalty.withdrawn", 9),
        (f"record.{DEPARTMENT}.penalty.corrected", 6),
    ]
    assert send(landings, bus) == NoticesResult("penalty", 0, 0)
    assert len(bus.sent) == 2


def test_nothing_is_told_of_what_is_new_repeated_or_was_revoked_before(landings: Landings) -> None:
    landings.pull([penalty(1), penalty(2, CX_RQ="2026-06-20")])
    send(landings, Bus())
    landings.pull([penalty(1), penalty(3), newer(2, CX_RQ="2026-06-20", CF_NR_FK="9")], until=later(1))
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 0, 0)
    assert bus.sent == []


def test_record_that_stands_again_is_told_as_corrected(landings: Landings) -> None:
    landings.pull([penalty(1, CX_RQ="2026-06-20")])
    send(landings, Bus())
    landings.pull([newer(1)], until=later(1))
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 0, 1)
    (said,) = told(bus)
    assert said.changes == (ValueChange(column="revoked_on", before="2026-06-20"),)


def test_only_the_newest_version_is_told_when_several_came(landings: Landings) -> None:
    landings.pull([penalty(1)])
    send(landings, Bus())
    landings.pull([newer(1, CF_NR_FK="2")], until=later(1))
    landings.pull([newer(1, CF_NR_FK="3", updateTime="2026-06-03 08:00:00")], until=later(2))
    bus = Bus()
    send(landings, bus)
    (said,) = told(bus)
    assert said.changes == (ValueChange(column="fine_yuan", before="15000.00", after="30000.00"),)
    assert said.sequence == 3


def test_nothing_is_told_when_what_came_later_is_older_or_takes_a_change_back(landings: Landings) -> None:
    landings.pull([newer(1), penalty(2)])
    send(landings, Bus())
    # An older version of 1 lands late; 2 changes and changes back between two tellings.
    assert landings.pull([penalty(1, CF_NR_FK="9")], until=later(1)).counts.landed == 1
    assert landings.pull([newer(2, CF_NR_FK="9")], until=later(2)).counts.landed == 1
    assert landings.pull([penalty(2, updateTime="2026-06-03 08:00:00")], until=later(3)).counts.landed == 1
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 0, 0)
    assert bus.sent == []


def test_free_text_that_may_name_somebody_is_masked(tmp_path: Path) -> None:
    mapping = penalty_mapping()
    columns = {**mapping.columns, "facts": Column(source="CF_SY")}
    landings = Landings(MemoryStore(), tmp_path, mapping.model_copy(update={"columns": columns}))
    landings.pull([penalty(1, CF_SY="张三违法排污")])
    send(landings, Bus())
    landings.pull([newer(1, CF_SY="李四违法排污")], until=later(1))
    bus = Bus()
    send(landings, bus)
    (said,) = told(bus)
    assert said.changes == (ValueChange(column="facts", before="张*", after="李*"),)


def test_same_ids_come_again_when_the_confirm_was_lost(landings: Landings) -> None:
    landings.pull([penalty(1), penalty(2)])
    send(landings, Bus())
    landings.pull([newer(1, CX_RQ="2026-06-20"), newer(2, CX_RQ="2026-06-20")], until=later(1))
    with pytest.raises(TransientError):
        send(landings, lost := Bus(fail_after=1))
    bus = Bus()
    assert send(landings, bus).withdrawn == 2
    assert bus.sent == lost.sent


def test_persons_are_told_under_a_key_of_their_own_and_not_by_name(landings: Landings) -> None:
    person = {"CF_XDR_SHXYM": None, "CF_XDR_ZJHM": RESIDENT, "CF_XDR_LB": "自然人", "CF_XDR_MC": "王小五"}
    shop = {"CF_XDR_SHXYM": CODES[1], "CF_XDR_LB": "个体工商户", "CF_XDR_MC": "王小五面馆"}
    landings.pull([penalty(1, **person), penalty(2, **shop)])
    send(landings, Bus())
    landings.pull(
        [
            newer(1, **person, CX_RQ="2026-06-20"),
            newer(2, **shop | {"CF_XDR_MC": "王小六面馆", "CF_YJ": f"见{RESIDENT}号"}),
        ],
        until=later(1),
    )
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 1, 1)
    keys = {one.routing_key for one in bus.sent}
    assert keys == {f"record.{DEPARTMENT}.penalty.withdrawn.person", f"record.{DEPARTMENT}.penalty.corrected"}
    text = "".join(one.body.decode() for one in bus.sent)
    assert not any(secret in text for secret in (RESIDENT, "王小五", "王小六"))
    # What names a person inside another's record is left out: its key is not one of persons.
    (corrected,) = (one for one in told(bus) if isinstance(one, RecordCorrected))
    assert {one.column: one.after for one in corrected.changes}["legal_basis"] == "见np_*号"


def test_other_registrys_subject_is_not_told_of_and_stops_nobody(tmp_path: Path) -> None:
    columns = {
        "subject_id": {"from": "business", "registry": "montreal_food"},
        "document_no": "no",
        "kind": {"value": "fine"},
        "fine_yuan": "amount",
        "decided_on": "day",
        "revoked_on": "revoked",
    }
    mapping = DatasetMapping.model_validate({"key": ["no"], "max_reject_ratio": 1, "columns": columns})
    landings = Landings(MemoryStore(), tmp_path, mapping)
    row = {"no": "1", "business": "40173", "amount": "100", "day": "2026-05-01", "revoked": None}
    landings.pull([row])
    send(landings, Bus())
    assert landings.pull([row | {"revoked": "2026-06-20"}], until=later(1)).counts.landed == 1
    bus = Bus()
    assert send(landings, bus) == NoticesResult("penalty", 0, 0)
    assert bus.sent == []
