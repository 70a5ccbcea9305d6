"""Shards: however many there are, wherever they are scored, the rows and their digests are the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from exchange_formats.results import ARTEFACTS
from exchange_formats.row_digests import BUCKETS, bucket_of
from exchange_formats.shards import WHOLE, Shard, ShardResult, split_shards
from scoring.artefacts import digest_artefact, join_files
from scoring.engine import evaluate, evaluate_shard
from scoring.evaluations import Evaluation, combine_shards
from scoring.resolution import resolve
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, complaint, join_inputs, penalty, read_rows, reference

RESOLVED = resolve(ENVIRONMENT, AS_OF, MODELS.tables)
SUBJECTS = 300


def make_inputs() -> dict[str, pa.Table]:
    """Subjects with and without records, a record of nobody known, and records that went to another subject."""
    draw = random.Random(7)
    codes = ("1201", "1203", "1205", None)
    subjects: list[dict[str, Any]] = [
        {
            "public_credit": draw.choice([None, 640, 820, 900]),
            "penalty": [
                penalty(draw.choice(codes), f"2026-0{draw.randint(1, 5)}-11") for _ in range(draw.randint(0, 3))
            ],
            "complaint": [complaint("2026-05-01")] * draw.randint(0, 1),
        }
        for _ in range(SUBJECTS)
    ]
    inputs = join_inputs(ENVIRONMENT, subjects)
    for source in ("ecology_environment/penalty", "ecology_environment/complaint"):
        inputs[source] = pa.concat_tables([inputs[source], move_records(inputs[source].slice(0, 60))])
    return inputs


def move_records(table: pa.Table) -> pa.Table:
    """A newer version of each record, of the next subject; every tenth of a subject in no profile."""
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        following = (int(row["subject_ref"][8:17]) + 1) % SUBJECTS
        row["subject_ref"] = reference(999_999 if number % 10 == 0 else following)
        row["chain_sequence"] += 1
    return pa.Table.from_pylist(rows, schema=table.schema)


INPUTS = make_inputs()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate(RESOLVED, INPUTS, AS_OF, tmp_path_factory.mktemp("whole"))


def rows_of(evaluation: Evaluation, name: str) -> list[Any]:
    return sorted(read_rows(evaluation, name), key=repr)


@pytest.mark.semantics("3.30", "6.16")
@pytest.mark.parametrize("count", [2, 8])
def test_result_is_the_same_when_there_are_many_shards(count: int, whole: Evaluation, tmp_path: Path) -> None:
    parted = evaluate(RESOLVED, INPUTS, AS_OF, tmp_path, shards=count)
    assert [(one.name, one.rows, one.rows_sha256) for one in parted.artefacts] == [
        (one.name, one.rows, one.rows_sha256) for one in whole.artefacts
    ]
    assert max(len(one.files) for one in parted.artefacts) == min(count, len(parted.paths("grades")))
    for name in ARTEFACTS:
        assert rows_of(parted, name) == rows_of(whole, name)
        read_back = [digest_artefact(one.paths(name), ARTEFACTS[name]) for one in (parted, whole)]
        assert read_back[0] == read_back[1]
    said = [(one.subjects, one.subjects_by_grade, one.warnings_by_level, one.not_collected) for one in (parted, whole)]
    assert said[0] == said[1]
    assert len(whole.subjects_by_grade) >= 4, "or this compares little"
    assert read_rows(whole, "unmatched"), "or nothing went to an unknown subject"


@pytest.mark.parametrize("index", [0, 21, 40, 63])
def test_bucket_is_the_same_when_it_is_a_shard_of_its_own(index: int, tmp_path: Path) -> None:
    (whole, alone) = (
        evaluate_shard(RESOLVED, INPUTS, AS_OF, tmp_path, shard) for shard in (WHOLE, Shard(index=index, count=64))
    )
    for file in alone.files:
        of_all = next(one for one in whole.files if one.artefact == file.artefact)
        assert file.buckets == {bucket: sha256 for bucket, sha256 in of_all.buckets.items() if bucket == index}
    assert any(file.buckets for file in alone.files)


def test_shard_holds_its_own_subjects_when_it_is_scored_alone(tmp_path: Path) -> None:
    shard = Shard(index=3, count=8)
    result = evaluate_shard(RESOLVED, INPUTS, AS_OF, tmp_path, shard)
    grades = pads.dataset(tmp_path / "grades-3-of-8.arrow", format="ipc").to_table()
    assert {bucket_of(ref) for ref in grades["subject_ref"].to_pylist()} <= set(shard.buckets)
    assert sum(one.subjects for one in result.grades) == len(grades) > 0


@pytest.mark.semantics("3.30")
def test_shards_combine_when_their_results_were_stored_and_come_in_any_order(whole: Evaluation, tmp_path: Path) -> None:
    results = [evaluate_shard(RESOLVED, INPUTS, AS_OF, tmp_path, shard) for shard in split_shards(4)]
    stored = [ShardResult.model_validate_json(result.model_dump_json()) for result in reversed(results)]
    found = combine_shards(RESOLVED, INPUTS.keys(), AS_OF, tmp_path, stored)
    assert [one.rows_sha256 for one in found.artefacts] == [one.rows_sha256 for one in whole.artefacts]


def test_shards_do_not_combine_when_one_is_missing_or_of_another_number(tmp_path: Path) -> None:
    one, two = (evaluate_shard(RESOLVED, INPUTS, AS_OF, tmp_path, shard) for shard in split_shards(2))
    stranger = evaluate_shard(RESOLVED, INPUTS, AS_OF, tmp_path, Shard(index=1, count=4))
    for given in ([one], [one, one], [one, stranger], []):
        with pytest.raises(ValueError, match="shards"):
            combine_shards(RESOLVED, INPUTS.keys(), AS_OF, tmp_path, given)
    with pytest.raises(ValueError, match="buckets in two shards"):
        join_files("grades", [one.files[0], two.files[0], two.files[0]])


@pytest.mark.parametrize(("index", "count"), [(0, 3), (0, 128), (2, 2), (-1, 2), (0, 0)])
def test_shard_is_refused_when_it_would_split_a_bucket_or_is_not_there(index: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"shards|greater"):
        Shard(index=index, count=count)


def test_shards_take_every_bucket_once_when_there_are_many() -> None:
    for count in (1, 2, 4, 8, 16, 32, 64):
        assert [bucket for shard in split_shards(count) for bucket in shard.buckets] == list(range(BUCKETS))
