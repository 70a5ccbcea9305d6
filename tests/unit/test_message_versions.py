"""Two versions of a message side by side: who is bound to which, what each gets, and one sequence for both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.department import Department, load_departments
from connectors.lake import Lake
from exchange_formats.asyncapi import build_asyncapi
from exchange_formats.compatibility import find_breaks
from exchange_formats.errors import FatalError, TransientError
from exchange_formats.keys import plan_key
from exchange_formats.messages import EVALUATED, WITHDRAWN, GradesEvaluated, OutgoingMessage
from exchange_formats.messages.decoding import decode_event
from exchange_formats.messages.examples import DOMAIN as EXAMPLE_DOMAIN
from exchange_formats.messages.examples import grades_evaluated
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.specs import MessageSpec
from exchange_formats.messages.texts import MessageData
from exchange_formats.messages.versions import ServedVersions, known_versions, version_word
from exchange_formats.publications import Plan
from exchange_formats.releases import describe_release
from exchange_formats.topology import Topology, grades_queue, warnings_queue
from gateway.bus import derive_topology, find_served
from gateway.publication import publish_domain
from tests.fakes import MemoryStore
from tests.publication_samples import DOMAIN, NOW, Bus, Runs, code, grade, warning

SECOND = "cn.credit.grade.evaluated.v2"


class GradesEvaluatedAgain(GradesEvaluated):
    """The second version: it says the office, and no longer the model's digest."""

    model_sha256: None = None  # type: ignore[assignment]
    office: str


def say_before(data: MessageData) -> MessageData:
    """The second version in the words of the first."""
    assert isinstance(data, GradesEvaluatedAgain)
    said = {name: getattr(data, name) for name in GradesEvaluated.model_fields}
    return GradesEvaluated.model_construct(**said | {"model_sha256": "0" * 64})


def example_again() -> GradesEvaluatedAgain:
    return GradesEvaluatedAgain.model_validate(
        grades_evaluated().model_dump() | {"model_sha256": None, "office": "环境处"}
    )


V2 = replace(MESSAGES[EVALUATED], type=SECOND, data=GradesEvaluatedAgain, example=example_again, downgrade=say_before)
BOTH: Mapping[str, MessageSpec] = {**MESSAGES, SECOND: V2}


def participant(identifier: str, **versions: int) -> Department:
    return Department.model_validate(
        {
            "id": identifier,
            "title": "部门",
            "title_en": "department",
            "owner": {"team": "信用处", "contact": "duty@example.invalid"},
            "schedule": "0 2 * * *",
            "late_after": "PT6H",
            "source": {"kind": "files", "connection": f"dept_{identifier}"},
            "datasets": {},
            "domains": [DOMAIN],
            "subscribes": {"grades": [DOMAIN], "warnings": [DOMAIN], "persons": [DOMAIN], "versions": versions},
        }
    )


OLD, NEW = participant("stays_behind", grade=1), participant("moves_on")


def deliver(topology: Topology, sent: Iterable[OutgoingMessage]) -> dict[str, list[OutgoingMessage]]:
    """What each queue gets, as a topic exchange routes it (no binding of ours has a #)."""
    found: dict[str, list[OutgoingMessage]] = {}
    for message in sent:
        reached = {
            binding.queue
            for binding in topology.bindings
            if re.fullmatch(re.escape(binding.routing_key).replace(r"\*", "[^.]+"), message.routing_key)
        }
        for queue in reached:
            found.setdefault(queue, []).append(message)
    return found


def test_each_gets_its_version_when_two_are_served() -> None:
    served = find_served([OLD, NEW], BOTH)
    topology = derive_topology([OLD, NEW], messages=BOTH)
    newest = example_message(V2)
    queues = deliver(topology, served.publish_all([newest]))
    (new,) = queues[grades_queue("moves_on")]
    (old,) = queues[grades_queue("stays_behind")]
    assert new == newest
    assert (old.type, old.routing_key) == (EVALUATED, f"{newest.routing_key}.v1")
    event = decode_event(old.body)
    assert isinstance(event.data, GradesEvaluated)
    assert event.data.results == grades_evaluated().results
    assert (old.id, event.id) != (new.id, new.id)
    said = json.loads(new.body)
    assert (event.data.sequence, event.subject, event.source) == (
        said["data"]["sequence"],
        said["subject"],
        said["source"],
    )
    assert "office" not in json.loads(old.body)["data"]


