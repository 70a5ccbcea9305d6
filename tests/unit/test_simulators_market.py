"""The market department's tables, the connections the simulators read, and their command line."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from exchange_formats.errors import ConfigurationError, TransientError
from gateway.simulators.cli import main
from gateway.simulators.connections import Connection, read_connection, read_owner, require_connection
from gateway.simulators.departments import EMERGENCY, MARKET
from gateway.simulators.history import draw_history
from gateway.simulators.market_database import lay_out_market, lay_out_profile, seed_market_database
from gateway.simulators.seeding import find_drop_folder, open_universe
from gateway.simulators.tables import SourceTable, to_ten_thousand, to_yuan
from gateway.simulators.universe import REGISTER_COLUMNS, draw_universe

TODAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def market() -> dict[str, SourceTable]:
    universe = draw_universe(subjects=2_000, seed=2019, today=TODAY)
    return lay_out_market(draw_history(universe)[MARKET], universe)


def column(table: SourceTable, name: str) -> list[object]:
    place = table.place(name)
    return [row[place] for row in table.rows]


def test_every_table_has_a_unique_id_and_a_change_time_when_laid_out(market: dict[str, SourceTable]) -> None:
    assert len(market) == 9
    for name, table in market.items():
        ids = column(table, "ID")
        assert len(ids) == len(set(ids)) > 0, name
        assert table.names()[-1] in {"CD_TIME", "UPDATED_AT"}
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_market_codes_the_procedure_its_own_way_when_laid_out(market: dict[str, SourceTable]) -> None:
    penalties = market["penalty"]
    assert set(column(penalties, "CASE_PROCESS_TYPE")) == {"01", "02"}
    cancelled = column(penalties, "ISCANCELCASE")
    assert [day is not None for day in column(penalties, "CX_RQ")] == [flag == "1" for flag in cancelled]


def test_reports_are_late_by_their_dates_when_laid_out(market: dict[str, SourceTable]) -> None:
    reports = market["annual_report"]
    for state, due, filed in zip(
        column(reports, "REPSTATE"), column(reports, "DUE_DATE"), column(reports, "ANCHEDATE"), strict=True
    ):
        assert isinstance(due, date)
        expected = "未公示" if filed is None else "按期公示" if isinstance(filed, date) and filed <= due else "逾期公示"
        assert state == expected
    # On 30 June the year before is not overdue yet.
    assert max(column(reports, "ANCHEYEAR"), key=str) == 2024


def test_profile_is_the_register_in_file_order_when_one_is_given(tmp_path: Path) -> None:
    path = tmp_path / "register.csv.gz"
    rows = [
        ("甲", "3303021012389", "N/A", "N/A", "N/A", "", "浙江", "温州"),
        ("乙", "91330100MA9YYYY09Q", "1999-01-01", "x", "1", "y", "浙江", "N/A"),
    ]
    with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([REGISTER_COLUMNS, *rows])
    table = lay_out_profile(open_universe(register=path, subjects=1, seed=1, today=TODAY))
    assert [row[:9] for row in table.rows] == [(1, *rows[0]), (2, *rows[1])]


@pytest.mark.parametrize(
    ("yuan", "ten_thousand"), [("50000", "5.000000"), ("0.01", "0.000001"), ("123.45", "0.012345")]
)
def test_amount_keeps_every_cent_when_written_in_ten_thousand(yuan: str, ten_thousand: str) -> None:
    written = to_ten_thousand(Decimal(yuan))
    assert str(written) == ten_thousand
    assert written is not None
    assert to_yuan(written) == Decimal(yuan)


def test_connection_is_none_or_an_error_when_the_variable_is_absent() -> None:
    assert read_connection("dept_x", {}) is None
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_DEPT_X is not set"):
        require_connection("dept_x", {})


@pytest.mark.parametrize("text", ["{", '{"port": "many"}', '"secret-text"'])
def test_connection_is_refused_without_its_value_when_malformed(text: str) -> None:
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_DEPT_X is not a connection") as caught:
        read_connection("dept_x", {"AIRFLOW_CONN_DEPT_X": text})
    assert "secret" not in str(caught.value)


def test_password_is_hidden_when_a_connection_is_shown() -> None:
    assert "hush" not in repr(Connection(login="u", password="hush"))


def test_owner_is_read_from_json_before_the_url_when_both_are_set() -> None:
    url = {"XINQIAO_SIMULATOR_DATABASE": "postgresql://own%40er:p%3Aw@127.0.0.1:5544/market_regulation"}
    owner = read_owner(url)
    assert owner == Connection(login="own@er", password="p:w", port=5544, database="market_regulation")
    admin = {"AIRFLOW_CONN_DEPT_MARKET_REGULATION_ADMIN": json.dumps({"login": "root", "schema": "postgres"})}
    assert read_owner({**url, **admin}) == Connection(login="root", database="postgres")
    assert read_owner({}) is None


@pytest.mark.parametrize("url", ["mysql://u:hush@h/d", "postgresql://h/d", "postgresql://u:hush@h:0x/d"])
def test_owner_is_refused_when_its_url_is_wrong(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a database URL") as caught:
        read_owner({"XINQIAO_SIMULATOR_DATABASE": url})
    assert "hush" not in str(caught.value)


def test_drop_folder_is_the_connections_path_when_it_has_one(tmp_path: Path) -> None:
    connection = json.dumps({"conn_type": "fs", "extra": {"path": "/data/drop"}})
    assert find_drop_folder(EMERGENCY, tmp_path, {"AIRFLOW_CONN_DEPT_EMERGENCY_MANAGEMENT": connection}) == Path(
        "/data/drop"
    )
    assert find_drop_folder(EMERGENCY, tmp_path, {}) == tmp_path / "drop" / "emergency_management"


def test_seeding_can_be_tried_again_when_the_database_is_unreachable(market: dict[str, SourceTable]) -> None:
    nowhere = Connection(host="127.0.0.1", port=1, login="u", password="hush", database="d")
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 did not answer") as caught:
        seed_market_database(market, nowhere)
    assert "hush" not in str(caught.value)


def test_command_ends_with_one_line_when_a_connection_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DEPT_MARKET_REGULATION", raising=False)
    with pytest.raises(SystemExit) as stopped:
        main(["seed", "--home", str(tmp_path), "--subjects", "5", "--today", "2026-06-30"])
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("AIRFLOW_CONN_DEPT_MARKET_REGULATION is not set")
    assert not list(tmp_path.iterdir())


def test_command_refuses_the_count_when_it_is_out_of_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["seed", "--home", str(tmp_path), "--subjects", "0"])
    assert stopped.value.code == 2
    assert "1 to 1,000,000" in capsys.readouterr().err
