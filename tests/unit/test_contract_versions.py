"""Versions of a dataset side by side: choosing one, reading rows of an older one, moving a department on, scoring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.department import DatasetMapping, load_departments
from connectors.lake import Lake
from connectors.landing import Landed, Target, land
from exchange_formats.contract_versions import check_versions, choose_contract, project_columns, widens
from exchange_formats.datasets import Dataset, load_contracts
from exchange_formats.digests import derive_id, digest_bytes
from exchange_formats.errors import ConfigurationError
from exchange_formats.keys import batch_prefix, domain_prefix, landing_prefix
from exchange_formats.manifests import BatchManifest, Counts, Part, RunManifest, Window
from gateway.evaluation import evaluate_domain
from tests.contract_samples import ancestor, successor, write_catalogue
from tests.fakes import MemoryStore
from tests.pulls import DEPARTMENT, KEY, UNTIL, FakeReader, later, penalty_mapping
from tests.pulls import penalty as source_row
from tests.scoring_cases import AS_OF, ENVIRONMENT, MODELS, join_inputs, penalty

#: The second version renamed the fine and knows the procedure, which was always the general one before.
RENAMED = {"fine_yuan": "fine_amount_yuan"}
PREDECESSOR = {"version": 1, "columns": RENAMED, "values": {"procedure": "general"}}
DROPPED = ("procedure", "objection_from", "objection_to")


@pytest.fixture
def contracts(tmp_path: Path) -> Mapping[str, Dataset]:
    return write_catalogue(
        tmp_path / "catalogue", ancestor("penalty", RENAMED, DROPPED), successor("penalty", PREDECESSOR)
    )


def older_mapping(**changes: Any) -> DatasetMapping:
    """The mapping of a department that stayed on the first version."""
    document = penalty_mapping().model_dump(mode="json", by_alias=True, exclude_none=True)
    document["columns"]["fine_amount_yuan"] = document["columns"].pop("fine_yuan")
    document["columns"]["violation_code"] = {"classify": [{"code": "1202", "when": "kind = 'fine'"}]}
    return DatasetMapping.model_validate(
        document | {"contract": "penalty@1", "watermark": {"field": "updateTime"}} | changes
    )


def newer_mapping() -> DatasetMapping:
    document = older_mapping().model_dump(mode="json", by_alias=True, exclude_none=True)
    document["columns"]["fine_yuan"] = document["columns"].pop("fine_amount_yuan")
    document["columns"]["procedure"] = {"value": "general"}
    return DatasetMapping.model_validate(document | {"contract": "penalty@2", "watermark": {"field": "updateTime"}})


def pull(lake: Lake, mapping: DatasetMapping, *numbers: int, hour: int = 0) -> Landed:
    """One pull as the gateway lands it: under the version that the mapping names, or the newest."""
    dataset = choose_contract(lake.contracts, "penalty", mapping.contract)
    return land(
        FakeReader([source_row(number) for number in numbers]),
        Target(DEPARTMENT, dataset, mapping, Window(until=later(hour))),
        lake=lake,
        pseudonyms=KEY,
        spool=lake.cache.with_name("spool"),
    )


@pytest.fixture
def lake(tmp_path: Path, contracts: Mapping[str, Dataset]) -> Lake:
    return Lake(MemoryStore(), tmp_path / "cache", contracts)


def test_version_is_the_newest_when_none_is_named(contracts: Mapping[str, Dataset]) -> None:
    assert choose_contract(contracts, "penalty").contract == "penalty@2"
    assert choose_contract(contracts, "penalty", "penalty@1").contract == "penalty@1"


@pytest.mark.parametrize("pinned", ["penalty@3", "complaint@1"])
def test_version_is_refused_when_it_does_not_exist(contracts: Mapping[str, Dataset], pinned: str) -> None:
    with pytest.raises(ConfigurationError, match=pinned) as caught:
        choose_contract(contracts, "penalty", pinned)
    assert "penalty@1, penalty@2" in caught.value.hint


def test_rows_of_both_versions_are_read_as_the_newer_when_a_lake_holds_both(lake: Lake) -> None:
    assert pull(lake, older_mapping(), 1, 2).counts.landed == 2
    assert pull(lake, newer_mapping(), 3, hour=1).counts.landed == 1
    rows = lake.records(DEPARTMENT, "penalty").to_table()
    assert rows.column("fine_yuan").to_pylist() == [Decimal("15000.00")] * 3
    assert rows.column("procedure").to_pylist() == ["general"] * 3
    assert rows.column("objection_from").to_pylist() == [None] * 3
    assert "fine_amount_yuan" not in rows.column_names
    contracts = [batch.contract for batch in lake.batches(DEPARTMENT, "penalty")]
    assert contracts == ["penalty@1", "penalty@2"]


def test_whole_files_are_skipped_when_a_filter_contradicts_their_constant(lake: Lake) -> None:
    pull(lake, older_mapping(), 1)
    records = lake.records(DEPARTMENT, "penalty")
    assert list(records.get_fragments(filter=pc.field("procedure") == "simple")) == []
    assert len(list(records.get_fragments(filter=pc.field("procedure") == "general"))) == 1


def test_engine_filters_and_projects_when_rows_have_other_names(lake: Lake) -> None:
    pull(lake, older_mapping(), 1, 2)
    pull(lake, newer_mapping(), 3, hour=1)
    connection = duckdb.connect()
    connection.register("records", lake.records(DEPARTMENT, "penalty"))
    query = "SELECT count(*), sum(fine_yuan) FROM records WHERE fine_yuan >= 15000 AND procedure = 'general'"
    assert connection.execute(query).fetchall() == [(3, Decimal("45000.00"))]


def test_nothing_lands_again_when_a_department_moves_to_the_next_version(lake: Lake) -> None:
    pull(lake, older_mapping(), 1, 2)
    again = pull(lake, newer_mapping(), 1, 2, 3, hour=1)
    assert (again.counts.landed, again.counts.duplicates) == (1, 2)


def test_landing_is_refused_when_a_department_goes_back_to_an_older_version(lake: Lake) -> None:
    pull(lake, newer_mapping(), 1)
    with pytest.raises(ConfigurationError, match="cannot be read as penalty@1"):
        pull(lake, older_mapping(), 2, hour=1)
    assert len(lake.batches(DEPARTMENT, "penalty")) == 1


def test_renamed_copy_is_made_again_when_it_is_damaged(lake: Lake, contracts: Mapping[str, Dataset]) -> None:
    pull(lake, older_mapping(), 1, 2)
    rows = lake.records(DEPARTMENT, "penalty").to_table()
    (copy,) = lake.cache.rglob("*.*.*.arrow")
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    fresh = Lake(lake.store, lake.cache, contracts)
    assert fresh.records(DEPARTMENT, "penalty").to_table().equals(rows)
    assert list(lake.cache.rglob("*.*.*.arrow")) == [copy]
    before = copy.stat().st_mtime_ns
    assert Lake(lake.store, lake.cache, contracts).records(DEPARTMENT, "penalty").to_table().equals(rows)
    assert copy.stat().st_mtime_ns == before, "a sound copy is not made twice"


def test_rows_are_readable_when_an_optional_column_was_added_inside_a_version(tmp_path: Path) -> None:
    before = ancestor("penalty", {}, ("legal_basis", "review_opened_on", "review_closed_on"))
    after = ancestor("penalty", {})
    old = Lake(MemoryStore(), tmp_path / "cache", write_catalogue(tmp_path / "before", before))
    mapping = older_mapping().model_dump(mode="json", by_alias=True, exclude_none=True)
    mapping["columns"]["fine_yuan"] = mapping["columns"].pop("fine_amount_yuan")
    whole = DatasetMapping.model_validate(mapping | {"watermark": {"field": "updateTime"}})
    del mapping["columns"]["legal_basis"]
    pull(old, DatasetMapping.model_validate(mapping | {"watermark": {"field": "updateTime"}}), 1)
    new = Lake(old.store, old.cache, write_catalogue(tmp_path / "after", after))
    pull(new, whole, 2, hour=1)
    rows = new.records(DEPARTMENT, "penalty").to_table().sort_by("chain_sequence").to_pylist()
    assert [row["legal_basis"] for row in rows] == [None, "《大气污染防治法》第九十九条"]


def dataset(version: int, predecessor: Mapping[str, Any] | None, **types: str) -> Dataset:
    fields = {
        "subject_id": {"title": "代码", "type": "subject", "required": True},
        "on": {"title": "日", "type": "date"},
    }
    fields |= {name: {"title": name, "type": kind} for name, kind in types.items()}
    document = {"id": "permit", "version": version, "title": "许可", "title_en": "permit", "event_on": "on"}
    return Dataset.model_validate(document | {"adverse": False, "fields": fields, "predecessor": predecessor})


def by_contract(*datasets: Dataset) -> dict[str, Dataset]:
    return {one.contract: one for one in datasets}


def test_columns_are_followed_when_several_versions_lie_between() -> None:
    first = dataset(1, None, a="string", b="string", c="string")
    second = dataset(2, {"version": 1, "columns": {"x": "a"}}, x="string", b="string", a="string")
    third = dataset(
        3,
        {"version": 2, "columns": {"y": "x"}, "values": {"b": "fixed"}},
        y="string",
        b="string",
        a="string",
        new="integer",
    )
    found = project_columns(by_contract(first, second, third), "permit@1", third)
    # 'a' of the third is the second's new 'a', not the first's, which became 'x' and then 'y'.
    assert dict(found.sources) == {"on": "on", "y": "a"}
    assert found.constants == {"b": pa.scalar("fixed")}
    assert found.renames
    near = project_columns(by_contract(first, second, third), "permit@2", third)
    assert dict(near.sources) == {"on": "on", "y": "x", "a": "a"}


def test_file_is_read_as_it_is_when_nothing_was_renamed() -> None:
    first = dataset(1, None, a="decimal(10,2)")
    second = dataset(2, {"version": 1, "values": {"b": "true"}}, a="decimal(18,2)", b="boolean", c="date")
    found = project_columns(by_contract(first, second), "permit@1", second)
    assert not found.renames
    assert found.constants == {"b": pa.scalar(value=True)}
    assert check_versions(by_contract(first, second)) == ()


@pytest.mark.parametrize(
    ("second", "wanted"),
    [
        (dataset(2, None, a="string"), "names no predecessor"),
        (dataset(2, {"version": 2}, a="string"), "not an older version there is"),
        (dataset(2, {"version": 1}, a="date"), "'a' is date, but the rows landed before hold string"),
        (dataset(2, {"version": 1, "columns": {"b": "z"}}, b="string"), "'b' comes from 'z'"),
        (dataset(2, {"version": 1, "columns": {"z": "a"}}, b="string"), "names the column 'z'"),
        (dataset(2, {"version": 1, "values": {"b": "soon"}}, b="date"), "the constant of 'b' is no date"),
        (dataset(2, {"version": 1, "columns": {"b": "a"}, "values": {"b": "x"}}, b="string"), "both renamed and given"),
        (dataset(2, {"version": 1, "columns": {"b": "a"}}, b="integer"), "'b' is integer, but"),
    ],
)
def test_version_is_refused_when_older_rows_could_not_be_read(second: Dataset, wanted: str) -> None:
    (problem,) = check_versions(by_contract(dataset(1, None, a="string"), second))
    assert wanted in problem


def test_every_version_of_the_catalogue_reads_its_predecessor_when_shipped() -> None:
    assert check_versions(load_contracts()) == ()


@pytest.mark.parametrize(
    ("older", "newer", "wider"),
    [
        ("string", "string", True),
        ("decimal(10,2)", "decimal(18,2)", True),
        ("decimal(10,2)", "decimal(12,4)", True),
        ("decimal(10,2)", "decimal(12,5)", False),
        ("decimal(10,2)", "decimal(10,1)", False),
        ("integer", "decimal(18,0)", False),
    ],
)
def test_type_widens_when_every_value_fits(older: str, newer: str, *, wider: bool) -> None:
    assert widens(older, newer) is wider


def test_pinned_version_is_checked_when_a_department_is_read(tmp_path: Path, contracts: Mapping[str, Dataset]) -> None:
    text = """\
