"""What the local stack hands to its processes: environment, supervisor configuration, RabbitMQ, Airflow."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from supervisor.datatypes import dict_of_key_value_pairs

from exchange_formats.errors import FatalError
from gateway.stack import debian
from gateway.stack.environment import load_environment, read_environment, render_environment
from gateway.stack.home import StackHome, StackState
from gateway.stack.model import Component, Program, Progress, State
from gateway.stack.object_store import programs as store_programs
from gateway.stack.ports import Ports
from gateway.stack.progress import show_progress
from gateway.stack.services import SERVICES, stack_variables
from gateway.stack.settings import Seed, StackSettings, complete_state, list_participants
from gateway.stack.supervision import render_config

PORTS = Ports(amqp=1, management=2, distribution=3, epmd=4, s3=5, postgres=6, airflow=7, simulators=8)


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    participants = list_participants(tmp_path)
    return StackSettings(StackHome(tmp_path), PORTS, complete_state(StackState(), participants, PORTS), participants)


def test_every_connection_is_json_when_written(settings: StackSettings) -> None:
    variables = stack_variables(settings)
    connections = {name: json.loads(text) for name, text in variables.items() if name.startswith("AIRFLOW_CONN_")}
    assert set(connections) == {
        "AIRFLOW_CONN_LAKE",
        "AIRFLOW_CONN_RABBITMQ_GATEWAY",
        *(f"AIRFLOW_CONN_RABBITMQ_{one.upper()}" for one in settings.participants),
        *(f"AIRFLOW_CONN_DEPT_{one.upper()}" for one in settings.participants),
    }
    for participant in settings.participants:
        assert connections[f"AIRFLOW_CONN_RABBITMQ_{participant.upper()}"]["login"] == participant
    assert connections["AIRFLOW_CONN_LAKE"]["port"] == PORTS.s3


def test_a_new_department_gets_a_login_when_its_yaml_appears(tmp_path: Path) -> None:
    before = complete_state(StackState(), list_participants(tmp_path), PORTS)
    (tmp_path / "tobacco_monopoly.yaml").touch()
    after = complete_state(before, list_participants(tmp_path), PORTS)
    assert after.secrets.participants.pop("tobacco_monopoly")
    assert after == before


def test_environment_is_the_same_when_read_back(settings: StackSettings, tmp_path: Path) -> None:
    variables = {**stack_variables(settings), "X": "a=b '\" #%"}
    path = tmp_path / "stack.env"
    path.write_text("# comment\n\n" + render_environment(variables))
    assert read_environment(path) == variables


def test_line_break_is_refused_when_it_would_forge_a_variable() -> None:
    with pytest.raises(FatalError):
        render_environment({"A": "1\nB=2"})


def test_own_variable_wins_when_environment_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_environment(tmp_path)
    (tmp_path / "stack.env").write_text("XQ_TEST_SET=file\nXQ_TEST_UNSET=file\n")
    monkeypatch.setenv("XQ_TEST_SET", "mine")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert load_environment(tmp_path)
    assert (os.environ["XQ_TEST_SET"], os.environ["XQ_TEST_UNSET"]) == ("mine", "file")


def test_supervisor_reads_what_was_meant_when_values_are_awkward(tmp_path: Path) -> None:
    values = {"JSON": '{"a":"b,c=d %(x)s"}', "QUOTE": "it's", "PATH_": str(tmp_path / "信桥 目录")}
    program = Program("p", Component.S3, ("sh", "-c", "echo '%d' \"$0\"", "a b"), tmp_path, values)
    text = render_config(StackHome(tmp_path), tmp_path / "s.sock", [program])
    line = next(line for line in text.splitlines() if line.startswith("environment="))
    assert dict_of_key_value_pairs(line.removeprefix("environment=").replace("%%", "%")) == values


@pytest.mark.parametrize("value", ["'\"", "'quoted'", "a #b", "a ;b", "a\nb"])
def test_value_is_refused_when_supervisor_cannot_hold_it(tmp_path: Path, value: str) -> None:
    program = Program("p", Component.S3, ("true",), tmp_path, {"A": value})
    with pytest.raises(FatalError):
        render_config(StackHome(tmp_path), tmp_path / "s.sock", [program])


def test_no_secret_is_on_the_command_line_when_the_store_starts(settings: StackSettings) -> None:
    (server,) = store_programs(settings)
    keys = settings.state.secrets
    assert not any(keys.s3_access_key in part or keys.s3_secret_key in part for part in server.command)


def test_airflow_is_private_and_quick_when_configured(settings: StackSettings) -> None:
    variables = stack_variables(settings)
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:7/execution/"
    assert variables["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert variables["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "False"
    assert variables["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_needed_components_come_first_when_listed() -> None:
    seen: set[Component] = set()
    for component, service in SERVICES.items():
        assert set(service.needs) <= seen
        seen.add(component)
    assert seen == set(Component)


def test_seed_is_another_when_the_register_has_other_rows(tmp_path: Path) -> None:
    register = tmp_path / "register.csv"
    register.write_text("a")
    first = Seed(register).fingerprint()
    assert Seed(register).fingerprint() == first != Seed().fingerprint()
    register.write_text("b")
    assert Seed(register).fingerprint() != first


def test_nothing_is_installed_when_the_program_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "_run", lambda _command: pytest.fail("ran apt"))
    debian.ensure_program("rabbitmq-server", lambda: True)


@pytest.mark.parametrize(
    ("tools", "euid", "said"),
    [({}, 0, "no apt-get"), ({"apt-get"}, 1000, "no sudo"), ({"apt-get", "sudo"}, 1000, "asks for a password")],
)
def test_error_says_what_is_missing_when_nothing_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, tools: set[str], euid: int, said: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in tools else None)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    monkeypatch.setattr(debian, "_run", lambda _command: 1)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    with pytest.raises(FatalError, match=said) as caught:
        debian.ensure_program("rabbitmq-server", lambda: False)
    assert "apt-get install rabbitmq-server" in caught.value.hint


def test_update_is_tried_once_when_apt_knows_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(command: tuple[str, ...]) -> int:
        ran.append("update" if "update" in command else "install")
        return 0 if ran == ["install", "update", "install"] or ran[-1] == "update" else 100

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    monkeypatch.setattr(debian, "_run", run)
    debian.ensure_program("rabbitmq-server", lambda: len(ran) == 3)
    assert ran == ["install", "update", "install"]


def test_progress_is_one_line_a_step_when_output_is_no_terminal() -> None:
    console = Console(force_terminal=False, record=True, width=200)
    with show_progress(console) as report:
        report(Progress(Component.S3, State.READY, "http://127.0.0.1:5", 1.25))
        report(Progress(None, State.STOPPED, "bye", 2.0))
    assert console.export_text().splitlines() == [
        "   1.2s  s3          就绪 ready  http://127.0.0.1:5",
        "   2.0s  stack       停止 stopped  bye",
    ]
