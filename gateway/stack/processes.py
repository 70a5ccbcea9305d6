"""Find and end the processes of one stack, whoever their parent is by now.

Every process is started with ``XINQIAO_STACK=<home>`` in its environment;
PostgreSQL's children overwrite theirs and are known by their working folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

MARKER = "XINQIAO_STACK"


def find_processes(home: Path) -> tuple[psutil.Process, ...]:
    """Every process of this stack and its descendants, without the caller and its ancestors."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid in spared or process.pid in found or not _belongs(process, home):
            continue
        found[process.pid] = process
        try:
            found.update((child.pid, child) for child in process.children(recursive=True))
        except psutil.Error:
            continue
    return tuple(process for pid, process in found.items() if pid not in spared)


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        if process.environ().get(MARKER) == str(home):
            return True
        if process.name() == "postgres":
            return Path(process.cwd()) == home / "postgres" / "data"
    except (psutil.Error, OSError):
        return False
    return False


def end_processes(processes: Iterable[psutil.Process], *, patience: float = 8.0) -> int:
    """Ask them to end, then kill what is left; return how many had to be killed."""
    asked = []
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
        asked.append(process)
    _, alive = psutil.wait_procs(asked, timeout=patience)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=patience)
    return len(alive)


def sweep(home: Path, *, patience: float = 8.0) -> int:
    """End every process of the stack; return how many there were.

    A dying parent may have started one more: look again until none is left.
    """
    total = 0
    for _ in range(5):
        found = find_processes(home)
        if not found:
            break
        total += len(found)
        end_processes(found, patience=patience)
    return total
