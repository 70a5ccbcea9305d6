"""The state folder of the local stack, its ports and what it writes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from exchange_formats.errors import FatalError
from gateway.stack.home import StackHome, StackState, resolve_home, write_private
from gateway.stack.ports import LOOPBACK, choose_ports


def test_home_is_the_variable_when_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINQIAO_HOME", str(tmp_path / "there"))
    assert resolve_home().root == (tmp_path / "there").resolve()
    assert resolve_home(tmp_path).root == tmp_path.resolve()


def test_secrets_survive_when_state_is_loaded_again(tmp_path: Path) -> None:
    home = StackHome(tmp_path)
    state = StackState(ports={"s3": 1})
    home.save(state)
    assert home.load() == state
    assert home.state_file.stat().st_mode & 0o777 == 0o600


def test_two_stacks_share_no_secret_when_created() -> None:
    one, other = StackState().secrets.model_dump(), StackState().secrets.model_dump()
    assert not {value for value in one.values() if isinstance(value, str)} & set(map(str, other.values()))


def test_error_names_the_file_when_state_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(FatalError, match=r"state\.json"):
        StackHome(tmp_path).load()


def test_second_command_is_refused_when_one_is_at_work(tmp_path: Path) -> None:
    home = StackHome(tmp_path)
    with home.locked(), pytest.raises(FatalError, match="another command"), home.locked():
        pytest.fail("locked twice")


@pytest.mark.parametrize("name", ["信桥", "with blank", "x" * 90])
def test_short_name_is_plain_when_the_folder_is_not(tmp_path: Path, name: str) -> None:
    home = StackHome(tmp_path / name)
    home.create()
    try:
        assert str(home.short).isascii()
        assert " " not in str(home.short)
        assert len(str(home.short)) < 80
        assert home.short.resolve() == home.root
    finally:
        home.remove_link()
    assert not home.short.is_symlink()
    assert home.root.exists()


def test_foreign_link_is_replaced_when_it_points_elsewhere(tmp_path: Path) -> None:
    home = StackHome(tmp_path / "信桥")
    home.short.symlink_to(tmp_path)
    home.create()
    try:
        assert home.short.resolve() == home.root
    finally:
        home.remove_link()


def test_only_the_owner_reads_when_a_secret_is_written(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    old = os.umask(0)
    try:
        assert write_private(path, "a")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not write_private(path, "a")
    assert write_private(path, "b")


def test_remembered_port_is_kept_when_free(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, {})
    assert choose_ports(tmp_path, first.as_mapping()) == first
    assert len(set(first.as_mapping().values())) == len(first.as_mapping())


def test_next_block_is_taken_when_a_port_is_in_use(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, {})
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", first.s3))
        taken.listen()
        second = choose_ports(tmp_path, first.as_mapping())
    assert second.s3 != first.s3
    assert second.amqp == first.amqp
    with socket.socket() as probe:
        probe.bind((LOOPBACK, second.s3))
