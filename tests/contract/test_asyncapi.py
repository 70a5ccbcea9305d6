"""``docs/asyncapi.yaml``: valid by AsyncAPI's own parser, with valid examples, complete, and a page of it builds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exchange_formats.asyncapi import build_asyncapi, render_asyncapi
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.messages.specs import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "docs" / "asyncapi"
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (TOOLS / "node_modules" / ".installed").exists(),
    reason="the AsyncAPI tools are not installed: make docs",
)


def run_node(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", str(TOOLS / script), *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def document() -> dict[str, Any]:
    return build_asyncapi(tuple(MESSAGES.values()), "1.2.3")


@needs_node
def test_parser_finds_nothing_when_it_reads_the_document() -> None:
    done = run_node("check.mjs", str(DOCUMENT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(MESSAGES)} messages, {len(MESSAGES)} examples" in done.stdout


@needs_node
@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("#/components/messages/grade.withdrawn.v1", "#/components/messages/gone", "does not exist"),
        ("is: routingKey", "is: topic", "bindings.amqp"),
        ("            sequence: 118\n", "            sequence: 0\n", "example grade.evaluated.v1.payload"),
        (
            "cloudEvents:part: 1",
            "cloudEvents:part: one",
            "example snapshot.taken.v1.headers",
        ),
    ],
)
def test_check_fails_when_the_document_is_broken(tmp_path: Path, old: str, new: str, finding: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = run_node("check.mjs", str(broken))
    assert done.returncode == 1
    assert finding in done.stdout


@needs_node
def test_page_shows_every_message_and_needs_no_network_when_built(tmp_path: Path) -> None:
    page = tmp_path / "asyncapi.html"
    done = run_node("page.mjs", str(DOCUMENT), str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    outside = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"(?:src|href|url)\s*[=(]", outside), "a file beside the page, or a network"
    found = re.search(r"AsyncApiStandalone\.render\(\{ schema: (\".*?\"), config:", text)
    assert found is not None
    shown = json.loads(json.loads(found[1]))
    assert {name.removesuffix(".v1") for name in shown["components"]["messages"]} == {
        spec.name for spec in MESSAGES.values() if spec.version == 1
    }


def test_every_message_travels_on_a_channel_when_documented(document: dict[str, Any]) -> None:
    channels = document["channels"]
    for spec in MESSAGES.values():
        own = f"{spec.name}.v{spec.version}"
        prefix = "results." if spec.direction == "outbound" else "inbound."
        on = [name for name, channel in channels.items() if own in channel["messages"]]
        assert any(name.startswith(prefix) for name in on), own
        assert any(name.startswith("queue.") for name in on) == (spec.direction == "outbound"), own
        assert any(name.endswith(".person") for name in on) == spec.may_be_person, own
        assert document["components"]["messages"][own]["x-maximum-bytes"] == spec.maximum_bytes


def test_participant_receives_results_and_sends_the_rest_when_documented(document: dict[str, Any]) -> None:
    actions = {
        operation["channel"]["$ref"].removeprefix("#/channels/"): operation["action"]
        for operation in document["operations"].values()
    }
    assert set(actions) == set(document["channels"])
    assert {name for name, action in actions.items() if action == "send"} == {
        name for name in actions if name.startswith("inbound.")
    }


def test_every_parameter_of_an_address_is_described_when_documented(document: dict[str, Any]) -> None:
    for name, channel in document["channels"].items():
        wanted = set(re.findall(r"\{([a-z_]+)\}", channel["address"]))
        assert set(channel.get("parameters", {})) == wanted, name
        assert wanted <= set(document["components"]["parameters"])
    for name, described in document["components"]["parameters"].items():
        assert re.fullmatch(PARAMETERS[name].pattern, described["examples"][0])


def test_no_reference_leads_nowhere_when_schemas_are_moved(document: dict[str, Any]) -> None:
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                found.add(node["$ref"])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    for pointer in found:
        node: Any = document
        for part in pointer.removeprefix("#/").split("/"):
            node = node[part]
    used = {pointer.rpartition("/")[2] for pointer in found if pointer.startswith("#/components/schemas/")}
    assert used == set(document["components"]["schemas"]), "a schema that nothing uses"


def test_document_has_no_anchors_and_is_the_same_when_rendered_twice(document: dict[str, Any]) -> None:
    text = render_asyncapi(MESSAGES.values(), "1.2.3")
    assert text == render_asyncapi(MESSAGES.values(), "1.2.3")
    assert yaml.safe_load(text) == document
    assert not re.search(r"^\s*(?:- )?[\w.:]*:? ?[&*]id\d", text, re.MULTILINE)


def test_lock_names_no_registry_when_committed() -> None:
    lock = json.loads((TOOLS / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert [name for name, package in lock["packages"].items() if name and "integrity" not in package] == []
