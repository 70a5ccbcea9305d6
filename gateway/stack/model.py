"""What the local stack is made of: components, the processes behind them, and how they are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Component(StrEnum):
    """One thing a person starts or leaves out; most are one process, Airflow is four."""

    RABBITMQ = "rabbitmq"
    S3 = "s3"
    POSTGRES = "postgres"
    SIMULATORS = "simulators"
    AIRFLOW = "airflow"


class State(StrEnum):
    """What a component is doing, as shown to people and in ``status --json``."""

    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Program:
    """One process for the supervisor.

    ``stop_wait`` is the seconds given to end cleanly before it is killed;
    ``environment`` is added to what the supervisor itself has.
    """

    name: str
    component: Component
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_group: bool = True
    stop_wait: int = 15
    priority: int = 500


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of ``xinqiao status``. ``pid`` is 0 where nothing runs; ``url`` carries no password."""

    component: Component
    state: State
    url: str
    pid: int
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of ``up`` or ``down``; ``seconds`` since the command began."""

    component: Component | None
    state: State
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Credential:
    """A generated login a person needs to look inside a component."""

    component: Component
    url: str
    login: str
    password: str


@dataclass(frozen=True, slots=True)
class StackReport:
    """What ``up`` and ``status`` return."""

    home: Path
    components: tuple[ComponentStatus, ...]
    credentials: tuple[Credential, ...]

    @property
    def ready(self) -> bool:
        """Whether every component that was started is ready."""
        return all(one.state in (State.READY, State.STOPPED, State.ABSENT) for one in self.components)


Report = Callable[[Progress], None]
