"""The processes of the stack under `supervisor <http://supervisord.org>`_: its configuration and its remote control."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from exchange_formats.errors import FatalError, TransientError
from gateway.stack.home import StackHome, write_private
from gateway.stack.model import Program
from gateway.stack.processes import MARKER

_ENDED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
_RUNNING = ("RUNNING", "STARTING", "BACKOFF")
# Faults of the remote control that only say "already so".
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_DO_NOT_WAIT = False


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of one process: its state name, pid (0 if none) and its own words."""

    name: str
    state: str
    pid: int
    description: str

    @property
    def running(self) -> bool:
        """Whether it runs or the supervisor is about to start it."""
        return self.state in _RUNNING

    @property
    def given_up(self) -> bool:
        """Whether the supervisor no longer tries to start it."""
        return self.state in ("FATAL", "UNKNOWN")


class Supervisor:
    """One supervisord for one state folder, reached by a unix socket inside it."""

    def __init__(self, home: StackHome) -> None:
        self._home = home
        self._socket = home.short / "supervisor.sock"
        self._config = home.root / "supervisord.conf"
        self._pid_file = home.root / "supervisord.pid"

    def _remote(self) -> xmlrpc.client.ServerProxy:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    @property
    def pid(self) -> int:
        """The pid of a living supervisord of this home, else 0. A stale pid file or socket is not believed."""
        try:
            pid = int(self._pid_file.read_text())
            if psutil.Process(pid).environ().get(MARKER) != str(self._home.root):
                return 0
            self._remote().supervisor.getState()
        except (ValueError, OSError, psutil.Error, xmlrpc.client.Error):
            return 0
        return pid

    def start(self, programs: Iterable[Program]) -> None:
        """Write the configuration and start supervisord, or bring a running one up to date.

        Raises:
            FatalError: supervisord did not start.
        """
        changed = write_private(self._config, render_config(self._home, self._socket, programs))
        if self.pid:
            if changed:
                self._update()
            return
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
        environment |= {MARKER: str(self._home.root), "PYTHONUTF8": "1", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        started = subprocess.run(
            (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)),
            env=environment,
            cwd=self._home.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if started.returncode:
            reason = (started.stderr or started.stdout).strip().splitlines()
            raise FatalError(f"supervisord 未能启动 did not start: {reason[-1] if reason else '?'}")
        self._await_control()

    @retry(
        retry=retry_if_exception_type(TransientError), wait=wait_fixed(0.05), stop=stop_after_delay(15), reraise=True
    )
    def _await_control(self) -> None:
        if not self.pid:
            raise TransientError(f"supervisord 未应答 does not answer: {self._home.logs / 'supervisord.log'}")

    def _update(self) -> None:
        remote = self._remote().supervisor
        ((added, changed, removed),) = _rows(remote.reloadConfig())
        for name in (*changed, *removed):
            remote.stopProcessGroup(name)
            remote.removeProcessGroup(name)
        for name in (*added, *changed):
            remote.addProcessGroup(name)

    def start_program(self, name: str) -> None:
        """Start one process, without waiting; nothing happens if it runs."""
        try:
            self._remote().supervisor.startProcess(name, _DO_NOT_WAIT)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise FatalError(f"{name} 未能启动 did not start: {fault.faultString}") from fault

    def stop_programs(self, names: Iterable[str], *, patience: float) -> None:
        """Stop them side by side; the supervisor itself would do it one after the other."""
        waiting = set(names)
        for name in waiting:
            try:
                self._remote().supervisor.stopProcess(name, _DO_NOT_WAIT)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != _NOT_RUNNING:
                    raise FatalError(f"{name} 未能停止 did not stop: {fault.faultString}") from fault
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(
            state.state not in _ENDED for name, state in self.states().items() if name in waiting
        ):
            time.sleep(0.1)

    def states(self) -> Mapping[str, ProcessState]:
        """Every configured process by name; empty when supervisord does not run."""
        if not self.pid:
            return {}
        rows = _rows(self._remote().supervisor.getAllProcessInfo())
        return {
            row["name"]: ProcessState(row["name"], row["statename"], row["pid"], row["description"]) for row in rows
        }

    def shutdown(self, *, patience: float) -> None:
        """Tell supervisord to stop everything and itself; return when it has or ``patience`` seconds are over."""
        pid = self.pid
        if not pid:
            return
        process = psutil.Process(pid)
        self._remote().supervisor.shutdown()
        try:
            process.wait(timeout=patience)
        except psutil.TimeoutExpired:
            return

    def forget(self) -> None:
        """Remove what a supervisord that was killed has left lying about."""
        self._socket.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)


def _rows(answer: object) -> Any:
    """An answer of the remote control; its type stub cannot know what the supervisor returns."""
    return answer


def render_config(home: StackHome, socket: Path, programs: Iterable[Program]) -> str:
    """The text of ``supervisord.conf``; nothing starts by itself, :meth:`Supervisor.start_program` does it."""
    lines = [
        "[unix_http_server]",
        f"file={_escape(str(socket))}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={_escape(str(home.logs / 'supervisord.log'))}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={_escape(str(home.root / 'supervisord.pid'))}",
        f"childlogdir={_escape(str(home.logs))}",
        f"identifier={home.root.name.encode('ascii', 'replace').decode()}",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        lines += _render_program(home, program)
    return "\n".join(lines) + "\n"


def _render_program(home: StackHome, program: Program) -> list[str]:
    environment = ",".join(f"{name}={_quote(value)}" for name, value in sorted(program.environment.items()))
    return [
        f"[program:{program.name}]",
        f"command={_escape(shlex.join(program.command))}",
        f"directory={_escape(str(program.directory))}",
        f"environment={_escape(environment)}",
        f"priority={program.priority}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=3",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_wait}",
        f"stopasgroup={'true' if program.stop_group else 'false'}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_escape(str(home.logs / (program.name + '.log')))}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=2",
    ]


def _escape(text: str) -> str:
    if "\n" in text or " ;" in text or " #" in text:
        raise FatalError(f"supervisor 无法表示 cannot express: {text!r}", hint="换一个文件夹 use another folder")
    return text.replace("%", "%%")


def _quote(value: str) -> str:
    """Quote for supervisor's ``environment=``, which knows quotes of both kinds but no escape."""
    for mark in ("'", '"'):
        if mark not in value and value.strip("'\"") == value:
            return f"{mark}{value}{mark}"
    raise FatalError(
        "环境变量的引号无法表示 an environment value whose quotes cannot be expressed",
        hint="换一个文件夹 use another folder",
    )
