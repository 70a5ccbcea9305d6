"""``xinqiao validate``: what a department sees before its first upload is what the gateway will do."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import gateway.cli
from connectors.department import Files
from connectors.lake import Lake
from connectors.landing import Target, land
from connectors.sources.files import open_file
from exchange_formats.datasets import load_catalogue
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.manifests import Window
from exchange_formats.subjects import PseudonymKey
from exchange_formats.uploads import UploadHead, write_upload
from gateway.reference.examples import choose_examples
from gateway.reject_reports import COLUMNS
from gateway.validation import FORMATS, Repeats, Submission, Validation, prepare, validate_file
from tests.fakes import MemoryStore
from tests.pulls import CODES, RESIDENT, penalty_mapping

UNTIL = datetime(2026, 11, 24, 4, tzinfo=UTC)
KEY = PseudonymKey("t", b"t" * 32)
TEMPLATES = Path(__file__).parents[2] / "docs" / "templates"
HEADER = ("行政相对人代码", "行政相对人名称", "处罚类别", "决定书文号", "处罚决定日期", "罚款金额")
GOOD = (CODES[0], "某某有限公司", "罚款", "浙环罚〔2026〕1号", "2026-05-01", "20000")

Cells = Sequence[str]


def row(number: int = 1, /, **changes: str) -> Cells:
    """A good row; ``changes`` by place: code, name, kind, document, day, fine."""
    values = dict(zip(("code", "name", "kind", "document", "day", "fine"), GOOD, strict=True))
    return tuple((values | {"document": f"浙环罚〔2026〕{number}号"} | changes).values())


def write_csv(path: Path, rows: Sequence[Cells], header: Cells = HEADER, *, encoding: str = "utf-8-sig") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    content = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_json(path: Path, rows: Sequence[Cells]) -> Path:
    records = [dict(zip(HEADER, cells, strict=True)) for cells in rows]
    if ".jsonl" in path.name:
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    else:
        text = json.dumps(records, ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_xlsx(path: Path, rows: Sequence[Cells]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for cells in (HEADER, *rows):
        sheet.append(list(cells))
    book.save(path)
    return path


def write_arrow(path: Path, rows: Sequence[Cells]) -> Path:
    table = pa.table({name: pa.array(values) for name, values in zip(HEADER, zip(*rows, strict=True), strict=True)})
    opened = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
    with opened(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def write_xml(path: Path, rows: Sequence[Cells]) -> Path:
    head = UploadHead("310", "penalty", "2026-11-24 12:00:00")
    path.write_bytes(b"".join(write_upload(head, HEADER, rows)))
    return path


WRITERS: Mapping[str, Callable[[Path, Sequence[Cells]], Path]] = {
    ".csv": write_csv,
    ".csv.gz": write_csv,
    ".xlsx": write_xlsx,
    ".json": write_json,
    ".json.gz": write_json,
    ".jsonl": write_json,
    ".jsonl.gz": write_json,
    ".arrow": write_arrow,
    ".arrows": write_arrow,
    ".xml": write_xml,
}


def check(path: Path, *, shown: int = 20, **how: Any) -> Validation:
    return validate_file(prepare(path, "penalty", **how), until=UNTIL, pseudonyms=KEY, shown=shown)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(gateway.cli.app, ["validate", *map(str, words), "--as-of", "2026-11-24"])


def test_clean_file_is_clean(tmp_path: Path) -> None:
    found = check(write_csv(tmp_path / "a.csv", [row(1), row(2), row(3)]))
    assert (found.read, found.good, found.rejected) == (3, 3, 0)
    assert (found.problems, found.unknown_columns, found.refused) == ((), (), False)


@pytest.mark.parametrize("suffix", WRITERS)
def test_same_rows_give_the_same_answer_in_every_format(tmp_path: Path, suffix: str) -> None:
    rows = [row(1), row(2, day="2026-13-01"), row(3, kind="罚金"), row(3), row(4, fine="")]
    found = check(WRITERS[suffix](tmp_path / f"a{suffix}", rows))
    assert (found.read, found.good) == (5, 2)
    assert dict(found.rejected_by_reason) == {"date.malformed": 1, "code.unknown": 1, "required.condition": 1}
    problems = [(one.source_column, one.reason, one.value) for one in found.problems]
    assert problems == [
        ("处罚决定日期", "date.malformed", "2026-13-01"),
        ("处罚类别", "code.unknown", "罚*"),
        ("罚款金额", "required.condition", None),
    ]


def test_every_format_is_tried_above() -> None:
    assert FORMATS.keys() == WRITERS.keys()
    assert set(FORMATS.values()) == set(get_args(Files.model_fields["format"].annotation))


@pytest.mark.parametrize("dataset", sorted(load_catalogue()))
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_upload_template_is_clean_when_it_is_filled_with_the_catalogues_examples(
    tmp_path: Path, dataset: str, suffix: str
) -> None:
    spec = load_catalogue()[dataset]
    texts = choose_examples(spec)
    cells = {field.title: texts.get(name, "") for name, field in spec.fields.items()}
    template, filled = TEMPLATES / f"{dataset}{suffix}", tmp_path / f"a{suffix}"
    if suffix == ".csv":
        header = next(csv.reader(template.read_text(encoding="utf-8-sig").splitlines()))
        write_csv(filled, [[cells[title] for title in header]], header)
    else:
        book = openpyxl.load_workbook(template)
        sheet = book.worksheets[0]
        place = sheet.max_row + 1
        for column, title in enumerate(next(sheet.iter_rows(max_row=1, values_only=True)), start=1):
            sheet.cell(place, column).value = cells[str(title)] or None
        book.save(filled)
    found = validate_file(prepare(filled, dataset), until=UNTIL, pseudonyms=KEY, shown=5)
    assert (found.problems, found.unknown_columns) == ((), ())
    assert (found.read, found.good) == (1, 1)


@pytest.mark.parametrize("day", ["2026-05-01", "2026/5/1", "2026/05/01", "2026-05-01 00:00:00", "2026/5/1 0:00:00"])
def test_date_is_read_when_a_spreadsheet_has_rewritten_it(tmp_path: Path, day: str) -> None:
    assert check(write_csv(tmp_path / "a.csv", [row(1, day=day)])).rejected == 0


@pytest.mark.parametrize("day", ["5/1/2026", "01.05.2026", "2026.5.1", "20260501", "46143"])
def test_date_is_never_guessed(tmp_path: Path, day: str) -> None:
    assert check(write_csv(tmp_path / "a.csv", [row(1, day=day)])).rejected_by_reason == {"date.malformed": 1}


def test_rows_are_numbered_as_an_editor_does_when_there_are_blank_lines(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1), (), row(2, day="gestern")])
    (problem,) = check(path).problems
    assert (problem.row, problem.reason) == (4, "date.malformed")


def test_all_problems_of_a_row_are_told_when_there_are_several(tmp_path: Path) -> None:
    (problem,) = check(write_csv(tmp_path / "a.csv", [row(1, day="2026-13-01", kind="罚金", fine="viel")])).problems
    found = {(problem.reason, problem.column), *problem.also}
    assert found == {("code.unknown", "kind"), ("date.malformed", "decided_on"), ("number.malformed", "fine_yuan")}


def test_row_that_is_none_is_explained(tmp_path: Path) -> None:
    (problem,) = check(write_csv(tmp_path / "a.csv", [row(1), ("one cell",)])).problems
    assert (problem.row, problem.reason, problem.also) == (3, "row.ragged", ())
    assert problem.detail


def test_repeats_are_counted_as_landing_counts_them(tmp_path: Path) -> None:
    rows = [row(1), row(1), row(2), row(2, fine="1"), row(2, fine="1"), row(3)]
    found = check(write_csv(tmp_path / "a.csv", rows))
    assert found.repeats == Repeats(identical=2, differing=1)
    assert found.good == 6


def test_file_is_refused_as_a_whole_when_too_many_rows_are_bad(tmp_path: Path) -> None:
    bad = [row(number, day="x") for number in range(2)]
    assert check(write_csv(tmp_path / "a.csv", [*bad, *(row(number) for number in range(2, 40))])).refused is False
    assert check(write_csv(tmp_path / "b.csv", [*bad, *(row(number) for number in range(2, 20))])).refused is True


def test_only_the_first_problems_are_returned_when_there_are_many(tmp_path: Path) -> None:
    found = check(write_csv(tmp_path / "a.csv", [row(n, day="x") for n in range(50)]), shown=3)
    assert [problem.row for problem in found.problems] == [2, 3, 4]
    assert found.rejected == 50


def test_bare_deletions_are_counted_apart_when_a_source_sends_changes(tmp_path: Path) -> None:
    """Whether their records are known, only the lake can say."""
    mapping = penalty_mapping(files=Files(pattern="*", format="csv"), changes={"field": "opt_type"})
    header = mapping.source_columns
    bare = {"CF_WSH": "浙环罚〔2026〕1号", "CF_XDR_SHXYM": CODES[0], "updateTime": "2026-06-01 08:00:00"}
    rows = [bare | {"opt_type": "D"}, bare | {"opt_type": "I"}, bare | {"opt_type": "?"}]
    path = write_csv(tmp_path / "a.csv", [[cells.get(name, "") for name in header] for cells in rows], header)
    submission = Submission(path, "", "dept", load_catalogue()["penalty"], mapping)
    found = validate_file(submission, until=UNTIL, pseudonyms=KEY, shown=5)
    assert (found.read, found.good, found.deletions, found.rejected) == (3, 1, 1, 2)


LETTERS = st.sampled_from(["罚款", "警告（书面）", "", "N/A", "罚金"])
DAYS = st.sampled_from(["2026-05-01", "2026/05/01", "9999-12-31", "", "2027-01-01", "2026-02-30"])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", "", "４"]),
        st.sampled_from([*CODES, RESIDENT, CODES[0].lower(), "91330100MA9YYYY00Q", "", "330183000123456"]),
        LETTERS,
        st.sampled_from(["1.5", "0.0000001", "", "一万", "１"]),
        DAYS,
    ),
    min_size=1,
    max_size=60,
)


@given(rows=ROWS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_validating_counts_what_landing_counts(rows: Sequence[tuple[str, ...]], tmp_path: Path) -> None:
    """The same file, mapping and moment: read, rejected by reason, normalised, duplicates."""
    header = ("CF_WSH", "CF_XDR_SHXYM", "CF_CFLB", "CF_NR_FK", "CF_JDRQ")
    others = ("CF_XDR_ZJHM", "CF_XDR_MC", "CF_XDR_LB", "CF_YJ", "CX_RQ", "updateTime")
    tail = ("", "某公司", "", "法", "", "2026-06-01 08:00:00")
    path = write_csv(tmp_path / "a.csv", [(*cells, *tail) for cells in rows], (*header, *others))
    mapping = penalty_mapping(files=Files(pattern="a.csv", format="csv"))
    dataset = load_catalogue()["penalty"]
    found = validate_file(Submission(path, "", "dept", dataset, mapping), until=UNTIL, pseudonyms=KEY, shown=0)
    lake = Lake(MemoryStore(), tmp_path / "cache")
    target = Target("dept", dataset, mapping, Window(until=UNTIL))
    with open_file(mapping, path) as reader:
        landed = land(reader, target, lake=lake, pseudonyms=KEY, spool=tmp_path / "spool")
    assert (found.read, found.rejected) == (landed.counts.read, landed.counts.rejected)
    assert dict(found.rejected_by_reason) == dict(landed.rejected_by_reason)
    assert dict(found.normalised_by_rule) == dict(landed.normalised_by_rule)
    assert found.repeats.identical == landed.counts.duplicates
    identities = set(lake.records("dept", "penalty").to_table().column("record_id").to_pylist())
    assert found.repeats.differing == landed.counts.landed - len(identities)


def test_departments_own_mapping_is_used_when_it_is_named(tmp_path: Path) -> None:
    from connectors.department import load_departments

    department = load_departments()["ecology_environment"]
    mapping = department.datasets["penalty"]
    header = (*mapping.source_columns, *mapping.ignore)
    path = write_csv(tmp_path / "a.csv", [("",) * len(header)], header)
    found = check(path, department=department)
    assert (found.read, found.rejected, found.unknown_columns) == (1, 1, ())


def test_legacy_form_is_read_when_it_is_named(tmp_path: Path) -> None:
    header = ("CF_WSH", "CF_XDR_MC", "CF_XDR_LB", "CF_XDR_SHXYM", "CF_CFLB", "CF_NR_FK", "CF_JDRQ", "CF_CFJGDM", "YB")
    cells = ("浙环罚〔2026〕1号", "某公司", "法人及非法人组织", CODES[0], "罚款", "2.000000", "2026-05-01")
    rows = [(*cells, "11330000000000000C", ""), (*cells[:-1], "2026-13-01", "11330000000000000C", "")]
    path = write_csv(tmp_path / "a.csv", rows, header)
    found = check(path, form="shuanggongshi_penalty_2018")
    assert (found.read, found.unknown_columns) == (2, ("YB",))
    assert dict(found.rejected_by_reason) == {"date.malformed": 1}
    assert found.normalised_by_rule["unit_converted"] == 2


def test_form_of_another_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one of 'licence', not 'penalty'"):
        check(write_csv(tmp_path / "a.csv", [row()]), form="shuanggongshi_licence_2018")
    with pytest.raises(ConfigurationError, match="there is no form 'nothing'"):
        check(write_csv(tmp_path / "a.csv", [row()]), form="nothing")


def test_unknown_dataset_is_answered_with_all_there_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row()])
    with pytest.raises(ConfigurationError) as caught:
        prepare(path, "penalties")
    assert all(dataset in str(caught.value) for dataset in load_catalogue())


def test_dataset_that_a_department_does_not_send_is_answered_with_what_it_sends(tmp_path: Path) -> None:
    from connectors.department import load_departments

    with pytest.raises(ConfigurationError, match="public_credit"):
        prepare(write_csv(tmp_path / "a.csv", []), "penalty", department=load_departments()["provincial_platform"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.csv", None, "no such file"),
        ("a.pdf", b"x", "unknown kind of file"),
        ("a.csv", b"", "empty"),
        ("a.xlsx", b"no workbook", "not a workbook"),
        ("a.csv", "备注\n1\n".encode(), "subject_id 行政相对人代码、document_no 决定书文号、kind 处罚类别"),
    ],
)
def test_unusable_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FatalError, match=said):
        check(tmp_path / name)


def test_gb18030_is_suggested_when_the_header_is_not_utf8(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row()], encoding="gb18030")
    with pytest.raises(FatalError, match="gb18030"):
        check(path)
    assert check(path, encoding="gb18030").good == 1


def test_gb18030_is_suggested_when_only_the_rows_are_not_utf8(tmp_path: Path) -> None:
    header = ("subject_id", "subject_name", "kind", "document_no", "decided_on", "fine_yuan")
    path = write_csv(tmp_path / "a.csv", [row(1), row(2)], header, encoding="gb18030")
    result = run(path, "-d", "penalty")
    assert result.exit_code == 1
    assert "--encoding gb18030" in result.output


def test_report_says_it_all_when_a_file_has_problems(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [(*row(1), "x"), (*row(2, day="2026-13-01"), "x")], (*HEADER, "备注"))
    result = run(path, "-d", "penalty")
    assert result.exit_code == 1
    for said in ("行政处罚 penalty@1", "日期格式错误", "2026-13-01", "处罚决定日期", "备注", "读取 read"):
        assert said in result.output


def test_documents_are_not_merged_when_a_spreadsheet_lost_their_digits(tmp_path: Path) -> None:
    both = [row(document="3.30106E+11"), row(document="3.30106E+11", fine="3"), row(3)]
    found = check(write_csv(tmp_path / "a.csv", both))
    assert (found.good, dict(found.rejected_by_reason)) == (1, {"text.scientific": 2})


def test_codes_are_listed_when_a_column_holds_something_else(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv", [row(1, kind="警告")]), "-d", "penalty")
    assert "处罚类别 可填 / may hold: 警告、通报批评 | 罚款 | " in result.output


def test_exit_code_is_zero_when_the_file_is_clean(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv", [row()]), "-d", "penalty")
    assert result.exit_code == 0, result.output


def test_note_says_so_when_there_are_no_rows(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv", []), "-d", "penalty")
    assert result.exit_code == 0
    assert "the file has no rows" in result.output


def test_json_holds_the_same_figures(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1), row(1), row(2, day="x")])
    result = run(path, "-d", "penalty", "--json")
    answer = json.loads(result.output)
    assert result.exit_code == 1
    assert (answer["contract"], answer["read"], answer["good"], answer["rejected"]) == ("penalty@1", 3, 2, 1)
    assert answer["repeats"] == {"identical": 1, "differing": 0}
    assert [(one["code"], one["rows"]) for one in answer["rejected_by_reason"]] == [("date.malformed", 1)]
    assert answer["problems"][0]["row"] == 4


def test_limit_is_said_when_there_are_more_problems(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row(n, day="x") for n in range(30)])
    result = run(path, "-d", "penalty", "--limit", "5")
    assert "还有 25 行" in result.output


def test_option_that_means_nothing_for_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'sheet' means nothing for csv"):
        prepare(write_csv(tmp_path / "a.csv", [row()]), "penalty", sheet="一")


@pytest.mark.parametrize("words", [["--as-of", "gestern"], ["--department", "a", "--mapping", "b"]])
def test_wrong_options_are_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    path = write_csv(tmp_path / "a.csv", [row()])
    result = CliRunner().invoke(gateway.cli.app, ["validate", str(path), "-d", "penalty", *words])
    assert result.exit_code == 2


def test_no_identity_is_shown_when_rows_of_persons_are_rejected(tmp_path: Path) -> None:
    broken = RESIDENT[:-1] + "1"
    rows = [row(1, code=broken, name="张三丰"), row(2, code=RESIDENT, name="张三丰", day="x"), row(3, code="张三丰")]
    result = run(write_csv(tmp_path / "a.csv", rows), "-d", "penalty", "--rejects", tmp_path / "bad.jsonl")
    assert result.exit_code == 1
    written = (tmp_path / "bad.jsonl").read_text()
    assert len(written.splitlines()) == 3
    for secret in (broken, RESIDENT, "张三丰", RESIDENT[6:14]):
        assert secret not in result.output
        assert secret not in written


def test_nothing_secret_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("XINQIAO_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XINQIAO_HOME", str(tmp_path / "nowhere"))
    assert run(write_csv(tmp_path / "a.csv", [row()]), "-d", "penalty").exit_code == 0
    assert not (tmp_path / "nowhere").exists()


def read_rejects(path: Path) -> list[dict[str, Any]]:
    """A reject file as rows by column id, whatever its format."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".arrow":
        with pa.ipc.open_file(str(path)) as file:
            return list(file.read_all().to_pylist())
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            cells = list(csv.reader(file))
    else:
        cells = [list(values) for values in openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)]
    assert cells[0] == list(COLUMNS.values())
    return [dict(zip(COLUMNS, [value or None for value in values], strict=True)) for values in cells[1:]]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl", ".arrow"])