def test_same_message_has_the_same_older_version_when_said_again() -> None:
    served = ServedVersions({"grade": frozenset({1})}, BOTH)
    assert list(served.convert(example_message(V2))) == list(served.convert(example_message(V2)))


def test_persons_stay_apart_when_an_older_version_is_served() -> None:
    topology = derive_topology([OLD, NEW], messages=BOTH)
    about_persons = replace(example_message(V2), routing_key=f"grade.{DOMAIN}.330100.person")
    queues = deliver(topology, ServedVersions({"grade": frozenset({1})}, BOTH).publish_all([about_persons]))
    assert [one.routing_key for one in queues[grades_queue("stays_behind")]] == [f"grade.{DOMAIN}.330100.person.v1"]
    ungranted = OLD.model_copy(update={"subscribes": OLD.subscribes.model_copy(update={"persons": ()})})
    topology = derive_topology([ungranted], messages=BOTH)
    assert deliver(topology, ServedVersions({"grade": frozenset({1})}, BOTH).publish_all([about_persons])) == {}


def test_nothing_is_copied_when_nobody_stays_behind_or_nothing_is_newer() -> None:
    assert find_served([NEW], BOTH).older == {}
    assert find_served([OLD, NEW]).older == {}
    assert derive_topology([OLD]).bindings == derive_topology([participant("stays_behind")]).bindings
    assert list(find_served([OLD, NEW]).publish_all([example_message(MESSAGES[EVALUATED])])) == [
        example_message(MESSAGES[EVALUATED])
    ]


def test_type_is_copied_or_left_out_when_it_has_no_older_version() -> None:
    served = ServedVersions({"grade": frozenset({1})}, BOTH)
    withdrawn = example_message(MESSAGES[WITHDRAWN])
    assert list(served.convert(withdrawn)) == [replace(withdrawn, routing_key=f"{withdrawn.routing_key}.v1")]
    later = replace(V2, type="cn.credit.grade.explained.v2", downgrade=None)
    registry = {**BOTH, later.type: later}
    assert list(ServedVersions({"grade": frozenset({1})}, registry).convert(replace(withdrawn, type=later.type))) == []


def test_message_is_not_sent_when_its_version_cannot_be_converted() -> None:
    registry = {**BOTH, SECOND: replace(V2, downgrade=None)}
    with pytest.raises(FatalError, match="does not say how"):
        list(ServedVersions({"grade": frozenset({1})}, registry).convert(example_message(V2)))


def test_versions_are_converted_one_by_one_when_several_lie_between() -> None:
    def say_second(data: MessageData) -> MessageData:
        return data.model_copy(update={"office": "执法处"})

    third = replace(V2, type="cn.credit.grade.evaluated.v3", downgrade=say_second)
    registry = {**BOTH, third.type: third}
    served = ServedVersions({"grade": frozenset({1, 2})}, registry)
    second, first = served.convert(example_message(third))
    assert (second.type, second.routing_key.rpartition(".")[2]) == (SECOND, "v2")
    assert json.loads(second.body)["data"]["office"] == "执法处"
    assert (first.type, first.routing_key.rpartition(".")[2]) == (EVALUATED, "v1")
    assert decode_event(first.body).type == EVALUATED


@pytest.mark.parametrize("spec", MESSAGES.values(), ids=MESSAGES)
def test_newer_version_says_how_it_is_converted_when_registered(spec: MessageSpec) -> None:
    assert (spec.downgrade is None) == (spec.version == 1 or spec.direction == "inbound")


def test_words_of_a_version_when_it_is_the_newest_or_not() -> None:
    assert (version_word("grade", 1), version_word("grade", 1, BOTH), version_word("grade", 2, BOTH)) == ("", "v1", "")
    assert known_versions("grade", BOTH) == (1, 2)
    assert known_versions("nothing") == ()


def test_release_is_kept_when_a_version_joins_the_old_one() -> None:
    assert find_breaks(describe_release([], MESSAGES.values()), describe_release([], BOTH.values())) == ()
    replaced = {SECOND: V2}
    found = find_breaks(describe_release([], [MESSAGES[EVALUATED]]), describe_release([], replaced.values()))
    assert [one.path for one in found] == [EVALUATED]


