"""The department simulators as a component: one HTTP process, and the data they are seeded with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec

from gateway.stack.model import Component, Program
from gateway.stack.readiness import fetch
from gateway.stack.settings import StackSettings

_MODULE = "gateway.simulators"


def exist() -> bool:
    """Whether this installation carries the simulators."""
    try:
        return find_spec(f"{_MODULE}.__main__") is not None
    except ModuleNotFoundError:
        return False


def programs(settings: StackSettings, environment: Mapping[str, str]) -> tuple[Program, ...]:
    """One process for both HTTP sources."""
    command = (sys.executable, "-m", _MODULE, "serve", "--home", str(settings.home.root))
    server = Program(
        name="simulators",
        component=Component.SIMULATORS,
        command=(*command, "--port", str(settings.ports.simulators)),
        directory=settings.home.root,
        environment=environment,
        stop_wait=5,
    )
    return (server,)


def probe(settings: StackSettings) -> None:
    """Raise TransientError until the process answers anything."""
    fetch(settings.simulators_url, expect=None)
