"""Checkpoints: all heads, chained by digest, stored before they are sent, and sent until they are marked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connectors.lake import Lake
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.keys import checkpoint_key, domain_prefix, landing_prefix
from exchange_formats.messages.checkpoints import Chain, CheckpointCommitted, build_checkpoint
from exchange_formats.messages.decoding import decode_event
from gateway.checkpoints import CheckpointResult, commit_checkpoint, encode_checkpoint, read_chains, read_checkpoints
from gateway.locks import work_alone
from tests.fakes import MemoryStore
from tests.publication_samples import DOMAIN, Bus, Runs, code, grade
from tests.pulls import DEPARTMENT, Landings, later, penalty, penalty_mapping

MONDAY, TUESDAY = date(2026, 6, 29), date(2026, 6, 30)
NOW = datetime(2026, 6, 30, 15, tzinfo=UTC)


@pytest.fixture
def landings(tmp_path: Path) -> Landings:
    return Landings(MemoryStore(), tmp_path, penalty_mapping())


def commit(lake: Lake, bus: Bus, day: date = TUESDAY) -> CheckpointResult:
    spool = lake.cache.with_name("spool")
    return commit_checkpoint(day, lake=lake, open_publisher=bus.open, now=lambda: NOW, spool=spool)


@pytest.mark.semantics("6.18")
def test_every_chain_stands_with_its_heads(landings: Landings, tmp_path: Path) -> None:
    landings.pull([penalty(1)])
    landings.pull([penalty(2)], until=later(1))
    Runs(landings.lake, tmp_path).commit(TUESDAY, [grade(code(1))])
    found = read_chains(landings.lake)
    assert [one.name for one in found] == [f"landing/{DEPARTMENT}/penalty", f"scored/{DOMAIN}"]
    assert found[0].heads == landings.lake.heads(landing_prefix(DEPARTMENT, "penalty"))
    assert found[1].heads == landings.lake.heads(domain_prefix(DOMAIN))


@pytest.mark.semantics("6.18")
def test_checkpoint_is_sent_once_and_chained_to_the_one_before(landings: Landings) -> None:
    landings.pull([penalty(1)])
    bus = Bus()
    first = commit(landings.lake, bus, MONDAY)
    assert (first.new, first.sent) == (True, 1)
    again = commit(landings.lake, bus, MONDAY)
    assert (again.new, again.sent, again.checkpoint) == (False, 0, first.checkpoint)
    landings.pull([penalty(2)], until=later(1))
    second = commit(landings.lake, bus, MONDAY)  # the same day, other heads
    third = commit(landings.lake, bus)  # another day, the same heads
    assert second.checkpoint.previous_sha256 == first.checkpoint.sha256
    assert third.checkpoint.previous_sha256 == second.checkpoint.sha256
    assert [decode_event(one.body).data for one in bus.sent] == [first.checkpoint, second.checkpoint, third.checkpoint]
    assert {one.routing_key for one in bus.sent} == {"checkpoint.committed"}
    assert read_checkpoints(landings.lake) == (first.checkpoint, second.checkpoint, third.checkpoint)


def test_checkpoint_is_sent_later_when_the_broker_was_away(landings: Landings) -> None:
    landings.pull([penalty(1)])
    with pytest.raises(TransientError):
        commit(landings.lake, lost := Bus(fail_after=0), MONDAY)
    bus = Bus()
    result = commit(landings.lake, bus)
    assert (result.new, result.sent) == (True, 2)
    assert bus.sent[0].id == lost.sent[0].id


def test_no_checkpoint_is_written_for_a_day_before_the_newest(landings: Landings) -> None:
    landings.pull([penalty(1)])
    newest = commit(landings.lake, Bus()).checkpoint
    landings.pull([penalty(2)], until=later(1))
    late = commit(landings.lake, bus := Bus(), MONDAY)
    assert (late.new, late.sent, late.checkpoint, bus.sent) == (False, 0, newest, [])


def test_second_checkpoint_waits_when_another_process_is_at_it(landings: Landings) -> None:
    with work_alone("checkpoint", landings.lake.cache.with_name("spool")), pytest.raises(TransientError):
        commit(landings.lake, Bus())
    assert commit(landings.lake, Bus()).new


def test_nothing_is_stored_when_the_heads_are_more_than_a_message_holds(
    landings: Landings, monkeypatch: pytest.MonkeyPatch
) -> None:
    landings.pull([penalty(1)])
    heads = tuple(f"{number:064x}" for number in range(100))
    many = tuple(Chain(name=f"landing/department_{n:02}/penalty", heads=heads) for n in range(50))
    with monkeypatch.context() as patch:
        patch.setattr("gateway.checkpoints.read_chains", lambda _: many)
        with pytest.raises(FatalError, match="more than"):
            commit(landings.lake, Bus())
        patch.setattr(Lake, "heads", lambda *_: (*heads, "f" * 64))
        patch.setattr("gateway.checkpoints.read_chains", read_chains)
        with pytest.raises(FatalError, match="101 heads"):
            commit(landings.lake, Bus())
    assert read_checkpoints(landings.lake) == ()
    assert commit(landings.lake, Bus()).sent == 1


def test_empty_lake_has_a_checkpoint_too(landings: Landings) -> None:
    assert commit(landings.lake, Bus()).checkpoint.chains == ()


def test_stored_checkpoint_is_refused_when_it_was_changed_removed_or_forked(landings: Landings) -> None:
    landings.pull([penalty(1)])
    first, second = (commit(landings.lake, Bus(), day).checkpoint for day in (MONDAY, TUESDAY))
    store = landings.store
    assert isinstance(store, MemoryStore)
    key = checkpoint_key(MONDAY, first.sha256)
    held = store.objects.pop(key)
    with pytest.raises(FatalError, match="2026-06-30 is missing"):
        read_checkpoints(landings.lake)
    store.objects[key] = held.replace(b'"day":"2026-06-29"', b'"day":"2026-06-28"')
    with pytest.raises(FatalError, match="cannot be read"):
        read_checkpoints(landings.lake)
    other = build_checkpoint(date(2026, 6, 28), first.chains, None)
    store.objects[key] = other.model_dump_json().encode()
    with pytest.raises(FatalError, match="not what its name says"):
        read_checkpoints(landings.lake)
    store.objects[key] = held
    store.objects[checkpoint_key(other.day, other.sha256)] = other.model_dump_json().encode()
    with pytest.raises(FatalError, match="two checkpoints"):
        read_checkpoints(landings.lake)
    assert second.previous_sha256 == first.sha256


def test_equal_heads_give_equal_bytes_in_whatever_order_they_come() -> None:
    chains = [Chain(name=f"landing/abc/{name}", heads=("a" * 64,)) for name in ("penalty", "licence")]
    one, other = build_checkpoint(MONDAY, chains, None), build_checkpoint(MONDAY, reversed(chains), None)
    assert one == other
    assert one.sha256 != build_checkpoint(MONDAY, chains, "b" * 64).sha256
    with pytest.raises(ValueError, match="sorted"):
        CheckpointCommitted(day=MONDAY, chains=tuple(chains), sha256=one.sha256)


def test_a_province_of_chains_fits_one_message() -> None:

    chains = [
        Chain(name=f"landing/department_of_{n:02}/dataset_of_{m:02}", heads=("a" * 64,))
        for n in range(34)
        for m in range(17)
    ]
    assert len(encode_checkpoint(build_checkpoint(MONDAY, chains, None), NOW).body) < 128 * 1024
