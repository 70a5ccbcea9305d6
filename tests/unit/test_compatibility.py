"""What counts as a breaking change: of datasets, of messages, and of one JSON Schema against another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_formats.compatibility import Break, compare_datasets, compare_messages, find_breaks
from exchange_formats.datasets import Dataset, load_contracts
from exchange_formats.errors import ConfigurationError
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.snapshots import SNAPSHOT
from exchange_formats.releases import DatasetPromise, MessagePromise, Release, describe_release, read_release
from exchange_formats.schema_inclusion import find_narrowings

Document = dict[str, Any]
Change = Callable[[Document], Any]

PERMIT: Document = {
    "id": "permit",
    "version": 1,
    "title": "许可",
    "title_en": "permit",
    "event_on": "granted_on",
    "adverse": False,
    "subject_types": ["enterprise", "natural_person"],
    "identity": ["permit_no"],
    "states": {"revoked": "revoked_on"},
    "fields": {
        "subject_id": {"title": "代码", "type": "subject", "required": True, "sensitivity": "identity"},
        "permit_no": {"title": "编号", "type": "string", "required": True, "max_length": 100},
        "kind": {"title": "类别", "type": "string", "codes": {"general": "普通", "special": "特许"}},
        "place": {"title": "区划", "type": "string", "rule": "division"},
        "holder": {"title": "名称", "type": "string", "sensitivity": "name"},
        "fee_yuan": {"title": "费用", "type": "decimal(12,2)", "unit": "元", "minimum": "0", "maximum": "1000000"},
        "reason": {"title": "理由", "type": "string", "required": "kind = 'special'"},
        "seat": {"title": "所在地", "type": "string", "rule": "division"},
        "granted_on": {"title": "许可日期", "type": "date", "required": True},
        "ends_on": {"title": "截止日期", "type": "date", "may_be_future": True},
        "revoked_on": {"title": "撤销日期", "type": "date"},
    },
    "checks": [
        {
            "id": "permit.order",
            "holds": "granted_on <= ends_on",
            "column": "ends_on",
            "title": "先后",
            "title_en": "order",
            "basis": "时间先后",
        }
    ],
}


def promise(document: Document) -> DatasetPromise:
    return DatasetPromise.of(Dataset.model_validate(document))


def set_field(name: str, **changes: Any) -> Change:
    return lambda document: document["fields"][name].update(changes)


def add_field(name: str, **spec: Any) -> Change:
    return lambda document: document["fields"].update({name: {"title": name, "type": "string"} | spec})


def drop_field(name: str) -> Change:
    return lambda document: document["fields"].pop(name)


def add_check(**spec: str) -> Change:
    check = PERMIT["checks"][0] | {"id": "permit.more"} | spec
    return lambda document: document["checks"].append(check)


def set_top(**changes: Any) -> Change:
    return lambda document: document.update(changes)


BREAKING: Final[Mapping[str, Change]] = {
    "permit@1.fields.holder": drop_field("holder"),
    "permit@1.fields.office": add_field("office", required=True),
    "permit@1.fields.case": add_field("case", required="kind = 'general'"),
    "permit@1.fields.fee_yuan.type": set_field("fee_yuan", type="decimal(14,2)"),
    "permit@1.fields.fee_yuan.unit": set_field("fee_yuan", unit="分"),
    "permit@1.fields.fee_yuan.minimum": set_field("fee_yuan", minimum="1"),
    "permit@1.fields.fee_yuan.maximum": set_field("fee_yuan", maximum="999"),
    "permit@1.fields.permit_no.max_length": set_field("permit_no", max_length=99),
    "permit@1.fields.holder.max_length": set_field("holder", max_length=200),
    "permit@1.fields.holder.sensitivity": set_field("holder", sensitivity="public"),
    "permit@1.fields.holder.required": set_field("holder", required=True),
    "permit@1.fields.reason.required": set_field("reason", required="kind = 'general'"),
    "permit@1.fields.kind.codes": set_field("kind", codes={"general": "普通", "other": "其他"}),
    "permit@1.fields.reason.title": set_field("reason", title="许可理由"),
    "permit@1.fields.holder.codes": set_field("holder", codes={"a": "甲"}),
    "permit@1.fields.permit_no.rule": set_field("permit_no", rule="unified_code"),
    "permit@1.fields.seat.rule": set_field("seat", valid_on="granted_on"),
    "permit@1.fields.ends_on.may_be_future": set_field("ends_on", may_be_future=False),
    "permit@1.checks.permit.more": add_check(holds="granted_on <= revoked_on", column="revoked_on"),
    "permit@1.checks.permit.order": lambda document: document["checks"][0].update(holds="granted_on < ends_on"),
    "permit@1.event_on": set_top(event_on="ends_on"),
    "permit@1.identity": set_top(identity=["permit_no", "granted_on"]),
    "permit@1.states.revoked": set_top(states={}),
    "permit@1.adverse": set_top(adverse=True),
    "permit@1.subject_types": set_top(subject_types=["enterprise"]),
    "permit@1.fields.place.rule": set_field("place", valid_on="granted_on"),
}
HARMLESS: Final[Mapping[str, Change]] = {
    "an optional column": add_field("office"),
    "a code": set_field("kind", codes={"general": "普通", "special": "特许", "other": "其他"}),
    "any value": set_field("kind", codes=None),
    "another English title": set_field("kind", title_en="kind", example="general"),
    "a longer text": set_field("permit_no", max_length=101),
    "a wider range": set_field("fee_yuan", minimum="-1", maximum=None),
    "no longer required": set_field("permit_no", required=False),
    "required less often": set_field("permit_no", required="kind = 'special'"),
    "never required": set_field("reason", required=False),
    "a date that may be in the future": set_field("revoked_on", may_be_future=True),
    "any subject": set_top(subject_types=[]),
    "no rule of a column": set_field("place", rule=None),
    "no rule": lambda document: document["checks"].clear(),
    "a further state": set_top(states={"revoked": "revoked_on", "final": "ends_on"}),
}


@pytest.mark.parametrize("path", BREAKING)
def test_dataset_is_refused_when_a_change_breaks_senders_or_readers(path: str) -> None:
    changed = copy.deepcopy(PERMIT)
    BREAKING[path](changed)
    assert [found.path for found in compare_datasets(promise(PERMIT), promise(changed))] == [path]


@pytest.mark.parametrize("predecessor", [{"version": 1}, {"version": 1, "columns": {"seat": "reason"}}])
def test_dataset_is_refused_when_older_rows_would_be_read_otherwise(predecessor: Document) -> None:
    second = PERMIT | {"version": 2, "predecessor": {"version": 1, "columns": {"seat": "place"}}}
    found = compare_datasets(promise(second), promise(second | {"predecessor": predecessor}))
    assert [one.path for one in found] == ["permit@2.predecessor"]


@pytest.mark.parametrize("codes", [{"general": "一般", "special": "特许"}, {"general": "特许", "special": "普通"}])
def test_dataset_is_refused_when_the_title_of_a_code_changes(codes: dict[str, str]) -> None:
    """A cell may hold the title: another one is no longer read, a swapped one is read as another code."""
    changed = copy.deepcopy(PERMIT)
    set_field("kind", codes=codes)(changed)
    assert [found.path for found in compare_datasets(promise(PERMIT), promise(changed))] == [
        "permit@1.fields.kind.codes"
    ]


@pytest.mark.parametrize("change", HARMLESS)
def test_dataset_is_accepted_when_a_change_only_widens(change: str) -> None:
    changed = copy.deepcopy(PERMIT)
    HARMLESS[change](changed)
    assert list(compare_datasets(promise(PERMIT), promise(changed))) == []


def test_nothing_is_broken_when_a_new_version_stands_beside_the_old_one() -> None:
    first = Dataset.model_validate(PERMIT)
    changed = copy.deepcopy(PERMIT) | {"version": 2, "predecessor": {"version": 1}}
    for change in BREAKING.values():
        try_change = copy.deepcopy(changed)
        change(try_change)
        second = Dataset.model_validate(try_change)
        assert find_breaks(describe_release([first], []), describe_release([first, second], [])) == ()


def test_version_is_missed_when_it_was_replaced_instead_of_joined() -> None:
    second = Dataset.model_validate(PERMIT | {"version": 2, "predecessor": {"version": 1}})
    released = describe_release([Dataset.model_validate(PERMIT)], MESSAGES.values())
    current = describe_release([second], [spec for kind, spec in MESSAGES.items() if not kind.endswith("raised.v1")])
    assert {found.path for found in find_breaks(released, current)} == {"permit@1", "cn.credit.warning.raised.v1"}


def test_break_says_what_it_is_in_both_languages_when_printed() -> None:
    found = Break("permit@1.fields.holder", "字段被删除", "the column is gone")
    assert str(found) == "permit@1.fields.holder: 字段被删除 / the column is gone"


def message(direction: str = "outbound", **changes: Any) -> MessagePromise:
    """A message with one field of every kind; ``changes`` replace what stands beside its schema."""
    schema: Document = {
        "type": "object",
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {"grade": {"enum": ["A", "B"], "type": "string"}, "parent": {"$ref": "#/$defs/Item"}},
                "required": ["grade"],
            }
        },
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z]+$"},
            "count": {"type": "integer", "minimum": 0, "maximum": 9},
            "name": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]},
            "on": {"type": "string", "format": "date"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "maxItems": 5},
            "titles": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["id", "items"],
    }
    if direction == "inbound":
        schema["additionalProperties"] = False
    document = {
        "type": "cn.credit.example.told.v1",
        "direction": direction,
        "key": "example.{domain}",
        "key_pattern": r"^example\.(?P<domain>[a-z]{3,9})$",
        "may_be_person": False,
        "subject": "{domain}",
        "mode": "structured",
        "content_type": "application/cloudevents+json",
        "maximum_bytes": 1000,
        "json_schema": schema,
    }
    return MessagePromise.model_validate(document | changes)


def changed_message(direction: str, change: Change) -> MessagePromise:
    found = message(direction)
    schema = copy.deepcopy(dict(found.json_schema))
    change(schema)
    return found.model_copy(update={"json_schema": schema})


def set_property(path: str, **changes: Any) -> Change:
    def apply(schema: Document) -> None:
        node = schema
        for part in path.split("/"):
            node = node[part]
        node.update(changes)

    return apply


ITEM = "$defs/Item/properties"
#: Change → (what breaks when the gateway sends it, what breaks when participants send it).
MESSAGE_CHANGES: Final[tuple[tuple[str, Change, str | None, str | None], ...]] = (
    ("a field gone", lambda s: s["properties"].pop("on"), "on", "on"),
    ("a required field gone", lambda s: (s["properties"].pop("id"), s["required"].remove("id")), "id", "id"),
    ("a new optional field", set_property("properties", more={"type": "string"}), None, None),
    ("a new required field", lambda s: (s["properties"].update(more={}), s["required"].append("more")), None, "more"),
    ("optional from required", lambda s: s["required"].remove("id"), "id", None),
    ("required from optional", lambda s: s["required"].append("on"), None, "on"),
    ("another type", set_property("properties/on", type="integer"), "on", "on"),
    ("more values", set_property(f"{ITEM}/grade", enum=["A", "B", "C"]), "items[].grade", None),
    ("fewer values", set_property(f"{ITEM}/grade", enum=["A"]), None, "items[].grade"),
    ("any value", lambda s: s["$defs"]["Item"]["properties"]["grade"].pop("enum"), "items[].grade", None),
    ("another pattern", set_property("properties/id", pattern="^[a-z0-9]+$"), "id", "id"),
    ("no pattern", lambda s: s["properties"]["id"].pop("pattern"), "id", None),
    ("a larger limit", set_property("properties/count", maximum=10), "count", None),
    ("a smaller limit", set_property("properties/count", maximum=8), None, "count"),
    ("a limit gone", lambda s: s["properties"]["count"].pop("minimum"), "count", None),
    ("more items", set_property("properties/items", maxItems=6), "items", None),
    ("null no more", set_property("properties/name", anyOf=[{"type": "string", "maxLength": 20}]), None, "name"),
    ("a longer text", set_property("properties/name", anyOf=[{"type": "string"}, {"type": "null"}]), "name", None),
    ("another format", set_property("properties/on", format="date-time"), "on", "on"),
    ("a nested field gone", lambda s: s["$defs"]["Item"]["properties"].pop("parent"), "items[].parent", None),
    ("other values of a map", set_property("properties/titles", additionalProperties={}), "titles.*", None),
)


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
@pytest.mark.parametrize("change", MESSAGE_CHANGES, ids=lambda change: str(change[0]))
def test_message_is_judged_by_its_direction_when_its_schema_changes(
    change: tuple[str, Change, str | None, str | None], direction: str
) -> None:
    _, apply, outbound, inbound = change
    expected = outbound if direction == "outbound" else inbound
    found = {one.path for one in compare_messages(message(direction), changed_message(direction, apply))}
    assert found == ({f"cn.credit.example.told.v1.{expected}"} if expected else set())


@pytest.mark.parametrize(
    ("direction", "changes", "path"),
    [
        ("outbound", {"key": "example.{domain}.{city}"}, "key"),
        ("outbound", {"key_pattern": r"^example\.(?P<domain>[a-z]{3,40})$"}, "key_pattern"),
        ("outbound", {"may_be_person": True}, "may_be_person"),
        ("outbound", {"subject": "{city}"}, "subject"),
        ("outbound", {"mode": "binary"}, "mode"),
        ("outbound", {"content_type": "application/json"}, "content_type"),
        ("outbound", {"maximum_bytes": 1001}, "maximum_bytes"),
        ("outbound", {"maximum_bytes": 999}, None),
        ("outbound", {"columns": {"more": "string"}}, None),
        ("inbound", {"maximum_bytes": 999}, "maximum_bytes"),
        ("inbound", {"maximum_bytes": 1001}, None),
    ],
)
def test_message_is_judged_when_how_it_travels_changes(direction: str, changes: Document, path: str | None) -> None:
    found = [one.path for one in compare_messages(message(direction), message(direction, **changes))]
    assert found == ([f"cn.credit.example.told.v1.{path}"] if path else [])


@pytest.mark.parametrize("kind", MESSAGES)
def test_promise_says_which_arrow_columns_are_never_empty(kind: str) -> None:
    columns = MessagePromise.of(MESSAGES[kind]).columns or {}
    assert {name for name, one in columns.items() if one.endswith(" not null")} == {
        name for name in columns if not SNAPSHOT.field(name).nullable
    }


@pytest.mark.parametrize("columns", [{"score": "decimal128(6, 2)"}, {"score": "double", "grade": "string"}, None])
def test_message_is_refused_when_an_arrow_column_goes_or_changes(columns: dict[str, str] | None) -> None:
    before = message(mode="binary", columns={"score": "decimal128(6, 2)", "grade": "string"})
    (found,) = {
        one.path.rpartition(".")[0] for one in compare_messages(before, message(mode="binary", columns=columns))
    }
    assert found == "cn.credit.example.told.v1.columns"


def test_nothing_is_broken_when_every_contract_is_compared_with_itself() -> None:
    current = describe_release(load_contracts().values(), MESSAGES.values())
    assert find_breaks(current, current) == ()


def test_release_is_the_same_when_written_and_read(tmp_path: Path) -> None:
    current = describe_release(load_contracts().values(), MESSAGES.values())
    for name, content in current.encode().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    again = read_release(tmp_path)
    assert again == current
    assert again.encode() == current.encode()


def test_release_is_refused_when_a_file_was_edited_into_something_else(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "permit@1.json").write_text('{"contract": "permit@1"}')
    with pytest.raises(ConfigurationError, match=r"permit@1\.json"):
        read_release(tmp_path)
    assert read_release(tmp_path / "nowhere") == Release({}, {})


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("must_send", [True, False])
def test_schema_is_refused_when_any_of_its_required_fields_may_be_missing(kind: str, *, must_send: bool) -> None:
    schema = dict(MessagePromise.of(MESSAGES[kind]).json_schema)
    assert find_narrowings(schema, schema, must_send=must_send) == ()
    for name in schema["required"]:
        fewer = schema | {"required": [one for one in schema["required"] if one != name]}
        assert [found.path for found in find_narrowings(fewer, schema, must_send=must_send)] == [name]
        assert find_narrowings(schema, fewer, must_send=must_send) == ()


TEXTS = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(1, 3),
        "pattern": st.sampled_from(["^a", "b$"]),
        "enum": st.lists(st.sampled_from(["", "a", "ab", "b"]), min_size=1, unique=True),
    },
)
NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": st.integers(-1, 2),
        "exclusiveMaximum": st.integers(0, 3),
        "enum": st.lists(st.integers(-1, 3), min_size=1, unique=True),
    },
)
LEAVES: st.SearchStrategy[Document] = TEXTS | NUMBERS | st.just({"type": "null"}) | st.just({})


def nest(schemas: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), schemas)},
        optional={
            "required": st.lists(st.sampled_from("ab"), unique=True),
            "additionalProperties": st.booleans() | schemas,
        },
    )
    arrays = st.fixed_dictionaries({"type": st.just("array"), "items": schemas}, optional={"maxItems": st.just(1)})
    return objects | arrays | st.builds(lambda one, two: {"anyOf": [one, two]}, schemas, schemas)


SCHEMAS = st.recursive(LEAVES, nest, max_leaves=4)
VALUES = st.recursive(
    st.sampled_from(["", "a", "ab", "b", "abb", -1, 0, 1, 2, 3, 0.5, None]),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.sampled_from("abc"), values, max_size=2),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=5, max_size=20))
def test_no_valid_document_is_refused_when_nothing_was_reported(
    produced: Document, accepted: Document, values: list[Any]
) -> None:
    if find_narrowings(produced, accepted):
        return
    ours, theirs = jsonschema.Draft202012Validator(produced), jsonschema.Draft202012Validator(accepted)
    assert [value for value in values if ours.is_valid(value) and not theirs.is_valid(value)] == []


@settings(max_examples=200, deadline=None)
@given(SCHEMAS)
def test_schema_is_included_in_itself_when_compared(schema: Document) -> None:
    assert find_narrowings(schema, schema) == ()
