"""Everything the pieces of the stack need to know to start: where, on which ports, with which secrets."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.stack.home import REPOSITORY, StackHome, StackState
from gateway.stack.ports import LOOPBACK, Ports

BUCKET = "credit-lake"
VHOST = "credit"
GATEWAY_USER = "gateway"
REGION = "us-east-1"
SUPERUSER = "postgres"
AIRFLOW_DATABASE = "airflow"
# The source system of the department of the same name, and the role that may only read it.
SOURCE_DATABASE = "market_regulation"
READER = "credit_gateway"
PLATFORM = "provincial_platform"


#: Counted up when the simulated departments change: what was seeded before is another province.
_PROVINCE = "province 2"


@dataclass(frozen=True, slots=True)
class Seed:
    """What the departments' systems are filled with: a real register, or ``subjects`` drawn from ``number``."""

    register: Path | None = None
    subjects: int = 10_000
    number: int = 2019

    def arguments(self) -> tuple[str, ...]:
        """The simulators' command-line options."""
        drawn = ("--subjects", str(self.subjects), "--seed", str(self.number))
        return (*drawn, "--register", str(self.register.resolve())) if self.register else drawn

    def fingerprint(self) -> str:
        """Equal for equal data: the register counts by its content."""
        content = hashlib.sha256(self.register.read_bytes()).hexdigest() if self.register else f"{self.subjects}"
        return f"seeded {content} {self.number} {_PROVINCE}"


@dataclass(frozen=True, slots=True)
class StackSettings:
    """One stack: its folder, ports, remembered state and participants (sorted ids)."""

    home: StackHome
    ports: Ports
    state: StackState
    participants: tuple[str, ...]
    dags: Path = REPOSITORY / "dags"
    seed: Seed | None = None

    @property
    def management_url(self) -> str:
        """RabbitMQ management page and HTTP API."""
        return f"http://{LOOPBACK}:{self.ports.management}"

    @property
    def s3_url(self) -> str:
        """The S3 endpoint."""
        return f"http://{LOOPBACK}:{self.ports.s3}"

    @property
    def postgres_url(self) -> str:
        """The database server, without a login."""
        return f"postgresql://{LOOPBACK}:{self.ports.postgres}"

    @property
    def airflow_url(self) -> str:
        """Airflow's pages and REST API."""
        return f"http://{LOOPBACK}:{self.ports.airflow}"

    @property
    def simulators_url(self) -> str:
        """The process that plays the HTTP sources."""
        return f"http://{LOOPBACK}:{self.ports.simulators}"


def list_participants(departments: Path = REPOSITORY / "connectors" / "departments") -> tuple[str, ...]:
    """Ids of everyone with a queue: the file stems of the department YAMLs, and the simulated ones."""
    from gateway.simulators.practice import load_practices  # numpy with it: a DAG file has no use for either

    stems = {path.stem for path in departments.glob("*.yaml") if not path.name.startswith((".", "_"))}
    return tuple(sorted({*stems, PLATFORM, *load_practices()}))


def list_simulated(channel: Literal["sharing", "files"]) -> tuple[str, ...]:
    """The participants whose simulated system is got at in this way."""
    from gateway.simulators.practice import load_practices

    platforms = (PLATFORM,) if channel == "sharing" else ()
    return (*platforms, *(name for name, one in load_practices().items() if one.channel == channel))


def complete_state(state: StackState, participants: tuple[str, ...], ports: Ports) -> StackState:
    """Add a password for each participant and HTTP source that has none yet; keep all others."""
    held = state.secrets
    known = held.participants | {one: secrets.token_urlsafe(18) for one in participants if one not in held.participants}
    applications = held.applications | {
        one: secrets.token_hex(16) for one in list_simulated("sharing") if one not in held.applications
    }
    completed = held.model_copy(update={"participants": known, "applications": applications})
    return StackState(ports=dict(ports.as_mapping()), secrets=completed)
