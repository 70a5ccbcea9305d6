"""The command line: every command teaches, every error class has its exit code."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import gateway.cli
from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError


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
