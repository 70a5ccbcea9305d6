"""The promise of the last release: kept by the catalogue and the registry, and refused when it would break."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from exchange_formats.compatibility import find_breaks
from exchange_formats.datasets import Dataset, load_contracts
from exchange_formats.errors import ConfigurationError
from exchange_formats.messages.registry import MESSAGES
from exchange_formats.releases import RELEASED, Release, describe_release, read_release
from gateway.reference.releases import describe_current, write_release
from tests.contract_samples import write_catalogue

LAST = read_release()


def test_nothing_that_was_released_is_broken_when_compared_with_now() -> None:
    broken = "\n".join(map(str, find_breaks(LAST, describe_current())))
    assert broken == "", "give it a new version beside the old one (docs/contracts.md)"


def test_release_holds_what_departments_rely_on() -> None:
    assert {"penalty@1", "licence@1", "profile@1", "public_credit@1"} <= set(LAST.datasets)
    assert {"cn.credit.grade.evaluated.v1", "cn.credit.warning.raised.v1", "cn.credit.record.submitted.v1"} <= set(
        LAST.messages
    )


def test_files_are_what_the_release_command_writes_when_read_back() -> None:
    found = {file.relative_to(RELEASED).as_posix(): file.read_bytes() for file in RELEASED.rglob("*.json")}
    assert found == dict(LAST.encode())


@pytest.mark.parametrize("contract", LAST.datasets)
def test_every_column_is_missed_when_it_goes(contract: str) -> None:
    dataset = load_contracts()[contract]
    promise = describe_release([dataset], []).datasets[contract]
    for name in LAST.datasets[contract].fields:
        fields = {other: spec for other, spec in promise.fields.items() if other != name}
        now = Release({contract: promise.model_copy(update={"fields": fields})}, {})
        found = find_breaks(Release({contract: LAST.datasets[contract]}, {}), now)
        assert f"{contract}.fields.{name}" in {one.path for one in found}


@pytest.mark.parametrize("kind", LAST.messages)
def test_every_message_is_missed_when_it_goes(kind: str) -> None:
    now = dataclasses.replace(
        describe_current(), messages={name: one for name, one in describe_current().messages.items() if name != kind}
    )
    assert [found.path for found in find_breaks(LAST, now)] == [kind]


def break_penalty(version: int) -> dict[str, Any]:
    """The shipped penalty without the amount of the fine, as ``version``."""
    document = load_contracts()["penalty@1"].model_dump(mode="json") | {"version": version}
    document["fields"]["fine_amount_yuan"] = document["fields"].pop("fine_yuan")
    document["checks"] = [check for check in document["checks"] if "fine_yuan" not in check["holds"] + check["column"]]
    document["predecessor"] = None if version == 1 else {"version": 1, "columns": {"fine_amount_yuan": "fine_yuan"}}
    return document


def as_written(dataset: Dataset) -> dict[str, Any]:
    found = dataset.model_dump(mode="json")
    assert isinstance(found, dict)
    return found


def test_breaking_change_is_refused_when_made_inside_a_version_and_accepted_as_a_new_one(tmp_path: Path) -> None:
    others = [as_written(one) for contract, one in load_contracts().items() if contract != "penalty@1"]
    inside = write_catalogue(tmp_path / "inside", *others, break_penalty(1))
    found = [one.path for one in find_breaks(LAST, describe_release(inside.values(), MESSAGES.values()))]
    assert "penalty@1.fields.fine_yuan" in found
    assert all(path.startswith("penalty@1.") for path in found)
    old = as_written(load_contracts()["penalty@1"])
    beside = write_catalogue(tmp_path / "beside", *others, old, break_penalty(2))
    assert find_breaks(LAST, describe_release(beside.values(), MESSAGES.values())) == ()


def test_release_is_refused_and_nothing_written_when_it_would_break_a_promise(tmp_path: Path) -> None:
    assert write_release(LAST, tmp_path) == tuple(sorted(LAST.encode()))
    assert write_release(LAST, tmp_path) == ()
    promise = LAST.datasets["penalty@1"]
    fields = {name: spec for name, spec in promise.fields.items() if name != "fine_yuan"}
    broken = {**LAST.datasets, "penalty@1": promise.model_copy(update={"fields": fields})}
    with pytest.raises(ConfigurationError, match=r"penalty@1\.fields\.fine_yuan"):
        write_release(Release(broken, LAST.messages), tmp_path)
    with pytest.raises(ConfigurationError, match=r"listing@1"):
        write_release(Release({k: v for k, v in LAST.datasets.items() if k != "listing@1"}, LAST.messages), tmp_path)
    assert read_release(tmp_path) == LAST


def test_release_grows_when_a_version_or_an_optional_column_is_added(tmp_path: Path) -> None:
    write_release(LAST, tmp_path)
    promise = LAST.datasets["penalty@1"]
    more = promise.fields["violation_code"].model_copy(update={"required": False})
    wider = promise.model_copy(update={"fields": {**promise.fields, "case_source": more}})
    second = promise.model_copy(update={"contract": "penalty@2"})
    datasets = {**LAST.datasets, "penalty@1": wider, "penalty@2": second}
    assert write_release(Release(datasets, LAST.messages), tmp_path) == (
        "datasets/penalty@1.json",
        "datasets/penalty@2.json",
    )
    assert "case_source" in json.loads((tmp_path / "datasets" / "penalty@1.json").read_bytes())["fields"]
