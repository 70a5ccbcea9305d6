"""Bring the local stack up and down, and say how it is."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from exchange_formats.errors import FatalError, TransientError
from gateway.stack import postgres
from gateway.stack.environment import render_environment
from gateway.stack.home import REPOSITORY, resolve_home, write_private
from gateway.stack.model import Component, ComponentStatus, Program, Progress, Report, StackReport, State
from gateway.stack.ports import Ports, choose_ports
from gateway.stack.processes import sweep
from gateway.stack.readiness import await_ready
from gateway.stack.services import SERVICES, Service, credentials, stack_variables
from gateway.stack.settings import Seed, StackSettings, complete_state, list_participants
from gateway.stack.supervision import ProcessState, Supervisor

_SHUTDOWN_SECONDS = 30.0
# All of them bear being killed; RabbitMQ spends five seconds on closing its statistics alone.
_ORPHAN_SECONDS = 2.0
_LOG_TAIL = 4096
# The others say goodbye to these.
_LAST_TO_STOP = (Component.POSTGRES, "epmd")


def _silent(_progress: Progress) -> None:
    """The report of a caller that wants none."""


@dataclass(frozen=True, slots=True)
class _Clock:
    report: Report
    began: float = field(default_factory=time.monotonic)

    def say(self, component: Component | None, state: State, detail: str = "") -> None:
        self.report(Progress(component, state, detail, time.monotonic() - self.began))


class Stack:
    """The local stack of one state folder (default: ``XINQIAO_HOME``, else ``.xinqiao`` in the repository).

    ``dags`` replaces the repository's DAG folder, for tests.
    """

    def __init__(self, home: Path | str | None = None, *, dags: Path | None = None) -> None:
        self.home = resolve_home(home)
        self._dags = dags or REPOSITORY / "dags"
        self._supervisor = Supervisor(self.home)

    def up(
        self,
        components: Collection[Component] | None = None,
        report: Report = _silent,
        *,
        seed: Seed | None = None,
    ) -> StackReport:
        """Start what isn't running, wait until it is ready. A second call changes nothing.

        ``components`` defaults to all; what a component needs is started with it. The simulators are filled
        with ``seed``; without one they keep what they hold, or are filled with the default.

        Raises:
            FatalError: something is missing or did not become ready; the message names it and its log.
        """
        clock = _Clock(report)
        wanted = _with_needs(SERVICES if components is None else components)
        self.home.create()
        with self.home.locked():
            settings = replace(self._settle(clock), seed=seed)
            running = {program.name for program in self._supervisor.states().values() if program.running}
            programs: list[Program] = []
            for service in SERVICES.values():
                if service.component in wanted or _names(service, running):
                    service.prepare(settings)
                    programs += service.programs(settings)
            self._supervisor.start(programs)
            self._start_all([one for one in SERVICES.values() if one.component in wanted], settings, clock)
            return self._describe(settings)

    def _settle(self, clock: _Clock) -> StackSettings:
        """Decide ports and secrets, end orphans of a stack that was killed, write ``stack.env``."""
        state = self.home.load()
        if self._supervisor.pid:
            ports = Ports(**state.ports)
        else:
            orphans = sweep(self.home.root, patience=_ORPHAN_SECONDS)
            if orphans:
                clock.say(None, State.PREPARING, f"清理遗留进程 ended {orphans} orphaned processes")
            self._supervisor.forget()
            postgres.clear_lock(self.home.root)
            ports = choose_ports(self.home.root, state.ports)
        participants = list_participants()
        completed = complete_state(state, participants, ports)
        self.home.save(completed)
        settings = StackSettings(self.home, ports, completed, participants, self._dags)
        write_private(self.home.environment_file, render_environment(stack_variables(settings)))
        return settings

    def _start_all(self, services: list[Service], settings: StackSettings, clock: _Clock) -> None:
        """Start each in a thread of its own, behind those it needs; raise the first failure when all are done."""
        futures: dict[Component, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=len(services) or 1) as pool:
            for service in services:
                before = [futures[need] for need in service.needs]
                futures[service.component] = pool.submit(self._start_one, service, before, settings, clock)
        for future in futures.values():
            future.result()

    def _start_one(self, service: Service, before: list[Future[None]], settings: StackSettings, clock: _Clock) -> None:
        for future in before:
            if future.exception() is not None:
                return
        component = service.component
        try:
            clock.say(component, State.PREPARING)
            service.initialise(settings)
            names = [program.name for program in service.programs(settings)]
            for name in names:
                self._supervisor.start_program(name)
            clock.say(component, State.STARTING)
            await_ready(lambda: self._probe(service, names, settings), what=component, seconds=service.patience)
            service.provision(settings)
        except (FatalError, TransientError) as error:
            clock.say(component, State.FAILED, error.message)
            raise
        clock.say(component, State.READY, service.url(settings))

    def _probe(self, service: Service, names: list[str], settings: StackSettings) -> None:
        states = self._supervisor.states()
        for name in names:
            if name not in states or states[name].given_up:
                log = self.home.logs / f"{name}.log"
                raise FatalError(f"{name} 启动失败 failed to start: {_last_words(log)}", hint=f"日志 log: {log}")
        service.probe(settings)

    def down(self, report: Report = _silent) -> int:
        """Stop everything and leave no process; return how many had to be ended without the supervisor."""
        clock = _Clock(report)
        if not self.home.root.exists():
            clock.say(None, State.STOPPED, f"没有本地环境 no local stack: {self.home.root}")
            return 0
        with self.home.locked():
            if self._supervisor.pid:
                clock.say(None, State.PREPARING, "停止各进程 stopping")
                others = [name for name in self._supervisor.states() if name not in _LAST_TO_STOP]
                self._supervisor.stop_programs(others, patience=_SHUTDOWN_SECONDS)
                self._supervisor.shutdown(patience=_SHUTDOWN_SECONDS)
            left = sweep(self.home.root)
            self._supervisor.forget()
            postgres.clear_lock(self.home.root)
            self.home.remove_link()
            clock.say(None, State.STOPPED, "已停止 stopped")
            return left

    def status(self) -> StackReport:
        """How every component is, asked once; nothing is started or changed."""
        state = self.home.load()
        if not state.ports:
            idle = (ComponentStatus(one, State.STOPPED, "", 0, "") for one in SERVICES)
            return StackReport(self.home.root, tuple(idle), ())
        settings = StackSettings(self.home, Ports(**state.ports), state, list_participants(), self._dags)
        return self._describe(settings)

    def _describe(self, settings: StackSettings) -> StackReport:
        states = self._supervisor.states()
        rows = tuple(_describe_one(service, states, settings) for service in SERVICES.values())
        started = {row.component for row in rows if row.state is not State.STOPPED}
        logins = tuple(one for one in credentials(settings) if one.component in started)
        return StackReport(self.home.root, rows, logins)


def _with_needs(components: Collection[Component]) -> set[Component]:
    return {*components, *(need for one in components for need in SERVICES[one].needs)}


def _names(service: Service, known: Collection[str]) -> list[str]:
    """The processes of a component among the known ones; Airflow's begin with its name."""
    prefix = service.component.value
    extra = ("epmd",) if service.component is Component.RABBITMQ else ()
    return [name for name in known if name == prefix or name.startswith(prefix + "-") or name in extra]


def _describe_one(service: Service, states: Mapping[str, ProcessState], settings: StackSettings) -> ComponentStatus:
    processes = [states[name] for name in _names(service, states)]
    alive = [process for process in processes if process.running]
    if not alive:
        state = State.FAILED if any(process.given_up for process in processes) else State.STOPPED
        return ComponentStatus(service.component, state, "", 0, "")
    detail, state = alive[-1].description, State.READY
    try:
        service.probe(settings)
    except TransientError as error:
        detail, state = error.message, State.STARTING
    return ComponentStatus(service.component, state, service.url(settings), alive[-1].pid, detail)


def _last_words(log: Path) -> str:
    """The last line of a log that says something."""
    if not log.exists():
        return "?"
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - _LOG_TAIL))
        lines = handle.read().decode(errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "?")
