"""The command line: every command teaches, every error class has its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import gateway.cli
from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError
from gateway.cli.plan_inspections import _read_roster


@pytest.mark.parametrize("command", [*gateway.cli._MODULES])
def test_help_explains_every_option_when_asked(command: str) -> None:
    result = CliRunner().invoke(gateway.cli.app, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output
    assert any("\u4e00" <= letter <= "\u9fff" for letter in result.output), "help is bilingual"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError, 3), (FatalError, 4), (SkippableError, 5), (TransientError, 75)],
)
def test_exit_code_says_what_happens_next_when_a_command_fails(
    error: type[XinqiaoError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error("what went wrong", hint="what to do")

    monkeypatch.setattr(gateway.cli, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        gateway.cli.main()
    assert stopped.value.code == code
    assert "what went wrong (what to do)" in capsys.readouterr().err


def test_file_is_named_when_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere" / "page.html"
    monkeypatch.setattr(gateway.cli, "app", lambda: path.write_text("", encoding="utf-8"))
    with pytest.raises(SystemExit) as stopped:
        gateway.cli.main()
    assert stopped.value.code == 3
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("roster", "complaint"),
    [
        ("number,name\n工号1,张\n".encode("gbk"), "not UTF-8"),
        (b"number,name\n" + b"9" * 41 + b",x\n", "at most 40 characters"),
        (b"number,name\n11010519491231002X,x\n", "an identity number"),
        (b"name\nx\n", "columns are wrong"),
        (b"number,name\nA1,x\nA1,y\n", "stands twice"),
    ],
)
def test_roster_is_refused_when_it_is_wrong(tmp_path: Path, roster: bytes, complaint: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(roster)
    with pytest.raises(ConfigurationError, match=complaint):
        _read_roster(path)