def test_document_shows_both_versions_when_two_are_served() -> None:
    document = build_asyncapi(tuple(BOTH.values()), "1")
    newest, older = document["channels"]["results.grade"], document["channels"]["results.grade.v1"]
    assert set(newest["messages"]) == {"grade.evaluated.v2", "grade.withdrawn.v1"}
    assert set(older["messages"]) == {"grade.evaluated.v1", "grade.withdrawn.v1"}
    assert older["address"] == "grade.{domain}.{city}.v1"
    assert document["channels"]["results.grade.person.v1"]["address"] == "grade.{domain}.{city}.person.v1"
    assert EXAMPLE_DOMAIN in json.dumps(document["components"]["messages"]["grade.evaluated.v2"])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache")


@pytest.fixture
def publish(lake: Lake, tmp_path: Path) -> Callable[..., Any]:
    def call(bus: Bus, served: ServedVersions | None = None) -> Any:
        spool = tmp_path / "spool"
        return publish_domain(DOMAIN, lake=lake, open_publisher=bus.open, now=lambda: NOW, spool=spool, served=served)

    return call


#: A further type came with the second version of grades, so the first is no longer the newest.
STAYING = ServedVersions(
    {"grade": frozenset({1})},
    {**MESSAGES, "cn.credit.grade.explained.v2": replace(V2, type="cn.credit.grade.explained.v2")},
)


def test_domain_is_published_in_both_versions_when_a_participant_stays_behind(
    lake: Lake, tmp_path: Path, publish: Callable[..., Any]
) -> None:
    run = Runs(lake, tmp_path).commit(date(2026, 6, 30), [grade(code(1)), grade(code(2))], [warning(code(1))])
    bus = Bus()
    publish(bus, STAYING)
    queues = deliver(derive_topology([OLD, NEW], messages=STAYING.messages), bus.sent)
    old, new = queues[grades_queue("stays_behind")], queues[grades_queue("moves_on")]
    assert [one.body for one in old] == [one.body for one in new]
    assert {one.routing_key for one in old} == {f"{one.routing_key}.v1" for one in new}
    assert queues[warnings_queue("stays_behind")] == queues[warnings_queue("moves_on")]
    numbers = [json.loads(one.body)["data"]["sequence"] for one in new + queues[warnings_queue("moves_on")]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "copies take no number of their own"
    plan = Plan.model_validate_json(lake.store.get_bytes(plan_key(DOMAIN, run.run_id)))
    assert plan.older == {"grade": (1,)}
    assert [(one.routing_key, one.type) for one in plan.messages] == [(one.routing_key, one.type) for one in bus.sent]


def test_plan_is_finished_in_its_versions_when_the_participant_moved_on_meanwhile(
    lake: Lake, tmp_path: Path, publish: Callable[..., Any]
) -> None:
    Runs(lake, tmp_path).commit(date(2026, 6, 30), [grade(code(1))], [])
    dying, bus = Bus(fail_after=0), Bus()
    with pytest.raises(TransientError):
        publish(dying, STAYING)
    publish(bus, replace(STAYING, older={}))
    assert [one.routing_key.endswith(".v1") for one in bus.sent] == [False, True]


def test_version_is_refused_when_a_participant_names_one_that_does_not_exist(tmp_path: Path) -> None:
    text = json.dumps(NEW.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    (tmp_path / "moves_on.yaml").write_text(text.replace('"versions": {}', '"versions": {"grade": 9}'), "utf-8")
    (problem,) = load_departments(tmp_path).problems["moves_on"]
    assert problem.key == "subscribes.versions.grade"
    assert problem.expected == "one of 1"


@pytest.mark.parametrize("kind", ["cn.credit.record.withdrawn.v1", "cn.credit.feedback.reported.v1"])
def test_queue_gets_its_version_when_the_noun_is_no_grade(kind: str) -> None:
    second = replace(MESSAGES[kind], type=kind.replace(".v1", ".v2"), downgrade=lambda data: data)
    registry = {**MESSAGES, second.type: second}
    newest = replace(example_message(MESSAGES[kind]), type=second.type)
    # The example's department is the one that stays behind, so that its feedback is its own.
    behind = participant("ecology_environment", **{second.noun: 1})
    behind = behind.model_copy(update={"subscribes": behind.subscribes.model_copy(update={"records": "all"})})
    sent = [one for one in find_served([behind], registry).publish_all([newest]) if one.type == kind]
    (queue,) = deliver(derive_topology([behind], messages=registry), [newest, *sent])
    assert deliver(derive_topology([behind], messages=registry), [newest]) == {}
    assert [one.type for one in deliver(derive_topology([behind], messages=registry), sent)[queue]] == [kind]
