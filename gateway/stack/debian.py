"""Install a Debian package when a program is missing, as root or with sudo, or say plainly what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from exchange_formats.errors import FatalError

_SECONDS = 600


def ensure_program(package: str, present: Callable[[], bool]) -> None:
    """Install ``package`` unless ``present()``; a service the package brings is not left running.

    Raises:
        FatalError: no apt, no root and no sudo, or apt failed (offline, unknown package).
    """
    if present():
        return
    apt = shutil.which("apt-get")
    by_hand = f"请手动安装 install it by hand: apt-get install {package}"
    if apt is None:
        raise FatalError(f"缺少 missing: {package}; 本机没有 this machine has no apt-get", hint=by_hand)
    prefix = _root_prefix(package, by_hand)
    install = (*prefix, "env", "DEBIAN_FRONTEND=noninteractive", apt, "install", "-y", "-qq", "-o", "Dpkg::Use-Pty=0")
    install += ("--no-install-recommends", package)
    if _run(install) and _run((*prefix, apt, "update", "-qq")) + _run(install):
        raise FatalError(f"apt-get 未能安装 could not install: {package} (离线? offline?)", hint=by_hand)
    # We wanted the program, not a second broker on the default port.
    if Path("/run/systemd/system").exists():
        _run((*prefix, "systemctl", "disable", "--now", package))
    if not present():
        raise FatalError(f"已安装但找不到程序 installed, yet its program is not there: {package}", hint=by_hand)


def _root_prefix(package: str, by_hand: str) -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ()
    sudo = shutil.which("sudo")
    if sudo is None:
        raise FatalError(f"缺少 missing: {package}; 非 root 且没有 not root and no sudo", hint=by_hand)
    if sys.stdin.isatty():
        return (sudo,)
    if _run((sudo, "-n", "true")):
        raise FatalError(f"缺少 missing: {package}; sudo 需要口令 asks for a password", hint=by_hand)
    return (sudo, "-n")


def _run(command: tuple[str, ...]) -> int:
    """Run it, its output to our standard error; 1 for one that hangs."""
    try:
        return subprocess.run(command, stdout=sys.stderr.fileno(), timeout=_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        return 1
