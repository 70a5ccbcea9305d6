"""Messages: CloudEvents that name nobody, in slices that fit."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_structured_event
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exchange_formats.errors import FatalError
from exchange_formats.messages import (
    CONTENT_TYPE,
    EVALUATED,
    MAXIMUM_BYTES,
    RAISED,
    Area,
    GradeResult,
    GradesEvaluated,
    OutgoingMessage,
    PublicCredit,
    Reason,
    RunData,
    Slice,
    Warning_,
    cut_slices,
    encode_grades,
    encode_item,
    encode_message,
    encode_warning,
    grade_key,
    shown_name,
    warning_key,
)
from exchange_formats.messages.decoding import BrokenMessageError, decode_event
from exchange_formats.received import read_event

NUMBER = "330106199001011237"  # a well-formed resident number that belongs to nobody we know
PERSON = "np_k1_" + "a" * 40
RUN = RunData(
    domain="enterprise_environment",
    model="enterprise_environment@2026.1",
    model_sha256="a" * 64,
    as_of=date(2026, 6, 30),
    run_id="b" * 32,
    manifest_sha256="c" * 64,
    sequence=7,
)
TIME = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def result(**changes: Any) -> GradeResult:
    fields: dict[str, Any] = {
        "subject_ref": "91330100MA2ABCDE1X",
        "subject_type": "enterprise",
        "subject_name": "杭州某某有限公司",
        "city_code": "330100",
        "score": "798.00",
        "grade": "C",
        "computed_grade": "C",
        "origin": "computed",
        "public_credit": PublicCredit(origin="platform", score="820.00", evaluated_on=date(2026, 6, 1)),
        "reasons": (Reason(indicator="IND1201", title="超标排放被罚", value=1, points="-48", basis=("环保法 59",)),),
    }
    return GradeResult(**(fields | changes))


def message(run: RunData = RUN, time: datetime = TIME, **changes: Any) -> OutgoingMessage:
    data = encode_grades(run, Slice(number=1, of=1), [encode_item(result(**changes))])
    key = grade_key(run.domain, "330100")
    return encode_message(run, EVALUATED, data, subject="enterprise_environment/330100", time=time, routing_key=key)


def well_formed(number: str) -> str:
    """The number with its right check digit."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[:17] + "10X98765432"[sum(int(d) * w for d, w in zip(number, weights, strict=False)) % 11]


def test_official_sdk_reads_the_event_when_it_is_structured_json() -> None:
    sent = message()
    event = from_structured_event(AMQPMessage({"content-type": CONTENT_TYPE}, {}, sent.body))
    assert event.get_id() == sent.id
    assert event.get_type() == "cn.credit.grade.evaluated.v1"
    assert event.get_source() == "/credit/domains/enterprise_environment"
    assert event.get_time() == TIME
    assert event.get_subject() == "enterprise_environment/330100"
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["manifest_sha256"] == "c" * 64
    assert data["results"][0]["score"] == "798.00"


def test_joined_bytes_are_the_model_s_own_when_they_are_decoded() -> None:
    event = decode_event(message().body)
    assert isinstance(event.data, GradesEvaluated)
    assert event.data.results == (result(),)
    assert event.model_dump_json(exclude_none=True).encode() == message().body


def test_warning_event_round_trips_when_it_is_decoded() -> None:
    raised = Warning_(
        subject_ref="91330100MA2ABCDE1X", subject_type="enterprise", id="6f1d0c1e-6a53-5b0b-8d0a-7c9a5f3e2b19",
        rule="three_penalties", level="orange", title="三次处罚", trigger="rec_1", records=3,
    )  # fmt: skip
    key = warning_key(RUN.domain, raised.city, raised.level)
    sent = encode_message(
        RUN, RAISED, encode_warning(RUN, encode_item(raised)), subject=raised.subject_ref, time=TIME, routing_key=key
    )
    assert key == "warning.enterprise_environment.unknown.orange"
    assert decode_event(sent.body).model_dump_json(exclude_none=True).encode() == sent.body


