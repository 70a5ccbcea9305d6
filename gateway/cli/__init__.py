"""The command line ``xinqiao``: the same functions that the DAG tasks call."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import typer
from rich.console import Console
from typer._click.core import Command, Context
from typer.core import TyperGroup

from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError

#: Exit codes by what happens next; 75 is EX_TEMPFAIL of sysexits.h: try again.
EXIT_CODES: Mapping[type[XinqiaoError], int] = MappingProxyType(
    {ConfigurationError: 3, FatalError: 4, SkippableError: 5, TransientError: 75}
)

#: command → module below gateway.cli that holds a function (or, for a group, a Typer app) of that name.
_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "up": "stack",
        "down": "stack",
        "status": "stack",
        "demo": "demo",
        "check": "check",
        "validate": "validate",
        "export": "export",
        "collect": "collect",
        "score": "score",
        "publish": "publish",
        "snapshot": "snapshot",
        "consume": "consume",
        "feedback": "feedback",
        "notices": "feedback",
        "remind": "feedback",
        "checkpoint": "checkpoint",
        "purge": "purge",
        "verify": "verify",
        "explain": "explain",
        "warnings": "warnings",
        "describe": "describe",
        "compare": "compare",
        "policy": "policy",
        "plan-inspections": "plan_inspections",
        "sql": "score",
        "bus": "bus",
    }
)


class _LazyGroup(TyperGroup):
    """Imports a command's module when it is asked for, so that a short command starts fast."""

    def list_commands(self, ctx: Context) -> list[str]:
        return [*_MODULES, *super().list_commands(ctx)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        found = getattr(import_module(f"gateway.cli.{_MODULES[cmd_name]}"), cmd_name.replace("-", "_"))
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        holder = typer.Typer(add_completion=False)
        holder.command(cmd_name)(found)
        return typer.main.get_command(holder)


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="信桥:行业信用监管网关。每一个发布的等级都可以重放、可以证明。\n\n"
    "Xinqiao: the industry-credit supervision gateway. Every published grade can be replayed and proved.",
)


@app.callback()
def _prepare() -> None:
    """Take over a running local stack's connections, unless the environment names its own."""
    from gateway.stack.environment import load_environment

    load_environment()


def main() -> None:
    """Entry point: a typed error, or a file that is not there, is one message and an exit code: what happens next."""
    try:
        app()
    except XinqiaoError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(str(error))
        sys.exit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))
    except OSError as error:
        if error.filename is None:
            raise
        # A path that was typed: whatever talks to a service raises errors of ours.
        said = f"文件无法读写 / cannot read or write the file: {error.filename} ({error.strerror})"
        Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(f"ConfigurationError: {said}")
        sys.exit(EXIT_CODES[ConfigurationError])