def test_all_rejects_are_written_when_a_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1), *(row(n, day="2026-13-01") for n in range(2, 40))])
    out = tmp_path / f"bad{suffix}"
    assert run(path, "-d", "penalty", "--limit", "1", "--rejects", out).exit_code == 1
    rejects = read_rejects(out)
    assert [int(one["row"]) for one in rejects] == list(range(3, 41))
    assert {one["reason"] for one in rejects} == {"date.malformed"}
    assert {one["source_column"] for one in rejects} == {"处罚决定日期"}
    assert {one["value"] for one in rejects} == {"2026-13-01"}
    assert rejects[0]["key"] == "浙环罚〔2026〕2号"
    assert [one.name for one in tmp_path.iterdir() if ".part" in one.name] == []


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_formulas_are_neutralised_when_rejects_are_written_for_a_spreadsheet(tmp_path: Path, suffix: str) -> None:
    evil = "=cmd|'/c calc'!A0"
    out = tmp_path / f"bad{suffix}"
    path = write_csv(tmp_path / "a.csv", [row(1, document=evil, kind=evil)])
    assert run(path, "-d", "penalty", "--rejects", out).exit_code == 1
    (reject,) = read_rejects(out)
    assert {str(reject["key"])[:2], str(reject["value"])[:2]} == {"'="}


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl", ".arrow"])
def test_reject_file_is_there_and_empty_when_nothing_was_rejected(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"bad{suffix}"
    assert run(write_csv(tmp_path / "a.csv", [row()]), "-d", "penalty", "--rejects", out).exit_code == 0
    assert read_rejects(out) == []


def test_no_reject_file_is_left_when_the_file_breaks_off(tmp_path: Path) -> None:
    whole = write_csv(tmp_path / "whole.csv.gz", [row(n) for n in range(3000)]).read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(whole[:10])
    result = run(tmp_path / "a.csv.gz", "-d", "penalty", "--rejects", tmp_path / "bad.csv")
    assert isinstance(result.exception, FatalError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv.gz", "whole.csv.gz"]


def test_input_is_never_overwritten(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row()])
    before = path.read_bytes()
    assert run(path, "-d", "penalty", "--rejects", tmp_path / "." / "a.csv").exit_code == 2
    assert path.read_bytes() == before


def test_reject_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv", [row()]), "-d", "penalty", "--rejects", tmp_path / "bad.pdf")
    assert isinstance(result.exception, FatalError)
    assert ".jsonl" in str(result.exception)