@pytest.mark.semantics("7.3")
def test_id_repeats_when_the_same_is_said_at_another_time() -> None:
    assert message(time=datetime(2027, 1, 1, tzinfo=UTC)).id == message().id
    assert message(time=datetime(2027, 1, 1, tzinfo=UTC)).body != message().body


@pytest.mark.semantics("7.3")
@pytest.mark.parametrize("other", [{"run_id": "d" * 32}, {"sequence": 8}, {"manifest_sha256": "e" * 64}])
def test_id_differs_when_the_run_or_its_place_differs(other: dict[str, Any]) -> None:
    assert message(RUN.model_copy(update=other)).id != message().id


@pytest.mark.semantics("7.3")
def test_id_differs_when_a_result_differs() -> None:
    assert message(score="798.01").id != message().id


@pytest.mark.semantics("5.2", "5.4")
@pytest.mark.parametrize(
    "changes",
    [
        {"subject_name": f"王五 {well_formed(NUMBER)}"},
        {"flags": (well_formed(NUMBER),)},
        {"reasons": (Reason.model_construct(indicator="a", title=well_formed(NUMBER), value=1, points="-1"),)},
        {"not_collected": (f"见{well_formed(NUMBER)}号",)},
    ],
)
def test_resident_number_is_refused_wherever_it_stands(changes: dict[str, Any]) -> None:
    if "reasons" in changes:
        changes = {"reasons": tuple(one.model_dump() for one in changes["reasons"])}
    with pytest.raises(ValidationError) as caught:
        result(**changes)
    shown = [error["msg"] for error in caught.value.errors()]
    assert any("resident number" in text for text in shown)
    assert all(well_formed(NUMBER) not in text for text in shown)


@pytest.mark.semantics("5.1")
def test_resident_number_is_refused_when_it_is_the_reference() -> None:
    with pytest.raises(ValidationError, match="is not a reference"):
        result(subject_ref=well_formed(NUMBER))


def test_eighteen_digits_are_taken_when_they_are_a_company_s_code() -> None:
    assert result(subject_ref="913301001429187328").subject_ref == "913301001429187328"


@pytest.mark.semantics("5.4")
@pytest.mark.parametrize(
    "changes",
    [
        {"subject_ref": PERSON, "subject_type": "natural_person", "subject_name": "王小五"},
        {"subject_ref": "92330100MA2ABCDE1X", "individual_business": True, "subject_name": "王小五面馆"},
    ],
)
def test_unmasked_name_is_refused_when_it_may_be_a_person_s(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be masked"):
        result(**changes)
    assert result(**changes | {"subject_name": "王*"}).subject_name == "王*"
    assert shown_name(changes["subject_name"], changes["subject_ref"]) == "王*"


def test_individual_business_cannot_hide_when_its_code_says_so() -> None:
    with pytest.raises(ValidationError, match="individual_business"):
        result(subject_ref="92330100MA2ABCDE1X", individual_business=False, subject_name="王小五面馆")


@pytest.mark.semantics("3.11")
@pytest.mark.parametrize("score", [798, 798.0, "798", "798.0", "798.000", "-1.00"])
def test_score_is_refused_when_it_is_not_a_text_with_two_decimals(score: object) -> None:
    with pytest.raises(ValidationError):
        result(score=score)


def test_event_is_refused_when_it_has_an_unknown_field() -> None:
    document = json.loads(message().body)
    document["data"]["results"][0]["phone"] = "13800000000"
    with pytest.raises(BrokenMessageError, match="phone"):
        decode_event(json.dumps(document).encode())


def test_consumer_reads_the_event_when_a_later_version_adds_a_field() -> None:
    document = json.loads(message().body)
    document["data"]["results"][0]["novelty"] = 1
    _, data = read_event(json.dumps(document).encode())
    assert data is not None
    assert data.sequence == 7


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"specversion":"0.3"}', b"\xff\xfe"])
def test_consumer_refuses_the_body_when_it_is_no_event(body: bytes) -> None:
    with pytest.raises(ValidationError):
        read_event(body)


