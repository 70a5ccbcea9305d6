"""The engine: what goes in and out, and that order, files, threads and a second run change nothing."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pytest
from sqlglot import ErrorLevel

from exchange_formats.digests import digest_file
from exchange_formats.errors import FatalError
from exchange_formats.results import ARTEFACTS
from scoring.artefacts import BATCH_ROWS, digest_artefact, write_artefact
from scoring.compiler import compile_model
from scoring.engine import evaluate
from scoring.model import Model
from scoring.resolution import read_resolved, resolve
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, complaint, incident, join_inputs, penalty, read_rows, run

SUBJECTS: list[dict[str, Any]] = [
    {"public_credit": 820},
    {"public_credit": 700, "penalty": [penalty("1201", "2026-05-01"), penalty("1201", "2026-06-01")]},
    {"public_credit": None, "complaint": [complaint("2026-05-01")], "penalty": [penalty("1203", "2026-05-01")]},
    {"public_credit": None},
    {"public_credit": 640, "incident": [incident("2025-01-01")]},
]


def test_every_artefact_has_its_schema_and_even_batches_when_a_run_ends(tmp_path: Path) -> None:
    evaluation = run(ENVIRONMENT, join_inputs(ENVIRONMENT, SUBJECTS), tmp_path)
    assert [file.name for file in evaluation.artefacts] == list(ARTEFACTS)
    for artefact in evaluation.artefacts:
        (path,) = evaluation.paths(artefact.name)
        with pa.ipc.open_file(path) as reader:
            assert reader.schema.equals(ARTEFACTS[artefact.name])
            assert sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches)) == artefact.rows
        assert digest_artefact([path], ARTEFACTS[artefact.name]) == artefact.rows_sha256
        assert [(file.bytes, file.sha256) for file in artefact.files] == [(path.stat().st_size, digest_file(path))]
    assert evaluation.subjects == 5
    assert evaluation.subjects_by_grade == {"B": 1, "D": 1, "E": 2, "N": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.arrow" for name in ARTEFACTS)


@pytest.mark.semantics("3.30")
def test_bytes_are_the_same_when_rows_files_and_threads_differ(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    straight = run(ENVIRONMENT, inputs, tmp_path / "straight")
    shuffled: dict[str, pads.Dataset] = {}
    for source, table in inputs.items():
        backwards = table.take(pa.array(range(len(table) - 1, -1, -1), pa.int64()))
        folder = tmp_path / source.replace("/", "_")
        folder.mkdir()
        for number, part in enumerate((backwards.slice(0, 2), backwards.slice(2))):
            with pa.ipc.new_file(str(folder / f"{number}.arrow"), table.schema) as writer:
                writer.write_table(part)
        shuffled[source] = pads.dataset(folder, format="ipc", schema=table.schema)
    (tmp_path / "shuffled").mkdir()
    other = evaluate(resolve(ENVIRONMENT, AS_OF), shuffled, AS_OF, tmp_path / "shuffled", threads=1)
    assert straight.artefacts == other.artefacts


def test_rows_digest_differs_when_one_score_differs(tmp_path: Path) -> None:
    one = run(ENVIRONMENT, join_inputs(ENVIRONMENT, SUBJECTS), tmp_path / "one")
    two = run(
        ENVIRONMENT, join_inputs(ENVIRONMENT, [{"public_credit": Decimal("820.04")}, *SUBJECTS[1:]]), tmp_path / "two"
    )
    assert one.artefacts[0].rows_sha256 != two.artefacts[0].rows_sha256


@pytest.mark.semantics("2.27")
def test_record_is_quarantined_when_its_subject_is_in_no_profile(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    stranger = pa.array(["91330100999999999X"], pa.string())
    lone = inputs["ecology_environment/penalty"].slice(0, 1)
    lone = lone.set_column(0, lone.schema.field(0), pa.array(["stranger"])).set_column(
        1, lone.schema.field(1), stranger
    )
    inputs["ecology_environment/penalty"] = pa.concat_tables([inputs["ecology_environment/penalty"], lone])
    inputs["market_regulation/listing"] = inputs["market_regulation/listing"].schema.empty_table()
    evaluation = run(ENVIRONMENT, inputs, tmp_path)
    assert [(r["dataset"], r["record_id"]) for r in read_rows(evaluation, "unmatched")] == [
        ("ecology_environment/penalty", "stranger")
    ]
    assert evaluation.subjects == 5


def test_record_of_another_department_is_not_quarantined_when_its_subject_is_unknown_here(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, [*SUBJECTS, {"market_regulation__annual_report": [{"filed_on": None}]}])
    profiles = inputs["ecology_environment/profile"]
    inputs["ecology_environment/profile"] = profiles.filter(
        pc.not_equal(profiles["record_id"], profiles["record_id"][5])
    )
    evaluation = run(ENVIRONMENT, inputs, tmp_path)
    assert (read_rows(evaluation, "unmatched"), evaluation.subjects) == ([], 5)


def test_subject_is_scored_once_when_two_profiles_repeat_its_code(tmp_path: Path) -> None:
    twice = [{"ref": "91330100MA2A00001X", "profile": {"subject_name": name}} for name in ("甲", "乙")]
    grades = read_rows(run(ENVIRONMENT, join_inputs(ENVIRONMENT, twice), tmp_path), "grades")
    assert len(grades) == 1


def test_subject_is_left_out_when_its_profile_is_not_in_scope(tmp_path: Path) -> None:
    subjects: list[dict[str, Any]] = [
        {"profile": {"status": "cancelled"}, "penalty": [penalty("1201", "2026-05-01")]},
        {"ref": "51330100MJ0000001X"},
        {"ref": "91330100MA2A00001X"},
    ]
    evaluation = run(ENVIRONMENT, join_inputs(ENVIRONMENT, subjects), tmp_path)
    assert [row["subject_ref"] for row in read_rows(evaluation, "grades")] == ["91330100MA2A00001X"]
    assert read_rows(evaluation, "unmatched") == []


def test_run_refuses_when_the_profiles_are_missing(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    del inputs["ecology_environment/profile"]
    with pytest.raises(FatalError, match="ecology_environment/profile"):
        run(ENVIRONMENT, inputs, tmp_path)


def test_run_refuses_when_an_input_lacks_a_column(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    inputs["ecology_environment/penalty"] = inputs["ecology_environment/penalty"].drop_columns(
        ["final_on", "chain_sequence"]
    )
    with pytest.raises(FatalError, match="final_on, chain_sequence"):
        run(ENVIRONMENT, inputs, tmp_path)


def test_run_names_memory_when_it_does_not_suffice(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    with pytest.raises(FatalError, match="1MB"):
        evaluate(resolve(ENVIRONMENT, AS_OF), inputs, AS_OF, tmp_path, memory_limit="1MB")


def test_nothing_is_scored_when_there_is_no_subject(tmp_path: Path) -> None:
    empty = {source: table.slice(0, 0) for source, table in join_inputs(ENVIRONMENT, SUBJECTS).items()}
    evaluation = run(ENVIRONMENT, empty, tmp_path)
    assert (evaluation.subjects, evaluation.subjects_by_grade, evaluation.warnings_by_level) == (0, {}, {})


@pytest.mark.parametrize("model", MODELS.by_id.values(), ids=lambda model: model.id)
def test_every_step_renders_for_spark_when_a_model_is_compiled(model: Model) -> None:
    resolved = resolve(model, AS_OF)
    program = compile_model(resolved, AS_OF, resolved.inputs)
    for step in (*program.steps, *program.outputs):
        text = step.query.sql("spark", identify=True, unsupported_level=ErrorLevel.RAISE)
        assert text.startswith("SELECT")
    assert "-- grades" in program.text("spark")


def test_printed_sql_runs_in_duckdb_when_its_inputs_are_there(tmp_path: Path) -> None:
    inputs = join_inputs(ENVIRONMENT, SUBJECTS)
    resolved = resolve(ENVIRONMENT, AS_OF, MODELS.tables)
    program = compile_model(resolved, AS_OF, inputs.keys())
    with duckdb.connect() as connection:
        for source, name in program.inputs.items():
            connection.register(name, inputs[source])
        answers = [connection.execute(one.query).fetchall() for one in connection.extract_statements(program.text())]
    graded = [(row[0], row[6]) for row in answers[-len(program.outputs)]]
    found = run(ENVIRONMENT, inputs, tmp_path)
    assert graded == [(row["subject_ref"], row["grade"]) for row in read_rows(found, "grades")]


@pytest.mark.semantics("3.31")
def test_compiled_sql_divides_only_to_round_when_all_steps_are_read() -> None:
    resolved = resolve(ENVIRONMENT, AS_OF)
    program = compile_model(resolved, AS_OF, resolved.inputs)
    text = "\n".join(step.sql() for step in (*program.steps, *program.outputs))
    halves = re.findall(r"\+ CAST\((\d+) AS BIGINT\)\) // CAST\((\d+) AS BIGINT\)", text)
    assert text.count("//") == len(halves) > 0
    assert all(2 * int(half) == int(unit) for half, unit in halves)
    assert " / " not in text
    assert " DOUBLE" not in text.upper()


def test_resolved_model_reads_back_when_it_was_stored() -> None:
    resolved = resolve(ENVIRONMENT, AS_OF)
    again = read_resolved(resolved.canonical)
    assert (again.sha256, again) == (resolved.sha256, resolved)


@pytest.mark.semantics("6.14")
def test_examples_decide_nothing_when_a_model_is_named_by_digest() -> None:
    bare = ENVIRONMENT.model_copy(update={"examples": ()})
    assert resolve(bare, AS_OF).sha256 == resolve(ENVIRONMENT, AS_OF).sha256


def test_batches_are_even_when_the_engine_s_own_are_not(tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.int64())])
    sizes = [1, BATCH_ROWS * 2 + 7, 3, BATCH_ROWS - 4]
    batches = [pa.record_batch([pa.array(range(size), pa.int64())], schema=schema) for size in sizes]
    rows, buckets = write_artefact(tmp_path / "x.arrow", schema, iter(batches))
    with pa.ipc.open_file(tmp_path / "x.arrow") as reader:
        found = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
    assert set(buckets) == {0}
    assert (rows, found) == (sum(sizes), [BATCH_ROWS] * 3 + [7])
