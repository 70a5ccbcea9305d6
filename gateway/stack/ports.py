"""Ports of a stack: preferred ones first, the next free where those are taken, remembered afterwards."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import monotonic, sleep

from exchange_formats.errors import FatalError
from gateway.stack.home import REPOSITORY

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range (32768 and up), where outgoing connections sit.
_FIRST = 18_000
_BLOCK = 20
_BLOCKS = 600
_PATIENCE = 1.0
_OFFSETS = {
    "amqp": 0,
    "management": 1,
    "distribution": 2,
    "epmd": 3,
    "s3": 4,
    "postgres": 5,
    "airflow": 6,
    "simulators": 7,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Every TCP port of one stack, all on the loopback address."""

    amqp: int
    management: int
    distribution: int
    epmd: int
    s3: int
    postgres: int
    airflow: int
    simulators: int

    def as_mapping(self) -> Mapping[str, int]:
        """By name, as ``state.json`` keeps them."""
        return asdict(self)


def is_free(port: int) -> bool:
    """Whether nothing listens on this loopback port (or on it at every address)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _await_free(ports: Iterable[int]) -> None:
    """Give processes that were just killed a moment to let go of what is going to be ours again."""
    deadline = monotonic() + _PATIENCE
    while monotonic() < deadline and not all(is_free(port) for port in ports):
        sleep(0.05)


def choose_ports(home: Path, remembered: Mapping[str, int]) -> Ports:
    """Pick the ports of a stack none of whose processes runs.

    The repository's own ``.xinqiao`` gets the same well-known block; any other
    home starts in a block derived from its path, so that two stacks started
    at one moment do not reach for the same ports.

    Raises:
        FatalError: no free port was found.
    """
    block = 0 if home == REPOSITORY / ".xinqiao" else 1 + zlib.crc32(str(home).encode()) % (_BLOCKS - 1)
    start = _FIRST + block * _BLOCK
    _await_free(remembered.values())
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        offset = _OFFSETS[field.name]
        candidates = [remembered.get(field.name, start + offset)]
        candidates += [_FIRST + (block + step) % _BLOCKS * _BLOCK + offset for step in range(_BLOCKS)]
        for port in candidates:
            if port not in chosen.values() and is_free(port):
                chosen[field.name] = port
                break
        else:
            raise FatalError(f"找不到空闲端口 no free port for {field.name}")
    return Ports(**chosen)