def test_message_is_refused_when_it_exceeds_the_limit() -> None:
    huge = b'{"x":"' + b"a" * MAXIMUM_BYTES + b'"}'
    data = encode_grades(RUN, Slice(number=1, of=1), [huge])
    with pytest.raises(FatalError, match="more than"):
        encode_message(RUN, EVALUATED, data, subject="s", time=TIME, routing_key="k")


def test_full_slice_fits_when_every_result_is_as_long_as_it_can_be() -> None:
    reasons = tuple(
        Reason(indicator="IND1201", title="题" * 300, value=1, points="-48", basis=("法" * 300,)) for _ in range(5)
    )
    item = encode_item(result(reasons=reasons, subject_name="名" * 500))
    for cut in cut_slices((Area("330100"), item) for _ in range(250)):
        data = encode_grades(RUN, Slice(number=1, of=9), cut.items)
        sent = encode_message(RUN, EVALUATED, data, subject="s", time=TIME, routing_key="k")
        assert len(sent.body) <= MAXIMUM_BYTES


_ITEMS = st.binary(min_size=1, max_size=40)


@pytest.mark.semantics("7.6")
@given(
    st.lists(st.tuples(st.builds(Area, st.sampled_from(["330100", "unknown"]), st.booleans()), _ITEMS)),
    st.integers(1, 7),
    st.integers(41, 200),
)
def test_slices_keep_everything_in_order_within_both_limits(
    items: list[tuple[Area, bytes]], count: int, size: int
) -> None:
    cuts = list(cut_slices(items, count=count, size=size))
    assert [(cut.area, item) for cut in cuts for item in cut.items] == items
    assert all(1 <= len(cut.items) <= count for cut in cuts)
    assert all(sum(len(item) + 1 for item in cut.items) - 1 <= size for cut in cuts)


@pytest.mark.semantics("5.4")
def test_slice_ends_when_the_city_changes_or_persons_begin() -> None:
    city, other, persons = Area("330100"), Area("330200"), Area("330200", person=True)
    cuts = list(cut_slices([(city, b"1"), (city, b"2"), (other, b"3"), (persons, b"4")]))
    assert [(cut.area, len(cut.items)) for cut in cuts] == [(city, 2), (other, 1), (persons, 1)]


def test_single_result_is_refused_when_it_fits_no_message() -> None:
    with pytest.raises(FatalError, match="result has 50 bytes, more than 49"):
        list(cut_slices([(Area("330100"), b"x" * 50)], size=49))


def test_every_event_type_has_data_of_its_own() -> None:
    sent = message()
    document = json.loads(sent.body) | {"type": "cn.credit.grade.withdrawn.v1"}
    with pytest.raises(BrokenMessageError, match=r"data\."):
        decode_event(json.dumps(document).encode())
    assert replace(sent, priority=9).priority == 9


@pytest.mark.semantics("5.3", "5.4")
def test_message_about_a_person_is_refused_when_its_key_does_not_say_so() -> None:
    person: dict[str, Any] = {"subject_ref": PERSON, "subject_type": "natural_person", "subject_name": "王*"}
    with pytest.raises(FatalError, match="key of its own"):
        message(**person)
    data = encode_grades(RUN, Slice(number=1, of=1), [encode_item(result(**person))])
    key = grade_key(RUN.domain, "330100", person=True)
    sent = encode_message(RUN, EVALUATED, data, subject="s", time=TIME, routing_key=key)
    assert sent.routing_key == "grade.enterprise_environment.330100.person"
    quoted = result(flags=('"subject_type":"natural_person"',))
    data = encode_grades(RUN, Slice(number=1, of=1), [encode_item(quoted)])
    assert encode_message(RUN, EVALUATED, data, subject="s", time=TIME, routing_key="grade.x.1").type == EVALUATED
