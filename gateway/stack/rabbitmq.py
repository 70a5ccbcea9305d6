"""A private RabbitMQ node of Debian's ``rabbitmq-server``: own name, ports, cookie, port mapper and data."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx

from exchange_formats.errors import FatalError, TransientError
from exchange_formats.topology import definitions
from gateway.stack.debian import ensure_program
from gateway.stack.home import StackHome, write_private
from gateway.stack.model import Component, Program
from gateway.stack.ports import LOOPBACK
from gateway.stack.readiness import fetch
from gateway.stack.settings import GATEWAY_USER, StackSettings

# Debian's /usr/sbin/rabbitmq-server switches to user rabbitmq when root runs it; the script behind it does not.
_SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/lib64/rabbitmq/bin"))
_NODE = "xinqiao@localhost"


def prepare(settings: StackSettings) -> None:
    """Install the server if it is missing and write everything the node reads at boot."""
    find_server()
    folder = settings.home.root / "rabbitmq"
    for name in ("home", "mnesia", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_private(folder / "home" / ".erlang.cookie", settings.state.secrets.erlang_cookie)
    (folder / "home" / ".erlang.cookie").chmod(0o400)
    write_private(folder / "enabled_plugins", "[rabbitmq_management].\n")
    write_private(folder / "rabbitmq.conf", _render_config(settings))
    write_definitions(folder / "definitions.json", _users(settings))


def _users(settings: StackSettings) -> Mapping[str, str]:
    return {GATEWAY_USER: settings.state.secrets.rabbitmq_gateway, **settings.state.secrets.participants}


def find_server() -> Path:
    """The ``rabbitmq-server`` script, installed with apt when there is none.

    Raises:
        FatalError: it is missing and cannot be installed here.
    """
    for folder in _SCRIPTS:
        if (folder / "rabbitmq-server").exists():
            return folder / "rabbitmq-server"
    found = shutil.which("rabbitmq-server")
    if found and not Path(found).resolve().name.endswith("wrapper"):
        return Path(found).resolve()
    ensure_program("rabbitmq-server", (_SCRIPTS[0] / "rabbitmq-server").exists)
    return _SCRIPTS[0] / "rabbitmq-server"


def _render_config(settings: StackSettings) -> str:
    ports = settings.ports
    return "\n".join(
        (
            f"listeners.tcp.local = {LOOPBACK}:{ports.amqp}",
            f"management.tcp.ip = {LOOPBACK}",
            f"management.tcp.port = {ports.management}",
            "disk_free_limit.absolute = 512MB",
            "log.console = true",
            "log.console.level = info",
            "log.file = false",
            "definitions.import_backend = local_filesystem",
            f"definitions.local.path = {settings.home.short / 'rabbitmq' / 'definitions.json'}",
            "",
        )
    )


def programs(settings: StackSettings) -> tuple[Program, ...]:
    """The port mapper in the foreground, so that it ends with the stack, and the node."""
    folder = settings.home.short / "rabbitmq"
    environment = _environment(settings.home, settings)
    mapper = Program(
        name="epmd",
        component=Component.RABBITMQ,
        command=("epmd", "-port", str(settings.ports.epmd), "-address", LOOPBACK),
        directory=folder,
        environment=environment,
        stop_wait=3,
        priority=10,
    )
    # SIGTERM to the whole group: the script would wait for the node, the node ends cleanly by itself.
    node = Program(
        name="rabbitmq",
        component=Component.RABBITMQ,
        command=(str(find_server()),),
        directory=folder,
        environment=environment,
        stop_wait=20,
        priority=20,
    )
    return mapper, node


def _environment(home: StackHome, settings: StackSettings) -> Mapping[str, str]:
    folder = home.short / "rabbitmq"
    return {
        "HOME": str(folder / "home"),
        "ERL_EPMD_PORT": str(settings.ports.epmd),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_NODENAME": _NODE,
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-such-file.config"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_DIST_PORT": str(settings.ports.distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def probe(settings: StackSettings) -> None:
    """Raise TransientError until the node takes AMQP connections and has its users."""
    auth = (GATEWAY_USER, settings.state.secrets.rabbitmq_gateway)
    fetch(f"{settings.management_url}/api/health/checks/port-listener/{settings.ports.amqp}", auth=auth)


def provision(settings: StackSettings) -> None:
    """Import the definitions into a node that was running before they changed."""
    folder = settings.home.root / "rabbitmq"
    content = (folder / "definitions.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    imported = folder / "definitions.imported"
    if imported.exists() and imported.read_text() == digest:
        return
    auth = (GATEWAY_USER, settings.state.secrets.rabbitmq_gateway)
    try:
        with httpx.Client(timeout=30, trust_env=False) as client:
            answer = client.post(
                f"{settings.management_url}/api/definitions",
                content=content,
                auth=auth,
                headers={"content-type": "application/json"},
            )
    except httpx.HTTPError as error:
        raise TransientError(f"RabbitMQ definitions: {type(error).__name__}") from error
    if answer.is_error:
        raise FatalError(f"RabbitMQ 拒绝导入定义 refused the definitions: {answer.text[:300]}")
    imported.write_text(digest)


def write_definitions(path: Path, users: Mapping[str, str]) -> bool:
    """Write ``definitions.json``: the topology of the departments' YAMLs; return whether it changed.

    ``users`` maps login to password. A participant whose YAML is broken or absent
    gets its queues without bindings, so that the others' stack comes up.
    """
    from connectors.department import load_departments
    from gateway.bus import derive_topology

    departments = load_departments().by_id.values()
    topology = derive_topology(departments, participants=(name for name in users if name != GATEWAY_USER))
    return write_private(path, definitions(topology, users))
