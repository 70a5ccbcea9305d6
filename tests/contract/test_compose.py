"""What can be checked of the server's files without a Docker engine (docs/operations.md says that this is all)."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.connection import read_connection
from exchange_formats.messages import MAXIMUM_BYTES
from exchange_formats.topology import GATEWAY, definitions
from gateway.bus import derive_topology, read_passwords
from gateway.cli import app

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SEAWEEDFS = ROOT / "gateway" / "server" / "seaweedfs.yaml"
BIN = Path(sys.executable).parent
OURS = "xinqiao:"
_REFERENCE = re.compile(r"\$\{([A-Z0-9_]+)(?:(:[-?])([^}]*))?\}")
_SECRET = re.compile(r"^XINQIAO_\w*(PASSWORD|SECRET|KEY)$")

Services = Mapping[str, Mapping[str, Any]]


def read_compose(path: Path = COMPOSE) -> Mapping[str, Any]:
    """The file with its anchors and merges resolved, variables as written."""
    document: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def read_variables(path: Path) -> dict[str, str]:
    """``NAME=value`` lines, as compose reads them raw."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Compose's own rule for ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?error}``."""

    def replace(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == ":-":
            return str(rest)
        raise ValueError(f"{name}: {rest or 'not set'}")

    return _REFERENCE.sub(replace, text)


@pytest.fixture(scope="module")
def services() -> Services:
    found: Services = read_compose()["services"]
    return found


@pytest.fixture(scope="module")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the generator works in, after one run of it."""
    folder = tmp_path_factory.mktemp("server")
    for name in (".env.example", ".env.departments.example", "docker-compose.yml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("gateway/server", "connectors/departments"):
        shutil.copytree(ROOT / name, folder / name)
    complete_environment(folder)
    return folder


def complete_environment(folder: Path) -> str:
    done = subprocess.run(
        ["sh", "gateway/server/complete-environment"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stderr


def is_one_shot(service: Mapping[str, Any]) -> bool:
    return service.get("restart") == "no"


@pytest.mark.parametrize("path", [COMPOSE, SEAWEEDFS], ids=lambda path: path.name)
def test_file_follows_the_compose_specification_when_checked_against_its_schema(path: Path, tmp_path: Path) -> None:
    merged = tmp_path / "compose.json"
    merged.write_text(json.dumps(read_compose(path)), encoding="utf-8")
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(merged)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schema_check_refuses_when_a_key_is_unknown(tmp_path: Path) -> None:
    broken = tmp_path / "compose.json"
    broken.write_text(json.dumps({"services": {"one": {"image": "a:1", "restrat": "always"}}}), encoding="utf-8")
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(broken)]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 1


def test_everything_the_issue_names_is_there_when_the_services_are_listed(services: Services) -> None:
    roles = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert {"postgres", "rabbitmq", "object-store", "init", *roles} <= set(services)


def test_service_has_a_healthcheck_or_is_one_shot_when_it_is_started(services: Services) -> None:
    without = [name for name, one in services.items() if not is_one_shot(one) and not one.get("healthcheck")]
    assert without == []


def test_dependencies_can_be_met_when_services_wait_for_each_other(services: Services) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            once = is_one_shot(services[needed])
            expected = "service_completed_successfully" if once else "service_healthy"
            assert how["condition"] == expected, f"{name} → {needed}"


def test_no_service_waits_for_itself_when_dependencies_are_followed(services: Services) -> None:
    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        for needed in services[name].get("depends_on", {}):
            follow(needed, (*path, name))

    for name in services:
        follow(name, ())


def test_example_names_exactly_the_variables_when_compose_uses_them() -> None:
    used = {match[1] for path in (COMPOSE, SEAWEEDFS) for match in _REFERENCE.finditer(path.read_text("utf-8"))}
    assert used == set(read_variables(ROOT / ".env.example"))


def test_secret_stops_compose_when_it_is_not_set() -> None:
    for path in (COMPOSE, SEAWEEDFS):
        for name, kind, _ in _REFERENCE.findall(path.read_text(encoding="utf-8")):
            assert (kind == ":?") == bool(_SECRET.match(name)), f"{path.name}: {name}"


def test_example_has_no_usable_secret_when_it_is_copied() -> None:
    variables = read_variables(ROOT / ".env.example")
    assert {name: value for name, value in variables.items() if _SECRET.match(name) and value} == {}
    assert read_variables(ROOT / ".env.departments.example") == {}


def test_no_secret_is_written_out_when_a_service_gets_its_environment(services: Services) -> None:
    for service, definition in services.items():
        for name, value in definition.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY", name) and not name.endswith(("_FILE", "_KEY_ID")):
                assert re.fullmatch(r"\$\{XINQIAO_\w+:\?[^}]+\}", value), f"{service}: {name}"
            for written in re.findall(r'"password": "([^"]*)"|://[^:@/ ]*:([^@/ ]*(?:\}|[^@/ ]))@', str(value)):
                assert all(not part or part.startswith("${XINQIAO_") for part in written), f"{service}: {name}"


def test_environment_is_one_and_the_same_when_a_service_runs_our_image(services: Services) -> None:
    anchor = read_compose()["x-airflow-env"]
    assert {"AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY"} <= set(anchor)
    ours = {n: one for n, one in services.items() if one["image"].startswith(OURS) and "environment" in one}
    assert {name for name in services if name.startswith("airflow-")} | {"init", "bus-definitions"} == set(ours)
    for name, service in ours.items():
        extra = {key for key, value in service["environment"].items() if anchor.get(key) != value}
        assert extra <= {"XINQIAO_AIRFLOW_PASSWORD"}, name
        assert set(anchor) <= set(service["environment"]), name


def test_image_is_pinned_to_a_release_when_it_is_named(services: Services) -> None:
    found = {one["image"] for one in services.values()} | {read_compose(SEAWEEDFS)["services"]["object-store"]["image"]}
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    found |= {line.split()[1] for line in lines if line.startswith("FROM ")}
    for image in found:
        tag = image.partition(":")[2]
        assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), image
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {image for image in found if image.startswith(OURS)} == {OURS + version}
    assert f"ARG VERSION={version}" in lines
    assert all(one["build"]["args"] == {"VERSION": version} for one in services.values() if "build" in one)


def test_container_has_no_more_rights_than_it_needs_when_it_runs(services: Services) -> None:
    image_user = re.search(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert image_user
    assert not image_user[1].startswith(("0", "root"))
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert not {"privileged", "pid", "ipc", "devices"} & set(service), name
        user = str(service.get("user", image_user[1] if service["image"].startswith(OURS) else "root"))
        if name == "volumes":  # it gives new volumes to their users, and ends
            assert is_one_shot(service)
            assert service["cap_add"] == ["CHOWN"]
            assert service["network_mode"] == "none"
        else:
            assert not user.startswith(("0", "root")), name
            assert "cap_add" not in service, name


def test_host_folder_is_read_only_when_it_is_mounted(services: Services) -> None:
    named = set(read_compose()["volumes"])
    for name, service in services.items():
        for mount in service.get("volumes", ()):
            source, _, target = interpolate(mount, read_variables(ROOT / ".env.example")).partition(":")
            if source in named:
                continue
            assert target.endswith(":ro"), f"{name}: {mount}"
            assert source == "./drop" or (ROOT / source).exists(), f"{name}: {mount}"


def test_port_is_open_to_this_host_only_when_nothing_is_said(services: Services) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert set(published) == {"rabbitmq", "airflow-api-server"}
    for name, ports in published.items():
        for port in ports:
            assert interpolate(port, {}).startswith("127.0.0.1:"), f"{name}: {port}"
    management = [port for port in published["rabbitmq"] if port.endswith(":15672")]
    assert management[0].startswith("127.0.0.1:")
    assert read_compose()["networks"]["inside"] == {"internal": True}
    assert all(services[name]["networks"] == ["inside"] for name in ("postgres", "object-store"))


def test_secrets_are_complete_and_all_different_when_the_generator_ran(completed: Path) -> None:
    variables = read_variables(completed / ".env")
    secrets = {name: value for name, value in variables.items() if _SECRET.match(name)}
    assert all(len(value) >= 20 for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert len(base64.urlsafe_b64decode(secrets["XINQIAO_FERNET_KEY"])) == 32
    assert len(bytes.fromhex(secrets["XINQIAO_PSEUDONYM_KEY"])) == 32
    for name in (".env", ".env.departments"):
        assert (completed / name).stat().st_mode & 0o777 == 0o600


def test_connections_can_be_read_when_the_environment_is_filled_in(completed: Path) -> None:
    variables = read_variables(completed / ".env")
    anchor = read_compose(completed / "docker-compose.yml")["x-airflow-env"]
    environ = {name: interpolate(str(value), variables) for name, value in anchor.items()}
    environ |= read_variables(completed / ".env.departments")
    lake = read_connection("lake", environ)
    assert (lake.host, lake.port, lake.login) == ("object-store", 9000, variables["XINQIAO_S3_ACCESS_KEY"])
    gateway = read_connection("rabbitmq_gateway", environ)
    assert (gateway.login, gateway.schema, gateway.extra["management_port"]) == (GATEWAY, "credit", 15672)
    for path in (ROOT / "connectors" / "departments").glob("*.yaml"):
        assert read_connection(f"rabbitmq_{path.stem}", environ).login == path.stem


def test_every_user_gets_a_hash_when_the_definitions_are_made_from_it(completed: Path) -> None:
    from connectors.department import load_departments

    environ = dict(read_variables(completed / ".env.departments"))
    environ["AIRFLOW_CONN_RABBITMQ_GATEWAY"] = json.dumps({"conn_type": "amqp", "password": "a" * 32})
    departments = load_departments(completed / "connectors" / "departments")
    topology = derive_topology(departments.by_id.values())
    passwords = read_passwords(topology, lambda identifier: read_connection(identifier, environ))
    document = definitions(topology, passwords)
    assert {user["name"] for user in json.loads(document)["users"]} == {GATEWAY, *departments.by_id}
    assert not [password for password in passwords.values() if password in document]


def test_generator_changes_nothing_when_it_runs_again(completed: Path) -> None:
    before = [(completed / name).read_bytes() for name in (".env", ".env.departments")]
    complete_environment(completed)
    assert [(completed / name).read_bytes() for name in (".env", ".env.departments")] == before


def test_generator_adds_one_user_and_asks_for_the_source_when_a_department_is_new(completed: Path) -> None:
    before = read_variables(completed / ".env.departments")
    added = completed / "connectors" / "departments" / "tobacco_monopoly.yaml"
    added.write_text("id: tobacco_monopoly\nsource:\n  connection: dept_tobacco_monopoly\n", encoding="utf-8")
    try:
        said = complete_environment(completed)
    finally:
        added.unlink()
    after = read_variables(completed / ".env.departments")
    assert set(after) - set(before) == {"AIRFLOW_CONN_RABBITMQ_TOBACCO_MONOPOLY"}
    assert {name: after[name] for name in before} == before
    assert "AIRFLOW_CONN_DEPT_TOBACCO_MONOPOLY" in said


def test_dockerfile_has_no_finding_when_it_is_linted() -> None:
    command = [str(BIN / "hadolint"), "--failure-threshold", "info", str(ROOT / "Dockerfile")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_reach_the_image_when_the_dockerfile_copies_them() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            for source in line.split()[1:-1]:
                assert source.split("/")[0] in allowed, source
                assert (ROOT / source).exists(), source


def test_image_has_the_packages_of_the_wheel_when_it_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(copied) == sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def test_broker_loads_what_the_one_shot_wrote_when_it_boots(services: Services) -> None:
    lines = (ROOT / "gateway" / "server" / "rabbitmq.conf").read_text(encoding="utf-8").splitlines()
    settings = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
    assert settings["default_queue_type"] == "quorum"
    assert settings["disk_free_limit.absolute"] == "4GB"
    assert int(settings["max_message_size"]) >= MAXIMUM_BYTES
    mounted = [str(one) for one in services["rabbitmq"]["volumes"] if one.startswith("bus-definitions:")]
    assert settings["definitions.local.path"] == f"{mounted[0].split(':')[1]}/definitions.json"
    assert "bus-definitions:/definitions" in services["bus-definitions"]["volumes"]
    assert "/definitions/definitions.json" in services["bus-definitions"]["command"][-1]


def test_commands_exist_when_a_container_calls_our_command_line(services: Services) -> None:
    import click
    import typer

    written = [str(one.get("command", "")) for one in services.values()]
    written.append((ROOT / "gateway" / "server" / "initialise").read_text(encoding="utf-8"))
    called = set(re.findall(r"xinqiao ([a-z]+) ([a-z-]+)", "\n".join(written)))
    assert {("bus", "definitions"), ("bus", "apply")} <= called
    for group, name in called:
        command: Any = typer.main.get_command(app)
        for part in (group, name):
            command = command.get_command(click.Context(command), part)
            assert command is not None, f"xinqiao {group} {name}"