id: some_office
title: 某办公室
title_en: some office
owner: {{team: 信用处, contact: duty@example.invalid}}
schedule: "30 2 * * *"
late_after: PT6H
source: {{kind: files, connection: dept_some_office}}
datasets:
  penalty:
    contract: {contract}
    files: {{pattern: "*.csv", format: csv}}
    key: [no]
    columns:
      subject_id: code
      document_no: no
      kind: kind
      decided_on: day
      {fine}: {{from: fine, unit: 元}}
"""

    def problems(contract: str, fine: str) -> list[str]:
        (tmp_path / "some_office.yaml").write_text(text.format(contract=contract, fine=fine), encoding="utf-8")
        found = load_departments(tmp_path, contracts)
        return [str(problem) for problem in found.problems.get("some_office", ())]

    assert problems("penalty@1", "fine_amount_yuan") == []
    assert problems("penalty@2", "fine_yuan") == []
    (wrong,) = problems("penalty@1", "fine_yuan")
    assert "no such column in the catalogue" in wrong
    (missing,) = problems("penalty@7", "fine_yuan")
    assert "some_office.yaml:10:" in missing
    assert "penalty@7" in missing


def commit(lake: Lake, source: str, table: pa.Table, contract: str) -> None:
    """One batch of ``source`` with the rows of ``table``, landed under ``contract``."""
    department, dataset_id = source.split("/")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    batch_id = derive_id(source, digest_bytes(data))
    folder = batch_prefix(department, dataset_id, date(2026, 6, 30), batch_id)
    lake.store.put_bytes(folder + "part-00000.arrow", data)
    parents = lake.heads(landing_prefix(department, dataset_id))
    lake.commit(
        folder,
        BatchManifest(
            parents=parents,
            sequence=len(lake.batches(department, dataset_id)) + 1,
            batch_id=batch_id,
            department=department,
            dataset=dataset_id,
            contract=contract,
            window=Window(until=UNTIL),
            configuration_sha256="0" * 64,
            content_sha256=digest_bytes(data),
            watermark=None,
            parts=(Part(name="part-00000.arrow", rows=len(table), bytes=len(data), sha256=digest_bytes(data)),),
            rejects=None,
            counts=Counts(read=len(table), landed=len(table), duplicates=0, rejected=0),
            rejected_by_reason={},
        ),
    )


def as_first_version(table: pa.Table) -> pa.Table:
    """The same penalties as a system of the first version would have landed them."""
    names = [RENAMED.get(name, name) for name in table.column_names]
    return table.rename_columns(names).drop_columns(list(DROPPED))


def score_penalties(folder: Path, contracts: Mapping[str, Dataset], *, older: int) -> dict[str, str]:
    """Digests of the artefacts of a run over 40 penalties, of which the first ``older`` landed under version 1."""
    subjects: list[dict[str, Any]] = [
        {
            "public_credit": 820,
            # Fines from small to large, claimed by no indicator of its own: the amount decides the points.
            "penalty": [penalty(None, f"2026-0{1 + number % 4}-1{number % 10}", fine_yuan=30_000 * number)],
        }
        for number in range(40)
    ]
    lake = Lake(MemoryStore(), folder, {**load_contracts(), **contracts})
    for source, table in join_inputs(ENVIRONMENT, subjects).items():
        rows = table.drop_columns(["batch_id", "chain_sequence"])
        if source.endswith("/penalty"):
            rows = rows.set_column(
                rows.column_names.index("procedure"), "procedure", pa.array(["general"] * len(rows), pa.string())
            )
            commit(lake, source, as_first_version(rows.slice(0, older)), "penalty@1")
            commit(lake, source, rows.slice(older), "penalty@2")
        else:
            commit(lake, source, rows, f"{source.split('/')[1]}@1")
    run = evaluate_domain(ENVIRONMENT.id, as_of=AS_OF, lake=lake, models=MODELS)
    assert len(run.subjects_by_grade) > 1, "penalties must move grades, or this compares nothing"
    manifest = lake.manifest(domain_prefix(ENVIRONMENT.id), run.manifest_sha256)
    assert isinstance(manifest, RunManifest)
    return {artefact.name: artefact.rows_sha256 for artefact in manifest.artefacts}


def test_grades_are_the_same_when_part_of_the_lake_was_landed_under_the_older_version(
    tmp_path: Path, contracts: Mapping[str, Dataset]
) -> None:
    none, some, all_ = (score_penalties(tmp_path / str(older), contracts, older=older) for older in (0, 25, 40))
    for artefact in ("grades", "warnings", "measures"):
        assert none[artefact] == some[artefact] == all_[artefact]


def test_grades_differ_when_the_newer_version_does_not_say_what_became_of_a_column(
    tmp_path: Path, contracts: Mapping[str, Dataset]
) -> None:
    silent = write_catalogue(
        tmp_path / "silent", ancestor("penalty", RENAMED, DROPPED), successor("penalty", {"version": 1})
    )
    whole = score_penalties(tmp_path / "whole", contracts, older=25)
    assert whole["grades"] != score_penalties(tmp_path / "lossy", silent, older=25)["grades"]


def test_engine_filters_a_column_when_its_type_was_widened(tmp_path: Path) -> None:
    narrow = ancestor("penalty", {})
    narrow["fields"]["fine_yuan"]["type"] = "decimal(10,2)"
    contracts = write_catalogue(tmp_path / "catalogue", narrow, successor("penalty", {"version": 1}))
    assert check_versions(contracts) == ()
    lake = Lake(MemoryStore(), tmp_path / "cache", contracts)
    mapping = penalty_mapping().model_dump(mode="json", by_alias=True, exclude_none=True)
    mapping |= {"watermark": {"field": "updateTime"}}
    pull(lake, DatasetMapping.model_validate(mapping | {"contract": "penalty@1"}), 1, 2)
    again = pull(lake, DatasetMapping.model_validate(mapping), 2, 3, hour=1)
    assert (again.counts.landed, again.counts.duplicates) == (1, 1)
    connection = duckdb.connect()
    connection.register("records", lake.records(DEPARTMENT, "penalty"))
    query = "SELECT count(*), typeof(any_value(fine_yuan)) FROM records WHERE fine_yuan > {} GROUP BY ALL"
    assert connection.execute(query.format("14999.99")).fetchall() == [(3, "DECIMAL(18,2)")]
    assert connection.execute(query.format("15000.00")).fetchall() == [(0, "DECIMAL(18,2)")]
    assert (
        lake.records(DEPARTMENT, "penalty").to_table(filter=pc.field("fine_yuan") == Decimal("15000.00")).num_rows == 3
    )
