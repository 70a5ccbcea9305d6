"""The department simulators as a component: one HTTP process, and the data they are seeded with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from exchange_formats.errors import FatalError
from gateway.stack.model import Component, Program
from gateway.stack.postgres import read_note, write_note
from gateway.stack.processes import MARKER
from gateway.stack.readiness import fetch
from gateway.stack.settings import SOURCE_DATABASE, Seed, StackSettings

_MODULE = "gateway.simulators"
_SEED_SECONDS = 600


def programs(settings: StackSettings, environment: Mapping[str, str]) -> tuple[Program, ...]:
    """One process for all HTTP sources."""
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
    """Raise TransientError until the process answers."""
    fetch(f"{settings.simulators_url}/healthz")


def fill(settings: StackSettings, environment: Mapping[str, str], seed: Seed | None) -> bool:
    """Fill the departments' systems unless they hold this very seed (``None``: any); return whether it was done.

    What was seeded is noted on the source database, and so is lost with it.

    Raises:
        FatalError: no such register, or the seeding failed.
    """
    if seed is not None and seed.register is not None and not seed.register.is_file():
        raise FatalError(f"没有这个名录文件 no such register: {seed.register}")
    note = read_note(settings, SOURCE_DATABASE)
    wanted = seed or Seed()
    if note == wanted.fingerprint() or (note and seed is None):
        return False
    log = settings.home.logs / "simulators-seed.log"
    with log.open("ab") as output:
        done = subprocess.run(
            (sys.executable, "-m", _MODULE, "seed", "--home", str(settings.home.root), *wanted.arguments()),
            env={**os.environ, **environment, MARKER: str(settings.home.root)},
            cwd=settings.home.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_SEED_SECONDS,
            check=False,
        )
    if done.returncode:
        raise FatalError("部门模拟数据生成失败 seeding the simulators failed", hint=f"日志 log: {log}")
    write_note(settings, SOURCE_DATABASE, wanted.fingerprint())
    return True
