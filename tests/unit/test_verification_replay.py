"""Replay: what was recomputed differs, what the law took, what messages say (semantics §6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from typer.testing import CliRunner

from exchange_formats.digests import digest_bytes
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.keys import plan_key, receipt_key
from exchange_formats.manifests import RunManifest, StatisticsManifest
from exchange_formats.publications import Plan
from exchange_formats.results import ARTEFACTS, STATISTICS
from exchange_formats.row_digests import digest_rows
from gateway.evaluation import InProcess
from gateway.purging import purge_expired, purge_record
from gateway.verification.findings import Finding, Report
from gateway.verification.messages import read_messages
from gateway.verification.replay import replay_run
from tests.fakes import MemoryStore
from tests.proof_samples import DOMAIN, JULY, JUNE, NOW, PENALTIES, SUBJECTS, Province
from tests.scoring_cases import ENVIRONMENT, MARKET, join_inputs, reference

ARTICLE = "个人信息保护法 47"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Province:
    province = Province(tmp_path_factory.mktemp("province"))
    province.live()
    return province


@pytest.fixture
def province(original: Province, tmp_path: Path) -> Province:
    store = MemoryStore()
    store.objects = dict(original.store.objects)
    attacked = Province(tmp_path, store)
    attacked.runs, attacked.bus.sent = list(original.runs), list(original.bus.sent)
    return attacked


def forge(province: Province, name: str, change: Callable[[list[dict[str, Any]]], object], **more: Any) -> RunManifest:
    """The newest run with other rows in one artefact, and every digest right: the forger has the program."""
    run = province.manifest(1)
    (old,) = province.keys(lambda key: run.sha256 in key)
    folder = old.rpartition("/")[0] + "/"
    place = next(number for number, one in enumerate(run.artefacts) if one.name == name)
    artefact = run.artefacts[place]
    path = province.folder / "forged.arrow"
    path.write_bytes(province.store.objects[folder + artefact.files[0].name])
    rows = pads.dataset(path, format="ipc").to_table().to_pylist()
    change(rows)
    batch = pa.RecordBatch.from_pylist(rows, ARTEFACTS[name])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, ARTEFACTS[name]) as writer:
        writer.write_batch(batch)
    data = path.read_bytes()
    file = artefact.files[0].model_copy(
        update={"sha256": digest_bytes(data), "bytes": len(data), "rows": batch.num_rows}
    )
    changed = artefact.model_copy(
        update={"files": (file,), "rows": batch.num_rows, "rows_sha256": digest_rows(ARTEFACTS[name], [[batch]])}
    )
    artefacts = (*run.artefacts[:place], changed, *run.artefacts[place + 1 :])
    forged = run.model_copy(update={"artefacts": artefacts} | more)
    province.store.objects[folder + file.name] = data
    del province.store.objects[old]
    province.store.objects[old.replace(run.sha256, forged.sha256)] = forged.encode()
    return forged


def replay(province: Province, run: RunManifest) -> list[Finding]:
    prover = province.prover()
    _, found = replay_run(prover.lake, run, prover.spool)
    return found


@pytest.mark.semantics("6.16", "6.17")
def test_changed_grade_is_named_by_subject_and_column_when_every_digest_is_right(province: Province) -> None:
    def raise_score(rows: list[dict[str, Any]]) -> None:
        rows[0]["score"] = Decimal("999.00")

    forged = forge(province, "grades", raise_score)
    (finding,) = [one for one in replay(province, forged) if one.kind == "differs"]
    assert finding.key.endswith("grades.arrow")
    assert "score: expected" in finding.en
    assert "got 999.00" in finding.en
    assert reference(0)[:6] in finding.en
    assert reference(0) not in finding.en, "the subject is masked"


@pytest.mark.semantics("6.16")
def test_changed_evidence_is_named_when_the_grade_is_kept(province: Province) -> None:
    def soften(rows: list[dict[str, Any]]) -> None:
        row = next(one for one in rows if one["entry"] == "record")
        row["points"] = row["points"] + 1

    (finding,) = [one for one in replay(province, forge(province, "evidence", soften)) if one.kind == "differs"]
    assert finding.key.endswith("evidence.arrow")
    assert "points: expected" in finding.en


def test_subject_that_was_taken_out_is_named(province: Province) -> None:
    forged = forge(province, "grades", lambda rows: rows.pop(1))
    (finding,) = [one for one in replay(province, forged) if one.kind == "differs"]
    assert "a row is expected, not stored" in finding.en


@pytest.mark.semantics("6.16")
def test_rows_in_another_order_are_no_replay(province: Province) -> None:
    forged = forge(province, "evidence", lambda rows: rows.reverse())
    assert any("canonical" in one.en or "recomputing evidence gives" in one.en for one in replay(province, forged))


def test_counts_of_the_manifest_are_recomputed(province: Province) -> None:
    forged = forge(province, "grades", lambda rows: None, subjects_by_grade={"A": 3}, warnings_by_level={"red": 9})
    said = [one.en for one in replay(province, forged)]
    assert any("subjects_by_grade" in one for one in said)
    assert any("warnings_by_level" in one for one in said)


@pytest.mark.semantics("6.14")
def test_run_of_other_inputs_is_no_run_of_its_name(province: Province) -> None:
    run = province.manifest(1)
    swapped = run.model_copy(update={"cut": province.manifest(0).cut})
    assert any("is not the run of its cut" in one.en for one in replay(province, swapped))


def test_run_of_other_semantics_is_verified_by_digest_and_not_recomputed(province: Province) -> None:
    run = province.manifest(1).model_copy(update={"semantics": "0"})
    prover = province.prover()
    said, found = replay_run(prover.lake, run, prover.spool)
    assert (said.semantics, found) == ("0", [])
    assert said.rows == sum(one.rows for one in run.artefacts)


def test_reference_statistics_are_recomputed_when_a_run_used_them(tmp_path: Path) -> None:
    province = Province(tmp_path, model=MARKET)
    filed = [
        {"filed_on": date(2026, 5, day), "outcome": "substantiated", "closed_on": date(2026, 5, 29)} for day in (1, 2)
    ]
    trade = {"industry_code": "5211"}
    province.land_all(
        [{"public_credit": 800, "complaint": filed[: 1 + number % 2], "profile": trade} for number in range(25)]
    )
    run = province.score(JUNE)
    assert province.manifest(0).statistics is not None
    assert province.prove().verdict == "intact"
    (key,) = province.keys(lambda key: key.startswith("statistics/") and key.endswith(".arrow"))
    (old,) = province.keys(lambda key: key.startswith("statistics/") and "manifest-" in key)
    made = StatisticsManifest.model_validate_json(province.store.objects[old])
    path = tmp_path / "statistics.arrow"
    path.write_bytes(province.store.objects[key])
    rows = pads.dataset(path, format="ipc").to_table().to_pylist()
    assert rows
    rows[0]["value"] = rows[0]["value"] + 1
    batch = pa.RecordBatch.from_pylist(rows, STATISTICS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, STATISTICS) as writer:
        writer.write_batch(batch)
    data = path.read_bytes()
    (artefact,) = made.artefacts
    file = artefact.files[0].model_copy(update={"sha256": digest_bytes(data), "bytes": len(data)})
    changed = artefact.model_copy(update={"files": (file,), "rows_sha256": digest_rows(STATISTICS, [[batch]])})
    forged = made.model_copy(update={"artefacts": (changed,)})
    province.store.objects[key] = data
    del province.store.objects[old]
    province.store.objects[old.replace(made.sha256, forged.sha256)] = forged.encode()
    manifest = province.manifest(0).model_copy(update={"statistics": forged.sha256})
    found = replay(province, manifest)
    assert any(one.key == key and one.kind == "differs" and "value: expected" in one.en for one in found), found
    assert any(run.run_id in one.key for one in found), "its run is another one by name, too"


# purge


def purge_first_part(province: Province) -> str:
    """The first penalty batch of a lake of its own may be kept until May only; its key."""
    for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items():
        province.land(source, table, delete_month="2026-06" if source == PENALTIES else None)
    province.score(JUNE)
    province.publish()
    (key,) = province.keys(lambda key: "dataset=penalty/" in key and key.endswith(".arrow"))
    return key


def test_run_says_so_when_only_its_reference_statistics_were_purged(tmp_path: Path) -> None:
    """The statistics of a cycle stay as they are: a run behind the purge stands on what is gone."""
    province = Province(tmp_path, model=MARKET)
    filed = {"filed_on": date(2026, 5, 1), "outcome": "substantiated", "closed_on": date(2026, 5, 29)}
    trade = {"industry_code": "5211"}
    province.land_all([{"public_credit": 800, "complaint": [filed], "profile": trade} for _ in range(25)])
    source = ("market_regulation", "complaint")
    province.score(JUNE)
    record = province.lake.records(*source).to_table()["record_id"][0].as_py()
    law = "个人信息保护法 47"
    purge_record(province.lake, *source, record, article=law, day=JUNE, now=lambda: NOW, spool=province.spool)
    again = province.score(JUNE)
    assert [province.manifest(number).statistics for number in (0, 1)] == [province.manifest(0).statistics] * 2
    (said,) = (one for one in province.prove().replays if one.run_id == again.run_id)
    assert said.purged.startswith("参照统计 its reference statistics: ")
    assert law in said.purged


@pytest.mark.semantics("6.5", "6.6")
def test_purged_by_law_is_told_from_broken(tmp_path: Path) -> None:
    province = Province(tmp_path)
    key = purge_first_part(province)
    purge_expired(province.lake, day=JULY, now=lambda: NOW, spool=province.spool)
    assert key not in province.store.objects
    report = province.prove()
    assert report.findings == []
    assert report.verdict == "purged"
    (gone,) = report.purged
    assert (gone.key, gone.redacted, gone.runs) == (key, False, (province.runs[0].run_id,))
    (said,) = report.replays
    assert "条例 16" in said.purged
    assert report.messages > 0, "its messages still follow from what it said"


@pytest.mark.semantics("6.5")
def test_deleted_without_a_purge_is_broken(tmp_path: Path) -> None:
    province = Province(tmp_path)
    key = purge_first_part(province)
    del province.store.objects[key]
    report = province.prove()
    assert report.verdict == "broken"
    (finding,) = report.findings
    assert (finding.key, finding.kind, finding.runs) == (key, "missing", (province.runs[0].run_id,))
    (said,) = report.replays
    assert key in said.skipped


def test_purge_while_the_lake_is_looked_at_is_no_break(tmp_path: Path) -> None:
    province = Province(tmp_path)
    key = purge_first_part(province)
    looked = province.prover(recompute=False)

    def purge_meanwhile(stage: str, done: int, total: int) -> None:
        if key in province.store.objects:
            purge_expired(province.lake, day=JULY, now=lambda: NOW, spool=province.spool)

    report = replace(looked, progress=purge_meanwhile).prove_everything()
    assert report.findings == []
    assert [one.key for one in report.purged] == [key]


def test_purge_manifest_that_was_removed_makes_the_lake_broken(tmp_path: Path) -> None:
    province = Province(tmp_path)
    key = purge_first_part(province)
    purge_expired(province.lake, day=JULY, now=lambda: NOW, spool=province.spool)
    (manifest,) = province.keys(lambda key: "/purge/" in key)
    del province.store.objects[manifest]
    report = province.prove(recompute=False)
    assert report.verdict == "broken"
    assert {key} <= {one.key for one in report.findings}
    assert any(manifest.rpartition("manifest-")[2] in one.key for one in report.findings), "the outcome record names it"


@pytest.mark.semantics("6.4", "6.5")
def test_redacted_part_is_purged_by_law_and_its_own_bytes_are_checked(province: Province) -> None:
    wanted = province.lake.records(*PENALTIES.split("/")).to_table().column("record_id").to_pylist()[0]
    department, dataset = PENALTIES.split("/")
    purge_record(
        province.lake,
        department,
        dataset,
        wanted,
        article=ARTICLE,
        day=JULY,
        now=lambda: NOW,
        spool=province.spool,
    )
    report = province.prove(recompute=False)
    assert (report.verdict, [one.redacted for one in report.purged]) == ("purged", [True])
    (left,) = province.keys(lambda key: "-redacted-" in key)
    province.store.objects[left] += b"x"
    assert [one.key for one in province.prove(recompute=False).findings] == [left]


@pytest.mark.semantics("6.6")
def test_new_run_is_intact_when_it_was_made_after_the_purge(tmp_path: Path) -> None:
    province = Province(tmp_path)
    purge_first_part(province)
    purge_expired(province.lake, day=JULY, now=lambda: NOW, spool=province.spool)
    province.land_late()
    run = province.score(JULY)
    report = province.prover().prove(run.run_id)
    assert (report.verdict, report.findings, [one.rows > 0 for one in report.replays]) == ("intact", [], [True])


# one run, one batch


def test_run_is_proved_alone_when_another_is_broken(province: Province) -> None:
    first, second = province.runs
    (key,) = province.keys(lambda key: second.run_id in key and key.endswith("grades.arrow"))
    province.store.objects[key] += b"x"
    report = province.prover("one").prove(first.run_id[:8])
    assert (report.verdict, len(report.replays)) == ("intact", 1)
    assert province.prover("two").prove(second.run_id).verdict == "broken"


def test_batch_is_proved_with_the_runs_that_depend_on_it(province: Province) -> None:
    batch = province.lake.batches(*PENALTIES.split("/"))[0]
    report = province.prover().prove(batch.batch_id)
    assert report.verdict == "intact"
    assert all(any(run.run_id in note for note in report.notes) for run in province.runs)
    (key,) = province.keys(lambda key: batch.batch_id in key and "part-" in key)
    province.store.objects[key] = b""
    (finding,) = province.prover().prove(batch.batch_id[:12]).findings
    assert (finding.key, set(finding.runs)) == (key, {run.run_id for run in province.runs})


@pytest.mark.parametrize("target", ["nothing", "0123456789abcdef", "00000000-0000-0000-0000-000000000000"])
def test_unknown_target_is_refused(province: Province, target: str) -> None:
    with pytest.raises(ConfigurationError):
        province.prover().prove(target)


# messages


def grade_message(province: Province, number: int = 0) -> dict[str, Any]:
    found = [json.loads(one.body) for one in province.bus.sent if ".grade.evaluated." in one.type]
    event: dict[str, Any] = found[number]
    return event


def prove_message(province: Province, event: dict[str, Any]) -> Report:
    path = province.folder / "message.json"
    path.write_text(json.dumps(event, indent=2, ensure_ascii=False))
    return province.prover().prove(str(path))


def test_received_message_is_proved_to_its_inputs(province: Province) -> None:
    report = prove_message(province, grade_message(province))
    assert (report.findings, report.verdict) == ([], "intact")
    assert [one.run_id for one in report.replays] == [province.runs[0].run_id]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("results", 0, "score"), "999.00", "data.results[0].score: sent"),
        (("results", 0, "grade"), "A", "data.results[0].grade: sent"),
        (("sequence",), 77, "data.sequence: sent"),
        (("results", 0, "reasons", 0, "points"), "-1", "points: sent"),
        (("model_sha256",), "0" * 64, "data.model_sha256: sent"),
    ],
)
def test_altered_message_is_named_by_its_field(
    province: Province, path: tuple[str | int, ...], value: object, said: str
) -> None:
    event = grade_message(province)
    place: Any = event["data"]
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    report = prove_message(province, event)
    assert report.verdict == "broken"
    assert any(said in one.en and one.key == f"message {event['id']}" for one in report.findings), report.findings


def test_message_of_no_plan_is_named(province: Province) -> None:
    event = grade_message(province) | {"id": "00000000-0000-5000-8000-000000000000"}
    assert any("no plan" in one.en for one in prove_message(province, event).findings)


def test_message_that_names_another_run_is_named(province: Province) -> None:
    event = grade_message(province)
    event["data"]["run_id"] = province.runs[1].run_id
    assert any("names another run" in one.en for one in prove_message(province, event).findings)


def test_lines_of_a_consumer_are_proved_when_outdated_results_were_dropped(province: Province) -> None:
    event = grade_message(province)
    event["data"]["results"] = event["data"]["results"][1:]
    path = province.folder / "messages.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (event, grade_message(province, 1))))
    assert len(read_messages(path)) == 2
    report = province.prover().prove(str(path))
    assert report.findings == []
    assert len(report.replays) == 2


def test_everything_a_consumer_received_is_proved(province: Province) -> None:
    lines = [one.body.decode() for one in province.bus.sent if "checkpoint" not in one.type]
    assert any(".warning." in one for one in lines)
    (province.folder / "all.jsonl").write_text("\n".join(lines))
    report = province.prover().prove(str(province.folder / "all.jsonl"))
    assert (report.verdict, report.findings) == ("intact", [])


def test_run_of_several_shards_is_proved_by_one(tmp_path: Path) -> None:
    province = Province(tmp_path)
    province.land_all()
    run = province.score(JUNE, engine=InProcess(shards=4))
    assert any(len(one.files) > 1 for one in province.manifest(0).artefacts)
    report = province.prover().prove(run.run_id)
    assert (report.verdict, report.findings) == ("intact", [])


def test_message_is_found_by_its_id(province: Province) -> None:
    event = grade_message(province, 1)
    report = province.prover().prove(event["id"])
    assert (report.verdict, report.target) == ("intact", event["id"])
    assert [one.run_id for one in report.replays] == [event["data"]["run_id"]]


@pytest.mark.parametrize("text", ["no json", "{}", '{"id": "1", "data": {}}', ""])
def test_file_without_a_message_of_a_run_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ConfigurationError):
        read_messages(tmp_path / "file")


def test_plan_that_promises_other_messages_is_named_when_its_seal_is_right(province: Province) -> None:
    run = province.runs[1]
    key = plan_key(DOMAIN, run.run_id)
    plan = Plan.model_validate_json(province.store.objects[key])
    first = plan.messages[0].model_copy(update={"sha256": "0" * 64})
    forged = plan.model_copy(update={"messages": (first, *plan.messages[1:])}).sealed()
    province.store.objects[key] = forged.encode()
    kinds = {(one.key, one.kind) for one in province.prove().findings}
    assert (key, "differs") in kinds
    assert (key, "inconsistent") in kinds, "it is not the plan of its receipt either"
    del province.store.objects[receipt_key(DOMAIN, run.run_id)]
    assert any(one.kind == "missing" and "receipt" in one.key for one in province.prove(recompute=False).findings)


# the command


def test_command_says_the_verdict_and_fails_when_something_is_broken(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli import app

    class Workplace:
        lake = province.prover().lake
        spool = province.spool

    monkeypatch.setattr("gateway.cli.verify.open_workplace", Workplace)
    monkeypatch.setattr("gateway.stack.environment.load_environment", lambda: None)
    run = province.runs[1].run_id
    good = CliRunner().invoke(app, ["verify", run])
    assert (good.exit_code, "完好 intact" in good.output, "last witnessed: 2026-07-01" in good.output) == (
        0,
        True,
        True,
    )
    (key,) = province.keys(lambda key: run in key and key.endswith("evidence.arrow"))
    province.store.objects[key] = b"x"
    bad = CliRunner().invoke(app, ["verify", "--all", "--digests-only", "--json"])
    assert bad.exit_code == 1
    document = json.loads(bad.output)
    assert (document["verdict"], [one["key"] for one in document["findings"]]) == ("broken", [key])
    assert CliRunner().invoke(app, ["verify"]).exit_code != 0


def test_verdict_is_not_given_when_a_run_could_not_be_recomputed(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not suffice: nothing is broken, and nothing is proved."""

    def fail(*_: object) -> None:
        raise FatalError("out of memory")

    monkeypatch.setattr("gateway.verification.proofs.replay_run", fail)
    with pytest.raises(FatalError, match="out of memory"):
        province.prove()


def test_nothing_is_proved_when_the_domain_is_unknown(province: Province) -> None:
    with pytest.raises(ConfigurationError, match="holds nothing of a domain 'nowhere'"):
        province.prover().prove_everything("nowhere")
