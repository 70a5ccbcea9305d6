"""Publication: plan first, receipt last, only changes, the same bytes again after any crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.lake import Lake
from exchange_formats.errors import ConfigurationError, FatalError, TransientError
from exchange_formats.keys import plan_key, receipt_key, run_prefix
from exchange_formats.messages import (
    CLEARED,
    EVALUATED,
    WITHDRAWN,
    GradesEvaluated,
    GradesWithdrawn,
    OutgoingMessage,
    RunData,
    WarningCleared,
    WarningRaised,
)
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.envelope import CloudEvent, InboundEvent
from exchange_formats.messages.snapshots import SnapshotPart, join_parts, read_snapshot
from exchange_formats.messages.warning_log import DECLARED, ESCALATED, UPDATED, WarningDeclared
from exchange_formats.publications import Plan, Receipt
from gateway.changes import render_points
from gateway.publication import PublicationResult, publish_domain
from gateway.snapshots import SnapshotResult, send_snapshot
from tests.fakes import DiedError, DyingStore, MemoryStore
from tests.publication_samples import DOMAIN, NOW, Bus, Runs, code, grade, warning

JUNE, JULY = date(2026, 6, 30), date(2026, 7, 2)
A, B, C = code(1), code(2), code(3)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache")


@pytest.fixture
def runs(lake: Lake, tmp_path: Path) -> Runs:
    return Runs(lake, tmp_path)


@pytest.fixture
def publish(lake: Lake, tmp_path: Path) -> Callable[..., PublicationResult]:
    def call(bus: Bus, **options: Any) -> PublicationResult:
        chosen: dict[str, Any] = {"lake": lake, "now": lambda: NOW, "spool": tmp_path / "spool"} | options
        return publish_domain(DOMAIN, open_publisher=bus.open, **chosen)

    return call


def events(messages: list[OutgoingMessage]) -> list[CloudEvent | InboundEvent]:
    return [decode_event(one.body) for one in messages]


def said(messages: list[OutgoingMessage]) -> list[RunData]:
    found = [event.data for event in events(messages)]
    assert all(isinstance(data, RunData) for data in found)
    return [data for data in found if isinstance(data, RunData)]


def refs(bus: Bus, kind: str) -> list[str]:
    return [
        one.subject_ref
        for event in events(bus.sent)
        if event.type == kind and isinstance(event.data, GradesEvaluated | GradesWithdrawn)
        for one in event.data.results
    ]


def store_of(lake: Lake) -> MemoryStore:
    assert isinstance(lake.store, MemoryStore)
    return lake.store


@pytest.mark.semantics("7.4", "7.6")
def test_everything_is_sent_when_nothing_was_published_before(runs: Runs, publish: Any, lake: Lake) -> None:
    rows = [grade(code(n), city_code="330100" if n < 150 else "330200") for n in range(1, 261)]
    run = runs.commit(JUNE, rows, [warning(A), warning(B, level="red")])
    bus = Bus()
    result = publish(bus)
    assert refs(bus, EVALUATED) == [code(n) for n in range(1, 261)]
    grades = [one for one in bus.sent if one.type == EVALUATED]
    assert [one.routing_key.rpartition(".")[2] for one in grades] == ["330100", "330100", "330200", "330200"]
    slices = [event.data.slice for event in events(grades) if isinstance(event.data, GradesEvaluated)]
    assert [(one.number, one.of) for one in slices] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [event.sequence for event in said(bus.sent)] == list(range(1, 7))
    # The most severe warning is out first, and may overtake.
    assert [(one.routing_key, one.priority) for one in bus.sent[:2]] == [
        ("warning.enterprise_environment.330100.red", 9),
        ("warning.enterprise_environment.330100.orange", 6),
    ]
    assert (result.messages, result.results, result.warnings, result.nothing_new) == (6, 260, 2, False)
    receipt = Receipt.model_validate_json(lake.store.get_bytes(receipt_key(DOMAIN, run.run_id)))
    assert (receipt.confirmed, receipt.number, receipt.last_sequence) == (6, 1, 6)


@pytest.mark.semantics("7.6")
def test_message_says_what_the_run_says_when_it_is_read(runs: Runs, publish: Any) -> None:
    run = runs.commit(
        JUNE, [grade(A, override_reasons=["IND1203"], grade="E", measures=["M08"], flags=["UNDER_OBJECTION"])]
    )
    bus = Bus()
    publish(bus)
    (event,) = events(bus.sent)
    assert isinstance(event.data, GradesEvaluated)
    assert event.time == NOW
    assert event.data.manifest_sha256 == run.sha256
    (found,) = event.data.results
    assert (found.score, found.grade, found.computed_grade, found.previous_grade) == ("798.00", "E", "C", None)
    assert [(one.indicator, one.title, one.value, one.points, one.basis) for one in found.reasons] == [
        ("IND1201", "超标或超总量排放被罚", 1, "-48", ("环境保护法 59", "环境保护法 60"))
    ]
    assert [(one.id, one.title) for one in found.override_reasons] == [("IND1203", "暗管偷排、篡改伪造监测数据")]
    assert [(one.code, one.title) for one in found.measures] == [("M08", "约谈")]
    assert found.public_credit is not None
    assert (found.public_credit.origin, found.public_credit.score) == ("platform", "820.00")


@pytest.mark.semantics("7.4", "7.5")
def test_only_changes_are_sent_when_a_run_follows(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A), grade(B), grade(C)], [warning(A), warning(B)])
    publish(Bus())
    lost = grade(B, score=Decimal("690.00"), grade="E", computed_grade="E")
    runs.commit(JULY, [grade(A), lost, grade(code(4))], [warning(B), warning(code(4))])
    bus = Bus()
    publish(bus)
    assert refs(bus, EVALUATED) == [B, code(4)]
    assert refs(bus, WITHDRAWN) == [C]
    by_type = {event.type: event.data for event in events(bus.sent)}
    raised = [event.data.warning for event in events(bus.sent) if isinstance(event.data, WarningRaised)]
    # The fall itself warns, too, and more severely.
    assert [(one.subject_ref, one.rule) for one in raised] == [(B, "fell_to_worst"), (code(4), "frequent_penalties")]
    cleared = by_type[CLEARED]
    assert isinstance(cleared, WarningCleared)
    assert cleared.warning.subject_ref == A
    evaluated = by_type[EVALUATED]
    assert isinstance(evaluated, GradesEvaluated)
    assert [one.previous_grade for one in evaluated.results] == ["C", None]
    assert [event.sequence for event in said(bus.sent)] == [4, 5, 6, 7, 8, 9]
    # One of three subjects is newly red: the whole domain is warned.
    declared = by_type[DECLARED]
    assert isinstance(declared, WarningDeclared)
    assert (declared.industry_warning.warned_subjects, declared.industry_warning.all_subjects) == (1, 3)
    assert "warning.enterprise_environment.330000.orange" in {one.routing_key for one in bus.sent}


@pytest.mark.parametrize(
    "change",
    [
        {"score": Decimal("798.01")},
        {"flags": ["UNDER_OBJECTION"]},
        {"override_reasons": ["IND1203"]},
        {"measures": ["M05", "M08"]},
        {"reasons": []},
        {"reasons": [{"indicator": "IND1201", "records": 2, "points": Decimal(-48)}]},
        {"subject_name": "杭州新名有限公司"},
        {"city_code": "330200"},
        {"score": None, "grade": "N", "computed_grade": "N"},
        {"not_collected": ["IND1208"]},
    ],
)
def test_subject_is_sent_again_when_anything_a_consumer_sees_changed(
    runs: Runs, publish: Any, change: dict[str, Any]
) -> None:
    runs.commit(JUNE, [grade(A), grade(B)])
    publish(Bus())
    runs.commit(JULY, [grade(A, **change), grade(B)])
    bus = Bus()
    publish(bus)
    assert refs(bus, EVALUATED) == [A]


@pytest.mark.parametrize(
    ("change", "kind", "data"),
    [
        ({"level": "red"}, ESCALATED, {"previous_level": "orange", "cause": "new_trigger"}),
        ({"level": "red", "records": 4}, ESCALATED, {"previous_level": "orange", "cause": "new_trigger"}),
        ({"level": "blue"}, UPDATED, {"previous_level": "orange", "previous_records": 3}),
        ({"records": 4}, UPDATED, {"previous_level": "orange", "previous_records": 3}),
    ],
)
def test_standing_warning_is_escalated_or_updated_when_it_changed(
    runs: Runs, publish: Any, change: dict[str, Any], kind: str, data: dict[str, Any]
) -> None:
    runs.commit(JUNE, [grade(A)], [warning(A)])
    publish(Bus())
    runs.commit(JULY, [grade(A)], [warning(A, **change)])
    bus = Bus()
    totals = publish(bus).runs[0].totals
    (event,) = events(bus.sent)
    assert event.type == kind
    assert bus.sent[0].routing_key == f"warning.enterprise_environment.330100.{change.get('level', 'orange')}"
    assert event.data.model_dump().items() >= data.items()
    assert (totals.escalated, totals.updated, totals.raised) == (kind == ESCALATED, kind == UPDATED, 0)


def test_standing_warning_is_not_sent_again_when_nothing_of_it_changed(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A)], [warning(A)])
    publish(Bus())
    runs.commit(JULY, [grade(A)], [warning(A)])
    bus = Bus()
    publish(bus)
    assert bus.sent == []


@pytest.mark.semantics("5.3")
def test_persons_results_travel_under_keys_of_their_own(runs: Runs, publish: Any) -> None:
    person = {"subject_name": "王*", "level": "red"}
    reference = "np_k1_" + "a" * 40
    runs.commit(JUNE, [grade(A), grade(reference, subject_name="王*")], [warning(reference, **person)])
    bus = Bus()
    publish(bus)
    assert {one.routing_key for one in bus.sent} == {
        "grade.enterprise_environment.330100",
        "grade.enterprise_environment.330100.person",
        "warning.enterprise_environment.330100.red.person",
    }
    for event, sent in zip(events(bus.sent), bus.sent, strict=True):
        assert ("np_" in event.data.model_dump_json()) is sent.routing_key.endswith(".person")


def test_receipt_is_stored_without_a_message_when_nothing_changed(runs: Runs, publish: Any, lake: Lake) -> None:
    runs.commit(JUNE, [grade(A)])
    publish(Bus())
    run = runs.commit(JULY, [grade(A)])
    bus = Bus()
    result = publish(bus)
    assert bus.sent == []
    assert [one.confirmed for one in result.runs] == [0]
    receipt = Receipt.model_validate_json(lake.store.get_bytes(receipt_key(DOMAIN, run.run_id)))
    assert (receipt.first_sequence, receipt.last_sequence) == (2, 1)
    runs.commit(date(2026, 8, 31), [grade(B)])
    publish(bus)
    assert [event.sequence for event in said(bus.sent)] == [2, 3]


def test_nothing_happens_when_every_run_has_its_receipt(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A)])
    publish(Bus())
    bus = Bus()
    assert publish(bus).nothing_new
    assert bus.sent == []


def test_every_run_is_sent_in_order_when_several_wait(runs: Runs, publish: Any) -> None:
    first = runs.commit(JUNE, [grade(A)])
    second = runs.commit(JULY, [grade(A, score=Decimal("700.00"))])
    bus = Bus()
    result = publish(bus)
    assert [run.run_id for run in result.runs] == [first.run_id, second.run_id]
    assert [event.run_id for event in said(bus.sent)] == [first.run_id, second.run_id]


@pytest.mark.semantics("6.15", "7.1")
def test_plan_is_stored_before_the_first_message_and_receipt_after_the_last(
    runs: Runs, publish: Any, lake: Lake
) -> None:
    run = runs.commit(JUNE, [grade(A)])
    bus = Bus(fail_after=0)
    with pytest.raises(TransientError):
        publish(bus)
    plan = Plan.model_validate_json(lake.store.get_bytes(plan_key(DOMAIN, run.run_id)))
    assert [one.id for one in plan.messages] == [one.id for one in bus.sent]
    assert not lake.store.exists(receipt_key(DOMAIN, run.run_id))


@pytest.mark.semantics("7.2")
@pytest.mark.parametrize("confirmed", [0, 1, 2, 3, 4])
def test_repeats_are_the_same_bytes_when_the_broker_failed_anywhere(runs: Runs, publish: Any, confirmed: int) -> None:
    runs.commit(JUNE, [grade(code(n)) for n in range(1, 320)], [warning(A)])
    bus = Bus(fail_after=confirmed)
    with pytest.raises(TransientError):
        publish(bus)
    bus.fail_after = None
    later = datetime(2026, 7, 9, tzinfo=UTC)
    result = publish(bus, now=lambda: later)
    assert result.runs[0].resumed
    bodies: dict[str, set[bytes]] = {}
    for one in bus.sent:
        bodies.setdefault(one.id, set()).add(one.body)
    assert len(bodies) == 5
    assert all(len(same) == 1 for same in bodies.values())
    assert len(bus.sent) == 5 + confirmed + 1


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_nothing_is_lost_when_the_publisher_dies_at_a_write(
    runs: Runs, publish: Any, lake: Lake, tmp_path: Path, step: int, *, after: bool
) -> None:
    runs.commit(JUNE, [grade(A), grade(B)], [warning(A)])
    bus, dying = Bus(), DyingStore(step, after=after, objects=store_of(lake).objects)
    with pytest.raises(DiedError):
        publish(bus, lake=Lake(dying, tmp_path / "cache"))
    publish(bus, now=lambda: datetime(2026, 7, 2, tzinfo=UTC))
    assert len({one.id for one in bus.sent}) == 2
    assert len({one.body for one in bus.sent}) == 2
    assert publish(Bus()).nothing_new


@pytest.mark.semantics("7.2", "7.5")
def test_plan_is_finished_first_when_a_newer_run_waits(runs: Runs, publish: Any) -> None:
    first = runs.commit(JUNE, [grade(A), grade(B)])
    with pytest.raises(TransientError):
        publish(Bus(fail_after=0))
    second = runs.commit(JULY, [grade(A)])
    bus = Bus()
    result = publish(bus)
    assert [run.run_id for run in result.runs] == [first.run_id, second.run_id]
    assert refs(bus, WITHDRAWN) == [B]


@pytest.mark.semantics("7.7")
def test_backfill_is_withheld_when_no_correction_is_asked_for(runs: Runs, publish: Any) -> None:
    runs.commit(JULY, [grade(A)])
    publish(Bus())
    backfill = runs.commit(JUNE, [grade(A, score=Decimal("650.00"))])
    bus = Bus()
    result = publish(bus)
    assert bus.sent == []
    assert result.withheld == (backfill.run_id,)


@pytest.mark.semantics("7.7")
def test_correction_restates_its_day_and_leaves_the_standing_grade_alone(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A), grade(B)])
    runs.commit(JULY, [grade(A), grade(B), grade(C)], [warning(A)])
    publish(Bus())
    runs.commit(JUNE, [grade(A, score=Decimal("650.00")), grade(B)])
    bus = Bus()
    result = publish(bus, correction=True)
    assert refs(bus, EVALUATED) == [A]
    assert [event.type for event in events(bus.sent)] == [EVALUATED]
    (data,) = said(bus.sent)
    assert (data.correction, data.as_of, data.sequence) == (True, JUNE, 4)
    assert result.runs[0].correction
    runs.commit(date(2026, 7, 3), [grade(A), grade(B), grade(C)], [warning(A)])
    following = Bus()
    publish(following)
    assert following.sent == []


def test_same_day_is_no_backfill_when_more_became_known(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A)])
    publish(Bus())
    runs.commit(JUNE, [grade(A, score=Decimal("650.00"))])
    bus = Bus()
    publish(bus)
    assert refs(bus, EVALUATED) == [A]


def test_publication_stops_when_an_artefact_was_changed(runs: Runs, publish: Any, lake: Lake) -> None:
    run = runs.commit(JUNE, [grade(A)])
    store_of(lake).objects[run_prefix(DOMAIN, JUNE, run.run_id) + "grades.arrow"] += b"x"
    bus = Bus()
    with pytest.raises(FatalError, match=r"grades\.arrow"):
        publish(bus)
    assert bus.sent == []


def test_publication_stops_when_the_stored_plan_is_another(runs: Runs, publish: Any, lake: Lake) -> None:
    run = runs.commit(JUNE, [grade(A)])
    with pytest.raises(TransientError):
        publish(Bus(fail_after=0))
    key = plan_key(DOMAIN, run.run_id)
    document = json.loads(lake.store.get_bytes(key))
    document["messages"][0]["sha256"] = "0" * 64
    store_of(lake).objects[key] = json.dumps(document).encode()
    bus = Bus()
    with pytest.raises(FatalError, match="plan"):
        publish(bus)
    assert bus.sent == []


def test_publication_stops_when_a_receipt_cannot_be_read(runs: Runs, publish: Any, lake: Lake) -> None:
    run = runs.commit(JUNE, [grade(A)])
    publish(Bus())
    store_of(lake).objects[receipt_key(DOMAIN, run.run_id)] = b"{}"
    with pytest.raises(FatalError, match="receipt"):
        publish(Bus())


def test_second_publication_is_turned_away_when_one_is_at_work(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A)])

    def meddle() -> BaseException:
        with pytest.raises(TransientError, match="another process"):
            publish(Bus())
        return TransientError("first")

    with pytest.raises(TransientError, match="first"):
        publish(Bus(fail_after=0, error=meddle))


@pytest.mark.semantics("3.38")
def test_individual_business_is_masked_when_the_artefact_was_not(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade("92330100MA2ABCDE1X", subject_name="王小五面馆")])
    bus = Bus()
    publish(bus)
    assert "王小五" not in bus.sent[0].body.decode()
    assert "王*" in bus.sent[0].body.decode()


def test_number_typed_into_a_name_is_masked_and_a_long_name_clipped(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade(A, subject_name="杭州张三330106199001011237店" + "长" * 900)])
    bus = Bus()
    publish(bus)
    body = bus.sent[0].body.decode()
    assert "330106199001011237" not in body
    assert "330106************" in body
    assert "长" * 300 not in body


def test_error_hides_values_when_a_row_may_not_be_published(runs: Runs, publish: Any) -> None:
    runs.commit(JUNE, [grade("33010619900101123X", subject_type="enterprise")])
    bus = Bus()
    with pytest.raises(FatalError, match="subject_ref") as caught:
        publish(bus)
    assert "199001011237" not in str(caught.value)
    assert bus.sent == []


def test_progress_is_reported_when_messages_are_confirmed(runs: Runs, publish: Any) -> None:
    run = runs.commit(JUNE, [grade(A)], [warning(A)])
    heard: list[tuple[str, int, int]] = []
    publish(Bus(), progress=lambda *said: heard.append(said))
    assert heard == [(run.run_id, 1, 2), (run.run_id, 2, 2)]


@pytest.mark.parametrize(
    ("points", "text"),
    [("-48.00000000", "-48"), ("13.50000000", "13.5"), ("0E-8", "0"), ("-0.00000001", "-0.00000001"), ("100", "100")],
)
def test_points_are_exact_when_they_are_shown(points: str, text: str) -> None:
    assert render_points(Decimal(points)) == text


def snapshot(lake: Lake, bus: Bus, tmp_path: Path) -> SnapshotResult:
    return send_snapshot(DOMAIN, lake=lake, open_publisher=bus.open, now=lambda: NOW, spool=tmp_path / "spool")


def parts_of(bus: Bus, *, person: bool = False) -> list[SnapshotPart]:
    chosen = [one for one in bus.sent if one.routing_key.endswith(".person") is person]
    return [read_snapshot(one.headers, one.body) for one in chosen]


def test_snapshot_holds_what_stands_published_and_not_what_is_newer(
    runs: Runs, publish: Any, lake: Lake, tmp_path: Path
) -> None:
    rows = [grade(code(n)) for n in range(2500)]
    runs.commit(JUNE, rows[:2000])
    standing = runs.commit(JULY, rows)
    publish(Bus())
    runs.commit(JUNE, [grade(A)])
    publish(Bus(), correction=True)
    runs.commit(date(2026, 8, 31), [grade(B)])  # not published yet
    bus = Bus()
    result = snapshot(lake, bus, tmp_path)
    assert (result.run_id, result.rows, result.messages) == (standing.run_id, 2500, len(bus.sent))
    found = join_parts(parts_of(bus))
    assert found["subject_ref"].to_pylist() == [row["subject_ref"] for row in rows]
    first = parts_of(bus)[0].attributes
    assert (first.runid, first.asof, first.manifestsha256) == (standing.run_id, JULY, standing.sha256)
    assert first.sequence == 20 + 5 + 20  # the correction withdraws 1999 subjects: its messages are the last
    again = Bus()
    snapshot(lake, again, tmp_path)
    assert again.sent == bus.sent


def test_snapshot_of_persons_is_apart(runs: Runs, publish: Any, lake: Lake, tmp_path: Path) -> None:
    person = "np_k1_" + "a" * 40
    runs.commit(JUNE, [grade(A), grade(person, subject_name="王*")])
    publish(Bus())
    bus = Bus()
    assert snapshot(lake, bus, tmp_path).messages == 2
    assert join_parts(parts_of(bus))["subject_ref"].to_pylist() == [A]
    assert join_parts(parts_of(bus, person=True))["subject_ref"].to_pylist() == [person]


def test_snapshot_is_refused_when_nothing_was_published(runs: Runs, lake: Lake, tmp_path: Path) -> None:
    runs.commit(JUNE, [grade(A)])
    with pytest.raises(ConfigurationError, match="xinqiao publish"):
        snapshot(lake, Bus(), tmp_path)
