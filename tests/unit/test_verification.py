"""Verification: an intact lake is intact, and every attack on it is found and named (semantics §6)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange_formats.keys import checkpoint_sent_key
from exchange_formats.manifests import RunManifest
from gateway.verification.findings import Report
from tests.fakes import MemoryStore
from tests.proof_samples import DOMAIN, JULY, JUNE, PENALTIES, Province


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Province:
    province = Province(tmp_path_factory.mktemp("province"))
    province.live()
    return province


@pytest.fixture
def province(original: Province, tmp_path: Path) -> Province:
    """The same lake in a store of its own, to be attacked."""
    store = MemoryStore()
    store.objects = dict(original.store.objects)
    attacked = Province(tmp_path, store)
    attacked.runs = list(original.runs)
    attacked.bus.sent = list(original.bus.sent)
    return attacked


def is_evidence(key: str) -> bool:
    """What a changed byte of must be found: all but notes (outcomes, marks of what was sent)."""
    return not key.startswith("outcomes/") and "/sent-" not in key


def evidence(province: Province) -> list[str]:
    return province.keys(is_evidence)


def find(province: Province, run: RunManifest, name: str) -> str:
    """The key of a file of a run."""
    (key,) = province.keys(lambda key: run.run_id in key and key.endswith(f"/{name}"))
    return key


def named(report: Report) -> set[str]:
    return {finding.key for finding in report.findings}


@pytest.mark.semantics("6.5")
def test_everything_is_intact_when_nobody_touched_it(province: Province) -> None:
    report = province.prove()
    assert report.findings == []
    assert report.verdict == "intact"
    assert report.notes == []
    assert [(one.run_id, one.skipped, one.purged, one.semantics) for one in report.replays] == [
        (run.run_id, "", "", None) for run in province.runs
    ]
    assert all(one.rows > 0 for one in report.replays)
    assert report.messages == len([one for one in province.bus.sent if "checkpoint" not in one.type])
    assert report.witnessed is not None
    assert report.witnessed.day == JULY
    assert report.manifests == len(province.keys(lambda key: "/manifest-" in key))


def test_every_kind_of_object_is_attacked(province: Province) -> None:
    kinds = ("part-", "rejects.arrow", "landing/manifest-", "grades.arrow", "evidence.arrow", "model.json")
    found = evidence(province)
    for kind in (
        *kinds,
        "warned/events.arrow",
        "warned/manifest-",
        "inspections/plan-",
        "warnings.arrow",
        "plan.json",
        "receipt.json",
        "checkpoint-",
        "measures.arrow",
    ):
        root, _, name = kind.rpartition("/")
        assert any(name in key and key.startswith(root) for key in found), kind


def attack_all(province: Province) -> Iterator[tuple[str, dict[str, bytes]]]:
    objects = dict(province.store.objects)
    for key in evidence(province):
        province.store.objects = dict(objects)
        yield key, province.store.objects


@pytest.mark.semantics("6.5", "6.17")
def test_flipped_byte_is_named_wherever_it_is(province: Province) -> None:
    for key, objects in attack_all(province):
        for place in (0, len(objects[key]) // 2, len(objects[key]) - 1):
            data = bytearray(objects[key])
            data[place] ^= 0x01
            attacked, objects[key] = objects[key], bytes(data)
            report = province.prove(recompute=False)
            assert report.verdict == "broken", (key, place)
            assert key in named(report), (key, place, report.findings)
            objects[key] = attacked


def test_truncated_object_is_named(province: Province) -> None:
    for key, objects in attack_all(province):
        objects[key] = objects[key][: len(objects[key]) // 2]
        report = province.prove(recompute=False)
        assert key in named(report), (key, report.findings)


def test_missing_object_is_named(province: Province) -> None:
    for key, objects in attack_all(province):
        del objects[key]
        report = province.prove(recompute=False)
        assert report.verdict == "broken", key
        name = key.rpartition("/")[2]
        assert any(name in one.key and one.kind == "missing" for one in report.findings), (key, report.findings)


def test_two_swapped_objects_are_both_named(province: Province) -> None:
    keys = evidence(province)
    kinds: dict[str, list[str]] = {}
    for key in keys:
        name = key.rpartition("/")[2].split("-")[0]
        kinds.setdefault(f"{key.split('/')[0]} {name}", []).append(key)
    pairs = [(same[0], same[-1]) for same in kinds.values() if len(same) > 1]
    assert len(pairs) >= 6
    objects = dict(province.store.objects)
    for one, other in pairs:
        province.store.objects = dict(objects)
        if objects[one] == objects[other]:
            continue
        province.store.objects[one], province.store.objects[other] = objects[other], objects[one]
        assert {one, other} <= named(province.prove(recompute=False)), (one, other)


def test_older_object_in_the_place_of_a_newer_one_is_named(province: Province) -> None:
    first, second = province.manifest(0), province.manifest(1)
    for name in ("grades.arrow", "evidence.arrow"):
        old, new = (find(province, run, name) for run in (first, second))
        objects = province.store.objects
        kept, objects[new] = objects[new], objects[old]
        assert new in named(province.prove(recompute=False))
        objects[new] = kept
    plans = [find(province, run, "plan.json") for run in (first, second)]
    province.store.objects[plans[1]] = province.store.objects[plans[0]]
    assert plans[1] in named(province.prove(recompute=False))


# chains


@pytest.mark.semantics("6.9")
def test_parent_of_a_run_is_named_when_it_was_removed(province: Province) -> None:
    first, second = province.manifest(0), province.manifest(1)
    (key,) = province.keys(lambda key: first.sha256 in key)
    del province.store.objects[key]
    report = province.prove(recompute=False)
    (finding,) = [one for one in report.findings if first.sha256 in one.key and second.sha256 in one.en]
    assert finding.kind == "missing"
    assert second.run_id in finding.runs


@pytest.mark.semantics("6.19")
def test_newest_manifest_is_missed_by_the_witness_when_the_chain_was_cut(province: Province) -> None:
    second = province.manifest(1)
    for key in province.keys(lambda key: second.run_id in key):
        del province.store.objects[key]
    report = province.prove(recompute=False)
    missed = [one.key for one in report.findings if "checkpoint-" in one.en]
    assert any(second.sha256 in key for key in missed)


def test_newest_batch_is_missed_by_its_run_when_the_chain_was_cut(province: Province) -> None:
    second = province.manifest(1)
    (head,) = second.cut[PENALTIES]
    for key in province.keys(lambda key: key.startswith("checkpoints/")):
        del province.store.objects[key]
    (key,) = province.keys(lambda key: head in key)
    del province.store.objects[key]
    report = province.prove(recompute=False)
    assert any(head in one.key and one.runs == (second.run_id,) for one in report.findings)


def test_manifest_under_another_dataset_is_named(province: Province) -> None:
    key = province.keys(lambda key: "dataset=penalty/" in key and "/manifest-" in key)[0]
    moved = key.replace("dataset=penalty", "dataset=complaint")
    province.store.objects[moved] = province.store.objects[key]
    (finding,) = province.prove(recompute=False).findings
    assert (finding.key, finding.kind) == (moved, "misplaced")


def test_rewritten_history_is_named_when_every_digest_in_it_is_right(province: Province) -> None:
    """An attacker with the program: a run is committed anew with another count, and its children are kept."""
    first = province.manifest(0)
    (key,) = province.keys(lambda key: first.sha256 in key)
    forged = first.model_copy(update={"subjects_by_grade": {"A": 3}})
    del province.store.objects[key]
    province.store.objects[key.replace(first.sha256, forged.sha256)] = forged.encode()
    report = province.prove(recompute=False)
    assert any(first.sha256 in one.key and one.kind == "missing" for one in report.findings)


def test_sequence_that_does_not_follow_its_parents_is_named(province: Province) -> None:
    second = province.manifest(1)
    (key,) = province.keys(lambda key: second.sha256 in key)
    forged = second.model_copy(update={"sequence": 7})
    new = key.replace(second.sha256, forged.sha256)
    province.store.objects[new] = forged.encode()
    report = province.prove(recompute=False)
    assert any(one.key == new and one.kind == "unlinked" for one in report.findings)


@pytest.mark.semantics("6.8")
def test_second_head_is_told_and_is_no_break(province: Province) -> None:
    second = province.manifest(1)
    (key,) = province.keys(lambda key: second.sha256 in key)
    fork = second.model_copy(update={"artefacts": second.artefacts, "what_if": True})
    province.store.objects[key.replace(second.sha256, fork.sha256)] = fork.encode()
    report = province.prove(recompute=False)
    assert report.findings == []
    assert any("several heads" in note and DOMAIN in note for note in report.notes)


def test_publication_is_missed_by_the_next_when_plan_and_receipt_are_gone(province: Province) -> None:
    first, second = province.manifest(0), province.manifest(1)
    for key in province.keys(lambda key: key.startswith("published/") and first.run_id in key):
        del province.store.objects[key]
    report = province.prove(recompute=False)
    assert any(one.kind == "missing" and second.run_id in one.en for one in report.findings), report.findings


def test_receipt_of_another_publication_is_named(province: Province) -> None:
    first, second = province.manifest(0), province.manifest(1)
    keys = [find(province, run, "receipt.json") for run in (first, second)]
    province.store.objects[keys[1]] = province.store.objects[keys[0]]
    assert any(one.key == keys[1] and one.kind == "misplaced" for one in province.prove(recompute=False).findings)


@pytest.mark.semantics("6.19")
def test_last_witnessed_head_is_the_newest_that_was_sent(province: Province) -> None:
    (newest,) = province.keys(lambda key: f"date={JULY}" in key and "/sent-" in key)
    assert checkpoint_sent_key(JULY, newest.rpartition("sent-")[2].removesuffix(".json")) == newest
    del province.store.objects[newest]
    witnessed = province.prove(recompute=False).witnessed
    assert witnessed is not None
    assert witnessed.day == JUNE


def test_file_no_manifest_names_is_told_and_is_no_break(province: Province) -> None:
    key = province.keys(lambda key: key.endswith("part-00000.arrow"))[0]
    left = key.replace("part-00000", "part-00009")
    province.store.objects[left] = b"left by a killed pull"
    report = province.prove(recompute=False)
    assert report.verdict == "intact"
    assert any(left in note for note in report.notes)


def test_attacks_do_not_touch_the_original(original: Province) -> None:
    assert copy.copy(original).prove(recompute=False).verdict == "intact"
